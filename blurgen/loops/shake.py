"""The trajectories of a hand-held camera, after Boracchi and Foi."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import log, sincos
from blurgen.loops.jit import exact
from blurgen.loops.lanes import LANES, LEAST, TILE, fill_normals, keep
from blurgen.loops.paths import centroid, farthest, finish, splat
from blurgen.loops.philox import draw_block, unit

_HALF_UNIT = 5.551115123125783e-17  # 2⁻⁵⁴: moves [0, 1) to the open interval
_IMPULSES = np.uint64(1 << 31)  # the first block that impulses take; normal numbers stay below it
_NEVER = np.int64(1 << 40)
_STILL = 1e-12  # no anxiety


@exact
def _gap(
    probability: float, seed: np.uint64, index: np.uint64, stream: np.uint64, block: np.uint64
) -> np.int64:
    """How many steps pass before an impulse that comes with `probability` in each: a geometric number."""
    if probability < 1e-12:
        return _NEVER
    if probability >= 1.0:
        return np.int64(0)
    a, b, _, _ = draw_block(seed, index, stream, block)
    gap = math.floor(log(unit(a, b) + _HALF_UNIT) / log(1.0 - probability))
    return np.int64(min(gap, float(_NEVER)))


@exact
def _steps(
    first: int,
    stop: int,
    normals: NDArray[np.float32],
    random: NDArray[np.float64],
    pull: NDArray[np.float64],
    step: NDArray[np.float64],
    vx: NDArray[np.float64],
    vy: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> None:
    """The steps of a tile from `first` to `stop`; impulses, where there are any, come before the first."""
    for t in range(first, stop):
        j, half = t // 2, 2 * (t % 2)
        for k in range(step.size):
            u = vx[k] + (random[k] * np.float64(normals[half, j, k]) - pull[k] * x[t, k])
            w = vy[k] + (random[k] * np.float64(normals[half + 1, j, k]) - pull[k] * y[t, k])
            factor = step[k] / math.sqrt(max(u * u + w * w, LEAST))
            vx[k] = u * factor
            vy[k] = w * factor
            x[t + 1, k] = x[t, k] + u * factor
            y[t + 1, k] = y[t, k] + w * factor


@exact
def hand_held(
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    shake: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> None:
    """Fill the rows of `x` and `y`, (samples, steps), with trajectories of Boracchi and Foi.

    `shake` holds a row for each of centripetal, impulses, gaussian, anxiety, angle (degrees), length. Step t
    takes its two normal numbers from block t // 2; impulse n its angle, and the steps up to the next one,
    from blocks of their own.
    """
    count, last = index.size, x.shape[1] - 1
    work = np.empty((5, count))
    random, pull, step, vx, vy = work[0], work[1], work[2], work[3], work[4]
    due = np.empty(count, np.int64)
    used = np.zeros(count, np.uint64)
    soonest = _NEVER
    blocks = min(TILE, (last + 1) // 2)
    tile_x, tile_y = np.zeros((2 * blocks + 1, count)), np.zeros((2 * blocks + 1, count))
    for k in range(count):
        anxiety = shake[3, k]
        step[k] = shake[5, k] / last
        random[k] = anxiety * shake[2, k] * step[k]
        pull[k] = anxiety * shake[0, k] * step[k]
        s, c = sincos(shake[4, k] % 360.0 / 180.0 * math.pi)
        # the published programs start at this speed, whatever the unit
        speed = anxiety if anxiety > _STILL else step[k]
        vx[k] = speed * c
        vy[k] = speed * s
        due[k] = _gap(shake[1, k] * anxiety, seed, np.uint64(index[k]), stream, _IMPULSES)
        soonest = min(soonest, due[k])
        x[k, 0] = 0.0
        y[k, 0] = 0.0
    words = np.empty((4, blocks, count), np.uint32)
    normals = np.empty((4, blocks, count), np.float32)
    for start in range(0, last, 2 * blocks):
        fill_normals(seed, index, stream, start // 2, words, normals)
        t, stop = start, min(last, start + 2 * blocks)
        while t < stop:
            if t == soonest:
                soonest = _NEVER
                for k in range(count):
                    if due[k] == t:
                        i = np.uint64(index[k])
                        _, _, a, b = draw_block(seed, i, stream, _IMPULSES + used[k])
                        used[k] += np.uint64(1)
                        s, c = sincos(math.pi + unit(a, b) - 0.5)
                        u, w = vx[k], vy[k]
                        vx[k] = u + 2.0 * (u * c - w * s)
                        vy[k] = w + 2.0 * (u * s + w * c)
                        due[k] = t + 1 + _gap(shake[1, k] * shake[3, k], seed, i, stream, _IMPULSES + used[k])
                    soonest = min(soonest, due[k])
            until = min(stop, soonest)
            _steps(t - start, until - start, normals, random, pull, step, vx, vy, tile_x, tile_y)
            t = until
        keep(tile_x, start + 1, stop - start, x)
        keep(tile_y, start + 1, stop - start, y)


@exact
def hand_held_psfs(
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    shake: NDArray[np.float64],
    exposure: NDArray[np.float64],
    reach: NDArray[np.float64],
    steps: int,
    out: NDArray[np.floating],
) -> None:
    """Fill each `out[b]`, odd, with the PSF of the first part of a trajectory.

    Where `reach` is not negative, the path is scaled so that it gets that far from its centroid, in x or y.
    """
    x, y = np.empty((LANES, steps)), np.empty((LANES, steps))
    weights = np.ones(steps)
    scratch = np.zeros(out.shape[1:])
    for start in range(0, index.size, LANES):
        stop = min(index.size, start + LANES)
        hand_held(seed, index[start:stop], stream, shake[:, start:stop], x[: stop - start], y[: stop - start])
        for b in range(start, stop):
            time = exposure[b] * steps
            n = max(1, math.ceil(time))
            weights[n - 1] = time - (n - 1)
            path_x, path_y, part = x[b - start, :n], y[b - start, :n], weights[:n]
            mean_x, mean_y, weight = centroid(path_x, path_y, part)
            factor = 1.0
            if reach[b] >= 0.0:
                factor = reach[b] / max(farthest(path_x, path_y, mean_x, mean_y), LEAST)
            splat(path_x, path_y, part, mean_x, mean_y, factor, scratch)
            finish(scratch, weight, out[b])
            weights[n - 1] = 1.0
