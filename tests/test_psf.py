import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
import scipy.integrate
import scipy.io
import scipy.signal
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image
from shared_data import shared

from blurgen import psf
from blurgen.errors import InputError

EPS = 2.0**-52
LENGTHS = st.floats(-5, 60)
ANGLES = st.one_of(st.floats(-1e4, 1e4), st.integers(-1000, 1000).map(lambda n: 5.0 * n))


def matlab_motion(length, angle):
    """fspecial('motion', …) from its description, whole arrays at a time and with NumPy's functions."""
    length = max(1.0, length)
    half = (length - 1) / 2
    turn = math.fmod(angle, 180)
    turn = turn + 180 if turn < 0 else turn
    phi = (turn if turn < 180 else 0) / 180 * math.pi
    c, s = math.cos(phi), math.sin(phi)
    sx = abs(math.trunc(half * c + np.sign(c) - length * EPS))
    sy = math.trunc(half * s + 1 - length * EPS)
    y, x = np.mgrid[sy : -sy - 1 : -1, -sx : sx + 1].astype(np.float64)
    along, across = x * c + y * s, abs(y * c - x * s)
    to_end = np.hypot(across, half - abs(along))
    distance = np.where(np.hypot(x, y) >= half, to_end, across)
    weights = np.maximum(0, 1 + EPS - distance)
    return weights / (weights.sum() + EPS * length**2)


def centroid(kernel):
    rows, columns = np.indices(kernel.shape)
    return (kernel * rows).sum(), (kernel * columns).sum()


@pytest.mark.parametrize("angle", range(0, 360, 10))
def test_motion_equals_the_images_that_matlab_wrote(angle):
    with Image.open(shared("reference", "matlab-fspecial-motion", f"len5_angle{angle}.png")) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(np.floor(psf.motion(5, angle) * 255 + 0.5), expected)


@pytest.mark.parametrize(
    ("angle", "rows"),
    [
        (0, "51 51 51 51 51"),
        (30, "0 0 7 32 37 / 0 25 51 25 0 / 37 32 7 0 0"),
        (45, "0 0 0 13 8 / 0 0 13 45 13 / 0 13 45 13 0 / 13 45 13 0 0 / 8 13 0 0 0"),
        (90, "51 / 51 / 51 / 51 / 51"),
    ],
)
def test_motion_of_length_5(angle, rows):
    expected = [[int(value) for value in row.split()] for row in rows.split("/")]
    np.testing.assert_array_equal(np.floor(psf.motion(5, angle) * 255 + 0.5), expected)


@given(LENGTHS, ANGLES)
@example(5.0, 120.0)
@example(3.0, 180.0)
@example(1.0, 45.0)
@example(7.0, -1e-300)
@example(9.0, 90.0)
@example(9.0, 270.0)
@example(23.0, 150.0)
def test_motion_equals_the_slow_formula(length, angle):
    expected = matlab_motion(length, angle)
    got = psf.motion(length, angle)
    assert got.shape == expected.shape
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.fuzz
@pytest.mark.parametrize("angle", [*range(0, 361, 5), 0.001, 89.999, 90.001, 179.999])
def test_motion_equals_the_slow_formula_at_many_lengths(angle):
    for length in np.concatenate([np.arange(1, 300, 1.0), np.arange(1, 60, 0.37)]):
        expected = matlab_motion(length, angle)
        got = psf.motion(length, angle)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@given(LENGTHS, ANGLES)
def test_laws_of_motion(length, angle):
    kernel = psf.motion(length, angle)
    height, width = kernel.shape
    assert height % 2 == width % 2 == 1
    assert max(kernel.shape) <= psf.motion_size(length)
    assert (kernel >= 0).all()
    assert kernel.sum() == pytest.approx(1, abs=1e-11)
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])
    np.testing.assert_allclose(centroid(kernel), (height // 2, width // 2), atol=1e-9)


@given(LENGTHS, st.integers(-720, 720), st.integers(-5, 5))
def test_half_turns_change_nothing(length, angle, turns):
    np.testing.assert_array_equal(psf.motion(length, angle), psf.motion(length, angle + 180 * turns))


@given(st.floats(1, 60), st.floats(0, 180, exclude_min=True, exclude_max=True))
def test_opposite_angles_are_mirror_images(length, angle):
    size = psf.motion_size(length)
    one = psf.embedded(psf.motion(length, angle), size)
    other = psf.embedded(psf.motion(length, -angle), size)
    np.testing.assert_allclose(one, other[:, ::-1], atol=1e-6)


@given(st.floats(1, 50), st.floats(0, 10), ANGLES)
def test_longer_motion_reaches_at_least_as_far(length, more, angle):
    short, long = psf.motion(length, angle).shape, psf.motion(length + more, angle).shape
    assert short[0] <= long[0]
    assert short[1] <= long[1]


def test_motion_below_1_is_a_point():
    for length in (-1e6, -3, 0, 0.5, 1):
        kernel = psf.motion(length, 20)
        assert kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] > 0.999999999
    assert psf.motion(1, 0) == pytest.approx(np.ones((1, 1)), abs=1e-15)


@given(st.lists(st.tuples(st.floats(1, 40), ANGLES), min_size=1, max_size=6), st.integers(0, 3))
def test_motion_batch_is_motion_embedded(lines, more):
    length, angle = (np.array(column) for column in zip(*lines, strict=True))
    size = psf.motion_size(length.max()) + 2 * more
    batch = psf.motion_batch(length, angle, size)
    assert batch.dtype == np.float32
    assert batch.shape == (len(lines), size, size)
    for one, line in zip(batch, lines, strict=True):
        np.testing.assert_array_equal(one, psf.embedded(psf.motion(*line), size))
    out = np.full_like(batch, 7)
    assert psf.motion_batch(length, angle, size, out) is out
    np.testing.assert_array_equal(out, batch)


def test_motion_at_its_longest():
    kernel = psf.motion(4093, 30)
    assert max(kernel.shape) <= 4095
    assert kernel.sum() == pytest.approx(1, abs=1e-8)


def test_motion_refuses():
    for arguments, message in [
        ((math.nan, 0), "length nan: a number from -1e+06 to 4093 is needed"),
        ((4094, 0), "length 4094: a number from -1e+06 to 4093 is needed"),
        ((5, math.inf), "angle inf: a number from -1e+09 to 1e+09 is needed"),
        ((5, 2e9), "angle 2000000000.0: a number from -1e+09 to 1e+09 is needed"),
    ]:
        with pytest.raises(InputError) as caught:
            psf.motion(*arguments)
        assert str(caught.value) == message


@given(st.integers(1, 25), st.integers(1, 25), st.floats(0.01, 30))
@example(9, 8, 0.3)
@example(11, 11, 0.01)
def test_gaussian_equals_the_slow_formula(rows, columns, sigma):
    y = np.arange(rows) - (rows - 1) / 2
    x = np.arange(columns) - (columns - 1) / 2
    weights = np.exp(-(x**2 + y[:, None] ** 2) / (2 * sigma**2))
    weights[weights < EPS * weights.max()] = 0
    assume(weights.max() > 1e-300)
    got = psf.gaussian((rows, columns), sigma)
    np.testing.assert_allclose(got, weights / weights.sum(), rtol=0, atol=2e-14)
    np.testing.assert_array_equal(got, got[::-1, ::-1])


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1, 2), [[0.5, 0.5]]), ((2, 2), [[0.25, 0.25]] * 2), ((1, 4), [[0, 0.5, 0.5, 0]]), (1, [[1.0]])],
)
def test_narrow_gaussians_on_even_grids(size, expected):
    np.testing.assert_array_equal(psf.gaussian(size, 0.01), expected)


@pytest.mark.parametrize(("size", "sigma"), [(5, 1.0), (31, 4.2), (30, 3.0)])
def test_gaussian_equals_scipys(size, sigma):
    profile = scipy.signal.windows.gaussian(size, sigma)
    expected = np.outer(profile, profile) / profile.sum() ** 2
    np.testing.assert_allclose(psf.gaussian(size, sigma), expected, atol=1e-13)


def rendered_gaussians(sizes, sigmas):
    sizes, sigmas = np.array(sizes, np.int64), np.array(sigmas, np.float64)
    return psf.gaussian_batch(sizes, sigmas, int(sizes.max()))


@pytest.mark.parametrize("size", range(1, 32, 2))
def test_gaussian_batch_has_opencvs_kernels(size):
    for sigma in (0.4, 1.0, 3.7):
        taps = cv2.getGaussianKernel(size, sigma)
        (got,) = rendered_gaussians([size], [sigma])
        np.testing.assert_allclose(got, taps @ taps.T, atol=1e-7)
    # OpenCV has tables for small sizes, of which later versions have more
    taps = cv2.getGaussianKernel(size, 0 if size <= 7 else psf.opencv_sigma(size))
    (got,) = rendered_gaussians([size], [0])
    np.testing.assert_allclose(got, taps @ taps.T, atol=1e-7)
    assert psf.opencv_sigma(size) == pytest.approx(0.3 * ((size - 1) / 2 - 1) + 0.8)


@pytest.mark.parametrize("size", range(1, 32, 2))
def test_opencvs_gaussian_blur_of_bytes(size):
    image = np.random.default_rng(size).integers(0, 256, (64, 64), np.uint8)
    (kernel,) = rendered_gaussians([size], [0])
    padded = np.pad(image.astype(float), size // 2, "reflect")
    exact = scipy.signal.convolve2d(padded, kernel.astype(float), "valid")
    blurred = cv2.GaussianBlur(image, (size, size), 0)
    # OpenCV takes its taps in fixed point, of 8 bits
    assert abs(blurred - exact).max() < (0.501 if size <= 7 else 2)


def test_gaussian_batch_centres_smaller_ones():
    batch = rendered_gaussians([3, 9, 5, 1], [0.7, 2.0, 0.0, 5.0])
    assert batch.shape == (4, 9, 9)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0], psf.embedded(psf.gaussian(3, 0.7), 9), atol=1e-7)
    np.testing.assert_allclose(batch[1], psf.gaussian(9, 2.0), atol=1e-7)
    taps = np.array([1, 4, 6, 4, 1]) / 16
    np.testing.assert_array_equal(batch[2], psf.embedded(np.outer(taps, taps), 9))
    np.testing.assert_array_equal(batch[3], psf.embedded(np.ones((1, 1)), 9))


@pytest.mark.parametrize("sigma", [1e-200, 1e-160, 1e-10, 1e-3])
def test_the_narrowest_gaussian_is_a_point(sigma):
    (got,) = rendered_gaussians([9], [sigma])
    np.testing.assert_array_equal(got, psf.embedded(np.ones((1, 1)), 9))


def covered_area(left, bottom, radius):
    """The area of a disc about 0 within [left, left + 1] × [bottom, bottom + 1], by numerical integration."""

    def height(u):
        return min(max(math.sqrt(max(0.0, radius**2 - u**2)) - bottom, 0.0), 1.0)

    kinks = [math.sqrt(radius**2 - edge**2) for edge in (0, bottom, bottom + 1) if edge < radius]
    points = sorted({left, left + 1, *(kink for kink in kinks if left < kink < left + 1)})
    return sum(scipy.integrate.quad(height, a, b, epsabs=1e-11)[0] for a, b in pairwise(points))


def slow_disk(radius):
    reach = max(0, math.ceil(radius - 0.5))
    # cells of half a pixel, so that none straddles an axis: the centre pixel holds cell 0 twice
    cells = [(0, 0), *((2 * n - 1, 2 * n) for n in range(1, reach + 1))]
    table = np.array(
        [[covered_area(i, j, 2 * radius) for i in range(2 * reach + 1)] for j in range(2 * reach + 1)]
    )
    quadrant = np.array([[table[np.ix_(rows, columns)].sum() for columns in cells] for rows in cells])
    upper = np.hstack([quadrant[:, :0:-1], quadrant])
    whole = np.vstack([upper[:0:-1], upper])
    return whole / whole.sum()


@pytest.mark.parametrize("radius", [0.51, 0.6, 0.7071, 0.75, 1.0, 1.5, 1.5000001, 2.3, 3.0, 4.77, 6.5, 7.0])
def test_disk_equals_the_covered_areas(radius):
    expected = slow_disk(radius)
    got = psf.disk(radius)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


def test_disk_equals_matlabs_known_values():
    corner, side, centre = 0.0251, 0.1453, 0.3183
    expected = [[corner, side, corner], [side, centre, side], [corner, side, corner]]
    np.testing.assert_allclose(psf.disk(1), expected, atol=5e-5)
    assert psf.disk(1)[1, 1] == pytest.approx(1 / math.pi, abs=1e-12)


@given(st.floats(0, 80))
@example(0.5)
@example(0.0)
@example(400.0)
def test_laws_of_disks(radius):
    kernel = psf.disk(radius)
    assert kernel.shape == (2 * max(0, math.ceil(radius - 0.5)) + 1,) * 2
    assert (kernel >= 0).all()
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    for other in (kernel.T, kernel[::-1], kernel[:, ::-1]):
        np.testing.assert_allclose(kernel, other, rtol=0, atol=1e-15)
    if radius > 0.5:
        # before it is divided by its sum, the whole disc is there
        y, x = np.indices(kernel.shape) - kernel.shape[0] // 2
        inside = np.hypot(abs(x) + 0.5, abs(y) + 0.5) <= radius
        np.testing.assert_allclose(kernel[inside] * math.pi * radius**2, 1, atol=1e-8)
        assert (
            kernel[np.hypot(np.maximum(abs(x) - 0.5, 0), np.maximum(abs(y) - 0.5, 0)) > radius] < 1e-12
        ).all()


def test_disk_batch_is_disk_embedded():
    radii = np.array([0.0, 0.4, 3.3, 6.0, 1.5])
    batch = psf.disk_batch(radii, 15)
    assert batch.dtype == np.float32
    for one, radius in zip(batch, radii, strict=True):
        np.testing.assert_allclose(one, psf.embedded(psf.disk(radius), 15), rtol=1e-6, atol=0)


@pytest.mark.parametrize("radius", [-0.1, 2047, math.nan])
def test_disk_refuses(radius):
    with pytest.raises(InputError, match=rf"^radius {radius}: a number from 0 to 2046 is needed$"):
        psf.disk(radius)


@pytest.mark.parametrize("size", [1, 4, (1, 7), (6, 2), np.int64(3)])
def test_box_is_equal_weights(size):
    shape = (size, size) if np.ndim(size) == 0 else size
    np.testing.assert_array_equal(psf.box(size), np.ones(shape) / np.prod(shape))


@pytest.mark.parametrize("size", [0, -1, 4096, (3,), (3, 3, 3), (0, 3), (3.0, 3), 2.5, "3", None])
def test_sizes_refused(size):
    for family in (psf.box, lambda size: psf.gaussian(size, 1.0)):
        with pytest.raises(InputError) as caught:
            family(size)
        assert str(caught.value) == (
            f"PSF size {size!r}: a whole number from 1 to 4095, or (rows, columns), is needed"
        )


@pytest.mark.parametrize("value", ["long", None, [1, 2], 1j])
def test_what_is_no_number_is_refused(value):
    for family, name in [
        (lambda x: psf.motion(x, 0), "length"),
        (lambda x: psf.motion(5, x), "angle"),
        (lambda x: psf.gaussian(3, x), "sigma"),
        (psf.disk, "radius"),
    ]:
        with pytest.raises(InputError, match=f"^{name} "):
            family(value)


@pytest.mark.parametrize("sigma", [0, 0.0099, 1001, -1, math.nan])
def test_gaussian_refuses(sigma):
    with pytest.raises(InputError, match=rf"^sigma {sigma}: a number from 0.01 to 1000 is needed$"):
        psf.gaussian(3, sigma)


def test_embedded_keeps_the_centre():
    for shape in [(1, 1), (2, 2), (3, 5), (4, 3), (6, 7)]:
        kernel = np.zeros(shape)
        kernel[shape[0] // 2, shape[1] // 2] = 1
        out = psf.embedded(kernel, 9)
        assert out.shape == (9, 9)
        assert out[4, 4] == out.sum() == 1


def test_composed_equals_full_convolution():
    random = np.random.default_rng(3)
    first, second = random.random((3, 5, 5)).astype(np.float32), random.random((3, 7, 7)).astype(np.float32)
    got = psf.composed(first, second)
    assert got.shape == (3, 11, 11)
    for out, one, other in zip(got, first, second, strict=True):
        np.testing.assert_allclose(out, scipy.signal.convolve2d(one, other), rtol=1e-5)


def off_by(kernel):
    return [abs(c - n // 2) for c, n in zip(centroid(kernel), kernel.shape, strict=True)]


def test_loads_levins_kernels():
    path = shared("reference", "levin2009", "kernels.npz")
    stack = psf.load_psfs(path)
    with np.load(path) as archive:
        kernels = [archive[f"k{n}"] for n in range(1, 9)]
    assert len(stack) == 8
    assert stack.shape[1] == stack.shape[2]
    assert stack.shape[1] % 2 == 1
    for one, kernel in zip(stack, kernels, strict=True):
        assert one.sum() == pytest.approx(1, abs=1e-12)
        assert max(off_by(one)) <= 0.5 + 1e-9
        # the same weights, moved
        rows, columns = np.nonzero(one)
        inside = one[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        rows, columns = np.nonzero(kernel)
        given_part = kernel[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        np.testing.assert_allclose(inside, given_part / given_part.sum(), rtol=1e-12)


def corner_psf(height, width):
    kernel = np.zeros((height, width))
    kernel[0, 1], kernel[0, 2], kernel[1, 1] = 4, 2, 2
    return kernel


def test_loads_npz_in_natural_order(tmp_path):
    arrays = {f"k{n}": np.pad([[1.0, n]], ((0, 0), (0, n))) for n in (1, 2, 10, 9)}
    np.savez(tmp_path / "k.npz", **arrays, stack=np.ones((2, 3, 3)), text=np.array("no"), one=np.ones(4))
    stack = psf.load_psfs(tmp_path / "k.npz")
    assert len(stack) == 6
    ratios = [one[one > 0].max() / one[one > 0].min() for one in stack]
    assert ratios == pytest.approx([1, 2, 9, 10, 1, 1])


def test_loads_every_kind_of_file_alike(tmp_path):
    kernel = corner_psf(4, 6)
    np.save(tmp_path / "a.npy", kernel)
    np.savez(tmp_path / "a.npz", kernel=kernel.astype(np.float32))
    scipy.io.savemat(tmp_path / "a.mat", {"kernel": kernel})
    Image.fromarray((kernel * 50).astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray((kernel * 5000).astype(np.uint16)).save(tmp_path / "b.png")
    expected = np.array([[[0, 0, 0], [0, 0.5, 0.25], [0, 0.25, 0]]])
    for name in ("a.npy", "a.npz", "a.mat", "a.png", "b.png"):
        np.testing.assert_allclose(psf.load_psfs(tmp_path / name), expected, err_msg=name)
        np.testing.assert_allclose(psf.load_psfs(str(tmp_path / name)), expected)


def test_loads_slices_and_true_or_false(tmp_path):
    stack = np.zeros((2, 3, 4), bool)
    stack[0, 1, 1:3] = stack[1, :, 0] = True
    np.save(tmp_path / "a.npy", stack)
    got = psf.load_psfs(tmp_path / "a.npy")
    assert got.shape == (2, 3, 3)
    np.testing.assert_array_equal(np.sort(got[0].ravel())[-2:], [0.5, 0.5])
    np.testing.assert_allclose(got[1], [[0, 1 / 3, 0]] * 3)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 0.9]))
def test_centres_on_the_centroid(tmp_path_factory, height, width, seed, empty):
    random = np.random.default_rng(seed)
    kernel = random.random((height, width)) * (random.random((height, width)) > empty) + 1e-9
    path = tmp_path_factory.getbasetemp() / "centred.npy"
    np.save(path, kernel)
    (got,) = psf.load_psfs(path)
    assert got.shape[0] == got.shape[1]
    assert got.shape[0] % 2 == 1
    assert max(off_by(got)) <= 0.5 + 1e-9
    np.testing.assert_allclose(np.sort(got[got > 0]), np.sort(kernel.ravel()) / kernel.sum())


def refusal(path):
    with pytest.raises(InputError) as caught:
        psf.load_psfs(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


def test_load_refuses(tmp_path):
    bad = {
        "nan": (np.array([[1.0, math.nan]]), "PSF 'nan' of 'nan.npy' holds NaN or infinite values"),
        "negative": (np.array([[1.0, -0.1]]), "PSF 'negative' of 'negative.npy' holds negative values"),
        "dark": (np.zeros((3, 3)), "PSF 'dark' of 'dark.npy' is empty: its weights are all 0"),
        "none": (
            np.zeros((0, 3)),
            "PSF 'none' of 'none.npy' has the shape (0, 3); 1 to 4095 pixels a side are needed",
        ),
        "long": (
            np.ones((1, 4096)),
            "PSF 'long' of 'long.npy' has the shape (1, 4096); 1 to 4095 pixels a side are needed",
        ),
        "line": (np.ones(5), "PSF file 'line.npy' holds no two- or three-dimensional array of numbers"),
        "complex": (
            np.ones((2, 2)) * 1j,
            "PSF file 'complex.npy' holds no two- or three-dimensional array of numbers",
        ),
    }
    for name, (array, message) in bad.items():
        np.save(tmp_path / f"{name}.npy", array)
        assert refusal(tmp_path / f"{name}.npy") == message
    np.save(tmp_path / "stack.npy", np.stack([np.ones((2, 2)), -np.ones((2, 2))]))
    assert refusal(tmp_path / "stack.npy") == "PSF 'stack[1]' of 'stack.npy' holds negative values"


def test_load_refuses_files(tmp_path):
    assert refusal(tmp_path / "absent.npy") == "PSF file 'absent.npy': there is no such file"
    (tmp_path / "k.txt").write_text("1 2")
    assert refusal(tmp_path / "k.txt") == "PSF file 'k.txt': .npz, .npy, .mat and .png files can be read"
    Image.new("RGB", (3, 3)).save(tmp_path / "c.png")
    assert refusal(tmp_path / "c.png") == "PSF file 'c.png' is not gray"
    for name in ("d.npy", "d.npz", "d.mat", "d.png"):
        (tmp_path / name).write_bytes(b"damaged")
        assert refusal(tmp_path / name).startswith(f"PSF file '{name}' cannot be read: ")
    with np.errstate(all="ignore"):
        np.save(tmp_path / "huge.npy", np.full((2, 2), 1e308))
        refusal(tmp_path / "huge.npy")
