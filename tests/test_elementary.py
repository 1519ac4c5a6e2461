import math

import mpmath
import numpy as np
import pytest
import scipy.special
from strategies import normals_of

from blurgen.loops import elementary, special

mpmath.mp.prec = 300
RANDOM = np.random.default_rng(20110)


def error_in_ulps(got, exact):
    """The distance of a float64 from an exact number, in units of the exact number's last place."""
    nearest = float(exact)
    if not math.isfinite(nearest) or nearest == 0.0:
        return 0.0 if got == nearest else math.inf
    return float(abs(mpmath.mpf(got) - exact) / mpmath.mpf(math.ulp(nearest)))


def multiples_of_right_angles():
    return [float(mpmath.pi * k / 2) for k in (*range(-40, 41), 333, 355, 4_321, 31_415, 63_661)]


SINCOS_POINTS = {
    "degrees": [degrees / 180.0 * math.pi for degrees in range(-720, 721, 15)],
    "small": [0.0, 5e-324, 1e-300, 1e-20, 1e-8, 1e-4, -1e-4, 2.0**-27, math.pi / 4, -math.pi / 4],
    "near multiples of 90 degrees": [
        math.nextafter(x, target)
        for x in multiples_of_right_angles()
        for target in (-math.inf, x, math.inf)
        if abs(x) < 1e5
    ],
    "one turn": RANDOM.uniform(-7, 7, 3000).tolist(),
    "many turns": RANDOM.uniform(-1e5, 1e5, 1500).tolist(),
}


@pytest.mark.parametrize("points", SINCOS_POINTS.values(), ids=SINCOS_POINTS)
def test_sine_and_cosine_to_three_quarters_of_an_ulp(points):
    for x in points:
        s, c = elementary.sincos(x)
        assert error_in_ulps(s, mpmath.sin(x)) < 0.75, f"sin({x!r})"
        assert error_in_ulps(c, mpmath.cos(x)) < 0.75, f"cos({x!r})"


def test_sine_is_odd_and_cosine_even():
    assert elementary.sincos(0.0) == (0.0, 1.0)
    for degrees in set(range(0, 180, 5)) - {45, 135}:  # there the two signs are reduced differently
        s, c = elementary.sincos(degrees / 180.0 * math.pi)
        mirrored_s, mirrored_c = elementary.sincos(-degrees / 180.0 * math.pi)
        assert (mirrored_s, mirrored_c) == (-s, c)


LOG_POINTS = {
    "everywhere": (2.0 ** RANDOM.uniform(-1000, 1000, 2000)).tolist(),
    "near 1": [*RANDOM.uniform(0.5, 2, 2000).tolist(), 1.0, math.nextafter(1, 0), math.nextafter(1, 2)],
    "special": [2.0**-1074, 2.0**-1022, 2.0**-54, math.sqrt(0.5), 0.5, 2.0, 10.0, 1.7976931348623157e308],
}


@pytest.mark.parametrize("points", LOG_POINTS.values(), ids=LOG_POINTS)
def test_logarithm_to_one_ulp(points):
    for x in points:
        assert error_in_ulps(elementary.log(x), mpmath.log(x)) < 1, f"log({x!r})"


EXP_POINTS = {
    "everywhere": RANDOM.uniform(-700, 700, 2000).tolist(),
    "near 0": [*RANDOM.uniform(-1, 1, 2000).tolist(), 0.0, 1e-300, -1e-17, math.log(2) / 2],
    "multiples of log 2": [k * math.log(2) for k in range(-1000, 1001, 37)],
}


@pytest.mark.parametrize("points", EXP_POINTS.values(), ids=EXP_POINTS)
def test_exponential_to_one_ulp(points):
    for x in points:
        assert error_in_ulps(elementary.exp(x), mpmath.exp(x)) < 1, f"exp({x!r})"


def noise_of(words):
    got = normals_of(words)
    below = np.minimum(words, 2**32 - 1 - words)
    exact = scipy.special.ndtri((below + 0.5) / 2**32)
    return got, np.where(words >= 2**31, -exact, exact)


# of |z| from … to, how far off a pixel's normal number may be
NOISE_ERRORS = [(0.0, 0.01, 4e-8), (0.01, 1.0, 4e-7), (1.0, 3.0, 1.5e-6), (3.0, 6.4, 3e-6)]


def test_pixel_noise_is_as_normal_as_it_says():
    tail, middle = np.arange(30_000), 2**31 + np.arange(-5_000, 5_000)
    words = np.concatenate([tail, 2**32 - 1 - tail, middle, RANDOM.integers(0, 2**32, 60_000)])
    got, exact = noise_of(words)
    error = abs(got - exact)
    for low, high, allowed in NOISE_ERRORS:
        of_these = (abs(exact) >= low) & (abs(exact) < high)
        assert of_these.any()
        assert error[of_these].max() < allowed, f"|z| in {low} … {high}"
    assert abs(exact).max() < 6.4


def test_pixel_noise_is_odd_and_monotone():
    words = np.sort(RANDOM.integers(0, 2**31, 20_000))
    got, _ = noise_of(words)
    opposite, _ = noise_of(2**32 - 1 - words)
    np.testing.assert_array_equal(got, -opposite)
    assert (np.diff(got) >= -2e-7).all()
    # at the far end, where polynomials could turn
    got, _ = noise_of(np.arange(20_000))
    assert (np.diff(got) >= -1e-6).all()


POWER_POINTS = {
    "gamma curves": (RANDOM.uniform(0, 1, 2000), RANDOM.uniform(0.1, 5, 2000), 2.0),
    "one": (2.0 ** RANDOM.uniform(-40, 40, 2000), np.ones(2000), 2.0),
    "near 1": (RANDOM.uniform(0.5, 2, 2000), RANDOM.uniform(-40, 40, 2000), 2.0),
    "everywhere": (2.0 ** RANDOM.uniform(-500, 500, 2000), RANDOM.uniform(-2, 2, 2000), 25.0),
    "special": (np.array([1.0, 1.0, 4.0, 5e-324, 2.0, 2.0]), np.array([3.0, 0.0, 0.5, 0.0, 10.0, -3.0]), 2.0),
}


@pytest.mark.parametrize(("bases", "exponents", "allowed"), POWER_POINTS.values(), ids=POWER_POINTS)
def test_powers(bases, exponents, allowed):
    for x, y in zip(bases.tolist(), exponents.tolist(), strict=True):
        exact = mpmath.power(mpmath.mpf(x), mpmath.mpf(y))
        assert error_in_ulps(elementary.power(x, y), exact) < allowed, f"{x!r} ** {y!r}"


OTHERS = np.random.default_rng(8)
BESSEL_POINTS = {
    "near": OTHERS.uniform(0, 8, 1000),
    "far": OTHERS.uniform(8, 500, 1000),
    "farther": 2.0 ** OTHERS.uniform(9, 16, 200),
    "special": np.array([0.0, 5e-324, 1e-8, 8.0, math.nextafter(8, 9), 3.8317059702075123]),
}


@pytest.mark.parametrize("points", BESSEL_POINTS.values(), ids=BESSEL_POINTS)
def test_bessel_function_of_order_1(points):
    for x in points.tolist():
        assert abs(special.j1(x) - mpmath.besselj(1, x)) < 1e-15, f"j1({x!r})"


def test_complementary_error_function():
    points = [
        *OTHERS.uniform(-25, 25, 1000).tolist(),
        *OTHERS.uniform(-2, 2, 1000).tolist(),
        0.0,
        1e-300,
        -0.5,
    ]
    for x in points:
        exact = mpmath.erfc(x)
        assert abs(special.erfc(x) - exact) < 5e-16, f"erfc({x!r})"
        assert abs(special.erfc(x) - exact) < 5e-16 * exact * (1 + x * x), f"erfc({x!r})"
    assert [special.erfc(x) for x in (26.0, 1e9, -26.0, -1e9)] == [0.0, 0.0, 2.0, 2.0]
