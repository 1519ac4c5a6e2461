"""Pairs without end, made while a network trains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.utils.data import IterableDataset, get_worker_info

from blurgen.checks import checked_whole
from blurgen.degradation import degrade_checked
from blurgen.draws import MAX_SEED, Draws
from blurgen.errors import InputError
from blurgen.recipe import Recipe, load_recipe
from blurgen.sources import Source, open_source
from blurgen.stages.base import ImagePair
from blurgen.torch.dataset import channels_first

_MOST_BATCHES = 2**31
_MOST_ROWS = 2**20

Rows = NDArray[np.int64]


class EndlessPairs(IterableDataset):  # type: ignore[misc]
    """Batches of pairs that never run out: the blur is drawn anew each time that an image comes.

    Pair *n* is a function of source, recipe, seed and *n* alone: what `blurgen.make` puts into row *n* of a
    file with these arguments, and after the last image of the source the first one again, blurred otherwise.
    A pass is all images, each as often as the recipe has copies.

    Batches are numbered, too. Of several processes, and of the workers of a ``DataLoader``, each makes its
    own; together they make each batch once, and the ``DataLoader`` gives them in order. So the pairs of a
    step are the same, whatever the number of workers.

    Parameters
    ----------
    source : str or Source
        Where sharp images come from, see `blurgen.open_source`.
    recipe : Recipe, str or path-like
        A recipe, the name of a built-in one, or a YAML or JSON file.
    batch_size : int
        How many pairs a batch holds, of each process.
    seed : int
        0 … 2⁶⁴ − 1; also of a source that is drawn and given by its name.
    shuffle : bool
        Whether each pass goes through the pairs in an order of its own, instead of the source's. It takes
        eight bytes a pair. A source without end has no such order.
    rank, world_size : int, optional
        Which process this is, and how many there are; by default what ``torch.distributed`` says when the
        first batch is asked for, or one process.
    start : int
        How many batches of each process are left out; also an attribute, which may be set.

    Raises
    ------
    InputError, RecipeError, SourceError
        If an argument is not as above, or a stage cannot take such images.

    Notes
    -----
    An item is a batch ``(blurred, sharp)``: uint8 tensors (B, C, H, W), contiguous, 0 … 255. Hence a
    ``DataLoader`` takes ``batch_size=None``. Each ``iter`` begins at `start` again: take one iterator for the
    whole training, or set `start`.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> pairs = EndlessPairs("digits", "mnist-motion", batch_size=16, seed=1)
    >>> blurred, sharp = next(iter(DataLoader(pairs, batch_size=None)))
    >>> blurred.shape
    torch.Size([16, 1, 28, 28])
    """

    def __init__(
        self,
        source: str | Source,
        recipe: Recipe | str | os.PathLike[str],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        start: int = 0,
    ) -> None:
        self.seed = checked_whole("seed", seed, 0, MAX_SEED)
        self.source = source if isinstance(source, Source) else open_source(source, seed=self.seed)
        self.recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
        self.recipe.output_shape(self.source.shape)
        self.batch_size = checked_whole("batch_size", batch_size, 1, _MOST_ROWS)
        if shuffle and self.source.length is None:
            raise InputError(f"source '{self.source.name}' never runs out: there are no passes to shuffle")
        self.shuffle = shuffle
        if (rank is None) != (world_size is None):
            raise InputError("rank and world_size belong together; one of them is given")
        self._given: tuple[int, int] | None = None
        if world_size is not None:
            world_size = checked_whole("world_size", world_size, 1, _MOST_ROWS)
            self._given = checked_whole("rank", rank, 0, world_size - 1), world_size
        self.start = checked_whole("start", start, 0, _MOST_BATCHES)
        self._orders: dict[int, Rows] = {}

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from `start` on."""
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        rank, world_size = self._process()
        for n in count(self.start + first, step):
            yield self._batch(n * world_size + rank)

    def _process(self) -> tuple[int, int]:
        """Which process this is, of how many."""
        if self._given is not None:
            return self._given
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1

    def __getstate__(self) -> dict[str, Any]:
        # a worker that is spawned belongs to no group of processes, and makes its orders itself
        return {**self.__dict__, "_given": self._process(), "_orders": {}}

    def _batch(self, number: int) -> tuple[Tensor, Tensor]:
        index = np.arange(number * self.batch_size, (number + 1) * self.batch_size, dtype=np.int64)
        if self.shuffle:
            index = self._shuffled(index)
        rows = index // self.recipe.copies
        if self.source.length is not None:
            rows %= self.source.length
        pairs = degrade_checked(self._read(rows), self.recipe, self.seed, index)
        return channels_first(pairs.blurred), channels_first(pairs.sharp)

    def _shuffled(self, places: Rows) -> Rows:
        """Which pairs stand at places of the stream."""
        assert self.source.length is not None
        per_pass = self.source.length * self.recipe.copies
        passes = places // per_pass
        wanted = [int(number) for number in np.unique(passes)]
        self._orders = {number: self._order(number, per_pass) for number in wanted}
        index = np.empty_like(places)
        for number in wanted:
            own = passes == number
            index[own] = number * per_pass + self._orders[number][places[own] % per_pass]
        return index

    def _order(self, number: int, per_pass: int) -> Rows:
        if number in self._orders:
            return self._orders[number]
        # recipes draw from the streams of their stages, never from stream 0
        index = np.arange(number * per_pass, (number + 1) * per_pass, dtype=np.int64)
        return np.argsort(Draws(self.seed, index).uniform(0), kind="stable")

    def _read(self, rows: Rows) -> ImagePair:
        """The images at `rows` of the source, read in runs of neighbours."""
        places, order = np.unique(rows, return_inverse=True)
        runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        parts = [self.source.read_pairs(int(run[0]), int(run[-1]) + 1) for run in runs]
        sharp = np.concatenate([part[0] for part in parts])[order]
        if not self.source.has_blurred:
            return ImagePair(sharp, sharp)
        return ImagePair(sharp, np.concatenate([part[1] for part in parts])[order])

    def __repr__(self) -> str:
        return (
            f"EndlessPairs({self.source.name!r}, {self.recipe.name!r}, {self.batch_size}, seed={self.seed})"
        )
