"""The PSFs of a file's pairs: those that it holds, or the same, rendered again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.pairs import PairFile


def known_psfs(pairs: PairFile, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32] | None, str]:
    """The PSFs of some rows, of the file or rendered again from what was drawn.

    Parameters
    ----------
    pairs : PairFile
        The file.
    rows : ndarray
        int64, shape (n,): which rows.

    Returns
    -------
    tuple
        float32 (n, k, k) and nothing; or None, where no one PSF describes the blur or the file of given ones
        is not there, and why.
    """
    if pairs.psf is not None:
        return np.asarray(pairs.psf[rows]), ""
    try:
        if pairs.recipe.psf_size == 1:
            return None, f"recipe '{pairs.recipe.name}' has no blur of a known PSF"
        params = {name: np.asarray(column[rows]) for name, column in pairs.params.items()}
        return pairs.recipe.psfs(params, pairs.recipe.draws(pairs.seed, pairs.header.first + rows)), ""
    except InputError as error:
        return None, str(error)
