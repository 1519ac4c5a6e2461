"""Reading pair files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from blurgen.degradation import Pairs
from blurgen.errors import FileError
from blurgen.pairs.format import CompressedColumn, Header, read_header, read_layout
from blurgen.pairs.joined import JoinedColumn
from blurgen.pairs.sums import Sums, read_block_sums, read_file_sums, sums_of_file
from blurgen.pairs.virtual import Part, points_to_parts, read_parts
from blurgen.recipe import Recipe


class Pair(NamedTuple):
    """One pair: images (H, W, C) and the drawn parameters."""

    sharp: NDArray[np.uint8]
    blurred: NDArray[np.uint8]
    params: dict[str, float | int]


class PairFile:
    """A pair file, open for reading: a memory map of its datasets.

    ``pairs[i]`` is a `Pair`, ``pairs[a:b]`` or ``pairs[indices]`` are `Pairs`: copies of the file's content.
    Opens lazily in each process and pickles as its path, so that workers of any kind can share it. Of a
    compressed file the images are no memory map, but take the same indices and slices.

    Attributes
    ----------
    header : Header
        What the file says of itself; ``recipe`` and ``seed`` are at hand directly too.
    sharp, blurred : ndarray
        uint8, shape (N, H, W, C), mapped.
    params : dict
        Name → mapped column of shape (N,).
    source_index : ndarray
        int64, shape (N,): the image of the source that each pair was made from.
    label : ndarray or None
        int64, shape (N,), where the source has labels.
    psf : ndarray or None
        float32, shape (N, k, k), where PSFs were asked for.
    layout : Layout
        Where the bytes of the file lie.
    parts : list of PairFile
        The files that hold the rows, where this one only points to them.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()  # workers may have another folder
        if self.path.suffix == ".partial":
            raise FileError(f"'{self.path}' is still being made: run the command that began it again")
        self.header = read_header(self.path)
        self.layout = read_layout(self.path, self.header)
        self.parts = self._opened_parts() if self.layout.rows_elsewhere else []
        self._maps: dict[str, Any] = {}

    def _opened_parts(self) -> list[PairFile]:
        parts = read_parts(self.path, self.header)
        return [_opened_part(self.path, self.header, part) for part in parts]

    def _column(self, name: str) -> Any:
        if name not in self._maps:
            place = self.layout.columns[name]
            shape = (self.header.count, *place.row_shape)
            if self.parts:
                columns = [part._column(name) for part in self.parts]
                self._maps[name] = JoinedColumn(columns) if place.row_shape else _read_only(columns)
            elif place.offset < 0:
                self._maps[name] = CompressedColumn(self.path, name, place.dtype, shape)
            else:
                self._maps[name] = np.memmap(self.path, place.dtype, "r", place.offset, shape)
        return self._maps[name]

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.header.recipe

    @property
    def seed(self) -> int:
        """The seed."""
        return self.header.seed

    @property
    def sharp(self) -> NDArray[np.uint8]:
        """The sharp images."""
        images: NDArray[np.uint8] = self._column("sharp")
        return images

    @property
    def blurred(self) -> NDArray[np.uint8]:
        """The blurred images."""
        images: NDArray[np.uint8] = self._column("blurred")
        return images

    @property
    def params(self) -> dict[str, NDArray[Any]]:
        """The drawn parameters."""
        names = [name for name in self.layout.columns if name.startswith("params/")]
        return {name.removeprefix("params/"): self._column(name) for name in names}

    @property
    def source_index(self) -> NDArray[np.int64]:
        """Which image of the source each pair was made from."""
        index: NDArray[np.int64] = self._column("source_index")
        return index

    @property
    def label(self) -> NDArray[np.int64] | None:
        """The labels."""
        return self._column("label") if self.header.has_labels else None

    @property
    def psf(self) -> NDArray[np.float32] | None:
        """The PSFs."""
        return self._column("psf") if self.header.psf_size else None

    def block_sums(self) -> Sums:
        """The checksums of its blocks of rows, uint32, shape (blocks, datasets)."""
        if self.parts:
            return np.concatenate([part.block_sums() for part in self.parts])
        with self.path.open("rb") as file:
            return read_block_sums(file.fileno(), self.header, self.layout)

    def file_sums(self) -> Sums:
        """The checksums of the rest, uint32, shape (3,)."""
        with self.path.open("rb") as file:
            return read_file_sums(file.fileno(), self.layout)

    def rest_is_sound(self) -> bool:
        """Whether what is no rows has the checksums of the rest; of its parts, too."""
        with self.path.open("rb") as file:
            found = sums_of_file(file.fileno(), self.header, self.layout, self.block_sums())
        return np.array_equal(found, self.file_sums()) and all(part.rest_is_sound() for part in self.parts)

    def __len__(self) -> int:
        return self.header.count

    @overload
    def __getitem__(self, key: int) -> Pair: ...
    @overload
    def __getitem__(self, key: slice | NDArray[np.integer[Any]]) -> Pairs: ...
    def __getitem__(self, key: int | slice | NDArray[np.integer[Any]]) -> Pair | Pairs:
        columns = self.params
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"pair {key} of {len(self)}")
            params = {name: column[key].item() for name, column in columns.items()}
            return Pair(np.array(self.sharp[key]), np.array(self.blurred[key]), params)
        params_of = {name: np.array(column[key]) for name, column in columns.items()}
        return Pairs(np.array(self.sharp[key]), np.array(self.blurred[key]), params_of)

    def __iter__(self) -> Iterator[Pair]:
        return (self[i] for i in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    def __repr__(self) -> str:
        height, width, channels = self.header.shape
        return (
            f"PairFile('{self.path}', {len(self)} pairs of {height}×{width}×{channels}, {self.recipe.name!r})"
        )


def _opened_part(path: Path, header: Header, part: Part) -> PairFile:
    """A part that a file points to, if it is still the one that was meant."""
    place = path.parent / part.name
    if points_to_parts(place):  # to itself even, it may be
        raise FileError(f"pair file '{path}' points to '{place}', which only points to others")
    try:
        found = PairFile(place)
    except FileError as error:
        raise FileError(f"pair file '{path}' points to a part that cannot be opened: {error}") from None
    theirs = replace(found.header, compression="")  # which the whole does not see
    if theirs != header.part(part.start, part.stop) or not np.array_equal(found.file_sums(), part.sums):
        raise FileError(f"pair file '{path}' points to '{found.path}', which is another file now")
    return found


def _read_only(columns: list[Any]) -> NDArray[Any]:
    joined = np.concatenate(columns)
    joined.flags.writeable = False
    return joined


def open_pairs(path: str | os.PathLike[str]) -> PairFile:
    """Open a pair file for reading.

    Raises
    ------
    FileError
        If it is missing, damaged, no pair file, or of a newer format.
    """
    return PairFile(path)
