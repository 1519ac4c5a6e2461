"""Whole processes, from the start of the interpreter to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

import blurgen
from benchmarks.groups import Options
from benchmarks.machine import ROOT, installed, usable_cpus
from benchmarks.report import Table, grouped, race_columns
from benchmarks.timing import Contestant, MismatchError, Way, in_parts, race


def make(options: Options) -> Table:
    """A whole dataset of pairs, beside a loop that writes a PNG for each pair."""
    data = Path(os.environ.get("BLURGEN_DATA") or ROOT.parent / "shared" / "datasets")
    found = (data / "mnist").is_dir() and not options.quick
    pairs, looped = (2000, 200) if options.quick else (360_000, 6000)
    source = ["--dataset", "mnist"] if found else ["--dataset", "digits", "--count", str(pairs)]
    table = Table(
        "make",
        f"blurgen make {' '.join(source)} --recipe mnist-motion, {grouped(pairs)} pairs",
        race_columns("pairs"),
    )
    if not found:
        table.notes.append(
            "MNIST was not used: " + ("quick run." if options.quick else f"no folder mnist in {data}.")
        )
    table.notes.append(
        "blurgen: the whole process, the interpreter's start included, compiled before. The loop: "
        f"{grouped(looped)} of the same pairs, each blurred by cv2.filter2D and written as one PNG of both "
        "images side by side (cv2.imwrite); its start, reading the images and rendering the PSFs are left "
        "out, and its PNGs are read again and compared. blurgen syncs its file, the loop does not. The floor "
        "is for the plain loop, on one thread."
    )
    with TemporaryDirectory(prefix="blurgen-bench-") as folder:
        here = Path(folder)
        command = ["make", *source, "--recipe", "mnist-motion", "--quiet", "--overwrite"]
        command += ["--out", str(here / "pairs.h5")]
        if found:
            command += ["--data-dir", str(data)]
        for threads in options.threads:
            _blurgen(*command, "--threads", str(threads))
            sharp, blurred, kernels = _first_pairs(here / "pairs.h5", looped)

            def run(threads: int = threads) -> None:
                _blurgen(*command, "--threads", str(threads))

            ours = Contestant("**blurgen make**", pairs, (Way(f"--threads {threads}", run),), checked=False)
            others = _png_loops(here / f"png-{threads}", sharp, blurred, kernels, threads)
            results = race(ours, others, rounds=min(3, options.rounds), sample_seconds=0.0)
            floor = options.floor(50.0)
            named = {} if floor is None else {"loop of cv2.filter2D and PNGs": floor}
            table.add_race(source[1], threads, results, floor=None, named_floors=named)
    return table


def _first_pairs(
    path: Path, count: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[NDArray[np.float32]]]:
    file = blurgen.open_pairs(path)
    columns = {name.rpartition(".")[2]: np.asarray(file.params[name][:count]) for name in file.params}
    psfs = blurgen.psf.motion_batch(columns["length"], columns["angle"], blurgen.psf.motion_size(6.0))
    sharp, blurred = np.array(file.sharp[:count]), np.array(file.blurred[:count])
    return sharp[..., 0], blurred[..., 0], [np.ascontiguousarray(psf[::-1, ::-1]) for psf in psfs]


def _png_loops(
    folder: Path,
    sharp: NDArray[np.uint8],
    blurred: NDArray[np.uint8],
    kernels: list[NDArray[np.float32]],
    threads: int,
) -> list[Contestant]:
    name = "loop of cv2.filter2D and PNGs"
    if not installed("cv2"):
        return [Contestant(name, len(sharp), (), missing="not installed")]
    import cv2

    folder.mkdir()

    def part(into: str, start: int, stop: int) -> None:
        for n in range(start, stop):
            made = cv2.filter2D(sharp[n], -1, kernels[n], borderType=cv2.BORDER_REPLICATE)
            cv2.imwrite(f"{into}/{n:06}.png", np.hstack((sharp[n], made)))

    def plain() -> None:
        part(mkdtemp(dir=folder), 0, len(sharp))

    def shared() -> None:
        into = mkdtemp(dir=folder)  # new files in every run, as in life
        in_parts(lambda start, stop: part(into, start, stop), len(sharp), threads)

    plain()
    paths = sorted(str(path) for path in folder.glob("*/*.png"))
    read = np.stack([np.asarray(cv2.imread(path, cv2.IMREAD_GRAYSCALE)) for path in paths])
    wanted = np.concatenate((sharp, blurred), axis=2)
    gap = abs(read.astype(np.int16) - wanted).max()
    if gap > 1:
        raise MismatchError(f"the loop's PNGs differ from blurgen's pairs by {gap} grey levels")
    loops = [Contestant(name, len(sharp), (Way("one thread", plain),), checked=False)]
    if threads > 1:
        ways = (Way("pairs shared among threads", shared),)
        loops.append(Contestant("the same loop on threads", len(sharp), ways, checked=False))
    return loops


def start(options: Options) -> Table:
    """How long it takes until anything happens."""
    runs = 2 if options.quick else 5
    table = Table("start", "whole processes", ("what", "seconds, median", "wanted", "reached", "each run"))
    table.notes.append(
        f"On all {usable_cpus()} usable processors. Compiled before: Numba's cache is warm. Very first run: "
        "NUMBA_CACHE_DIR is an empty folder, and all that the command needs is compiled."
    )
    with TemporaryDirectory(prefix="blurgen-bench-") as folder:
        pairs = str(Path(folder) / "pairs.h5")
        command = ["make", "--dataset", "digits", "--count", "100", "--quiet", "--overwrite", "--out", pairs]

        def add(what: str, seconds: list[float], most: float | None) -> None:
            wanted = None if most is None or options.quick else ("≤", most)
            middle = median(seconds)
            each = ", ".join(f"{value:.2f}" for value in seconds)
            table.add_absolute(what, middle, f"{middle:.2f}", wanted, each)

        # one before, so that files are in memory and compiled; then in turns
        _python("-c", "import blurgen")
        _blurgen(*command)
        taken = [
            (_python("-c", "pass"), _python("-c", "import blurgen"), _blurgen(*command)) for _ in range(runs)
        ]
        nothing, imported, made = (list(column) for column in zip(*taken, strict=True))
        add("python -c pass", nothing, None)
        add('python -c "import blurgen"', imported, 0.3)
        add("blurgen make --dataset digits --count 100, compiled before", made, 1.5)
        if options.quick:
            table.notes.append("The very first run, which compiles, was left out: quick run.")
            return table
        firsts = []
        for n in range(2):
            cache = Path(folder) / f"numba-{n}"
            cache.mkdir()
            firsts.append(_blurgen(*command, NUMBA_CACHE_DIR=str(cache)))
        add("the same, very first run", firsts, 20.0)
    return table


def _blurgen(*args: str, **environment: str) -> float:
    return _python("-m", "blurgen", *args, **environment)


def _python(*args: str, **environment: str) -> float:
    """Seconds of a run of the interpreter.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    settings: dict[str, Any] = {"cwd": ROOT, "env": {**os.environ, **environment}}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True, check=False, **settings)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"python {' '.join(args)} failed: {done.stderr.strip()}")
    return seconds
