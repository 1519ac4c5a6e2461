"""``python -m tests.soak``: run the trials, and print a Markdown table for each group."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.soak.digests import digests
from tests.soak.endurance import endurance
from tests.soak.faults import faults
from tests.soak.kills import kills
from tests.soak.rot import rot
from tests.soak.trials import Row

GROUPS: dict[str, Callable[[Path, float], Iterator[Row]]] = {
    "kills": kills,
    "faults": faults,
    "rot": rot,
    "endurance": endurance,
    "digests": digests,
}


def main() -> int:
    """Run the groups; 1 where a trial went wrong or could not be tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("groups", nargs="*", default=list(GROUPS), metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--share", type=float, default=1.0, help="the share of the trials, e.g. 0.05")
    arguments = parser.parse_args()
    for group in arguments.groups:
        if group not in GROUPS:
            parser.error(f"there is no group '{group}', only {', '.join(GROUPS)}")
    wrong = 0
    for group in arguments.groups:
        begun = time.monotonic()
        _say(f"\n## {group}\n\n| what | tried | good | |\n| --- | ---: | ---: | --- |")
        with tempfile.TemporaryDirectory(prefix="blurgen-soak-") as folder:
            for row in GROUPS[group](Path(folder), arguments.share):
                wrong += row.good < row.tried or not row.tried
                _say(f"| {row.what} | {row.tried:,} | {row.good:,} | {row.remark} |")
        _say(f"\n{(time.monotonic() - begun) / 60:.1f} minutes")
    _say(f"\n{wrong} rows with something wrong" if wrong else "\nall as it must be")
    return 1 if wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
