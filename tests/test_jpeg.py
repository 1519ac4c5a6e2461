import ctypes
import io
import mmap
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from strategies import texture

import blurgen
from blurgen import Recipe, degrade, jpeg
from blurgen.errors import InputError, RecipeError
from blurgen.loops import jpeg as loops
from blurgen.stages.base import stage_from

SUBSAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")
OPENCV = {
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}
SHARED = {"4:2:0": (2, 2), "4:2:2": (2, 1), "4:4:4": (1, 1)}
TABLES = loops.tables()
CONTENTS = ("random", "smooth", "binary", "constant")


def by_opencv(image, quality, subsampling):
    settings = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    if image.ndim == 3:
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, OPENCV[subsampling]]
        image = image[..., ::-1]
    encoded = cv2.imencode(".jpg", np.ascontiguousarray(image), settings)[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    return decoded[..., ::-1] if decoded.ndim == 3 else decoded


def by_pillow(image, quality, subsampling):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(quality), subsampling=subsampling)
    return np.asarray(Image.open(file))


def content(kind, shape, seed):
    """Images of one kind, uint8 (B, H, W) or (B, H, W, 3)."""
    rng = np.random.default_rng(seed)
    if kind == "random":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == "binary":
        return rng.integers(0, 2, shape, dtype=np.uint8) * np.uint8(255)
    each = (shape[0], 1, 1, *shape[3:])
    if kind == "constant":
        return np.broadcast_to(rng.integers(0, 256, each, dtype=np.uint8), shape).copy()
    _, y, x, *_ = np.indices(shape, sparse=True)
    slopes = rng.uniform(-0.2, 0.2, (2, *each))
    waves = np.sin(slopes[0] * y + slopes[1] * x + rng.uniform(0, 7, each))
    return np.clip(127.5 + rng.uniform(0, 160, each) * waves, 0, 255).astype(np.uint8)


def assert_as_libjpeg(images, qualities, subsampling="4:2:0", threads=1):
    before = images.copy()
    made = jpeg(images, qualities, subsampling, threads=threads)
    assert made.dtype == np.uint8
    assert made.shape == images.shape
    np.testing.assert_array_equal(images, before)
    for image, quality, got in zip(images, np.broadcast_to(qualities, len(images)), made, strict=True):
        where = f"{image.shape}, quality {quality}, {subsampling}"
        for reference in (by_opencv, by_pillow):
            expected = reference(image, quality, subsampling)
            np.testing.assert_array_equal(got, expected, err_msg=f"{where}, {reference.__name__}")


def shaped(count, height, width, subsampling):
    """The shape of gray images where `subsampling` is None, else of colour images."""
    return (count, height, width) if subsampling is None else (count, height, width, 3)


GRAY_AND_COLOUR = (None, *SUBSAMPLINGS)


@pytest.mark.parametrize("subsampling", GRAY_AND_COLOUR)
@pytest.mark.parametrize(("height", "width"), [(28, 28), (37, 21), (64, 96)])
def test_all_qualities(subsampling, height, width):
    qualities = np.arange(1, 101)
    for kind in CONTENTS:
        images = content(kind, shaped(100, height, width, subsampling), 1)
        assert_as_libjpeg(images, qualities, subsampling or "4:2:0")


@pytest.mark.parametrize("subsampling", GRAY_AND_COLOUR)
def test_all_small_sizes(subsampling):
    qualities = np.array([1, 12, 50, 75, 93, 100])
    for height in range(1, 21):
        for width in range(1, 21):
            images = content("random", shaped(6, height, width, subsampling), height * 20 + width)
            images[::2] = content("smooth", images[::2].shape, height)
            assert_as_libjpeg(images, qualities, subsampling or "4:2:0")


@pytest.mark.parametrize("subsampling", GRAY_AND_COLOUR)
@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 300), (300, 1), (2, 65), (31, 33), (64, 64), (255, 129), (256, 256), (17, 4100), (700, 391)],
)
def test_sizes_about_vectors_and_bands(subsampling, height, width):
    images = content("random", shaped(3, height, width, subsampling), 3)
    images[1] = content("smooth", (1, *images.shape[1:]), 4)[0]
    assert_as_libjpeg(images, np.array([90, 30, 7]), subsampling or "4:2:0")


def test_bands_end_anywhere(monkeypatch):
    """Bands of one row of units or a few, shared among threads too: nothing changes."""
    monkeypatch.setattr(blurgen.codec, "_PARTS", 3)
    for subsampling in GRAY_AND_COLOUR:
        images = content("random", shaped(2, 1200, 150, subsampling), 5)
        for threads in (1, 2, 3, 8):
            assert_as_libjpeg(images, 60, subsampling or "4:2:0", threads)


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 140),
    count=st.integers(1, 5),
    subsampling=st.sampled_from(GRAY_AND_COLOUR),
    kind=st.sampled_from(CONTENTS),
    qualities=st.lists(st.integers(1, 100), min_size=5, max_size=5),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_any_images(height, width, count, subsampling, kind, qualities, threads, seed):
    images = content(kind, shaped(count, height, width, subsampling), seed)
    assert_as_libjpeg(images, np.array(qualities[:count]), subsampling or "4:2:0", threads)


@given(
    rows=st.lists(st.integers(0, 5), min_size=1, max_size=9),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    subsampling=st.sampled_from(GRAY_AND_COLOUR),
    seed=st.integers(0, 99),
)
def test_an_image_depends_on_itself_alone(rows, height, width, subsampling, seed):
    images = content("random", shaped(6, height, width, subsampling), seed)
    qualities = np.random.default_rng(seed).integers(1, 101, 6)
    alone = np.concatenate([jpeg(images[n : n + 1], qualities[n], subsampling or "4:2:0") for n in range(6)])
    together = jpeg(images[rows], qualities[rows], subsampling or "4:2:0")
    np.testing.assert_array_equal(together, alone[rows])


def test_layouts():
    images = content("random", (3, 40, 30, 3), 6)
    expected = jpeg(images, 50)
    for other in (np.asfortranarray(images), np.repeat(images, 2, axis=2)[:, :, ::2]):
        np.testing.assert_array_equal(jpeg(other, 50), expected)
    frozen = images.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(jpeg(frozen, [50, 50, 50]), expected)
    assert jpeg(images[..., :1], 50).shape == (3, 40, 30, 1)
    np.testing.assert_array_equal(jpeg(images[..., :1], 50)[..., 0], jpeg(images[..., 0], 50))


def parts_of(images, qualities, subsampling, part, out):
    """Run the loops on images start … stop, rows of units top … bottom."""
    (start, stop), (top, bottom) = part
    flat = images.reshape(-1).view()
    flat.flags.writeable = False
    arguments = (flat, *images.shape[1:3], TABLES, qualities)
    if subsampling is None:
        loops.gray(*arguments, start, stop, top, bottom, out)
    else:
        across, down = SHARED[subsampling]
        loops.colour(*arguments, across, down, start, stop, top, bottom, out)


@pytest.mark.parametrize("subsampling", GRAY_AND_COLOUR)
@pytest.mark.parametrize("width", [1, 4, 5, 28, 32, 33, 64, 67, 150])
def test_a_part_writes_nothing_else(subsampling, width):
    down = SHARED[subsampling][1] if subsampling else 1
    images = content("random", shaped(5, 70, width, subsampling), 8)
    qualities = np.array([5, 40, 60, 80, 99])
    expected = jpeg(images, qualities, subsampling or "4:2:0")
    units = -(-70 // (8 * down))
    for images_of_it, rows in [
        ((1, 3), (0, units)),
        ((2, 3), (1, 3)),
        ((2, 3), (3, units)),
        ((0, 1), (0, 1)),
    ]:
        out = np.zeros_like(images)
        parts_of(images, qualities, subsampling, (images_of_it, rows), out.reshape(-1))
        only = np.zeros_like(images)
        place = slice(*images_of_it), slice(8 * down * rows[0], 8 * down * rows[1])
        only[place] = expected[place]
        np.testing.assert_array_equal(out, only)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are protected by mprotect")
@pytest.mark.parametrize("at_end", [False, True])
def test_reads_and_writes_nothing_beyond(at_end):
    """Before and behind both arrays lie pages that may not be touched; who does is killed."""
    protect = ctypes.CDLL(None).mprotect

    def guarded(size):
        page, length = mmap.PAGESIZE, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = mmap.mmap(-1, length + 2 * page)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for edge in (address, address + page + length):
            assert protect(ctypes.c_void_p(edge), page, 0) == 0
        begin = page + (length - size if at_end else 0)
        return np.frombuffer(memory, np.uint8)[begin : begin + size]

    for height in (1, 2, 17):
        for width in range(1, 100):
            for subsampling in GRAY_AND_COLOUR:
                shape = shaped(2, height, width, subsampling)
                down = SHARED[subsampling][1] if subsampling else 1
                images = guarded(int(np.prod(shape))).reshape(shape)
                images[:] = content("random", shape, 9)
                out = guarded(images.size)
                part = (0, 2), (0, -(-height // (8 * down)))
                parts_of(images, np.array([20, 80]), subsampling, part, out)
                np.testing.assert_array_equal(out, jpeg(images, [20, 80], subsampling or "4:2:0").ravel())


def test_steps_are_those_in_a_file():
    for quality in range(1, 101):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
        written = Image.open(file).quantization
        for chroma in (False, True):
            np.testing.assert_array_equal(loops.steps(quality, chroma).ravel(), written[int(chroma)])


def test_quotients_are_exact():
    table = TABLES.reshape(2, 100, 8, 4, 8).transpose(3, 0, 1, 2, 4).reshape(4, -1)
    values = np.arange(1 << 14)
    for half, reciprocal, scale, step in np.unique(table.astype(np.int64), axis=1).T:
        quotients = (((values + half) * reciprocal >> 16) * scale) >> 16
        np.testing.assert_array_equal(quotients, (values + 4 * step) // (8 * step))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_stage(subsampling):
    images = texture(12, 29, 44, 3)
    stage = {"jpeg": {"quality": {"integers": [10, 95]}, "subsampling": subsampling}}
    pairs = degrade(images, Recipe.from_dict({"name": "r", "stages": [stage]}), seed=4)
    qualities = pairs.params["0.jpeg.quality"]
    assert qualities.dtype == np.int64
    assert len(set(qualities)) > 5
    np.testing.assert_array_equal(pairs.sharp, images)
    for image, quality, blurred in zip(images, qualities, pairs.blurred, strict=True):
        np.testing.assert_array_equal(blurred, by_opencv(image, quality, subsampling))


def test_stage_of_gray_images():
    images = texture(4, 28, 28)
    pairs = degrade(images, Recipe.from_dict({"name": "r", "stages": [{"jpeg": {"quality": 20}}]}))
    for image, blurred in zip(images, pairs.blurred, strict=True):
        np.testing.assert_array_equal(blurred[..., 0], by_pillow(image[..., 0], 20, "4:2:0"))


def test_stage_as_written():
    stage = stage_from({"jpeg": {"quality": 30}})
    assert stage.body() == {"quality": 30, "subsampling": "4:2:0"}
    assert not stage.takes_floats
    assert stage.one_psf


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"quality": 0}, "1"),
        ({"quality": 101}, "100"),
        ({"quality": 50.5}, "whole"),
        ({"quality": 50, "subsampling": "4:1:1"}, "subsampling: '4:1:1'"),
        ({}, "quality"),
    ],
)
def test_stage_refuses(body, message):
    with pytest.raises(RecipeError, match=message):
        Recipe.from_dict({"name": "r", "stages": [{"jpeg": body}]})


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        (0, "quality 0: a whole number from 1 to 100 is needed"),
        (101, "quality 101: a whole number from 1 to 100 is needed"),
        (50.0, "quality 50.0: a whole number from 1 to 100 is needed"),
        (True, "quality True: a whole number from 1 to 100 is needed"),
        ("90", "quality 90: a whole number from 1 to 100 is needed"),
        ([50, -3], "quality -3: a whole number from 1 to 100 is needed"),
        (2**70, f"quality {2**70}: a whole number from 1 to 100 is needed"),
        ([50], r"quality has the shape \(1,\) for 2 images; one, or one for each, is needed"),
        ([[50, 50]], r"quality has the shape \(1, 2\) for 2 images; one, or one for each, is needed"),
    ],
)
def test_refuses_qualities(quality, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        jpeg(np.zeros((2, 8, 8), np.uint8), quality)


def test_refuses_the_rest():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match=r"subsampling '4:1:1': allowed are 4:2:0, 4:2:2, 4:4:4"):
        jpeg(images, 50, "4:1:1")
    with pytest.raises(InputError, match="images are float32; uint8 is needed"):
        jpeg(images.astype(np.float32), 50)
    with pytest.raises(InputError, match="images have the shape"):
        jpeg(images[0, 0], 50)
    with pytest.raises(InputError, match="there are no pixels"):
        jpeg(images[:0], 50)
    with pytest.raises(InputError, match="threads 0"):
        jpeg(images, 50, threads=0)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("subsampling", GRAY_AND_COLOUR)
def test_twenty_million_bytes(kind, subsampling):
    rng = np.random.default_rng(7)
    total = 0
    while total < 20_000_000:
        height, width = rng.integers(1, 400, 2)
        images = content(kind, shaped(8, height, width, subsampling), rng.integers(2**32))
        assert_as_libjpeg(images, rng.integers(1, 101, 8), subsampling or "4:2:0", int(rng.integers(1, 3)))
        total += images.size
