"""How time and memory grow with the number of threads, of processes, and of pairs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.groups import Options
from benchmarks.machine import ROOT, installed, usable_cpus
from benchmarks.report import Table, digits, grouped

_MOST_THREADS, _MOST_WORKERS = 16, 4
_MOST_MEMORY_GROWTH = 1.25  # from the second fewest pairs to the most
_MOST_TIME_GROWTH = 1.25  # of the time of one pair, between the two longest runs
# a small process between this one and what it measures, which else is noted to have had all our memory, as
# it has for a moment after the fork
_BETWEEN = """
import json, resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
seconds = time.perf_counter() - begun
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))
"""


class _Run(NamedTuple):
    seconds: float
    mebibytes: float  # the most memory that the process had


def scaling(options: Options) -> Table:
    """Threads, Dask's workers, and from a thousand to ten million pairs."""
    table = Table("scaling", "whole processes", ("what", "measured", "wanted", "reached", "how"))
    table.notes.append(
        f"On {usable_cpus()} usable processors: more threads or workers than that can bring nothing. Each "
        "figure is of one whole process, start of the interpreter, syncs and checksums included. Memory is "
        "the largest resident set that the system noted of the process; its caches of the disk do not count."
    )
    with TemporaryDirectory(prefix="blurgen-bench-") as folder:
        here = Path(folder)
        _threads(table, options, here)
        _workers(table, options, here)
        _pairs(table, options, here)
    return table


def _threads(table: Table, options: Options, folder: Path) -> None:
    few = options.quick
    cases = {
        "digits 28×28, mnist-motion": ("digits", 500 if few else 1_000_000, ()),
        "shapes 256×256×3, realistic": ("shapes", 4 if few else 1500, ("--size", "256")),
    }
    for case, (dataset, count, more) in cases.items():
        alone = 0.0
        threads = 1
        while threads <= (2 if few else min(_MOST_THREADS, 2 * usable_cpus())):
            run = _make(folder, dataset, count, "--threads", str(threads), *more)
            alone = alone or run.seconds
            _add(
                table, f"{case}, {threads} threads", run, count, f"{digits(alone / run.seconds)} × one thread"
            )
            threads *= 2


def _workers(table: Table, options: Options, folder: Path) -> None:
    if not installed("distributed"):
        table.notes.append("Dask is not installed, so its workers were not measured.")
        return
    count = 500 if options.quick else 1_000_000
    alone = 0.0
    for workers in (1, 2) if options.quick else range(1, _MOST_WORKERS + 1):
        run = _make(folder, "digits", count, "--cluster", f"local:{workers}")
        alone = alone or run.seconds
        how = f"{digits(alone / run.seconds)} × one worker"
        _add(table, f"digits, {workers} Dask workers of one thread", run, count, how)


def _pairs(table: Table, options: Options, folder: Path) -> None:
    runs: list[tuple[int, _Run]] = []
    for exponent in range(3, 5 if options.quick else 8):
        count = 10**exponent
        run = _make(folder, "digits", count)
        runs.append((count, run))
        _add(table, f"{grouped(count)} pairs of 28×28", run, count, f"{digits(run.mebibytes)} MiB")
    if options.quick:
        return
    (fewer, before), (most, last) = runs[-2:]
    memory = last.mebibytes / runs[1][1].mebibytes
    slower = (last.seconds / most) / (before.seconds / fewer)
    table.add_absolute(
        "growth of memory",
        memory,
        f"× {memory:.2f}",
        ("≤", _MOST_MEMORY_GROWTH),
        f"{grouped(runs[1][0])} to {grouped(most)} pairs",
    )
    table.add_absolute(
        "growth of the time of a pair",
        slower,
        f"× {slower:.2f}",
        ("≤", _MOST_TIME_GROWTH),
        f"{grouped(fewer)} to {grouped(most)} pairs",
    )


def _add(table: Table, what: str, run: _Run, count: int, how: str) -> None:
    rate = count / run.seconds
    table.add_absolute(what, rate, f"{digits(rate)} pairs/s", None, f"{run.seconds:.2f} s; {how}")


def _make(folder: Path, dataset: str, count: int, *more: str) -> _Run:
    """Make a file in a process of its own, which has compiled all that it needs before.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    out = folder / "pairs.h5"
    command = [sys.executable, "-m", "blurgen", "make", "--dataset", dataset, "--out", str(out), "--quiet"]
    measured = b""
    for pairs in (min(count, 300), count):  # so many that all stages of a recipe are compiled
        out.unlink(missing_ok=True)
        whole = [sys.executable, "-c", _BETWEEN, *command, "--count", str(pairs), *more]
        done = subprocess.run(whole, cwd=ROOT, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise RuntimeError(f"blurgen make --dataset {dataset} {' '.join(more)} failed")
        measured = done.stdout
    out.unlink()
    return _Run(*json.loads(measured))
