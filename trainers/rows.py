"""Where training and held-out images come from, by row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blurgen.pairs import PairFile, open_pairs
from blurgen.recipe import Recipe, load_recipe
from blurgen.sources import SOURCES, open_source
from blurgen.sources.base import Source
from trainers.cuts import Images, Index
from trainers.errors import TrainerError
from trainers.options import Options

_COUNT = 10_000  # images taken of a source that never runs out


class Rows(Protocol):
    """Images by row.

    Attributes
    ----------
    shape : tuple of int
        (H, W, C) of each.
    row_bytes : int
        What is read for a row.
    """

    shape: tuple[int, int, int]
    row_bytes: int

    def read(self, rows: Index) -> tuple[Images, Images | None]:
        """Sharp and blurred images (B, H, W, C) of rising `rows`; None for blurred ones to be made."""
        ...


class FileRows:
    """The pairs of a file, or its sharp images alone."""

    def __init__(self, pairs: PairFile, sharp_only: bool = False) -> None:
        self.shape = pairs.header.shape
        self._pairs = pairs
        self._sharp_only = sharp_only
        self.row_bytes = int(np.prod(self.shape)) * (1 if sharp_only else 2)

    def read(self, rows: Index) -> tuple[Images, Images | None]:
        """Sharp and blurred images of rising `rows`."""
        sharp = _read_rows(self._pairs.sharp, rows)
        return sharp, None if self._sharp_only else _read_rows(self._pairs.blurred, rows)


class SourceRows:
    """The images of a source, each so many times as `blurgen.make` would take it."""

    def __init__(self, source: Source, copies: int) -> None:
        self.shape = source.shape
        self._source, self._copies = source, copies
        self.row_bytes = int(np.prod(self.shape)) * (2 if source.has_blurred else 1)

    def read(self, rows: Index) -> tuple[Images, Images | None]:
        """Sharp images of rising `rows`, and blurred ones where the source has them."""
        images = rows // self._copies
        first = int(images[0])
        sharp, blurred = self._source.read_pairs(first, int(images[-1]) + 1)
        return sharp[images - first], blurred[images - first] if self._source.has_blurred else None


def _read_rows(column: Any, rows: Index) -> Images:
    first, last = int(rows[0]), int(rows[-1]) + 1
    if last - first == len(rows):
        return np.array(column[first:last])
    if last - first < 2 * len(rows):  # one long read, and a few rows too many
        return np.asarray(column[first:last])[rows - first]
    return np.asarray(column[rows])


def levels(pairs: PairFile, rows: Index, gray: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Blurred and sharp images (B, H, W, C) of any rows, grey levels 0 … 255; mean channels if gray."""
    both = (np.stack([images[row] for row in rows]) for images in (pairs.blurred, pairs.sharp))
    blurred, sharp = (images.mean(3, keepdims=True, dtype=np.float32) if gray else images for images in both)
    return blurred, sharp


def split(source_index: Index, fraction: float) -> tuple[Index, Index]:
    """Rows to train with and rows to hold out, so that no source image stands on both sides.

    Parameters
    ----------
    source_index : ndarray
        int64, shape (N,): the source image of each row.
    fraction : float
        The share of the source images to hold out, between 0 and 1: the last ones, at least one.

    Returns
    -------
    tuple of ndarray
        Rising rows, int64, of both sides.

    Raises
    ------
    TrainerError
        If there are fewer than two source images.
    """
    images = np.unique(source_index)
    if len(images) < 2:
        raise TrainerError(
            "all pairs come from one source image, so none can be held out: name other pairs (--val)"
        )
    held = min(max(1, round(fraction * len(images))), len(images) - 1)
    held_out = np.asarray(source_index) >= images[-held]
    return np.flatnonzero(~held_out).astype(np.int64), np.flatnonzero(held_out).astype(np.int64)


@dataclass(frozen=True)
class Side:
    """The images to train with, or those to judge by.

    Attributes
    ----------
    rows : Rows
        Where they are read.
    index : ndarray
        int64, rising: which rows.
    recipe : Recipe or None
        By which the rows are blurred when they are taken; None where they bring their blurred images.
    """

    rows: Rows
    index: Index
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Data:
    """Both sides.

    Attributes
    ----------
    train, held_out : Side
        No source image stands on both.
    shape : tuple of int
        (H, W, C) of the pairs to train with.
    has_blurred : bool
        Whether blurred images are read, and not made from the sharp ones.
    said : dict
        What a run's ``data.json`` says of it.
    notes : tuple of str
        What a person should know.
    """

    train: Side
    held_out: Side
    shape: tuple[int, int, int]
    has_blurred: bool
    said: dict[str, Any]
    notes: tuple[str, ...] = ()


def open_data(options: Options) -> Data:
    """What the options name: a pair file, or with `online` a file's or a source's sharp images.

    Raises
    ------
    BlurgenError
        If it cannot be read, or cannot be split into two sides.
    """
    recipe = load_recipe(options.online) if options.online else None
    if recipe and not Path(options.pairs).is_file():
        source = open_source(options.pairs, seed=options.seed)
        if source.length is None:
            images = options.count or _COUNT
        else:
            images = min(options.count or source.length, source.length)
        source_index = np.arange(images * recipe.copies) // recipe.copies
        rows: Rows = SourceRows(source, recipe.copies)
        has_blurred = source.has_blurred
        said: dict[str, Any] = {
            "dataset": source.name,
            "dataset_options": source.options,
            "dataset_sha256": source.sha256,
            "count": len(source_index),
        }
    else:
        if options.count:
            raise TrainerError(
                f"count {options.count} is for sources: pair file '{options.pairs}' is taken whole"
            )
        pairs = _opened(options.pairs)
        rows, source_index = FileRows(pairs, sharp_only=recipe is not None), np.asarray(pairs.source_index)
        has_blurred = recipe is None
        said = _said_of(pairs)
    if recipe:
        said.update({"recipe": recipe.to_dict(), "recipe_name": recipe.name})
    height, width, channels = recipe.output_shape(rows.shape) if recipe else rows.shape
    shape = (height, width, 1 if options.gray else channels)
    notes: tuple[str, ...] = ()
    if options.val:
        every = np.arange(len(source_index), dtype=np.int64)
        train, (held_out, notes, said_too) = Side(rows, every, recipe), _held_out(options, shape, said)
        said.update(said_too)
    else:
        first, second = split(source_index, options.val_fraction)
        train, held_out = Side(rows, first, recipe), Side(rows, second, recipe)
    said.update(shape=list(shape), train_pairs=len(train.index), held_out_pairs=len(held_out.index))
    return Data(train, held_out, shape, has_blurred, said, notes)


def _held_out(
    options: Options, shape: tuple[int, int, int], said: dict[str, Any]
) -> tuple[Side, tuple[str, ...], dict[str, Any]]:
    """The pairs of ``val``, and what is to be said of them."""
    pairs = _opened(str(options.val))
    if pairs.header.shape[2] != shape[2] and not options.gray:
        raise TrainerError(
            f"'{options.val}' holds images of {_channels(pairs.header.shape[2])}, "
            f"'{options.pairs}' of {_channels(shape[2])}"
        )
    notes: tuple[str, ...] = ()
    if pairs.header.dataset_sha256 == said["dataset_sha256"]:
        notes = (
            f"'{options.val}' was made from the same images as '{options.pairs}': "
            "what is measured on it may flatter",
        )
    return Side(FileRows(pairs), np.arange(len(pairs), dtype=np.int64)), notes, {"val": _said_of(pairs)}


def _opened(path: str) -> PairFile:
    kinds = {kind.partition(":")[0] for kind in SOURCES}
    if path.partition(":")[0] in kinds and not Path(path).exists():
        raise TrainerError(
            f"'{path}' is a source of sharp images, and no pair file; online, a recipe blurs them (--online)"
        )
    pairs = open_pairs(path)
    if not len(pairs):
        raise TrainerError(f"pair file '{path}' holds no pairs")
    return pairs


def _said_of(pairs: PairFile) -> dict[str, Any]:
    header = pairs.header.attributes()
    text = json.dumps(header, sort_keys=True, ensure_ascii=False)
    return {
        "pairs": str(pairs.path),
        "recipe": pairs.recipe.to_dict(),
        "recipe_name": pairs.recipe.name,
        "seed": pairs.seed,
        "dataset": pairs.header.dataset,
        "dataset_options": pairs.header.dataset_options,
        "dataset_sha256": pairs.header.dataset_sha256,
        "header_sha256": hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(),
        "count": len(pairs),
    }


def _channels(count: int) -> str:
    return f"{count} channel{'s' if count != 1 else ''}"
