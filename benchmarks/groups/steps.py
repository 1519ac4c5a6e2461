"""Whole training steps on small images."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

import blurgen
from benchmarks.contestants.loaders import H5PY, WORKERS, RowDataset, loader, moved, train
from benchmarks.groups import Options
from benchmarks.report import Table, race_columns
from benchmarks.timing import Contestant, MismatchError, Way, race
from benchmarks.training import Training, settle
from trainers.losses import loss_named
from trainers.models import build
from trainers.options import Options as Settings
from trainers.rows import open_data

_LR = 5e-4
_GPU_FLOOR = 5.0
_TOLERANCE = 1e-3


def steps(options: Options) -> Table:
    """`trainers.loop.train` beside the loop that people write, on each device at hand."""
    pairs = 400 if options.quick else 60_000
    threads = max(options.threads)
    table = Table(
        "steps", "training cnn-7-5-3 on 28×28 gray, batches of a pair file, float32", race_columns("images")
    )
    table.notes.append(
        "Stretches of a hundred steps, on a GPU a thousand, with Adam and the mean squared error. The plain "
        "loop: a DataLoader that reads row by row through h5py, the same network, loss.item() for the mean. "
        "Both were compared by their losses on the same batches. On a CPU arithmetic takes the time, so "
        "there is no floor."
    )
    devices = [torch.device("cpu")]
    if torch.cuda.is_available():
        devices.append(torch.device("cuda"))
        table.notes.append(f"cuda: {torch.cuda.get_device_name()}.")
    with TemporaryDirectory(prefix="blurgen-bench-") as folder:
        path = blurgen.make("digits", Path(folder) / "pairs.h5", "mnist-motion", count=pairs)
        for device in devices:
            length = 2 if options.quick else 100 if device.type == "cpu" else 1000
            for batch in (16,) if device.type == "cpu" else (16, 256):
                _check(path, batch, device)
                training = Training(_settings(path, batch), device, length)
                items = length * batch
                ours = Contestant(
                    "**trainers.loop.train**",
                    items,
                    (Way(training.feeder.place, training.stretch, threads),),
                    checked=False,
                )
                ways = tuple(_way(path, batch, workers, device, items, threads) for workers in WORKERS)
                plain = Contestant(H5PY, items, ways, checked=False)
                results = race(ours, [plain], rounds=options.rounds, sample_seconds=options.sample_seconds)
                floor = None if device.type == "cpu" else options.floor(_GPU_FLOOR)
                named = {} if floor is None else {H5PY: floor}
                case = f"batches of {batch}, {device.type}"
                table.add_race(case, threads, results, floor=None, named_floors=named)
                training.feeder.close()
    return table


def _settings(path: Path, batch: int, **arguments: float) -> Settings:
    return Settings(
        pairs=str(path),
        model="cnn-7-5-3",
        model_args=arguments,
        loss="mse",
        optimizer="adam",
        lr=_LR,
        batch_size=batch,
    )


def _way(path: Path, batch: int, workers: int, device: torch.device, items: int, threads: int) -> Way:
    """The plain loop on as many pairs as ours has."""
    settings = _settings(path, batch)
    network, optimizer = _plain(settings, device)
    rows = open_data(settings).train.index.tolist()
    batches = loader(RowDataset(path), batch, workers, device, shuffled=items, rows=rows)

    def run() -> None:
        train(network, lambda: moved(batches, device), optimizer, loss_named("mse"))
        settle(device)

    return Way(f"{workers} workers", run, threads)


def _plain(settings: Settings, device: torch.device) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The same network and optimiser, with nothing but PyTorch's defaults."""
    torch.manual_seed(settings.seed)
    network = build("cnn-7-5-3", 1, **settings.model_args).to(device)
    return network, torch.optim.Adam(network.parameters(), lr=_LR)


def _check(path: Path, batch: int, device: torch.device) -> None:
    """See that both loops do the same: a few steps without dropout, in the file's order.

    Raises
    ------
    MismatchError
        If their mean losses differ by more than a thousandth.
    """
    settings = _settings(path, batch, dropout=0.0)
    index = open_data(settings).train.index
    number = min(2, len(index) // batch)
    training = Training(settings, device, number, shuffle=False)
    training.stretch()
    training.feeder.close()
    network, optimizer = _plain(settings, device)
    rows = index[: number * batch].tolist()
    batches = loader(RowDataset(path), batch, 0, device, shuffled=None, rows=rows)
    mean = train(network, lambda: moved(batches, device), optimizer, loss_named("mse"))
    ours = training.told[0].loss
    if not abs(mean - ours) <= _TOLERANCE * ours:
        raise MismatchError(f"the plain loop's loss is {mean:.6g}, blurgen's {ours:.6g}")
