"""``python -m benchmarks``: measure, and print a Markdown table for each group."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import machine, report
from benchmarks.groups import (
    Options,
    chains,
    convolution,
    jpeg,
    noise,
    parts,
    processes,
    rendering,
    scaling,
    shake_psfs,
)
from benchmarks.report import Table
from benchmarks.timing import MismatchError


def _training(name: str) -> Callable[[Options], Table]:
    """The group of that name, which needs PyTorch: imported when it is measured, and not before."""

    def group(options: Options) -> Table:
        if not machine.installed("torch"):
            return Table(name, "PyTorch is not installed, so nothing was measured", ())
        table: Table = getattr(import_module(f"benchmarks.groups.{name}"), name)(options)
        return table

    return group


GROUPS: dict[str, Callable[[Options], Table]] = {
    "small": convolution.small,
    "colour": convolution.colour,
    "shake": convolution.shake,
    "dense": convolution.dense,
    "smooth": convolution.smooth,
    "jpeg": jpeg.jpeg,
    "noise": noise.noise,
    "chain": chains.chain,
    "plates": chains.plate_chain,
    "psfs": rendering.psfs,
    "shake-psfs": shake_psfs.shake_psfs,
    "make": processes.make,
    "start": processes.start,
    "scaling": scaling.scaling,
    "parts": parts.parts,
    "feeding": _training("feeding"),
    "steps": _training("steps"),
    "arithmetic": _training("arithmetic"),
    "gpu": _training("gpu"),
}

_HOW = """\
How: all contestants of a race run in one process, in turns (A B C A B C …), on the same images and ready
PSFs, with the same number of threads; their results are compared with blurgen's before (at most 1 grey level
apart, else the run stops). Each library runs in the best of several ways (threads, batch sizes, layouts),
found beforehand and named. Figures are the best of {rounds} rounds (of 2 for contestants far behind); in
brackets the least and the greatest ratio within single rounds. Compilation is not counted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, measure, print; 1 if contestants did not do the same work."""
    cpus = machine.usable_cpus()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--only", action="append", choices=list(GROUPS), help="this group; may be repeated")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write what is printed to FILE, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="turns of everybody (default: 7)")
    parser.add_argument(
        "--threads",
        type=_thread_counts,
        default=(1, cpus) if cpus > 1 else (1,),
        metavar="N,N",
        help="one race for each number of threads (default: 1 and all usable processors)",
    )
    args = parser.parse_args(argv)
    for file in (args.page, args.json):
        if file is not None and not file.parent.is_dir():
            parser.error(f"there is no folder '{file.parent}'")
    options = Options(args.quick, args.threads, args.rounds or (2 if args.quick else 7))
    described = machine.describe()
    page: list[str] = []

    def say(text: str) -> None:
        page.append(text)
        print(text, flush=True)

    say("# How fast blurgen is, beside others\n")
    say(report.head(described))
    say(_HOW.format(rounds=options.rounds))
    if options.quick:
        say("**A quick run: small sizes, the figures mean nothing, floors are not compared.**\n")
    if max(options.threads) > cpus:
        say(f"**More threads than the {cpus} usable processors were asked for.**\n")
    tables: list[Table] = []
    for name in args.only or GROUPS:
        try:
            tables.append(GROUPS[name](options))
        except MismatchError as error:
            print(f"benchmarks: {name}: {error}", file=sys.stderr)
            return 1
        say(tables[-1].markdown())
    if not options.quick:
        missed = [line for table in tables for line in table.shortfalls()]
        say("## Below the floor\n")
        say("\n".join(f"- {line}" for line in missed) if missed else "Nothing.")
    if args.page is not None:
        args.page.write_text("\n".join(page) + "\n", encoding="utf-8")
    if args.json is not None:
        chosen = {"quick": options.quick, "threads": options.threads, "rounds": options.rounds}
        report.write_json(args.json, described, chosen, tables)
    return 0


def _thread_counts(text: str) -> tuple[int, ...]:
    """'1,2' as (1, 2)."""
    return tuple(_positive(part) for part in text.split(","))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
