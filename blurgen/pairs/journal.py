"""The journal beside a file that is being made: which rows are written and on the disk."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from blurgen.pairs.locks import Lock, lock

Line = tuple[int, ...]


def noted_lines(path: Path, count: int, numbers: int) -> tuple[list[Line], int]:
    """The lines of a journal, and how many more are damaged.

    Parameters
    ----------
    path : Path
        The journal; none is an empty one.
    count : int
        How many rows there are in all.
    numbers : int
        How many numbers a line has.
    """
    lines, damaged = [], 0
    for text in _whole_lines(path).splitlines():
        line = _parsed(text, count, numbers)
        if line is None:
            damaged += 1
        else:
            lines.append(line)
    return lines, damaged


def _whole_lines(path: Path) -> bytes:
    """The text up to its last newline; a line that a crash cut short does not count."""
    text = path.read_bytes() if path.exists() else b""
    return text[: text.rfind(b"\n") + 1]


def _parsed(text: bytes, count: int, numbers: int) -> Line | None:
    """The numbers of a line, or None where it is not as it was written."""
    words, _, crc = text.rpartition(b" ")
    if crc != _crc(words) or not all(word.isdigit() for word in words.split()):
        return None
    line = tuple(int(word) for word in words.split())
    return line if len(line) == numbers and line[0] < line[1] <= count else None


def _crc(words: bytes) -> bytes:
    return f"{zlib.crc32(words):08x}".encode()


class Journal:
    """Lines of whole numbers, appended: start and stop of some rows, and what else the writer notes of them.

    Each line ends with a checksum of itself. Damaged lines do not count, and their rows are made again; nor
    does a last line that a crash cut short.

    Parameters
    ----------
    path : Path
        The file; made where it is missing.
    count, numbers : int
        As of `noted_lines`.

    Attributes
    ----------
    lines : list of tuple of int
        What is noted.
    damaged : int
        How many lines were left out.
    claimed : bool
        Whether it is ours to write: that is, whether no other process has it open.

    Raises
    ------
    OSError
        If the file cannot be read or written.
    """

    def __init__(self, path: Path, count: int, numbers: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.claimed = lock(self._file) is not Lock.TAKEN
        self.lines, self.damaged = noted_lines(path, count, numbers)
        if self.claimed:
            # the next line must not be glued to a torn one
            os.ftruncate(self._file, len(_whole_lines(path)))

    def add(self, lines: list[Line]) -> None:
        """Append lines and bring them to the disk."""
        text = b""
        for line in lines:
            words = " ".join(map(str, line)).encode()
            text += words + b" " + _crc(words) + b"\n"
        if os.write(self._file, text) != len(text):
            raise OSError("the journal could not be written in full")
        os.fdatasync(self._file)
        self.lines += lines

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def gaps(ranges: list[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    """The parts of ``range(start, stop)`` that none of `ranges` covers.

    Examples
    --------
    >>> gaps([(7, 9), (2, 4), (3, 5)], 0, 12)
    [(0, 2), (5, 7), (9, 12)]
    """
    found, at = [], start
    for first, last in sorted(ranges):
        if first > at:
            found.append((at, min(first, stop)))
        at = max(at, last)
        if at >= stop:
            break
    if at < stop:
        found.append((at, stop))
    return found
