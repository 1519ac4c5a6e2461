"""Random numbers for parameters: one number a sample, each from its own Philox counters.

`draw` is the first of 65,536 blocks that belong to one parameter; rejection methods walk through them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp, log
from blurgen.loops.jit import exact
from blurgen.loops.philox import draw_block, unit

_HALF_UNIT = 5.551115123125783e-17  # 2⁻⁵⁴: moves [0, 1) to the open interval, symmetric about ½


@exact
def fill_uniform(
    seed: np.uint64, index: NDArray[np.int64], stream: np.uint64, draw: np.uint64, out: NDArray[np.float64]
) -> None:
    """Uniform numbers in [0, 1) with 53 bits."""
    for i in range(index.size):
        a, b, _, _ = draw_block(seed, np.uint64(index[i]), stream, draw)
        out[i] = unit(a, b)


@exact
def inverse_normal(p: float) -> float:
    """The standard normal quantile of 0 < p < 1, to 1 part in 10¹⁶ (Wichura 1988, AS 241, PPND16)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        n = 2509.0809287301226727 * r + 33430.575583588128105
        n = ((n * r + 67265.770927008700853) * r + 45921.953931549871457) * r + 13731.693765509461125
        n = ((n * r + 1971.5909503065514427) * r + 133.14166789178437745) * r + 3.387132872796366608
        d = 5226.495278852854561 * r + 28729.085735721942674
        d = ((d * r + 39307.89580009271061) * r + 21213.794301586595867) * r + 5394.1960214247511077
        d = ((d * r + 687.1870074920579083) * r + 42.313330701600911252) * r + 1.0
        return q * n / d
    r = math.sqrt(-log(min(p, 1.0 - p)))
    if r <= 5.0:
        r -= 1.6
        n = 7.7454501427834140764e-4 * r + 0.0227238449892691845833
        n = ((n * r + 0.24178072517745061177) * r + 1.27045825245236838258) * r + 3.64784832476320460504
        n = ((n * r + 5.7694972214606914055) * r + 4.6303378461565452959) * r + 1.42343711074968357734
        d = 1.05075007164441684324e-9 * r + 5.475938084995344946e-4
        d = ((d * r + 0.0151986665636164571966) * r + 0.14810397642748007459) * r + 0.68976733498510000455
        d = ((d * r + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1.0
    else:
        r -= 5.0
        n = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
        n = ((n * r + 0.0012426609473880784386) * r + 0.026532189526576123093) * r + 0.29656057182850489123
        n = ((n * r + 1.7848265399172913358) * r + 5.4637849111641143699) * r + 6.6579046435011037772
        d = 2.04426310338993978564e-15 * r + 1.4215117583164458887e-7
        d = ((d * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r + 0.0148753612908506148525
        d = ((d * r + 0.13692988092273580531) * r + 0.59983220655588793769) * r + 1.0
    return math.copysign(n / d, q)


@exact
def fill_normal(
    seed: np.uint64, index: NDArray[np.int64], stream: np.uint64, draw: np.uint64, out: NDArray[np.float64]
) -> None:
    """Standard normal numbers by inversion of a 53-bit uniform."""
    for i in range(index.size):
        a, b, _, _ = draw_block(seed, np.uint64(index[i]), stream, draw)
        out[i] = inverse_normal(unit(a, b) + _HALF_UNIT)


@exact
def _gamma(
    shape: float, seed: np.uint64, index: np.uint64, stream: np.uint64, draw: np.uint64
) -> tuple[float, np.uint64]:
    """The logarithm of one gamma variate and the next unused draw (Marsaglia & Tsang 2000)."""
    boost = 0.0
    if shape < 1.0:
        a, b, _, _ = draw_block(seed, index, stream, draw)
        draw += np.uint64(1)
        boost = log(unit(a, b) + _HALF_UNIT) / shape
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        a, b, e, f = draw_block(seed, index, stream, draw)
        draw += np.uint64(1)
        x = inverse_normal(unit(a, b) + _HALF_UNIT)
        v = 1.0 + c * x
        if v > 0.0:
            v = v * v * v
            if log(unit(e, f) + _HALF_UNIT) < 0.5 * x * x + d - d * v + d * log(v):
                return boost + log(d * v), draw


@exact
def fill_beta(
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    draw: np.uint64,
    alpha: float,
    beta: float,
    out: NDArray[np.float64],
) -> None:
    """Beta numbers in [0, 1] as X / (X + Y) of two gamma variates, whose logarithms do not underflow."""
    for i in range(index.size):
        x, after = _gamma(alpha, seed, np.uint64(index[i]), stream, draw)
        y, _ = _gamma(beta, seed, np.uint64(index[i]), stream, after)
        out[i] = 1.0 / (1.0 + exp(min(max(y - x, -690.0), 690.0)))


@exact
def apply_exp(values: NDArray[np.float64]) -> None:
    """Exponential in place."""
    for i in range(values.size):
        values[i] = exp(values[i])
