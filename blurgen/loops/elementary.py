"""Elementary functions in plain IEEE arithmetic: the same bits on every machine, unlike a C library's.

The reductions and polynomials are those of Sun's fdlibm; errors stay below one unit in the last place where
nothing else is said.
"""

from __future__ import annotations

import math

import numpy as np

from blurgen.loops.jit import exact

_TWO_OVER_PI = 6.36619772367581382433e-01
# π/2 = A + B + C, A and B with 33 bits each, so that small multiples of them are exact
_PIO2_A = 1.57079632673412561417e00
_PIO2_B = 6.07710050630396597660e-11
_PIO2_C = 2.02226624879595063154e-21
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF = 0.7071067811865476
# 2⁻¹⁰²² … 2¹⁰²³; a table, since ldexp is a call that no loop can be vectorised around
_POWERS_OF_2 = np.array([2.0**k for k in range(-1022, 1024)])


@exact
def sincos(x: float) -> tuple[float, float]:
    """Sine and cosine of `x` radians, |x| < 10⁵."""
    n = math.floor(x * _TWO_OVER_PI + 0.5)
    # what is left of x after n quarter turns, as the unevaluated sum y + tail
    t = x - n * _PIO2_A
    w = n * _PIO2_B
    r = t - w
    w = n * _PIO2_C - ((t - r) - w)
    y = r - w
    tail = (r - y) - w

    z = y * y
    p = 2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
    p = 8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * p)
    v = z * y
    s = y - ((z * (0.5 * tail - v * p) - tail) - v * -1.66666666666666324348e-01)

    q = -2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)
    q = 4.16666666666666019037e-02 + z * (
        -1.38888888888741095749e-03 + z * (2.48015872894767294178e-05 + z * q)
    )
    half = 0.5 * z
    w = 1.0 - half
    c = w + (((1.0 - w) - half) + (z * (z * q) - y * tail))

    quarter = int(n) & 3
    if quarter == 0:
        return s, c
    if quarter == 1:
        return c, -s
    if quarter == 2:
        return -s, -c
    return -c, s


@exact
def log(x: float) -> float:
    """Natural logarithm of a positive, finite `x`."""
    m, k = math.frexp(x)
    if m < _SQRT_HALF:
        m *= 2.0
        k -= 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = 6.666666666666735130e-01 + w * (
        2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)
    )
    even = 3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    r = z * odd + w * even
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + r) + k * _LN2_LOW)) - f)


@exact
def exp(x: float) -> float:
    """E to the power of `x`, which is moved into −708 … 709, so that the result is normal and finite."""
    x = min(max(x, -708.0), 709.0)
    k = math.floor(x / 0.6931471805599453 + 0.5)
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    c = 6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08)
    c = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03 + t * c))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    power: float = _POWERS_OF_2[int(k) + 1022]
    return y * power


@exact
def _two_products(a: float, b: float) -> tuple[float, float]:
    """The product and its rounding error, exactly (Dekker 1971); |a|, |b| < 10³⁰⁰."""
    p = a * b
    t = 134217729.0 * a  # 2²⁷ + 1
    a_high = t - (t - a)
    a_low = a - a_high
    t = 134217729.0 * b
    b_high = t - (t - b)
    b_low = b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@exact
def power(x: float, y: float) -> float:
    """`x` to the power of `y`, x positive and finite, |y·ln x| < 700.

    The logarithm is taken to about 58 bits, by the series of `log` whose first term is kept as two numbers:
    the error stays below 2 units in the last place where |y·ln x| < 30, and below 25 units everywhere.
    """
    m, k = math.frexp(x)
    if m < _SQRT_HALF:
        m *= 2.0
        k -= 1
    f = m - 1.0
    # s + s_low = f / (2 + f)
    d = 2.0 + f
    d_low = f - (d - 2.0)
    s = f / d
    p, p_low = _two_products(s, d)
    s_low = (((f - p) - p_low) - s * d_low) / d
    z = s * s
    w = z * z
    odd = 6.666666666666735130e-01 + w * (
        2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)
    )
    even = 3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    small = s * (z * odd + w * even) + (k * _LN2_LOW + 2.0 * s_low)
    # k·ln 2 + 2s as the sum of two numbers, the greater one first
    a, b = k * _LN2_HIGH, 2.0 * s
    high = a + b
    t = high - a
    small += (a - (high - t)) + (b - t)
    log_high = high + small
    log_low = small - (log_high - high)
    p, p_low = _two_products(log_high, y)
    value = exp(p)
    return value + value * (p_low + log_low * y)
