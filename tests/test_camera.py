import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from strategies import texture

from blurgen import Recipe, curves, degrade
from blurgen.draws import Draws
from blurgen.errors import InputError, RecipeError
from blurgen.stages.base import ImagePair, stage_from

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
LIGHT = np.random.default_rng(3).uniform(-5, 400, (3, 13, 18, 3)).astype(np.float32)
MATRIX = [[0.8, 0.15, 0.05], [0.1, 0.85, 0.05], [0.0, 0.3, 0.7]]

# H. Malvar, L. He, R. Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color
# images", ICASSP 2004, figure 2; in eighths
GREEN = (
    np.array([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]) / 8
)
IN_ROW = (
    np.array([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]])
    / 8
)
OPPOSITE = (
    np.array(
        [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]
    )
    / 8
)
MALVAR = (GREEN, IN_ROW, IN_ROW.T, OPPOSITE)
PLUS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4
CORNERS = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]]) / 4
BILINEAR = (PLUS, np.array([[1, 0, 1]]) / 2, np.array([[1], [0], [1]]) / 2, CORNERS)


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


def applied(images, item, seed=3):
    """What a stage makes of light, and its parameters."""
    stage, draws = stage_from(item), Draws(seed, np.arange(len(images))).stage(0)
    params = stage.sample(draws)
    sharp = np.zeros(images.shape, np.uint8)
    done = stage.apply_pair(ImagePair(sharp, images), params, draws)
    assert done.sharp is sharp
    return done.blurred, params


def sensor(*stages, **fields):
    return {"sensor": {**fields, "stages": list(stages) or [{"exposure": {"stops": 0}}]}}


def colours(pattern, height, width):
    """Which of red, green, blue each pixel of a sensor sees, (H, W)."""
    tile = np.array(["RGB".index(c) for c in pattern]).reshape(2, 2)
    return np.tile(tile, (height // 2 + 1, width // 2 + 1))[:height, :width]


def interpolated(mosaic, pattern, kernels):
    """RGB of a mosaic (H, W), float64, by convolving the whole of it with every kernel."""
    sees = colours(pattern, *mosaic.shape)
    green, row, column, opposite = (scipy.ndimage.convolve(mosaic, k, mode="mirror") for k in kernels)
    has_red = (sees == 0).any(axis=1)[:, None]  # rows of green and red
    out = np.empty((*mosaic.shape, 3))
    out[..., 1] = np.where(sees == 1, mosaic, green)
    for c in (0, 2):
        in_row = has_red if c == 0 else ~has_red
        out[..., c] = np.where(
            sees == c, mosaic, np.where(sees == 1, np.where(in_row, row, column), opposite)
        )
    return out


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("name", "kernels"), [("malvar", MALVAR), ("bilinear", BILINEAR)])
def test_mosaic_and_demosaic_by_published_kernels(pattern, name, kernels):
    for height, width in [(13, 18), (2, 2), (2, 7), (5, 2), (3, 3), (8, 4)]:
        light = LIGHT[:, :height, :width]
        got, params = applied(light, sensor(patterns=[pattern], demosaic=name))
        assert set(params["pattern"]) == {0}
        for image, own in zip(light.astype(np.float64), got, strict=True):
            mosaic = np.take_along_axis(image, colours(pattern, height, width)[..., None], 2)[..., 0]
            np.testing.assert_allclose(own, interpolated(mosaic, pattern, kernels), atol=2e-3)


def test_the_whole_sensor_by_hand():
    fields = {"red_gain": {"uniform": [1.9, 2.4]}, "blue_gain": {"uniform": [1.5, 1.9]}, "matrix": MATRIX}
    stages = [{"vignetting": {"strength": {"uniform": [0.2, 0.8]}}}, {"brightness": {"shift": 20}}]
    got, params = applied(LIGHT, sensor(*stages, **fields))
    height, width = LIGHT.shape[1:3]
    y, x = np.indices((height, width)) - np.array([height - 1, width - 1])[:, None, None] / 2
    angle = np.hypot(y, x) / np.hypot((height - 1) / 2, (width - 1) / 2)
    assert set(params) == {
        "red_gain",
        "blue_gain",
        "pattern",
        "0.vignetting.strength",
        "1.brightness.shift",
    }
    for n in range(len(LIGHT)):
        pattern = PATTERNS[params["pattern"][n]]
        sees = colours(pattern, height, width)
        gains = np.array([params["red_gain"][n], 1, params["blue_gain"][n]])[sees]
        camera = LIGHT[n].astype(np.float64) @ np.array(MATRIX).T
        raw = np.take_along_axis(camera, sees[..., None], 2)[..., 0] / gains
        k = (1 - params["0.vignetting.strength"][n]) ** -0.5 - 1
        raw = raw * np.cos(np.arctan(np.sqrt(k) * angle)) ** 4 + 20
        exact = interpolated(raw * gains, pattern, MALVAR) @ np.linalg.inv(MATRIX).T
        np.testing.assert_allclose(got[n], exact, atol=5e-3)


@pytest.mark.parametrize("demosaic", ["malvar", "bilinear"])
def test_flat_gray_stays_exactly(demosaic):
    levels = np.random.default_rng(0).uniform(-10, 300, 30).astype(np.float32)
    flat = np.broadcast_to(levels[:, None, None, None], (30, 6, 7, 3))
    got, _ = applied(np.ascontiguousarray(flat), sensor(demosaic=demosaic))
    np.testing.assert_array_equal(got, flat)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.integers(0, 255), st.sampled_from(["malvar", "bilinear"]))
def test_white_balance_undoes_itself(red, blue, level, demosaic):
    images = np.full((1, 5, 6, 3), level, np.uint8)
    stage = sensor(red_gain=red, blue_gain=blue, demosaic=demosaic)
    pairs = degrade(images, recipe({"linear": {"stages": [stage]}}))
    np.testing.assert_array_equal(pairs.blurred, images)


@pytest.mark.parametrize("demosaic", ["malvar", "bilinear"])
def test_flat_gray_survives_a_matrix_that_keeps_gray(demosaic):
    images = np.broadcast_to(np.arange(0, 256, 5, dtype=np.uint8)[:, None, None, None], (52, 8, 9, 3)).copy()
    stage = sensor(matrix=[[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]], demosaic=demosaic)
    np.testing.assert_array_equal(degrade(images, recipe({"linear": {"stages": [stage]}})).blurred, images)


def test_malvar_keeps_straight_gradients_inside():
    y, x = np.indices((20, 24), dtype=np.float32)
    ramp = np.repeat((3 * x + 2 * y)[None, ..., None], 3, axis=3)
    for demosaic in ("malvar", "bilinear"):
        got, _ = applied(ramp, sensor(demosaic=demosaic))
        np.testing.assert_array_equal(got[:, 2:-2, 2:-2], ramp[:, 2:-2, 2:-2])


def test_the_pattern_is_drawn_and_recorded():
    chosen = recipe({"linear": {"stages": [sensor(patterns=["GRBG", "BGGR", "RGGB"])]}})
    params = chosen.sample(chosen.draws(1, np.arange(6000)))
    counts = np.bincount(params["0.linear.0.sensor.pattern"], minlength=3)
    assert len(counts) == 3
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_rows_stand_alone():
    fields = {"red_gain": {"uniform": [1, 3]}, "matrix": MATRIX}
    inner = {"maybe": {"probability": 0.5, "stages": [{"brightness": {"shift": {"uniform": [-50, 50]}}}]}}
    chosen = recipe(
        {
            "maybe": {
                "probability": 0.7,
                "stages": [{"linear": {"stages": [sensor(inner, "saturate", **fields)]}}],
            }
        }
    )
    images = texture(12, 9, 8, 3)
    whole = degrade(images, chosen, seed=5, start=7)
    np.testing.assert_array_equal(whole.sharp, images)
    for n in range(12):
        one = degrade(images[n : n + 1], chosen, seed=5, start=7 + n)
        np.testing.assert_array_equal(one.blurred[0], whole.blurred[n])
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen
    applied_ = whole.params["0.maybe.applied"] == 1
    assert (whole.params["0.maybe.0.linear.0.sensor.pattern"][~applied_] == -1).all()
    assert np.isnan(whole.params["0.maybe.0.linear.0.sensor.red_gain"][~applied_]).all()


def test_psfs_go_past_a_sensor():
    chosen = recipe({"linear": {"stages": [{"box": {"size": 3}}, sensor()]}})
    draws = chosen.draws(0, np.arange(2))
    np.testing.assert_allclose(chosen.psfs(chosen.sample(draws), draws), np.full((2, 3, 3), 1 / 9), rtol=1e-6)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (sensor(red_gain=0), r"\(sensor\): red_gain: 0: 0 is outside the allowed 0.1 … 10"),
        (sensor(patterns=["RGBG"]), r"\(sensor\): patterns.0: 'RGBG': "),
        (sensor(patterns=[]), r"\(sensor\): patterns: "),
        (sensor(demosaic="vng"), r"\(sensor\): demosaic: 'vng': 'malvar' or 'bilinear'"),
        (
            sensor(matrix=[[1, 0, 0], [0, 1, 0], [1, 1, 0]]),
            r"\(sensor\): matrix: three rows that differ more",
        ),
        (
            sensor(matrix=[[0, 0, 0], [0, 1, 0], [1, 1, 0]]),
            r"\(sensor\): matrix: three rows that differ more",
        ),
        (sensor(matrix=[[1, 0], [0, 1], [1, 1]]), r"\(sensor\): matrix.0"),
        (sensor({"box": {"size": 3}}), r"\(sensor\): a blur cannot stand in 'sensor', where it would mix"),
        (sensor({"gamma": {"gamma": 2}}), r"\(sensor\): 'gamma' works on bytes.* cannot stand in 'sensor'$"),
        (sensor({"turn": {"quarters": 1}}), r"\(sensor\): 'turn' .* cannot stand in 'sensor'$"),
        ({"sensor": {}}, r"\(sensor\): stages: field required"),
        ({"vignetting": {"strength": 1}}, r"\(vignetting\): strength: 1: 1 is outside the allowed 0 … 0.99"),
    ],
)
def test_bad_parameters(stage, message):
    with pytest.raises(RecipeError, match=message):
        recipe(stage)


@pytest.mark.parametrize("shape", [(1, 5, 5, 1), (1, 1, 5, 3), (1, 5, 1, 3)])
def test_images_without_a_mosaic_are_refused(shape):
    expected = rf"stage 0: stage 'sensor' needs colour images.*, these are {'×'.join(map(str, shape[1:]))}$"
    with pytest.raises(InputError, match=expected):
        degrade(np.zeros(shape, np.uint8), recipe({"linear": {"stages": [sensor()]}}))


def test_a_sensor_of_bytes_is_refused():
    with pytest.raises((RecipeError, InputError), match=r"sensor.*linear"):
        degrade(texture(1, 8, 8, 3), recipe(sensor()))


def falloff(strength, height, width):
    """The law cos⁴ itself: the corner's angle is the one at which it has lost `strength`."""
    corner = np.arccos((1 - strength) ** 0.25)
    y, x = np.indices((height, width)) - np.array([height - 1, width - 1])[:, None, None] / 2
    reach = max(np.hypot((height - 1) / 2, (width - 1) / 2), 1e-9)
    return np.cos(np.arctan(np.tan(corner) * np.hypot(y, x) / reach)) ** 4


@pytest.mark.parametrize("shape", [(4, 17, 30, 3), (4, 16, 9, 1), (2, 1, 2, 1), (2, 2, 2, 3), (2, 1, 1, 3)])
def test_vignetting_is_cos_4(shape):
    stage = {"vignetting": {"strength": {"uniform": [0, 0.99]}}}
    images = texture(*shape)
    pairs = degrade(images, recipe(stage), seed=6)
    light, _ = applied(images.astype(np.float32), stage, seed=6)
    for n, strength in enumerate(pairs.params["0.vignetting.strength"]):
        exact = images[n] * falloff(strength, *shape[1:3])[..., None]
        assert abs(pairs.blurred[n] - exact).max() < 0.501
        np.testing.assert_allclose(light[n], exact, rtol=3e-6)
    np.testing.assert_array_equal(pairs.sharp, images)


def test_no_vignetting():
    images = texture(2, 9, 8, 3)
    np.testing.assert_array_equal(degrade(images, recipe({"vignetting": {"strength": 0}})).blurred, images)


@given(st.floats(0, 0.99), st.integers(1, 20), st.integers(1, 20))
def test_vignetting_is_symmetric_and_falls_outwards(strength, height, width):
    flat = np.full((1, height, width, 1), 200, np.float32)
    got, _ = applied(flat, {"vignetting": {"strength": strength}})
    np.testing.assert_array_equal(got, got[:, ::-1])
    np.testing.assert_array_equal(got, got[:, :, ::-1])
    assert (np.diff(got[0, (height - 1) // 2 :: -1, :, 0], axis=0) <= 0).all()
    assert got.max() <= 200
    if max(height, width) > 1:
        assert got[0, 0, 0, 0] == pytest.approx(200 * (1 - strength), rel=1e-5)


def test_curves_meet_the_sensor():
    images = texture(2, 12, 14, 3)
    got = degrade(images, recipe({"linear": {"curve": {"gamma": 2.2}, "stages": [sensor()]}}), seed=1)
    light = curves.to_light(images, curves.Gamma(gamma=2.2))
    for n, pattern in enumerate(got.params["0.linear.0.sensor.pattern"]):
        mosaic = np.take_along_axis(light[n], colours(PATTERNS[pattern], 12, 14)[..., None], 2)[..., 0]
        exact = interpolated(mosaic.astype(np.float64), PATTERNS[pattern], MALVAR)
        encoded = 255 * np.clip(exact / 255, 0, 1) ** (1 / 2.2)
        assert abs(got.blurred[n] - encoded).max() < 0.6
