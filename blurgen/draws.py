"""The only randomness: numbers that are pure functions of (seed, sample index, stage, draw).

Every number comes from one block of Philox4x32-10 [1]_ with the counter

==========  ==================================================================
word 0      the draw: parameter · 2¹⁶ + attempt; ⌊j/4⌋ for word j of the pixels,
            which is word j mod 4 of its block; 16 · j + attempt for counts
word 1      the stream: 2 bits for what is drawn, 30 bits for the stage's place
word 2, 3   the sample's index, low and high half
==========  ==================================================================

and the seed as the key. Hence nothing depends on threads, batch size, order, resuming, sharding or the
machine, and a stage added at the end of a recipe changes no earlier number.

References
----------
.. [1] J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.errors import InputError
from blurgen.loops import draws as loops

_PLACE_BITS = 6
PLACES = (1 << _PLACE_BITS) - 1
DEPTH = 5
_PIXELS = 1 << 30
_ATTEMPTS = 1 << 16
MAX_SEED = 2**64 - 1


@dataclass(frozen=True, eq=False)
class Draws:
    """The draws of one stage for a batch of samples.

    Attributes
    ----------
    seed : int
        0 … 2⁶⁴ − 1.
    index : ndarray
        int64, shape (B,): the absolute index of each sample.
    copies : int
        How many consecutive samples are made from one source image.
    stream : int
        The code of the stage's place in the recipe.
    """

    seed: int
    index: NDArray[np.int64]
    copies: int = 1
    stream: int = 0

    def __post_init__(self) -> None:
        checked_whole("seed", self.seed, 0, MAX_SEED)

    def __len__(self) -> int:
        return self.index.size

    def stage(self, place: int) -> Draws:
        """The draws of the stage at `place` (0, 1, …) inside this one."""
        if place >= PLACES:
            raise InputError(f"a recipe holds at most {PLACES} stages side by side")
        if self.stream >> (_PLACE_BITS * (DEPTH - 1)):
            raise InputError(f"a recipe's stages nest at most {DEPTH} deep")
        return replace(self, stream=(self.stream << _PLACE_BITS) | (place + 1))

    def rows(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Draws:
        """The draws of some of the samples only."""
        return replace(self, index=self.index[rows])

    def at(self, index: NDArray[np.int64]) -> Draws:
        """The same stage's draws for other samples."""
        return replace(self, index=index)

    @property
    def pixel_stream(self) -> int:
        """The stream of per-pixel noise, apart from the parameters'."""
        return _PIXELS | self.stream

    def uniform(self, parameter: int, attempt: int = 0) -> NDArray[np.float64]:
        """Uniform in [0, 1), multiples of 2⁻⁵³, shape (B,)."""
        out = np.empty(len(self))
        loops.fill_uniform(*self._key(parameter, attempt), out)
        return out

    def normal(self, parameter: int) -> NDArray[np.float64]:
        """Standard normal, by inversion (AS 241) of a 53-bit uniform, shape (B,)."""
        out = np.empty(len(self))
        loops.fill_normal(*self._key(parameter), out)
        return out

    def beta(self, parameter: int, alpha: float, beta: float) -> NDArray[np.float64]:
        """Beta(α, β) in [0, 1], shape (B,)."""
        out = np.empty(len(self))
        loops.fill_beta(*self._key(parameter), float(alpha), float(beta), out)
        return out

    def below(self, parameter: int, bound: int) -> NDArray[np.int64]:
        """Whole numbers 0 … bound − 1, equally likely, shape (B,)."""
        # the product may round up to `bound` itself where bound is large
        return np.minimum((self.uniform(parameter) * bound).astype(np.int64), bound - 1)

    def _key(
        self, parameter: int, attempt: int = 0
    ) -> tuple[np.uint64, NDArray[np.int64], np.uint64, np.uint64]:
        draw = np.uint64(parameter * _ATTEMPTS + attempt)
        return np.uint64(self.seed), self.index, np.uint64(self.stream), draw
