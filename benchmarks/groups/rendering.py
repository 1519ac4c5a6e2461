"""Rendering PSFs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import blurgen
from benchmarks.groups import Options
from benchmarks.report import Table, digits, grouped
from benchmarks.timing import Contestant, Way, in_parts, race


def psfs(options: Options) -> Table:
    """Random motion PSFs."""
    count = 5000 if options.quick else 200_000
    rng = np.random.default_rng(4)
    lengths, angles = rng.uniform(4.0, 6.0, count), rng.uniform(0.0, 360.0, count)
    size = blurgen.psf.motion_size(6.0)
    out = np.empty((count, size, size), np.float32)

    def part(start: int, stop: int) -> None:
        blurgen.psf.motion_batch(lengths[start:stop], angles[start:stop], size, out[start:stop])

    def run(threads: int) -> Callable[[], None]:
        return lambda: part(0, count) if threads == 1 else in_parts(part, count, threads)

    table = Table(
        "psfs",
        f"{grouped(count)} random motion PSFs of length 4–6 rendered by psf.motion_batch",
        ("threads", "PSFs/s, all threads together", "wanted", "reached", "how"),
    )
    for threads in options.threads:
        ways = (Way("motion_batch", run(threads)),)
        ours = race(
            Contestant("blurgen", count, ways),
            [],
            rounds=options.rounds,
            sample_seconds=options.sample_seconds,
        )[0]
        wanted = None if options.quick or threads != 2 else ("≥", 1e6)
        table.add_absolute(
            str(threads),
            ours.rate,
            digits(ours.rate),
            wanted,
            f"best of {len(ours.samples)} rounds; first run {digits(ours.first)} s",
        )
    return table
