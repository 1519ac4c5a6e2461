"""Trajectories that are Gaussian processes, in their Markov form: each step needs the one before alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp
from blurgen.loops.jit import exact
from blurgen.loops.lanes import LANES, LEAST, TILE, fill_normals, keep
from blurgen.loops.paths import centroid, farthest, finish, splat

# Gauss-Legendre nodes and weights on [0, 1]
_NODES = np.array(
    [
        0.019855071751231884,
        0.10166676129318664,
        0.2372337950418355,
        0.4082826787521751,
        0.591717321247825,
        0.7627662049581645,
        0.8983332387068134,
        0.9801449282487681,
    ]
)
_SHARES = np.array(
    [
        0.05061426814518813,
        0.11119051722668724,
        0.15685332293894366,
        0.1813418916891810,
        0.1813418916891810,
        0.15685332293894366,
        0.11119051722668724,
        0.05061426814518813,
    ]
)


@exact
def matern_step(u: float, out: NDArray[np.float64]) -> None:
    """Fill `out`, 15 numbers, with the law of one step of a Matérn-5/2 process of variance 1.

    The state is (f, f'/λ, f''/λ²) with λ = √5/l, the step u = λΔt; f solves a stochastic differential
    equation of third order (J. Hartikainen and S. Särkkä, "Kalman filtering and smoothing solutions to
    temporal Gaussian process regression models", 2010). The first nine numbers are the transition matrix,
    then come the Cholesky factor's 00, 10, 11, 20, 21, 22 of the covariance of what is added,
    16/3·∫₀ᵘ φ(s)φ(s)ᵀ ds with φ(s) = e⁻ˢ·(s²/2, s − s²/2, 1 − 2s + s²/2): a sum of products, unlike
    P − A·P·Aᵀ, of which nothing is left where u is small.
    """
    decay = exp(-u)
    out[0] = decay * (1.0 + u + 0.5 * u * u)
    out[1] = decay * (u + u * u)
    out[2] = decay * (0.5 * u * u)
    out[3] = decay * (-0.5 * u * u)
    out[4] = decay * (1.0 + u - u * u)
    out[5] = decay * (u - 0.5 * u * u)
    out[6] = decay * (0.5 * u * u - u)
    out[7] = decay * (u * u - 3.0 * u)
    out[8] = decay * (1.0 - 2.0 * u + 0.5 * u * u)
    q00, q10, q11, q20, q21, q22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    pieces = math.ceil(u)
    for piece in range(pieces):
        for i in range(_NODES.size):
            s = u * (piece + _NODES[i]) / pieces
            share = 16.0 / 3.0 * _SHARES[i] * u / pieces * exp(-2.0 * s)
            a, b, c = 0.5 * s * s, s - 0.5 * s * s, 1.0 - 2.0 * s + 0.5 * s * s
            q00 += share * a * a
            q10 += share * b * a
            q11 += share * b * b
            q20 += share * c * a
            q21 += share * c * b
            q22 += share * c * c
    l00 = math.sqrt(q00)
    l10 = q10 / l00
    l11 = math.sqrt(q11 - l10 * l10)
    l20 = q20 / l00
    l21 = (q21 - l20 * l10) / l11
    out[9] = l00
    out[10] = l10
    out[11] = l11
    out[12] = l20
    out[13] = l21
    out[14] = math.sqrt(q22 - l20 * l20 - l21 * l21)


@exact
def _wander(
    count: int,
    coordinate: int,
    law: NDArray[np.float64],
    normals: NDArray[np.float32],
    state: NDArray[np.float64],
    tile: NDArray[np.float64],
) -> None:
    """Fill steps 1 … `count` of a tile with one coordinate of Matérn-5/2 paths; `state` goes along."""
    for t in range(count):
        j = 2 * t + coordinate
        for k in range(state.shape[1]):
            f, g, h = state[0, k], state[1, k], state[2, k]
            a, b, c = np.float64(normals[0, j, k]), np.float64(normals[1, j, k]), np.float64(normals[2, j, k])
            to = (law[0, k] * f + law[1, k] * g + law[2, k] * h) + law[9, k] * a
            state[0, k] = to
            state[1, k] = (law[3, k] * f + law[4, k] * g + law[5, k] * h) + (law[10, k] * a + law[11, k] * b)
            state[2, k] = (law[6, k] * f + law[7, k] * g + law[8, k] * h) + (
                law[12, k] * a + law[13, k] * b + law[14, k] * c
            )
            tile[t + 1, k] = to


@exact
def gaussian_process(
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    correlation: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> None:
    """Fill the rows of `x` and `y`, (samples, steps), with Matérn-5/2 processes of variance 1 on [0, 1].

    `correlation` is their length l. Point t of x takes three numbers of block 2t, that of y of block 2t + 1.
    """
    count, steps = x.shape
    law = np.empty((15, count))
    state_x, state_y = np.empty((3, count)), np.empty((3, count))
    ahead = min(TILE // 2, steps - 1)
    words = np.empty((4, 2 * ahead, count), np.uint32)
    normals = np.empty((4, 2 * ahead, count), np.float32)
    tile = np.empty((ahead + 1, count))
    one = np.empty(15)
    # the first point is drawn from the stationary law: the transition matrix is 0
    one[:] = 0.0
    one[9] = 1.0
    one[11] = math.sqrt(1.0 / 3.0)
    one[12] = -1.0 / 3.0
    one[14] = math.sqrt(8.0 / 9.0)
    for k in range(count):
        law[:, k] = one
        state_x[:, k] = 0.0
        state_y[:, k] = 0.0
    fill_normals(seed, index, stream, 0, words, normals)
    _wander(1, 0, law, normals, state_x, tile)
    keep(tile, 0, 1, x)
    _wander(1, 1, law, normals, state_y, tile)
    keep(tile, 0, 1, y)
    for k in range(count):
        matern_step(math.sqrt(5.0) / correlation[k] / (steps - 1), one)
        law[:, k] = one
    for start in range(1, steps, ahead):
        part = min(ahead, steps - start)
        fill_normals(seed, index, stream, 2 * start, words, normals)
        _wander(part, 0, law, normals, state_x, tile)
        keep(tile, start, part, x)
        _wander(part, 1, law, normals, state_y, tile)
        keep(tile, start, part, y)


@exact
def gaussian_process_psfs(
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    correlation: NDArray[np.float64],
    deviation: NDArray[np.float64],
    size: NDArray[np.int64],
    steps: int,
    out: NDArray[np.floating],
) -> None:
    """Fill each `out[b]`, odd, with the PSF of a Gaussian process of `deviation` half widths of `size`."""
    x, y = np.empty((LANES, steps)), np.empty((LANES, steps))
    weights = np.ones(steps)
    scratch = np.zeros(out.shape[1:])
    for start in range(0, index.size, LANES):
        stop = min(index.size, start + LANES)
        rows_x, rows_y = x[: stop - start], y[: stop - start]
        gaussian_process(seed, index[start:stop], stream, correlation[start:stop], rows_x, rows_y)
        for b in range(start, stop):
            path_x, path_y = x[b - start], y[b - start]
            mean_x, mean_y, weight = centroid(path_x, path_y, weights)
            reach = (size[b] - 1) / 2.0
            most = farthest(path_x, path_y, mean_x, mean_y)
            factor = min(deviation[b] * size[b] / 2.0, reach / max(most, LEAST))
            splat(path_x, path_y, weights, mean_x, mean_y, factor, scratch)
            finish(scratch, weight, out[b])
