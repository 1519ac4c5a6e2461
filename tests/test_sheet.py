import io

import numpy as np
import pytest
from PIL import Image
from shared_data import shared

import blurgen
from blurgen import sheet
from blurgen.errors import FileError, InputError
from blurgen.sheet import as_bytes, contact_sheet, psf_grid, save_png, short_params

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
        save_png(contact_sheet(digits, range(6)), tmp_path / f"{name}.png")
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
    assert (page[:, -20:] == sheet._PAGE).all()
    assert (page[-15:] == sheet._PAGE).all()
    width = (page.shape[1] - 2 * 20 - 2 * 18) // 3
    for column in (1, 2):  # nothing between the tiles
        left = 20 + column * width + (column - 1) * 18
        below = page[sheet._TITLE + 80 :, left : left + 18]
        assert (below == sheet._PAGE).all()


def test_wrapping_loses_no_word():
    words = [f"parameter{i} {i}.25" for i in range(9)]
    lines = sheet._wrapped(words, 260, 12)
    assert len(lines) > 1
    assert "   ".join(lines) == "   ".join(words)
    assert all(sheet._width(line, 12) <= 260 for line in lines)
    (cut,) = sheet._wrapped(["x" * 200], 100, 12)
    assert cut.endswith("x…")
    assert sheet._width(cut, 12) <= 100


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
    assert sheet._drawable("28×28, σ 1–2, é, 漢, 5°…") == "28x28, s 1-2, e, ?, 5°…"


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
        ("a.jpg", InputError, r"ends in \.png"),
        ("none/a.png", FileError, "there is no folder"),
        ("folder.png", FileError, "it is a folder"),
        ("x" * 300 + ".png", FileError, "cannot be written: File name too long"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, name, error, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(error, match=message):
        save_png(Image.new("RGB", (2, 2)), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = save_png(Image.new("RGB", (2, 2)), tmp_path / "a.png")
    before = path.read_bytes()

    def full(self, file, kind):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(FileError, match=r"a\.png' cannot be written: No space left on device"):
        save_png(Image.new("RGB", (3, 3)), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_pictures_are_whole(digits, tmp_path):
    path = save_png(contact_sheet(digits, [0]), tmp_path / "a.PNG")
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        image.load()
        assert image.format == "PNG"


def test_real_digits(tmp_path):
    out = blurgen.make("mnist", tmp_path / "m.h5", count=30, data_dir=shared("datasets"))
    pairs = blurgen.open_pairs(out)
    page = np.asarray(contact_sheet(pairs, range(24)))
    for row in (0, 23):
        assert find(page, enlarged(pairs.blurred[row], 4))
