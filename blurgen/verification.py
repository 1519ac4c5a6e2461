"""Is a pair file still what was made? Its checksums are compared, and rows of it made again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen import threads as pool
from blurgen._version import __version__
from blurgen.errors import InputError, SourceError
from blurgen.maker import chunk_rows, remake
from blurgen.pairs import Header, PairFile, open_pairs
from blurgen.pairs.checking import damaged_blocks, ranges_told, rows_of
from blurgen.sources import SOURCES, open_source
from blurgen.sources.base import Source

_GOLDEN = (5**0.5 - 1) / 2
_TASK_READS = 64  # separate places of the file that one task compares

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Verification:
    """What was found.

    Attributes
    ----------
    path : str
        The file.
    count : int
        How many pairs it holds.
    checked : int
        How many of them were made again: none where a checksum is wrong.
    differing : dict
        Dataset → the rows, ascending, whose bytes differ; datasets that are equal are not in it.
    made_by : str
        The version of blurgen that made the file.
    damaged : dict
        Dataset → the ranges of rows (start, stop), in whole blocks, whose checksums are wrong.
    rest_damaged : bool
        Whether bytes that are no rows are damaged: attributes, HDF5's own, the checksums themselves.
    """

    path: str
    count: int
    checked: int
    differing: dict[str, Rows]
    made_by: str
    damaged: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    rest_damaged: bool = False

    @property
    def ok(self) -> bool:
        """Whether every checksum is right and every byte compared is equal."""
        return not (self.differing or self.damaged or self.rest_damaged)

    @property
    def rows_differing(self) -> Rows:
        """The rows that differ in any dataset, ascending."""
        if not self.differing:
            return np.empty(0, np.int64)
        return np.unique(np.concatenate(list(self.differing.values())))

    def __str__(self) -> str:
        """The finding as a sentence."""
        if self.damaged or self.rest_damaged:
            places = [f"{name} in {ranges_told(ranges)}" for name, ranges in self.damaged.items()]
            if self.rest_damaged:
                places.append("bytes outside of the rows")
            return f"'{self.path}' was damaged since it was made: {'; '.join(places)}"
        if not self.checked:
            return f"'{self.path}': the checksums of all {self.count:,} pairs are right"
        if self.ok and self.checked == self.count:
            return f"'{self.path}': all {self.count:,} pairs are, byte for byte, what its header makes"
        if self.ok:
            return (
                f"'{self.path}': {self.checked:,} of {self.count:,} pairs were made again, and are the same "
                "byte for byte"
            )
        where = "; ".join(f"{name} in {ranges_told(_runs(rows))}" for name, rows in self.differing.items())
        note = ""
        if self.made_by != __version__:
            note = f" (blurgen {self.made_by} made it; this is {__version__}, which may make other bytes)"
        return (
            f"'{self.path}' is not what its header makes: {self.rows_differing.size:,} of {self.checked:,} "
            f"pairs checked differ, {where}{note}"
        )


def verify(
    path: str | os.PathLike[str],
    *,
    sample: int | None = 1000,
    dataset: str | Source | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Compare all checksums of a pair file; if they are right, make rows again and compare every byte.

    Parameters
    ----------
    path : path-like
        The file.
    sample : int or None
        How many rows are made again, spread over the whole file, its first and last among them; None makes
        all. The same rows every time. With 0 the checksums are all, and no source is needed.
    dataset : str or Source, optional
        Where the same images lie now, if they have moved; by default the header says it.
    data_dir : path-like, optional
        Where data sets lie; by default the environment variable ``BLURGEN_DATA`` says it.
    threads : int, optional
        By default one for each usable processor.
    progress : callable, optional
        Called with (rows looked at, rows in all) now and then; those made again count twice.

    Returns
    -------
    Verification
        Whether all is as it was made, and where not.

    Raises
    ------
    FileError, SourceError, InputError
        If the file or its source cannot be read, or the source is another one than the file was made from.
    """
    if sample is not None and sample < 0:
        raise InputError(f"sample {sample}: 0 rows or more are needed")
    workers = pool.checked(threads)
    pairs = open_pairs(path)
    header = pairs.header
    rows = sampled_rows(header.count, sample)
    total = header.count + rows.size

    def show(done: int, _: int) -> None:
        if progress:
            progress(done, total)

    damaged, rest_damaged = _damage(pairs, workers, show)
    if damaged or rest_damaged or not rows.size:
        return Verification(str(path), header.count, 0, {}, header.version, damaged, rest_damaged)
    source = source_of(pairs, dataset, data_dir)
    differing = _compare(pairs, source, rows, workers, lambda done, _: show(header.count + done, total))
    return Verification(str(path), header.count, int(rows.size), differing, header.version)


def _damage(
    pairs: PairFile, workers: int, progress: Callable[[int, int], None]
) -> tuple[dict[str, list[tuple[int, int]]], bool]:
    """Dataset → the ranges of rows whose checksums are wrong; and whether those of the rest are."""
    header = pairs.header
    every = np.ones(header.blocks, np.bool_)
    damaged = damaged_blocks(header, stored_columns(pairs), pairs.block_sums(), every, workers, progress)
    return {name: rows_of(blocks, header) for name, blocks in damaged.items()}, not pairs.rest_is_sound()


def sampled_rows(count: int, sample: int | None) -> Rows:
    """At most `sample` of the rows 0 … `count` − 1: the first, the last, and one of each equal share between.

    Where in its share a row lies follows the golden ratio, so that no period of the file (copies, patches of
    an image) goes along with it.

    Examples
    --------
    >>> sampled_rows(100, 5).tolist()
    [0, 32, 44, 77, 99]
    >>> sampled_rows(3, 5).tolist()
    [0, 1, 2]
    """
    if sample == 0:
        return np.empty(0, np.int64)
    if sample is None or sample >= count:
        return np.arange(count, dtype=np.int64)
    if sample == 1:
        return np.zeros(1, np.int64)
    edges = np.array([count * i // sample for i in range(sample + 1)], np.int64)
    place = np.arange(sample) * _GOLDEN % 1.0
    rows = edges[:-1] + (place * np.diff(edges)).astype(np.int64)
    rows[-1] = count - 1
    return rows


def source_of(
    pairs: PairFile, dataset: str | Source | None, data_dir: str | os.PathLike[str] | None
) -> Source:
    """The source of a file, known by its hash.

    Raises
    ------
    SourceError, InputError
        If it cannot be read, or is another one than the file was made from.
    """
    header = pairs.header
    if isinstance(dataset, Source):
        source = dataset
    else:
        name = header.dataset if dataset is None else dataset
        options = header.dataset_options
        if dataset is not None:
            # the images may lie in another kind of place now, which takes other options
            taken = {"seed"}.union(*(kind.options for key, kind in SOURCES.items() if _same(key, name)))
            options = {option: value for option, value in options.items() if option in taken}
        source = open_source(name, data_dir=None if data_dir is None else os.fspath(data_dir), **options)
    if source.sha256 != header.dataset_sha256:
        raise SourceError(
            f"source '{source.name}' does not hold the images that '{pairs.path}' was made from: its hash is "
            f"{source.sha256[:12]}…, {header.dataset_sha256[:12]}… is needed"
        )
    if header.recipe.output_shape(source.shape) != header.shape:
        raise SourceError(
            f"source '{source.name}' gives images of {_times(source.shape)}, of which the recipe makes no "
            f"pairs of {_times(header.shape)}, as '{pairs.path}' holds"
        )
    return source


def _same(key: str, dataset: str) -> bool:
    return key.partition(":")[0] == dataset.partition(":")[0]


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _compare(
    pairs: PairFile,
    source: Source,
    rows: Rows,
    workers: int,
    progress: Callable[[int, int], None],
) -> dict[str, Rows]:
    """Dataset → rows that differ, on threads."""
    tasks = _tasks(rows, chunk_rows(pairs.header))
    stored = stored_columns(pairs)
    differing: dict[str, list[Rows]] = {name: [] for name in stored}
    done = 0

    def work(task: list[tuple[int, int]]) -> tuple[int, dict[str, Rows]]:
        return _compare_runs(source, pairs.header, stored, task)

    progress(0, rows.size)
    with closing(pool.stream(work, tasks, workers, "blurgen-verify")) as results:
        for finished in results:
            for compared, found in finished:
                done += compared
                for name, where in found.items():
                    differing[name].append(where)
            progress(done, rows.size)
    return {name: np.sort(np.concatenate(parts)) for name, parts in differing.items() if parts}


def stored_columns(pairs: PairFile) -> dict[str, NDArray[Any]]:
    """Every dataset of the file by its name."""
    stored: dict[str, NDArray[Any]] = {"sharp": pairs.sharp, "blurred": pairs.blurred}
    stored.update({f"params/{name}": column for name, column in pairs.params.items()})
    stored["source_index"] = pairs.source_index
    if pairs.label is not None:
        stored["label"] = pairs.label
    if pairs.psf is not None:
        stored["psf"] = pairs.psf
    return stored


def _tasks(rows: Rows, longest: int) -> Iterator[list[tuple[int, int]]]:
    """Ranges of consecutive rows, several to a task; a task has at most about `longest` rows."""
    task: list[tuple[int, int]] = []
    held = 0
    for first, last in _runs(rows):
        for start in range(first, last, longest):
            stop = min(start + longest, last)
            if task and (held + stop - start > longest or len(task) == _TASK_READS):
                yield task
                task, held = [], 0
            task.append((start, stop))
            held += stop - start
    if task:
        yield task


def _runs(rows: Rows) -> Iterator[tuple[int, int]]:
    """The ranges (start, stop) of consecutive numbers in ascending `rows`."""
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        if run.size:
            yield int(run[0]), int(run[-1]) + 1


def _compare_runs(
    source: Source, header: Header, stored: dict[str, NDArray[Any]], task: list[tuple[int, int]]
) -> tuple[int, dict[str, Rows]]:
    """How many rows were compared, and dataset → rows that differ."""
    found: dict[str, list[Rows]] = {}
    for start, stop in task:
        fresh = remake(source, header, start, stop)
        for name, column in stored.items():
            unequal = np.flatnonzero(_unequal(column[start:stop], fresh[name]))
            if unequal.size:
                found.setdefault(name, []).append(unequal + start)
    compared = sum(stop - start for start, stop in task)
    return compared, {name: np.concatenate(parts) for name, parts in found.items()}


def _unequal(ours: NDArray[Any], fresh: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows differ in any byte: NaN equals NaN only in the same bits."""
    if ours.shape != fresh.shape:
        return np.ones(len(ours), np.bool_)
    a, b = (
        np.ascontiguousarray(rows, ours.dtype).reshape(len(ours), -1).view(np.uint8) for rows in (ours, fresh)
    )
    unequal: NDArray[np.bool_] = (a != b).any(axis=1)
    return unequal
