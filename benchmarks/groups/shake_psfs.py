"""Drawing camera-shake PSFs."""

from __future__ import annotations

from benchmarks.contestants import shakes
from benchmarks.groups import Options
from benchmarks.report import Table, grouped, race_columns
from benchmarks.timing import race


def shake_psfs(options: Options) -> Table:
    """Random trajectories of two laws, and their PSFs."""
    count = 200 if options.quick else 2000
    size = 31
    table = Table(
        "shake-psfs",
        f"{grouped(count)} random camera-shake PSFs, float32: trajectories of {shakes.STEPS} steps, "
        f"{shakes.LENGTH:g} pixels long, in {shakes.SIZE}×{shakes.SIZE}; Gaussian processes in {size}×{size}",
        race_columns("PSFs"),
    )
    batches = (32, 100) if options.quick else (32, 100, 400)
    for threads in options.threads:
        results = race(
            shakes.hand_held(count, threads, batches[1]),
            [shakes.numpy_hand_held(count, threads, batches)],
            rounds=options.rounds,
            sample_seconds=options.sample_seconds,
        )
        floors = {} if options.quick else {shakes.NUMPY: 10.0}
        table.add_race("Boracchi & Foi", threads, results, floor=None, named_floors=floors)
        results = race(
            shakes.gaussian_process(count, threads, size, batches[1]),
            [shakes.deepinv_generator(count, threads, size, batches)],
            rounds=options.rounds,
            sample_seconds=options.sample_seconds,
        )
        floors = {} if options.quick else {shakes.DEEPINV: 10.0}
        table.add_race("Gaussian process", threads, results, floor=None, named_floors=floors)
    table.notes.append(
        "The random numbers are each library's own, so the results are not compared; the tests compare the "
        "law. deepinv takes 159 of 1000 points and counts each in one pixel, blurgen spreads all 1000."
    )
    return table
