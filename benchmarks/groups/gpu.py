"""Training on a GPU: how much of it is used, and what takes the time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import blurgen
from benchmarks.flops import peak, step_flops
from benchmarks.groups import Options
from benchmarks.profiling import operators
from benchmarks.report import Table, digits
from benchmarks.timing import Contestant, Way, race
from benchmarks.training import Training, settle
from trainers.options import Options as Settings

_MOST_ONLINE = 10.0  # % of a step
_OPERATORS = 6
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Case:
    """A network and what it is trained on.

    Attributes
    ----------
    name : str
        What the table calls it.
    model, model_args, loss : str, dict, str
        As options of a training.
    source, source_args, recipe, pairs : str, dict, str, int
        What the pair file is made of.
    batch, steps : int
        Pairs of a step, and steps of a stretch.
    """

    name: str
    model: str
    loss: str
    source: str
    recipe: str
    pairs: int
    batch: int
    steps: int
    model_args: dict[str, Any] = field(default_factory=dict)
    source_args: dict[str, Any] = field(default_factory=dict)


def cases(quick: bool) -> list[Case]:
    """What is trained."""
    digits_batch, pairs, batch, steps, side = (8, 20, 4, 2, 32) if quick else (256, 640, 32, 50, 256)
    found = [
        Case(
            name=f"cnn-7-5-3, 28×28, batch {digits_batch}",
            model="cnn-7-5-3",
            loss="mse",
            source="digits",
            recipe="mnist-motion",
            pairs=40 if quick else 60_000,
            batch=digits_batch,
            steps=4 * steps,
        )
    ]
    for width in (8, 16) if quick else (32, 64):
        found.append(
            Case(
                name=f"nafnet of width {width}, {side}×{side}×3, batch {batch}",
                model="nafnet",
                loss="psnr",
                source="shapes",
                recipe="realistic",
                pairs=pairs,
                batch=batch,
                steps=steps,
                model_args={"width": width},
                source_args={"size": side},
            )
        )
    return found


def gpu(options: Options) -> Table:
    """The figures of the GPU at hand."""
    if not torch.cuda.is_available():
        return Table("gpu", "no GPU was at hand, so nothing was measured", ())
    return measured(options, torch.device("cuda"))


def measured(options: Options, device: torch.device) -> Table:
    """Speed, share of the peak, waiting, the cost of drawing blur, and the operators that take the time."""
    most, source = peak(device, 256 if options.quick else 8192)
    table = Table(
        "gpu",
        "training in bfloat16, channels last, compiled, images kept on the device",
        ("what", "measured", "wanted", "reached", "how"),
    )
    table.notes.append(
        f"Best of {options.rounds} rounds of stretches of trainers.loop.train. Model FLOPs are three times "
        f"those of the forward pass (convolutions and products alone), beside {source}. Online: the same "
        "training on sharp images, the file's recipe drawn on the device by blurgen.torch.Degrader; its cost "
        "is the share of that step by which it is longer. Busy: the time of all kernels of forward, loss, "
        "backward and optimiser by torch.profiler, beside that of a step without a profiler. The same loop "
        "beside a DataLoader over h5py: group `steps`."
    )
    with TemporaryDirectory(prefix="blurgen-bench-") as folder:
        for number, case in enumerate(cases(options.quick)):
            path = blurgen.make(
                case.source, Path(folder) / f"{number}.h5", case.recipe, count=case.pairs, **case.source_args
            )
            _add(table, options, case, path, device, most)
    return table


def _add(table: Table, options: Options, case: Case, path: Path, device: torch.device, most: float) -> None:
    threads = max(options.threads)
    if device.type == "cuda":
        torch.compiler.reset()  # what was compiled for the case before
    settings = Settings(
        pairs=str(path),
        model=case.model,
        model_args=case.model_args,
        loss=case.loss,
        batch_size=case.batch,
        precision="bf16",
        compiled=device.type == "cuda",
    )
    ready = Training(settings, device, case.steps, resident=True)
    online = Training(settings.with_values(online=case.recipe), device, case.steps, resident=True)
    blurred, sharp = ready.batch()

    def pure() -> None:
        for _ in range(case.steps):
            ready.arithmetic(blurred, sharp)
        settle(device)

    def contestant(way: Way) -> Contestant:
        return Contestant(way.how, case.steps, (way,), checked=False)

    whole, drawn = race(
        contestant(Way("ready", ready.stretch, threads)),
        [contestant(Way("online", online.stretch, threads))],
        rounds=options.rounds,
        sample_seconds=0.0,
    )
    busy = operators(pure, device)
    used = sum(busy.values()) / case.steps
    online.feeder.close()
    ready.feeder.close()

    def add(
        what: str, figure: float, shown: str, how: str = "", wanted: tuple[str, float] | None = None
    ) -> None:
        table.add_absolute(f"{case.name}: {what}", figure, shown, wanted, how)

    speed = case.batch * whole.rate
    needed = step_flops(settings, (*blurred.shape[2:], blurred.shape[1]))
    use, cost = 100 * speed * needed / most, 100 * (1 - whole.best / drawn.best)
    floor = None if options.quick else ("≤", _MOST_ONLINE)
    add("**images/s**", speed, digits(speed), f"{whole.best * 1e3:.3g} ms a step")
    add("**model FLOPs, % of the peak**", use, f"{use:.1f}", f"{needed / 1e9:.3g} GFLOP an image")
    add("waiting for data, % of a step", 100 * ready.waited, f"{100 * ready.waited:.2f}")
    add("drawing blur online, % of a step", cost, f"{cost:.1f}", f"{drawn.best * 1e3:.3g} ms a step", floor)
    share = 100 * used / whole.best
    add("busy, % of a step", share, f"{share:.1f}", f"{used * 1e3:.3g} ms a step")
    for name, seconds in islice(busy.items(), _OPERATORS):
        part = 100 * seconds / sum(busy.values())
        add(f"— of which `{name[:_LONGEST_NAME]}`", part, f"{part:.1f}", "% of the busy time")
