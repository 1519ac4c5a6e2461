"""Images in array files: MATLAB's ``.mat``, NumPy's ``.npy`` and ``.npz``, and HDF5.

============  =====================================================================
file          layouts
============  =====================================================================
npy, npz      ``(N, k²)``, ``(N, H, W)``, ``(N, H, W, C)``
hdf5          the same
mat           ``(N, k²)``, ``(H, W, N)``, ``(H, W, C, N)``, as MATLAB's ``size`` says them
============  =====================================================================

C is 1 or 3. A row of k² numbers is a square image, row after row: two dimensions always mean that, three
always mean gray images. MATLAB drops a last dimension of 1, so a single image has to be stored as a row, or
in another kind of file. `blurgen.sources.levels` says what the numbers may be.

``.npy`` and HDF5 are read in ranges as needed, the others once and whole. A file that may hold several arrays
needs no ``#NAME`` if one only has such a layout (vectors, such as labels, are never taken for images).
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import SourceError
from blurgen.sources.base import Source
from blurgen.sources.levels import check_dtype, find_white, to_bytes
from blurgen.sources.memory import MemorySource, content_sha256
from blurgen.sources.per_process import PerProcess
from blurgen.untrusted.hdf5 import check_filters, own_dataset
from blurgen.untrusted.mat import MatFile
from blurgen.untrusted.numpy_files import map_npy, npz_headers, read_npz

# "first": images along the first axis. "last": MATLAB, along the last. "reversed": MATLAB as HDF5 stores
# it, all axes in reverse.
Order = Literal["first", "last", "reversed"]

_LAYOUTS = {
    "first": "N×k², N×H×W and N×H×W×C",
    "last": "N×k², H×W×N and H×W×C×N",
    "reversed": "N×k², H×W×N and H×W×C×N",
}

_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"

# Bytes of an array that are looked at in one go.
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Layout:
    """How the images of an array lie in it: `count` of `shape` ``(H, W, C)``."""

    order: Order
    flat: bool
    count: int
    shape: tuple[int, int, int]

    def take(self, data: Any, start: int, stop: int) -> NDArray[Any]:
        """Images `start` to `stop` − 1 of `data`, which is sliced as NumPy would; ``(B, H, W, C)``."""
        if self.flat:
            part = data[:, start:stop].T if self.order == "reversed" else data[start:stop]
            return np.asarray(part).reshape(stop - start, *self.shape)
        part = np.asarray(data[..., start:stop] if self.order == "last" else data[start:stop])
        if part.ndim == 3:
            axes = {"first": (0, 1, 2), "last": (2, 0, 1), "reversed": (0, 2, 1)}[self.order]
            return part.transpose(axes)[..., np.newaxis]
        axes4 = {"first": (0, 1, 2, 3), "last": (3, 0, 1, 2), "reversed": (0, 3, 2, 1)}[self.order]
        return part.transpose(axes4)

    def chunks(self, data: Any) -> Iterator[NDArray[Any]]:
        """All images in order, some at a time."""
        step = max(1, _CHUNK // (math.prod(self.shape) * data.dtype.itemsize))
        for start in range(0, self.count, step):
            yield self.take(data, start, min(start + step, self.count))


def find_layout(shape: tuple[int, ...], order: Order) -> Layout | None:
    """Say how images lie in an array, or None if they cannot.

    Parameters
    ----------
    shape : tuple of int
        Of the array as Python sees it.
    order : {"first", "last", "reversed"}
        Where the file keeps the axis that counts images.
    """
    logical = _logical(shape, order)
    if len(logical) == 2:
        side = math.isqrt(logical[1])
        if side * side != logical[1]:
            return None
        return Layout(order, True, logical[0], (side, side, 1))
    if len(logical) not in (3, 4):
        return None
    if order != "first":
        logical = (logical[-1], *logical[:-1])
    height, width, channels = (*logical[1:], 1)[:3]
    if channels not in (1, 3):
        return None
    return Layout(order, False, logical[0], (height, width, channels))


class ArrayFileSource(Source):
    """Images of an array in a file, read in ranges.

    Parameters
    ----------
    name : str
        What was asked for.
    open_data : callable
        Opens the file and gives something that slices as an array does; has to pickle.
    """

    def __init__(self, name: str, open_data: Callable[[], Any]) -> None:
        self._data = PerProcess(open_data)
        data = self._data.get()
        self._layout = _check_layout(data.shape, data.dtype, "first", name)
        with _readable(name):
            self._white = find_white(data.dtype, self._layout.chunks(data), name)
            bytes_of = (to_bytes(chunk, self._white) for chunk in self._layout.chunks(data))
            self.sha256 = content_sha256((self._layout.count, *self._layout.shape), bytes_of)
        self.name = name
        self.options = {}
        self.shape = self._layout.shape
        self.length = self._layout.count

    def _read(self, start: int, stop: int) -> NDArray[np.uint8]:
        with _readable(self.name):
            values = self._layout.take(self._data.get(), start, stop)
            images = to_bytes(values, self._white)
        return images.copy() if np.may_share_memory(images, values) else images


def open_npy(name: str, path: Path) -> ArrayFileSource:
    """Open a NumPy file, memory-mapped.

    Parameters
    ----------
    name : str
        What was asked for.
    path : Path
        The ``.npy`` file.

    Returns
    -------
    ArrayFileSource
        Its images.

    Raises
    ------
    SourceError
        If the file is absent, truncated, holds Python objects, or holds no images.
    """
    return ArrayFileSource(name, partial(_open_npy, path))


def open_npz(name: str, path: Path, array: str | None = None) -> MemorySource:
    """Open an array in a NumPy archive.

    Parameters
    ----------
    name : str
        What was asked for.
    path : Path
        The ``.npz`` file.
    array : str, optional
        Which array; needed where several could be images.

    Returns
    -------
    MemorySource
        Its images.

    Raises
    ------
    SourceError
        If the file or array is absent or damaged, holds Python objects, or holds no images.
    """
    with _readable(path):
        if _starts_with(path, _NPY):
            raise SourceError(f"{path} is one array, no archive: open it as 'npy:{path}'")
        with zipfile.ZipFile(path) as archive:
            headers = npz_headers(archive)
            chosen = _choose(path, array, {each: header.shape for each, header in headers.items()}, "first")
            data = read_npz(archive, chosen, headers[chosen])
    return _in_memory(name, data, "first")


def open_mat(name: str, path: Path, variable: str | None = None) -> MemorySource:
    """Open a variable of a MATLAB file, version 4 to 7.3.

    Parameters
    ----------
    name : str
        What was asked for.
    path : Path
        The ``.mat`` file.
    variable : str, optional
        Which variable; needed where several could be images.

    Returns
    -------
    MemorySource
        Its images. A logical variable gives black and white.

    Raises
    ------
    SourceError
        If the file or variable is absent or damaged, or holds no images.
    """
    with _readable(path):
        with path.open("rb") as file:
            # Version 7.3 is HDF5 behind 512 bytes of MATLAB's own.
            is_hdf5 = b"\x89HDF\r\n\x1a\n" in file.read(1024)
        data = _read_mat73(path, variable) if is_hdf5 else _read_mat5(path, variable)
    return _in_memory(name, data, "reversed" if is_hdf5 else "last")


def open_hdf5(name: str, path: Path, dataset: str | None = None) -> ArrayFileSource:
    """Open a dataset of an HDF5 file.

    Parameters
    ----------
    name : str
        What was asked for.
    path : Path
        The file.
    dataset : str, optional
        Which dataset, e.g. ``"train/sharp"``; needed where several could be images.

    Returns
    -------
    ArrayFileSource
        Its images, read in ranges; each process opens the file for itself.

    Raises
    ------
    SourceError
        If the file or dataset is absent or damaged, or holds no images.
    """
    with _readable(path), _hdf5(path) as file:
        chosen = _choose(path, dataset, _hdf5_shapes(file), "first")
    return ArrayFileSource(name, partial(_open_hdf5, path, chosen))


def _open_npy(path: Path) -> NDArray[Any]:
    with _readable(path):
        if _starts_with(path, _ZIP):
            raise SourceError(f"{path} is an archive of arrays: open it as 'npz:{path}'")
        return map_npy(path)


def _open_hdf5(path: Path, dataset: str) -> Any:
    with _readable(path):
        return _dataset(_hdf5(path), dataset)


def _hdf5(path: Path) -> Any:
    import h5py

    # Registers the compressions beyond HDF5's own, where installed.
    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401

    return h5py.File(path, "r")


def _dataset(file: Any, name: str) -> Any:
    dataset = own_dataset(file, name)
    check_filters(dataset)
    return dataset


def _hdf5_shapes(file: Any) -> dict[str, tuple[int, ...]]:
    import h5py

    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: Any) -> None:
        # Names with # are MATLAB's own bookkeeping.
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):
            shapes[name] = item.shape or ()

    file.visititems(note)
    return shapes


def _read_mat73(path: Path, variable: str | None) -> NDArray[Any]:
    with _hdf5(path) as file:
        chosen = _choose(path, variable, _hdf5_shapes(file), "reversed")
        item = _dataset(file, chosen)
        check_dtype(item.dtype, f"{path}#{chosen}")
        data: NDArray[Any] = item[()]
        # MATLAB stores logical as uint8, and says so only here.
        return data.astype(bool) if item.attrs.get("MATLAB_class") == b"logical" else data


def _read_mat5(path: Path, variable: str | None) -> NDArray[Any]:
    file = MatFile(path)
    images = {name: each for name, each in file.variables.items() if each.odd in ("", "sparse")}
    if variable in file.variables:
        images[variable] = file.variables[variable]
    shapes = {name: each.shape for name, each in images.items()}
    chosen = _choose(path, variable, shapes, "last")
    if file.variables[chosen].odd == "sparse":
        raise SourceError(f"{path}: {chosen} is sparse; store full({chosen})")
    return file.read(chosen)


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _choose(path: Path, wanted: str | None, shapes: dict[str, tuple[int, ...]], order: Order) -> str:
    """Find the array that is meant among those of a file."""
    logical = {each: _logical(shape, order) for each, shape in sorted(shapes.items())}
    held = ", ".join(f"{each} ({_times(shape)})" for each, shape in logical.items()) or "nothing"
    if wanted is not None:
        found = wanted.strip("/")
        if found not in shapes:
            raise SourceError(f"{path} holds no '{wanted}'; it holds {held}")
        return found
    vectors = {each for each, shape in shapes.items() if len(shape) == 2 and 1 in shape}
    fitting = [each for each in shapes if each not in vectors and find_layout(shapes[each], order)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise SourceError(f"{path} holds no array of images, laid out {_LAYOUTS[order]}; it holds {held}")
    raise SourceError(f"{path} holds several arrays of images, add #NAME to choose one of: {held}")


def _logical(shape: tuple[int, ...], order: Order) -> tuple[int, ...]:
    """Give the shape as the program that wrote the file says it."""
    return shape[::-1] if order == "reversed" else shape


def _check_layout(shape: tuple[int, ...], dtype: np.dtype[Any], order: Order, what: str) -> Layout:
    layout = find_layout(shape, order)
    if layout is None:
        logical = _logical(shape, order)
        hint = ""
        if len(logical) == 2 and math.isqrt(logical[0]) ** 2 == logical[0]:
            hint = "; its transpose would do"
        raise SourceError(f"{what} is {_times(logical)}; allowed are {_LAYOUTS[order]} with C 1 or 3{hint}")
    if layout.count == 0 or 0 in layout.shape:
        raise SourceError(f"{what} holds no images: it is {_times(_logical(shape, order))}")
    check_dtype(dtype, what)
    return layout


def _in_memory(name: str, data: NDArray[Any], order: Order) -> MemorySource:
    layout = _check_layout(data.shape, data.dtype, order, name)
    white = find_white(data.dtype, layout.chunks(data), name)
    images = np.empty((layout.count, *layout.shape), np.uint8)
    start = 0
    for chunk in layout.chunks(data):
        images[start : start + len(chunk)] = to_bytes(chunk, white)
        start += len(chunk)
    return MemorySource(name, {}, images)


@contextlib.contextmanager
def _readable(what: Path | str) -> Iterator[None]:
    """Say in our terms why a file cannot be read."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        # on damaged files, zipfile and h5py let nearly anything pass: zlib.error, RuntimeError, TypeError, …
        reason = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
        if isinstance(error, FileNotFoundError):
            path, _, name = str(what).rpartition(":")
            reason += f"; did you mean {path}#{name}?" if path and Path(path).is_file() else ""
        raise SourceError(f"{what} cannot be read: {reason}") from error


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single value"
