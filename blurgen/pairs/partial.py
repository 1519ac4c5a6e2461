"""The files of a pair file that is being made: which there are, who may write them, what they hold."""

from __future__ import annotations

import errno
import glob
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blurgen.errors import FileError
from blurgen.files import host, is_running
from blurgen.pairs.checking import Blocks, blocks_of, rows_of
from blurgen.pairs.format import Header, Layout, lay_out, read_header, read_layout, reason
from blurgen.pairs.journal import Line, noted_lines
from blurgen.pairs.locks import Lock, lock
from blurgen.pairs.shards import Shard
from blurgen.pairs.structure import laid_out_again, mend_structure

_PATIENCE_SECONDS = 3.0  # for a shard that has laid the file out, and will share it in a moment
_POLL_SECONDS = 0.02


def partial_path(path: Path) -> Path:
    """Where the file is while it is being made."""
    return path.with_name(path.name + ".partial")


def journal_path(path: Path, shard: Shard | None = None) -> Path:
    """Where the finished rows are noted while it is being made; each shard has a journal of its own."""
    ending = f".{shard.number}-of-{shard.of}" if shard else ""
    return path.with_name(f"{path.name}.journal{ending}")


def chunks_path(path: Path) -> Path:
    """Where compressed chunks wait for their place."""
    return path.with_name(path.name + ".chunks")


def job_path(path: Path, token: str) -> Path:
    """Where workers of a cluster find what they are to make."""
    return path.with_name(f"{path.name}.cluster-{token}")


def journals(path: Path) -> dict[Path, Shard | None]:
    """The journals that there are, and whose they are."""
    pattern = re.compile(re.escape(path.name) + r"\.journal(?:\.(\d+)-of-(\d+))?")
    found: dict[Path, Shard | None] = {}
    for journal in sorted(path.parent.glob(f"{glob.escape(path.name)}.journal*")):
        if named := pattern.fullmatch(journal.name):
            found[journal] = Shard(int(named[1]), int(named[2])) if named[1] else None
    return found


def numbers_of_line(header: Header) -> int:
    """How many numbers a line of a journal has: start, stop, and place, size and CRC-32 of each chunk."""
    return 2 + 3 * len(header.in_chunks)


def noted_blocks(lines: list[Line], header: Header) -> Blocks:
    """The blocks that lines of a journal name."""
    return blocks_of([(line[0], line[1]) for line in lines], header)


def kept(path: Path, shard: Shard | None = None) -> tuple[int, int]:
    """How many pairs of an unfinished file, or of a shard of it, are kept, and of how many.

    Returns
    -------
    tuple of int
        (0, 0) where nothing is begun.

    Raises
    ------
    FileError
        If what is left of it is damaged.
    """
    partial = partial_path(path)
    if not partial.exists():
        return 0, 0
    header = read_header(partial)
    numbers = numbers_of_line(header)
    lines = [line for journal in journals(path) for line in noted_lines(journal, header.count, numbers)[0]]
    start, stop = shard.rows(header) if shard else (0, header.count)
    blocks = noted_blocks(lines, header) & blocks_of([(start, stop)], header)
    return sum(last - first for first, last in rows_of(blocks, header)), stop - start


def remove_partial(path: Path) -> None:
    """Remove all that is left of a file `path` that is not finished."""
    _remove_journals(path)
    partial = partial_path(path)
    jobs = path.parent.glob(f"{glob.escape(path.name)}.cluster-*")
    for rest in (chunks_path(path), *jobs, *_layouts(partial), partial):
        rest.unlink(missing_ok=True)


def _remove_journals(path: Path) -> None:
    for journal in journals(path):
        journal.unlink(missing_ok=True)


def _layouts(partial: Path, by: str = "*") -> list[Path]:
    """Files that were laid out, by one host or any, and not yet given their name."""
    return list(partial.parent.glob(f"{glob.escape(partial.name)}.{by}-[0-9]*-*"))


class PartialFile:
    """The open file ``NAME.partial``, laid out by us or by who began it, and locked.

    Who makes the whole file locks it alone; shards share the lock. Where the file system has no locks, those
    of one file are trusted to be different shards.

    Parameters
    ----------
    path : Path
        The final name.
    header : Header
        What is to be made.
    overwrite : bool
        Whether a file of the final name may be replaced, and a partial one of other arguments discarded.
    shard : Shard or None
        Which shard is made; None for the whole.

    Attributes
    ----------
    path : Path
        Where it is.
    file : int
        The open file.
    locked : bool
        Whether the file system has locks.
    mended : bool
        Whether bytes that are no rows were damaged, and are as they were again.

    Raises
    ------
    FileError
        If the final file exists, or a partial one of other arguments, or another process is writing it, or
        it does not fit on the disk.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path, header: Header, *, overwrite: bool, shard: Shard | None) -> None:
        self.path = partial_path(path)
        self.file = -1
        self.locked = True
        self.mended = False
        self._final, self._header, self._overwrite, self._shard = path, header, overwrite, shard
        if path.exists() and not path.is_file():
            raise FileError(f"'{path}' is no ordinary file; the name of one is needed")
        self.check_free()
        if not path.parent.is_dir():
            raise FileError(f"'{path}' cannot be written: there is no folder '{path.parent}'")
        try:
            if self.path.exists():
                self._discard_if_of_no_use()
            if not self.path.exists():
                self._begin()
            if self.file < 0:
                self._resume()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it, and give the lock back."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def check_free(self) -> None:
        """See that the final name may be taken.

        Raises
        ------
        FileError
            If a file of that name exists and must not be replaced.
        """
        if self._final.exists() and not self._overwrite:
            raise FileError(f"'{self._final}' exists; give another name, or allow overwriting (--overwrite)")

    def is_there(self) -> bool:
        """Whether the open file still has its name."""
        return self.path.exists() and os.path.samestat(os.fstat(self.file), self.path.stat())

    def _discard_if_of_no_use(self) -> None:
        """Remove a partial file of other arguments, where that is allowed and nobody is writing it."""
        if not self._overwrite or self._is_ours():
            return
        self.file = os.open(self.path, os.O_RDWR)
        self._claim(shared=False)
        if self.is_there() and not self._is_ours():  # still, now that it is locked
            remove_partial(self._final)
        self.close()

    def _is_ours(self) -> bool:
        try:
            if self._differences():
                return False
            with self._laid_out_again():
                return True
        except FileError:
            return False

    def _begin(self) -> None:
        """Lay the file out beside its name, then give it that name, unless another process was faster."""
        for leftover in _layouts(self.path, host()):
            if not is_running(leftover.name.rsplit("-", 2)[1]):
                leftover.unlink(missing_ok=True)
        new = self._name_of_layout()
        try:
            lay_out(new, self._header)
            self.file = os.open(new, os.O_RDWR)
            self._claim(shared=False)
            _reserve(self.file, self._final)
            os.fsync(self.file)
            try:
                os.link(new, self.path)
            except FileExistsError:
                self.close()
                return
            if self._final.exists() and not self._overwrite:  # another process was so fast as to end, too
                self.path.unlink()
            self.check_free()
            # of a file that was removed by hand; nobody else writes any yet, for the lock is ours alone
            _remove_journals(self._final)
            chunks_path(self._final).unlink(missing_ok=True)
            if self._shard:
                self._claim(shared=True)
        except FileNotFoundError:  # who finished the file removed what we had laid out
            raise FileError(f"'{self._final}' was just finished by another process") from None
        finally:
            new.unlink(missing_ok=True)

    def _resume(self) -> None:
        differences = self._differences()
        if differences:
            raise FileError(
                f"'{self.path}' was begun with other arguments ({differences}); finish it with those, "
                "delete it, or start afresh (--overwrite)"
            )
        self.file = os.open(self.path, os.O_RDWR)
        self._claim(shared=self._shard is not None)
        if not self.is_there():
            raise FileError(f"'{self._final}' was just finished by another process")
        self.check_free()
        self.mended = self._mend()

    def _mend(self) -> bool:
        """Write anew what the file holds besides rows, where a byte of it changed; whether one had."""
        with self._laid_out_again() as (new, layout):
            return mend_structure(self.file, new, self._header, layout)

    @contextmanager
    def _laid_out_again(self) -> Iterator[tuple[Path, Layout]]:
        """A file as this one was when it was laid out, which has its rows at the same places."""
        new = self._name_of_layout()
        with laid_out_again(new, self._header) as layout:
            sizes_differ = new.stat().st_size != self.path.stat().st_size
            if sizes_differ or layout != read_layout(self.path, self._header):
                raise FileError(
                    f"'{self.path}' is damaged, or another version of HDF5 laid it out: delete it, or start "
                    "afresh (--overwrite)"
                )
            yield new, layout

    def _name_of_layout(self) -> Path:
        return self.path.with_name(f"{self.path.name}.{host()}-{os.getpid()}-{os.urandom(4).hex()}")

    def _differences(self) -> str:
        """What of the partial file's header differs from ours, as one phrase."""
        return ", ".join(
            name if name == "recipe" else f"{name} {theirs!r}, now {ours!r}"
            for name, (theirs, ours) in read_header(self.path).differences(self._header).items()
        )

    def _claim(self, *, shared: bool) -> None:
        until = time.monotonic() + (_PATIENCE_SECONDS if shared else 0)
        while (got := lock(self.file, shared=shared)) is Lock.TAKEN:
            if time.monotonic() >= until:
                raise FileError(f"'{self._final}' is being written by another process")
            time.sleep(_POLL_SECONDS)
        if got is Lock.ABSENT and self._header.compression:
            raise FileError(
                f"'{self._final}' cannot be written: compressed files need a file system with locks"
            )
        self.locked = got is Lock.HELD


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
