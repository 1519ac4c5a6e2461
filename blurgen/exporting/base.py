"""What every format of an export is made of."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import FileError
from blurgen.pairs import PairFile

_BLOCK_BYTES = 16 << 20  # of pairs that are in memory at a time
_LEAST_ROWS, _MOST_ROWS = 8, 4096  # of a block: work for 16 threads; a second's work of small images


class Format(ABC):
    """One way to lay out pairs in a folder, a part after the other.

    Parameters
    ----------
    pairs : PairFile
        The pairs.
    threads : int
        How many threads encode images.
    shard_bytes : int
        What no shard exceeds, unless a single pair does; of no effect on a format without shards.
    """

    sharded: ClassVar[bool] = False
    extra: ClassVar[str | None] = None
    """What to install for it, as in ``pip install 'blurgen[extra]'``; its package has the name `package`."""
    package: ClassVar[str | None] = None

    def __init__(self, pairs: PairFile, threads: int, shard_bytes: int) -> None:
        self.pairs = pairs
        self.count = len(pairs)
        self.threads = threads
        height, width, channels = pairs.header.shape
        fitting = _BLOCK_BYTES // (2 * height * width * channels)
        self.block = max(_LEAST_ROWS, min(_MOST_ROWS, fitting))
        self._digits = max(6, len(str(self.count - 1)))
        self.rows = self._rows(shard_bytes)

    def _rows(self, shard_bytes: int) -> int:
        """How many pairs are a part: written, synced and noted together."""
        return self.block

    @property
    @abstractmethod
    def files(self) -> list[str]:
        """The names of what the format writes to its folder."""

    @abstractmethod
    def write(self, folder: Path, start: int, stop: int) -> Iterator[int]:
        """Write a part to the disk, all of it again if there is some; gives how many pairs are done so far.

        Parts come in order. One that was written may be asked for again, if the process ended before that
        was noted.
        """

    @abstractmethod
    def finish(self, folder: Path) -> None:
        """Write what belongs to no part."""

    def key(self, index: int) -> str:
        """The name of a pair: its index, of equal length for all."""
        return f"{index:0{self._digits}d}"

    def blocks(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Cut rows into what is in memory at a time."""
        return ((at, min(at + self.block, stop)) for at in range(start, stop, self.block))

    def images(self, start: int, stop: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Sharp and blurred images of some rows."""
        try:
            return self.pairs.sharp[start:stop], self.pairs.blurred[start:stop]
        except OSError:  # of a compressed file; HDF5's own words name addresses
            raise FileError(f"pair file '{self.pairs.path}' is damaged: images cannot be read") from None


class Sharded(Format):
    """A format whose parts are files."""

    sharded = True
    ending: ClassVar[str]

    @property
    def shards(self) -> int:
        """How many files there are."""
        return -(-self.count // self.rows)

    @property
    def files(self) -> list[str]:
        """The shards."""
        return [self.shard(number) for number in range(self.shards)]

    def shard(self, number: int) -> str:
        """The name of a shard."""
        return f"pairs-{number:06d}{self.ending}"

    def _rows(self, shard_bytes: int) -> int:
        return max(1, min(self.count, (shard_bytes - self.frame_bytes()) // self.pair_bytes()))

    @abstractmethod
    def frame_bytes(self) -> int:
        """What a shard takes at most, besides its pairs."""

    @abstractmethod
    def pair_bytes(self) -> int:
        """What a pair takes at most in a shard."""

    @abstractmethod
    def fill(self, file: BinaryIO, start: int, stop: int) -> Iterator[int]:
        """Write a shard; gives how many pairs are done so far."""

    def write(self, folder: Path, start: int, stop: int) -> Iterator[int]:
        """Write a shard to the disk."""
        with (folder / self.shard(start // self.rows)).open("wb") as file:
            yield from self.fill(file, start, stop)
            file.flush()
            os.fsync(file.fileno())

    def finish(self, folder: Path) -> None:
        """Nothing belongs to no shard."""
