"""Normal noise whose neighbours resemble each other: white noise, filtered by a Gaussian."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import exp
from blurgen.loops.jit import exact
from blurgen.loops.noise import add, fill_normals, spread

_F = np.float32


@exact
def weights_of(radius: float) -> NDArray[np.float32]:
    """Samples of a Gaussian of deviation `radius` to 4 deviations, the sum of whose squares is 1."""
    reach = math.ceil(4.0 * radius)
    weights = np.empty(2 * reach + 1)
    total = 0.0
    for t in range(-reach, reach + 1):
        value = 1.0 if t == 0 else exp(max(-0.5 * (t / radius) * (t / radius), -600.0))
        weights[t + reach] = value
        total += value * value
    out = np.empty(weights.size, np.float32)
    norm = math.sqrt(total)
    for t in range(weights.size):
        out[t] = weights[t] / norm
    return out


@exact
def add_smooth(
    images: NDArray[np.generic],
    sigma: NDArray[np.float32],
    radius: NDArray[np.float64],
    repeat: int,
    seed: np.uint64,
    index: NDArray[np.int64],
    stream: np.uint64,
    half: np.float32,
    low: np.float32,
    high: np.float32,
    out: NDArray[np.generic],
) -> None:
    """Write images (B, H, W, C) plus `sigma` (B,) times smooth noise; `repeat`, C or 1, as in `add_normals`.

    The white noise reaches beyond the image by as much as the weights do. Its values stand in reading order,
    those beyond the image included, and the j-th is made of word j.
    """
    count, height, width, channels = images.shape
    own = channels // repeat
    line = np.empty(width * own, np.float32)
    repeated = np.empty(width * channels, np.float32)
    for i in range(count):
        if sigma[i] == 0.0:
            out[i] = images[i]
            continue
        weights = weights_of(radius[i])
        taps = weights.size
        row = (width + taps - 1) * own
        white = np.empty((height + taps - 1) * row, np.float32)
        words = np.empty(4 * ((white.size + 3) // 4), np.uint32)
        fill_normals(seed, np.uint64(index[i]), stream, np.uint64(0), words, white)
        column = np.empty(row, np.float32)
        for y in range(height):
            column[:] = _F(0.0)
            for t in range(taps):
                weight = weights[t]
                source = white[(y + t) * row : (y + t + 1) * row]
                for x in range(row):
                    column[x] += weight * source[x]
            line[:] = _F(0.0)
            for t in range(taps):
                weight = weights[t]
                source = column[t * own : t * own + line.size]
                for x in range(line.size):
                    line[x] += weight * source[x]
            noise = line
            if repeat > 1:
                spread(line, repeat, repeated)
                noise = repeated
            add(images[i, y].reshape(-1), sigma[i], noise, half, low, high, out[i, y].reshape(-1))
