import math

import cv2
import numpy as np
import pytest
import scipy.integrate
import scipy.signal
import scipy.special
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import BORDERS, texture

from blurgen import Recipe, degrade, psf
from blurgen.draws import Draws
from blurgen.errors import InputError, RecipeError
from blurgen.psf.aperture import imagenet_c_disk_size, soft_disk_size
from blurgen.psf.diffraction import Aberrations, automatic_size
from blurgen.stages import optics

ANGLES = st.one_of(st.floats(-1e4, 1e4), st.integers(-100, 100).map(lambda n: 15.0 * n))
ODD = st.integers(0, 12).map(lambda n: 2 * n + 1)
SIGMAS = st.floats(0.05, 8)
BETAS = st.floats(0.25, 16)


def reach_of(kernel):
    return kernel.shape[0] // 2


def grid(size):
    """Coordinates of an odd grid, y pointing up."""
    y, x = np.mgrid[size // 2 : -(size // 2) - 1 : -1, -(size // 2) : size // 2 + 1].astype(np.float64)
    return x, y


def centroid(kernel):
    x, y = grid(kernel.shape[0])
    return (kernel * x).sum(), (kernel * y).sum()


def assert_psf(kernel, size=None):
    """Odd, square, of sum 1; not negative."""
    assert kernel.dtype == np.float64
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert size is None or kernel.shape[0] == size
    assert (kernel >= 0).all()
    assert math.fsum(kernel.ravel()) == pytest.approx(1, abs=1e-12)


def assert_embedded(batch, singles, size):
    assert batch.dtype == np.float32
    assert batch.shape == (len(singles), size, size)
    for one, single in zip(batch, singles, strict=True):
        np.testing.assert_array_equal(one, psf.embedded(single, size))


# ---- polygons ----


def area_by_counting(radius, blades, rotation, steps=64):
    """The share of `steps`² points of each pixel that lies inside: on the inner side of every edge."""
    size = 2 * max(0, math.ceil(radius - 0.5)) + 1
    at = (np.arange(size * steps) + 0.5) / steps - size / 2
    x, y = np.meshgrid(at, -at)
    inside = np.ones(x.shape, bool)
    for k in range(blades):
        middle = math.radians(rotation + 360 / blades * (k + 0.5))
        inside &= x * math.cos(middle) + y * math.sin(middle) <= radius * math.cos(math.pi / blades)
    return inside.reshape(size, steps, size, steps).mean(axis=(1, 3))


@settings(max_examples=25)
@given(st.floats(0.6, 6), st.integers(3, 16), st.floats(-400, 400))
def test_polygon_equals_counted_points(radius, blades, rotation):
    expected = area_by_counting(radius, blades, rotation)
    area = blades / 2 * radius**2 * math.sin(2 * math.pi / blades)
    got = psf.polygon(radius, blades, rotation)
    np.testing.assert_allclose(got * area, expected, atol=0.02)
    # and on the average far better
    assert abs(got * area - expected).mean() < 3e-3


def test_squares_are_exact():
    # corners at 45°: sides along the axes
    half = 2.3
    side = np.array([0.8, 1, 1, 1, 0.8])
    np.testing.assert_allclose(
        psf.polygon(half * math.sqrt(2), 4, 45)[1:-1, 1:-1],
        np.outer(side, side) / (2 * half) ** 2,
        atol=1e-14,
    )
    assert psf.polygon(half * math.sqrt(2), 4, 45)[0].max() == 0


@given(st.floats(0, 20), st.integers(3, 16), ANGLES)
def test_laws_of_polygons(radius, blades, rotation):
    kernel = psf.polygon(radius, blades, rotation)
    assert_psf(kernel, 2 * max(0, math.ceil(radius - 0.5)) + 1)
    turned = psf.polygon(radius, blades, rotation + 90)
    np.testing.assert_allclose(turned, np.rot90(kernel), atol=1e-8)
    np.testing.assert_allclose(psf.polygon(radius, blades, -rotation), kernel[::-1], atol=1e-8)
    np.testing.assert_allclose(psf.polygon(radius, blades, rotation + 360 / blades), kernel, atol=1e-8)
    # pixels hold the area exactly, and its centroid as well as their size allows
    assert np.hypot(*centroid(kernel)) < (0.12 if radius < 2 else 0.05)
    if blades % 2 == 0:
        np.testing.assert_allclose(kernel[::-1, ::-1], kernel, atol=1e-12)


def test_a_polygon_reaches_no_farther_than_it_should():
    kernel = psf.polygon(7.4, 3, 90)
    x, y = grid(kernel.shape[0])
    assert (kernel[y < -7.4 / 2 - 0.5] == 0).all()
    assert (kernel[np.hypot(x, y) > 7.4 + math.sqrt(0.5)] == 0).all()
    for radius in (0, 1e-200, 0.3, 0.5):
        np.testing.assert_array_equal(psf.polygon(radius, 5, 10), [[1.0]])


def test_many_blades_come_close_to_a_disc_of_their_area():
    radius = 8 * math.sqrt(16 / 2 * math.sin(2 * math.pi / 16) / math.pi)
    np.testing.assert_allclose(psf.polygon(8, 16, 3), psf.disk(radius), atol=5e-4)


# ---- soft discs ----


@given(st.floats(0, 30), st.floats(0.25, 4))
@example(30.0, 0.25)
def test_soft_disk_equals_its_formula(radius, edge):
    kernel = psf.soft_disk(radius, edge)
    assert_psf(kernel, soft_disk_size(radius, edge))
    distance = np.hypot(*grid(kernel.shape[0]))
    expected = np.where(
        distance <= radius + 4 * edge, scipy.special.erfc((distance - radius) / math.sqrt(2) / edge), 0
    )
    np.testing.assert_allclose(kernel, expected / expected.sum(), atol=1e-14)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(kernel, kernel[::-1])


# ---- ImageNet-C ----


def opencv_disk(radius, alias_blur):
    """The disc of the benchmark, from its description, by OpenCV."""
    half, taps = (8, 3) if radius <= 8 else (radius, 5)
    x, y = grid(2 * half + 1)
    disc = (x**2 + y**2 <= radius**2).astype(np.float32)
    disc /= disc.sum()
    return cv2.GaussianBlur(disc, ksize=(taps, taps), sigmaX=alias_blur)


PUBLISHED = [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]


@pytest.mark.parametrize(
    ("radius", "alias_blur"),
    [*PUBLISHED, (1.3, 0.133), (2.88, 0.29), (7.5, 5.5), (0, 1), (8, 3), (15, 2), (9, 0.05)],
)
def test_imagenet_c_disk_equals_opencv(radius, alias_blur):
    kernel = psf.imagenet_c_disk(radius, alias_blur)
    assert_psf(kernel, imagenet_c_disk_size(radius))
    expected = opencv_disk(radius, alias_blur).astype(np.float64)
    got = psf.embedded(kernel, expected.shape[0])
    np.testing.assert_allclose(got, expected / expected.sum(), atol=2e-8)


def test_imagenet_c_disks_brighten_as_documented():
    sums = [float(opencv_disk(*severity).sum()) for severity in PUBLISHED]
    assert sums == pytest.approx([1, 1, 1, 1.013, 1.011], abs=5e-4)


@given(st.floats(0, 30), st.floats(0.05, 5))
def test_laws_of_imagenet_c_disks(radius, alias_blur):
    kernel = psf.imagenet_c_disk(radius, alias_blur)
    assert_psf(kernel, imagenet_c_disk_size(radius))
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(kernel, kernel[::-1])


# ---- bells ----


def basicsr(law, size, sigma_x, sigma_y, theta, beta):
    """A bivariate kernel as BasicSR defines it: radians, y pointing down, the inverse of a rotated matrix."""
    axis = np.arange(-size // 2 + 1.0, size // 2 + 1.0)
    points = np.stack(np.meshgrid(axis, axis), axis=2)
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    inverse = np.linalg.inv(turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T)
    form = np.maximum(0, np.einsum("yxi,ij,yxj->yx", points, inverse, points))
    with np.errstate(over="ignore", under="ignore"):
        kernel = 1 / (form**beta + 1) if law == "plateau_gaussian" else np.exp(-0.5 * form**beta)
    return kernel / kernel.sum()


BELLS = {"generalized_gaussian": psf.generalized_gaussian, "plateau_gaussian": psf.plateau_gaussian}


@pytest.mark.parametrize("law", BELLS)
@given(ODD, st.floats(0.2, 8), st.floats(0.2, 8), st.floats(-1000, 1000), BETAS)
def test_bells_equal_basicsr(law, size, sigma_x, sigma_y, theta, beta):
    got = BELLS[law](size, sigma_x, sigma_y, theta, beta)
    assert_psf(got, size)
    expected = basicsr(law, size, sigma_x, sigma_y, -math.radians(theta), beta)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)


@given(ODD, SIGMAS, SIGMAS, ANGLES)
def test_anisotropic_gaussian(size, sigma_x, sigma_y, theta):
    got = psf.anisotropic_gaussian(size, sigma_x, sigma_y, theta)
    assert_psf(got, size)
    np.testing.assert_array_equal(got, got[::-1, ::-1])
    np.testing.assert_array_equal(got, psf.generalized_gaussian(size, sigma_x, sigma_y, theta, 1))
    other = psf.anisotropic_gaussian(size, sigma_y, sigma_x, theta + 90)
    np.testing.assert_allclose(got, other, atol=1e-9)
    np.testing.assert_allclose(
        psf.anisotropic_gaussian(size, sigma_x, sigma_y, theta + 90), np.rot90(got), atol=1e-9
    )
    if min(sigma_x, sigma_y) >= 0.2:
        expected = basicsr("", size, sigma_x, sigma_y, -math.radians(theta), 1)
        np.testing.assert_allclose(got, expected, atol=1e-11)


def test_bsrgan_draws_by_eigenvalues():
    """Its matrix, made of the first eigenvector and the eigenvalues, gives the same kernel."""
    first, second, theta = 3.1, 0.7, 0.4
    v = np.array([math.cos(theta), math.sin(theta)])
    vectors = np.array([[v[0], v[1]], [v[1], -v[0]]])
    covariance = vectors @ np.diag([first, second]) @ np.linalg.inv(vectors)
    axis = np.arange(15) - 7.0
    points = np.stack(np.meshgrid(axis, axis), axis=2)
    expected = np.exp(-0.5 * np.einsum("yxi,ij,yxj->yx", points, np.linalg.inv(covariance), points))
    expected /= expected.sum()
    body = {"variance_x": first, "variance_y": second, "theta": -math.degrees(theta), "size": 15}
    np.testing.assert_allclose(psfs_of("covariance_gaussian", body)[0], expected, atol=1e-7)


@given(ODD, SIGMAS)
def test_one_width_is_isotropic(size, sigma):
    round_one = psf.anisotropic_gaussian(size, sigma)
    np.testing.assert_array_equal(round_one, psf.anisotropic_gaussian(size, sigma, sigma))
    np.testing.assert_allclose(round_one, psf.gaussian(size, sigma), atol=1e-14)


@given(ODD, SIGMAS, SIGMAS, ANGLES, BETAS)
def test_tiny_weights_are_zero(size, sigma_x, sigma_y, theta, beta):
    for law in BELLS.values():
        kernel = law(size, sigma_x, sigma_y, theta, beta)
        assert kernel.max() == kernel[size // 2, size // 2]
        assert kernel[kernel > 0].min() >= 2.0**-52 * kernel.max()


# ---- sinc ----


def lowpass(size, cutoff):
    distance = np.hypot(*grid(size))
    distance[size // 2, size // 2] = 1
    kernel = cutoff * scipy.special.j1(cutoff * distance) / (2 * np.pi * distance)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    return kernel


@given(st.integers(0, 30).map(lambda n: 2 * n + 1), st.floats(0.1, 3.1416))
def test_sinc_equals_scipy(size, cutoff):
    expected = lowpass(size, cutoff)
    got = psf.sinc(size, cutoff)
    assert got.shape == (size, size)
    np.testing.assert_allclose(got, expected / expected.sum(), rtol=0, atol=1e-13)
    assert math.fsum(got.ravel()) == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(got, got.T)
    np.testing.assert_array_equal(got, got[::-1])


def test_the_sum_of_a_sinc_does_not_vanish():
    for size in (1, 3, 5, 7, 9, 21, 101, 201):
        for cutoff in np.linspace(0.1, 3.1416, 60):
            assert lowpass(size, cutoff).sum() > 0.6 * min(1, (0.3 * cutoff * size) ** 2 / 4)


# ---- diffraction ----


def zernike(waves, x, y):
    """The wavefront in polar coordinates, from Noll's table; coma with the tilt that centres the PSF."""
    r, angle = np.hypot(x, y), np.arctan2(y, x)

    def turned(degrees, fold):
        return np.cos(fold * (angle - math.radians(degrees)))

    return (
        waves.defocus * math.sqrt(3) * (2 * r**2 - 1)
        + waves.astigmatism * math.sqrt(6) * r**2 * turned(waves.astigmatism_angle, 2)
        + waves.coma * math.sqrt(8) * (3 * r**3 - 2 * r - r) * turned(waves.coma_angle, 1)
        + waves.trefoil * math.sqrt(8) * r**3 * turned(waves.trefoil_angle, 3)
        + waves.spherical * math.sqrt(5) * (6 * r**4 - 6 * r**2 + 1)
    )


def fourier_psf(airy, waves, size, fine=8, points=400):
    """The PSF by a Fourier transform in NumPy: a pupil of many points, `fine`² points a pixel."""
    # the pupil's radius in cycles a pixel
    rim = scipy.special.jn_zeros(1, 1)[0] / np.pi / airy / 2
    step = 2.2 / points
    at = (np.arange(points) - points // 2) * step
    x, y = np.meshgrid(at, -at)
    inside = np.mean([np.hypot(x + a * step, y + b * step) <= 1 for a in OFFSETS for b in OFFSETS], axis=0)
    field = inside * np.exp(2j * np.pi * zernike(waves, x, y))
    nodes, weights = np.polynomial.legendre.leggauss(fine)
    seen = np.add.outer(np.arange(size) - size // 2, nodes / 2).ravel()
    transform = np.exp(-2j * np.pi * rim * np.outer(seen, at))
    light = abs(transform @ field @ transform.T) ** 2
    kernel = np.einsum("ypxq,p,q->yx", light.reshape(size, fine, size, fine), weights, weights)
    return kernel / kernel.sum()


OFFSETS = (np.arange(10) - 4.5) / 10
LENSES = [
    (2.0, Aberrations()),
    (1.2, Aberrations(defocus=0.3)),
    (2.0, Aberrations(defocus=-0.2, spherical=0.1)),
    (1.5, Aberrations(astigmatism=0.2, astigmatism_angle=20)),
    (2.0, Aberrations(coma=0.15, coma_angle=30)),
    (3.0, Aberrations(trefoil=0.1, trefoil_angle=-70)),
    (1.0, Aberrations(0.1, 0.1, 50, 0.1, 200, 0.05, 10, -0.1)),
]


@pytest.mark.parametrize(("airy", "waves"), LENSES)
def test_diffraction_equals_a_fourier_transform_in_numpy(airy, waves):
    size = 31
    got = psf.diffraction(airy, size, **waves._asdict())
    assert_psf(got, size)
    expected = fourier_psf(airy, waves, size)
    assert abs(got - expected).max() < 6e-3 * expected.max()


@pytest.mark.parametrize("airy", [1.0, 1.8, 3.3, 8.0])
def test_without_aberrations_it_is_the_airy_pattern(airy):
    size = 21
    kernel = psf.diffraction(airy, size)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    at = np.add.outer(np.arange(size) - size // 2, nodes / 2).ravel()
    v = scipy.special.jn_zeros(1, 1)[0] / airy * np.hypot(*np.meshgrid(at, at))
    light = np.where(v == 0, 1, (2 * scipy.special.j1(v) / np.where(v == 0, 1, v)) ** 2)
    expected = np.einsum("ypxq,p,q->yx", light.reshape(size, 8, size, 8), weights, weights)
    expected /= expected.sum()
    allowed = 3e-3 if airy == 1 else 1.5e-3  # three points a side are few where the pattern is finest
    assert abs(kernel - expected).max() < allowed * expected.max()


def test_the_automatic_size_holds_most_of_the_light():
    for airy, waves in LENSES:
        own = automatic_size(airy, waves)
        assert psf.diffraction(airy, **waves._asdict()).shape == (own, own)
        wide = psf.diffraction(airy, own + 60, **waves._asdict())
        assert wide[30:-30, 30:-30].sum() > 0.95


@settings(max_examples=30)
@given(
    st.floats(1, 4),
    st.floats(-0.3, 0.3),
    st.floats(0, 0.2),
    ANGLES,
    st.floats(0, 0.15),
    ANGLES,
    st.floats(0, 0.1),
    ANGLES,
    st.floats(-0.1, 0.1),
)
def test_laws_of_diffraction(airy, defocus, astigmatism, a, coma, b, trefoil, c, spherical):
    def render(turn, mirror=1):
        waves = (defocus, astigmatism, mirror * a + turn, coma, mirror * b + turn, trefoil, mirror * c + turn)
        return psf.diffraction(airy, 21, **Aberrations(*waves, spherical)._asdict())

    kernel = render(0)
    assert_psf(kernel, 21)
    near = 2e-5 * kernel.max()
    np.testing.assert_allclose(render(90), np.rot90(kernel), atol=near)
    np.testing.assert_allclose(render(0, -1), kernel[::-1], atol=near)
    # all even aberrations at once reversed mirror the PSF at its centre
    waves = Aberrations(-defocus, astigmatism, a + 90, coma, b, trefoil, c, -spherical)
    np.testing.assert_allclose(psf.diffraction(airy, 21, **waves._asdict()), kernel, atol=near)


def test_the_centroid_stays_and_the_tail_of_coma_points_where_it_should():
    for angle in (0, 60, 90, 200):
        kernel = psf.diffraction(1.5, 61, coma=0.2, coma_angle=angle)
        x, y = grid(61)
        assert np.hypot(*centroid(kernel)) < 0.1
        along = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
        assert (kernel * along**3).sum() > 1


def test_defocus_is_a_disc_of_the_documented_radius():
    radius = 11.4 * 1.0 * 2.0
    kernel = psf.diffraction(2.0, 81, defocus=1)
    distance = np.hypot(*grid(81))
    # about half the light lies within half the area: rings of interference add to it or take from it
    assert kernel[distance < radius / math.sqrt(2)].sum() == pytest.approx(0.5, abs=0.08)
    assert kernel[distance < radius].sum() == pytest.approx(0.95, abs=0.03)
    assert kernel[distance > 1.3 * radius].sum() < 0.02


def test_extreme_lenses_are_finite():
    for airy, size in ((1.0, 255), (20.0, 1), (20.0, 5)):
        waves = Aberrations(1, 1, 10, 1, 20, 1, 30, -1)
        kernel = psf.diffraction(airy, size, **waves._asdict())
        assert_psf(kernel, size)


# ---- batches ----


@given(st.lists(st.tuples(st.floats(0, 6), st.integers(3, 9), ANGLES), min_size=1, max_size=4))
def test_polygon_batch_is_polygon_embedded(parameters):
    radii, blades, rotations = (np.array(column) for column in zip(*parameters, strict=True))
    batch = psf.polygon_batch(radii, blades, rotations, 15)
    assert_embedded(batch, [psf.polygon(*p) for p in parameters], 15)


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.25, 1)), min_size=1, max_size=4))
def test_disk_batches_are_disks_embedded(parameters):
    radii, widths = (np.array(column) for column in zip(*parameters, strict=True))
    assert_embedded(psf.soft_disk_batch(radii, widths, 17), [psf.soft_disk(*p) for p in parameters], 17)
    assert_embedded(
        psf.imagenet_c_disk_batch(4 * radii, widths, 27),
        [psf.imagenet_c_disk(4 * r, w) for r, w in parameters],
        27,
    )


@given(st.lists(st.tuples(ODD, SIGMAS, SIGMAS, ANGLES, BETAS), min_size=1, max_size=4))
def test_bell_batches_are_bells_embedded(parameters):
    columns = [np.array(column) for column in zip(*parameters, strict=True)]
    assert_embedded(
        psf.anisotropic_gaussian_batch(*columns[:4], 27),
        [psf.anisotropic_gaussian(*p[:4]) for p in parameters],
        27,
    )
    assert_embedded(
        psf.generalized_gaussian_batch(*columns, 25), [psf.generalized_gaussian(*p) for p in parameters], 25
    )
    assert_embedded(
        psf.plateau_gaussian_batch(*columns, 25), [psf.plateau_gaussian(*p) for p in parameters], 25
    )


@given(st.lists(st.tuples(ODD, st.floats(0.1, 3.1416)), min_size=1, max_size=4))
def test_sinc_batch_is_sinc_embedded(parameters):
    sizes, cutoffs = (np.array(column) for column in zip(*parameters, strict=True))
    assert_embedded(psf.sinc_batch(sizes, cutoffs, 27), [psf.sinc(*p) for p in parameters], 27)


def test_diffraction_batch_is_diffraction_embedded():
    waves = np.array([lens[1] for lens in LENSES])
    airy = np.array([lens[0] for lens in LENSES])
    sizes = np.array([9, 11, 13, 15, 17, 7, 5])
    singles = [psf.diffraction(a, int(k), **w._asdict()) for (a, w), k in zip(LENSES, sizes, strict=True)]
    assert_embedded(psf.diffraction_batch(sizes, airy, waves, 17), singles, 17)


# ---- arguments ----


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psf.polygon(-1, 5), "radius -1: a number from 0 to 2046 is needed"),
        (lambda: psf.polygon(3, 2), "blades 2: a whole number from 3 to 16 is needed"),
        (lambda: psf.polygon(3, 5, math.inf), "rotation inf"),
        (lambda: psf.soft_disk(3, 0.1), "edge 0.1: a number from 0.25 to 100 is needed"),
        (lambda: psf.soft_disk(math.nan, 1), "radius nan"),
        (lambda: psf.imagenet_c_disk(3, 0), "alias_blur 0"),
        (lambda: psf.anisotropic_gaussian(4, 1), "PSF size 4: an odd whole number from 1 to 801 is needed"),
        (lambda: psf.anisotropic_gaussian((3, 5), 1), "an odd whole number"),
        (lambda: psf.anisotropic_gaussian(3, 0), "sigma_x 0"),
        (lambda: psf.generalized_gaussian(3, 1, beta=0), "beta 0: a number from 0.25 to 16 is needed"),
        (lambda: psf.plateau_gaussian(3, 1, -1), "sigma_y -1"),
        (lambda: psf.sinc(203, 1), "PSF size 203: an odd whole number from 1 to 201 is needed"),
        (lambda: psf.sinc(21, 4), "cutoff 4: a number from 0.1 to 3.1416 is needed"),
        (lambda: psf.diffraction(0.5), "airy_radius 0.5: a number from 1 to 20 is needed"),
        (lambda: psf.diffraction(2, 8), "PSF size 8: an odd whole number from 1 to 255 is needed"),
        (lambda: psf.diffraction(2, coma=-1), "coma -1: a number from 0 to 1 is needed"),
        (lambda: psf.diffraction(20, spherical=1), "automatic size .*: an odd whole number from 1 to 255"),
    ],
)
def test_arguments_out_of_range(call, message):
    with pytest.raises(InputError, match=message):
        call()


# ---- stages ----


def recipe(kind, body):
    return Recipe.from_dict({"name": "r", "stages": [{kind: body}]})


def psfs_of(kind, body, count=5):
    chosen = recipe(kind, body)
    draws = chosen.draws(3, np.arange(count))
    out = chosen.psfs(chosen.sample(draws), draws)
    assert out.shape == (count, chosen.psf_size, chosen.psf_size)
    return out


ANGLE = {"uniform": [0, 360]}
SIZE = {"integers": [7, 21], "step": 2}
STAGES = {
    "polygon": {"radius": {"uniform": [2, 6]}, "blades": {"integers": [5, 8]}, "rotation": ANGLE},
    "soft_disk": {"radius": {"uniform": [1, 4]}, "edge": {"uniform": [0.3, 1.5]}},
    "imagenet_c_defocus": {"radius": {"choice": [3, 4, 6, 8, 10]}, "alias_blur": {"choice": [0.1, 0.5]}},
    "anisotropic_gaussian": {
        "sigma_x": {"uniform": [0.2, 3]},
        "sigma_y": {"uniform": [0.2, 3]},
        "theta": ANGLE,
        "size": SIZE,
    },
    "covariance_gaussian": {
        "variance_x": {"uniform": [0, 6]},
        "variance_y": {"uniform": [0, 6]},
        "theta": ANGLE,
    },
    "generalized_gaussian": {"sigma_x": {"uniform": [0.2, 3]}, "beta": {"uniform": [0.5, 4]}},
    "plateau_gaussian": {"sigma_x": {"uniform": [0.2, 3]}, "beta": {"uniform": [1, 2]}, "size": SIZE},
    "sinc": {"cutoff": {"uniform": [0.63, 3.14]}, "size": SIZE},
    "diffraction": {"airy_radius": {"uniform": [1, 2]}, "defocus": {"uniform": [-0.2, 0.2]}, "size": 15},
}


@pytest.mark.parametrize("kind", STAGES)
def test_stages_convolve_with_their_psfs(kind):
    images = texture(5, 20, 17, 3)
    chosen = recipe(kind, STAGES[kind])
    pairs = degrade(images, chosen, seed=3)
    psfs = psfs_of(kind, STAGES[kind])
    np.testing.assert_allclose(psfs.sum(axis=(1, 2), dtype=np.float64), 1, atol=1e-6)
    margin = chosen.psf_size // 2
    for image, kernel, blurred in zip(images, psfs, pairs.blurred, strict=True):
        padded = np.pad(image.astype(np.float64), ((margin, margin), (margin, margin), (0, 0)), "edge")
        planes = [scipy.signal.convolve2d(padded[..., c], kernel, "valid") for c in range(3)]
        exact = np.clip(np.stack(planes, axis=2), 0, 255)
        assert abs(blurred - exact).max() < 0.5 + 2e-3
    np.testing.assert_array_equal(pairs.sharp, images)


@pytest.mark.parametrize("kind", STAGES)
def test_rows_do_not_depend_on_their_batch(kind):
    images = texture(4, 12, 12)
    chosen = recipe(kind, STAGES[kind])
    together = degrade(images, chosen, seed=9, start=10)
    for i in range(4):
        alone = degrade(images[i : i + 1], chosen, seed=9, start=10 + i)
        np.testing.assert_array_equal(alone.blurred[0], together.blurred[i])
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen


@pytest.mark.parametrize("kind", STAGES)
def test_psf_sizes_are_tight(kind):
    """At the distributions' upper ends the outermost rows hold weights, however small."""
    ends = {
        "choice": max,
        "uniform": lambda value: value[1],
        "integers": lambda value: value[1],
    }
    body = {
        name: next(ends[key](value[key]) for key in ends if key in value)
        if isinstance(value, dict)
        else value
        for name, value in STAGES[kind].items()
    }
    if kind == "generalized_gaussian":
        body["beta"] = 0.5
    widest, whole = psfs_of(kind, body, 1)[0], recipe(kind, STAGES[kind]).psf_size
    assert widest.shape == (whole, whole) if kind != "diffraction" else (15, 15)
    if kind != "polygon":
        assert widest[0].any()


def test_sinc_of_floats_is_not_clipped_and_bytes_are():
    stage = optics.Sinc.from_body({"cutoff": 1.2, "size": 15, "border": "reflect"})
    draws = Draws(1, np.arange(2))
    params = stage.sample(draws)
    images = np.where(np.arange(24) < 12, 0, 255).astype(np.uint8)[None, None, :, None] * np.ones(
        (2, 24, 1, 1), np.uint8
    )
    floats = stage.apply(images.astype(np.float32), params, draws)
    assert floats.dtype == np.float32
    assert floats.min() < -5
    assert floats.max() > 260
    got = stage.apply(images, params, draws)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, np.clip(np.floor(floats + 0.5), 0, 255))


@pytest.mark.parametrize("border", BORDERS)
def test_sinc_takes_every_border(border):
    images = texture(2, 16, 16)
    pairs = degrade(images, recipe("sinc", {"cutoff": 2, "size": 7, "border": border}))
    assert pairs.blurred.shape == images.shape


def test_sizes_are_rounded_up_to_odd_and_recorded():
    chosen = recipe("sinc", {"cutoff": 2, "size": {"integers": [6, 9]}})
    sizes = chosen.sample(chosen.draws(0, np.arange(200)))["0.sinc.size"]
    assert sizes.dtype == np.int64
    assert set(sizes) == {7, 9}
    chosen = recipe("anisotropic_gaussian", {"sigma_x": 1, "size": 0})
    assert set(chosen.sample(chosen.draws(0, np.arange(3)))["0.anisotropic_gaussian.size"]) == {0}
    assert chosen.psf_size == 9


def test_automatic_sizes_hold_four_sigma_or_its_like():
    assert recipe("anisotropic_gaussian", {"sigma_x": 1.3, "sigma_y": 2}).psf_size == 17
    assert recipe("covariance_gaussian", {"variance_x": 4, "variance_y": 0}).psf_size == 17
    body = {"sigma_x": 2, "beta": {"uniform": [0.5, 2]}}
    assert recipe("generalized_gaussian", body).psf_size == 2 * 32 + 1
    one = psfs_of("generalized_gaussian", {"sigma_x": 2, "beta": 2}, 1)[0]
    assert one.shape == (9, 9)
    assert one[4, 0] / one[4, 4] == pytest.approx(math.exp(-0.5 * 2.0**4))


def test_a_variance_of_zero_is_a_point_across():
    kernel = psfs_of("covariance_gaussian", {"variance_x": 2, "variance_y": 0, "size": 9}, 1)[0]
    assert kernel[4].sum() == pytest.approx(1)
    np.testing.assert_array_equal(np.delete(kernel, 4, axis=0), 0)


def test_an_isotropic_share():
    body = {"sigma_x": {"uniform": [1, 3]}, "sigma_y": {"choice": [0, 1]}, "theta": ANGLE, "size": 15}
    chosen = recipe("anisotropic_gaussian", body)
    draws = chosen.draws(3, np.arange(40))
    params = chosen.sample(draws)
    for kernel, sigma_y in zip(
        chosen.psfs(params, draws), params["0.anisotropic_gaussian.sigma_y"], strict=True
    ):
        assert np.allclose(kernel, kernel.T, atol=1e-7) == (sigma_y == 0)


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("polygon", {"radius": 3, "blades": 4.5}, "only whole numbers"),
        ("polygon", {"radius": 3, "blades": 2}, "blades: .*outside the allowed 3 … 16"),
        ("polygon", {"radius": 500, "blades": 5}, "radius: .*outside the allowed 0 … 400"),
        ("soft_disk", {"radius": 3, "edge": 0}, "edge: .*outside the allowed 0.25 … 25"),
        ("imagenet_c_defocus", {"radius": 3, "alias_blur": 0}, "alias_blur"),
        ("anisotropic_gaussian", {"sigma_x": 0}, "sigma_x"),
        ("covariance_gaussian", {"variance_x": 1, "variance_y": -1}, "variance_y"),
        ("generalized_gaussian", {"sigma_x": 10, "beta": 0.25}, "reach 5121 pixels a side, 801 are the most"),
        ("plateau_gaussian", {"sigma_x": 1, "size": 0}, "size: .*outside the allowed 1 … 801"),
        ("plateau_gaussian", {"sigma_x": 1}, "field required"),
        ("sinc", {"cutoff": 4, "size": 9}, "cutoff"),
        ("diffraction", {"airy_radius": 20, "spherical": 1}, "pixels a side, 255 are the most"),
        ("diffraction", {"airy_radius": 2, "coma": -0.1}, "coma: .*outside the allowed 0 … 1"),
    ],
)
def test_stages_refuse(kind, body, message):
    with pytest.raises(RecipeError, match=message):
        recipe(kind, body)
