"""Results on disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from trainers.errors import TrainerError


def written(path: Path, write: Callable[[Path], object], *, synced: bool = False) -> Path:
    """Write beside a file, then put it in place: whoever looks finds the old or the new one whole.

    Parameters
    ----------
    path : Path
        The file; its folder is made where it is missing.
    write : callable
        Writes the file whose path it is given, which has the same ending.
    synced : bool
        Whether it must be on the disk before it is put in place, so that a power cut takes neither.

    Raises
    ------
    TrainerError
        If it cannot be written.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        if synced:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise TrainerError(f"'{path}' cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> None:
    """Write a file of text, as UTF-8."""
    written(path, lambda partial: partial.write_text(text, encoding="utf-8"))
