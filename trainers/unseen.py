"""Which pairs of a file a network was not trained with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import BlurgenError
from blurgen.pairs import PairFile, open_pairs
from trainers.errors import TrainerError
from trainers.options import Options
from trainers.rows import split
from trainers.runs import read_data

Index = NDArray[np.int64]


def unseen_rows(run: str | os.PathLike[str], options: Options, pairs: PairFile) -> tuple[Index, str]:
    """The rows whose source images a run did not train with.

    Parameters
    ----------
    run : path-like
        The run's folder, or a file of weights in it.
    options : Options
        Those of the run.
    pairs : PairFile
        Any file: of other images, of the same ones, or the very file that was trained with.

    Returns
    -------
    tuple
        Rising rows, and a sentence about them, empty where there is nothing to say. All rows, where it is not
        known which were trained with, or where all were.

    Raises
    ------
    TrainerError
        If the run's ``data.json`` is damaged.
    """
    every = np.arange(len(pairs), dtype=np.int64)
    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    if not (folder / "data.json").is_file():
        return every, f"what '{run}' was trained with is not known: all pairs of '{pairs.path}' are taken"
    said = read_data(folder)
    if said.get("dataset_sha256") != pairs.header.dataset_sha256:
        return every, ""
    try:
        trained = None if options.val else _trained_with(said, options, pairs)
    except (KeyError, TypeError, AttributeError) as error:
        raise TrainerError(f"'{folder / 'data.json'}' is damaged: {error}") from None
    if trained is None:
        return every, f"'{pairs.path}' holds images that were trained with, too: the scores may flatter"
    first = trained[split(trained, options.val_fraction)[1][0]]
    rows = np.flatnonzero(np.asarray(pairs.source_index) >= first).astype(np.int64)
    if not len(rows):
        return every, f"all images of '{pairs.path}' were trained with: the scores flatter"
    if len(rows) == len(every):
        return every, ""
    return rows, (
        f"{len(rows):,} of the {len(every):,} pairs of '{pairs.path}' are taken: "
        "the images of the others were trained with"
    )


def _trained_with(said: dict[str, Any], options: Options, pairs: PairFile) -> Index | None:
    """The source image of each row that a run split into two sides."""
    if "pairs" not in said:  # a source, blurred online
        copies = said["recipe"].get("copies", 1)
        return np.arange(said["count"], dtype=np.int64) // int(copies)
    if _is_that_file(said, options, pairs):
        return np.asarray(pairs.source_index)
    try:
        other = open_pairs(said["pairs"])
    except BlurgenError:
        return None
    return np.asarray(other.source_index) if _is_that_file(said, options, other) else None


def _is_that_file(said: dict[str, Any], options: Options, pairs: PairFile) -> bool:
    return (
        pairs.header.dataset_sha256 == said["dataset_sha256"]
        and len(pairs) == said["count"]
        and pairs.seed == said["seed"]
        # with online blur, the recipe that is told is not the file's
        and bool(options.online or pairs.recipe.to_dict() == said["recipe"])
    )
