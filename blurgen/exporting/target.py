"""The folder of an export: filled out of sight, and shown when it is whole.

1. All files are written to ``OUT/.partial/export``, ``blurgen.json`` first: it says what is being made.
   Finished rows are noted in ``OUT/.partial/journal`` when they are on the disk.
2. When all is written, ``export`` becomes ``ready``. From then on the folder is only moved into place: files
   of an export that it replaces go to ``replaced``, the new ones to ``OUT``, ``blurgen.json`` last.
3. ``OUT/.partial`` is removed.

A crash at any instant leaves one of these states, and the next call goes on from it. Nothing outside of
``OUT`` is touched, and nothing in it that no export has made.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from blurgen.errors import FileError
from blurgen.files import sync
from blurgen.pairs.journal import Journal, gaps, noted_lines

ABOUT = "blurgen.json"
FORMAT = "blurgen-export"
_PARTIAL = ".partial"


def partial_path(path: Path) -> Path:
    """Where an export is while it is being made."""
    return path / _PARTIAL


def kept(path: Path) -> int:
    """How many pairs of the unfinished export `path` are kept."""
    lines, _ = noted_lines(partial_path(path) / "journal", sys.maxsize, 2)
    return sum(stop - start for start, stop in lines)


class Target:
    """The folder of one export; goes on where an interrupted one stopped.

    Use as a context manager. Leaving it by an exception keeps what was noted.

    Parameters
    ----------
    path : Path
        The folder; made where it is missing.
    about : dict
        What is being made, JSON-able: ``to``, ``files`` (the names in the folder, but for ``blurgen.json``),
        ``pairs`` and more.
    count : int
        How many pairs there are.
    overwrite : bool
        Whether an export that is there may be replaced, and an unfinished one of other arguments discarded.

    Attributes
    ----------
    folder : Path
        Where to write the files.
    done : int
        How many pairs were written before; all of them are the first.
    finished : bool
        Whether nothing is left to do.

    Raises
    ------
    FileError
        If the folder holds something else, or an export that may not be replaced, or an unfinished one of
        other arguments, or another process is writing it, or it cannot be created.
    """

    def __init__(self, path: Path, about: dict[str, Any], count: int, *, overwrite: bool) -> None:
        self.path = path
        self.about = about
        self.done = 0
        self.finished = False
        self._overwrite = overwrite
        self._partial = partial_path(path)
        self.folder = self._partial / "export"
        self._ready = self._partial / "ready"
        self._replaced = self._partial / "replaced"
        self._lock = -1
        self._journal: Journal | None = None
        try:
            self._open(count)
        except BaseException:
            self._close()
            raise

    def _open(self, count: int) -> None:
        self._enter()
        if self._ready.exists():
            self._show()
            self._close()
            if _read_about(self.path) == self.about:
                self.finished, self.done = True, count
                return
            self._enter()
        if not self._resumed():
            self._begin()
        self._journal = Journal(self._partial / "journal", count, 2)
        missing = gaps([(start, stop) for start, stop in self._journal.lines], 0, count)
        self.done = missing[0][0] if missing else count

    def _enter(self) -> None:
        """Have the folder and the one in it to work in, alone."""
        if self._partial.is_symlink() or (self.path.exists() and not self.path.is_dir()):
            raise FileError(f"'{self.path}' is no folder that an export can be written to")
        if not self._partial.exists():
            if not self.path.absolute().parent.is_dir():
                raise FileError(f"'{self.path}' cannot be written: there is no folder '{self.path.parent}'")
            self._check_free()
            self._partial.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._partial, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileError(f"'{self.path}' is being written by another process") from None
        if not self._partial.exists() or not os.path.samestat(os.fstat(self._lock), self._partial.stat()):
            raise FileError(f"'{self.path}' was just finished by another process")

    def _check_free(self) -> None:
        """Whether what is in the folder, if anything is, may be replaced."""
        there = {path.name for path in self.path.iterdir()} - {_PARTIAL} if self.path.exists() else set()
        if not there:
            return
        old = _read_about(self.path)
        if old is None:
            raise FileError(
                f"'{self.path}' is not empty, and what it holds is no export; give a new or an empty folder"
            )
        if not self._overwrite:
            raise FileError(f"'{self.path}' exists; give another name, or allow overwriting (--overwrite)")
        strange = sorted((there & {*self.about["files"]}) - {*old["files"]})
        if strange:
            raise FileError(f"'{self.path / strange[0]}' would be replaced, and no export has made it")

    def _resumed(self) -> bool:
        """Whether what was begun can be gone on with."""
        begun = _read_about(self.folder)
        if begun is None:
            return False
        differences = _differences(begun, self.about)
        if not differences:
            self._check_free()
            return True
        if not self._overwrite:
            raise FileError(
                f"'{self.path}' was begun with other arguments ({differences}); finish it with those, "
                f"delete '{self._partial}', or start afresh (--overwrite)"
            )
        return False

    def _begin(self) -> None:
        for leftover in self._partial.iterdir():
            _remove(leftover)
        try:
            self._check_free()
        except FileError:
            self._partial.rmdir()
            raise
        self.folder.mkdir()
        text = json.dumps(self.about, indent=2)
        new = self._partial / ABOUT
        new.write_text(f"{text}\n", encoding="utf-8")
        sync(new)
        new.rename(self.folder / ABOUT)
        sync(self.folder)

    def note(self, start: int, stop: int) -> None:
        """These rows are written and on the disk."""
        assert self._journal is not None
        self._journal.add([(start, stop)])

    def publish(self) -> None:
        """All files are written: move them into place."""
        os.sync()
        self.folder.rename(self._ready)
        self._show()

    def _show(self) -> None:
        """Move what is ready into place, or what a crash has left of it."""
        if (self._ready / ABOUT).exists():
            self._replaced.mkdir(exist_ok=True)
            if (self.path / ABOUT).exists():
                (self.path / ABOUT).rename(self._replaced / ABOUT)
            old, new = _read_about(self._replaced), _read_about(self._ready)
            assert new is not None
            for name in old["files"] if old else ():
                # a file of that name which is no more in 'ready' has its place already
                is_old = name not in new["files"] or (self._ready / name).exists()
                if is_old and os.path.lexists(self.path / name):
                    (self.path / name).rename(self._replaced / name)
            for name in [*new["files"], ABOUT]:
                if (self._ready / name).exists():
                    (self._ready / name).rename(self.path / name)
            os.sync()
        shutil.rmtree(self._partial)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _read_about(folder: Path) -> dict[str, Any] | None:
    """What an export says of itself; None where there is none.

    Raises
    ------
    FileError
        If it names files that are not in its folder.
    """
    path = folder / ABOUT
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return None
    files = found.get("files")
    if not isinstance(files, list) or not all(_is_name(name) for name in files):
        raise FileError(f"'{path}' is damaged: its 'files' are no names of files")
    return found


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name == Path(name).name and name not in ("", "..", ABOUT, _PARTIAL)


def _differences(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """What differs, as one phrase."""
    theirs, ours = ({**told, **told.get("pairs", {})} for told in (theirs, ours))
    long = ("recipe", "dataset_options")
    return ", ".join(
        name if name in long else f"{name} {theirs.get(name)!r}, now {ours[name]!r}"
        for name in ours
        if name not in ("pairs", "files") and theirs.get(name) != ours[name]
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
