import math

import cv2
import numpy as np
import pytest
import scipy.interpolate
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from strategies import texture

from blurgen import Recipe, degrade
from blurgen.draws import Draws
from blurgen.errors import RecipeError
from blurgen.loops import warp
from blurgen.loops.draws import inverse_normal
from blurgen.loops.philox import draw_block
from blurgen.stages.resizing import resized

IMAGES = texture(5, 24, 31, 3)
NOISE = {"gaussian_noise": {"sigma": 20}}


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


def made(batch, kind, seed=0, **body):
    """What a stage makes of a batch, and the stage's columns."""
    pairs = degrade(batch, recipe({kind: body}), seed)
    np.testing.assert_array_equal(pairs.sharp, pairs.blurred)
    return pairs.blurred, {name.split(".")[-1]: column for name, column in pairs.params.items()}


def close(got, expected, levels=1):
    assert got.shape == expected.shape
    assert abs(got.astype(float) - expected).max() <= levels


shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))


@given(shapes, st.integers(0, 1), st.integers(0, 1))
def test_flip(shape, horizontal, vertical):
    batch = texture(2, *shape)
    flipped, _ = made(batch, "flip", horizontal=horizontal, vertical=vertical)
    expected = batch[:, :: -1 if vertical else 1, :: -1 if horizontal else 1]
    np.testing.assert_array_equal(flipped, expected)
    np.testing.assert_array_equal(made(flipped, "flip", horizontal=horizontal, vertical=vertical)[0], batch)


def test_flips_are_drawn():
    batch = texture(40, 5, 6, 3)
    either = {"integers": [0, 1]}
    flipped, params = made(batch, "flip", horizontal=either, vertical=either)
    assert len(set(zip(params["horizontal"], params["vertical"], strict=True))) == 4
    for n in range(40):
        expected = batch[n, :: -1 if params["vertical"][n] else 1, :: -1 if params["horizontal"][n] else 1]
        np.testing.assert_array_equal(flipped[n], expected)
    np.testing.assert_array_equal(made(batch, "flip")[0], batch)


@given(st.integers(1, 9), st.sampled_from([1, 3]), st.integers(0, 3))
def test_four_turns_are_none(side, channels, quarters):
    batch = texture(2, side, side, channels)
    turned = batch
    for _ in range(4):
        turned, _ = made(turned, "turn", quarters=quarters)
    np.testing.assert_array_equal(turned, batch)


BORDERS = {"replicate": cv2.BORDER_REPLICATE, "constant": cv2.BORDER_CONSTANT}


def beyond(border, grey):
    """The fields that say what lies beyond the image; only a constant border has a grey level."""
    return {"border": border, "grey": grey} if border == "constant" else {"border": border}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", list(BORDERS))
def test_rotation_is_opencvs(border, channels):
    batch = texture(6, 40, 57, channels)
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 1).reshape(image.shape) for image in batch])
    angle = {"uniform": [-400, 400]}
    turned, params = made(smooth, "rotate", 3, angle=angle, **beyond(border, {"uniform": [0, 255]}))
    for n in range(6):
        matrix = cv2.getRotationMatrix2D((28, 19.5), params["angle"][n], 1)
        grey = (params["grey"][n],) * 3
        expected = cv2.warpAffine(smooth[n], matrix, (57, 40), borderMode=BORDERS[border], borderValue=grey)
        close(turned[n], expected.reshape(turned[n].shape), 2)


@given(st.integers(1, 12), st.integers(-5, 5), st.sampled_from([1, 3]))
def test_rotation_by_quarters_is_turning(side, quarters, channels):
    batch = texture(2, side, side, channels)
    expected = np.rot90(batch, quarters, (1, 2))
    for border in BORDERS:
        turned, _ = made(batch, "rotate", angle=90 * quarters, **beyond(border, 77))
        np.testing.assert_array_equal(turned, expected)


def mapped(image, matrix, size, grey=None):
    """Bilinear sampling in float64 by a map of new places to old ones, by SciPy."""
    y, x = np.mgrid[: size[0], : size[1]]
    u, v, w = np.tensordot(np.reshape(matrix, (3, 3)), np.stack([x, y, np.ones_like(x)]), 1)
    places = [v / w, u / w]
    if grey is None:
        places = [np.clip(p, 0, side - 1) for p, side in zip(places, image.shape[:2], strict=True)]
        grey = 0
    padded = np.pad(image.astype(float), ((2, 2), (2, 2), (0, 0)), constant_values=grey)
    planes = [
        scipy.ndimage.map_coordinates(plane, [p + 2 for p in places], order=1, cval=grey)
        for plane in np.moveaxis(padded, 2, 0)
    ]
    return np.stack(planes, axis=2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("replicate", [True, False])
def test_warp_is_bilinear(replicate, channels):
    batch = texture(4, 20, 26, channels)
    maps = np.array(
        [
            [1, 0, 0.25, 0, 1, -0.75, 0, 0, 1],
            [0.7, -0.3, 4, 0.4, 1.2, -5, 0, 0, 1],
            [1.1, 0.2, -3, -0.1, 0.8, 2, 0.002, -0.004, 1],
            [3, 0, -70, 0, 3, 900, 0, 0, 1],
        ]
    )
    out = np.empty((4, 33, 17, channels), np.uint8)
    grey = np.array([0, 255, 130, 77], np.uint8)
    warp.warp(batch, maps, replicate, grey, out)
    for n in range(4):
        expected = mapped(batch[n], maps[n], (33, 17), None if replicate else grey[n])
        # 1/8192 pixel and 1/8192 of each of four weights: a fifth of a level
        close(out[n], expected, 0.7)


def test_perspective_is_opencvs():
    batch = np.stack([cv2.GaussianBlur(image, (0, 0), 1) for image in texture(8, 40, 57, 3)])
    seen, params = made(batch, "perspective", 5, strength={"uniform": [0, 0.3]}, border="constant", grey=90)
    x, y = (
        np.stack(
            [params[f"{name}_{axis}"] for name in ("top_left", "top_right", "bottom_right", "bottom_left")]
        )
        for axis in "xy"
    )
    assert (np.stack([x, y]) <= params["strength"]).all()
    assert (np.stack([x, y]) >= 0).all()
    edges = np.float32([[-0.5, -0.5], [56.5, -0.5], [56.5, 39.5], [-0.5, 39.5]])
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    for n in range(8):
        moved = edges + inwards * np.stack([57 * x[:, n], 40 * y[:, n]], axis=1)
        matrix = cv2.getPerspectiveTransform(edges, moved.astype(np.float32))
        close(seen[n], mapped(batch[n], np.linalg.inv(matrix), (40, 57), 90), 1)
        close(seen[n], cv2.warpPerspective(batch[n], matrix, (57, 40), borderValue=(90, 90, 90)), 2)


@given(st.lists(st.floats(0, 0.3), min_size=8, max_size=8), st.integers(1, 99), st.integers(1, 99))
def test_corners_come_to_lie_where_told(shares, height, width):
    edges = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    corners = edges + np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * np.reshape(shares, (4, 2))
    maps = np.empty((1, 9))
    warp.onto_corners(corners[None], height, width, maps)
    new = corners * [width, height] - 0.5
    u, v, w = maps.reshape(3, 3) @ np.column_stack([new, np.ones(4)]).T
    assert (w > 0).all()
    np.testing.assert_allclose(np.stack([u / w, v / w], axis=1), edges * [width, height] - 0.5, atol=1e-9)


def test_perspective_shares_are_independent_and_uniform():
    chosen = recipe({"perspective": {"strength": 0.3}})
    params = chosen.sample(chosen.draws(1, np.arange(4000)))
    shares = np.stack([c for name, c in params.items() if name[-2:] in ("_x", "_y")])
    assert len(shares) == 8
    np.testing.assert_allclose(shares.mean(axis=1), 0.15, atol=0.005)
    np.testing.assert_allclose(np.corrcoef(shares), np.eye(8), atol=0.06)


def plate_view_by_corners(size, frame, pov, magnitude):
    """The matrix of new places to old ones, put together from the three steps of the published law."""
    (height, width), (rows, columns) = size, frame
    k = min(rows / height, columns / width)
    fit = np.array([[k, 0, (columns - k * width) / 2], [0, k, (rows - k * height) / 2], [0, 0, 1]])
    angle = pov * math.atan(rows / columns) / 2
    drops = np.zeros(4)  # top left, top right, bottom right, bottom left
    drops[[0, 2] if angle > 0 else [1, 3]] = columns * math.tan(abs(angle))
    left, right = (drops[0] + drops[3]) / 3, (drops[1] + drops[2]) / 3
    corners = np.float64([[0, 0], [columns, 0], [columns, rows], [0, rows]])
    moved = corners + np.column_stack([[left, -right, -right, left], drops * [1, 1, -1, -1]])
    perspective = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    s = 0.5 + magnitude / 2
    shrink = np.array([[s, 0, columns * (1 - s) / 2], [0, s, rows * (1 - s) / 2], [0, 0, 1]])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return np.linalg.inv(np.linalg.inv(half) @ shrink @ perspective @ fit @ half)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(30, 90), (60, 100), (25, 200)], ids=str)
def test_plate_view_is_its_three_steps_at_once(size, channels):
    batch = texture(6, *size, channels)
    beta = {"beta": [0.5, 0.5]}
    seen, params = made(
        batch,
        "plate_view",
        8,
        pov={**beta, "range": [-0.5, 0.5]},
        magnitude={"uniform": [0, 1]},
        grey={**beta, "range": [0, 255]},
    )
    assert seen.shape == (6, 90, 270, channels)
    np.testing.assert_array_equal(params["grey"] % 1, 0)
    assert len(set(params["grey"])) > 1
    assert (params["pov"] < 0).any()
    assert (params["pov"] > 0).any()
    for n in range(6):
        matrix = plate_view_by_corners(size, (90, 270), params["pov"][n], params["magnitude"][n])
        # the reference's corners are float32
        difference = abs(seen[n] - mapped(batch[n], matrix, (90, 270), params["grey"][n]))
        assert difference.max() <= 2
        assert difference.mean() < 0.3


def test_plate_view_from_the_front_of_a_fitting_image_is_the_image():
    batch = texture(2, 90, 270, 3)
    np.testing.assert_array_equal(made(batch, "plate_view", pov=0, magnitude=1)[0], batch)
    small = texture(2, 12, 20, 1)
    np.testing.assert_array_equal(
        made(small, "plate_view", pov=0, magnitude=1, height=12, width=20)[0], small
    )


def displacement_by_spline(shape, period, amplitude, seed, index, stream):
    height, width = shape
    rows, columns = int((height - 1) / period) + 4, int((width - 1) / period) + 4
    points = np.empty((2, rows, columns))
    for r in range(rows):
        for k in range(columns):
            words = draw_block(
                np.uint64(seed), np.uint64(index), np.uint64(stream), np.uint64(r * columns + k)
            )
            points[:, r, k] = [inverse_normal((int(word) + 0.5) / 2**32) for word in words[:2]]
    down, across = (
        scipy.interpolate.BSpline.design_matrix(
            np.arange(side) / period, np.arange(-3, count + 1).astype(float), 3
        ).toarray()
        for side, count in ((height, rows), (width, columns))
    )
    return amplitude * 315 / 151 * (down @ points @ across.T)


@pytest.mark.parametrize("border", list(BORDERS))
def test_elastic_displaces_by_a_spline(border):
    batch = np.stack([cv2.GaussianBlur(image, (0, 0), 1) for image in texture(3, 30, 41, 3)])
    period = {"uniform": [3, 50]}
    body = {"amplitude": {"uniform": [0, 4]}, "period": period, **beyond(border, 50)}
    pairs = degrade(batch, recipe({"elastic": body}), 6, 100)
    stream = Draws(6, np.arange(1)).stage(0).pixel_stream
    for n in range(3):
        x, y = displacement_by_spline(
            (30, 41),
            pairs.params["0.elastic.period"][n],
            pairs.params["0.elastic.amplitude"][n],
            6,
            100 + n,
            stream,
        )
        grid_y, grid_x = np.mgrid[:30, :41].astype(np.float32)
        expected = cv2.remap(
            batch[n],
            (grid_x + x).astype(np.float32),
            (grid_y + y).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=BORDERS[border],
            borderValue=(50, 50, 50),
        )
        difference = abs(pairs.blurred[n].astype(int) - expected)
        assert difference.max() <= 3  # OpenCV takes places to 1/32 pixel
        assert difference.mean() < 0.4
    np.testing.assert_array_equal(pairs.sharp, pairs.blurred)


def test_the_amplitude_is_the_standard_deviation():
    fields = [displacement_by_spline((60, 60), 6.3, 2.0, 3, n, 7) for n in range(30)]
    assert np.std(fields) == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", list(BORDERS))
def test_pad(border, channels):
    batch = texture(3, 6, 7, channels)
    margins = {"top": 2, "bottom": 1, "left": 3, "right": 4}
    larger, params = made(batch, "pad", 2, **margins, **beyond(border, {"integers": [1, 255]}))
    assert len(set(params["grey"])) == (3 if border == "constant" else 1)
    for n in range(3):
        grey = (params["grey"][n],) * 3
        expected = cv2.copyMakeBorder(batch[n], *margins.values(), BORDERS[border], value=grey)
        np.testing.assert_array_equal(larger[n], expected.reshape(9, 14, channels))
    np.testing.assert_array_equal(made(batch, "pad")[0], batch)


@pytest.mark.parametrize(
    ("size", "frame", "inner", "name"),
    [
        ((6, 8), (20, 20), (15, 20), "bilinear"),
        ((60, 80), (20, 20), (15, 20), "area"),
        ((9, 300), (20, 30), (1, 30), "area"),
        ((20, 20), (20, 50), (20, 20), "area"),
    ],
)
def test_fit(size, frame, inner, name):
    batch = texture(2, *size, 3)
    fitted, _ = made(batch, "fit", height=frame[0], width=frame[1], border="constant", grey=9)
    assert fitted.shape == (2, *frame, 3)
    top, left = (frame[0] - inner[0]) // 2, (frame[1] - inner[1]) // 2
    expected = np.full((2, *frame, 3), 9, np.uint8)
    expected[:, top : top + inner[0], left : left + inner[1]] = resized(batch, inner, name)
    np.testing.assert_array_equal(fitted, expected)


NOTHING = [
    {"rotate": {"angle": 0, "border": "constant", "grey": 3}},
    {"rotate": {"angle": {"choice": [-360, 720]}}},
    {"perspective": {"strength": 0}},
    {"elastic": {"amplitude": 0, "period": 5}},
    {"pad": {}},
    {"flip": {}},
]


@pytest.mark.parametrize("stage", NOTHING, ids=str)
@given(shapes)
def test_nothing_changes_nothing(stage, shape):
    batch = texture(2, *shape)
    np.testing.assert_array_equal(degrade(batch, recipe(stage)).blurred, batch)


STAGES = [
    {"flip": {"horizontal": {"integers": [0, 1]}}},
    {"rotate": {"angle": {"uniform": [-180, 180]}}},
    {"perspective": {"strength": {"uniform": [0, 0.3]}}},
    {
        "plate_view": {
            "pov": {"uniform": [-1, 1]},
            "magnitude": {"uniform": [0, 1]},
            "height": 20,
            "width": 20,
        }
    },
    {"elastic": {"amplitude": {"uniform": [0, 9]}, "period": {"uniform": [2, 30]}}},
    {"pad": {"top": 3}},
    {"fit": {"height": 20, "width": 10}},
]


@given(st.sampled_from(STAGES), st.integers(0, 255), shapes, st.integers(0, 1000))
def test_constants_stay_constant(stage, level, shape, seed):
    ((kind, body),) = stage.items()
    flat = np.full((2, *shape), level, np.uint8)
    grey = {"flip": {}, "plate_view": {"grey": level}}.get(kind, beyond("constant", level))
    assert (degrade(flat, recipe({kind: {**body, **grey}}), seed).blurred == level).all()


@given(st.sampled_from(STAGES), shapes, st.integers(0, 1000))
def test_shapes_are_as_foretold(stage, shape, seed):
    chosen = recipe(stage)
    pairs = degrade(texture(2, *shape), chosen, seed)
    assert pairs.sharp.shape == pairs.blurred.shape == (2, *chosen.output_shape(shape))


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_sharp_and_blurred_move_alike(stage):
    chosen = recipe(NOISE, stage)
    pairs = degrade(IMAGES, chosen, seed=4)
    noisy = degrade(IMAGES, recipe(NOISE), seed=4).blurred
    draws = chosen.draws(4, np.arange(5)).stage(1)
    own = {name.split(".")[-1]: column for name, column in pairs.params.items() if name.startswith("1.")}
    np.testing.assert_array_equal(pairs.sharp, chosen.stages[1].apply(IMAGES, own, draws))
    np.testing.assert_array_equal(pairs.blurred, chosen.stages[1].apply(noisy, own, draws))
    assert (pairs.sharp != pairs.blurred).any()


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_rows_depend_on_themselves_alone(stage):
    chosen = recipe(stage)
    together = degrade(IMAGES, chosen, seed=3, start=10)
    for n in range(len(IMAGES)):
        alone = degrade(IMAGES[n : n + 1], chosen, seed=3, start=10 + n)
        np.testing.assert_array_equal(alone.blurred[0], together.blurred[n])


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_stages_are_read_as_they_are_written(stage):
    chosen = recipe(stage)
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"flip": {"horizontal": 2}}, "horizontal: 2: 2 is outside the allowed 0 … 1"),
        ({"flip": {"vertical": 0.5}}, "only whole numbers"),
        (
            {"rotate": {"angle": 1, "grey": 9}},
            "grey is what a border that is constant shows: set border: constant",
        ),
        ({"rotate": {"angle": 1, "grey": 256}}, "grey: 256: 256 is outside the allowed 0 … 255"),
        ({"rotate": {"angle": 1, "border": "wrap"}}, "'replicate' or 'constant'"),
        ({"perspective": {"strength": 0.4}}, "outside the allowed 0 … 0.3"),
        ({"plate_view": {"pov": 2, "magnitude": 1}}, "outside the allowed -1 … 1"),
        (
            {"plate_view": {"pov": 0, "magnitude": 1, "height": 30, "width": 10}},
            "less than three times width",
        ),
        ({"plate_view": {"pov": 0, "magnitude": 1, "border": "replicate"}}, "there is no field 'border'"),
        ({"elastic": {"amplitude": 1, "period": 1}}, "outside the allowed 2 … 10000"),
        ({"pad": {"top": -1}}, "top: -1"),
        ({"pad": {"left": 1.5}}, "left: 1.5"),
        ({"fit": {"height": 0, "width": 4}}, "height: 0"),
        ({"fit": {"height": 4}}, "width: "),
    ],
)
def test_bad_stages_are_named(stage, message):
    with pytest.raises(RecipeError, match=message):
        recipe(stage)
