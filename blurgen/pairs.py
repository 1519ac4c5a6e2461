"""The pair file: its format, its writer, its reader. Nothing else of blurgen's touches HDF5's pair files.

A file is made in three steps that a crash at any instant leaves harmless:

1. ``NAME.partial`` is laid out: attributes, and every dataset contiguous, of its final shape and place. Its
   space is reserved. From here on HDF5's metadata does not change any more.
2. Threads write raw rows at their datasets' offsets. Every second or so the rows written are synced to the
   disk and then noted in ``NAME.journal``, a list of ``start stop`` lines.
3. When every row is noted, the file is synced, opened and checked, and renamed to ``NAME``.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray

from blurgen._version import __version__
from blurgen.degradation import Pairs
from blurgen.errors import FileError, InputError
from blurgen.recipe import Recipe

FORMAT = "blurgen-pairs"
FORMAT_VERSION = 1
_PAGE = 4096  # datasets begin on a page, so that they map cleanly
_LONGEST_ATTRIBUTE = 60_000  # bytes; HDF5 keeps attributes below 64 KiB in the object header


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
    version : str
        The version of blurgen that made the file.
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
    version: str = __version__

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


class Place(NamedTuple):
    """Where a dataset's bytes lie."""

    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * int(np.prod(self.row_shape, dtype=np.int64))


def _lay_out(path: Path, header: Header) -> None:
    """Create the file with all its datasets and none of their content."""
    import h5py

    with h5py.File(path, "w", alignment_threshold=_PAGE, alignment_interval=_PAGE) as file:
        for name, value in header.attributes().items():
            if isinstance(value, str):
                data = value.encode()
                if len(data) > _LONGEST_ATTRIBUTE:
                    raise InputError(
                        f"{name} takes {len(data)} bytes; {_LONGEST_ATTRIBUTE} fit into the file"
                    )
                file.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(1, len(data))))
            else:
                file.attrs.create(name, value, dtype=np.uint64 if name == "seed" else np.int64)
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_obj_track_times(False)  # no clock goes into the file
        creation.set_layout(h5py.h5d.CONTIGUOUS)
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        file.create_group("params")
        for name, (dtype, row_shape) in header.columns().items():
            space = h5py.h5s.create_simple((header.count, *row_shape))
            kind = h5py.h5t.py_create(dtype)
            h5py.h5d.create(file.id, name.encode(), kind, space, dcpl=creation)


def _places(path: Path, header: Header) -> dict[str, Place]:
    """Where each dataset lies, after a check that the file is laid out as its header says."""
    import h5py

    size = path.stat().st_size
    places = {}
    with h5py.File(path, "r", locking=False) as file:
        for name, (dtype, row_shape) in header.columns().items():
            dataset = file.get(name)
            if not isinstance(dataset, h5py.Dataset):
                raise FileError(f"pair file '{path}' lacks the dataset '{name}'")
            if dataset.shape != (header.count, *row_shape) or dataset.dtype != dtype:
                raise FileError(
                    f"pair file '{path}': dataset '{name}' is {dataset.dtype} {dataset.shape}, "
                    f"{dtype} {(header.count, *row_shape)} is expected"
                )
            offset = dataset.id.get_offset()
            place = Place(dtype, row_shape, -1 if offset is None else offset)
            if offset is not None and offset + header.count * place.row_bytes > size:
                raise FileError(
                    f"pair file '{path}' is truncated: dataset '{name}' ends beyond its {size} bytes"
                )
            places[name] = place
    return places


def _read_header(path: Path) -> Header:
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            raw = {name: _plain(value) for name, value in file.attrs.items()}
            sharp = file.get("sharp")
            shape: tuple[int, ...] = sharp.shape[1:] if isinstance(sharp, h5py.Dataset) else ()
            psf = file.get("psf")
            psf_size = psf.shape[-1] if isinstance(psf, h5py.Dataset) and psf.ndim == 3 else 0
            has_labels = "label" in file
    except OSError as error:
        raise FileError(f"pair file '{path}' cannot be read: {_reason(error)}") from None
    if raw.get("format") != FORMAT:
        raise FileError(f"'{path}' is an HDF5 file but no pair file of blurgen's")
    version = raw.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FileError(
            f"pair file '{path}' has format version {version}; this blurgen ({__version__}) reads up to "
            f"{FORMAT_VERSION}: a newer one is needed"
        )
    try:
        recipe = Recipe.from_dict(json.loads(raw["recipe"]), f"of {path}")
        if len(shape) != 3:
            raise FileError(f"pair file '{path}' lacks the dataset 'sharp' of shape (N, H, W, C)")
        return Header(
            recipe=recipe,
            seed=raw["seed"],
            dataset=raw["dataset"],
            dataset_options=json.loads(raw["dataset_options"]),
            dataset_sha256=raw["dataset_sha256"],
            count=raw["count"],
            shape=(shape[0], shape[1], shape[2]),
            has_labels=has_labels,
            psf_size=psf_size,
            version=raw["blurgen_version"],
        )
    except KeyError as error:
        raise FileError(f"pair file '{path}' lacks the attribute {error}") from None
    except json.JSONDecodeError as error:
        raise FileError(f"pair file '{path}': an attribute is damaged: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def _reason(error: OSError) -> str:
    """Why, in the system's words; HDF5's own run over several lines and name addresses and the time."""
    return os.strerror(error.errno) if error.errno else "it is no HDF5 file, or a damaged one"


def partial_path(path: Path) -> Path:
    """Where the file is while it is being made."""
    return path.with_name(path.name + ".partial")


def journal_path(path: Path) -> Path:
    """Where the finished rows are noted while it is being made."""
    return path.with_name(path.name + ".journal")


class PairWriter:
    """Writes one pair file, from several threads; goes on where an interrupted one stopped.

    Use as a context manager: leaving it normally moves the finished file into place, leaving it by an
    exception notes what was written and keeps the partial file.

    Parameters
    ----------
    path : path-like
        The final name.
    header : Header
        What is to be made.
    overwrite : bool
        Whether a file of that name may be replaced, and a partial one of other arguments discarded.

    Raises
    ------
    FileError
        If the file exists, or a partial one of other arguments, or another process is writing it, or it
        cannot be created or does not fit on the disk.
    """

    def __init__(self, path: str | os.PathLike[str], header: Header, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.header = header
        self._partial = partial_path(self.path)
        self._journal_path = journal_path(self.path)
        self._lock = threading.Lock()
        self._pending: list[tuple[int, int]] = []
        self._noted: list[tuple[int, int]] = []
        if self.path.is_dir():
            raise FileError(f"'{self.path}' is a folder; a file name is needed")
        if self.path.exists() and not overwrite:
            raise FileError(f"'{self.path}' exists; give another name, or allow overwriting (--overwrite)")
        if not self.path.parent.is_dir():
            raise FileError(f"'{self.path}' cannot be written: there is no folder '{self.path.parent}'")
        try:
            if overwrite and self._partial.exists() and not self._is_ours():
                self._partial.unlink()
            if self._partial.exists():
                self._resume()
            else:
                self._begin()
        except OSError as error:
            raise FileError(f"'{self.path}' cannot be written: {_reason(error)}") from None

    def _begin(self) -> None:
        self._journal_path.unlink(missing_ok=True)
        new = self._partial.with_name(self._partial.name + ".new")
        try:
            _lay_out(new, self.header)
            self._file = os.open(new, os.O_RDWR)
            self._claim(new)
            size = os.fstat(self._file).st_size
            try:
                os.posix_fallocate(self._file, 0, size)
            except OSError as error:
                raise FileError(
                    f"'{self.path}' needs {size / 1e6:,.1f} MB, which cannot be reserved: {_reason(error)}"
                ) from None
            os.fsync(self._file)
            new.rename(self._partial)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        self._open_rest()

    def _resume(self) -> None:
        differences = self._differences()
        if differences:
            raise FileError(
                f"'{self._partial}' was begun with other arguments ({differences}); finish it with those, "
                "delete it, or start afresh (--overwrite)"
            )
        self._file = os.open(self._partial, os.O_RDWR)
        self._claim(self._partial)
        self._open_rest()

    def _is_ours(self) -> bool:
        try:
            return not self._differences()
        except FileError:  # damaged, or no pair file at all
            return False

    def _differences(self) -> str:
        """What of the partial file's header differs from ours, as one phrase."""
        found = _read_header(self._partial)
        theirs = {**found.attributes(), "psf": found.psf_size, "shape": found.shape}
        ours = {**self.header.attributes(), "psf": self.header.psf_size, "shape": self.header.shape}
        return ", ".join(
            name if name == "recipe" else f"{name} {theirs[name]!r}, now {ours[name]!r}"
            for name in ours
            if theirs[name] != ours[name]
        )

    def _claim(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise FileError(f"'{path}' is being written by another process") from None

    def _open_rest(self) -> None:
        self._places = _places(self._partial, self.header)
        self._journal = os.open(self._journal_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._noted = _read_journal(self._journal_path, self.header.count)

    def missing(self) -> list[tuple[int, int]]:
        """The ranges of rows that are not yet written."""
        gaps, at = [], 0
        for start, stop in sorted(self._noted):
            if start > at:
                gaps.append((at, start))
            at = max(at, stop)
        if at < self.header.count:
            gaps.append((at, self.header.count))
        return gaps

    def write(self, start: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write rows from `start` on: every dataset by its name, of equal length. Thread-safe."""
        rows = len(columns["sharp"])
        for name, place in self._places.items():
            data = np.ascontiguousarray(columns[name], place.dtype)
            if data.shape != (rows, *place.row_shape):
                raise InputError(
                    f"column '{name}' has the shape {data.shape}, {(rows, *place.row_shape)} is needed"
                )
            _write_all(self._file, data, place.offset + start * place.row_bytes, self.path)
        with self._lock:
            self._pending.append((start, start + rows))

    def checkpoint(self) -> None:
        """Bring what was written to the disk, then note it in the journal."""
        with self._lock:
            written, self._pending = self._pending, []
        if not written:
            return
        try:
            os.fdatasync(self._file)
            lines = "".join(f"{start} {stop}\n" for start, stop in written).encode()
            if os.write(self._journal, lines) != len(lines):
                raise OSError(None, "the journal could not be written in full")
            os.fdatasync(self._journal)
        except OSError as error:
            raise FileError(f"'{self._partial}' cannot be written: {_reason(error)}") from None
        self._noted += written

    def finish(self) -> None:
        """Check that the file is whole, and move it into place."""
        self.checkpoint()
        gaps = self.missing()
        if gaps:
            raise FileError(f"'{self._partial}' lacks the pairs {gaps[0][0]} to {gaps[0][1] - 1}")
        if _read_header(self._partial) != self.header or _places(self._partial, self.header) != self._places:
            raise FileError(f"'{self._partial}' was changed while it was written")
        try:
            os.fsync(self._file)
            self._partial.rename(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
            self._journal_path.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"'{self.path}' cannot be written: {_reason(error)}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
            else:
                self.checkpoint()
        finally:
            os.close(self._journal)
            os.close(self._file)


def _write_all(file: int, data: NDArray[Any], offset: int, path: Path) -> None:
    view = data.reshape(-1).view(np.uint8).data
    while view:
        try:
            written = os.pwrite(file, view, offset)
        except OSError as error:
            raise FileError(f"'{path}' cannot be written: {_reason(error)}") from None
        view, offset = view[written:], offset + written


def _read_journal(path: Path, count: int) -> list[tuple[int, int]]:
    """The noted ranges; a last line cut short by a crash does not count."""
    noted = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        words = line.split()
        if len(words) != 2 or not all(word.isdigit() for word in words):
            raise FileError(f"journal '{path}' is damaged: {line[:40]!r}; delete it to start afresh")
        start, stop = int(words[0]), int(words[1])
        if not start < stop <= count:
            raise FileError(f"journal '{path}' is damaged: rows {start} to {stop} of {count}")
        noted.append((start, stop))
    return noted


class Pair(NamedTuple):
    """One pair: images (H, W, C) and the drawn parameters."""

    sharp: NDArray[np.uint8]
    blurred: NDArray[np.uint8]
    params: dict[str, float | int]


class PairFile:
    """A pair file, open for reading: a memory map of its datasets.

    Opens lazily in each process and pickles as its path, so that workers of any kind can share it.

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
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.suffix == ".partial":
            raise FileError(f"'{self.path}' is still being made: run the command that began it again")
        self.header = _read_header(self.path)
        self._places = _places(self.path, self.header)
        self._maps: dict[str, NDArray[Any]] = {}

    def _column(self, name: str) -> NDArray[Any]:
        if name not in self._maps:
            place = self._places[name]
            shape = (self.header.count, *place.row_shape)
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
        return self._column("sharp")

    @property
    def blurred(self) -> NDArray[np.uint8]:
        """The blurred images."""
        return self._column("blurred")

    @property
    def params(self) -> dict[str, NDArray[Any]]:
        """The drawn parameters."""
        names = [name for name in self._places if name.startswith("params/")]
        return {name.removeprefix("params/"): self._column(name) for name in names}

    @property
    def source_index(self) -> NDArray[np.int64]:
        """Which image of the source each pair was made from."""
        return self._column("source_index")

    @property
    def label(self) -> NDArray[np.int64] | None:
        """The labels."""
        return self._column("label") if self.header.has_labels else None

    @property
    def psf(self) -> NDArray[np.float32] | None:
        """The PSFs."""
        return self._column("psf") if self.header.psf_size else None

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
            return Pair(self.sharp[key], self.blurred[key], params)
        params_of = {name: np.asarray(column[key]) for name, column in columns.items()}
        return Pairs(self.sharp[key], self.blurred[key], params_of)

    def __iter__(self) -> Iterator[Pair]:
        return (self[i] for i in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    def __repr__(self) -> str:
        height, width, channels = self.header.shape
        return (
            f"PairFile('{self.path}', {len(self)} pairs of {height}×{width}×{channels}, {self.recipe.name!r})"
        )


def open_pairs(path: str | os.PathLike[str]) -> PairFile:
    """Open a pair file for reading.

    Raises
    ------
    FileError
        If it is missing, damaged, no pair file, or of a newer format.
    """
    return PairFile(path)
