"""The page of a report in Chromium, opened from the disk."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium, copied

import blurgen
from blurgen.recipe import Recipe
from blurgen.reporting import report

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
RECIPE = """
name: shown
description: A recipe to look at.
stages:
  - motion: {length: {uniform: [3, 9]}, angle: {uniform: [0, 180]}}
  - maybe: {probability: 0.5, stages: [gaussian_noise: {sigma: {log_uniform: [1, 40]}}]}
  - gamma: {gamma: 1}
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    pairs = blurgen.make(
        "shapes", folder / "pairs.h5", Recipe.from_yaml(RECIPE), count=40, seed=1, psf=True, size=32
    )
    return report(pairs, folder / "report.html").path


@pytest.fixture
def opened(browser, path):
    """Opens the page under given conditions; whatever it asks of others, or complains of, is an error."""
    contexts, wrong = [], []

    def open_page(**options):
        context = browser.new_context(**{"viewport": DESK, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or wrong.append(asked.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def focused_tile(page):
    return page.evaluate("[...document.querySelectorAll('.tile')].indexOf(document.activeElement)")


def test_tiles_open_and_close_by_mouse(opened):
    page = opened()
    viewer = page.locator("#viewer")
    assert not viewer.is_visible()
    page.locator(".tile").nth(2).click()
    assert viewer.is_visible()
    labels = viewer.locator("figcaption").all_inner_texts()
    assert [label.split(",")[0].split(" ")[0] for label in labels] == [
        "sharp",
        "blurred",
        "difference",
        "PSF",
        "spectrum",
    ]
    assert "0.motion.length" in viewer.inner_text()
    # all of it is there: each picture has pixels
    images = viewer.locator("img")
    assert all(images.nth(i).evaluate("image => image.naturalWidth > 0") for i in range(images.count()))
    page.locator("#close").click()
    assert not viewer.is_visible()
    assert focused_tile(page) == 2
    page.locator(".tile").nth(0).click()
    page.mouse.click(3, 3)  # beside it
    assert not viewer.is_visible()


def test_tiles_open_and_close_by_keyboard(opened):
    page = opened()
    viewer, title = page.locator("#viewer"), page.locator("#viewer-title")
    names = page.locator(".tile .name").all_inner_texts()
    page.locator(".tile").nth(1).focus()
    page.keyboard.press("Enter")
    assert viewer.is_visible()
    assert title.inner_text() == f"Pair {names[1]}"
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == f"Pair {names[2]}"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert title.inner_text() == f"Pair {names[-1]}"
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    assert focused_tile(page) == len(names) - 1
    page.keyboard.press("Space")
    assert viewer.is_visible()
    # the keyboard stays inside
    for _ in range(8):
        page.keyboard.press("Tab")
        inside = "document.activeElement === document.body || viewer.contains(document.activeElement)"
        assert page.evaluate(inside)


def test_the_copy_button_copies(opened, path):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    for number, name in enumerate(("header-yaml", "recipe-yaml", "command")):
        button = page.locator(".copy").nth(number)
        text = copied(page, button)
        assert text == page.locator(f"#{name}").evaluate("element => element.textContent")
        page.wait_for_function("document.getElementById('status').textContent === 'Copied'")
        assert button.inner_text() == "Copied"
    pairs = blurgen.open_pairs(path.parent / "pairs.h5")
    assert Recipe.from_yaml(copied(page, page.locator(".copy").nth(1))) == pairs.recipe


def test_it_copies_where_there_is_no_clipboard(opened):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.locator(".copy").nth(2).click()
    page.wait_for_function("document.getElementById('status').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()").startswith("blurgen make --dataset shapes")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(opened, scheme, viewport):
    page = opened(color_scheme=scheme, viewport=viewport)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.locator(".tile").nth(0).click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_light_and_dark_differ_and_print_is_light(opened):
    colours = {}
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme)
        colour = "getComputedStyle(document.body).backgroundColor"
        plot = "getComputedStyle(document.querySelector('.card svg text')).fill"
        colours[scheme] = (page.evaluate(colour), page.evaluate(plot))
        if scheme == "dark":
            page.emulate_media(media="print")
            assert page.evaluate(plot) == colours["light"][1]
            assert not page.locator("nav").is_visible()
    assert colours["light"][0] != colours["dark"][0]
    assert colours["light"][1] != colours["dark"][1]


def test_nothing_is_wider_than_a_phone(opened):
    page = opened(viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator(".tile").nth(0).click()
    box = page.locator("#viewer").bounding_box()
    assert box["width"] <= PHONE["width"]


def test_pictures_have_texts(opened):
    page = opened()
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("svg:not([aria-label])").count() == 0
