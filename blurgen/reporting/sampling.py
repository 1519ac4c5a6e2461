"""Which pairs of a file are looked at: all of a small file, a sample of a large one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.draws import Draws

Rows = NDArray[np.int64]


def drawn_rows(count: int, most: int, seed: int) -> Rows:
    """At most `most` of the rows 0 … `count` − 1: one of each equal share of the file, drawn by `seed`.

    Returns
    -------
    ndarray
        int64, ascending.

    Examples
    --------
    >>> drawn_rows(3, 5, seed=0).tolist()
    [0, 1, 2]
    """
    if most >= count:
        return np.arange(count, dtype=np.int64)
    edges = np.array([count * i // most for i in range(most + 1)], np.int64)
    shares = np.diff(edges)
    place = (Draws(seed, np.arange(most, dtype=np.int64)).uniform(0) * shares).astype(np.int64)
    rows: Rows = edges[:-1] + np.minimum(place, shares - 1)
    return rows
