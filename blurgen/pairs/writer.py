"""Making a pair file so that a crash at any instant does no harm.

1. ``NAME.partial`` is laid out and its space reserved; its HDF5 metadata does not change any more.
2. Threads write raw rows at their datasets' offsets, a number of whole blocks at a time, and the blocks'
   checksums. Every second or so what was written is synced to the disk and then noted in ``NAME.journal``.
3. When every row is noted, the checksums of the rest are written; the file is synced, opened and checked, and
   renamed to ``NAME``.

Compressed chunks have no place of their own before all are known. Threads append them to ``NAME.chunks``, and
the journal notes where; in the end they are put, in order, into a copy of the partial file.

Shards write into one partial file, each its own rows, and note them in journals of their own. Who makes the
whole counts the rows of all journals.
"""

from __future__ import annotations

import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import FileError
from blurgen.files import sync
from blurgen.pairs.blocks import checked_blocks, write_blocks
from blurgen.pairs.checking import Blocks, blocks_of, damaged_blocks, rows_of
from blurgen.pairs.compression import codec
from blurgen.pairs.format import Header, mapped_columns, read_header, read_layout, reason, store_chunks
from blurgen.pairs.journal import Journal, Line, noted_lines
from blurgen.pairs.partial import (
    PartialFile,
    chunks_path,
    journal_path,
    journals,
    noted_blocks,
    numbers_of_line,
    remove_partial,
)
from blurgen.pairs.raw import write_all, write_rows
from blurgen.pairs.shards import Shard
from blurgen.pairs.sums import read_block_sums, sums_of_file


class PairWriter:
    """Writes one pair file, from several threads; goes on where an interrupted one stopped.

    Use as a context manager: leaving it normally moves the finished file into place, leaving it by an
    exception notes what was written and keeps the partial file. A shard keeps it in any case.

    Parameters
    ----------
    path : path-like
        The final name.
    header : Header
        What is to be made.
    overwrite : bool
        Whether a file of that name may be replaced, and a partial one of other arguments discarded.
    shard : Shard, optional
        Which rows are written; by default all. Compressed files have no shards.
    threads : int
        On how many threads the rows that are there already are compared with their checksums.
    note : callable, optional
        Called with a sentence about what was found damaged and will be made again, and where the file
        system has no locks.

    Attributes
    ----------
    start, stop : int
        The rows that are written, start … stop − 1.

    Raises
    ------
    FileError
        If the file exists, or a partial one of other arguments, or another process is writing it, or it
        cannot be created or does not fit on the disk.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Header,
        *,
        overwrite: bool = False,
        shard: Shard | None = None,
        threads: int = 1,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.header = header
        self.start, self.stop = shard.rows(header) if shard else (0, header.count)
        self._shard = shard
        self._lock = threading.Lock()
        self._pending: list[Line] = []
        self._codec = codec(header.compression) if header.compression else None
        self._chunks = -1
        self._partial: PartialFile | None = None
        self._journal: Journal | None = None
        try:
            self._partial = PartialFile(self.path, header, overwrite=overwrite, shard=shard)
            self._file = self._partial.file
            self._layout = read_layout(self._partial.path, header)
            for found in self._found(threads):
                if note:
                    note(found)
        except OSError as error:
            self._close()
            raise self._failed(error) from None
        except BaseException:
            self._close()
            raise

    def _found(self, threads: int) -> Iterator[str]:
        """Count what is there already; what is unusual, in sentences."""
        assert self._partial is not None
        if not self._partial.locked:
            yield f"'{self.path}': its file system has no locks: see that no other process writes the same"
        if self._partial.mended:
            yield f"'{self._partial.path}' was damaged since it was written: its header is written again"
        numbers = numbers_of_line(self.header)
        own = journal_path(self.path, self._shard)
        self._journal = Journal(own, self.header.count, numbers)
        if not self._journal.claimed:
            whose = f"shard {self._shard} of '{self.path}'" if self._shard else f"'{self.path}'"
            raise FileError(f"{whose} is being written by another process")
        noted = {own: (self._journal.lines, self._journal.damaged)}
        for path in journals(self.path):
            if path != own:
                noted[path] = noted_lines(path, self.header.count, numbers)
        ours = blocks_of([(self.start, self.stop)], self.header)
        self._done = ~ours
        for path, (lines, damaged) in noted.items():
            self._done |= noted_blocks(lines, self.header)
            if damaged:
                many = f"{damaged} damaged line{'s' * (damaged > 1)}"
                yield f"'{path}' has {many}: what they noted is made again"
        if self._codec:
            self._chunks = os.open(chunks_path(self.path), os.O_RDWR | os.O_CREAT, 0o644)
            # what was appended and never noted is forgotten
            self._end = max((line[-3] + line[-2] for line in self._journal.lines), default=0)
        unsound = self._unsound(self._done & ours, threads)
        if unsound.any():
            self._done &= ~unsound
            rows = sum(stop - start for start, stop in rows_of(unsound, self.header))
            yield f"'{self._partial.path}' was damaged since it was written: {rows:,} rows are made again"

    def _unsound(self, blocks: Blocks, threads: int) -> Blocks:
        """Which of some blocks are not as they were written."""
        assert self._partial is not None
        unsound = np.zeros_like(blocks)
        if blocks.any():
            columns = mapped_columns(self._partial.path, self.header, self._layout)
            # opened anew, or a network file system might show what others had not yet written
            with self._partial.path.open("rb") as file:
                sums = read_block_sums(file.fileno(), self.header, self._layout)
            for damaged in damaged_blocks(self.header, columns, sums, blocks, threads).values():
                unsound |= damaged
            if self._codec:
                unsound |= blocks & ~blocks_of(self._sound_chunks(), self.header)
        return unsound

    def _sound_chunks(self) -> list[tuple[int, int]]:
        """The rows whose compressed chunks are as they were written."""
        return [
            (line[0], line[1])
            for line in self._lines_of_blocks()
            if all(
                zlib.crc32(os.pread(self._chunks, size, at)) == crc
                for at, size, crc in zip(line[2::3], line[3::3], line[4::3], strict=True)
            )
        ]

    def _failed(self, error: OSError) -> FileError:
        return FileError(f"'{self.path}' cannot be written: {reason(error)}")

    def missing(self) -> list[tuple[int, int]]:
        """The ranges of rows that are not yet written, in whole blocks."""
        return rows_of(~self._done, self.header)

    def write(self, start: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write rows from `start` on: every dataset by its name, of equal length. Thread-safe.

        `start` is a multiple of the header's block_rows, and so is the number of rows, unless they are the
        last.
        """
        arrays = checked_blocks(self.header, self._layout, start, columns)
        try:
            write_blocks(self._file, self.header, self._layout, start, arrays)
            stop = start + len(arrays["sharp"])
            notes = self._write_chunks(start, arrays) if self._codec else [(start, stop)]
        except OSError as error:
            raise self._failed(error) from None
        with self._lock:
            self._pending += notes

    def written_elsewhere(self, start: int, stop: int) -> None:
        """Count rows, whole blocks, that another process wrote and brought to the disk."""
        with self._lock:
            self._pending.append((start, stop))

    def recheck(self, threads: int) -> int:
        """Compare all rows with their checksums, on threads; how many are missing again."""
        self.checkpoint()
        unsound = self._unsound(self._done & blocks_of([(self.start, self.stop)], self.header), threads)
        self._done &= ~unsound
        return sum(stop - start for start, stop in rows_of(unsound, self.header))

    def _write_chunks(self, start: int, arrays: Mapping[str, NDArray[Any]]) -> list[Line]:
        """Compress and append rows chunk by chunk; where they lie, for the journal."""
        assert self._codec is not None
        size = self.header.chunk_rows
        notes = []
        for first in range(0, len(arrays["sharp"]), size):
            note = [start + first, min(start + first + size, start + len(arrays["sharp"]))]
            for name in self.header.in_chunks:
                chunk = arrays[name][first : first + size]
                if len(chunk) < size:  # the last chunk of a dataset is as large as the others
                    padding = np.zeros((size - len(chunk), *chunk.shape[1:]), chunk.dtype)
                    chunk = np.concatenate([chunk, padding])
                data = np.frombuffer(self._codec.compress(chunk.reshape(-1).view(np.uint8)), np.uint8)
                with self._lock:
                    at, self._end = self._end, self._end + data.size
                write_all(self._chunks, data, at)
                note += [at, data.size, zlib.crc32(data.data)]
            notes.append(tuple(note))
        return notes

    def checkpoint(self) -> None:
        """Bring what was written to the disk, then note it in the journal."""
        assert self._journal is not None
        with self._lock:
            written, self._pending = self._pending, []
        if not written:
            return
        try:
            os.fdatasync(self._file)
            if self._codec:
                os.fdatasync(self._chunks)
            self._journal.add(written)
        except OSError as error:
            raise self._failed(error) from None
        self._done |= noted_blocks(written, self.header)

    def finish(self) -> None:
        """Check that the file is whole, and move it into place; of a shard, that it has all its rows."""
        assert self._partial is not None
        self.checkpoint()
        gaps = self.missing()
        if gaps:
            raise FileError(f"'{self._partial.path}' lacks the pairs {gaps[0][0]} to {gaps[0][1] - 1}")
        if self._shard:
            return
        try:
            whole = self._assembled() if self._codec else self._partial.path
            if (
                not self._partial.is_there()
                or read_header(whole) != self.header
                or read_layout(whole, self.header) != self._layout
            ):
                raise FileError(f"'{whole}' was changed while it was written")
            self._seal(whole)
            self._partial.check_free()
            whole.rename(self.path)
            sync(self.path.parent)
            remove_partial(self.path)
        except OSError as error:
            raise self._failed(error) from None

    def _seal(self, path: Path) -> None:
        """Write the checksums of what is no rows, and bring all to the disk."""
        file = os.open(path, os.O_RDWR)
        try:
            blocks = read_block_sums(file, self.header, self._layout)
            sums = sums_of_file(file, self.header, self._layout, blocks)
            write_rows(file, self._layout.file_sums, 0, sums)
            os.fsync(file)
        finally:
            os.close(file)

    def _assembled(self) -> Path:
        """A copy of the partial file with the compressed chunks in their places."""
        packed = self.path.with_name(self.path.name + ".packed")
        try:
            assert self._partial is not None
            shutil.copyfile(self._partial.path, packed)
            store_chunks(packed, self._noted_chunks())
        except BaseException:
            packed.unlink(missing_ok=True)
            raise
        return packed

    def _lines_of_blocks(self) -> list[Line]:
        """The line of the journal that counts for each block of a compressed file: the last one."""
        assert self._journal is not None
        return [line for _, line in sorted({line[0]: line for line in self._journal.lines}.items())]

    def _noted_chunks(self) -> Iterator[tuple[str, int, bytes]]:
        for line in self._lines_of_blocks():
            for name, at, size in zip(self.header.in_chunks, line[2::3], line[3::3], strict=True):
                yield name, line[0], os.pread(self._chunks, size, at)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
            else:
                self.checkpoint()
        finally:
            self._close()

    def _close(self) -> None:
        if self._journal is not None:
            self._journal.close()
        if self._chunks >= 0:
            os.close(self._chunks)
        if self._partial is not None:
            self._partial.close()
