"""Races: contestants run in turns, A B C A B C …, in one process, and the best of the rounds counts.

Others run the same code on the machine now and then, which only ever makes a run longer: so the shortest of
the rounds is the figure of each contestant, and the ratio of a single round, from neighbouring moments, shows
how far that can be trusted.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import installed, set_library_threads

_PAUSE = 0.01  # seconds, for the last contestant's threads to fall asleep
_SLOW = 4.0  # times the best of the others: such a contestant runs in two rounds only


class MismatchError(Exception):
    """Contestants did not do the same work."""


@dataclass(frozen=True)
class Way:
    """One way to have a library do the work.

    Attributes
    ----------
    how : str
        In a few words.
    run : callable
        Does all the work once and returns the results.
    library_threads : int
        How many threads OpenCV and torch may use meanwhile.
    """

    how: str
    run: Callable[[], Any]
    library_threads: int = 1


@dataclass(frozen=True)
class Contestant:
    """A library, and the ways to have it do the work; the fastest of them runs in the race.

    Attributes
    ----------
    name : str
        The library, and the function.
    items : int
        How many images (PSFs, pairs) one run makes.
    ways : tuple of Way
        None where the library is missing.
    checked : bool
        Whether results are compared with blurgen's.
    missing : str
        Why there are no ways.
    tolerance : float
        The largest difference allowed, where it is more than the race's.
    """

    name: str
    items: int
    ways: tuple[Way, ...]
    checked: bool = True
    missing: str = ""
    tolerance: float = 0.0


@dataclass
class Result:
    """What was measured of a contestant.

    Attributes
    ----------
    samples : list of float
        Seconds an item, one for each round that it ran in.
    first : float
        Seconds of its very first run, compilation and all.
    difference : float or None
        The largest difference from blurgen's results; None where it was not checked.
    """

    contestant: Contestant
    how: str = ""
    first: float = 0.0
    difference: float | None = None
    samples: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """Seconds an item, in the best round."""
        return min(self.samples)

    @property
    def rate(self) -> float:
        """Items a second, in the best round."""
        return 1.0 / self.best


def race(
    ours: Contestant,
    others: Sequence[Contestant],
    *,
    rounds: int,
    tolerance: float = 1.0,
    sample_seconds: float,
) -> list[Result]:
    """Check that all do the same work, find the best way of each, and let them run in turns.

    Returns
    -------
    list of Result
        `ours` first, then each of `others`; without samples where it is missing.

    Raises
    ------
    MismatchError
        If the results of a checked contestant differ from `ours` by more than `tolerance`.
    """
    gc.freeze()  # else each collection below goes through all modules of all libraries
    own_way = ours.ways[0]
    first, _ = _timed(own_way)
    own_seconds, reference = _timed(own_way)
    runners = [(Result(ours, own_way.how, first, None), own_way, own_seconds)]
    results = [runners[0][0]]
    for other in others:
        result = Result(other)
        results.append(result)
        if other.ways:
            way, seconds = _best_way(other, result, reference, tolerance)
            runners.append((result, way, seconds))
    del reference
    quickest = min((seconds for _, _, seconds in runners[1:]), default=own_seconds)
    for number in range(rounds):
        for result, way, seconds in runners:
            if number >= 2 and seconds > _SLOW * max(quickest, own_seconds):
                continue
            repeats = max(1, round(sample_seconds / seconds))
            result.samples.append(_timed(way, repeats)[0] / result.contestant.items)
    return results


def _best_way(
    contestant: Contestant, result: Result, reference: NDArray[Any], tolerance: float
) -> tuple[Way, float]:
    tried: list[tuple[float, Way]] = []
    for way in contestant.ways:
        first, made = _timed(way)
        result.first = result.first or first
        if contestant.checked:
            gap = difference(made, reference)
            allowed = max(tolerance, contestant.tolerance)
            if not gap <= allowed:
                raise MismatchError(
                    f"{contestant.name} ({way.how}) differs from blurgen by {gap:.3g}; "
                    f"at most {allowed:g} is allowed"
                )
            result.difference = max(gap, result.difference or 0.0)
        del made
        # a second run tells more, where the first was not hopeless
        hopeless = first > 2.0 or (tried and first > 3.0 * min(tried, key=_seconds)[0])
        tried.append((first if hopeless else min(first, _timed(way)[0]), way))
    seconds, way = min(tried, key=_seconds)
    result.how = way.how
    return way, seconds


def _seconds(entry: tuple[float, Way]) -> float:
    return entry[0]


def _timed(way: Way, repeats: int = 1) -> tuple[float, Any]:
    set_library_threads(way.library_threads)
    gc.collect()
    gc.disable()
    time.sleep(_PAUSE)
    try:
        start = time.perf_counter()
        for _ in range(repeats):
            made = way.run()
        return (time.perf_counter() - start) / repeats, made
    finally:
        gc.enable()


def difference(made: NDArray[Any], reference: NDArray[Any]) -> float:
    """The largest difference between two arrays, image by image to save memory."""
    if made.shape != reference.shape or made.dtype != reference.dtype:
        raise MismatchError(
            f"results are {made.dtype} {made.shape}, blurgen's {reference.dtype} {reference.shape}"
        )
    wide = np.int16 if made.dtype == np.uint8 else np.float64
    gaps = (abs(a.astype(wide) - b.astype(wide)).max() for a, b in zip(made, reference, strict=True))
    return float(max(gaps))


@lru_cache
def pool(threads: int) -> ThreadPoolExecutor:
    """Threads that share images among them, each library being left one thread in each."""

    def alone() -> None:
        if installed("torch"):
            import torch

            torch.set_num_threads(1)

    return ThreadPoolExecutor(threads, initializer=alone)


def in_parts(part: Callable[[int, int], None], count: int, threads: int) -> None:
    """``part(start, stop)`` until ``range(count)`` is covered, the parts shared among `threads`."""
    pieces = min(count, 8 * threads)
    edges = [count * i // pieces for i in range(pieces + 1)]
    list(pool(threads).map(part, edges[:-1], edges[1:]))


def looped(
    make: Callable[[], Any],
    part: Callable[[Any, int, int], None],
    count: int,
    threads: int,
    *,
    how: str = "loop",
    own_threads: bool = True,
) -> tuple[Way, ...]:
    """The ways to run a loop over ``range(count)`` on `threads` threads.

    ``part(out, start, stop)`` does a stretch of it, ``make()`` gives a fresh `out`.
    """

    def alone() -> Any:
        out = make()
        part(out, 0, count)
        return out

    def shared() -> Any:
        out = make()
        in_parts(lambda start, stop: part(out, start, stop), count, threads)
        return out

    if threads == 1:
        return (Way(how, alone),)
    ways = []
    if own_threads:
        ways.append(Way(f"{how}, its own threads", alone, threads))
    if count > 1:
        ways.append(Way(f"{how}, images shared among threads", shared))
    return tuple(ways) or (Way(f"{how}, on one thread only", alone),)
