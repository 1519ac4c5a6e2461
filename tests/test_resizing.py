import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from strategies import texture

from blurgen import Recipe, degrade
from blurgen.convolution import convolve_checked
from blurgen.errors import InputError, RecipeError
from blurgen.psf import gaussian
from blurgen.stages.base import ImagePair
from blurgen.stages.resizing import resized, scaled

FILTERS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}
NAMES = list(FILTERS)
IMAGES = texture(5, 24, 31, 3)
SIZES = [(24, 31), (12, 31), (17, 11), (5, 7), (1, 1), (50, 61), (25, 33), (24, 90), (96, 124)]


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_resizing_is_opencvs(name, size, channels):
    batch = texture(2, 24, 31, channels)
    floats = batch.astype(np.float32) * np.float32(1.3) - 20
    as_bytes, as_floats = resized(batch, size, name), resized(floats, size, name)
    assert as_bytes.shape == as_floats.shape == (2, *size, channels)
    assert (as_bytes.dtype, as_floats.dtype) == (np.uint8, np.float32)
    for n in range(2):
        expected = cv2.resize(batch[n], size[::-1], interpolation=FILTERS[name]).reshape(*size, channels)
        assert abs(as_bytes[n].astype(int) - expected).max() <= 1
        expected = cv2.resize(floats[n], size[::-1], interpolation=FILTERS[name]).reshape(*size, channels)
        np.testing.assert_allclose(as_floats[n], expected, atol=2e-3)


def area_by_hand(image, size):
    """Means over the new pixels, from a picture in which both kinds of pixels are whole."""
    fine = image.repeat(size[0], axis=0).repeat(size[1], axis=1).astype(np.float64)
    return fine.reshape(size[0], image.shape[0], size[1], image.shape[1], -1).mean(axis=(1, 3))


sides = st.integers(1, 14)


@given(sides, sides, sides, sides, st.sampled_from([1, 3]))
def test_area_is_the_mean_over_the_new_pixels(height, width, rows, columns, channels):
    batch = texture(1, height, width, channels)
    expected = area_by_hand(batch[0], (rows, columns))
    np.testing.assert_allclose(
        resized(batch.astype(np.float32), (rows, columns), "area")[0], expected, atol=1e-3
    )
    assert abs(resized(batch, (rows, columns), "area")[0] - expected).max() < 0.501


@given(sides, sides, sides, sides, st.sampled_from(NAMES), st.integers(0, 255))
def test_resizing_keeps_constants(height, width, rows, columns, name, level):
    flat = np.full((1, height, width, 3), level, np.uint8)
    there = resized(flat, (rows, columns), name)
    assert (there == level).all()
    assert (resized(there, (height, width), name) == level).all()
    floats = resized(flat.astype(np.float32), (rows, columns), name)
    np.testing.assert_allclose(floats, level, rtol=1e-6)


@given(sides, sides, st.sampled_from(NAMES))
def test_the_same_size_is_the_same_image(height, width, name):
    batch = texture(2, height, width)
    np.testing.assert_array_equal(resized(batch, (height, width), name), batch)
    # new − old pixels' middles are one half pixel apart; mirrored images give mirrored results
    mirrored = resized(batch[:, ::-1, ::-1], (7, 5), name)[:, ::-1, ::-1]
    assert abs(mirrored.astype(int) - resized(batch, (7, 5), name)).max() <= 1


@pytest.mark.parametrize("n", range(1, 40))
def test_scaled_sides(n):
    assert scaled(270, np.array([1 / n]))[0] == 270 // n
    assert scaled(90, np.array([1 / n]))[0] == 90 // n
    np.testing.assert_array_equal(scaled(n, np.array([1e-4, 1.0, 0.999])), [1, n, max(1, n - 1)])
    for c in (0.6, 0.5, 0.4, 0.3, 0.25):
        assert scaled(224, np.array([c]))[0] == int(224 * c)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixelate_is_two_resizes(channels):
    batch = texture(8, 90, 270, channels)
    stage = {"pixelate": {"scale": {"reciprocal": {"integers": [4, 7]}}}}
    pairs = degrade(batch, recipe(stage), seed=3)
    numbers = np.rint(1 / pairs.params["0.pixelate.scale"]).astype(int)
    assert len(set(numbers)) > 2
    for blurred, image, n in zip(pairs.blurred, batch, numbers, strict=True):
        small = cv2.resize(image, (270 // n, 90 // n))
        expected = cv2.resize(small, (270, 90)).reshape(image.shape)
        assert abs(blurred.astype(int) - expected).max() <= 2
    np.testing.assert_array_equal(pairs.sharp, batch)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(224, 224), (37, 53), (3, 2)], ids=str)
@pytest.mark.parametrize("scale", [0.6, 0.5, 0.4, 0.3, 0.25, 0.77, 0.013, 1])
def test_pixelate_by_boxes_is_pillows(scale, shape, channels):
    batch = texture(1, *shape, channels)
    pairs = degrade(batch, recipe({"pixelate": {"scale": scale, "filter": "box"}}))
    small = [max(1, int(side * scale)) for side in shape]
    image = Image.fromarray(batch[0] if channels == 3 else batch[0, ..., 0])
    image = image.resize(small[::-1], Image.Resampling.BOX).resize(shape[::-1], Image.Resampling.BOX)
    np.testing.assert_array_equal(pairs.blurred[0], np.asarray(image).reshape(batch[0].shape))


def test_resize_and_back():
    chosen = recipe({"resize_and_back": {"scale": {"uniform": [0.2, 1.5]}, "up": ["area", "bicubic"]}})
    batch = texture(30, 20, 17, 3)
    pairs = degrade(batch, chosen, seed=5)
    down, up = pairs.params["0.resize_and_back.down"], pairs.params["0.resize_and_back.up"]
    assert down.dtype == up.dtype == np.int64
    assert (set(down), set(up)) == ({0, 1, 2}, {0, 1})
    for n in range(30):
        scale = pairs.params["0.resize_and_back.scale"][n]
        size = (int(20 * scale), int(17 * scale))
        small = resized(batch[n : n + 1], size, ["bilinear", "bicubic", "area"][down[n]])
        expected = resized(small, (20, 17), ["area", "bicubic"][up[n]])[0]
        np.testing.assert_array_equal(pairs.blurred[n], expected)
    np.testing.assert_array_equal(pairs.sharp, batch)


def test_resize_and_back_of_floats_neither_rounds_nor_clips():
    chosen = recipe({"resize_and_back": {"scale": 0.5, "down": ["area"], "up": ["bilinear"]}})
    floats = IMAGES.astype(np.float32) * 3 - 100
    draws = chosen.draws(0, np.arange(5))
    done = chosen.apply(ImagePair(IMAGES, floats), chosen.sample(draws), draws).blurred
    expected = resized(resized(floats, (12, 15), "area"), (24, 31), "bilinear")
    assert done.dtype == np.float32
    np.testing.assert_array_equal(done, expected)
    assert done.max() > 256


@given(st.integers(0, 255), st.sampled_from(["bilinear", "box"]), st.floats(0.01, 1))
def test_pixelate_keeps_constants(level, name, scale):
    flat = np.full((1, 11, 9, 1), level, np.uint8)
    pixelated = degrade(flat, recipe({"pixelate": {"scale": scale, "filter": name}})).blurred
    np.testing.assert_array_equal(pixelated, flat)


BLUR = {"gaussian": {"sigma": 1}}


def rescaled(*stages, back=("bilinear",)):
    return recipe({"rescaled": {"back": list(back), "stages": list(stages)}})


def test_rescaled_resizes_and_comes_back():
    stages = [{"resize": {"scale": {"uniform": [0.3, 1.6]}, "filters": ["area", "bicubic"]}}, BLUR]
    chosen = rescaled(*stages, back=NAMES)
    batch = texture(30, 21, 18, 3)
    pairs = degrade(batch, chosen, seed=2)
    back, name = pairs.params["0.rescaled.back"], pairs.params["0.rescaled.0.resize.filter"]
    assert (set(back), set(name)) == ({0, 1, 2}, {0, 1})
    kernel = gaussian(9, 1.0).astype(np.float32)[None]
    for n in range(30):
        scale = pairs.params["0.rescaled.0.resize.scale"][n]
        size = (int(21 * scale), int(18 * scale))
        image = resized(batch[n : n + 1], size, ["area", "bicubic"][name[n]])
        image = convolve_checked(image, kernel, "replicate")
        np.testing.assert_array_equal(pairs.blurred[n], resized(image, (21, 18), NAMES[back[n]])[0])
    np.testing.assert_array_equal(pairs.sharp, batch)


def test_scales_of_the_original_and_of_the_current_size():
    half = {"resize": {"scale": 0.5, "filters": ["area"]}}
    current = {"resize": {"scale": 0.5, "filters": ["area"], "of": "current"}}
    batch = texture(2, 32, 32)
    small = resized(batch, (16, 16), "area")
    once = degrade(batch, rescaled(half, half)).blurred
    np.testing.assert_array_equal(once, resized(small, (32, 32), "bilinear"))
    twice = degrade(batch, rescaled(half, current)).blurred
    np.testing.assert_array_equal(twice, resized(resized(small, (8, 8), "area"), (32, 32), "bilinear"))
    back = {"resize": {"scale": 1, "filters": ["bicubic"]}}
    by_stage = degrade(batch, rescaled(half, back)).blurred
    np.testing.assert_array_equal(by_stage, resized(small, (32, 32), "bicubic"))


def test_sizes_may_change_inside_of_combinators():
    resize = {"resize": {"scale": {"uniform": [0.2, 1]}}}
    noise = {"gaussian_noise": {"sigma": 3}}
    chosen = rescaled(
        {"one_of": [{"stages": [resize]}, {"stages": [noise]}]},
        {"maybe": {"probability": 0.5, "stages": [{"resize": {"scale": 1.3, "of": "current"}}, BLUR]}},
        {"shuffled": [resize, BLUR, noise]},
        {"linear": {"stages": [BLUR, {"resize": {"scale": 0.7}}]}},
    )
    batch = texture(24, 19, 23, 3)
    together = degrade(batch, chosen, seed=8, start=3)
    assert together.blurred.shape == batch.shape
    for n in range(24):
        alone = degrade(batch[n : n + 1], chosen, seed=8, start=3 + n)
        np.testing.assert_array_equal(alone.blurred[0], together.blurred[n])
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen
    assert Recipe.from_dict(chosen.to_dict()) == chosen


def test_restoration_that_ends_with_resizing_in_either_order():
    back = {"resize": {"scale": 1}}
    first = {
        "one_of": [
            {"weight": weight, "stages": [{"resize": {"scale": scale}}]}
            for weight, scale in ((0.2, {"uniform": [1, 1.5]}), (0.1, 1), (0.7, {"uniform": [0.15, 1]}))
        ]
    }
    last = {"one_of": [{"stages": [back, BLUR]}, {"stages": [BLUR, back]}]}
    pairs = degrade(texture(16, 30, 30, 3), rescaled(BLUR, first, last), seed=4)
    assert pairs.blurred.shape == (16, 30, 30, 3)


def test_tiny_sizes_have_a_pixel():
    pairs = degrade(
        IMAGES, rescaled({"resize": {"scale": 0.0001, "filters": ["area"]}}, {"box": {"size": 9}})
    )
    means = IMAGES.reshape(5, -1, 3).mean(axis=1)[:, None, None]
    assert abs(pairs.blurred - means).max() < 0.501


def test_without_resize_nothing_is_rescaled():
    np.testing.assert_array_equal(
        degrade(IMAGES, rescaled(BLUR)).blurred, degrade(IMAGES, recipe(BLUR)).blurred
    )


def test_pixels_that_exist_already_are_degraded_further():
    other = texture(5, 24, 31, 3)[::-1].copy()
    chosen = rescaled({"resize": {"scale": 0.5, "filters": ["area"]}})
    pairs = degrade(IMAGES, chosen, blurred=other)
    np.testing.assert_array_equal(
        pairs.blurred, resized(resized(other, (12, 15), "area"), (24, 31), "bilinear")
    )
    np.testing.assert_array_equal(pairs.sharp, IMAGES)


STAGES = [
    {"pixelate": {"scale": {"uniform": [0.1, 1]}}},
    {"pixelate": {"scale": {"uniform": [0.1, 1]}, "filter": "box"}},
    {"resize_and_back": {"scale": {"uniform": [0.1, 2]}}},
    {"rescaled": {"stages": [{"resize": {"scale": {"uniform": [0.1, 2]}}}]}},
]


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_rows_depend_on_themselves_alone(stage):
    chosen = recipe(stage)
    together = degrade(IMAGES, chosen, seed=3, start=10)
    for n in range(len(IMAGES)):
        alone = degrade(IMAGES[n : n + 1], chosen, seed=3, start=10 + n)
        np.testing.assert_array_equal(alone.blurred[0], together.blurred[n])


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_changes_of_scale_have_no_psf(stage):
    chosen = recipe(stage)
    draws = chosen.draws(0, np.arange(2))
    with pytest.raises(InputError, match="does not blur by one PSF"):
        chosen.psfs(chosen.sample(draws), draws)


@pytest.mark.parametrize(
    "stage",
    [{"resize": {"scale": 0.5}}, {"maybe": {"probability": 0.5, "stages": [{"resize": {"scale": 0.5}}]}}],
    ids=str,
)
def test_resize_stands_in_rescaled(stage):
    with pytest.raises(InputError, match=r"stage 0: stage 'resize' .* must stand in 'rescaled'"):
        degrade(IMAGES, recipe(stage))


def test_stages_inside_are_asked_for_the_shape():
    chosen = rescaled(
        {"maybe": {"probability": 0, "stages": [{"linear": {"stages": [{"resize": {"scale": 1}}]}}]}}
    )
    assert chosen.output_shape((5, 6, 3)) == (5, 6, 3)
    nested = {"given": {"file": "missing.npz", "which": 0, "sha256": "0"}}
    for stages in ([nested], [{"shuffled": [{"resize": {"scale": 1}}, nested]}]):
        with pytest.raises(InputError, match=r"missing\.npz"):
            rescaled(*stages).output_shape((5, 6, 3))


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"rescaled": {"stages": [{"turn": {"quarters": 1}}]}}, "'turn' changes the sharp image too"),
        (
            {"rescaled": {"stages": [{"shuffled": [BLUR, {"flip": {}}]}]}},
            "'flip' changes the sharp image too and cannot stand in 'rescaled'",
        ),
        ({"rescaled": {"stages": [{"rescaled": {"stages": [BLUR]}}]}}, "'rescaled' holds sizes of its own"),
        ({"rescaled": {"stages": []}}, "at least one stage"),
        ({"rescaled": {"stages": [BLUR], "back": []}}, "back"),
        ({"rescaled": {"stages": [BLUR], "back": ["nearest"]}}, "nearest"),
        ({"resize": {"scale": 0}}, "scale: 0: 0 is outside"),
        ({"resize": {"scale": 1, "of": "old"}}, "'original' or 'current'"),
        ({"pixelate": {"scale": 2}}, "outside the allowed 0.0001 … 1"),
        ({"pixelate": {"scale": 0.5, "filter": "area"}}, "'bilinear' or 'box'"),
        ({"resize_and_back": {"scale": 17}}, "outside the allowed 0.0001 … 16"),
        ({"linear": {"stages": [{"pixelate": {"scale": 0.5}}]}}, "'pixelate' works on bytes"),
    ],
)
def test_bad_stages_are_named(stage, message):
    with pytest.raises(RecipeError, match=message):
        recipe(stage)
