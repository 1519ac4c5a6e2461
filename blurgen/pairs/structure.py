"""What a file holds besides rows: HDF5's own bytes, attributes, gaps. A header determines all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from blurgen.pairs.format import Header, Layout, lay_out, read_layout
from blurgen.pairs.raw import write_all
from blurgen.pairs.sums import structure_ranges, structure_sum

_COPY_BYTES = 1 << 20


@contextmanager
def laid_out_again(path: Path, header: Header) -> Iterator[Layout]:
    """Lay a file out at `path` as a header determines it, to compare with; it is removed at the end."""
    try:
        lay_out(path, header)
        yield read_layout(path, header)
    finally:
        path.unlink(missing_ok=True)


def mend_structure(damaged: int, fresh: Path, header: Header, layout: Layout) -> bool:
    """Give a file the structure of one that was laid out afresh, where it differs.

    Parameters
    ----------
    damaged : int
        The open file, of the same size and layout.
    fresh : Path
        The other.
    header : Header
        Of both.
    layout : Layout
        Of both.

    Returns
    -------
    bool
        Whether it differed.
    """
    with fresh.open("rb") as file:
        ours = file.fileno()
        if structure_sum(damaged, header, layout) == structure_sum(ours, header, layout):
            return False
        for start, stop in structure_ranges(os.fstat(ours).st_size, header, layout):
            for at in range(start, stop, _COPY_BYTES):
                data = os.pread(ours, min(_COPY_BYTES, stop - at), at)
                write_all(damaged, np.frombuffer(data, np.uint8), at)
    os.fsync(damaged)
    return True
