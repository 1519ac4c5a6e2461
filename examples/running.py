"""What the examples share: their options, errors in one sentence, and trainings that go on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from blurgen import BlurgenError
from trainers.checkpoint import STATE
from trainers.console import INTERRUPTED, StopError, say
from trainers.fit import fit


def parser(name: str, summary: str) -> argparse.ArgumentParser:
    """The options of an example; ``--out`` is common to all."""
    options = argparse.ArgumentParser(prog=name, description=summary)
    options.add_argument(
        "--out",
        type=Path,
        default=Path("runs") / name,
        metavar="FOLDER",
        help="what is written; pairs that are there are taken, trainings there go on (default: %(default)s)",
    )
    return options


def run(
    work: Callable[[argparse.Namespace], None],
    options: argparse.ArgumentParser,
    argv: Sequence[str] | None,
) -> int:
    """Do the work; the exit code is 0, 1 for an error that was said, 130 for Ctrl-C."""
    given = options.parse_args(argv)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        work(given)
    except (StopError, KeyboardInterrupt):
        say(f"{options.prog}: stopped; what is done is kept, the same command goes on from there", sys.stderr)
        return INTERRUPTED
    except (BlurgenError, OSError) as error:
        say(f"{options.prog}: {' '.join(str(error).split())}", sys.stderr)
        return 1
    return 0


def fitted(run: Path, pairs: str | Path, **options: Any) -> Path:
    """`trainers.fit.fit`, which goes on where a run was stopped before, or is made longer."""
    return fit(pairs, run=run, resume=(run / STATE).is_file(), **options)
