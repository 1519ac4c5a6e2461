"""Pair files that hold no rows of their own, but point to the parts that do: HDF5's virtual datasets.

The names of the parts are relative to the file's own folder, and lie in it or below it.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from blurgen.errors import FileError
from blurgen.pairs.format import (
    BLOCK_SUMS,
    FILE_SUMS,
    Header,
    create_contiguous,
    opened,
    points_elsewhere,
    sums_datasets,
    write_attributes,
)
from blurgen.pairs.seal import SEAL_BYTES, seal
from blurgen.pairs.sums import Sums

_PART_SUMS = "crc32/parts"


class Part(NamedTuple):
    """Which file holds some of the rows.

    Attributes
    ----------
    name : str
        Its name, relative to the folder of the file that points to it.
    start, stop : int
        The rows start … stop − 1 that it holds.
    sums : ndarray
        Its checksums ``/crc32/file``, by which it is known that it is still the same.
    """

    name: str
    start: int
    stop: int
    sums: Sums


def lay_out_virtual(path: Path, header: Header, parts: list[Part]) -> None:
    """Create the file, but for its own checksums; once they are there, it has to be sealed again."""
    with opened(path, "w", "written", userblock_size=SEAL_BYTES) as file:
        write_attributes(file, header)
        for group in ("params", "crc32"):
            file.create_group(group)
        for name, (dtype, row_shape) in header.columns().items():
            _create_virtual(
                file, name, dtype, row_shape, [(part.name, part.stop - part.start) for part in parts]
            )
        sums = sums_datasets(header)
        shape, dtype = sums[BLOCK_SUMS]
        counts = [(part.name, -(-(part.stop - part.start) // header.block_rows)) for part in parts]
        _create_virtual(file, BLOCK_SUMS, dtype, shape[1:], counts)
        shape, dtype = sums[FILE_SUMS]
        create_contiguous(file, FILE_SUMS, shape, dtype)
        create_contiguous(file, _PART_SUMS, (len(parts), *shape), dtype)
        file[_PART_SUMS][...] = np.stack([part.sums for part in parts])
    seal(path)


def _create_virtual(
    file: Any, name: str, dtype: np.dtype[Any], row_shape: tuple[int, ...], files: list[tuple[str, int]]
) -> None:
    import h5py

    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)  # no clock goes into the file
    creation.set_layout(h5py.h5d.VIRTUAL)
    space = h5py.h5s.create_simple((sum(count for _, count in files), *row_shape))
    origin, at = (0,) * len(row_shape), 0
    for source, count in files:
        space.select_hyperslab((at, *origin), (count, *row_shape))
        whole = h5py.h5s.create_simple((count, *row_shape))
        # HDF5 takes a % for the beginning of a number
        creation.set_virtual(space, source.replace("%", "%%").encode("utf-8"), name.encode(), whole)
        at += count
    space.select_all()
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(dtype), space, dcpl=creation)


def points_to_parts(path: Path) -> bool:
    """Whether a file holds no rows of its own; False also where that cannot be read."""
    try:
        with opened(path, "r", "read", locking=False) as file:
            return points_elsewhere(file)
    except FileError:
        return False


def read_parts(path: Path, header: Header) -> list[Part]:
    """The parts that a file points to, in the order of their rows, which are all of the file's.

    Raises
    ------
    FileError
        If one of them lies outside of the file's folder, or what is said of them is damaged.
    """
    found = []
    with opened(path, "r", "read", locking=False) as file:
        sums = file[_PART_SUMS][...]
        for source in file["sharp"].virtual_sources():
            low, high = source.vspace.get_select_bounds()
            found.append((int(low[0]), int(high[0]) + 1, source.file_name.replace("%%", "%")))
    found.sort()
    edges = [0, *(stop for _, stop, _ in found)]
    if [start for start, _, _ in found] != edges[:-1] or edges[-1] != header.count or len(sums) != len(found):
        raise FileError(f"pair file '{path}': what it says of its parts is damaged")
    for _, _, name in found:
        _check_inside(path, name)
    return [
        Part(name, start, stop, part_sums) for (start, stop, name), part_sums in zip(found, sums, strict=True)
    ]


def _check_inside(path: Path, name: str) -> None:
    inner = PurePosixPath(name)
    if inner.is_absolute() or ".." in inner.parts or not _inside(path, path.parent / name):
        raise FileError(f"pair file '{path}' points to '{name}', which is not in its folder")


def _inside(path: Path, other: Path) -> bool:
    """Whether a file really lies in the folder of `path` or below it, wherever links lead."""
    return other.resolve().is_relative_to(path.parent.resolve())


def relative_name(path: Path, part: Path) -> str:
    """The name by which the file `path` points to a part.

    Raises
    ------
    FileError
        If the part does not lie in the file's folder or below it, or its name is no text.
    """
    if not _inside(path, part):
        raise FileError(
            f"'{part}' is not in the folder of '{path}', nor below it: only such parts are pointed to"
        )
    name = part.resolve().relative_to(path.parent.resolve()).as_posix()
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise FileError(f"{os.fsencode(part)!r}: HDF5 points only to files whose names are UTF-8") from None
    return name
