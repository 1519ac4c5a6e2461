"""Threads of our own: as many as the caller says, made anew in a forked child."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice, pairwise
from typing import TypeVar

from blurgen.checks import checked_whole

T = TypeVar("T")
R = TypeVar("R")

_MOST = 4096

_pools: dict[int, ThreadPoolExecutor] = {}
# threads do not survive a fork: the child starts without pools
os.register_at_fork(after_in_child=_pools.clear)


def usable_cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked(threads: int | None) -> int:
    """`threads` itself, or every usable processor for None.

    Raises
    ------
    InputError
        If `threads` is no whole number from 1 to 4096.
    """
    if threads is None:
        return usable_cpus()
    return checked_whole("threads", threads, 1, _MOST)


def run(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """``function(item)`` of every item, in order, on `threads` threads; on the caller's own where one."""
    if threads == 1:
        return [function(item) for item in items]
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="blurgen")
    return list(_pools[threads].map(function, items))


def stream(
    function: Callable[[T], R], items: Iterator[T], threads: int, name: str, seconds: float | None = None
) -> Generator[list[R], None, None]:
    """``function(item)`` of every item, in lists as they are done, on threads called `name`.

    At most two items a thread are under way. The list is empty where `seconds` pass without a result. Items
    under way end before the iteration does, by an error too; who may leave it early closes it.
    """
    executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
    running: set[Future[R]] = set()
    try:
        while True:
            for item in islice(items, 2 * threads - len(running)):
                running.add(executor.submit(function, item))
            if not running:
                return
            finished, running = wait(running, timeout=seconds, return_when=FIRST_COMPLETED)
            yield [future.result() for future in finished]
    finally:
        executor.shutdown(cancel_futures=True)


def shares(count: int, parts: int) -> Iterator[slice]:
    """Cut ``range(count)`` into at most `parts` slices of nearly equal length."""
    edges = [count * i // parts for i in range(parts + 1)]
    return (slice(a, b) for a, b in pairwise(edges) if b > a)
