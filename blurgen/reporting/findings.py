"""What can be told of a pair file: drawn parameters, PSFs, grey levels, scores, near-duplicates.

Of a large file samples are looked at, so that time and memory are bounded; how many, the findings tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.draws import MAX_SEED
from blurgen.errors import FileError
from blurgen.grouping import Group, groups, took_part
from blurgen.pairs import PairFile
from blurgen.reporting.duplicates import Duplicates, near_duplicates
from blurgen.reporting.promises import Promise, gap, promises
from blurgen.reporting.psfs import PsfFindings, psf_findings
from blurgen.reporting.sampling import Rows, drawn_rows
from blurgen.reporting.similarity import Scores, psnr, ssim

_MOST_ROWS = 100_000  # whose parameters are counted
_MOST_PAIRS = 2_000  # that are scored
_MOST_VALUES = 24_000_000  # of the sharp images that are scored
_MOST_SOURCES = 10_000  # images that are compared with one another
_MOST_SOURCE_VALUES = 400_000_000
_INDEX_ROWS = 4_000_000  # of source_index that are read
_BLOCK_BYTES = 4 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Parameter:
    """What came of one parameter, beside what was promised.

    Attributes
    ----------
    name : str
        As in the file.
    promise : Promise
        What the recipe says.
    values : ndarray
        Shape (n,): of the rows looked at, those that the stage took part in.
    share : float
        Which share of them that is.
    gap, bound : float
        See `promises.gap`; 0 where `values` is empty.
    groups : list of Group
        The scored pairs in groups alike in it; none where only one value came.
    """

    name: str
    promise: Promise
    values: NDArray[Any]
    share: float
    gap: float
    bound: float
    groups: list[Group]

    @property
    def varied(self) -> bool:
        """Whether different values came, or others than promised."""
        return bool(self.values.size) and (self.values.min() != self.values.max() or self.gap > 0)

    @property
    def kept(self) -> bool:
        """Whether it is as promised, as far as chance lets one say."""
        return self.gap <= self.bound or not self.promise.independent


@dataclass(frozen=True, eq=False)
class Levels:
    """Grey levels of all channels of the scored pairs.

    Attributes
    ----------
    sharp, blurred : ndarray
        int64, shape (C, 256): how often each level comes in each channel.
    """

    sharp: NDArray[np.int64]
    blurred: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found in a pair file.

    Attributes
    ----------
    pairs : PairFile
        The file.
    seed : int
        What drew the rows that were looked at.
    rows : ndarray
        int64: the rows whose parameters were counted.
    parameters : list of Parameter
        In the order of the file.
    scored : ndarray
        int64: the rows whose images were measured.
    psnr, ssim : ndarray
        float64: of each of them.
    levels : Levels
        Of them, too.
    psfs : PsfFindings or None
        None where no one PSF describes the blur.
    duplicates : Duplicates
        Among the sharp images, one row for each image of the source.
    """

    pairs: PairFile
    seed: int
    rows: Rows
    parameters: list[Parameter]
    scored: Rows
    psnr: Scores
    ssim: Scores
    levels: Levels
    psfs: PsfFindings | None
    duplicates: Duplicates


def findings(pairs: PairFile, *, seed: int = 0, progress: Progress | None = None) -> Findings:
    """Look at a pair file.

    Parameters
    ----------
    pairs : PairFile
        The file.
    seed : int
        Draws which rows of a large file are looked at.
    progress : callable, optional
        Called with (pairs scored, pairs to score).

    Raises
    ------
    FileError
        If the images cannot be read.
    """
    seed = checked_whole("seed", seed, 0, MAX_SEED)
    count = len(pairs)
    values = int(np.prod(pairs.header.shape))
    rows = drawn_rows(count, _MOST_ROWS, seed)
    scored = drawn_rows(count, max(1, min(_MOST_PAIRS, _MOST_VALUES // values)), seed)
    try:
        levels, noise, likeness = _measured(pairs, scored, progress)
        sources, whole = _source_rows(pairs, seed)
        alike = near_duplicates(pairs.sharp, sources, whole=whole)
    except OSError:  # of a compressed file; HDF5's own words name addresses
        raise FileError(f"pair file '{pairs.path}' is damaged: images cannot be read") from None
    promised = promises(pairs.recipe, pairs.seed)
    return Findings(
        pairs,
        seed,
        rows,
        [_parameter(pairs, name, promised[name], rows, scored) for name in pairs.params],
        scored,
        noise,
        likeness,
        levels,
        psf_findings(pairs, seed),
        alike,
    )


def _measured(pairs: PairFile, rows: Rows, progress: Progress | None) -> tuple[Levels, Scores, Scores]:
    """Grey levels, PSNR and SSIM of some rows, a block at a time."""
    channels = pairs.header.shape[2]
    counted = np.zeros((2, channels, 256), np.int64)
    noise, likeness = np.empty(rows.size), np.empty(rows.size)
    block = max(1, _BLOCK_BYTES // int(np.prod(pairs.header.shape)) // 8)
    for start in range(0, rows.size, block):
        part = slice(start, start + block)
        sharp, blurred = np.asarray(pairs.sharp[rows[part]]), np.asarray(pairs.blurred[rows[part]])
        noise[part], likeness[part] = psnr(blurred, sharp), ssim(blurred, sharp)
        for which, images in enumerate((sharp, blurred)):
            for channel in range(channels):
                counted[which, channel] += np.bincount(images[..., channel].ravel(), minlength=256)
        if progress:
            progress(min(start + block, rows.size), rows.size)
    return Levels(counted[0], counted[1]), noise, likeness


def _source_rows(pairs: PairFile, seed: int) -> tuple[Rows, bool]:
    """One row for each image of the source, or for some of them; whether all are there."""
    looked = drawn_rows(len(pairs), _INDEX_ROWS, seed)
    _, first = np.unique(np.asarray(pairs.source_index[looked]), return_index=True)
    rows = looked[np.sort(first)]
    most = max(2, min(_MOST_SOURCES, _MOST_SOURCE_VALUES // int(np.prod(pairs.header.shape))))
    chosen = rows[drawn_rows(rows.size, most, seed)]
    return chosen, looked.size == len(pairs) and chosen.size == rows.size


def _parameter(pairs: PairFile, name: str, promise: Promise, rows: Rows, scored: Rows) -> Parameter:
    column = np.asarray(pairs.params[name][rows])
    values = column[took_part(column)]
    far, bound = gap(promise, values) if values.size else (0.0, 0.0)
    by = groups(np.asarray(pairs.params[name][scored]))
    return Parameter(name, promise, values, values.size / rows.size, far, bound, by)
