import math

import cv2
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import texture

from blurgen import Recipe, convolve, degrade, psf
from blurgen.draws import Draws
from blurgen.errors import InputError, RecipeError

ANGLES = st.one_of(st.floats(-1e4, 1e4), st.integers(-50, 50).map(lambda n: 15.0 * n))
LENGTHS = st.floats(0, 60)


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


def assert_is_psf(kernel, tolerance=1e-9):
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert (kernel >= 0).all()
    assert kernel.astype(np.float64).sum() == pytest.approx(1, abs=tolerance)


def off_centre(kernel):
    rows, columns = np.indices(kernel.shape) - kernel.shape[0] // 2
    wide = kernel.astype(np.float64)
    return math.hypot((wide * rows).sum(), (wide * columns).sum())


def exposed(place, size, count=200_000):
    """Expose ``place(time)``, complex with y up, at many equal times, about its centroid."""
    points = place((np.arange(count) + 0.5) / count)
    points = points - points.mean()
    x, y = points.real + size // 2, -points.imag + size // 2
    cell_x, cell_y = np.floor(x).astype(int), np.floor(y).astype(int)
    part_x, part_y = x - cell_x, y - cell_y
    out = np.zeros((size + 1, size + 1))
    for dx in (0, 1):
        for dy in (0, 1):
            share = (part_x if dx else 1 - part_x) * (part_y if dy else 1 - part_y)
            out += np.bincount(
                (cell_y + dy) * (size + 1) + cell_x + dx, share, minlength=(size + 1) ** 2
            ).reshape(size + 1, size + 1)
    return out[:size, :size] / count


def turned(angle):
    return np.exp(1j * math.radians(angle))


# accelerated motion


@pytest.mark.parametrize("acceleration", [0, 0.2, 1, 3, 50, 1000])
@pytest.mark.parametrize(
    ("length", "angle"), [(0, 10), (0.4, 20), (7.3, 0), (20, 45), (31.5, 163), (12, 270)]
)
def test_accelerated_motion_by_brute_force(length, angle, acceleration):
    got = psf.accelerated_motion(length, angle, acceleration)
    start = 2 / (1 + acceleration)
    gain = acceleration * start - start
    expected = exposed(lambda t: length * (start * t + gain * t * t / 2) * turned(angle), got.shape[0])
    np.testing.assert_allclose(got, expected, atol=2e-4)


@given(LENGTHS, ANGLES, st.floats(0, 1000))
@example(60, 0, 0)
@example(60, 90, 1000)
@example(6, 0, 1)
@example(1e-300, 5, 2)
def test_accelerated_motion_is_a_psf(length, angle, acceleration):
    got = psf.accelerated_motion(length, angle, acceleration)
    assert_is_psf(got)
    assert off_centre(got) < 1e-9 * max(1, length)


@given(LENGTHS, ANGLES, st.floats(0.01, 100))
def test_backwards_it_slows_down(length, angle, acceleration):
    there = psf.accelerated_motion(length, angle, acceleration)
    back = psf.accelerated_motion(length, angle + 180, 1 / acceleration)
    # the fixed pieces are not symmetric where they cross between pixels
    np.testing.assert_allclose(there, back, atol=1e-6)


@given(LENGTHS, ANGLES)
def test_uniform_motion_is_a_straight_arc(length, angle):
    line, arc = psf.accelerated_motion(length, angle, 1), psf.arc_motion(length, angle, 0)
    margin = (line.shape[0] - arc.shape[0]) // 2
    np.testing.assert_allclose(line, np.pad(arc, margin), atol=1e-9)


def test_the_second_moment_along_the_line():
    """Along an axis a tent of variance 1/6 at most widens it; the law's own is that of the place in time."""
    for acceleration in (1, 4):
        got = psf.accelerated_motion(40, 0, acceleration)
        start = 2 / (1 + acceleration)
        gain = acceleration * start - start
        mean = start / 2 + gain / 6
        square = start**2 / 3 + start * gain / 4 + gain**2 / 20
        columns = np.arange(got.shape[0]) - got.shape[0] // 2
        variance = (got.sum(axis=0) * columns**2).sum()
        assert variance == pytest.approx(1600 * (square - mean**2) + 1 / 6, abs=0.02)


# arcs


@pytest.mark.parametrize("bend", [-360, -90, 0, 1e-6, 30, 180, 360])
@pytest.mark.parametrize(("length", "angle"), [(0, 10), (0.4, 20), (7.3, 0), (20, 45), (31.5, 163)])
def test_arc_by_brute_force(length, angle, bend):
    got = psf.arc_motion(length, angle, bend)

    def place(time):
        heading = np.radians(angle + bend * (time - 0.5))
        return np.cumsum(np.exp(1j * heading)) * length / time.size

    np.testing.assert_allclose(got, exposed(place, got.shape[0]), atol=3e-4)


@given(LENGTHS, ANGLES, st.floats(-360, 360))
@example(60, 90, 360)
@example(1e-300, 5, 2)
def test_arc_is_a_psf(length, angle, bend):
    got = psf.arc_motion(length, angle, bend)
    assert_is_psf(got)
    assert off_centre(got) < 1e-9 * max(1, length)


@given(LENGTHS, ANGLES, st.floats(-360, 360))
def test_arc_backwards_is_the_same(length, angle, bend):
    there, back = psf.arc_motion(length, angle, bend), psf.arc_motion(length, angle + 180, -bend)
    np.testing.assert_allclose(there, back, atol=1e-9)


def test_a_whole_turn_is_a_circle():
    got = psf.arc_motion(50, 30, 360)
    rows, columns = np.nonzero(got > 1e-6)
    distances = np.hypot(rows - got.shape[0] // 2, columns - got.shape[0] // 2)
    assert abs(distances - 50 / (2 * math.pi)).max() < math.sqrt(2)
    np.testing.assert_allclose(got, psf.arc_motion(50, 120, 360), atol=2e-4)


# swings


@pytest.mark.parametrize(
    ("length", "angle", "radius", "frequency"),
    [(20, 30, 4, 0.5), (9, 0, 0, 1), (30, 200, 2, 3), (0, 10, 5, 1), (15, 90, 8, 0.1), (12, 45, 20, 0)],
)
def test_nonlinear_motion_by_brute_force(length, angle, radius, frequency):
    got = psf.nonlinear_motion(length, angle, radius, frequency)

    def place(time):
        i = length * time
        return (i + 1j * radius * (np.sin(frequency * i) + np.cos(frequency * i))) * turned(angle)

    np.testing.assert_allclose(got, exposed(place, got.shape[0]), atol=2e-4)


@given(st.floats(0, 40), ANGLES, st.floats(0, 10), st.floats(0, 4))
@example(40, 45, 10, 4)
def test_nonlinear_motion_is_a_psf(length, angle, radius, frequency):
    got = psf.nonlinear_motion(length, angle, radius, frequency)
    assert_is_psf(got)
    assert off_centre(got) < 1e-8


# thick lines


@pytest.mark.parametrize("size", [1, 3, 7, 8, 11, 25, 31, 40])
@pytest.mark.parametrize("angle", [0, 10, 37.5, 45, 90, 120, 179, 180, 270, -30, 725])
def test_thick_line_is_opencvs(size, angle):
    k = size | 1
    bar = np.zeros((k, k), np.float32)
    bar[k // 2 - k // 8 : k // 2 + k // 8 + 1] = 1
    matrix = cv2.getRotationMatrix2D((k // 2, k // 2), angle, 1)
    expected = cv2.warpAffine(bar, matrix, (k, k))
    got = psf.thick_line(size, angle)
    assert got.shape == (k, k)
    # places rounded to 1/32 pixel in each direction
    np.testing.assert_allclose(got * expected.sum(), expected, atol=0.05 + 0.02 * expected.max())


@given(st.integers(1, 101), ANGLES)
def test_thick_line_is_a_psf(size, angle):
    got = psf.thick_line(size, angle)
    assert_is_psf(got)
    np.testing.assert_allclose(got, got[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(got, psf.thick_line(size, angle + 180), atol=1e-9)
    np.testing.assert_allclose(np.rot90(got), psf.thick_line(size, angle + 90), atol=1e-9)


# ImageNet-C


def moved(image, dx, dy):
    """The benchmark's shift: what is left behind repeats the edge."""
    return scipy.ndimage.shift(image, (dy, dx), order=0, mode="nearest")


def imagenet_c(image, radius, sigma, angle):
    """As its program: shifted images added up, one for each tap."""
    width = radius * 2 + 1
    taps = np.exp(-(np.arange(width) ** 2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma)
    taps /= taps.sum()
    point = (width * np.sin(np.deg2rad(angle)), width * np.cos(np.deg2rad(angle)))
    hypot = math.hypot(*point)
    out = np.zeros(image.shape)
    for i in range(width):
        dy = -math.ceil(i * point[0] / hypot - 0.5)
        dx = -math.ceil(i * point[1] / hypot - 0.5)
        out += taps[i] * moved(image.astype(np.float64), dx, dy)
    return out


@pytest.mark.parametrize(("radius", "sigma"), [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)])
@pytest.mark.parametrize("angle", [-45, -31.7, 0, 12.3, 44])
def test_imagenet_c_motion_is_its_programs(radius, sigma, angle):
    image = texture(1, 80, 90)[0, :, :, 0]
    expected = imagenet_c(image, radius, sigma, angle)
    body = {"radius": radius, "sigma": sigma, "angle": angle}
    got = degrade(image[None], recipe({"imagenet_c_motion": body})).blurred[0, :, :, 0]
    assert abs(got - expected).max() < 0.502


@given(st.integers(0, 30), st.floats(0.1, 50), ANGLES)
@example(5, 0.1, 0)
def test_imagenet_c_motion_is_a_psf(radius, sigma, angle):
    got = psf.imagenet_c_motion(radius, sigma, angle)
    assert_is_psf(got)
    assert got.shape[0] == 4 * radius + 1
    assert got[2 * radius, 2 * radius] > 0
    assert np.count_nonzero(got) <= 2 * radius + 1


def test_imagenet_c_motion_moves_the_image():
    half_gaussian = 5 * math.sqrt(2 / math.pi)
    assert off_centre(psf.imagenet_c_motion(20, 5, 30)) == pytest.approx(half_gaussian, abs=0.5)


# stages

STAGES = {
    "accelerated_motion": (
        {"length": {"uniform": [0, 20]}, "angle": {"uniform": [0, 360]}, "acceleration": {"uniform": [0, 5]}},
        lambda p: psf.accelerated_motion(p["length"], p["angle"], p["acceleration"]),
    ),
    "arc_motion": (
        {"length": {"uniform": [0, 20]}, "angle": {"uniform": [0, 360]}, "bend": {"uniform": [-200, 200]}},
        lambda p: psf.arc_motion(p["length"], p["angle"], p["bend"]),
    ),
    "nonlinear_motion": (
        {
            "length": {"uniform": [0, 20]},
            "angle": {"uniform": [0, 360]},
            "radius": {"uniform": [0, 4]},
            "frequency": {"uniform": [0, 2]},
        },
        lambda p: psf.nonlinear_motion(p["length"], p["angle"], p["radius"], p["frequency"]),
    ),
    "thick_line": (
        {"size": {"integers": [3, 20]}, "angle": {"uniform": [0, 360]}},
        lambda p: psf.thick_line(int(p["size"]), p["angle"]),
    ),
    "imagenet_c_motion": (
        {"radius": {"integers": [2, 9]}, "sigma": {"uniform": [1, 5]}, "angle": {"uniform": [-45, 45]}},
        lambda p: psf.imagenet_c_motion(p["radius"], p["sigma"], p["angle"]),
    ),
}


@pytest.mark.parametrize("kind", STAGES)
def test_stages_render_what_the_functions_do(kind):
    body, function = STAGES[kind]
    chosen = recipe({kind: body})
    (stage,) = chosen.stages
    params = stage.sample(Draws(3, np.arange(20)).stage(0))
    psfs = stage.psfs(params, Draws(3, np.arange(20)).stage(0))
    assert psfs.shape == (20, stage.psf_size, stage.psf_size)
    assert psfs.dtype == np.float32
    for n in range(20):
        own = function({name: column[n] for name, column in params.items()})
        margin = (stage.psf_size - own.shape[0]) // 2
        np.testing.assert_allclose(psfs[n], np.pad(own, margin), rtol=1e-6, atol=1e-12)
        assert_is_psf(psfs[n], 1e-6)
        if kind != "imagenet_c_motion":
            assert off_centre(psfs[n]) < 1e-5
    images = texture(4, 30, 34, 3)
    pairs = degrade(images, chosen, seed=3)
    np.testing.assert_array_equal(pairs.blurred, convolve(images, psfs[:4]))
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen


@given(LENGTHS, st.floats(0, 10), st.floats(0, 4), ANGLES)
def test_stages_hold_their_psfs(length, radius, frequency, angle):
    """A greater bound elsewhere does not change a PSF."""
    bodies = {
        "accelerated_motion": {"length": length, "angle": angle, "acceleration": 1000},
        "arc_motion": {"length": length, "angle": angle, "bend": 77},
        "nonlinear_motion": {"length": length, "angle": angle, "radius": radius, "frequency": frequency},
    }
    draws = Draws(0, np.arange(1)).stage(0)
    for kind, body in bodies.items():
        (stage,) = recipe({kind: body}).stages
        got = stage.psfs(stage.sample(draws), draws)[0]
        assert got.astype(np.float64).sum() == pytest.approx(1, abs=1e-6)
        assert off_centre(got) < 1e-4


# bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psf.accelerated_motion(-1, 0, 1), "length -1: a number from 0 to 1023 is needed"),
        (lambda: psf.accelerated_motion(5, 0, -1), "acceleration -1: a number from 0 to 1000 is needed"),
        (lambda: psf.arc_motion(5, math.inf, 1), "angle inf: a number from -1e+06 to 1e+06 is needed"),
        (lambda: psf.arc_motion(5, 0, 400), "bend 400: a number from -360 to 360 is needed"),
        (lambda: psf.nonlinear_motion(5, 0, 4, 9), "frequency 9: a number from 0 to 4 is needed"),
        (lambda: psf.nonlinear_motion(5, 0, "4", 1), "radius '4': a number from 0 to 100 is needed"),
        (lambda: psf.thick_line(0, 0), "size 0: a whole number from 1 to 801 is needed"),
        (lambda: psf.thick_line(5.5, 0), "size 5.5: a whole number from 1 to 801 is needed"),
        (lambda: psf.imagenet_c_motion(5, 0, 0), "sigma 0: a number from 0.1 to 1000 is needed"),
    ],
)
def test_functions_refuse(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"arc_motion": {"length": 5, "angle": 0}}, "bend: field required"),
        ({"arc_motion": {"length": 5, "angle": 0, "bend": 361}}, "361 is outside the allowed -360 … 360"),
        ({"thick_line": {"size": {"uniform": [3, 5]}, "angle": 0}}, "only whole numbers are allowed"),
        ({"accelerated_motion": {"length": 2000, "angle": 0, "acceleration": 1}}, "2000 is outside"),
    ],
)
def test_stages_refuse(stage, message):
    with pytest.raises(RecipeError) as caught:
        recipe(stage)
    assert message in str(caught.value)
