"""Batches on the device, from pair files, or from sharp images and a recipe.

Which pairs a batch holds, in which order, and how they are blurred, turned and cut, is a pure function of
(seed, step): it depends neither on threads nor on the memory there is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from blurgen import threads as pool
from blurgen.degradation import degrade_checked
from blurgen.recipe import Recipe
from blurgen.stages.base import ImagePair
from trainers.cuts import Cuts, Images, Index, cut, cut_on_device, derived_seed, draw_cuts
from trainers.distributed import World
from trainers.errors import TrainerError
from trainers.order import Plan, Window
from trainers.rows import Rows

_RESIDENT_SHARE = 0.5  # of a GPU's free memory that images may take


@dataclass(frozen=True)
class Online:
    """Blur that is drawn anew in every pass from (seed, pass, row).

    Attributes
    ----------
    recipe : Recipe
        How.
    on_device : bool
        Whether the device does it (`blurgen.torch.Degrader`), instead of threads ahead of the step.
    """

    recipe: Recipe
    on_device: bool = False

    def degrade(
        self, sharp: Images, blurred: Images | None, seed: int, number: int, rows: Index
    ) -> tuple[Images, Images]:
        """Pairs of arrays (B, H, W, C)."""
        pair = ImagePair(sharp, sharp if blurred is None else blurred)
        pairs = degrade_checked(pair, self.recipe, derived_seed(seed, "blur", number), rows)
        return pairs.sharp, pairs.blurred

    def degrade_tensors(self, sharp: Tensor, seed: int, number: int, rows: Index) -> tuple[Tensor, Tensor]:
        """Pairs of tensors (B, H, W, C), on the device of `sharp`."""
        from blurgen.torch import Degrader

        degrader = Degrader(self.recipe, derived_seed(seed, "blur", number))
        pair = degrader(sharp.permute(0, 3, 1, 2), rows)
        return pair[0].permute(0, 2, 3, 1), pair[1].permute(0, 2, 3, 1)


class _Batch(NamedTuple):
    number: int  # of the pass
    rows: Index  # absolute
    pieces: list[tuple[Future[tuple[Images, Images | None]], Index]]  # images, and which of them


# ---- batches ----


class Feeder:
    """Batches of blurred and sharp images, float (B, C, H, W) on the device, black 0, white 1.

    Bytes go to the device, which makes floats of them. On a GPU the images are kept there if they take at
    most half of its free memory; otherwise threads prepare the batches, pinned, ahead of the step.

    Parameters
    ----------
    rows : Rows
        The images.
    index : ndarray
        int64, rising: which rows.
    batch_size : int
        Rows of a batch, of all processes together; at most as many as there are.
    device : torch.device
        Where the batches go.
    seed : int
        For order, cuts, and what is drawn online.
    shuffle : bool
        Whether rows are shuffled anew in every pass; a rest that fills no batch is then left out. Otherwise
        every pass is the first one again, and its last batch may be smaller.
    augment : bool
        Whether images are flipped, and turned by quarters where they are square.
    crop : int or None
        Side of the square that is cut from a random place; None leaves them whole.
    gray : bool
        Whether the mean of the channels is taken.
    online : Online or None
        How the blurred images are made, where the rows do not bring them.
    threads : int or None
        How many prepare batches.
    world : World
        Each process gets its share of every batch: every ``size``-th row from ``rank``.
    resident : bool or None
        Whether the device keeps the images; None decides by its free memory.

    Attributes
    ----------
    per_pass : int
        Batches of a pass.
    batch_size : int
        Rows of a batch.
    size : tuple of int
        (H, W) of the batches' images.
    waited : float
        Seconds that the taker waited for batches so far.
    place : str
        Where the images are kept, in words.
    """

    def __init__(
        self,
        rows: Rows,
        index: Index,
        *,
        batch_size: int,
        device: torch.device,
        seed: int = 0,
        shuffle: bool = True,
        augment: bool = False,
        crop: int | None = None,
        gray: bool = False,
        online: Online | None = None,
        threads: int | None = None,
        world: World | None = None,
        resident: bool | None = None,
    ) -> None:
        if not len(index):
            raise TrainerError("there are no pairs to take")
        self._rows, self._index, self._device, self._seed = rows, index, device, seed
        self._shuffle, self._augment, self._gray, self._online = shuffle, augment, gray, online
        self._world = world or World()
        shape = online.recipe.output_shape(rows.shape) if online else rows.shape
        self._shape = shape[:2]
        self._channels = shape[2]
        self.size = (crop, crop) if crop else self._shape
        if crop and crop > min(self._shape):
            raise TrainerError(f"crop {crop}: the images have {self._shape[0]}×{self._shape[1]} pixels only")
        if batch_size % self._world.size:
            raise TrainerError(
                f"batch size {batch_size} cannot be shared equally by {self._world.size} processes"
            )
        if shuffle:
            most = len(index) - len(index) % self._world.size
            if not most:
                raise TrainerError(f"{len(index)} pairs are too few for {self._world.size} processes")
            batch_size = min(batch_size, most)
        self.batch_size = batch_size
        self.per_pass = len(index) // batch_size if shuffle else -(-len(index) // batch_size)
        self._plan = Plan.for_bytes(len(index), rows.row_bytes, shuffle, seed)
        self._on_device = bool(online and online.on_device)
        # CPU arithmetic needs its processors itself
        usual = max(1, pool.usable_cpus() // (2 if device.type == "cpu" else 1))
        self._threads = threads or usual
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="trainers-read")
        self._workers = ThreadPoolExecutor(self._threads, thread_name_prefix="trainers-batch")
        self._kept: Future[tuple[Images, Images | None]] | None = None
        self._plans: dict[int, Future[list[Window]]] = {}
        self._resident: tuple[Tensor, Tensor | None] | None = None
        self._ordered: tuple[int, Tensor, Index, tuple[Tensor, ...] | None] | None = None
        self.waited = 0.0
        takes_threads = online is not None and not online.on_device
        if not takes_threads and (self._fits() if resident is None else resident):
            self._resident = self._moved()
            self.place = f"kept on {device}"
        else:
            self.place = "kept in memory" if self._plan.whole else "read in blocks, ahead of the step"

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.batches(0, self.per_pass)

    def batches(self, first: int, last: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches `first` to ``last − 1``, (blurred, sharp), counted over all passes."""
        if self._resident is not None:
            yield from self._from_device(first, last)
            return
        coming = self._coming(first, last)
        under_way: deque[Future[tuple[int, Index, Tensor, Tensor | None]]] = deque()
        try:
            while True:
                while len(under_way) < 2 * self._threads and (batch := next(coming, None)) is not None:
                    under_way.append(self._workers.submit(self._prepared, batch))
                if not under_way:
                    return
                begun = time.perf_counter()
                number, rows, sharp, blurred = under_way.popleft().result()
                self.waited += time.perf_counter() - begun
                if len(rows):
                    yield self._on(number, rows, sharp, blurred)
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """End the threads."""
        self._loader.shutdown(cancel_futures=True)
        self._workers.shutdown(cancel_futures=True)

    # -- which rows

    def _windows(self, number: int) -> list[Window]:
        """The windows of a pass, planned ahead."""
        for wanted in (number, number + 1) if self._shuffle else (number,):
            if wanted not in self._plans:
                self._plans[wanted] = self._loader.submit(self._plan.windows, wanted)
        for old in [known for known in self._plans if known < number]:
            del self._plans[old]
        return self._plans[number].result()

    def _pass(self, batch: int) -> int:
        return batch // self.per_pass if self._shuffle else 0

    def _coming(self, first: int, last: int) -> Iterator[_Batch]:
        """The batches, each with the windows that it is taken from, which are being read."""
        at = first
        while at < last:
            number, begin = self._pass(at), at % self.per_pass
            end = min(self.per_pass, begin + last - at)
            yield from self._of_pass(number, begin, end)
            at += end - begin

    def _of_pass(self, number: int, begin: int, end: int) -> Iterator[_Batch]:
        windows = self._windows(number)
        edges = np.cumsum([0, *(len(window.order) for window in windows)])
        read: dict[int, Future[tuple[Images, Images | None]]] = {}
        for batch in range(begin, end):
            start = batch * self.batch_size
            stop = min(start + self.batch_size, len(self))
            touched = [k for k in range(len(windows)) if edges[k] < stop and edges[k + 1] > start]
            # the next window is read while this one is used
            for k in (*touched, touched[-1] + 1):
                if k < len(windows) and k not in read:
                    read[k] = self._read(windows[k])
            for k in [old for old in read if old < touched[0]]:
                del read[k]
            rows, pieces = [], []
            for k in touched:
                low, high = max(start, edges[k]), min(stop, edges[k + 1])
                mine = np.arange(low, high)
                mine = mine[(mine - start) % self._world.size == self._world.rank]
                slots = windows[k].order[mine - edges[k]]
                pieces.append((read[k], slots))
                rows.append(self._index[windows[k].places[slots]])
            yield _Batch(number, np.concatenate(rows), pieces)

    def _read(self, window: Window) -> Future[tuple[Images, Images | None]]:
        if not self._plan.whole:
            return self._loader.submit(self._read_blocks, window.places)
        if self._kept is None:
            self._kept = self._loader.submit(self._read_blocks, window.places)
        return self._kept

    def _read_blocks(self, places: Index) -> tuple[Images, Images | None]:
        """The images at `places`, read in runs of neighbours."""
        rows = self._index[places]
        height, width, channels = self._rows.shape
        sharp = np.empty((len(rows), height, width, channels), np.uint8)
        blurred: Images | None = None
        block = self._plan.block_rows
        for start in range(0, len(rows), block):
            part = slice(start, start + block)
            some, other = self._rows.read(rows[part])
            sharp[part] = some
            if other is not None:
                if blurred is None:
                    blurred = np.empty_like(sharp)
                blurred[part] = other
        return sharp, blurred

    # -- batches that threads prepare

    def _prepared(self, batch: _Batch) -> tuple[int, Index, Tensor, Tensor | None]:
        """One process's share of a batch, (B, H, W, C): blurred, turned and cut, or left to the device."""
        windows = [(*piece.result(), slots) for piece, slots in batch.pieces]
        if not self._online:
            cuts = self._cuts(batch.number, batch.rows)
            sharps = [(sharp, slots) for sharp, _, slots in windows]
            blurreds = [(blurred, slots) for _, blurred, slots in windows if blurred is not None]
            return batch.number, batch.rows, self._cut_all(sharps, cuts), self._cut_all(blurreds, cuts)
        sharp = _joined([sharp[slots] for sharp, _, slots in windows])
        others = [blurred[slots] for _, blurred, slots in windows if blurred is not None]
        if self._on_device or not len(batch.rows):
            return batch.number, batch.rows, self._pinned(sharp), None
        sharp, blurred = self._online.degrade(
            sharp, _joined(others) if others else None, self._seed, batch.number, batch.rows
        )
        cuts = self._cuts(batch.number, batch.rows)
        slots = np.arange(len(sharp))
        return (
            batch.number,
            batch.rows,
            self._cut_all([(sharp, slots)], cuts),
            self._cut_all([(blurred, slots)], cuts),
        )

    def _cuts(self, number: int, rows: Index) -> Cuts:
        return draw_cuts(self._seed, number, rows, self._shape, self.size, self._augment)

    def _cut_all(self, pieces: list[tuple[Images, Index]], cuts: Cuts) -> Tensor:
        count = sum(len(slots) for _, slots in pieces)
        out = torch.empty((count, *self.size, self._channels), dtype=torch.uint8, pin_memory=self._pins)
        array, start = out.numpy(), 0
        for images, slots in pieces:
            part = slice(start, start + len(slots))
            cut(images, slots, *cuts.part(part), array[part])
            start += len(slots)
        return out

    def _pinned(self, images: Images) -> Tensor:
        tensor = torch.from_numpy(images)
        return tensor.pin_memory() if self._pins else tensor

    @property
    def _pins(self) -> bool:
        return bool(self._device.type == "cuda")

    def _on(self, number: int, rows: Index, sharp: Tensor, blurred: Tensor | None) -> tuple[Tensor, Tensor]:
        """Floats on the device from bytes of the host."""
        sharp = sharp.to(self._device, non_blocking=True)
        if blurred is not None:
            return self._floats(blurred.to(self._device, non_blocking=True)), self._floats(sharp)
        assert self._online is not None
        sharp, blurred = self._online.degrade_tensors(sharp, self._seed, number, rows)
        cuts = tuple(torch.from_numpy(part).to(self._device) for part in self._cuts(number, rows))
        return self._cut_tensors(sharp, blurred, cuts)

    def _floats(self, images: Tensor) -> Tensor:
        """Bytes (B, H, W, C) as floats (B, C, H, W), channels last in memory."""
        floats = images.permute(0, 3, 1, 2).to(torch.float32).div_(255)
        return floats.mean(1, keepdim=True) if self._gray else floats

    def _cut_tensors(
        self, sharp: Tensor, blurred: Tensor, cuts: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, Tensor]:
        if cuts is not None and (self._augment or self.size != self._shape):
            three = (cuts[0], cuts[1], cuts[2])
            sharp, blurred = (cut_on_device(images, three, self.size) for images in (sharp, blurred))
        return self._floats(blurred), self._floats(sharp)

    # -- images that the device keeps

    def _fits(self) -> bool:
        if self._device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(self._device)
        return bool(len(self) * self._rows.row_bytes <= _RESIDENT_SHARE * free)

    def _moved(self) -> tuple[Tensor, Tensor | None]:
        """All images on the device, read block by block."""
        height, width, channels = self._rows.shape
        shape = (len(self), height, width, channels)
        sharp = torch.empty(shape, dtype=torch.uint8, device=self._device)
        blurred: Tensor | None = None
        block = self._plan.block_rows
        for start in range(0, len(self), block):
            some, other = self._rows.read(self._index[start : start + block])
            sharp[start : start + block] = torch.from_numpy(some).to(self._device)
            if other is not None:
                if blurred is None:
                    blurred = torch.empty_like(sharp)
                blurred[start : start + block] = torch.from_numpy(other).to(self._device)
        return sharp, blurred

    def _from_device(self, first: int, last: int) -> Iterator[tuple[Tensor, Tensor]]:
        assert self._resident is not None
        every_sharp, every_blurred = self._resident
        for batch in range(first, last):
            number, at = self._pass(batch), batch % self.per_pass * self.batch_size
            begun = time.perf_counter()
            places, rows, cuts = self._order_on_device(number)
            self.waited += time.perf_counter() - begun
            mine = slice(at + self._world.rank, min(at + self.batch_size, len(self)), self._world.size)
            if mine.start >= mine.stop:
                continue
            sharp = every_sharp[places[mine]]
            if every_blurred is not None:
                blurred = every_blurred[places[mine]]
            else:
                assert self._online is not None
                sharp, blurred = self._online.degrade_tensors(sharp, self._seed, number, rows[mine])
            yield self._cut_tensors(sharp, blurred, cuts and tuple(part[mine] for part in cuts))

    def _order_on_device(self, number: int) -> tuple[Tensor, Index, tuple[Tensor, ...] | None]:
        """A pass's order, and its cuts, moved to the device once."""
        if self._ordered is None or self._ordered[0] != number:
            windows = self._windows(number)
            places = np.concatenate([window.places[window.order] for window in windows])
            rows = self._index[places]
            cuts: tuple[Tensor, ...] | None = None
            if self._augment or self.size != self._shape:
                drawn = self._cuts(number, rows)
                cuts = tuple(torch.from_numpy(part).to(self._device) for part in drawn)
            self._ordered = (number, torch.from_numpy(places).to(self._device), rows, cuts)
        return self._ordered[1:]


def _joined(parts: list[Images]) -> Images:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
