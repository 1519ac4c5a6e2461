"""Making a pair file so that a crash at any instant does no harm.

1. ``NAME.partial`` is laid out and its space reserved; its HDF5 metadata does not change any more.
2. Threads write raw rows at their datasets' offsets, a number of whole blocks at a time, and the blocks'
   checksums. Every second or so what was written is synced to the disk and then noted in ``NAME.journal``.
3. When every row is noted, the checksums of the rest are written; the file is synced, opened and checked, and
   renamed to ``NAME``.

Compressed chunks have no place of their own before all are known. Threads append them to ``NAME.chunks``, and
the journal notes where; in the end they are put, in order, into a copy of the partial file.
"""

from __future__ import annotations

import errno
import fcntl
import glob
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

from blurgen.errors import FileError, InputError
from blurgen.pairs.checking import Blocks, blocks_of, damaged_blocks, rows_of
from blurgen.pairs.compression import codec
from blurgen.pairs.format import (
    Header,
    lay_out,
    mapped_columns,
    read_header,
    read_layout,
    reason,
    store_chunks,
)
from blurgen.pairs.journal import Journal, Line, noted_lines
from blurgen.pairs.raw import write_all, write_rows
from blurgen.pairs.sums import read_block_sums, sums_of_blocks, sums_of_file


def partial_path(path: Path) -> Path:
    """Where the file is while it is being made."""
    return path.with_name(path.name + ".partial")


def journal_path(path: Path) -> Path:
    """Where the finished rows are noted while it is being made."""
    return path.with_name(path.name + ".journal")


def chunks_path(path: Path) -> Path:
    """Where compressed chunks wait for their place."""
    return path.with_name(path.name + ".chunks")


def kept(path: Path) -> tuple[int, int]:
    """How many pairs of the unfinished file `path` are kept, and of how many; (0, 0) where nothing is begun.

    Raises
    ------
    FileError
        If what is left of it is damaged.
    """
    partial = partial_path(path)
    if not partial.exists():
        return 0, 0
    header = read_header(partial)
    lines, _ = noted_lines(journal_path(path), header.count, _numbers(header))
    return sum(stop - start for start, stop in rows_of(_noted(lines, header), header)), header.count


def _numbers(header: Header) -> int:
    """How many numbers a line of the journal has: start, stop, and place, size and CRC-32 of each chunk."""
    return 2 + 3 * len(header.in_chunks)


def _noted(lines: list[Line], header: Header) -> Blocks:
    return blocks_of([(line[0], line[1]) for line in lines], header)


def remove_partial(path: Path) -> None:
    """Remove what is left of a file `path` that is not finished."""
    for rest in (partial_path(path), chunks_path(path), journal_path(path)):
        rest.unlink(missing_ok=True)


class PairWriter:
    """Writes one pair file, from several threads; goes on where an interrupted one stopped.

    Use as a context manager: leaving it normally moves the finished file into place, leaving it by an
    exception notes what was written and keeps the partial file.

    Parameters
    ----------
    path : path-like
        The final name.
    header : Header
        What is to be made.
    overwrite : bool
        Whether a file of that name may be replaced, and a partial one of other arguments discarded.
    threads : int
        On how many threads the rows that are there already are compared with their checksums.
    note : callable, optional
        Called with a sentence about what was found damaged and will be made again.

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
        threads: int = 1,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.header = header
        self._partial = partial_path(self.path)
        self._overwrite = overwrite
        self._lock = threading.Lock()
        self._pending: list[Line] = []
        self._codec = codec(header.compression) if header.compression else None
        self._file = self._chunks = -1
        self._journal: Journal | None = None
        try:
            self._open()
            for damage in self._damages(threads):
                if note:
                    note(damage)
        except OSError as error:
            self._close()
            raise self._failed(error) from None
        except BaseException:
            self._close()
            raise

    def _open(self) -> None:
        if self.path.exists() and not self.path.is_file():
            raise FileError(f"'{self.path}' is no ordinary file; the name of one is needed")
        self._check_free()
        if not self.path.parent.is_dir():
            raise FileError(f"'{self.path}' cannot be written: there is no folder '{self.path.parent}'")
        if self._partial.exists() and self._may_go():
            self._partial.unlink()
        if not self._partial.exists():
            self._begin()
        if self._file < 0:
            self._resume()
        self._layout = read_layout(self._partial, self.header)
        self._journal = Journal(journal_path(self.path), self.header.count, _numbers(self.header))
        self._done = _noted(self._journal.lines, self.header)
        if self._codec:
            self._chunks = os.open(chunks_path(self.path), os.O_RDWR | os.O_CREAT, 0o644)
            # what was appended and never noted is forgotten
            self._end = max((line[-3] + line[-2] for line in self._journal.lines), default=0)

    def _damages(self, threads: int) -> Iterator[str]:
        """What is damaged of that which is there already, in sentences; its rows count as missing."""
        assert self._journal is not None
        if self._journal.damaged:
            many = f"{self._journal.damaged} damaged line{'s' * (self._journal.damaged > 1)}"
            yield f"'{journal_path(self.path)}' has {many}: what they noted is made again"
        if not self._done.any():
            return
        columns = mapped_columns(self._partial, self.header, self._layout)
        sums = read_block_sums(self._file, self.header, self._layout)
        damaged = damaged_blocks(self.header, columns, sums, self._done, threads)
        unsound = np.logical_or.reduce(list(damaged.values()), initial=False, dtype=np.bool_)
        if self._codec:
            unsound = unsound | self._done & ~blocks_of(self._sound_chunks(), self.header)
        if unsound.any():
            self._done &= ~unsound
            rows = sum(stop - start for start, stop in rows_of(unsound, self.header))
            yield f"'{self._partial}' was damaged since it was written: {rows:,} of its rows are made again"

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

    def _check_free(self) -> None:
        if self.path.exists() and not self._overwrite:
            raise FileError(f"'{self.path}' exists; give another name, or allow overwriting (--overwrite)")

    def _may_go(self) -> bool:
        """Whether the partial file that is there can be discarded, nobody having a use for it."""
        try:
            ours = not self._differences()
        except FileError:
            if not self._overwrite:
                raise
            ours = False
        if ours or not self._overwrite:
            return False
        file = os.open(self._partial, os.O_RDWR)
        try:
            self._claim(file)
        finally:
            os.close(file)
        return True

    def _begin(self) -> None:
        """Lay the file out beside its name, then give it that name, unless another process was faster."""
        new = self._partial.with_name(f"{self._partial.name}.{os.getpid()}")
        for leftover in self._partial.parent.glob(f"{glob.escape(self._partial.name)}.[0-9]*"):
            if not _is_running(leftover.suffix[1:]):
                leftover.unlink(missing_ok=True)
        try:
            lay_out(new, self.header)
            file = os.open(new, os.O_RDWR)
            try:
                self._claim(file)
                _reserve(file, self.path)
                os.fsync(file)
                os.link(new, self._partial)
            except FileExistsError:
                os.close(file)
            except BaseException:
                os.close(file)
                raise
            else:
                self._file = file
                if self.path.exists() and not self._overwrite:  # another process was so fast as to end, too
                    self._partial.unlink()
                self._check_free()
                for leftover in (journal_path(self.path), chunks_path(self.path)):
                    leftover.unlink(missing_ok=True)
        finally:
            new.unlink(missing_ok=True)

    def _resume(self) -> None:
        differences = self._differences()
        if differences:
            raise FileError(
                f"'{self._partial}' was begun with other arguments ({differences}); finish it with those, "
                "delete it, or start afresh (--overwrite)"
            )
        self._file = os.open(self._partial, os.O_RDWR)
        self._claim(self._file)
        if not self._partial.exists() or not os.path.samestat(os.fstat(self._file), self._partial.stat()):
            raise FileError(f"'{self.path}' was just finished by another process")
        self._check_free()

    def _differences(self) -> str:
        """What of the partial file's header differs from ours, as one phrase."""
        theirs, ours = (
            {
                **header.attributes(),
                "psf": header.psf_size,
                "shape": header.shape,
                "compression": header.compression,
            }
            for header in (read_header(self._partial), self.header)
        )
        return ", ".join(
            name if name == "recipe" else f"{name} {theirs[name]!r}, now {ours[name]!r}"
            for name in ours
            if theirs[name] != ours[name]
        )

    def _claim(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileError(f"'{self.path}' is being written by another process") from None

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
        rows, block = len(columns["sharp"]), self.header.block_rows
        if start % block or (rows % block and start + rows != self.header.count):
            raise InputError(f"rows {start} to {start + rows - 1} are no whole blocks of {block}")
        arrays = {}
        for name, place in self._layout.columns.items():
            data = np.ascontiguousarray(columns[name], place.dtype)
            if data.shape != (rows, *place.row_shape):
                expected = (rows, *place.row_shape)
                raise InputError(f"column '{name}' has the shape {data.shape}, {expected} is needed")
            arrays[name] = data
        try:
            # first, while the rows are in the processor's cache
            sums = sums_of_blocks(arrays, block)
            write_rows(self._file, self._layout.block_sums, start // block, sums)
            for name, data in arrays.items():
                if name not in self.header.in_chunks:
                    write_rows(self._file, self._layout.columns[name], start, data)
            notes = self._write_chunks(start, arrays) if self._codec else [(start, start + rows)]
        except OSError as error:
            raise self._failed(error) from None
        with self._lock:
            self._pending += notes

    def _write_chunks(self, start: int, arrays: Mapping[str, NDArray[Any]]) -> list[Line]:
        """Compress and append rows chunk by chunk; where they lie, for the journal."""
        assert self._codec is not None
        size = self.header.block_rows
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
        self._done |= _noted(written, self.header)

    def finish(self) -> None:
        """Check that the file is whole, and move it into place."""
        self.checkpoint()
        gaps = self.missing()
        if gaps:
            raise FileError(f"'{self._partial}' lacks the pairs {gaps[0][0]} to {gaps[0][1] - 1}")
        try:
            whole = self._assembled() if self._codec else self._partial
            if read_header(whole) != self.header or read_layout(whole, self.header) != self._layout:
                raise FileError(f"'{whole}' was changed while it was written")
            self._seal(whole)
            self._check_free()
            whole.rename(self.path)
            sync(self.path.parent)
            remove_partial(self.path)
        except OSError as error:
            raise self._failed(error) from None

    def _seal(self, path: Path) -> None:
        """Write the checksums of what is no rows, and bring all to the disk."""
        file = os.open(path, os.O_RDWR)
        try:
            write_rows(file, self._layout.file_sums, 0, sums_of_file(file, self.header, self._layout))
            os.fsync(file)
        finally:
            os.close(file)

    def _assembled(self) -> Path:
        """A copy of the partial file with the compressed chunks in their places."""
        packed = self.path.with_name(self.path.name + ".packed")
        try:
            shutil.copyfile(self._partial, packed)
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
        for file in (self._file, self._chunks):
            if file >= 0:
                os.close(file)


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _reserve(file: int, path: Path) -> None:
    """Reserve the space of a file that is laid out."""
    size = os.fstat(file).st_size
    disk = os.fstatvfs(file)
    free = disk.f_bavail * disk.f_frsize
    try:
        # reserving more than there is would fill the disk first, and fail then
        if size > free:
            raise OSError(errno.ENOSPC, "")
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        raise FileError(
            f"'{path}' needs {size / 1e6:,.1f} MB, which cannot be reserved: {reason(error)}"
        ) from None


def sync(path: Path) -> None:
    """Bring a file or a folder to the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
