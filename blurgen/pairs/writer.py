"""Making a pair file so that a crash at any instant does no harm.

1. ``NAME.partial`` is laid out and its space reserved; its HDF5 metadata does not change any more.
2. Threads write raw rows at their datasets' offsets. Every second or so what was written is synced to the
   disk and then noted in ``NAME.journal``.
3. When every row is noted, the file is synced, opened and checked, and renamed to ``NAME``.

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
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import FileError, InputError
from blurgen.pairs.compression import codec
from blurgen.pairs.format import Header, lay_out, read_header, read_places, reason, store_chunks
from blurgen.pairs.journal import Journal, noted_rows


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
    return noted_rows(journal_path(path)), read_header(partial).count


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

    Raises
    ------
    FileError
        If the file exists, or a partial one of other arguments, or another process is writing it, or it
        cannot be created or does not fit on the disk.
    """

    def __init__(self, path: str | os.PathLike[str], header: Header, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.header = header
        self._partial = partial_path(self.path)
        self._overwrite = overwrite
        self._lock = threading.Lock()
        self._pending: list[tuple[int, ...]] = []
        self._codec = codec(header.compression) if header.compression else None
        self._file = self._chunks = -1
        self._journal: Journal | None = None
        try:
            self._open()
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
        self._places = read_places(self._partial, self.header)
        numbers = 2 + 2 * len(self.header.in_chunks)
        self._journal = Journal(journal_path(self.path), self.header.count, numbers)
        if self._codec:
            self._chunks = os.open(chunks_path(self.path), os.O_RDWR | os.O_CREAT, 0o644)
            # what was appended and never noted is forgotten
            self._end = max((line[-2] + line[-1] for line in self._journal.lines), default=0)
            if os.fstat(self._chunks).st_size < self._end:
                raise FileError(f"'{chunks_path(self.path)}' is truncated: delete '{self._partial}'")

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
        """The ranges of rows that are not yet written; they begin at multiples of the header's chunk_rows."""
        assert self._journal is not None
        return self._journal.missing()

    def write(self, start: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write rows from `start` on: every dataset by its name, of equal length. Thread-safe.

        In a compressed file `start` is a multiple of the header's chunk_rows, and so is the number of rows,
        unless they are the last.
        """
        rows = len(columns["sharp"])
        arrays = {}
        for name, place in self._places.items():
            data = np.ascontiguousarray(columns[name], place.dtype)
            if data.shape != (rows, *place.row_shape):
                expected = (rows, *place.row_shape)
                raise InputError(f"column '{name}' has the shape {data.shape}, {expected} is needed")
            arrays[name] = data
        try:
            for name, data in arrays.items():
                if name not in self.header.in_chunks:
                    place = self._places[name]
                    _write_all(self._file, data, place.offset + start * place.row_bytes)
            notes = self._write_chunks(start, arrays) if self._codec else [(start, start + rows)]
        except OSError as error:
            raise self._failed(error) from None
        with self._lock:
            self._pending += notes

    def _write_chunks(self, start: int, arrays: Mapping[str, NDArray[Any]]) -> list[tuple[int, ...]]:
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
                _write_all(self._chunks, data, at)
                note += [at, data.size]
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

    def finish(self) -> None:
        """Check that the file is whole, and move it into place."""
        self.checkpoint()
        gaps = self.missing()
        if gaps:
            raise FileError(f"'{self._partial}' lacks the pairs {gaps[0][0]} to {gaps[0][1] - 1}")
        try:
            whole = self._assembled() if self._codec else self._partial
            if (
                read_header(whole) != self.header
                or read_places(whole, self.header).keys() != self._places.keys()
            ):
                raise FileError(f"'{whole}' was changed while it was written")
            _sync(whole)
            self._check_free()
            whole.rename(self.path)
            _sync(self.path.parent)
            for rest in (self._partial, chunks_path(self.path), journal_path(self.path)):
                rest.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from None

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

    def _noted_chunks(self) -> Iterator[tuple[str, int, bytes]]:
        assert self._journal is not None
        for line in sorted(self._journal.lines):
            for k, name in enumerate(self.header.in_chunks):
                at, size = line[2 + 2 * k : 4 + 2 * k]
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


def _write_all(file: int, data: NDArray[Any], offset: int) -> None:
    view = data.reshape(-1).view(np.uint8).data
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
