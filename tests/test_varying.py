import math

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import BORDERS, texture

from blurgen import Recipe, convolve, degrade, psf
from blurgen.errors import InputError, RecipeError
from blurgen.stages.base import ImagePair
from blurgen.varying import convolve_varying

PADS = dict(zip(BORDERS, ("edge", "symmetric", "reflect", "wrap", "constant"), strict=True))
MODES = dict(zip(BORDERS, ("nearest", "reflect", "mirror", "grid-wrap", "grid-constant"), strict=True))
MOTION = {"motion": {"length": {"uniform": [1, 9]}, "angle": {"uniform": [0, 360]}}}
POINT = {"box": {"size": 1}}
DISK = {"disk": {"radius": 2.5}}
OBJECT = {"centre_x": 0.4, "centre_y": 0.55, "size": 0.3}
STAGES = {
    "varying": {"blur": MOTION, "rows": 2, "columns": 3},
    "roll": {"angle": {"uniform": [0, 20]}, "centre_x": {"uniform": [0, 1]}},
    "zoom_motion": {"factor": {"uniform": [1, 1.5]}, "centre_y": {"uniform": [0, 1]}},
    "object_motion": {"blur": MOTION, **OBJECT, "roughness": {"uniform": [0, 0.9]}, "softness": 3},
    "depth_blur": {"near": {"uniform": [-4, 4]}, "far": {"uniform": [-6, 6]}, "angle": {"uniform": [0, 360]}},
}
UNMOVED = {
    "varying": {"blur": POINT, "rows": 2, "columns": 3},
    "roll": {"angle": 0, "centre_x": 0.3},
    "zoom_motion": {"factor": 1, "centre_y": 0.9},
    "object_motion": {"blur": POINT, **OBJECT, "roughness": 0.9, "softness": 4},
    "depth_blur": {"near": -0.5, "far": 0.5, "angle": 20},
}


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


def applied(images, kind, body, seed=1, start=0):
    """What a stage makes of images, bytes or floats, and its columns."""
    chosen = recipe({kind: body})
    draws = chosen.draws(seed, np.arange(start, start + len(images)))
    params = chosen.sample(draws)
    pair = chosen.apply(ImagePair(images, images), params, draws)
    assert pair.sharp is images
    prefix = f"0.{kind}."
    return pair.blurred, {name.removeprefix(prefix): column for name, column in params.items()}


def in_floats(images):
    return images.astype(np.float32)


def rounded(values):
    return np.floor(np.clip(values + 0.5, 0, 255)).astype(np.uint8)


def assert_bytes(got, exact):
    """Bytes are the exact values rounded half up, but for what float32 leaves open."""
    assert got.dtype == np.uint8
    assert abs(got - np.clip(exact, 0, 255)).max() < 0.501


def gathered(image, psf_at, border):
    """Every pixel by its own PSF, which is to be of one odd size."""
    reach = psf_at(0, 0).shape[0] // 2
    # scipy's reflect and NumPy's symmetric are the same
    padded = np.pad(image.astype(np.float64), ((reach, reach), (reach, reach), (0, 0)), PADS[border])
    out = np.empty(image.shape)
    for y, x in np.ndindex(*image.shape[:2]):
        around = padded[y : y + 2 * reach + 1, x : x + 2 * reach + 1]
        out[y, x] = np.einsum("ij,ijc->c", psf_at(y, x)[::-1, ::-1].astype(np.float64), around)
    return out


def cells_weights(size, count):
    """The two neighbouring cells of each pixel and the weight of the second."""
    width = size / count
    found = []
    for place in range(size):
        at = (place + 0.5) / width - 0.5
        lower = math.floor(at)
        found.append((max(lower, 0), min(lower + 1, count - 1), at - lower))
    return found


def by_interpolated_psfs(image, grid, border):
    down, across = (
        cells_weights(size, count) for size, count in zip(image.shape[:2], grid.shape[:2], strict=True)
    )

    def psf_at(y, x):
        (r0, r1, v), (c0, c1, u) = down[y], across[x]
        upper = (1 - u) * grid[r0, c0] + u * grid[r0, c1]
        lower = (1 - u) * grid[r1, c0] + u * grid[r1, c1]
        return (1 - v) * upper + v * lower

    return gathered(image, psf_at, border)


def motion_grid(rows, columns, size=9):
    angles = np.arange(rows * columns) * 37.0
    return psf.motion_batch(np.linspace(1, 9, rows * columns), angles, size).reshape(
        rows, columns, size, size
    )


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (4, 2)])
def test_a_grid_is_every_pixel_by_its_interpolated_psf(rows, columns, border):
    images = texture(2, 22, 27, 3)
    grid = motion_grid(rows, columns)
    exact = np.stack([by_interpolated_psfs(image, grid, border) for image in images])
    assert_bytes(convolve_varying(images, grid, border), exact)
    floats = convolve_varying(in_floats(images), grid, border)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, exact, atol=2e-4)


def test_more_cells_than_pixels_and_psfs_larger_than_the_image():
    images = texture(1, 5, 3, 1)
    grid = motion_grid(7, 5)
    for border in ("replicate", "wrap", "constant"):
        assert_bytes(convolve_varying(images, grid, border)[0], by_interpolated_psfs(images[0], grid, border))


def test_each_image_has_its_own_grid():
    images = texture(3, 16, 12, 1)
    grids = np.stack([motion_grid(2, 2), motion_grid(2, 2)[::-1], motion_grid(2, 2)[:, ::-1]])
    got = convolve_varying(images, grids)
    for n in range(3):
        np.testing.assert_array_equal(got[n : n + 1], convolve_varying(images[n : n + 1], grids[n]))
    np.testing.assert_array_equal(convolve_varying(images[..., 0], grids), got[..., 0])
    np.testing.assert_array_equal(convolve_varying(images, grids, "nearest"), got)


def test_the_point_spread_at_a_cells_centre_is_the_cells():
    image = np.zeros((1, 45, 45), np.float32)
    image[0, 22, 22] = 1
    grid = motion_grid(3, 3)
    spread = convolve_varying(image, grid)[0, 18:27, 18:27]
    # from the centre on, each pixel's own PSF is mixed with the neighbours'
    assert spread[4, 4] == pytest.approx(grid[1, 1, 4, 4], abs=1e-6)
    one = convolve_varying(in_floats(texture(1, 45, 45)), grid)[0, 22, 22, 0]
    assert one == pytest.approx(convolve(in_floats(texture(1, 45, 45)), grid[1, 1])[0, 22, 22, 0], abs=1e-3)


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(BORDERS),
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from([psf.motion(9, 33), psf.disk(3), psf.gaussian(7, 1.5), psf.box(5), psf.disk(9.5)]),
    st.sampled_from([1, 3]),
)
def test_a_grid_of_equal_psfs_is_a_convolution(rows, columns, border, height, width, kernel, channels):
    images = texture(2, height, width, channels)
    grid = np.broadcast_to(kernel, (rows, columns, *kernel.shape))
    expected = convolve(images, kernel, border).astype(int)
    assert abs(convolve_varying(images, grid, border) - expected).max() <= 1
    floats = in_floats(images) / np.float32(255)
    np.testing.assert_allclose(
        convolve_varying(floats, grid, border), convolve(floats, kernel, border), atol=1e-4
    )


def test_a_grid_turned_with_its_image():
    images, grid = texture(1, 24, 30, 3), motion_grid(2, 3)
    got = convolve_varying(images, grid).astype(int)
    across = convolve_varying(images.swapaxes(1, 2), grid.swapaxes(0, 1).swapaxes(2, 3)).swapaxes(1, 2)
    assert abs(across - got).max() <= 1
    turned = convolve_varying(images[:, ::-1, ::-1], grid[::-1, ::-1, ::-1, ::-1])[:, ::-1, ::-1]
    assert abs(turned - got).max() <= 1


@pytest.mark.parametrize("kernel", [MOTION, DISK, {"gaussian": {"sigma": {"uniform": [0.5, 2]}}}], ids=str)
def test_the_stage_draws_every_cell(kernel):
    images = texture(3, 20, 26, 3)
    got, params = applied(images, "varying", {"blur": kernel, "rows": 2, "columns": 2}, seed=9)
    ((kind, _),) = kernel.items()
    alone = recipe(kernel).stages[0]
    names = list(alone.sample(recipe(kernel).draws(0, np.arange(1))))
    assert set(params) == {f"{cell}.{kind}.{name}" for cell in range(4) for name in names}
    chosen = recipe({"varying": {"blur": kernel, "rows": 2, "columns": 2}})
    draws = chosen.draws(9, np.arange(3)).stage(0)
    cells = []
    for cell in range(4):
        own = {name: params[f"{cell}.{kind}.{name}"] for name in names}
        cells.append(alone.psfs(own, draws.stage(cell)))
    for n in range(3):
        own = np.stack([np.broadcast_to(psfs, (3, *psfs.shape[1:]))[n] for psfs in cells])
        grid = own.reshape(2, 2, *own.shape[1:])
        np.testing.assert_array_equal(got[n : n + 1], convolve_varying(images[n : n + 1], grid))


def test_cells_are_drawn_independently():
    chosen = recipe({"varying": {"blur": MOTION, "rows": 2, "columns": 2}})
    params = chosen.sample(chosen.draws(3, np.arange(2000)))
    angles = np.stack([params[f"0.varying.{cell}.motion.angle"] for cell in range(4)])
    correlation = np.corrcoef(angles) - np.eye(4)
    assert abs(correlation).max() < 0.1


def test_the_border_is_the_blurs():
    images = texture(1, 12, 12, 1)
    kernel = {"box": {"size": 5, "border": "wrap"}}
    got, _ = applied(images, "varying", {"blur": kernel, "rows": 2, "columns": 1})
    assert abs(got.astype(int) - convolve(images, psf.box(5), "wrap")).max() <= 1


def path_steps(distance):
    return 1 + math.ceil(2 * distance)


def by_samples(image, centre, turns, border):
    """The mean of samples at ``centre + turn · (pixel − centre)``, points as complex numbers."""
    height, width, channels = image.shape
    y, x = np.indices((height, width))
    at = centre + turns[:, None, None] * (x + 1j * y - centre)
    planes = [
        scipy.ndimage.map_coordinates(
            image[..., c].astype(np.float64), [at.imag, at.real], order=1, mode=MODES[border]
        ).mean(axis=0)
        for c in range(channels)
    ]
    return np.stack(planes, axis=-1)


def centre_and_distance(shape, params, n):
    height, width = shape[1:3]
    centre = params["centre_x"][n] * width - 0.5 + 1j * (params["centre_y"][n] * height - 0.5)
    corners = np.array([0, width - 1, 1j * (height - 1), width - 1 + 1j * (height - 1)])
    return centre, abs(corners - centre).max()


def roll_reference(images, params, border):
    out = []
    for n, image in enumerate(images):
        centre, distance = centre_and_distance(images.shape, params, n)
        angle = math.radians(params["angle"][n])
        count = path_steps(distance * angle)
        out.append(
            by_samples(image, centre, np.exp(1j * angle * ((np.arange(count) + 0.5) / count - 0.5)), border)
        )
    return np.stack(out)


def zoom_reference(images, params, border):
    out = []
    for n, image in enumerate(images):
        centre, distance = centre_and_distance(images.shape, params, n)
        factor = params["factor"][n]
        count = path_steps(distance * (factor**0.5 - factor**-0.5))
        out.append(by_samples(image, centre, factor ** (0.5 - (np.arange(count) + 0.5) / count) + 0j, border))
    return np.stack(out)


ANYWHERE = {"centre_x": {"uniform": [0, 1]}, "centre_y": {"uniform": [0, 1]}}
PATHS = {
    "roll": (roll_reference, {"angle": {"uniform": [0, 30]}}),
    "zoom_motion": (zoom_reference, {"factor": {"uniform": [1, 2]}}),
}


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(4, 20, 33, 3), (2, 9, 16, 1), (2, 1, 7, 1), (1, 40, 3, 3)], ids=str)
@pytest.mark.parametrize("kind", PATHS)
def test_paths_are_means_of_bilinear_samples(kind, shape, border):
    reference, body = PATHS[kind]
    images = texture(*shape)
    got, params = applied(images, kind, {**body, **ANYWHERE, "border": border}, seed=5)
    exact = reference(images, params, border)
    assert_bytes(got, exact)
    floats, _ = applied(in_floats(images), kind, {**body, **ANYWHERE, "border": border}, seed=5)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, exact, atol=2e-3)


@given(st.floats(0, 30), st.floats(0, 1), st.floats(0, 1), st.integers(1, 40), st.integers(1, 40))
def test_any_roll_is_its_samples(angle, x, y, height, width):
    images = texture(1, height, width, 1)
    got, params = applied(images, "roll", {"angle": angle, "centre_x": x, "centre_y": y})
    assert_bytes(got, roll_reference(images, params, "replicate"))


@given(st.floats(1, 2), st.floats(0, 1), st.floats(0, 1), st.integers(1, 40), st.integers(1, 40))
def test_any_zoom_is_its_samples(factor, x, y, height, width):
    images = texture(1, height, width, 1)
    got, params = applied(images, "zoom_motion", {"factor": factor, "centre_x": x, "centre_y": y})
    assert_bytes(got, zoom_reference(images, params, "replicate"))


def test_roll_is_opencvs_mean_of_turned_images():
    image = cv2.GaussianBlur(texture(1, 64, 64, 3)[0], (0, 0), 2).astype(np.float32)
    got, _ = applied(image[None], "roll", {"angle": 8})
    count = path_steps(math.radians(8) * math.hypot(31.5, 31.5))
    turned = [
        cv2.warpAffine(
            image,
            cv2.getRotationMatrix2D((31.5, 31.5), 8 * ((i + 0.5) / count - 0.5), 1.0),
            (64, 64),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for i in range(count)
    ]
    # some versions of OpenCV round coordinates to 1/32 pixel
    assert abs(got[0] - np.mean(turned, axis=0)).max() < 0.5


def test_a_point_becomes_an_arc():
    images = np.zeros((1, 101, 101), np.float32)
    images[0, 50, 90] = 1
    got, _ = applied(images[..., None], "roll", {"angle": 30})
    y, x = np.nonzero(got[0, ..., 0] > 1e-3)
    assert abs(np.hypot(y - 50, x - 50) - 40).max() < 1.5
    turned = np.degrees(np.arctan2(y - 50, x - 50))
    assert turned.min() == pytest.approx(-15, abs=1.5)
    assert turned.max() == pytest.approx(15, abs=1.5)
    assert got.sum() == pytest.approx(1, abs=0.02)


def test_a_point_becomes_a_ray():
    images = np.zeros((1, 121, 121), np.float32)
    images[0, 60, 100] = 1
    got, _ = applied(images[..., None], "zoom_motion", {"factor": 1.44})
    y, x = np.nonzero(got[0, ..., 0] > 1e-3)
    assert abs(y - 60).max() <= 1
    assert x.min() - 60 == pytest.approx(40 / 1.2, abs=1.5)
    assert x.max() - 60 == pytest.approx(40 * 1.2, abs=1.5)


@pytest.mark.parametrize("kind", PATHS)
def test_paths_turned_and_transposed_with_the_image(kind):
    images = texture(2, 26, 26, 3)
    body = {"roll": {"angle": 12}, "zoom_motion": {"factor": 1.3}}[kind]
    got = applied(images, kind, body)[0].astype(int)
    for change in (
        lambda a: a.swapaxes(1, 2),
        lambda a: np.rot90(a, axes=(1, 2)),
        lambda a: a[:, ::-1],
        lambda a: a[:, :, ::-1],
    ):
        other, _ = applied(np.ascontiguousarray(change(images)), kind, body)
        assert abs(other - change(got)).max() <= 1


def test_roll_keeps_the_light():
    y, x = np.indices((81, 81))
    image = np.exp(-((x - 50) ** 2 + (y - 44) ** 2) / 60).astype(np.float32) * 200
    got, _ = applied(image[None, ..., None], "roll", {"angle": 25})
    assert got.sum() == pytest.approx(float(image.sum()), rel=1e-3)


def outline(params, waves, n, height, width):
    """The mask of sample n, by angles."""
    centre_x, centre_y = params["centre_x"][n] * width - 0.5, params["centre_y"][n] * height - 0.5
    y, x = np.indices((height, width))
    distance, phi = np.hypot(x - centre_x, y - centre_y), np.arctan2(y - centre_y, x - centre_x)
    radius = 1.0
    for k in range(2, 6):
        radius = radius + waves[n, 2 * k - 4] * np.cos(k * phi) + waves[n, 2 * k - 3] * np.sin(k * phi)
    radius = radius * params["size"][n] * min(height, width)
    return np.clip(0.5 + (radius - distance) / params["softness"][n], 0, 1)


def waves_of(chosen, params, draws):
    own = draws.stage(0)
    total = 2 * (1 / 2 + 1 / 3 + 1 / 4 + 1 / 5)
    uniform = np.stack([own.uniform(16 + i) for i in range(8)], axis=1)
    k = np.repeat(np.arange(2, 6), 2)
    return (2 * uniform - 1) * params["roughness"][:, None] / (total * k)


@pytest.mark.parametrize("kernel", [MOTION, DISK, {"disk": {"radius": 9.5}}, {"box": {"size": 4}}], ids=str)
@pytest.mark.parametrize("border", ["replicate", "reflect", "constant"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_object_moves_before_its_background(kernel, border, channels):
    images = texture(4, 25, 31, channels)
    ((kind, fields),) = kernel.items()
    body = {
        "blur": {kind: {**fields, "border": border}},
        **ANYWHERE,
        "size": {"uniform": [0.05, 0.6]},
        "roughness": {"uniform": [0, 0.9]},
        "softness": {"uniform": [1, 9]},
    }
    chosen = recipe({"object_motion": body})
    draws = chosen.draws(4, np.arange(4))
    got, params = applied(images, "object_motion", body, seed=4)
    floats, _ = applied(in_floats(images), "object_motion", body, seed=4)
    alone = recipe(kernel).stages[0]
    own = {name.removeprefix(f"0.{kind}."): v for name, v in params.items() if name.startswith(f"0.{kind}.")}
    psfs = np.broadcast_to(alone.psfs(own, draws), (4, alone.psf_size, alone.psf_size))
    waves = waves_of(chosen, params, draws)
    for n in range(4):
        mask = outline(params, waves, n, 25, 31)[..., None]
        layers = np.concatenate([mask * images[n], mask], axis=2)
        moved = gathered(layers, lambda y, x, n=n: psfs[n], border)
        exact = moved[..., :-1] + (1 - moved[..., -1:]) * images[n]
        np.testing.assert_allclose(floats[n], exact, atol=3e-3)
        assert abs(got[n] - exact).max() < 0.503


def test_the_background_stays_sharp():
    images = texture(1, 60, 60, 3)
    body = {"blur": {"motion": {"length": 9, "angle": 0}}, "centre_x": 0.5, "centre_y": 0.5, "size": 0.2}
    got, _ = applied(images, "object_motion", body)
    y, x = np.indices((60, 60))
    far = np.hypot(x - 29.5, y - 29.5) > 12 + 6
    np.testing.assert_array_equal(got[0][far], images[0][far])
    inside = np.hypot(x - 29.5, y - 29.5) < 12 - 6
    expected = convolve(images, psf.motion(9, 0))
    assert abs(got[0][inside].astype(int) - expected[0][inside]).max() <= 1


def test_an_object_before_black_keeps_its_light():
    image = np.zeros((1, 41, 41, 1), np.float32)
    y, x = np.indices((41, 41))
    image[0, np.hypot(x - 20, y - 20) < 8, 0] = 200
    body = {"blur": {"motion": {"length": 7, "angle": 30}}, "centre_x": 0.5, "centre_y": 0.5, "size": 0.45}
    got, _ = applied(image, "object_motion", body)
    assert got.sum() == pytest.approx(float(image.sum()), rel=1e-5)


def test_outlines_differ_from_sample_to_sample():
    images = np.broadcast_to(
        (np.indices((40, 40)).sum(0) % 2 * 255).astype(np.uint8)[..., None], (5, 40, 40, 1)
    )
    body = {"blur": DISK, "centre_x": 0.5, "centre_y": 0.5, "size": 0.3, "roughness": 0.6}
    got, _ = applied(np.ascontiguousarray(images), "object_motion", body)
    areas = [(got[n] != images[n]).sum() for n in range(5)]
    assert len(set(areas)) > 3


def disc_psf(radius, reach):
    """The mix of two discs that the stage defines, (2·reach + 1) square."""
    out = np.zeros((2 * reach + 1, 2 * reach + 1))
    quarters = max(4 * radius, 2)
    lower = math.floor(quarters)
    for number, weight in ((lower, 1 - (quarters - lower)), (lower + 1, quarters - lower)):
        disc = psf.disk(number / 4)
        margin = reach - len(disc) // 2
        out[margin : margin + len(disc), margin : margin + len(disc)] += weight * disc
    return out


def depth_reference(image, near, far, angle, border):
    height, width, _ = image.shape
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [x * c - y * s for x in (0, width - 1) for y in (0, height - 1)]
    low, high = min(corners), max(corners)
    reach = math.ceil(max(abs(near), abs(far))) + 1

    def psf_at(y, x):
        t = (x * c - y * s - low) / (high - low) if high > low + 1e-9 else 0.5
        return disc_psf(abs(near + (far - near) * t), reach)

    return gathered(image, psf_at, border)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(
    ("near", "far", "angle"), [(0, 5, 30), (-2, 3.3, 200), (4, 4, 0), (6, 0.2, -90), (0.7, 1.4, 137)]
)
def test_depth_is_every_pixel_by_its_own_disc(near, far, angle, border):
    images = texture(2, 17, 23, 3)
    body = {"near": near, "far": far, "angle": angle, "border": border}
    got, _ = applied(images, "depth_blur", body)
    floats, _ = applied(in_floats(images), "depth_blur", body)
    for n in range(2):
        exact = depth_reference(images[n], near, far, angle, border)
        np.testing.assert_allclose(floats[n], exact, atol=2e-3)
    np.testing.assert_array_equal(got, rounded(floats))


@pytest.mark.parametrize("radius", [0.5, 0.75, 1, 2.25, 5, 10, 32])
def test_equal_radii_are_defocus(radius):
    images = texture(1, 40, 40, 3)
    got, _ = applied(images, "depth_blur", {"near": radius, "far": radius, "angle": 0})
    assert abs(got.astype(int) - convolve(images, psf.disk(radius))).max() <= 1


@pytest.mark.parametrize("radius", [0.6, 0.9, 1.6, 3.1, 10.1])
def test_discs_between_are_nearly_discs(radius):
    exact = np.pad(psf.disk(radius), 2)
    mixed = disc_psf(radius, len(exact) // 2)
    assert abs(mixed - exact).sum() / 2 < 0.05
    rows = np.arange(len(exact)) - len(exact) // 2
    assert (mixed.sum(axis=1) * rows**2).sum() == pytest.approx((exact.sum(axis=1) * rows**2).sum(), abs=0.03)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_depth_of_small_images(height, width):
    images = texture(1, height, width, 1)
    got, _ = applied(images, "depth_blur", {"near": 1, "far": 9, "angle": 45})
    assert abs(got[0] - depth_reference(images[0], 1, 9, 45, "replicate")).max() < 0.501


def test_depth_mirrored_with_the_image():
    images = texture(1, 30, 24, 3)
    got = applied(images, "depth_blur", {"near": 1, "far": 6, "angle": 33})[0].astype(int)
    across, _ = applied(
        np.ascontiguousarray(images[:, :, ::-1]), "depth_blur", {"near": 1, "far": 6, "angle": 147}
    )
    down, _ = applied(
        np.ascontiguousarray(images[:, ::-1]), "depth_blur", {"near": 1, "far": 6, "angle": -33}
    )
    back, _ = applied(images, "depth_blur", {"near": 6, "far": 1, "angle": 213})
    for other in (across[:, :, ::-1], down[:, ::-1], back):
        assert abs(other - got).max() <= 1


def test_depth_goes_from_near_to_far():
    images = texture(1, 64, 64, 1)
    got, _ = applied(images, "depth_blur", {"near": 0, "far": 8, "angle": 90})
    # anticlockwise from the x axis: far is above
    np.testing.assert_array_equal(got[0, -2:], images[0, -2:])
    roughness = abs(np.diff(got[0, ..., 0].astype(int), axis=1)).mean(axis=1)
    assert roughness[:8].mean() < 0.2 * roughness[-8:].mean()
    focus, _ = applied(images, "depth_blur", {"near": -4, "far": 4, "angle": 90})
    np.testing.assert_array_equal(focus[0, 31:33], images[0, 31:33])


@pytest.mark.parametrize("kind", UNMOVED)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 99))
def test_what_does_not_move_stays(kind, height, width, channels, seed):
    images = texture(2, height, width, channels)
    got, _ = applied(images, kind, UNMOVED[kind], seed)
    np.testing.assert_array_equal(got, images)
    floats = in_floats(images) * np.float32(1.37) - np.float32(20)
    got, _ = applied(floats, kind, UNMOVED[kind], seed)
    if kind == "varying":  # the windows sum to 1 but for rounding
        np.testing.assert_allclose(got, floats, rtol=1e-6)
    else:
        np.testing.assert_array_equal(got, floats)


@pytest.mark.parametrize("kind", STAGES)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255), st.integers(0, 99))
@settings(max_examples=40)
def test_constant_images_stay_constant(kind, height, width, value, seed):
    images = np.full((2, height, width, 1), value, np.uint8)
    got, _ = applied(images, kind, STAGES[kind], seed)
    np.testing.assert_array_equal(got, images)
    floats, _ = applied(in_floats(images), kind, STAGES[kind], seed)
    np.testing.assert_allclose(floats, value, rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", STAGES)
@given(st.integers(1, 5), st.integers(0, 1000), st.sampled_from([1, 3]), st.booleans())
@settings(max_examples=15)
def test_a_row_depends_on_itself_alone(kind, count, start, channels, floats):
    images = texture(count, 21, 19, channels)
    images = in_floats(images) if floats else images
    whole, _ = applied(images, kind, STAGES[kind], 7, start)
    for n in range(count):
        alone, _ = applied(images[n : n + 1].copy(), kind, STAGES[kind], 7, start + n)
        np.testing.assert_array_equal(alone[0], whole[n])


@pytest.mark.parametrize("kind", STAGES)
def test_channels_are_alike(kind):
    images = np.ascontiguousarray(np.repeat(texture(2, 20, 20, 1), 3, axis=3))
    got, _ = applied(images, kind, STAGES[kind])
    one, _ = applied(images[..., :1].copy(), kind, STAGES[kind])
    for c in range(3):
        assert abs(got[..., c].astype(int) - one[..., 0]).max() <= 1


@pytest.mark.parametrize("kind", STAGES)
def test_bytes_are_the_floats_rounded(kind):
    images = texture(3, 24, 35, 3)
    before = images.copy()
    got, _ = applied(images, kind, STAGES[kind])
    floats, _ = applied(in_floats(images), kind, STAGES[kind])
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(got, rounded(floats))
    assert abs(got.astype(int) - images).max() > 20


@pytest.mark.parametrize("kind", STAGES)
def test_light_beyond_white_and_below_black(kind):
    images = in_floats(texture(2, 20, 20, 3)) * np.float32(4) - np.float32(100)
    got, _ = applied(images, kind, STAGES[kind])
    plain, _ = applied(in_floats(texture(2, 20, 20, 3)), kind, STAGES[kind])
    np.testing.assert_allclose(got, plain * 4 - 100, atol=0.01)


@pytest.mark.parametrize("kind", STAGES)
def test_in_a_recipe(kind):
    chosen = recipe({kind: STAGES[kind]}, {"gaussian_noise": {"sigma": 3}})
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen
    assert Recipe.from_dict(chosen.to_dict()) == chosen
    assert kind in Recipe.json_schema()["$defs"]["Stage"]["oneOf"][list_of_kinds().index(kind)]["properties"]
    images = texture(3, 24, 24, 3)
    pairs = degrade(images, chosen, seed=2, threads=2)
    np.testing.assert_array_equal(pairs.sharp, images)
    np.testing.assert_array_equal(pairs.blurred, degrade(images, chosen, seed=2).blurred)
    with pytest.raises(InputError, match=f"'{kind}' does not blur by one PSF"):
        chosen.psfs(pairs.params, chosen.draws(2, np.arange(3)))


def list_of_kinds():
    return [next(iter(c["properties"])) for c in Recipe.json_schema()["$defs"]["Stage"]["oneOf"]]


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (
            {"varying": {"blur": MOTION, "rows": 8, "columns": 1}},
            r"\(varying\): rows: 8: .*less than or equal to 7",
        ),
        ({"varying": {"blur": MOTION, "rows": 0, "columns": 1}}, r"rows: 0: .*greater than or equal to 1"),
        ({"varying": {"rows": 2, "columns": 1}}, r"\(varying\): .*field required"),
        (
            {"varying": {"blur": {"motoin": {}}, "rows": 2, "columns": 1}},
            r"stage 0 \(varying\): blur: 'motoin' is no stage \(did you mean 'motion'\?\)",
        ),
        (
            {"varying": {"blur": {"gaussian_noise": {"sigma": 2}}, "rows": 2, "columns": 1}},
            r"blur: 'gaussian_noise' is no blur by one PSF for the whole image",
        ),
        (
            {"object_motion": {"blur": {"disk": {"radius": -1}}, **OBJECT}},
            r"blur \(disk\): radius: -1: .*0 … 400",
        ),
        (
            {"object_motion": {"blur": {"roll": {"angle": 3}}, **OBJECT}},
            r"blur: 'roll' is no blur by one PSF for the whole image",
        ),
        ({"object_motion": {"blur": DISK, **OBJECT, "softness": 0}}, r"softness: 0: .*1 … 100"),
        ({"roll": {"angle": 31}}, r"angle: 31: .*0 … 30"),
        ({"roll": {"angle": 3, "centre_x": 1.5}}, r"centre_x: 1.5: .*0 … 1"),
        ({"zoom_motion": {"factor": 0.9}}, r"factor: 0.9: .*1 … 2"),
        ({"depth_blur": {"near": 0, "far": 33, "angle": 0}}, r"far: 33: .*-32 … 32"),
        ({"depth_blur": {"near": 0, "far": 3, "angle": 0, "border": "no"}}, r"border: 'no'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_recipes_that_are_refused(stage, message):
    with pytest.raises(RecipeError, match=message):
        recipe(stage)


def test_nesting_has_an_end():
    nested = {"varying": {"blur": MOTION, "rows": 1, "columns": 1}}
    for _ in range(3):
        nested = {"maybe": {"probability": 1, "stages": [nested]}}
    assert recipe(nested).stages[0].levels == 5
    degrade(texture(1, 8, 8), recipe(nested))
    with pytest.raises(RecipeError, match="6 levels deep"):
        recipe({"maybe": {"probability": 1, "stages": [nested]}})


@pytest.mark.parametrize(
    ("images", "psfs", "border", "message"),
    [
        (
            texture(2, 8, 8),
            np.ones((3, 3)),
            "replicate",
            r"shape \(3, 3\); \(R, S, h, w\) or \(2, R, S, h, w\)",
        ),
        (texture(2, 8, 8), np.ones((3, 1, 1, 1, 1)), "replicate", r"\(2, R, S, h, w\) is needed"),
        (texture(2, 8, 8), np.ones((0, 1, 1, 1)), "replicate", r"is needed"),
        (texture(2, 8, 8), np.full((2, 2, 3, 3), 0.2), "replicate", r"PSF 0 sums to 1.8"),
        (texture(2, 8, 8), -np.ones((1, 1, 1, 1)), "replicate", r"PSF 0 holds negative values"),
        (texture(2, 8, 8), np.ones((1, 1, 1, 1)), "around", r"border 'around'"),
        (texture(2, 8, 8).astype(float), np.ones((1, 1, 1, 1)), "wrap", r"float64; uint8 or float32"),
        (texture(2, 8, 8)[0, 0], np.ones((1, 1, 1, 1)), "wrap", r"images have the shape"),
    ],
    ids=str,
)
def test_convolutions_that_are_refused(images, psfs, border, message):
    with pytest.raises(InputError, match=message):
        convolve_varying(images, psfs, border)
