"""PyTorch's DataLoader over a pair file, and the training loop that people write around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset

from benchmarks.machine import usable_cpus
from trainers.losses import Loss

H5PY = "DataLoader over h5py"
DATASET = "DataLoader over blurgen.torch.PairDataset"
WORKERS = tuple(sorted({0, 2, min(8, usable_cpus())}))

Batches = Iterator[tuple[Tensor, Tensor]]


class RowDataset(Dataset):  # type: ignore[misc]
    """The pairs of a file, read row by row through h5py, as floats (C, H, W): black 0, white 1."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None
        with h5py.File(path, locking=False) as file:
            self._count = len(file["sharp"])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        # each worker opens the file by itself, without a lock as blurgen does: HDF5 refuses to mix the two
        self._file = self._file or h5py.File(self._path, locking=False)
        return _floats(self._file["blurred"][index]), _floats(self._file["sharp"][index])


def _floats(image: NDArray[Any]) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def loader(
    dataset: Any, batch: int, workers: int, device: torch.device, *, shuffled: int | None, rows: Sequence[int]
) -> Any:
    """A DataLoader that gives `rows`, or `shuffled` of them drawn anew in every pass."""
    subset = Subset(dataset, rows)
    order = None
    if shuffled is not None:
        order = RandomSampler(subset, num_samples=shuffled, generator=torch.Generator().manual_seed(1))
    return DataLoader(
        subset,
        batch_size=batch,
        sampler=order,
        num_workers=workers,
        persistent_workers=workers > 0,  # so that their start is not counted
        pin_memory=device.type == "cuda",
        drop_last=True,
    )


def moved(batches: Any, device: torch.device) -> Batches:
    """Batches of floats, or of bytes that the device makes floats of, on the device."""
    for blurred, sharp in batches:
        pair = blurred.to(device, non_blocking=True), sharp.to(device, non_blocking=True)
        yield pair if blurred.is_floating_point() else (pair[0].float().div_(255), pair[1].float().div_(255))


def train(
    network: nn.Module, batches: Callable[[], Batches], optimizer: torch.optim.Optimizer, loss: Loss
) -> float:
    """A pass of the usual loop; the mean loss."""
    network.train()
    losses: list[float] = []
    for blurred, sharp in batches():
        error = loss(network(blurred), sharp)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        losses.append(error.item())
    return sum(losses) / len(losses)
