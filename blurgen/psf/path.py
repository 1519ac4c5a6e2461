"""What the PSFs of moving points share."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.draws import Draws

MOST_STEPS = 20_000
MAX_LENGTH = 1023.0


def path_size(reach: float) -> int:
    """The odd size that holds every path that gets no farther than `reach` from its centroid."""
    return 2 * (math.floor(reach) + 1) + 1


def draws_of(seed: int, index: int) -> Draws:
    """The draws of sample `index` for the first stage of a recipe.

    Raises
    ------
    InputError
        If either is out of range.
    """
    checked_whole("index", index, 0, 2**63 - 1)
    return Draws(seed, np.array([index], np.int64)).stage(0)


def pixel_key(draws: Draws) -> tuple[np.uint64, NDArray[np.int64], np.uint64]:
    """Seed, indices and stream of the random numbers that a path is made of."""
    return np.uint64(draws.seed), draws.index, np.uint64(draws.pixel_stream)
