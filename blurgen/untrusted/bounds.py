"""How much a file may ask for, measured by its own size."""

from __future__ import annotations

import stat
from pathlib import Path

# What any file may fill, however small it is, and how often its own size beyond that. Images seldom pack to
# less than a fiftieth; a bomb of zeros packs to a thousandth.
_FREE = 1 << 27
_RATIO = 256


class RefusedError(ValueError):
    """A file asks for more than it may; the message says of what, and who knows the file adds its name."""


def check_growth(what: str, wanted: int, held: int) -> None:
    """See that what lies in `held` bytes may fill `wanted` of memory.

    Parameters
    ----------
    what : str
        Names the array in the message.
    wanted, held : int
        Bytes in memory, and in the file.

    Raises
    ------
    RefusedError
        If it is more than 128 MiB and 256 times `held`.
    """
    most = _FREE + _RATIO * held
    if wanted > most:
        raise RefusedError(f"{what} would fill more than the {most} bytes that {held} in a file may")


def read_named(path: Path, most: int) -> bytes:
    """As `read_at_most`, of a file that another file names: no pipe or device, which may keep one waiting.

    Raises
    ------
    OSError
        If it cannot be read.
    RefusedError
        If it is longer, or no regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        raise RefusedError("it is no regular file")
    return read_at_most(path, most)


def read_at_most(path: Path, most: int) -> bytes:
    """The content of a file of at most so many bytes.

    Raises
    ------
    OSError
        If it cannot be read.
    RefusedError
        If it is longer; no more than that is read, even of a device that never ends.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise RefusedError(f"it is longer than {most} bytes")
    return content
