"""NumPy archives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from blurgen.exporting.base import Sharded

_MEMBER = 1024  # more than the headers of a member take, in the archive and in the member


class Npz(Sharded):
    """``pairs-000000.npz`` … of sharp, blurred, source_index, label, psf, params/NAME, as in the pair file.

    Nothing is compressed or pickled. Arrays go from the file's memory map to the disk; the images of a
    compressed pair file are in memory, a whole shard at a time.
    """

    ending = ".npz"

    def _columns(self, start: int, stop: int) -> dict[str, Any]:
        sharp, blurred = self.images(start, stop)
        found: dict[str, Any] = {"sharp": sharp, "blurred": blurred}
        found["source_index"] = self.pairs.source_index[start:stop]
        if self.pairs.label is not None:
            found["label"] = self.pairs.label[start:stop]
        if self.pairs.psf is not None:
            found["psf"] = self.pairs.psf[start:stop]
        found |= {f"params/{name}": column[start:stop] for name, column in self.pairs.params.items()}
        return found

    def frame_bytes(self) -> int:
        """Headers of members, and the archive's list of them."""
        return _MEMBER * (1 + len(self.pairs.header.columns()))

    def pair_bytes(self) -> int:
        """A row of every array."""
        columns = self.pairs.header.columns().values()
        return sum(dtype.itemsize * int(np.prod(shape, dtype=np.int64)) for dtype, shape in columns)

    def fill(self, file: BinaryIO, start: int, stop: int) -> Iterator[int]:
        """Write a shard."""
        np.savez(file, allow_pickle=False, **self._columns(start, stop))
        yield stop
