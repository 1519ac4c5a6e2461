"""Where the time of a training step on the CPU goes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import blurgen
from benchmarks.groups import Options
from benchmarks.profiling import operators
from benchmarks.report import Table
from benchmarks.timing import Contestant, Way, race
from benchmarks.training import Training
from trainers.options import Options as Settings

_LEAST_ARITHMETIC, _MOST_WAITING = 95.0, 2.0  # % of a step
_OPERATORS = 3
_LITTLE = 8  # pixels a side of an image with next to no arithmetic in it


def arithmetic(options: Options) -> Table:
    """The shares of arithmetic and waiting in the steps of three networks."""
    table = Table(
        "arithmetic",
        f"where the time of a training step on the CPU goes, {max(options.threads)} threads, float32",
        ("what", "% of a step", "wanted", "reached", "how"),
    )
    table.notes.append(
        "The step: steps of trainers.loop.train, without a profiler. Arithmetic: forward, loss, backward and "
        "optimiser of the same network on one batch that is there, in turns with it; the best of "
        f"{options.rounds} rounds of each. Waiting: what the loop itself counts. The rest: floats made of "
        "bytes, random seeds, bookkeeping, threads that prepare the next batches meanwhile. The operators "
        "share the arithmetic as torch.profiler says, whose own time so counts nowhere. Calling them: "
        f"forward and backward of one image of {_LITTLE}×{_LITTLE} pixels, most of which is Python, and "
        "PyTorch finding what to run."
    )
    with TemporaryDirectory(prefix="blurgen-bench-") as folder:
        count = 200 if options.quick else 2000
        small = blurgen.make("digits", Path(folder) / "small.h5", "mnist-motion", count=count)
        size, count = (64, 12) if options.quick else (128, 200)
        colour = blurgen.make("shapes", Path(folder) / "colour.h5", "gopro", count=count, size=size)
        for model in ("cnn-7-5-3", "autoencoder"):
            _add(table, options, f"{model}, 28×28, batch 16", 30, _settings(small, model, "mse", 16))
        batch, crop = (2, 32) if options.quick else (8, 64)
        nafnet = _settings(colour, "nafnet", "psnr", batch).with_values(crop=crop)
        _add(table, options, f"nafnet of width 32, crops of {crop}×{crop}, batch {batch}", 10, nafnet)
    return table


def _settings(path: Path, model: str, loss: str, batch: int) -> Settings:
    return Settings(pairs=str(path), model=model, loss=loss, optimizer="adam", batch_size=batch)


def _add(table: Table, options: Options, case: str, steps: int, settings: Settings) -> None:
    steps = 1 if options.quick else steps
    threads = max(options.threads)
    training = Training(settings, torch.device("cpu"), steps)
    blurred, sharp = training.batch()
    little = [images[:1, :, :_LITTLE, :_LITTLE].clone() for images in (blurred, sharp)]

    def pure() -> None:
        for _ in range(steps):
            training.arithmetic(blurred, sharp)

    def calls() -> None:
        for _ in range(steps):
            training.gradients(little[0], little[1])

    def contestant(run: Way) -> Contestant:
        return Contestant(run.how, steps, (run,), checked=False)

    whole, bare, called = race(
        contestant(Way("the step", training.stretch, threads)),
        [contestant(Way("arithmetic", pure, threads)), contestant(Way("calls", calls, threads))],
        rounds=options.rounds,
        sample_seconds=0.0,
    )
    share, waiting = 100 * bare.best / whole.best, 100 * training.waited
    found = operators(pure, torch.device("cpu"))
    training.feeder.close()

    def add(what: str, percent: float, wanted: tuple[str, float] | None, how: str) -> None:
        table.add_absolute(f"{case}: {what}", percent, f"{percent:.2f}", wanted, how)

    floors = (None, None) if options.quick else (("≥", _LEAST_ARITHMETIC), ("≤", _MOST_WAITING))
    add("**arithmetic**", share, floors[0], f"{bare.best * 1e3:.3g} of {whole.best * 1e3:.3g} ms")
    for name, seconds in islice(found.items(), _OPERATORS):
        add(f"— of which {name}", share * seconds / sum(found.values()), None, "by its share of the profile")
    add("— of which calling operators, at most", 100 * called.best / whole.best, None, "measured")
    add("**waiting for data**", waiting, floors[1], "as the loop counts it")
    add("the rest", 100 - share - waiting, None, "what is left")
