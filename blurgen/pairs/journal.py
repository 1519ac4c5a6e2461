"""The journal beside a file that is being made: which rows are written and on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from blurgen.errors import FileError


def noted_rows(path: Path) -> int:
    """How many rows the whole lines of a journal note; none where there is no journal."""
    try:
        text = _whole_lines(path)
    except OSError:
        return 0
    ranges = [line.split()[:2] for line in text.splitlines()]
    return sum(int(stop) - int(start) for start, stop in ranges)


def _whole_lines(path: Path) -> bytes:
    """The text up to its last newline; a line that a crash cut short does not count."""
    text = path.read_bytes() if path.exists() else b""
    return text[: text.rfind(b"\n") + 1]


class Journal:
    """Lines of whole numbers, appended: start and stop of some rows, and what else the writer notes of them.

    A last line that a crash cut short does not count.

    Parameters
    ----------
    path : Path
        The file; made where it is missing.
    count : int
        How many rows there are in all.
    numbers : int
        How many numbers a line has.

    Raises
    ------
    FileError
        If a line is not as it should be.
    OSError
        If the file cannot be read or written.
    """

    def __init__(self, path: Path, count: int, numbers: int) -> None:
        self.count = count
        text = _whole_lines(path)
        self.lines = [_parsed(line, count, numbers, path) for line in text.splitlines()]
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        # the next line must not be glued to a torn one
        os.ftruncate(self._file, len(text))

    def add(self, lines: list[tuple[int, ...]]) -> None:
        """Append lines and bring them to the disk."""
        text = "".join(" ".join(map(str, line)) + "\n" for line in lines).encode()
        if os.write(self._file, text) != len(text):
            raise OSError("the journal could not be written in full")
        os.fdatasync(self._file)
        self.lines += lines

    def missing(self) -> list[tuple[int, int]]:
        """The ranges of rows that are not noted."""
        gaps, at = [], 0
        for start, stop in sorted(line[:2] for line in self.lines):
            if start > at:
                gaps.append((at, start))
            at = max(at, stop)
        if at < self.count:
            gaps.append((at, self.count))
        return gaps

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _parsed(line: bytes, count: int, numbers: int, path: Path) -> tuple[int, ...]:
    words = line.split()
    if len(words) != numbers or not all(word.isdigit() for word in words):
        raise FileError(f"journal '{path}' is damaged ({line[:40]!r}): delete it to start afresh")
    found = tuple(int(word) for word in words)
    if not found[0] < found[1] <= count:
        raise FileError(f"journal '{path}' is damaged (rows {found[0]} to {found[1]} of {count}): delete it")
    return found
