"""The random numbers of one drawn image, one after the other.

Their state is one array, for each array that is passed costs a compiled function time: uint64, with the seed,
the index, the stream, the next Philox block, how many words are used up, and the words of the last blocks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact
from blurgen.loops.philox import draw_block

_SEED, _INDEX, _STREAM, _BLOCK, _USED, _WORDS = range(6)
_POOL = np.uint64(64)
_ONE = np.uint64(1)
_UNIT = 2.0**-32


@exact
def sequence(seed: np.uint64, stream: np.uint64) -> NDArray[np.uint64]:
    """The numbers of `seed` and `stream`; `restart` says of which image."""
    numbers = np.zeros(_WORDS + 64, np.uint64)
    numbers[_SEED] = seed
    numbers[_STREAM] = stream
    numbers[_USED] = _POOL
    return numbers


@exact
def restart(numbers: NDArray[np.uint64], index: np.uint64) -> None:
    """Go to the first number of image `index`."""
    numbers[_INDEX] = index
    numbers[_BLOCK] = np.uint64(0)
    numbers[_USED] = _POOL


@exact
def _refill(numbers: NDArray[np.uint64]) -> None:
    for k in range(_WORDS, numbers.size - 3, 4):
        words = draw_block(numbers[_SEED], numbers[_INDEX], numbers[_STREAM], numbers[_BLOCK])
        numbers[_BLOCK] += _ONE
        numbers[k], numbers[k + 1], numbers[k + 2], numbers[k + 3] = words
    numbers[_USED] = np.uint64(0)


@exact
def uniform(numbers: NDArray[np.uint64]) -> float:
    """The next number, in [0, 1), a multiple of 2⁻³²."""
    if numbers[_USED] == _POOL:
        _refill(numbers)
    used = numbers[_USED]
    numbers[_USED] = used + _ONE
    return float(numbers[_WORDS + np.int64(used)]) * _UNIT


@exact
def between(numbers: NDArray[np.uint64], low: float, high: float) -> float:
    """A number in [low, high)."""
    return low + (high - low) * uniform(numbers)


@exact
def spread(numbers: NDArray[np.uint64], width: float) -> float:
    """A number in ±`width` that is more often small than large: triangular, of deviation `width` / √6."""
    return width * (uniform(numbers) + uniform(numbers) - 1.0)


@exact
def below(numbers: NDArray[np.uint64], n: int) -> int:
    """A whole number in [0, n)."""
    return int(n * uniform(numbers))
