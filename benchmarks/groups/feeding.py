"""How fast pairs of a file reach the step that trains on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count as counted
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import blurgen
from benchmarks.contestants.loaders import DATASET, H5PY, WORKERS, Batches, RowDataset, loader, moved
from benchmarks.groups import Options
from benchmarks.report import Table, grouped, race_columns
from benchmarks.timing import Contestant, MismatchError, Way, race
from benchmarks.training import settle
from blurgen.torch import PairDataset
from trainers.assembly import chosen_device
from trainers.data import Feeder
from trainers.rows import FileRows

_FLOOR = 5.0

Pass = Callable[[], Batches]


def feeding(options: Options) -> Table:
    """Shuffled batches of 28×28 pairs as floats, beside DataLoaders over the same file."""
    pairs, looped = (2000, 256) if options.quick else (60_000, 6144)
    device = chosen_device("auto")
    table = Table(
        "feeding",
        f"{grouped(pairs)} pairs 28×28 gray of a file, shuffled, as float batches on the device",
        race_columns("pairs"),
    )
    table.notes.append(
        "Every contestant's pairs were compared with the file's: each is there once, to the byte. blurgen: "
        "trainers.data.Feeder as trainers.fit makes it, a whole pass, the next pass's order included; its "
        f"first pass, which reads the file, is not counted. DataLoaders: {grouped(looped)} pairs drawn from "
        f"all, with {' or '.join(map(str, WORKERS))} workers, whose start is not counted; over h5py one row "
        "at a time, over PairDataset a batch at a time, as bytes until it is on the device."
    )
    with TemporaryDirectory(prefix="blurgen-bench-") as folder:
        path = blurgen.make("digits", Path(folder) / "pairs.h5", "mnist-motion", count=pairs)
        for batch in (256, 16):
            feeder = _feeder(path, batch, device)
            ours = _contestant(
                "**trainers.data.Feeder**", path, batch, device, {feeder.place: _passes(feeder)}
            )
            others = [
                _contestant(
                    name,
                    path,
                    batch,
                    device,
                    {
                        f"{workers} workers": _loaded(kind(path), batch, workers, device, looped)
                        for workers in WORKERS
                    },
                )
                for name, kind in ((H5PY, RowDataset), (DATASET, PairDataset))
            ]
            results = race(ours, others, rounds=options.rounds, sample_seconds=options.sample_seconds)
            floor = options.floor(_FLOOR)
            case, named = f"batches of {batch}, {device.type}", {} if floor is None else {H5PY: floor}
            table.add_race(case, max(options.threads), results, floor=None, named_floors=named)
            feeder.close()
    return table


def _feeder(path: Path, batch: int, device: torch.device) -> Feeder:
    pairs = blurgen.open_pairs(path)
    return Feeder(FileRows(pairs), np.arange(len(pairs)), batch_size=batch, device=device)


def _passes(feeder: Feeder) -> Pass:
    """The feeder's passes, one after another."""
    numbers = counted()

    def batches() -> Batches:
        number = next(numbers)
        return feeder.batches(number * feeder.per_pass, (number + 1) * feeder.per_pass)

    return batches


def _loaded(
    dataset: RowDataset | PairDataset, batch: int, workers: int, device: torch.device, looped: int
) -> Pass:
    batches = loader(dataset, batch, workers, device, shuffled=looped, rows=range(len(dataset)))
    return lambda: moved(batches, device)


def _contestant(
    name: str, path: Path, batch: int, device: torch.device, passes: dict[str, Pass]
) -> Contestant:
    """A contestant that goes through a pass in each way; what a pass holds is checked first."""

    def way(how: str, batches: Pass) -> Way:
        def run() -> None:
            for _ in batches():
                pass
            settle(device)

        return Way(how, run)

    counts = {_checked(name, path, batch, batches) for batches in passes.values()}
    assert len(counts) == 1
    ways = tuple(way(how, batches) for how, batches in passes.items())
    return Contestant(name, counts.pop(), ways, checked=False)


def _checked(name: str, path: Path, batch: int, passes: Pass) -> int:
    """How many pairs a pass has.

    Raises
    ------
    MismatchError
        If one is not in the file, or came more often than it is there, or a batch has another size.
    """
    file = blurgen.open_pairs(path)
    left = Counter(
        b.tobytes() + s.tobytes()
        for b, s in zip(np.asarray(file.blurred), np.asarray(file.sharp), strict=True)
    )
    seen = 0
    for blurred, sharp in passes():
        both = [
            (255 * images.permute(0, 2, 3, 1)).round().byte().cpu().numpy() for images in (blurred, sharp)
        ]
        if len(both[0]) != batch:
            raise MismatchError(f"{name}: a batch of {len(both[0])} pairs, {batch} are wanted")
        taken = Counter(b.tobytes() + s.tobytes() for b, s in zip(*both, strict=True))
        if not taken <= left:
            raise MismatchError(f"{name}: a pair that is not in the file, or came before")
        left -= taken
        seen += batch
    return seen
