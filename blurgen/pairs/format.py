"""The format of a pair file: what it says of itself, and where its bytes lie. Only this module knows HDF5.

A file is laid out once: attributes, and every dataset of its final shape. Uncompressed, all datasets are
contiguous, so that their bytes have their final places from the start. Compressed, images and PSFs are in
chunks of `Header.block_rows` rows, which are stored at the end; the columns of numbers stay contiguous.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurgen._version import __version__
from blurgen.errors import BlurgenError, FileError, InputError, RecipeError
from blurgen.pairs.compression import codec, name_of_filter, register_filters
from blurgen.pairs.seal import check_seal, damaged, has_seal
from blurgen.recipe import Recipe
from blurgen.untrusted.bounds import RefusedError
from blurgen.untrusted.documents import parse_json
from blurgen.untrusted.hdf5 import own_attribute, own_dataset

FORMAT = "blurgen-pairs"
FORMAT_VERSION = 1
_PAGE = 4096  # datasets begin on a page, so that they map cleanly
_LONGEST_ATTRIBUTE = 60_000  # bytes; HDF5 keeps attributes below 64 KiB in the object header
_ATTRIBUTES: dict[str, type] = {
    "blurgen_version": str,
    "recipe": str,
    "recipe_name": str,
    "seed": int,
    "dataset": str,
    "dataset_options": str,
    "dataset_sha256": str,
    "count": int,
    "copies": int,
    "first": int,
    "whole_count": int,
    "block_rows": int,
}
_BLOCK_BYTES = 1 << 16  # of the images of a block: compressed, one is undone to read one row
_SUM = np.dtype("<u4")
_CONTIGUOUS, _CHUNKED, _VIRTUAL = "CONTIGUOUS", "CHUNKED", "VIRTUAL"  # HDF5's words
BLOCK_SUMS = "crc32/blocks"
FILE_SUMS = "crc32/file"
_SYSTEM_ERROR = re.compile(r"\berrno = (\d+)")  # in what HDF5 says


@dataclass(frozen=True)
class Header:
    """What a pair file says of itself.

    Attributes
    ----------
    recipe : Recipe
        The recipe.
    seed : int
        The seed of all draws.
    dataset : str
        The source, as `blurgen.make` was given it.
    dataset_options : dict
        The options that open the same source again.
    dataset_sha256 : str
        The hash of its content.
    count : int
        How many pairs there are.
    shape : tuple of int
        (H, W, C) of the images.
    has_labels : bool
        Whether there is a label for each pair.
    psf_size : int
        Side of the PSFs that are stored; 0 where none are.
    compression : str
        ``gzip``, ``lzf`` or ``zstd``; empty where there is none.
    version : str
        The version of blurgen that made the file.
    first : int
        Of a part of a whole: where in it the pairs begin.
    whole_count : int
        How many pairs the whole has; 0 says as many as `count`, and becomes that.
    """

    recipe: Recipe
    seed: int
    dataset: str
    dataset_options: dict[str, Any]
    dataset_sha256: str
    count: int
    shape: tuple[int, int, int]
    has_labels: bool
    psf_size: int = 0
    compression: str = ""
    version: str = __version__
    first: int = 0
    whole_count: int = 0

    def __post_init__(self) -> None:
        if not self.whole_count:
            object.__setattr__(self, "whole_count", self.count)

    @property
    def whole(self) -> Header:
        """The header of the whole that this is a part of."""
        return replace(self, first=0, count=self.whole_count)

    def part(self, start: int, stop: int) -> Header:
        """The header of a file of its own for the rows `start` … `stop` − 1, which begin with a block."""
        return replace(self, first=self.first + start, count=stop - start)

    def differences(self, other: Header) -> dict[str, tuple[Any, Any]]:
        """What of this header differs from another: name → (ours, theirs)."""
        ours, theirs = (
            {
                **header.attributes(),
                "psf": header.psf_size,
                "shape": header.shape,
                "compression": header.compression,
            }
            for header in (self, other)
        )
        return {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}

    def attributes(self) -> dict[str, str | int]:
        """The attributes of the file's root."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "blurgen_version": self.version,
            "recipe": self.recipe.to_json(),
            "recipe_name": self.recipe.name,
            "seed": self.seed,
            "dataset": self.dataset,
            "dataset_options": json.dumps(self.dataset_options, sort_keys=True, ensure_ascii=False),
            "dataset_sha256": self.dataset_sha256,
            "count": self.count,
            "copies": self.recipe.copies,
            "first": self.first,
            "whole_count": self.whole_count,
            "block_rows": self.block_rows,
        }

    def columns(self) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """Every dataset: its dtype and the shape of a row."""
        columns: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
            "sharp": (np.dtype("u1"), self.shape),
            "blurred": (np.dtype("u1"), self.shape),
        }
        empty = self.recipe.sample(self.recipe.draws(0, np.empty(0, np.int64)))
        for name, values in empty.items():
            columns[f"params/{name}"] = (values.dtype.newbyteorder("<"), ())
        columns["source_index"] = (np.dtype("<i8"), ())
        if self.has_labels:
            columns["label"] = (np.dtype("<i8"), ())
        if self.psf_size:
            columns["psf"] = (np.dtype("<f4"), (self.psf_size, self.psf_size))
        return columns

    @property
    def block_rows(self) -> int:
        """How many rows a block of the whole has; the last may have fewer. Each has checksums of its own."""
        return max(1, min(self.whole_count, _BLOCK_BYTES // int(np.prod(self.shape))))

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.count // self.block_rows)

    @property
    def chunk_rows(self) -> int:
        """How many rows a compressed chunk has: those of a block; a part may be smaller than one."""
        return min(self.block_rows, self.count)

    @property
    def in_chunks(self) -> list[str]:
        """The datasets that are stored in compressed chunks."""
        return [name for name in ("sharp", "blurred", "psf") if self.compression and name in self.columns()]


class Place(NamedTuple):
    """Where a dataset's bytes lie; −1 where they have no place of their own: in chunks, or in other files."""

    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * int(np.prod(self.row_shape, dtype=np.int64))


class Layout(NamedTuple):
    """Where the bytes of a file lie.

    Attributes
    ----------
    columns : dict
        Name → place of every dataset of `Header.columns`.
    block_sums : Place
        Of the checksums of the blocks, a row a block, its numbers in the order of the sorted names.
    file_sums : Place
        Of the checksums of the rest: see `blurgen.pairs.sums`.
    """

    columns: dict[str, Place]
    block_sums: Place
    file_sums: Place

    @property
    def rows_elsewhere(self) -> bool:
        """Whether the rows, and the checksums of their blocks, lie in other files."""
        return self.block_sums.offset < 0


@contextmanager
def opened(path: Path, mode: str, doing: str, **options: Any) -> Iterator[Any]:
    """An open HDF5 file; whatever HDF5 says of it becomes a FileError of one sentence."""
    import h5py

    try:
        if mode == "r":
            check_seal(path)  # before HDF5 sees what it seals
        with h5py.File(path, mode, **options) as file:
            yield file
    except BlurgenError:
        raise
    except RefusedError as error:
        raise FileError(f"pair file '{path}' is refused: {error}") from None
    except OSError as error:
        raise FileError(f"pair file '{path}' cannot be {doing}: {reason(error)}") from None
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, MemoryError) as error:
        # which of them, HDF5 and h5py leave to chance
        number = _SYSTEM_ERROR.search(str(error))
        why = os.strerror(int(number[1])) if number else "HDF5 finds it damaged"
        raise FileError(f"pair file '{path}' cannot be {doing}: {why}") from None


def write_attributes(file: Any, header: Header) -> None:
    """Write what a file says of itself.

    Raises
    ------
    InputError
        If a text is too long for HDF5.
    """
    import h5py

    for name, value in header.attributes().items():
        if isinstance(value, str):
            data = value.encode("utf-8", "surrogateescape")  # a path may be no UTF-8
            if len(data) > _LONGEST_ATTRIBUTE:
                raise InputError(f"{name} takes {len(data)} bytes; {_LONGEST_ATTRIBUTE} fit into the file")
            file.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(1, len(data))))
        else:
            file.attrs.create(name, value, dtype=np.uint64 if name == "seed" else np.int64)


def lay_out(path: Path, header: Header) -> None:
    """Create the file with all its datasets and none of their content."""
    with opened(path, "w", "written", alignment_threshold=1, alignment_interval=_PAGE) as file:
        write_attributes(file, header)
        file.create_group("params")
        for name, (dtype, row_shape) in header.columns().items():
            shape = (header.count, *row_shape)
            if name in header.in_chunks:
                used = codec(header.compression)
                file.create_dataset(
                    name,
                    shape,
                    dtype,
                    chunks=(header.chunk_rows, *row_shape),
                    compression=used.filter_id,
                    compression_opts=used.options,
                    track_times=False,
                )
                continue
            create_contiguous(file, name, shape, dtype)
        file.create_group("crc32")
        for name, (shape, dtype) in sums_datasets(header).items():
            create_contiguous(file, name, shape, dtype)


def create_contiguous(file: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Create a dataset whose bytes have their place at once, and no content."""
    import h5py

    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)  # no clock goes into the file
    creation.set_layout(h5py.h5d.CONTIGUOUS)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(dtype), space, dcpl=creation)


def sums_datasets(header: Header) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """The datasets of checksums: shape and dtype."""
    return {BLOCK_SUMS: ((header.blocks, len(header.columns())), _SUM), FILE_SUMS: ((3,), _SUM)}


def read_layout(path: Path, header: Header) -> Layout:
    """Where each dataset lies, after a check that the file is laid out as its header says.

    Raises
    ------
    FileError
        If a dataset is missing, of another shape or dtype, stored in another way, or cut off.
    """
    expected = {name: ((header.count, *row), dtype) for name, (dtype, row) in header.columns().items()}
    places = {}
    with opened(path, "r", "read", locking=False) as file:
        elsewhere = points_elsewhere(file)
        for name, (shape, dtype) in {**expected, **sums_datasets(header)}.items():
            stored = _CONTIGUOUS
            if elsewhere and name != FILE_SUMS:
                stored = _VIRTUAL
            elif name in header.in_chunks:
                stored = _CHUNKED
            places[name] = _place(path, file, name, shape, dtype, stored)
    return Layout({name: places[name] for name in expected}, places[BLOCK_SUMS], places[FILE_SUMS])


def points_elsewhere(file: Any) -> bool:
    """Whether the rows of an open HDF5 file lie in others."""
    sharp = own_dataset(file, "sharp", virtual=_is_sealed(file))
    return sharp is not None and bool(sharp.is_virtual)


def _is_sealed(file: Any) -> bool:
    """Whether an open HDF5 file may point to others."""
    return bool(file.userblock_size) and has_seal(Path(file.filename))


def _place(
    path: Path, file: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], stored: str
) -> Place:
    import h5py

    dataset = own_dataset(file, name, virtual=stored == _VIRTUAL)
    if dataset is None:
        raise FileError(f"pair file '{path}' lacks the dataset '{name}'")
    if dataset.shape != shape or dataset.dtype != dtype:
        raise FileError(
            f"pair file '{path}': dataset '{name}' is {dataset.dtype} {dataset.shape}, "
            f"{dtype} {shape} is expected"
        )
    name_of_filter(dataset)  # refuses those of strangers
    offset = dataset.id.get_offset()
    # contiguous without a place of its own is what lies in another file as plain bytes
    if dataset.id.get_create_plist().get_layout() != getattr(h5py.h5d, stored) or (offset is None) != (
        stored != _CONTIGUOUS
    ):
        raise FileError(f"pair file '{path}': dataset '{name}' is stored in another way than blurgen's")
    place = Place(dtype, shape[1:], -1 if offset is None else offset)
    size = path.stat().st_size
    if offset is not None and offset + shape[0] * place.row_bytes > size:
        raise FileError(f"pair file '{path}' is truncated: dataset '{name}' ends beyond its {size} bytes")
    return place


def read_header(path: Path) -> Header:
    """What a pair file says of itself.

    Raises
    ------
    FileError
        If it is missing, damaged, no pair file, or of a newer format.
    """
    with opened(path, "r", "read", locking=False) as file:
        names = [name for name in ("format", "format_version", *_ATTRIBUTES) if name in file.attrs]
        raw = {name: _plain(own_attribute(file, name)) for name in names}
        sealed = _is_sealed(file)
        try:
            sharp, psf = (own_dataset(file, name, virtual=sealed) for name in ("sharp", "psf"))
        except RefusedError:
            if file.userblock_size and not sealed and raw.get("format") == FORMAT:
                raise damaged(path) from None  # in the seal's own first letters
            raise
        shape: tuple[int, ...] = () if sharp is None else sharp.shape[1:]
        psf_size = psf.shape[-1] if psf is not None and psf.ndim == 3 else 0
        has_labels = "label" in file
        compression = "" if sharp is None else name_of_filter(sharp)
    if raw.get("format") != FORMAT:
        raise FileError(f"'{path}' is an HDF5 file but no pair file of blurgen's")
    version = raw.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise FileError(f"pair file '{path}': its format version is damaged: {version!r}")
    if version > FORMAT_VERSION:
        raise FileError(
            f"pair file '{path}' has format version {version}; this blurgen ({__version__}) reads up to "
            f"{FORMAT_VERSION}: a newer one is needed"
        )
    for name, kind in _ATTRIBUTES.items():
        if name not in raw:
            raise FileError(f"pair file '{path}' lacks the attribute '{name}'")
        if not isinstance(raw[name], kind) or (kind is int and raw[name] < 0):
            raise FileError(f"pair file '{path}': the attribute '{name}' is damaged: {str(raw[name])[:40]!r}")
    if raw["count"] < 1 or raw["first"] + raw["count"] > raw["whole_count"]:
        raise FileError(f"pair file '{path}': the attribute 'count' is damaged: {raw['count']}")
    try:
        recipe = Recipe.from_dict(parse_json(raw["recipe"]), f"of {path}")
        if len(shape) != 3 or 0 in shape:
            raise FileError(f"pair file '{path}' lacks the dataset 'sharp' of shape (N, H, W, C)")
        options = parse_json(raw["dataset_options"])
        if not isinstance(options, dict):
            raise FileError(f"pair file '{path}': the attribute 'dataset_options' is damaged: {options!r}")
        header = Header(
            recipe=recipe,
            seed=raw["seed"],
            dataset=raw["dataset"],
            dataset_options=options,
            dataset_sha256=raw["dataset_sha256"],
            count=raw["count"],
            first=raw["first"],
            whole_count=raw["whole_count"],
            shape=(shape[0], shape[1], shape[2]),
            has_labels=has_labels,
            psf_size=psf_size,
            compression=compression,
            version=raw["blurgen_version"],
        )
    except RecipeError:
        raise
    except ValueError as error:
        raise FileError(f"pair file '{path}': an attribute is damaged: {error}") from None
    if header.first % header.block_rows:
        raise FileError(f"pair file '{path}': the attribute 'first' is damaged: {header.first}")
    return header


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value.item() if isinstance(value, np.generic) else value


def reason(error: OSError) -> str:
    """Why, in the system's words; HDF5's own run over several lines and name addresses and the time."""
    if error.errno == errno.ENOENT:
        return "there is no such file"
    return os.strerror(error.errno) if error.errno else "it is no HDF5 file, or a damaged one"


def store_chunks(path: Path, chunks: Iterable[tuple[str, int, bytes]]) -> None:
    """Store compressed chunks, each with its dataset's name and its first row, in a file that is laid out."""
    with opened(path, "r+", "written", locking=False) as file:
        for name, row, data in chunks:
            dataset = file[name]
            dataset.id.write_direct_chunk((row, *(0 for _ in dataset.shape[1:])), data)


def mapped_columns(path: Path, header: Header, layout: Layout) -> dict[str, NDArray[Any]]:
    """Memory maps of the contiguous datasets."""
    return {
        name: np.memmap(path, place.dtype, "r", place.offset, (header.count, *place.row_shape))
        for name, place in layout.columns.items()
        if place.offset >= 0
    }


class CompressedColumn:
    """A dataset in compressed chunks, indexed like an array; each process has a handle of its own.

    Attributes
    ----------
    dtype, shape
        As of an array.
    """

    def __init__(self, path: Path, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.dtype, self.shape = dtype, shape
        self._path, self._name = path, name
        self._owner, self._dataset = -1, None

    def _open(self) -> Any:
        # a handle does not survive a fork
        if self._owner != os.getpid():
            import h5py

            self._dataset = h5py.File(self._path, "r", locking=False)[self._name]
            if name_of_filter(self._dataset) == "zstd":
                register_filters()
            self._owner = os.getpid()
        return self._dataset

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, np.ndarray) and key.dtype != bool:
            # HDF5 wants rising indices, each once
            rows, inverse = np.unique(np.where(key < 0, key + len(self), key), return_inverse=True)
            return self._read(rows)[inverse]
        if isinstance(key, slice) and key.step is not None and key.step < 0:
            return self[np.arange(*key.indices(len(self)))]
        return self._read(key)

    def _read(self, key: Any) -> Any:
        try:
            return self._open()[key]
        except OSError as error:
            what = " ".join(str(error).split())  # which filter failed, and not on which file
            raise FileError(f"pair file '{self._path}': '{self._name}' cannot be read: {what}") from None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self._read(...), dtype)

    def __reduce__(self) -> Any:
        return CompressedColumn, (self._path, self._name, self.dtype, self.shape)
