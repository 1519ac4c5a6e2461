import math

import cv2
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import real_distributions, texture

from blurgen import Recipe, degrade
from blurgen.draws import Draws
from blurgen.errors import InputError, RecipeError
from blurgen.loops import tone
from blurgen.stages.base import stage_from
from blurgen.stages.tone import _lab_tables

LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
COLOURS = texture(3, 40, 31, 3)


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


def blurred(images, *stages, seed=0, start=0):
    return degrade(images, recipe(*stages), seed, start).blurred


def on_floats(images, item, count=1):
    """What a stage makes of float32 images, and its parameters."""
    stage, draws = stage_from(item), Draws(3, np.arange(count))
    params = stage.sample(draws)
    return stage.apply(images, params, draws), params


@pytest.mark.parametrize("shift", [0, 1, 13, -13, 254.5, 255, -255, 0.5, -0.5, 0.49, -0.51, 100.25])
def test_brightness_adds_and_saturates(shift):
    exact = np.clip(np.floor(LEVELS + (shift + 0.5)), 0, 255)
    np.testing.assert_array_equal(blurred(LEVELS, {"brightness": {"shift": shift}}), exact)


def test_brightness_of_light_does_not_saturate():
    light = np.linspace(-50, 500, 60, dtype=np.float32).reshape(1, 5, 4, 3)
    got, _ = on_floats(light, {"brightness": {"shift": 100.5}})
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, light.astype(np.float64) + 100.5, rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 9, 7, 1), (4, 9, 7, 3)])
def test_contrast_by_its_formula(shape):
    images = texture(*shape)
    pairs = degrade(images, recipe({"contrast": {"factor": {"uniform": [0, 3]}}}), seed=2)
    for image, got, factor in zip(images, pairs.blurred, pairs.params["0.contrast.factor"], strict=True):
        mean = image.astype(np.float64).mean((0, 1))
        exact = np.clip((image - mean) * factor + mean, 0, 255)
        assert abs(got - exact).max() <= 0.5 + 1e-9
        # the published code works in 0 … 1 and cuts off
        unit = image / 255.0
        means = unit.mean((0, 1), keepdims=True)
        published = np.uint8(np.clip((unit - means) * factor + means, 0, 1) * 255)
        assert abs(got.astype(int) - published).max() <= 1


def test_contrast_of_light():
    light = np.linspace(-20, 700, 2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    got, params = on_floats(light, {"contrast": {"factor": {"uniform": [0, 3]}}}, 2)
    exact = light.astype(np.float64)
    means = exact.mean((1, 2), keepdims=True)
    exact = (exact - means) * params["factor"][:, None, None, None] + means
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("gamma", [0.01, 0.2, 1 / 2.2, 0.5, 1, 1.7, 2, 2.2, 3, 10, 100])
def test_gamma_to_the_byte(gamma):
    with mpmath.workprec(200):
        exact = [255 * (mpmath.mpf(b) / 255) ** mpmath.mpf(gamma) for b in range(256)]
        expected = [int(mpmath.floor(x + mpmath.mpf(1) / 2)) for x in exact]
    np.testing.assert_array_equal(blurred(LEVELS, {"gamma": {"gamma": gamma}}).ravel(), expected)


def test_exposure_doubles_light_a_stop():
    light = np.array([0, 1e-3, 0.37, 255, 400, -2], np.float32).reshape(1, 2, 3, 1)
    for stops in range(-20, 21):
        got, _ = on_floats(light, {"exposure": {"stops": stops}})
        np.testing.assert_array_equal(got, light * np.float32(2.0**stops))
    got, _ = on_floats(light, {"exposure": {"stops": 0.3}})
    np.testing.assert_allclose(got, light * 2**0.3, rtol=1e-6)


def to_lab(images):
    light, roots, _, _ = _lab_tables()
    flat = images.reshape(-1, 3)
    lightness, ab = np.empty(len(flat), np.uint8), np.empty((len(flat), 2), np.uint8)
    tone.to_lab(flat, light, roots, lightness, ab)
    return np.column_stack([lightness, ab]).reshape(images.shape)


def from_lab(images):
    _, _, luminance, levels = _lab_tables()
    flat, out = images.reshape(-1, 3), np.empty_like(images)
    lightness, ab = np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1:])
    tone.from_lab(lightness, ab, luminance, levels, out.reshape(-1, 3))
    return out


def plane(first):
    """All 65,536 triples of bytes that begin with `first`."""
    second, third = np.divmod(np.arange(1 << 16), 256)
    return np.column_stack([np.full(1 << 16, first), second, third]).astype(np.uint8).reshape(256, 256, 3)


def check_lab(firsts):
    for first in firsts:
        triples = plane(first)
        np.testing.assert_array_equal(to_lab(triples), cv2.cvtColor(triples, cv2.COLOR_RGB2LAB))
        np.testing.assert_array_equal(from_lab(triples), cv2.cvtColor(triples, cv2.COLOR_LAB2RGB))


def test_lab_is_opencvs():
    check_lab([0, 1, 20, 21, 98, 137, 200, 255])


@pytest.mark.fuzz
def test_lab_of_all_colours_is_opencvs():
    check_lab(range(256))


def by_opencv(image, clip, tiles):
    equaliser = cv2.createCLAHE(clip, (tiles, tiles))
    if image.shape[2] == 1:
        return equaliser.apply(image[..., 0])[..., None]
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = equaliser.apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


@pytest.mark.parametrize("tiles", range(1, 21))
def test_clahe_is_opencvs(tiles):
    for shape in [(2, 40, 60, 1), (2, 31, 17, 3), (2, 20, 20, 1)]:
        images = texture(*shape)
        got = blurred(images, {"clahe": {"clip_limit": 3, "tiles": tiles}})
        for image, own in zip(images, got, strict=True):
            np.testing.assert_array_equal(own, by_opencv(image, 3, tiles))


@given(
    st.integers(1, 45),
    st.integers(1, 45),
    st.sampled_from([1, 3]),
    st.one_of(st.sampled_from([0, 0.001, 1, 2, 40]), st.floats(0, 50)),
    st.integers(1, 20),
    st.integers(1, 256),
    st.integers(0, 2**32 - 1),
)
def test_clahe_of_anything_is_opencvs(height, width, channels, clip, tiles, spread, seed):
    random = np.random.default_rng(seed)
    first = random.integers(0, 257 - spread)
    image = random.integers(first, first + spread, (height, width, channels)).astype(np.uint8)
    got = blurred(image[None], {"clahe": {"clip_limit": clip, "tiles": tiles}})
    np.testing.assert_array_equal(got[0], by_opencv(image, clip, tiles))


def test_clahe_of_constants():
    for level in (0, 1, 128, 254, 255):
        for channels in (1, 3):
            images = np.full((1, 13, 11, channels), level, np.uint8)
            got = blurred(images, {"clahe": {"clip_limit": 3, "tiles": 4}})
            np.testing.assert_array_equal(got[0], by_opencv(images[0], 3, 4))


STAGES = {
    "brightness": ("shift", -255, 255),
    "contrast": ("factor", 0, 20),
    "gamma": ("gamma", 0.01, 100),
    "clahe": ("clip_limit", 0, 1000),
}


def item(kind, body):
    return {kind: {**body, "tiles": {"integers": [1, 20]}} if kind == "clahe" else body}


@pytest.mark.parametrize("kind", STAGES)
@given(data=st.data())
def test_rows_stand_alone(kind, data):
    name, low, high = STAGES[kind]
    stage = item(kind, {name: data.draw(real_distributions(low, high))})
    images = texture(4, 9, 8, data.draw(st.sampled_from([1, 3])))
    before = images.copy()
    whole = blurred(images, stage, seed=5, start=40)
    assert whole.dtype == np.uint8
    for n in range(4):
        np.testing.assert_array_equal(blurred(images[n : n + 1], stage, seed=5, start=40 + n)[0], whole[n])
    np.testing.assert_array_equal(images, before)


@given(st.floats(-255, 255), st.floats(0, 20), st.floats(0.01, 100))
def test_grey_levels_keep_their_order(shift, factor, gamma):
    for stage in (
        {"brightness": {"shift": shift}},
        {"contrast": {"factor": factor}},
        {"gamma": {"gamma": gamma}},
    ):
        assert (np.diff(blurred(LEVELS, stage).ravel().astype(int)) >= 0).all()


def test_neutral_parameters_change_nothing():
    for stage in ({"brightness": {"shift": 0}}, {"contrast": {"factor": 1}}, {"gamma": {"gamma": 1}}):
        for images in (LEVELS, COLOURS):
            np.testing.assert_array_equal(blurred(images, stage), images)


def test_the_sharp_image_stays():
    for kind, (name, low, high) in STAGES.items():
        pairs = degrade(COLOURS, recipe(item(kind, {name: {"uniform": [low, high]}})), seed=1)
        np.testing.assert_array_equal(pairs.sharp, COLOURS)
        assert not np.array_equal(pairs.blurred, COLOURS)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"brightness": {"shift": 256}}, r"stage 0 \(brightness\): shift: 256: 256 is outside"),
        ({"contrast": {"factor": -1}}, r"\(contrast\): factor: -1: -1 is outside the allowed 0 … 20"),
        ({"gamma": {"gamma": 0}}, r"\(gamma\): gamma: 0: 0 is outside the allowed 0.01 … 100"),
        ({"exposure": {"stops": 21}}, r"\(exposure\): stops: 21: 21 is outside the allowed -20 … 20"),
        ({"clahe": {"clip_limit": 3, "tiles": 0}}, r"\(clahe\): tiles: 0: 0 is outside the allowed 1 … 20"),
        ({"clahe": {"clip_limit": 3, "tiles": 1.5}}, r"\(clahe\): tiles: 1.5: only whole numbers are"),
        ({"clahe": {"tiles": 2}}, r"\(clahe\): clip_limit: field required"),
    ],
)
def test_bad_parameters(stage, message):
    with pytest.raises(RecipeError, match=message):
        recipe(stage)


def test_exposure_of_bytes_is_refused():
    with pytest.raises((RecipeError, InputError), match=r"exposure.*linear"):
        blurred(LEVELS, {"exposure": {"stops": 1}})


def test_clahe_stretches():
    dark = (np.indices((64, 64)).sum(0) // 8).astype(np.uint8)[None, :, :, None]
    got = blurred(dark, {"clahe": {"clip_limit": 0, "tiles": 1}})
    assert got.max() == 255
    assert math.isclose(got.mean(), 127, abs_tol=12)
