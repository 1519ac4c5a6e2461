"""Results on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blurgen import files
from blurgen.errors import FileError
from trainers.errors import TrainerError


def written(path: Path, write: Callable[[Path], object], *, synced: bool = False) -> Path:
    """Write a file as `blurgen.files.written` does; its folder is made where it is missing.

    Raises
    ------
    TrainerError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return files.written(path, write, synced=synced)
    except OSError as error:
        raise TrainerError(f"'{path}' cannot be written: {error.strerror or error}") from None
    except FileError as error:
        raise TrainerError(str(error)) from None


def write_text(path: Path, text: str) -> None:
    """Write a file of text, as UTF-8."""
    written(path, lambda partial: partial.write_text(text, encoding="utf-8"))
