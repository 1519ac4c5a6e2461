"""Damaged bytes of a pair file made again: afterwards it is what it was, byte for byte, or it is refused.

What can be believed is known by the checksums: a header whose layout has the checksum of the structure, a
table of checksums that has its own, rows made again that have theirs. Only what stood there before the damage
is written, so that a repair that is interrupted leaves a file that is no worse.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen import threads as pool
from blurgen._version import __version__
from blurgen.errors import FileError
from blurgen.files import sync
from blurgen.maker import chunk_rows, remake
from blurgen.pairs import PairFile, PairWriter, open_pairs
from blurgen.pairs.checking import Blocks, damaged_blocks, ranges_told, rows_of
from blurgen.pairs.format import read_header, reason
from blurgen.pairs.partial import remove_partial
from blurgen.pairs.raw import write_rows
from blurgen.pairs.structure import laid_out_again, mend_structure
from blurgen.pairs.sums import (
    Sums,
    joined_sums,
    read_file_sums,
    structure_sum,
    sums_of_blocks,
)
from blurgen.pairs.virtual import points_to_parts
from blurgen.sources.base import Source
from blurgen.verification import source_of, stored_columns

Progress = Callable[[int, int], None]
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Repair:
    """What was repaired.

    Attributes
    ----------
    path : str
        The file.
    rows : dict
        Dataset → the ranges of rows (start, stop), in whole blocks, that were made again.
    rest : bool
        Whether bytes that are no rows were written anew.
    """

    path: str
    rows: dict[str, list[tuple[int, int]]]
    rest: bool

    def __str__(self) -> str:
        """What was repaired, as a sentence."""
        places = [f"{name} in {ranges_told(ranges)}" for name, ranges in self.rows.items()]
        if self.rest:
            places.append("bytes outside of the rows")
        return f"'{self.path}': " + (f"repaired {'; '.join(places)}" if places else "nothing is damaged")


def repair(
    path: str | os.PathLike[str],
    *,
    dataset: str | Source | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Repair:
    """Make the damaged blocks of a pair file again, and write anew what else is damaged.

    This is done in place; a compressed file is written beside the old one, and then takes its name.

    Parameters
    ----------
    path : path-like
        The file.
    dataset, data_dir, threads
        As of `blurgen.verification.verify`. Where no rows are damaged no source is needed.
    progress : callable, optional
        Called with (rows looked at, rows in all) now and then.

    Returns
    -------
    Repair
        What was repaired.

    Raises
    ------
    FileError
        If the header is damaged, or rows made again are not what they were.
    SourceError, InputError
        If the source cannot be read, or is another one than the file was made from.
    """
    workers = pool.checked(threads)
    path = Path(path)
    if points_to_parts(path):
        raise FileError(f"'{path}' only points to its parts: repair those")
    with _errors_said(path):
        structure = _repair_structure(path)
        pairs = open_pairs(path)
        file = os.open(path, os.O_RDWR)
        try:
            work = _Work(pairs, file, dataset, data_dir, workers, progress)
            rest = work.compressed_anew() if pairs.header.compression else work.in_place()
        finally:
            os.close(file)
    rows = {name: rows_of(blocks, pairs.header) for name, blocks in work.damaged.items()}
    return Repair(str(path), rows, rest or structure)


@contextmanager
def _errors_said(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"'{path}' cannot be repaired: {reason(error)}") from None


# ---- the structure ----


def _repair_structure(path: Path) -> bool:
    """Whether the bytes of a file without compression that belong to no dataset had to be written anew."""
    try:
        header = read_header(path)
    except FileError as error:
        raise FileError(f"{error}; it cannot be repaired, only made again") from None
    if header.compression:
        return False
    fresh = path.with_name(path.name + ".repair")
    with (
        laid_out_again(fresh, header) as layout,
        path.open("r+b") as theirs,
        fresh.open("rb") as ours,
    ):
        right = structure_sum(ours.fileno(), header, layout)
        stored = read_file_sums(theirs.fileno(), layout)
        if path.stat().st_size != fresh.stat().st_size or not _was_structure(right, stored):
            raise FileError(
                f"'{path}' cannot be repaired, only made again: its header is damaged, or another "
                "version of HDF5 laid it out"
            )
        return mend_structure(theirs.fileno(), fresh, header, layout)


def _was_structure(found: int, stored: Sums) -> bool:
    """Whether this was the checksum of the structure: by its own number, or the number of both."""
    return found == stored[0] or bool(joined_sums(found, int(stored[1]))[2] == stored[2])


def _was_table(found: int, stored: Sums) -> bool:
    """Whether this was the checksum of the blocks' checksums."""
    return found == stored[1] or bool(joined_sums(int(stored[0]), found)[2] == stored[2])


# ---- the rows ----


class _Work:
    """What is damaged in an open file whose header can be read, and how it is made again.

    Attributes
    ----------
    damaged : dict
        Dataset → bool, shape (blocks,).
    """

    def __init__(
        self,
        pairs: PairFile,
        file: int,
        dataset: str | Source | None,
        data_dir: str | os.PathLike[str] | None,
        workers: int,
        progress: Progress | None,
    ) -> None:
        self._pairs, self._file, self._workers = pairs, file, workers
        self._header, self._layout = pairs.header, pairs.layout
        self._dataset, self._data_dir = dataset, data_dir
        self._stored = read_file_sums(file, self._layout)
        self._sums = pairs.block_sums()
        columns = stored_columns(pairs)
        every = np.ones(self._header.blocks, np.bool_)
        self.damaged = damaged_blocks(self._header, columns, self._sums, every, workers, progress)
        self._sums_damaged = not _was_table(zlib.crc32(self._sums.data), self._stored)
        if self._sums_damaged:
            self._sums = self._sums_made_again()
            self.damaged = damaged_blocks(self._header, columns, self._sums, self._any_damaged(), workers)

    @cached_property
    def _source(self) -> Source:
        return source_of(self._pairs, self._dataset, self._data_dir)

    def _any_damaged(self) -> Blocks:
        found = np.zeros(self._header.blocks, np.bool_)
        for blocks in self.damaged.values():
            found |= blocks
        return found

    def _made(self, start: int, stop: int) -> Columns:
        """Rows made again, as they are stored."""
        columns = remake(self._source, self._header, start, stop)
        return {
            name: np.ascontiguousarray(columns[name], place.dtype)
            for name, place in self._layout.columns.items()
        }

    def _blocks(self, start: int, stop: int) -> slice:
        return slice(start // self._header.block_rows, -(-stop // self._header.block_rows))

    def _each(self, work: Callable[[int, int], None]) -> None:
        """Do `work` for all rows of damaged blocks, on threads."""
        self._source  # noqa: B018 – opened once, before there are threads
        step = chunk_rows(self._header)
        tasks = (
            (start, min(start + step, last))
            for first, last in rows_of(self._any_damaged(), self._header)
            for start in range(first, last, step)
        )
        with closing(
            pool.stream(lambda task: work(*task), tasks, self._workers, "blurgen-repair")
        ) as results:
            for _ in results:
                pass

    def _sums_made_again(self) -> Sums:
        """The table of checksums as it was, for where it differs from the rows either may be damaged."""
        sums = self._sums.copy()

        def work(start: int, stop: int) -> None:
            made = self._made(start, stop)
            sums[self._blocks(start, stop)] = sums_of_blocks(made, self._header.block_rows)

        self._each(work)
        if not _was_table(zlib.crc32(sums.data), self._stored):
            raise self._refusal("its checksums are damaged, and")
        return sums

    def _checked(self, start: int, stop: int) -> Columns:
        """Rows made again that are what they were."""
        made = self._made(start, stop)
        if not np.array_equal(
            sums_of_blocks(made, self._header.block_rows), self._sums[self._blocks(start, stop)]
        ):
            raise self._refusal("")
        return made

    def _refusal(self, why: str) -> FileError:
        version = self._header.version
        note = f" (blurgen {version} made it, this is {__version__})" if version != __version__ else ""
        return FileError(
            f"'{self._pairs.path}' cannot be repaired: {why} rows made again are not what they were{note}"
        )

    def in_place(self) -> bool:
        """Write the damaged rows and checksums; whether any of the latter were damaged."""

        def work(start: int, stop: int) -> None:
            made = self._checked(start, stop)
            for name, blocks in self.damaged.items():
                if blocks[self._blocks(start, stop)].any():
                    write_rows(self._file, self._layout.columns[name], start, made[name])

        if self.damaged:
            self._each(work)
            os.fsync(self._file)
        structure = structure_sum(self._file, self._header, self._layout)
        right = joined_sums(structure, zlib.crc32(self._sums.data))
        if not self._sums_damaged and np.array_equal(right, self._stored):
            return False
        write_rows(self._file, self._layout.block_sums, 0, self._sums)
        write_rows(self._file, self._layout.file_sums, 0, right)
        os.fsync(self._file)
        return True

    def compressed_anew(self) -> bool:
        """Write the file anew, of what is intact and what is made again; whether it was not only rows."""
        found = joined_sums(
            structure_sum(self._file, self._header, self._layout), zlib.crc32(self._sums.data)
        )
        rest = self._sums_damaged or not np.array_equal(found, self._stored)
        if not self.damaged and not rest:
            return False
        new = self._pairs.path.with_name(self._pairs.path.name + ".repaired")
        try:
            with PairWriter(new, self._header, overwrite=True) as writer:
                self._copy(writer)
            with new.open("rb") as file:
                right = read_file_sums(file.fileno(), self._layout)
            if not _was_structure(int(right[0]), self._stored):
                raise FileError(
                    f"'{self._pairs.path}' cannot be repaired, only made again: its header is damaged, or "
                    "other versions of HDF5 and the compression stored it"
                )
            new.rename(self._pairs.path)
            sync(new.parent)
        finally:
            new.unlink(missing_ok=True)
            remove_partial(new)
        return rest

    def _copy(self, writer: PairWriter) -> None:
        bad = self._any_damaged()
        stored: Mapping[str, Any] = stored_columns(self._pairs)
        rows = self._header.block_rows

        def work(block: int) -> None:
            start, stop = block * rows, min((block + 1) * rows, self._header.count)
            if bad[block]:
                writer.write(start, self._checked(start, stop))
            else:
                writer.write(start, {name: column[start:stop] for name, column in stored.items()})

        blocks = iter(range(self._header.blocks))
        with closing(pool.stream(work, blocks, self._workers, "blurgen-repair")) as results:
            for _ in results:
                pass
