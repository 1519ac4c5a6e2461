"""From a source to a pair file: chunks through threads, resumed where they stopped, alone or in shards."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blurgen import threads as pool
from blurgen.checks import checked_whole
from blurgen.degradation import degrade_checked
from blurgen.draws import MAX_SEED
from blurgen.errors import FileError, InputError
from blurgen.pairs import Header, PairWriter, partial_path
from blurgen.pairs.checking import ranges_told
from blurgen.pairs.format import read_header
from blurgen.pairs.partial import journals
from blurgen.pairs.shards import Shard, checked_shard
from blurgen.recipe import Recipe, load_recipe
from blurgen.sources import open_source
from blurgen.sources.base import Source
from blurgen.stages.base import ImagePair

if TYPE_CHECKING:
    from blurgen.cluster import Cluster

_CHUNK_BYTES = 2 << 20  # of the pairs that a thread takes at a time: they stay in its L2 cache
_CHECKPOINT_SECONDS = 1.0
_MOST_PAIRS = 10**12
_SHARDS_TOLD = 20
DEFAULT_RECIPES = {
    "digits": "mnist-motion",
    "mnist": "mnist-motion",
    "kmnist": "mnist-motion",
    "emnist-digits": "mnist-motion",
    "fashion-mnist": "fashion-gaussian",
    "plates": "plates",
    "shapes": "realistic",
    "text": "text-hradis2015",
}

Progress = Callable[[int, int], None]


def make(
    dataset: str | Source,
    out: str | os.PathLike[str],
    recipe: Recipe | str | os.PathLike[str] | None = None,
    *,
    count: int | None = None,
    copies: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    psf: bool = False,
    compression: str | None = None,
    shard: tuple[int, int] | None = None,
    part: bool = False,
    cluster: str | Cluster | None = None,
    overwrite: bool = False,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
    **source_options: Any,
) -> Path:
    """Make a pair file.

    An interrupted run leaves ``OUT.partial`` and ``OUT.journal``; the same call goes on from there. The
    bytes of the file depend on source, recipe, count and seed alone.

    Parameters
    ----------
    dataset : str or Source
        ``mnist``, ``digits``, ``folder:PATH`` …: see `blurgen.sources`.
    out : path-like
        The file to make.
    recipe : Recipe, str or path-like, optional
        A recipe, the name of a built-in one, or a YAML or JSON file. Digits and the like have a default.
    count : int, optional
        How many pairs; by default copies × the source's images. Endless sources need it.
    copies : int, optional
        How many pairs from one image; by default the recipe's.
    seed : int
        0 … 2⁶⁴ − 1.
    threads : int, optional
        By default one for each usable processor.
    psf : bool
        Whether to store each pair's PSF.
    compression : {"gzip", "lzf", "zstd"}, optional
        Store images and PSFs in compressed chunks. By default they are stored as they are, to be mapped.
    shard : tuple of int, optional
        (3, 16) makes the third of 16 shares of the pairs, in ``OUT.partial``, into which other processes and
        hosts may write the others at the same time. `finish` makes `out` of it. Not for compressed files.
    part : bool
        Whether the shard becomes a file `out` of its own; `merge` makes the whole of all parts.
    cluster : str or Cluster, optional
        A Dask cluster that makes the pairs: ``tcp://host:8786``, a scheduler whose workers see the folder of
        `out` under the same name; ``local:3``, three processes of this machine, of `threads` threads each, by
        default one (a script needs ``if __name__ == "__main__":`` then); or an open
        `blurgen.cluster.Cluster`.
    overwrite : bool
        Whether to replace an existing file, and discard a partial one of other arguments.
    data_dir : path-like, optional
        Where data sets lie; by default the environment variable ``BLURGEN_DATA`` says it.
    progress : callable, optional
        Called with (pairs done, pairs in all) now and then.
    note : callable, optional
        Called with a sentence where a partial file turns out to be damaged; what is, is made again.
    **source_options
        Options of the source, e.g. ``split="test"``, ``patch=256``.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    BlurgenError
        One of its children, with one sentence that says what is wrong with which argument.
    """
    seed = checked_whole("seed", seed, 0, MAX_SEED)
    if not isinstance(dataset, Source):
        source = open_source(dataset, data_dir=data_dir, seed=seed, **source_options)
    elif source_options:
        unused = ", ".join(source_options)
        raise InputError(f"an open source takes no options; these were given: {unused}")
    else:
        source = dataset
    chosen = _recipe_for(source, recipe).with_copies(copies)
    header = header_for(source, chosen, seed=seed, count=count, psf=psf, compression=compression)
    share = None if shard is None else checked_shard(shard)
    if part:
        header, share = _part(header, share), None
    if share and compression:
        raise InputError("a compressed file cannot be made in shards of one file; make parts (--part)")
    if cluster is not None:
        return _make_on_cluster(cluster, threads, source, Path(out), header, share, overwrite, progress, note)
    workers = pool.checked(threads)
    with PairWriter(out, header, overwrite=overwrite, shard=share, threads=workers, note=note) as writer:
        fill(writer, lambda *rows: remake(source, header, *rows), workers, progress)
    return Path(out)


def _make_on_cluster(
    cluster: str | Cluster,
    threads: int | None,
    source: Source,
    out: Path,
    header: Header,
    shard: Shard | None,
    overwrite: bool,
    progress: Progress | None,
    note: Callable[[str], None] | None,
) -> Path:
    from blurgen.cluster import Cluster

    if header.compression:
        raise InputError(
            "a compressed file cannot be made on a cluster: its chunks have no places before all are made"
        )
    with contextlib.ExitStack() as opened:
        used = opened.enter_context(Cluster(cluster, threads)) if isinstance(cluster, str) else cluster
        writer = PairWriter(
            out, header, overwrite=overwrite, shard=shard, threads=pool.usable_cpus(), note=note
        )
        with writer:
            used.make(writer, source, progress=progress, note=note)
    return out


def _part(header: Header, shard: Shard | None) -> Header:
    """The header of the file that holds a shard alone."""
    if shard is None:
        raise InputError("a part is made of a shard: say which (--shard 3/16)")
    start, stop = shard.rows(header)
    if start == stop:
        raise InputError(
            f"shard {shard} has no pairs: they are shared in blocks of {header.block_rows:,}, of which this "
            f"file has {header.blocks:,}; ask for fewer shards"
        )
    return header.part(start, stop)


def finish(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    threads: int | None = None,
    note: Callable[[str], None] | None = None,
) -> Path:
    """Make a pair file of what its shards wrote, after comparing all of it with its checksums.

    Parameters
    ----------
    path : path-like
        The file, as `make` was given it.
    overwrite : bool
        Whether to replace an existing file.
    threads : int, optional
        By default one for each usable processor.
    note : callable, optional
        Called with a sentence where something turns out to be damaged.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    FileError
        If there is nothing to finish, rows are missing, or a shard is still being made.
    """
    path = Path(path)
    workers = pool.checked(threads)
    if not partial_path(path).exists():
        raise FileError(f"'{path}' is " + ("finished already" if path.exists() else "not begun"))
    header = read_header(partial_path(path))
    with PairWriter(path, header, overwrite=overwrite, threads=workers, note=note) as writer:
        gaps = writer.missing()
        if gaps:
            raise FileError(f"'{path}' cannot be finished: {_lack(path, header, gaps)}")
    return path


def _lack(path: Path, header: Header, gaps: list[tuple[int, int]]) -> str:
    """How many rows are missing, which, and of which shards they are."""
    count = sum(stop - start for start, stop in gaps)
    text = f"{count:,} of {header.count:,} pairs are not made, {ranges_told(gaps)}"
    totals = {shard.of for shard in journals(path).values() if shard}
    if len(totals) != 1:  # none, or shards of different numbers
        return text
    total = totals.pop()
    shards = [
        shard
        for shard in (Shard(number, total) for number in range(1, total + 1))
        if any(start < shard.rows(header)[1] and shard.rows(header)[0] < stop for start, stop in gaps)
    ]
    told = ", ".join(map(str, shards[:_SHARDS_TOLD])) + (", …" if len(shards) > _SHARDS_TOLD else "")
    return f"{text}: run shard{'s' * (len(shards) > 1)} {told} again"


def header_for(
    source: Source,
    recipe: Recipe,
    *,
    seed: int,
    count: int | None,
    psf: bool = False,
    compression: str | None = None,
) -> Header:
    """The header of the file that these arguments make.

    Raises
    ------
    InputError
        If the count is not positive, missing for an endless source, or more than the source gives.
    """
    if source.length is None:
        if count is None:
            raise InputError(f"source '{source.name}' never runs out: say how many pairs (--count)")
        most = None
    else:
        most = source.length * recipe.copies
    if count is None:
        assert most is not None
        count = most
    count = checked_whole("count", count, 1, _MOST_PAIRS)
    if most is not None and count > most:
        raise InputError(
            f"count {count}: source '{source.name}' gives {source.length} images × {recipe.copies} copies = "
            f"{most} pairs; ask for fewer, or for more copies (--copies)"
        )
    if psf:
        if source.has_blurred:
            raise InputError(f"source '{source.name}' holds blurred images whose PSFs nobody knows (--psf)")
        none = recipe.draws(0, np.empty(0, np.int64))
        recipe.psfs(recipe.sample(none), none)  # refuses where there is none
    return Header(
        recipe=recipe,
        seed=seed,
        dataset=source.name,
        dataset_options=json.loads(json.dumps(source.options)),  # as they will be read back
        dataset_sha256=source.sha256,
        count=count,
        shape=recipe.output_shape(source.shape),
        has_labels=source.has_labels,
        psf_size=recipe.psf_size if psf else 0,
        compression=compression or "",
    )


def remake(source: Source, header: Header, start: int, stop: int) -> dict[str, NDArray[Any]]:
    """Rows `start` … `stop` − 1 of every dataset of a pair file, made afresh; those of a part are its own."""
    index = header.first + np.arange(start, stop, dtype=np.int64)
    source_index = index // header.recipe.copies
    first, last = int(source_index[0]), int(source_index[-1]) + 1
    sharp, blurred = source.read_pairs(first, last)
    if header.recipe.copies > 1:
        one = sharp is blurred
        sharp = sharp[source_index - first]
        blurred = sharp if one else blurred[source_index - first]
    pairs = degrade_checked(ImagePair(sharp, blurred), header.recipe, header.seed, index)
    columns: dict[str, NDArray[Any]] = {
        "sharp": pairs.sharp,
        "blurred": pairs.blurred,
        "source_index": source_index,
    }
    columns.update({f"params/{name}": column for name, column in pairs.params.items()})
    if header.has_labels:
        columns["label"] = source.labels(first, last)[source_index - first]
    if header.psf_size:
        columns["psf"] = header.recipe.psfs(pairs.params, header.recipe.draws(header.seed, index))
    return columns


def _recipe_for(source: Source, recipe: Recipe | str | os.PathLike[str] | None) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if recipe is None:
        recipe = "untouched" if source.has_blurred else DEFAULT_RECIPES.get(source.name)
        if recipe is None:
            raise InputError(f"source '{source.name}' has no default recipe: name one (--recipe)")
    return load_recipe(recipe)


def chunk_rows(header: Header) -> int:
    """How many pairs a thread takes at a time: whole blocks."""
    height, width, channels = header.shape
    pair = 2 * height * width * channels + 4 * header.psf_size**2
    rows = max(1, min(4096, _CHUNK_BYTES // pair))
    return max(1, rows // header.block_rows) * header.block_rows


def fill(
    writer: PairWriter,
    rows: Callable[[int, int], dict[str, NDArray[Any]]],
    workers: int,
    progress: Progress | None,
) -> None:
    """Write every missing row, a chunk a thread; sync and note what is done every second or so.

    Parameters
    ----------
    writer : PairWriter
        Of the file.
    rows : callable
        Gives the rows start … stop − 1 of every dataset; called on the threads.
    workers : int
        How many threads.
    progress : callable or None
        Called with (pairs done, pairs in all) now and then.
    """
    gaps = writer.missing()
    total = writer.stop - writer.start
    done = total - sum(stop - start for start, stop in gaps)

    def work(chunk: tuple[int, int]) -> int:
        start, stop = chunk
        writer.write(start, rows(start, stop))
        return stop - start

    chunks = chunks_of(gaps, chunk_rows(writer.header))
    noted = time.monotonic()
    if progress:
        progress(done, total)
    with closing(pool.stream(work, chunks, workers, "blurgen-make", _CHECKPOINT_SECONDS)) as results:
        for finished in results:
            done += sum(finished)
            if progress:
                progress(done, total)
            if time.monotonic() - noted > _CHECKPOINT_SECONDS:
                writer.checkpoint()
                noted = time.monotonic()


def chunks_of(gaps: list[tuple[int, int]], rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows, cut into some of at most `rows`."""
    for first, last in gaps:
        for start in range(first, last, rows):
            yield start, min(start + rows, last)
