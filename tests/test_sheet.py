import base64
import io
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageColor
from shared_data import shared

import blurgen
from blurgen import page as layout
from blurgen import sheet, style
from blurgen.errors import BlurgenError, FileError, InputError
from blurgen.sheet import as_bytes, short_params

MIXTURE = """
name: mixture
stages:
  - one_of:
    - stages: [motion: {length: {uniform: [5, 25]}, angle: {uniform: [0, 180]}}]
    - stages: [gaussian: {sigma: {uniform: [0.5, 4]}}, box: {size: 3}]
  - maybe: {probability: 0.5, stages: [gaussian_noise: {sigma: {uniform: [1, 20]}}]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sheet")


@pytest.fixture(scope="module")
def digits(folder):
    return blurgen.open_pairs(blurgen.make("digits", folder / "digits.h5", count=40, seed=3))


def of_images(folder, name, shape, recipe, **options):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(folder / f"{name}.npy", images)
    out = blurgen.make(f"npy:{folder / name}.npy", folder / f"{name}.h5", recipe, **options)
    return blurgen.open_pairs(out)


def contact_sheet(*arguments, **options):
    return sheet.contact_sheet(*arguments, **options).image()


def psf_grid(*arguments, **options):
    return sheet.psf_grid(*arguments, **options).image()


PAPER = ImageColor.getrgb(style.PAPER)


def find(page, block):
    """Where a block of pixels stands in a page: (top, left) of each place."""
    height, width = block.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(page, (height, width, 3))[:, :, 0]
    # four corners and the middle first: cheap
    candidates = np.ones(windows.shape[:2], bool)
    for y, x in ((0, 0), (height // 2, width // 2), (height - 1, width // 3), (height // 3, width - 1)):
        candidates &= (windows[:, :, y, x] == block[y, x]).all(axis=-1)
    return [(y, x) for y, x in np.argwhere(candidates) if (windows[y, x] == block).all()]


def enlarged(image, scale):
    big = np.asarray(image).repeat(scale, 0).repeat(scale, 1)
    return np.broadcast_to(big, (*big.shape[:2], 3))


def test_sharp_and_blurred_stand_side_by_side_enlarged(digits):
    page = np.asarray(contact_sheet(digits, [7, 2], columns=2))
    for row in (7, 2):
        ((top, left),) = find(page, enlarged(digits.sharp[row], 4))
        ((other_top, other_left),) = find(page, enlarged(digits.blurred[row], 4))
        assert top == other_top
        assert left + 112 < other_left < left + 112 + 20
    ((_, first),) = find(page, enlarged(digits.sharp[7], 4))
    ((_, second),) = find(page, enlarged(digits.sharp[2], 4))
    assert first < second


def test_the_psf_is_drawn_on_the_same_scale_with_a_white_maximum(digits):
    page = np.asarray(contact_sheet(digits, [5]))
    params = {name: column[5:6] for name, column in digits.params.items()}
    (psf,) = digits.recipe.psfs(params, digits.recipe.draws(digits.seed, np.array([5])))
    rows, columns = np.nonzero(psf)
    reach = max(np.abs(rows - psf.shape[0] // 2).max(), np.abs(columns - psf.shape[0] // 2).max())
    middle = slice(psf.shape[0] // 2 - reach, psf.shape[0] // 2 + reach + 1)
    drawn = as_bytes(psf[middle, middle])
    assert drawn.max() == 255
    places = find(page, enlarged(drawn[..., None], 4))
    ((top, left),) = find(page, enlarged(digits.blurred[5], 4))
    assert len(places) == 1
    assert places[0][1] > left + 112
    # its middle is the images' middle
    assert abs(places[0][0] + drawn.shape[0] * 2 - (top + 56)) <= 1


def test_a_stored_psf_is_drawn_the_same(digits, folder):
    other = folder / "stored"
    other.mkdir()
    stored = blurgen.open_pairs(blurgen.make("digits", other / "digits.h5", count=40, seed=3, psf=True))
    assert stored.psf is not None
    assert contact_sheet(stored, range(9)).tobytes() == contact_sheet(digits, range(9)).tobytes()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12, 24, 40])
def test_pages_are_landscape_and_hold_every_pair(digits, count):
    page = contact_sheet(digits, range(count))
    assert page.mode == "RGB"
    if count >= 12:
        assert 1.0 < page.width / page.height < 2.5
    pixels = np.asarray(page)
    for row in {0, count - 1}:
        assert find(pixels, enlarged(digits.sharp[row], 4))


def test_columns_and_scale_are_obeyed(digits):
    one = contact_sheet(digits, range(4), columns=1)
    four = contact_sheet(digits, range(4), columns=4)
    assert one.height > 3.5 * one.width / 2
    assert four.width > 3 * one.width
    many = contact_sheet(digits, range(4), columns=99)
    assert many.size == four.size
    page = np.asarray(contact_sheet(digits, [1], scale=2))
    assert find(page, enlarged(digits.sharp[1], 2))


def test_same_bytes_every_time(digits, tmp_path):
    for name in ("a", "b"):
        sheet.contact_sheet(digits, range(6)).save(tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_colour_at_its_own_size(folder):
    pairs = of_images(folder, "colour", (3, 128, 96, 3), "anime-motion")
    page = np.asarray(contact_sheet(pairs, [2]))
    assert find(page, pairs.sharp[2])
    assert find(page, pairs.blurred[2])


def test_large_images_are_reduced_by_area(folder):
    pairs = of_images(folder, "large", (1, 512, 1024, 3), "anime-box")
    page = np.asarray(contact_sheet(pairs, [0]))
    reduced = pairs.sharp[0].reshape(128, 4, 256, 4, 3).mean((1, 3))
    top = next(y for y in range(page.shape[0]) if np.abs(page[y, 20:276] - reduced[0]).max() <= 1)
    assert np.abs(page[top : top + 128, 20:276] - reduced).max() <= 1


def test_a_psf_larger_than_the_image_is_whole(folder):
    recipe = blurgen.Recipe.from_yaml("name: long\nstages: [motion: {length: 41, angle: 0}]")
    pairs = of_images(folder, "tiny", (2, 12, 12), recipe)
    page = np.asarray(contact_sheet(pairs, [0]))
    scale = 9  # the multiple of 12 that comes nearest to 112
    line = enlarged(np.full((1, 41, 1), 255, np.uint8), scale)
    assert len(find(page, line)) == 1
    assert find(page, enlarged(pairs.sharp[0], scale))


@pytest.mark.parametrize(
    "stages",
    [
        "[gaussian_noise: {sigma: 5}]",  # no blur
        "[motion: {length: 5, angle: 0}, turn: {quarters: 1}]",  # pixels move after it
    ],
)
def test_where_there_is_no_psf_there_is_no_pane(folder, stages):
    recipe = blurgen.Recipe.from_yaml(f"name: none\nstages: {stages}")
    pairs = of_images(folder, f"none{len(stages)}", (1, 28, 28), recipe)
    page = contact_sheet(pairs, [0])
    assert page.width < 2 * 112 + 3 * 20 + 10
    assert find(np.asarray(page), enlarged(pairs.blurred[0], 4))


def test_words_stay_within_their_tile(folder):
    """The page is as wide for many words as for none: they are wrapped, and nothing is at the right edge."""
    recipe = blurgen.Recipe.from_yaml(MIXTURE)
    pairs = of_images(folder, "mixture", (12, 28, 28), recipe)
    page = np.asarray(contact_sheet(pairs, range(12), columns=3))
    assert (page[:, -20:] == PAPER).all()
    assert (page[-15:] == PAPER).all()
    width = (page.shape[1] - 2 * 20 - 2 * 18) // 3
    for column in (1, 2):  # nothing between the tiles
        left = 20 + column * width + (column - 1) * 18
        below = page[layout.TITLE + 80 :, left : left + 18]
        assert (below == PAPER).all()


def test_wrapping_loses_no_word():
    words = [f"parameter{i} {i}.25" for i in range(9)]
    lines = layout._Face().wrapped(words, 260, 12)
    assert len(lines) > 1
    assert "   ".join(lines) == "   ".join(words)
    assert all(layout._Face().width(line, 12) <= 260 for line in lines)
    (cut,) = layout._Face().wrapped(["x" * 200], 100, 12)
    assert cut.endswith("x…")
    assert layout._Face().width(cut, 12) <= 100


def test_short_params_leaves_out_what_took_no_part():
    params = {
        "0.one_of.branch": np.array([0, 1]),
        "0.one_of.0.0.motion.length": np.array([5.2341, np.nan]),
        "0.one_of.0.0.motion.angle": np.array([31.4159, np.nan]),
        "0.one_of.1.0.box.size": np.array([-1, 3]),
        "1.gaussian.size": np.array([7, 7]),
        "2.motion.length": np.array([12345.6, 0.00123]),
    }
    assert short_params(params, 0) == [
        "branch 0",
        "0.one_of.0.0.motion.length 5.23",
        "angle 31.4°",
        "gaussian.size 7",
        "2.motion.length 12346",
    ]
    assert short_params(params, 1) == ["branch 1", "box.size 3", "gaussian.size 7", "2.motion.length 0.00123"]


def test_letters_that_the_font_lacks_are_replaced():
    assert layout._Face().drawable("28×28, σ 1–2, é, 漢, 5°…") == "28x28, s 1-2, e, ?, 5°…"


def test_psfs_stand_on_one_scale_with_their_numbers():
    psfs = [blurgen.psf.box((1, 9)), blurgen.psf.motion(5, 30)]
    page = np.asarray(psf_grid(psfs, [["box"], ["motion"]], title="two"))
    for psf in psfs:
        assert len(find(page, enlarged(as_bytes(psf)[..., None], 16))) == 1
    assert as_bytes(psfs[1]).max() == 255


def test_psf_grids_obey_columns():
    psfs = [blurgen.psf.box(3)] * 6
    captions = [["box"]] * 6
    wide = psf_grid(psfs, captions, columns=6)
    high = psf_grid(psfs, captions, columns=1)
    assert wide.width > 5 * high.width
    assert high.height > 4 * wide.height


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {}, "no pair is chosen"),
        ([40], {}, r"pair 40 is not in .*digits\.h5', which holds 0 … 39"),
        ([-1], {}, "pair -1 is not in"),
        ([0], {"scale": 0}, "scale 0: 1 … 64 is allowed"),
        ([0], {"columns": 0}, "columns 0: at least 1"),
        (list(range(40)), {"scale": 64}, "ask for fewer or smaller ones"),
    ],
)
def test_refuses(digits, rows, options, message):
    with pytest.raises(InputError, match=message):
        contact_sheet(digits, rows, **options)


def test_an_empty_grid_is_refused():
    with pytest.raises(InputError, match="no PSF is given"):
        psf_grid([], [])


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.jpg", InputError, r"'.*a\.jpg'.* ends in \.png, \.svg or \.pdf is needed"),
        ("a", InputError, r"'.*a'.* ends in \.png"),
        ("none/a.svg", FileError, "there is no folder"),
        ("none/a.png", FileError, "there is no folder"),
        ("folder.png", FileError, "it is a folder"),
        ("x" * 300 + ".png", FileError, "cannot be written: File name too long"),
    ],
)
def test_what_cannot_be_written_is_said(digits, tmp_path, name, error, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(error, match=message):
        sheet.contact_sheet(digits, [0]).save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_a_failed_write_leaves_the_old_picture(digits, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    sheet.contact_sheet(digits, [0]).save(path)
    before = path.read_bytes()

    def full(self, file, kind):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(FileError, match=r"a\.png' cannot be written: No space left on device"):
        sheet.contact_sheet(digits, [1]).save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_pictures_are_whole(digits, tmp_path):
    path = tmp_path / "a.PNG"
    assert sheet.contact_sheet(digits, [0]).save(path) == contact_sheet(digits, [0]).size
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        image.load()
        assert image.format == "PNG"


def test_real_digits(tmp_path):
    out = blurgen.make("mnist", tmp_path / "m.h5", count=30, data_dir=shared("datasets"))
    pairs = blurgen.open_pairs(out)
    page = np.asarray(contact_sheet(pairs, range(24)))
    for row in (0, 23):
        assert find(page, enlarged(pairs.blurred[row], 4))


# ---- SVG and PDF ----

SVG = "{http://www.w3.org/2000/svg}"


def svg_images(root):
    """Of each image: left, top, scale, and its pixels."""
    for element in root.iter(f"{SVG}image"):
        content = base64.b64decode(element.get("{http://www.w3.org/1999/xlink}href").partition(",")[2])
        scale, _, _, down, left, top = map(float, re.findall(r"-?[\d.]+", element.get("transform")))
        assert scale == down
        assert "image-rendering:pixelated" in element.get("style")
        yield left, top, scale, np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_images_of_an_svg_are_pixel_for_pixel_where_the_png_has_them(digits, tmp_path):
    made = sheet.contact_sheet(digits, [7, 2], columns=2)
    width, height = made.save(tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert root.get("viewBox") == f"0 0 {width} {height}"
    painted = np.asarray(made.image())
    assert painted.shape[:2] == (height, width)
    found = list(svg_images(root))
    assert len(found) == 6
    for number, images in enumerate((digits.sharp, digits.blurred)):
        for tile, row in enumerate((7, 2)):
            left, top, scale, pixels = found[3 * tile + number]
            assert scale == 4
            np.testing.assert_array_equal(pixels, np.broadcast_to(images[row], (28, 28, 3)))
    for left, top, scale, pixels in found:  # PSFs, too
        block = enlarged(pixels, int(scale))
        ((down, right),) = [place for place in find(painted, block) if place == (top, left)]
        assert (down, right) == (top, left)


def test_the_text_of_an_svg_is_text(digits, tmp_path):
    sheet.contact_sheet(digits, range(4)).save(tmp_path / "a.svg")
    texts = [element.text for element in ElementTree.parse(tmp_path / "a.svg").getroot().iter(f"{SVG}text")]
    words = " ".join(texts).replace("\N{NO-BREAK SPACE}", " ")
    assert texts[0] == "digits.h5"
    assert "40 pairs of 28×28×1   ·   recipe mnist-motion   ·   seed 3" in words
    assert f"#3   label {digits.label[3]}" in words
    assert all(word in words for word in short_params(digits.params, 3))
    assert not list(ElementTree.parse(tmp_path / "a.svg").getroot().iter(f"{SVG}use"))  # no glyphs


def test_a_pdf_has_the_same_images_and_its_text_is_text(digits, tmp_path):
    pypdf = pytest.importorskip("pypdf")
    width, height = sheet.contact_sheet(digits, [5], columns=1).save(tmp_path / "a.pdf")
    (page,) = pypdf.PdfReader(tmp_path / "a.pdf").pages
    assert (page.mediabox.width, page.mediabox.height) == (width, height)
    text = page.extract_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "28×28×1" in text
    assert f"#5   label {digits.label[5]}" in text
    images = [np.asarray(one.image.convert("RGB")) for one in page.images]
    assert [image.shape[0] for image in images[:2]] == [28, 28]
    for image, wanted in zip(images, (digits.sharp[5], digits.blurred[5]), strict=False):
        # rows from the bottom up, as the axis of a PDF points
        np.testing.assert_array_equal(image[::-1], np.broadcast_to(wanted, (28, 28, 3)))
    assert len(images) == 3


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_the_same_bytes_every_time_whatever_matplotlib_was_told(digits, tmp_path, monkeypatch, form):
    import matplotlib as mpl

    sheet.contact_sheet(digits, range(3)).save(tmp_path / f"a.{form}")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    with mpl.rc_context({"font.family": "serif", "svg.fonttype": "path", "savefig.transparent": True}):
        sheet.contact_sheet(digits, range(3)).save(tmp_path / f"b.{form}")
    assert (tmp_path / f"a.{form}").read_bytes() == (tmp_path / f"b.{form}").read_bytes()


def test_letters_beyond_the_font_are_question_marks_in_svg_too():
    with style.look():
        assert layout._PlotFace().drawable("28×28, σ 1–2, é, 漢, 5°…") == "28×28, σ 1–2, é, ?, 5°…"


def test_without_matplotlib_there_is_png(digits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    sheet.contact_sheet(digits, [0]).save(tmp_path / "a.png")
    with pytest.raises(BlurgenError, match=r"drawn by matplotlib: pip install 'blurgen\[draw\]'"):
        sheet.contact_sheet(digits, [0]).save(tmp_path / "a.svg")
