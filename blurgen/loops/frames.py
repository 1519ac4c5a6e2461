"""The mean of frames in linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact


@exact
def mean(frames: NDArray[np.uint8], light: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Write the mean over frames (N, P) of ``light[frame]``, summed in their order, to `out` (P,)."""
    scale = np.float32(frames.shape[0])
    for p in range(out.size):
        out[p] = light[frames[0, p]]
    for n in range(1, frames.shape[0]):
        for p in range(out.size):
            out[p] += light[frames[n, p]]
    for p in range(out.size):
        out[p] /= scale
