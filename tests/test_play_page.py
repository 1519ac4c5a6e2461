"""The page of `blurgen play` in Chromium: served by the command itself, from a folder of its own."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium, copied
from PIL import Image
from playwright.sync_api import expect

import blurgen
from blurgen.cli import main
from blurgen.play.pictures import SHOWN

PACKAGE = Path(blurgen.__file__).parents[1]
RECIPE = """\
# for the tests
name: tuned
stages:
  - motion: {length: {uniform: [4, 16]}, angle: {uniform: [0, 180]}}
  - gaussian_noise: {sigma: 3}
"""
SOURCE = re.compile(r"^/pictures/\d+/\w+/\d+\.png$")
WAIT = 120_000  # ms; loops may have to be compiled
PIXELS = """img => {
    const canvas = document.createElement("canvas");
    canvas.width = img.naturalWidth; canvas.height = img.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(img, 0, 0);
    return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
}"""

expect.set_options(timeout=WAIT)


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def served(tmp_path):
    """Starts the command in a folder of its own; gives the page's address. It is ended as people end it."""
    started = []

    def start(*arguments):
        path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "-m", "blurgen", "play", *arguments, "--no-browser", "--port", "0"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        line = process.stdout.readline()
        assert line.startswith("blurgen play: http://127.0.0.1:"), line
        return line.split()[2]

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")


@pytest.fixture
def opened(browser):
    """Opens the page; a request that leaves the machine and an error in the console are errors here."""
    contexts, wrong = [], []

    def watch(request):
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            wrong.append(request.url)

    def open_page(address, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("request", watch)
        page.on(
            "websocket", lambda one: None if one.url.startswith("ws://127.0.0.1:") else wrong.append(one.url)
        )
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        settled(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def settled(page):
    """Wait until all is drawn."""
    expect(page.locator(".tile img").nth(SHOWN - 1)).to_have_attribute("src", SOURCE)
    expect(page.get_by_role("status").first).to_have_text("")


def pixels(page, number):
    """What the browser decoded of a tile, (H, W, 3)."""
    tile = page.locator(".tile img").nth(number)
    width, height = tile.evaluate(
        "async img => { await img.decode(); return [img.naturalWidth, img.naturalHeight] }"
    )
    return np.array(tile.evaluate(PIXELS), np.uint8).reshape(height, width, 4)[..., :3]


def yaml(page):
    """The text of the editor."""
    return "\n".join(page.locator(".cm-line").all_text_contents())


def changed(page, action):
    """Do something, and wait until other pictures are there."""
    before = page.locator(".tile img").first.get_attribute("src")
    action()
    expect(page.locator(".tile img").first).not_to_have_attribute("src", before)
    settled(page)


def drag(page, name, end, by):
    """Drag a thumb of a field's slider; gives where it stands in the end."""
    thumb = page.locator(f"[data-field={name}] .q-slider__thumb").nth(end)
    box = thumb.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 6):
        page.mouse.move(x + by * step / 5, y)
    page.mouse.up()
    low, high, percent = thumb.evaluate(
        """thumb => {
            const slider = thumb.closest("[role=slider]");
            return [slider.ariaValueMin, slider.ariaValueMax, parseFloat(thumb.style.left)].map(Number);
        }"""
    )
    return low + (high - low) * percent / 100


def test_drag_redraw_save_make_reload(served, opened, tmp_path, monkeypatch):
    """What people do with the page, from the first look to the file of pairs."""
    (tmp_path / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "own").mkdir()
    for number, image in enumerate(blurgen.open_source("digits", seed=9).read(0, 20)):
        Image.fromarray(image[4:24, 2:26, 0]).save(tmp_path / "own" / f"{number}.png")
    page = opened(served("mine.yaml", "--images", "own", "--seed", "3"))
    expect(page.locator(".title")).to_have_text("tuned")

    before = page.locator(".tile img").first.get_attribute("src")
    upper = round(drag(page, "length", 1, 60), 1)
    assert 20 < upper <= 50
    expect(page.get_by_label("length to", exact=True)).to_have_value(f"{upper:g}")
    expect(page.locator(".cm-content")).to_contain_text(f"length: {{uniform: [4, {upper:g}]}}")
    expect(page.locator(".tile img").first).not_to_have_attribute("src", before)
    assert "# for the tests" in yaml(page)
    expect(page.locator(".commands")).to_contain_text("Save the recipe first")

    changed(page, page.get_by_role("button", name="redraw with another seed").click)
    expect(page.get_by_label("seed", exact=True)).to_have_value("4")

    page.get_by_role("button", name="save").click()
    expect(page.locator(".saved")).to_have_text("saved in mine.yaml")
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == yaml(page)
    expect(page.locator(".commands")).not_to_contain_text("Save the recipe first")
    command = copied(page, page.get_by_role("button", name="copy the command"))
    assert command == "blurgen make --dataset folder:own --recipe mine.yaml --seed 4 --out mine.h5"
    assert copied(page, page.get_by_role("button", name="copy the YAML")) == yaml(page)

    monkeypatch.chdir(tmp_path)
    assert main([*command.split()[1:], "--quiet"]) == 0
    made = blurgen.open_pairs("mine.h5")
    rows = np.arange(SHOWN) * 20 // SHOWN
    settled(page)
    blurred = [pixels(page, number) for number in range(SHOWN)]
    np.testing.assert_array_equal(blurred, np.repeat(made.blurred[rows], 3, axis=3))
    page.get_by_role("button", name="sharp", exact=True).click()
    expect(page.locator(".tile img").last).to_have_attribute("src", re.compile(r"/sharp/15\.png$"))
    np.testing.assert_array_equal(pixels(page, 15), np.repeat(made.sharp[rows[15]], 3, axis=2))

    page.reload()
    settled(page)
    assert page.get_by_label("length to", exact=True).input_value() == f"{upper:g}"
    expect(page.get_by_label("seed", exact=True)).to_have_value("4")
    np.testing.assert_array_equal(pixels(page, 3), np.repeat(made.sharp[rows[3]], 3, axis=2))


def test_form_and_yaml_stay_in_step(served, opened):
    """Two recipes on one page, their stages, mistakes, PSFs; keyboard, phone and accessibility rules."""
    page = opened(served("mnist-motion"))
    editor = page.locator(".cm-content")

    # what is typed is seen in the form, mistakes beside their field; pictures stay until it is right again
    before = page.locator(".tile img").first.get_attribute("src")
    line = page.locator(".cm-line", has_text="length:")
    line.click()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.type("length: 0")
    complaint = page.locator("[data-field=length] [role=alert]")
    expect(complaint).to_have_text("0 is outside the allowed 1 … 1023")
    assert page.locator(".tile img").first.get_attribute("src") == before
    page.keyboard.press("Backspace")
    page.keyboard.type("9")
    expect(complaint).to_be_hidden()
    expect(page.get_by_role("spinbutton", name="length", exact=True)).to_have_value("9")
    page.keyboard.type(": x")
    expect(page.locator(".text [role=alert]")).to_contain_text("not YAML")
    expect(page.locator(".form")).to_have_class(re.compile("stale"))
    for _ in range(3):
        page.keyboard.press("Backspace")
    expect(page.locator(".form")).not_to_have_class(re.compile("stale"))

    # another distribution, another stage, another order
    page.get_by_role("combobox", name="length: drawn from").click()
    page.get_by_role("option", name="log-uniform").click()
    expect(editor).to_contain_text("log_uniform:")
    page.get_by_role("button", name="add a stage").click()
    page.get_by_placeholder("Find a stage").fill("brightness")
    changed(page, page.locator(".listed button").first.click)
    expect(editor).to_contain_text("shift: {uniform: [-80, 80]}")
    changed(page, lambda: page.get_by_role("button", name="move brightness up").click())
    assert yaml(page).index("brightness:") < yaml(page).index("motion:")
    expect(page.locator("[data-stage]").nth(1)).to_have_attribute("data-stage", "brightness")

    # two recipes beside each other: the second is edited, the first stays
    page.get_by_role("button", name="compare two recipes").click()
    expect(page.locator(".side")).to_have_count(2)
    second = page.locator("[data-side=B] .tile img").first
    expect(second).to_have_attribute("src", SOURCE)
    first = page.locator("[data-side=A] .tile img").first.get_attribute("src")
    here = second.get_attribute("src")
    page.get_by_role("button", name="remove brightness").click()
    expect(second).not_to_have_attribute("src", here)
    assert page.locator("[data-side=A] .tile img").first.get_attribute("src") == first
    expect(page.locator(".command")).to_have_count(2)
    page.get_by_role("button", name="A", exact=True).click()
    expect(page.locator("[data-stage=brightness]")).to_be_visible()
    page.get_by_role("button", name="compare two recipes").click()
    expect(page.locator(".side")).to_have_count(1)

    for options in (
        {"color_scheme": "light"},
        {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
    ):
        other = opened(page.url, **options)  # one state in every window
        expect(other.locator("[data-stage]").nth(1)).to_have_attribute("data-stage", "brightness")
        assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")
        found = Axe().run(other).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["target"]) for rule in found] == []


def test_psfs_and_one_pair_large(served, opened):
    """By keyboard alone."""
    page = opened(served())
    page.get_by_role("button", name="PSF", exact=True).press("Enter")
    expect(page.locator(".tile img").first).to_have_attribute("src", re.compile(r"/psf/0\.png$"))
    assert pixels(page, 0).max() == 255
    page.locator(".tile").first.press("Enter")
    expect(page.locator(".large img")).to_have_count(3)
    expect(page.locator(".large .drawn")).to_contain_text("angle")
    page.keyboard.press("Escape")
    expect(page.locator(".large")).to_be_hidden()


def test_names_of_elsewhere_are_turned_away(served):
    """A page from elsewhere whose name leads to this machine gets nothing."""
    address = served()
    asked = urllib.request.Request(address, headers={"Host": "example.org"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(asked)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["realistc"], "there is no recipe 'realistc' (did you mean 'realistic'?)"),
        (["--images", "nowhere"], "nowhere does not exist"),
        (["--patch", "8"], "patch 8 goes with a folder of images (--images)"),
        (["--host", "256.1.1.1"], "256.1.1.1, port 8080: cannot be listened on"),
    ],
)
def test_mistakes_are_said_in_one_sentence(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["play", "--no-browser", *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"blurgen: {sentence}")
    assert err.count("\n") == 1


def test_without_the_extra_the_command_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nicegui", None)
    assert main(["play"]) == 1
    assert capsys.readouterr().err == (
        "blurgen: 'blurgen play' needs NiceGUI and ruamel.yaml: pip install 'blurgen[play]'\n"
    )
