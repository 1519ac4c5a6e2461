"""Results on disk: under its name a file is whole."""

from __future__ import annotations

import glob
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from blurgen.errors import FileError


def written(path: Path, write: Callable[[Path], object], *, synced: bool = False) -> Path:
    """Write beside a file, then put it in place: whoever looks finds the old or the new one whole.

    Parameters
    ----------
    path : Path
        The file.
    write : callable
        Writes the file whose path it is given, which has the same ending.
    synced : bool
        Whether it must be on the disk before it is put in place, so that a power cut takes neither.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    ours = f".partial-{host()}-"
    partial = path.with_name(f"{ours}{os.getpid()}-{path.name}")
    try:
        for leftover in path.parent.glob(f"{glob.escape(ours)}*-{glob.escape(path.name)}"):
            if not is_running(leftover.name.removeprefix(ours).partition("-")[0]):
                leftover.unlink(missing_ok=True)
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if not path.parent.is_dir():
            raise FileNotFoundError(0, f"there is no folder '{path.parent}'")
        try:
            write(partial)
            if synced:
                sync(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"'{path}' cannot be written: {error.strerror or error}") from None
    return path


def host() -> str:
    """What stands for this machine in names of files, for several may write to one folder."""
    return f"{zlib.crc32(os.uname().nodename.encode()):08x}"


def is_running(process: str) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(int(process), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def sync(path: Path) -> None:
    """Bring a file or a folder to the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
