"""The seal in front of a file that only points to its parts: a hash of all that follows.

HDF5 may crash on virtual datasets whose description is damaged, so it is not asked about such a file before
its bytes are known to be those that were written. The seal lies in HDF5's *user block*, which other programs
skip.
"""

from __future__ import annotations

import hashlib
from io import BufferedRandom, BufferedReader
from pathlib import Path

from blurgen.errors import FileError

SEAL_BYTES = 512  # the least that HDF5 allows
_MARK = b"blurgen-pairs of parts, SHA-256 "


def seal(path: Path) -> None:
    """Seal a file whose first `SEAL_BYTES` are free."""
    with path.open("r+b") as file:
        written = _seal_of(file)
        file.seek(0)
        file.write(written)


def has_seal(path: Path) -> bool:
    """Whether a file begins with a seal, which `check_seal` compares."""
    with path.open("rb") as file:
        return file.read(len(_MARK)) == _MARK


def check_seal(path: Path) -> None:
    """See that a file is what its seal says, if it has one.

    Raises
    ------
    FileError
        If it is not.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        found = file.read(SEAL_BYTES)
        if found.startswith(_MARK) and found != _seal_of(file):
            raise damaged(path)


def damaged(path: Path) -> FileError:
    """What is said of a file that its seal does not fit."""
    return FileError(
        f"pair file '{path}' was damaged since it was made: make it again of its parts "
        "(blurgen merge --virtual)"
    )


def _seal_of(file: BufferedRandom | BufferedReader) -> bytes:
    """The seal of what follows its place."""
    file.seek(SEAL_BYTES)
    digest = hashlib.file_digest(file, "sha256")
    return (_MARK + digest.hexdigest().encode() + b"\n").ljust(SEAL_BYTES, b"\0")
