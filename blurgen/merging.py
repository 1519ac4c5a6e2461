"""One pair file of its parts: all their rows in one, or a file that only points to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen import threads as pool
from blurgen.errors import FileError, InputError
from blurgen.files import sync
from blurgen.maker import Progress, fill
from blurgen.pairs import PairFile, PairWriter, open_pairs
from blurgen.pairs.checking import ranges_told
from blurgen.pairs.format import read_layout, reason
from blurgen.pairs.joined import JoinedColumn
from blurgen.pairs.raw import write_rows
from blurgen.pairs.seal import seal
from blurgen.pairs.sums import sums_of_blocks, sums_of_file
from blurgen.pairs.virtual import Part, lay_out_virtual, relative_name
from blurgen.verification import stored_columns


def merge(
    parts: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    virtual: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> Path:
    """Make the whole file of the parts that `blurgen.make` made of its shards.

    It has the bytes that one call of `blurgen.make` gives. An interrupted call goes on where it stopped. The
    rows are compared with the parts' checksums.

    Parameters
    ----------
    parts : iterable of path-like
        All parts, in any order.
    out : path-like
        The file to make.
    virtual : bool
        Whether it only points to the parts, which must then stay as they are, in its folder or below it.
    overwrite : bool
        Whether to replace an existing file, and discard a partial one of other arguments.
    threads : int, optional
        By default one for each usable processor.
    progress : callable, optional
        Called with (pairs done, pairs in all) now and then.
    note : callable, optional
        Called with a sentence where a partial file turns out to be damaged; what is, is copied again.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FileError
        If a part cannot be read, is damaged, or is none of the same whole; if a pair is in none of them, or
        in several; or if `out` cannot be written.
    InputError
        If there are no parts.
    """
    workers = pool.checked(threads)
    out = Path(out)
    found = _opened(parts, out)
    if virtual:
        _point(found, out, overwrite)
    else:
        with PairWriter(
            out, found[0].header.whole, overwrite=overwrite, threads=workers, note=note
        ) as writer:
            fill(writer, _reader(found), workers, progress)
    return out


def _opened(paths: Iterable[str | os.PathLike[str]], out: Path) -> list[PairFile]:
    """The parts in the order of their rows, all of one whole, which they cover."""
    parts = sorted((open_pairs(path) for path in paths), key=lambda part: part.header.first)
    if not parts:
        raise InputError("the parts of a file are needed")
    for part in parts:
        if out.exists() and part.path.samefile(out):
            raise FileError(f"'{out}' is one of the parts: give another name")
        different = set(parts[0].header.whole.differences(part.header.whole)) - {"whole_count"}
        if different:
            raise FileError(
                f"'{part.path}' is no part of the same whole as '{parts[0].path}': "
                f"other {', '.join(sorted(different))}"
            )
        if not part.rest_is_sound():
            raise FileError(f"'{part.path}' was damaged since it was made: see 'blurgen verify --repair'")
    whole = parts[0].header.whole
    edges = [(part.header.first, part.header.first + part.header.count) for part in parts]
    for (first, second), ((_, end), (start, _)) in zip(pairwise(parts), pairwise(edges), strict=True):
        if start < end:
            raise FileError(f"pair {start} is in two parts, '{first.path}' and '{second.path}'")
    gaps = [
        (end, start)
        for (_, end), (start, _) in pairwise([(0, 0), *edges, (whole.count, whole.count)])
        if end < start
    ]
    if gaps:
        missing = sum(stop - start for start, stop in gaps)
        raise FileError(f"{missing:,} of {whole.count:,} pairs are in none of the parts: {ranges_told(gaps)}")
    return parts


def _reader(parts: list[PairFile]) -> Callable[[int, int], dict[str, NDArray[Any]]]:
    """What gives rows of the whole, once it has compared them with their checksums."""
    block = parts[0].header.block_rows
    sums = np.concatenate([part.block_sums() for part in parts])
    each = [stored_columns(part) for part in parts]
    columns = {name: JoinedColumn([one[name] for one in each]) for name in each[0]}

    def read(start: int, stop: int) -> dict[str, NDArray[Any]]:
        try:
            rows = {name: np.ascontiguousarray(column[start:stop]) for name, column in columns.items()}
        except FileError:  # compressed, and damaged so that it cannot be undone
            sound = False
        else:
            expected = sums[start // block : -(-stop // block)]
            sound = np.array_equal(sums_of_blocks(rows, block), expected)
        if not sound:
            files = ", ".join(
                f"'{part.path}'"
                for part in parts
                if part.header.first < stop and start < part.header.first + part.header.count
            )
            raise FileError(f"{files} was damaged since it was made: see 'blurgen verify --repair'")
        return rows

    return read


def _point(parts: list[PairFile], out: Path, overwrite: bool) -> None:
    """Write a file that points to the parts."""
    for part in parts:
        if part.parts:
            raise FileError(f"'{part.path}' only points to its own parts: give those")
    if out.exists() and not overwrite:
        raise FileError(f"'{out}' exists; give another name, or allow overwriting (--overwrite)")
    header = replace(parts[0].header.whole, compression="")  # that of the parts does not show
    pointed = [
        Part(
            relative_name(out, part.path),
            part.header.first,
            part.header.first + part.header.count,
            part.file_sums(),
        )
        for part in parts
    ]
    new = out.with_name(out.name + ".virtual")
    try:
        lay_out_virtual(new, header, pointed)
        layout = read_layout(new, header)
        blocks = np.concatenate([part.block_sums() for part in parts])
        with new.open("r+b") as file:
            write_rows(
                file.fileno(), layout.file_sums, 0, sums_of_file(file.fileno(), header, layout, blocks)
            )
        seal(new)
        sync(new)
        new.rename(out)
        sync(out.parent)
    except OSError as error:
        raise FileError(f"'{out}' cannot be written: {reason(error)}") from None
    finally:
        new.unlink(missing_ok=True)
