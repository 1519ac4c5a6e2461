"""Is a pair file still what its header says? Rows of it are made again and compared byte by byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen import threads as pool
from blurgen._version import __version__
from blurgen.errors import InputError, SourceError
from blurgen.maker import chunk_rows, remake
from blurgen.pairs import Header, PairFile, open_pairs
from blurgen.sources import SOURCES, open_source
from blurgen.sources.base import Source

_GOLDEN = (5**0.5 - 1) / 2
_RANGES_TOLD = 5  # of the rows that differ; more would not help anyone
_TASK_READS = 64  # separate places of the file that one task compares

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Verification:
    """What a comparison found.

    Attributes
    ----------
    path : str
        The file.
    count : int
        How many pairs it holds.
    checked : int
        How many of them were made again.
    differing : dict
        Dataset → the rows, ascending, whose bytes differ; datasets that are equal are not in it.
    made_by : str
        The version of blurgen that made the file.
    """

    path: str
    count: int
    checked: int
    differing: dict[str, Rows]
    made_by: str

    @property
    def ok(self) -> bool:
        """Whether every byte compared is equal."""
        return not self.differing

    @property
    def rows_differing(self) -> Rows:
        """The rows that differ in any dataset, ascending."""
        if self.ok:
            return np.empty(0, np.int64)
        return np.unique(np.concatenate(list(self.differing.values())))

    def __str__(self) -> str:
        """The finding as a sentence."""
        if self.ok and self.checked == self.count:
            return f"'{self.path}': all {self.count:,} pairs are, byte for byte, what its header makes"
        if self.ok:
            return (
                f"'{self.path}': {self.checked:,} of {self.count:,} pairs were made again, and are the same "
                "byte for byte"
            )
        where = "; ".join(f"{name} in {_ranges(rows)}" for name, rows in self.differing.items())
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
    """Make rows of a pair file again, and compare the bytes of every dataset.

    Parameters
    ----------
    path : path-like
        The file.
    sample : int or None
        How many rows, spread over the whole file, its first and last among them; None compares all. The
        same rows every time.
    dataset : str or Source, optional
        Where the same images lie now, if they have moved; by default the header says it.
    data_dir : path-like, optional
        Where data sets lie; by default the environment variable ``BLURGEN_DATA`` says it.
    threads : int, optional
        By default one for each usable processor.
    progress : callable, optional
        Called with (rows compared, rows in all) now and then.

    Returns
    -------
    Verification
        Whether they are equal, and where not.

    Raises
    ------
    FileError, SourceError, InputError
        If the file or its source cannot be read, or the source is another one than the file was made from.
    """
    if sample is not None and sample < 1:
        raise InputError(f"sample {sample}: at least 1 row is needed")
    workers = pool.checked(threads)
    pairs = open_pairs(path)
    header = pairs.header
    source = _source(pairs, dataset, data_dir)
    rows = sampled_rows(header.count, sample)
    found = _compare(pairs, source, rows, workers, progress)
    return Verification(str(path), header.count, int(rows.size), found, header.version)


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
    if sample is None or sample >= count:
        return np.arange(count, dtype=np.int64)
    if sample == 1:
        return np.zeros(1, np.int64)
    edges = np.array([count * i // sample for i in range(sample + 1)], np.int64)
    place = np.arange(sample) * _GOLDEN % 1.0
    rows = edges[:-1] + (place * np.diff(edges)).astype(np.int64)
    rows[-1] = count - 1
    return rows


def _source(pairs: PairFile, dataset: str | Source | None, data_dir: str | os.PathLike[str] | None) -> Source:
    """The source of the file, known by its hash."""
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
    progress: Callable[[int, int], None] | None,
) -> dict[str, Rows]:
    """Dataset → rows that differ, on threads."""
    tasks = _tasks(rows, chunk_rows(pairs.header))
    stored = _stored(pairs)
    differing: dict[str, list[Rows]] = {name: [] for name in stored}
    done = 0

    def work(task: list[tuple[int, int]]) -> tuple[int, dict[str, Rows]]:
        return _compare_runs(source, pairs.header, stored, task)

    if progress:
        progress(0, rows.size)
    with closing(pool.stream(work, tasks, workers, "blurgen-verify")) as results:
        for finished in results:
            for compared, found in finished:
                done += compared
                for name, where in found.items():
                    differing[name].append(where)
            if progress:
                progress(done, rows.size)
    return {name: np.sort(np.concatenate(parts)) for name, parts in differing.items() if parts}


def _stored(pairs: PairFile) -> dict[str, NDArray[Any]]:
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


def _ranges(rows: Rows) -> str:
    """``rows 5–7, 12``, and how many more ranges there are."""
    runs = list(islice(_runs(rows), _RANGES_TOLD + 1))
    told = ", ".join(
        f"{start}" if stop == start + 1 else f"{start}–{stop - 1}" for start, stop in runs[:_RANGES_TOLD]
    )
    more = ", …" if len(runs) > _RANGES_TOLD else ""
    return f"{'row' if rows.size == 1 else 'rows'} {told}{more}"
