"""Where the time goes in the convolution of small images."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import blurgen
from benchmarks.groups import Options
from benchmarks.report import Table, digits
from benchmarks.work import digits as drawn_digits
from benchmarks.work import motion_psfs
from blurgen import convolution

_NAMES = {
    "survey": "checking the PSFs: sums, signs, taps (survey)",
    "classify": "choosing an engine for each PSF (classify)",
    "taps_of_bytes": "the loop over the images (taps_of_bytes)",
}


class _Timed:
    """Stands in for the module of loops: what is called there is timed, by name."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if not callable(found):
            return found

        def timed(*args: Any) -> Any:
            start = time.perf_counter()
            try:
                return found(*args)
            finally:
                self.seconds[name] += time.perf_counter() - start

        return timed


def parts(options: Options) -> Table:
    """The time of `blurgen.convolve` on the images of the group `small`, on one thread."""
    count = 400 if options.quick else 8000
    images, psfs = drawn_digits(count), motion_psfs(count, 4.0, 6.0)
    few = np.zeros_like(psfs)
    middle = psfs.shape[1] // 2
    few[:, middle, middle], few[:, middle, middle + 1], few[:, middle + 1, middle] = 0.5, 0.25, 0.25
    room = np.empty_like(images)
    rounds = 3 * options.rounds
    seconds, shares = _breakdown(images, psfs, rounds)
    _, short = _breakdown(images, few, rounds)
    copying = min(_clock(lambda: np.copyto(room, images)) for _ in range(rounds))

    table = Table(
        "parts",
        "where the time goes in the group `small`, on one thread",
        ("part", "µs an image", "share of the whole"),
    )

    def add(what: str, value: float) -> None:
        share = value / seconds
        table.rows.append((what, f"{value / count * 1e6:.3f}", f"{share:.1%}"))
        table.records.append({"case": what, "seconds_an_image": value / count, "share": share})

    for name, value in sorted(shares.items(), key=lambda item: -item[1]):
        add(_NAMES.get(name, name), value)
        if name == "taps_of_bytes":
            filling = min(short[name], value)
            add("— of which: the same with PSFs of 3 taps, so mostly filling and storing", filling)
            add("— of which: the other taps", value - filling)
    add("Python and NumPy around them", seconds - sum(shares.values()))
    add("**the whole call**", seconds)
    add("for comparison, the limit: copying the images in memory", copying)
    taps = np.count_nonzero(psfs) / count
    table.notes.append(
        f"The best of {rounds} calls, its parts measured within it; {digits(count / seconds)} images/s, "
        f"{taps:.1f} taps an image on average. Lines that begin with a dash are parts of the line above them."
    )
    return table


def _breakdown(
    images: NDArray[np.uint8], psfs: NDArray[np.float32], rounds: int
) -> tuple[float, defaultdict[str, float]]:
    """Seconds of the best of `rounds` calls, and of the loops within it."""
    blurgen.convolve(images, psfs)
    best: tuple[float, defaultdict[str, float]] | None = None
    loops = vars(convolution)["loops"]
    try:
        for _ in range(rounds):
            stand_in: Any = _Timed(loops)
            vars(convolution)["loops"] = stand_in
            seconds = _clock(lambda: blurgen.convolve(images, psfs))
            if best is None or seconds < best[0]:
                best = seconds, stand_in.seconds
    finally:
        vars(convolution)["loops"] = loops
    assert best is not None
    return best


def _clock(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
