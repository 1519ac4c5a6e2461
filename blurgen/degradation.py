"""The heart: sharp images, a recipe and a seed make pairs."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen import threads as pool
from blurgen.checks import checked_whole
from blurgen.convolution import checked_images
from blurgen.draws import MAX_SEED
from blurgen.errors import InputError
from blurgen.memory import keep_freed
from blurgen.recipe import Recipe, load_recipe
from blurgen.stages.base import ImagePair

_PASS_BYTES = 1 << 19  # of images that go through all stages at a time


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of images and how each was made.

    Attributes
    ----------
    sharp, blurred : ndarray
        uint8, shape (B, H, W, C).
    params : dict
        The drawn value of every parameter, ``place.stage.parameter`` → shape (B,); float64 with NaN, or
        int64 with −1, where a stage took no part.
    """

    sharp: NDArray[np.uint8]
    blurred: NDArray[np.uint8]
    params: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.sharp)


def degrade(
    images: NDArray[np.uint8],
    recipe: Recipe | str | os.PathLike[str],
    seed: int = 0,
    start: int = 0,
    *,
    blurred: NDArray[np.uint8] | None = None,
    threads: int | None = 1,
) -> Pairs:
    """Make a pair of each image.

    Row ``i`` of the result is a function of ``images[i]``, `recipe`, `seed` and ``start + i`` alone.

    Parameters
    ----------
    images : ndarray
        uint8, shape (B, H, W) or (B, H, W, C) with C 1 or 3.
    recipe : Recipe, str or path-like
        A recipe, the name of a built-in one, or a YAML or JSON file.
    seed : int
        0 … 2⁶⁴ − 1.
    start : int
        The index of the first sample. With a recipe of several copies, samples ``k·copies`` to
        ``(k + 1)·copies − 1`` are taken to be copies of one image.
    blurred : ndarray, optional
        Of the images' shape: what the recipe degrades further, where the pairs exist already.
    threads : int or None
        How many threads work; None takes all usable processors.

    Returns
    -------
    Pairs
        ``sharp``, ``blurred`` and ``params``. `images` is never changed, but ``sharp`` may be it.

    Raises
    ------
    InputError, RecipeError
        If an argument is not as above, or a stage cannot take such images.

    Examples
    --------
    >>> images = np.zeros((2, 28, 28), np.uint8)
    >>> pairs = degrade(images, "mnist-motion", seed=1)
    >>> pairs.blurred.shape, sorted(pairs.params)
    ((2, 28, 28, 1), ['0.turn.quarters', '1.motion.angle', '1.motion.length'])
    """
    batch = checked_images(images, (np.uint8,))
    other = batch if blurred is None else checked_images(blurred, (np.uint8,))
    if other.shape != batch.shape:
        raise InputError(f"blurred has the shape {other.shape}, images {batch.shape}; they must be the same")
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    seed = checked_whole("seed", seed, 0, MAX_SEED)
    start = checked_whole("start", start, 0, 2**63 - 1 - len(batch))
    height, width, channels = batch.shape[1:]
    chosen.output_shape((height, width, channels))
    index = np.arange(start, start + len(batch), dtype=np.int64)

    def part(rows: slice) -> Pairs:
        sharp = batch[rows]
        pair = ImagePair(sharp, sharp if blurred is None else other[rows])
        return degrade_checked(pair, chosen, seed, index[rows])

    done = pool.run(part, pool.shares(len(batch), pool.checked(threads)), pool.checked(threads))
    pairs = done[0] if len(done) == 1 else _joined(done)
    if pairs.blurred is pairs.sharp:  # no stage told them apart; the caller may
        pairs = replace(pairs, blurred=pairs.sharp.copy())
    return pairs


def degrade_checked(pair: ImagePair, recipe: Recipe, seed: int, index: NDArray[np.int64]) -> Pairs:
    """Degrade pairs known to be C-contiguous (B, H, W, C), as samples `index`.

    A few images at a time go through all stages, so that they stay in the processor's L2 cache.
    """
    keep_freed()
    draws = recipe.draws(seed, index)
    params = recipe.sample(draws)
    rows = max(1, _PASS_BYTES // pair.blurred[0].nbytes)
    if rows >= len(index):
        done = recipe.apply(pair, params, draws)
        return Pairs(done.sharp, done.blurred, params)
    parts = []
    for start in range(0, len(index), rows):
        part = slice(start, start + rows)
        sharp = pair.sharp[part]
        own = ImagePair(sharp, sharp if pair.sharp is pair.blurred else pair.blurred[part])
        columns = {name: column[part] for name, column in params.items()}
        parts.append(recipe.apply(own, columns, draws.rows(np.arange(len(index))[part])))
    blurred = np.concatenate([part.blurred for part in parts])
    if all(part.sharp is part.blurred for part in parts):
        return Pairs(blurred, blurred, params)
    if not recipe.changes_sharp:
        return Pairs(pair.sharp, blurred, params)
    return Pairs(np.concatenate([part.sharp for part in parts]), blurred, params)


def _joined(parts: list[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([part.sharp for part in parts]),
        np.concatenate([part.blurred for part in parts]),
        {name: np.concatenate([part.params[name] for part in parts]) for name in parts[0].params},
    )
