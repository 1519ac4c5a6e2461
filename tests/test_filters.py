import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import texture

from blurgen import Recipe, convolve, degrade, psf
from blurgen.draws import Draws
from blurgen.errors import InputError, RecipeError
from blurgen.loops.filters import _middle13
from blurgen.loops.philox import draw_block

IMAGES = texture(4, 23, 31, 3)


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


def images():
    """Single images of random, often equal, values."""
    return st.builds(
        lambda shape, seed, step: (
            np.random.default_rng(seed).integers(0, 256, (1, *shape), dtype=np.uint8) // step * step
        ),
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3])),
        st.integers(0, 10**6),
        st.sampled_from([1, 16, 100]),
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [1, 3, 5, 7, 9, 11, 13, 15])
def test_median_is_opencvs(size, channels):
    batch = texture(3, 33, 41, channels)
    pairs = degrade(batch, recipe({"median": {"size": size}}))
    for blurred, image in zip(pairs.blurred, batch, strict=True):
        np.testing.assert_array_equal(blurred, cv2.medianBlur(image, size).reshape(image.shape))
    np.testing.assert_array_equal(pairs.sharp, batch)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_median_of_rows_longer_than_a_tile(size):
    batch = texture(1, 7, 2200, 1)
    expected = cv2.medianBlur(batch[0], size)
    np.testing.assert_array_equal(
        degrade(batch, recipe({"median": {"size": size}})).blurred[0, ..., 0], expected
    )


@given(images(), st.sampled_from([3, 5, 7, 11, 15]))
def test_median_sorts(image, size):
    reach = size // 2
    padded = np.pad(image[0], ((reach, reach), (reach, reach), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    expected = np.sort(windows.reshape(*image.shape[1:], -1))[..., size * size // 2]
    np.testing.assert_array_equal(degrade(image, recipe({"median": {"size": size}})).blurred[0], expected)


def test_the_network_of_13_takes_all_patterns():
    # an exchange network is right if it is for zeros and ones; rows and columns are sorted before it
    patterns = 0
    for zeros in itertools.product(range(6), repeat=5):
        if list(zeros) == sorted(zeros, reverse=True):
            square = np.array([[column >= row_zeros for column in range(5)] for row_zeros in zeros])
            kept = [square[i, j] for i in range(5) for j in range(max(0, 3 - i), min(4, 5 - i) + 1)]
            assert len(kept) == 13
            assert _middle13(*np.array(kept, np.uint8)) == (square.sum() >= 13)
            patterns += 1
    assert patterns == 252


def test_even_sizes_are_rounded_up():
    pairs = degrade(texture(20, 9, 9), recipe({"median": {"size": {"integers": [2, 5]}}}), seed=4)
    assert set(pairs.params["0.median.size"]) == {3, 5}


def bilateral_by_hand(image, sigma_color, sigma_space, reach):
    height, width, _ = image.shape
    values = image.astype(np.float64)
    mode = "reflect" if min(height, width) > 1 else "edge"
    padded = np.pad(values, ((reach, reach), (reach, reach), (0, 0)), mode)
    sums, weights = np.zeros_like(values), np.zeros((height, width, 1))
    for i, j in itertools.product(range(-reach, reach + 1), repeat=2):
        if i * i + j * j <= reach * reach:
            shifted = padded[reach + i : reach + i + height, reach + j : reach + j + width]
            far = abs(shifted - values).sum(axis=2, keepdims=True)
            weight = np.exp(-(i * i + j * j) / (2 * sigma_space**2) - far**2 / (2 * sigma_color**2))
            sums += weight * shifted
            weights += weight
    return sums / weights


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("sigma_color", "sigma_space", "diameter", "reach"),
    [(50, 3, 9, 4), (20, 1, 3, 1), (8, 5, 14, 7), (150, 2, 0, 3), (0.1, 0.1, 0, 1), (1000, 2.7, 0, 4)],
)
def test_bilateral_is_opencvs(sigma_color, sigma_space, diameter, reach, channels):
    batch = texture(2, 21, 34, channels)
    body = {"sigma_color": sigma_color, "sigma_space": sigma_space, "diameter": diameter}
    pairs = degrade(batch, recipe({"bilateral": body}))
    for blurred, image in zip(pairs.blurred, batch, strict=True):
        assert abs(blurred - bilateral_by_hand(image, sigma_color, sigma_space, reach)).max() < 0.501
        opencvs = cv2.bilateralFilter(image, diameter, sigma_color, sigma_space).reshape(image.shape)
        assert abs(blurred.astype(int) - opencvs).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_replaced_pixels_are_those_of_the_drawn_words(channels):
    batch = texture(3, 9, 15, channels)
    chosen = recipe({"random_replacement": {"probability": {"uniform": [0.2, 0.8]}}})
    pairs = degrade(batch, chosen, seed=9, start=5)
    blurred = convolve(batch, psf.gaussian(3, 1.0), "mirror")
    for n in range(3):
        stream = Draws(9, np.arange(1)).stage(0).pixel_stream
        words = [
            draw_block(np.uint64(9), np.uint64(5 + n), np.uint64(stream), np.uint64(block))
            for block in range(34)
        ]
        taken = (
            np.array(words, float).ravel()[: 9 * 15]
            < pairs.params["0.random_replacement.probability"][n] * 2**32
        )
        expected = np.where(taken.reshape(9, 15, 1), blurred[n], batch[n])
        np.testing.assert_array_equal(pairs.blurred[n], expected)
        assert 0 < taken.sum() < taken.size


@pytest.mark.parametrize("probability", [0, 1])
def test_no_pixel_or_every_pixel_is_replaced(probability):
    pairs = degrade(IMAGES, recipe({"random_replacement": {"probability": probability}}))
    expected = convolve(IMAGES, psf.gaussian(3, 1.0), "mirror") if probability else IMAGES
    np.testing.assert_array_equal(pairs.blurred, expected)
    for image, blurred in zip(IMAGES, pairs.blurred, strict=True):
        if probability:
            assert abs(cv2.GaussianBlur(image, (3, 3), 1).astype(int) - blurred).max() <= 1


def test_as_many_pixels_are_replaced_as_told():
    batch = texture(1, 200, 300)
    stage = {"random_replacement": {"probability": 0.3}}
    once, other = degrade(batch, recipe(stage), seed=1), degrade(batch, recipe(stage), seed=2)
    apart = convolve(batch, psf.gaussian(3, 1.0), "mirror") != batch
    assert (once.blurred != batch)[apart].mean() == pytest.approx(0.3, abs=0.01)
    assert (once.blurred != other.blurred).any()


FILTERS = [
    {"median": {"size": {"choice": [1, 3, 5, 7]}}},
    {"bilateral": {"sigma_color": {"uniform": [1, 99]}, "sigma_space": {"uniform": [0.5, 2]}}},
    {"random_replacement": {"probability": {"uniform": [0, 1]}}},
]


@given(images(), st.sampled_from(FILTERS), st.integers(0, 1000))
def test_filters_keep_the_range_and_shape(image, stage, seed):
    pairs = degrade(image, recipe(stage), seed)
    assert pairs.blurred.shape == image.shape
    assert pairs.blurred.min() >= image.min()
    assert pairs.blurred.max() <= image.max()
    np.testing.assert_array_equal(pairs.sharp, image)


@given(st.integers(0, 255), st.sampled_from(FILTERS), st.sampled_from([1, 3]))
def test_filters_keep_constants(level, stage, channels):
    flat = np.full((2, 5, 6, channels), level, np.uint8)
    np.testing.assert_array_equal(degrade(flat, recipe(stage), seed=level).blurred, flat)


@pytest.mark.parametrize("stage", FILTERS, ids=str)
def test_rows_depend_on_themselves_alone(stage):
    chosen = recipe(stage)
    together = degrade(IMAGES, chosen, seed=3, start=10)
    for n in range(len(IMAGES)):
        alone = degrade(IMAGES[n : n + 1], chosen, seed=3, start=10 + n)
        np.testing.assert_array_equal(alone.blurred[0], together.blurred[n])


@pytest.mark.parametrize("stage", FILTERS, ids=str)
def test_filters_have_no_psf(stage):
    chosen = recipe(stage)
    draws = chosen.draws(0, np.arange(2))
    with pytest.raises(InputError, match="does not blur by one PSF"):
        chosen.psfs(chosen.sample(draws), draws)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"median": {"size": 17}}, "stage 0 .median.: size: 17: 17 is outside the allowed 1 … 15"),
        ({"median": {"size": 3.5}}, "only whole numbers"),
        ({"bilateral": {"sigma_color": 0, "sigma_space": 1}}, "sigma_color: 0: 0 is outside"),
        ({"bilateral": {"sigma_color": 1, "sigma_space": 1, "diameter": 302}}, "diameter: 302"),
        ({"random_replacement": {"probability": 1.1}}, "outside the allowed 0 … 1"),
        ({"random_replacement": {}}, "probability"),
    ],
)
def test_bad_numbers_are_named(stage, message):
    with pytest.raises(RecipeError, match=message):
        recipe(stage)
