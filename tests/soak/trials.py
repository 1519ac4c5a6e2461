"""Commands that are disturbed while they run, and what came of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT = 300.0  # seconds that no command may take


@dataclass
class Row:
    """A row of the table.

    Attributes
    ----------
    what : str
        What was tried.
    tried : int
        How many times.
    good : int
        How many of them ended as they must.
    remark : str
        What must come of it; or, where it did not, the first case.
    """

    what: str
    tried: int
    good: int
    remark: str


class WrongError(Exception):
    """A trial did not end as it must."""


def counted(what: str, expected: str, trials: Sequence[Callable[[], None]]) -> Row:
    """Run trials, each of which raises `WrongError` where something is not as expected."""
    wrong = ""
    good = 0
    for number, trial in enumerate(trials):
        try:
            trial()
            good += 1
        except WrongError as error:
            wrong = wrong or f"FIRST WRONG, trial {number}: {error}"
    return Row(what, len(trials), good, wrong or expected)


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """``blurgen ARGUMENTS`` in a process of its own."""
    command = [sys.executable, "-m", "blurgen", *map(str, arguments)]
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status of a command, and what it said on the error stream."""
    try:
        _, said = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise WrongError(f"hung: {process.args}") from None
    if "Traceback" in said:
        raise WrongError(f"a traceback: {said.strip().splitlines()[-1]}")
    return process.returncode, said


def succeed(*arguments: object) -> str:
    """Run a command to its end; what it said on the error stream."""
    code, said = ended(start(*arguments))
    if code:
        raise WrongError(f"'{arguments[0]}' failed with {code}: {_last(said)}")
    return said


def fail(process: subprocess.Popen[str], *words: str) -> None:
    """A command must fail, with a sentence that has these words."""
    code, said = ended(process)
    if not code:
        raise WrongError("succeeded, and must not")
    sentence = _last(said)
    if not sentence.startswith("blurgen: "):
        raise WrongError(f"no sentence at the end: {sentence!r}")
    for word in words:
        if word not in said:
            raise WrongError(f"does not say '{word}': {sentence!r}")


def wait_for(made: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is there, or the process has ended."""
    end = time.monotonic() + LIMIT
    while not made() and process.poll() is None:
        if time.monotonic() > end:
            raise WrongError(f"hung: {process.args}")
        time.sleep(0.001)


def same(path: Path, reference: bytes) -> None:
    """A file must hold these bytes, and nothing else may lie beside it."""
    if not path.exists():
        raise WrongError("the file is not there")
    if path.read_bytes() != reference:
        raise WrongError("the file's bytes differ")
    left = sorted(other.name for other in path.parent.iterdir() if other.name.startswith(f"{path.name}."))
    if left:
        raise WrongError(f"left behind: {', '.join(left)}")


def _last(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1] if lines else ""
