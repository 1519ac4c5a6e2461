"""Fuzz the targets one after the other and print a table; the exit code is 1 if anything was found.

``python -m tests.fuzzing --runs 20000 --seconds 600 recipe idx`` needs ``pip install 'blurgen[fuzz]'``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import TARGETS
from .worker import MOST_MEMORY, SLOW_SECONDS


@dataclass
class Outcome:
    """What came of a target.

    Attributes
    ----------
    count : int
        How many inputs were read.
    slowest : float
        Seconds of the slowest.
    memory : int
        Bytes by which a process has grown at most.
    finds : list of str
        A file and a sentence each.
    """

    count: int = 0
    slowest: float = 0.0
    memory: int = 0
    finds: list[str] = field(default_factory=list)

    def add(self, report: dict) -> None:
        """What one process of it reports."""
        self.count += report["count"]
        self.slowest = max(self.slowest, report["slowest"])
        self.memory = max(self.memory, report["memory"])
        self.finds += [each for each in report["finds"] if each not in self.finds]


def fuzz(target: str, runs: int, seconds: float, work: Path) -> Outcome:
    """Run processes of one target until it has read enough; one that dies is a find, and another goes on."""
    outcome, began = Outcome(), time.monotonic()
    for folder in (work / "corpus", work / "finds"):
        folder.mkdir(parents=True, exist_ok=True)
    while outcome.count < runs and (left := seconds - (time.monotonic() - began)) > 0:
        report = work / "report.json"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.fuzzing.worker", target, "--work", str(work)]
        command += ["--runs", str(runs - outcome.count), "--seconds", str(left)]
        with (work / "log.txt").open("a", encoding="utf-8") as log:
            code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        if report.exists():
            outcome.add(json.loads(report.read_text(encoding="utf-8")))
        if code:
            died = sorted((work / "finds").glob("died-*"), key=lambda path: path.stat().st_mtime)
            outcome.finds.append(f"{died[-1] if died else work / 'log.txt'}: the process ended with {code}")
            if not report.exists():
                break
    outcome.finds = [each for each in outcome.finds if _stands(target, each)]
    return outcome


def _stands(target: str, find: str) -> bool:
    """Whether a slow or heavy input is so without the fuzzer's counting, and in the processor's time."""
    path, kind = find.split(": ")[:2]
    if kind not in ("slow", "memory") and not Path(path).name.startswith("died-timeout"):
        return True
    command = [sys.executable, "-m", "tests.fuzzing.worker", target, "--replay", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return True
    report = json.loads(done.stdout.splitlines()[-1])
    return report["slowest"] > SLOW_SECONDS or report["memory"] > MOST_MEMORY


def main() -> int:
    """Run the targets that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"any of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=20_000, help="inputs of each target")
    parser.add_argument("--seconds", type=float, default=600.0, help="the longest time of each target")
    parser.add_argument("--work", type=Path, default=Path("build/fuzzing"), help="corpora and finds")
    given = parser.parse_args()
    for name in given.targets:
        if name not in TARGETS:
            parser.error(f"there is no target '{name}'; there are {', '.join(TARGETS)}")
    print(
        "| target | inputs | finds | slowest, s | memory, MiB |\n| --- | --- | --- | --- | --- |", flush=True
    )
    finds = []
    for name in given.targets or TARGETS:
        outcome = fuzz(name, given.runs, given.seconds, given.work.absolute() / name)
        finds += outcome.finds
        row = (name, f"{outcome.count:,}", len(outcome.finds), f"{outcome.slowest:.2f}", outcome.memory >> 20)
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    for find in finds:
        print(find)
    return int(bool(finds))


if __name__ == "__main__":
    sys.exit(main())
