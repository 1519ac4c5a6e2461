import hashlib
import itertools
import json
import math

import jsonschema
import mpmath
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from strategies import texture

from blurgen import Recipe, curves, degrade, psf
from blurgen.curves import Gamma, Response, Srgb
from blurgen.errors import InputError, RecipeError

BYTES = np.arange(256, dtype=np.uint8)
IMAGES = texture(5, 18, 22, 3)
BOX = {"box": {"size": 5}}
BLUR = {"motion": {"length": {"uniform": [3, 9]}, "angle": {"uniform": [0, 360]}}}
CAMERA = Response(response=(0.0, 0.3, 0.55, 0.8, 0.95, 1.0))
CURVES = [Srgb(), *(Gamma(gamma=gamma) for gamma in (0.1, 0.45, 1.0, 1.8, 2.2, 10.0)), CAMERA]


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


def linear(*stages, curve="srgb"):
    return {"linear": {"curve": curve, "stages": list(stages)}}


def exact_light(curve, encoded):
    """Linear light, 0 … 1, of an encoded value, by mpmath."""
    if isinstance(curve, Gamma):
        return mpmath.power(encoded, mpmath.mpf(curve.gamma))
    if isinstance(curve, Srgb):
        if encoded <= mpmath.mpf("0.04045"):
            return encoded / mpmath.mpf("12.92")
        return ((encoded + mpmath.mpf("0.055")) / mpmath.mpf("1.055")) ** mpmath.mpf("2.4")
    points = curve.response
    for place, (low, high) in enumerate(itertools.pairwise(points)):
        if encoded <= high:
            return (place + (encoded - low) / (mpmath.mpf(high) - low)) / (len(points) - 1)
    raise AssertionError


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_light_of_each_byte(curve):
    exact = [float(255 * exact_light(curve, mpmath.mpf(b) / 255)) for b in range(256)]
    light = curves.to_light(BYTES, curve)
    np.testing.assert_allclose(light, exact, rtol=1.2e-7)
    assert light[0] == 0
    assert light[255] == 255


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_bytes_change_where_they_should(curve):
    exact = [float(255 * exact_light(curve, (mpmath.mpf(b) + 0.5) / 255)) for b in range(255)]
    edges = curves.tables(curve).edges[:255].view(np.float32)
    np.testing.assert_allclose(edges, exact, rtol=1.2e-7)
    np.testing.assert_array_equal(curves.to_bytes(edges, curve), BYTES[1:])
    below = np.nextafter(edges, np.float32(-1))
    np.testing.assert_array_equal(curves.to_bytes(below, curve), BYTES[:-1])


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_bytes_of_any_light(curve):
    random = np.random.default_rng(5)
    values = np.concatenate([random.uniform(-10, 300, 4000), 2.0 ** random.uniform(-150, 20, 4000)])
    values = np.concatenate([values, [0, -0.0, np.inf, -np.inf, 255, 1e-45, -1e-45]]).astype(np.float32)
    edges = curves.tables(curve).edges[:255].view(np.float32)
    expected = (values[:, None] >= edges).sum(1)
    np.testing.assert_array_equal(curves.to_bytes(values, curve), expected)


def test_half_up_where_halves_are_exact():
    straight = Gamma(gamma=1.0)
    halves = np.arange(255, dtype=np.float32) + np.float32(0.5)
    np.testing.assert_array_equal(curves.to_bytes(halves, straight), BYTES[1:])
    np.testing.assert_array_equal(curves.to_bytes(np.nextafter(halves, np.float32(0)), straight), BYTES[:-1])


increasing = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=300).map(
    lambda steps: tuple(np.cumsum([-3.0, *steps]).tolist())
)
any_curve = st.one_of(
    st.floats(0.1, 10).map(lambda gamma: Gamma(gamma=gamma)),
    increasing.filter(lambda values: (np.diff(values) > 0).all()).map(lambda v: Response(response=v)),
)


@given(any_curve)
def test_bytes_survive_the_way_to_light_and_back(curve):
    light = curves.to_light(BYTES, curve)
    assert (np.diff(light) > 0).all()
    np.testing.assert_array_equal(curves.to_bytes(light, curve), BYTES)
    steps = np.linspace(-1, 256, 3000, dtype=np.float32)
    assert (np.diff(curves.to_bytes(steps, curve).astype(int)) >= 0).all()


def test_bytes_survive_the_steepest_responses():
    for jump in (0, 2047, 4094):
        steps = np.full(4095, 1e-9)
        steps[jump] = 1.0
        curve = Response(response=tuple(np.cumsum([0.0, *steps]).tolist()))
        np.testing.assert_array_equal(curves.to_bytes(curves.to_light(BYTES, curve), curve), BYTES)


@pytest.mark.parametrize("curve", ["srgb", {"gamma": 2.2}, {"response": [0, 5, 8, 9]}])
def test_stages_that_change_nothing_give_the_bytes_back(curve):
    pairs = degrade(IMAGES, recipe(linear("saturate", {"exposure": {"stops": 0}}, curve=curve)))
    np.testing.assert_array_equal(pairs.blurred, IMAGES)
    np.testing.assert_array_equal(pairs.sharp, IMAGES)


def srgb_light(images):
    x = images / 255.0
    return 255 * np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def srgb_bytes(light):
    x = np.clip(light / 255.0, 0, 1)
    return 255 * np.where(x <= 0.04045 / 12.92, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055)


def test_an_edge_blurred_in_linear_light():
    image = np.full((1, 12, 40, 1), 20, np.uint8)
    image[:, :, 20:] = 230
    got = degrade(image, recipe(linear({"box": {"size": 9}}))).blurred[0, ..., 0]
    exact = srgb_bytes(scipy.ndimage.uniform_filter(srgb_light(image[0, ..., 0]), 9, mode="nearest"))
    # sums in float32 lie 1e-4 of white off: in the dark a part of a level
    assert abs(got - exact).max() < 0.55
    bytewise = degrade(image, recipe({"box": {"size": 9}})).blurred[0, ..., 0]
    assert (got[:, 16:24] > bytewise[:, 16:24]).all()


def test_blur_of_each_image_in_linear_light():
    chosen = recipe(linear(BLUR, curve={"gamma": 2.2}))
    pairs = degrade(IMAGES, chosen, seed=3, start=9)
    for n, (image, got) in enumerate(zip(IMAGES, pairs.blurred, strict=True)):
        kernel = psf.motion(
            pairs.params["0.linear.0.motion.length"][n], pairs.params["0.linear.0.motion.angle"][n]
        )
        light = (image / 255.0) ** 2.2
        blurred = np.stack(
            [scipy.ndimage.convolve(light[..., c], kernel, mode="nearest") for c in range(3)], axis=-1
        )
        assert abs(got - 255 * blurred ** (1 / 2.2)).max() < 0.7
    assert set(pairs.params) == {"0.linear.0.motion.length", "0.linear.0.motion.angle"}


def test_psfs_are_those_inside():
    inside, plain = recipe(linear(BLUR, {"disk": {"radius": 2}})), recipe(BLUR, {"disk": {"radius": 2}})
    draws = inside.draws(3, np.arange(5))
    params = inside.sample(draws)
    assert inside.psf_size == plain.psf_size
    renamed = {name.removeprefix("0.linear."): column for name, column in params.items()}
    np.testing.assert_array_equal(inside.psfs(params, draws), plain.psfs(renamed, draws))


def test_saturated_light_leaves_trails():
    random = np.random.default_rng(1)
    image = random.integers(0, 200, (1, 15, 30, 3)).astype(np.uint8)
    image[0, 7, 9] = 255
    image[0, 3, 20, 1] = 255
    chosen = recipe(linear({"highlights": {"gain": {"uniform": [0.25, 1.75]}}}, BOX))
    pairs = degrade(image, chosen, seed=4)
    alpha = pairs.params["0.linear.0.highlights.gain"][0]
    assert 0.25 <= alpha < 1.75
    mask = (image[0] == 255) * 255.0

    def blur(planes):
        return scipy.ndimage.uniform_filter(planes, (5, 5, 1), mode="nearest")

    exact = srgb_bytes(blur(srgb_light(image[0])) + alpha * blur(mask))
    assert abs(pairs.blurred[0] - exact).max() < 0.6


def test_highlights_from_a_level_on_and_saturation():
    curve = {"gamma": 1.0}
    image = BYTES.reshape(1, 16, 16, 1)
    bright = {"highlights": {"gain": 0.1, "level": 100}}
    lifted = np.where(BYTES >= 100, BYTES + 25.5, BYTES)
    for stages, exact in [
        ([bright], lifted),
        ([bright, {"exposure": {"stops": -1}}], lifted / 2),
        ([bright, "saturate", {"exposure": {"stops": -1}}], np.minimum(lifted, 255) / 2),
        ([{"brightness": {"shift": -50}}, "saturate", {"brightness": {"shift": 50}}], np.maximum(BYTES, 50)),
    ]:
        got = degrade(image, recipe(linear(*stages, curve=curve))).blurred.ravel()
        np.testing.assert_array_equal(got, np.floor(np.clip(exact, 0, 255) + 0.5))


def test_inside_other_combinators_and_others_inside():
    nested = [
        {"maybe": {"probability": 0.5, "stages": [linear(BLUR)]}},
        {"one_of": [{"stages": [linear(BOX)]}, {"stages": [BLUR]}]},
        {"shuffled": [linear(BOX), BLUR]},
        linear({"maybe": {"probability": 0.5, "stages": [BLUR]}}),
        linear({"one_of": [{"stages": [BOX]}, {"stages": [{"highlights": {"gain": 1}}, BLUR]}]}),
        linear({"shuffled": [{"highlights": {"gain": 1}}, BLUR]}),
    ]
    for stage in nested:
        chosen = recipe(stage)
        images = texture(12, 10, 11, 3)
        whole = degrade(images, chosen, seed=2, start=30)
        np.testing.assert_array_equal(whole.sharp, images)
        assert whole.blurred.dtype == np.uint8
        for n in range(12):
            one = degrade(images[n : n + 1], chosen, seed=2, start=30 + n)
            np.testing.assert_array_equal(one.blurred[0], whole.blurred[n])
        plain = {name: column for name, column in whole.params.items() if "length" in name}
        assert all(name.endswith(".motion.length") for name in plain)
    one = degrade(IMAGES, recipe(linear(BOX))).blurred
    surely = recipe({"maybe": {"probability": 1, "stages": [linear(BOX)]}})
    np.testing.assert_array_equal(degrade(IMAGES, surely).blurred, one)


def test_pairs_that_are_already_blurred():
    pairs = degrade(IMAGES, recipe(linear(BOX)), blurred=IMAGES[::-1].copy())
    np.testing.assert_array_equal(pairs.sharp, IMAGES)
    np.testing.assert_array_equal(pairs.blurred, degrade(IMAGES[::-1].copy(), recipe(linear(BOX))).blurred)


@pytest.mark.parametrize("name", ["camera.npy", "camera.txt"])
def test_response_from_a_file(tmp_path, name):
    values = np.linspace(0, 1, 1024) ** (1 / 2.2) * 1000 + 7
    path = tmp_path / name
    np.save(path, values) if name.endswith("npy") else np.savetxt(path, values)
    chosen = recipe(linear(BOX, curve={"response": str(path)}))
    assert chosen.stages[0].curve.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen
    by_list = recipe(linear(BOX, curve={"response": values.tolist()}))
    assert Recipe.from_dict(json.loads(by_list.to_json())) == by_list
    got = degrade(IMAGES, chosen).blurred
    np.testing.assert_array_equal(got, degrade(IMAGES, by_list).blurred)
    curve = chosen.stages[0].curve
    encoded = (np.interp(np.linspace(0, 255, 777), np.linspace(0, 255, 1024), values) - 7) / 1000 * 255
    light = np.linspace(0, 255, 777, dtype=np.float32)
    assert abs(curves.to_bytes(light, curve) - encoded).max() <= 0.501


def test_a_response_file_that_changed_or_went(tmp_path):
    path = tmp_path / "camera.txt"
    path.write_text("0 1 3 4\n")
    read = recipe(linear(BOX, curve={"response": str(path)})).to_dict()
    path.write_text("0 1 3 5\n")
    with pytest.raises(InputError, match=r"camera.txt' is not the one that the recipe was made with$"):
        degrade(IMAGES, Recipe.from_dict(read))
    path.unlink()
    with pytest.raises(InputError, match=r"response file '.*' cannot be read: No such file or directory$"):
        degrade(IMAGES, Recipe.from_dict(read))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 2 x", "holds no numbers"),
        (b"\xff\xfe", "holds no numbers"),
        (b"1", "has 1 numbers; 2 to 4096 finite, strictly increasing numbers are needed"),
        (b"1 2 2", "does not increase everywhere"),
        (b"1 2 inf", "does not increase everywhere"),
        (b"1 nan 3", "does not increase everywhere"),
    ],
)
def test_bad_response_files(tmp_path, content, message):
    path = tmp_path / "camera.txt"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=rf"stage 0 \(linear\): curve: .*camera.txt' {message}"):
        recipe(linear(BOX, curve={"response": str(path)}))


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ("rec709", "no curve; srgb, gamma or response is needed$"),
        (2.2, "no curve; srgb, gamma or response is needed$"),
        ({"gama": 2.2}, "no curve; srgb, gamma or response is needed$"),
        ({"gamma": 11}, "less than or equal to 10$"),
        ({"gamma": "2"}, "a valid number$"),
        ({"gamma": 2, "response": [0, 1]}, "there is no such field$"),
        ({"response": 5}, "response 5: a file or a list of numbers is needed$"),
        ({"response": [0, "a"]}, "a file or a list of numbers is needed$"),
        ({"response": [0, True]}, "a file or a list of numbers is needed$"),
        ({"response": [1, 0]}, "does not increase everywhere; 2 to 4096 finite"),
        ({"response": [0]}, "has 1 numbers; 2 to 4096 finite"),
        ({"response": ""}, "a file or a list of numbers is needed$"),
        ({"response": "nothing.txt"}, "cannot be read: No such file or directory$"),
    ],
)
def test_bad_curves(curve, message):
    with pytest.raises(RecipeError, match=rf"^recipe 'r', stage 0 \(linear\): curve.*{message}"):
        recipe(linear(BOX, curve=curve))


@pytest.mark.parametrize(
    "inner",
    [
        {"gamma": {"gamma": 2}},
        linear(BOX),
        {"maybe": {"probability": 1, "stages": [{"gamma": {"gamma": 2}}]}},
        {"shuffled": [BOX, {"one_of": [{"stages": [{"gamma": {"gamma": 2}}]}]}]},
    ],
)
def test_stages_that_need_bytes_are_refused(inner):
    with pytest.raises(
        RecipeError, match=r"\(linear\): '(gamma|linear)' works on bytes, not on linear light"
    ):
        recipe(linear(inner))


def test_stages_without_light_are_refused():
    for stage in ("saturate", {"highlights": {"gain": 1}}):
        with pytest.raises((RecipeError, InputError), match=r"(saturate|highlights).*linear"):
            degrade(IMAGES, recipe(BOX, stage))


def test_stages_that_move_the_sharp_image_are_refused():
    with pytest.raises(RecipeError, match=r"\(linear\): 'turn' .* cannot stand in 'linear'$"):
        recipe(linear({"turn": {"quarters": 1}}))


def test_no_stages_or_bad_ones():
    with pytest.raises(RecipeError, match=r"\(linear\): stages: field required"):
        recipe({"linear": {}})
    with pytest.raises(RecipeError, match=r"\(linear\): stage 0 \(highlights\): gain: field required"):
        recipe(linear("highlights"))
    with pytest.raises(InputError, match=r"recipe 'r', stage 0: stage 'sensor' needs colour"):
        degrade(IMAGES[..., :1], recipe(linear({"sensor": {"stages": ["saturate"]}})))


def test_nesting_counts_levels():
    stage = linear(BOX)
    for _ in range(3):
        stage = {"maybe": {"probability": 1, "stages": [stage]}}
    recipe(stage)
    with pytest.raises(RecipeError, match="nest 6 levels deep"):
        recipe({"maybe": {"probability": 1, "stages": [stage]}})


def test_schema_takes_every_curve():
    schema = Recipe.json_schema()
    for curve in ("srgb", {"gamma": 2.2}, {"response": [0, 1]}):
        jsonschema.validate(recipe(linear(BOX, curve=curve)).to_dict(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "r", "stages": [linear(BOX, curve="rec709")]}, schema)


def test_light_is_kept_by_a_blur():
    image = np.zeros((1, 41, 41, 1), np.uint8)
    image[0, 20, 20] = 255
    chosen = recipe(linear({"exposure": {"stops": math.log2(25)}}, BOX))
    np.testing.assert_array_equal(degrade(image, chosen).blurred[0, 18:23, 18:23, 0], 255)
