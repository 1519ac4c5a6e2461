"""NumPy's ``.npy`` and ``.npz``: never with pickles, and no array that is larger than its file may fill."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurgen.untrusted.bounds import RefusedError, check_growth

_HEAD = 12 + 10_000  # the longest header that NumPy parses, and what stands before it


class NpyHeader(NamedTuple):
    """What an ``.npy`` file says of its array, and where the array begins."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def npy_header(file: IO[bytes]) -> NpyHeader:
    """What an ``.npy`` file, open at its beginning, says of its array.

    Raises
    ------
    ValueError
        If that is damaged, or the array holds Python objects.
    """
    head = io.BytesIO(file.read(_HEAD))
    try:
        version = np.lib.format.read_magic(head)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(head)
    except (TypeError, SyntaxError, RecursionError, MemoryError, OverflowError) as error:
        # NumPy lets through what Python's parser says of a header that is no literal
        raise ValueError(f"its header is damaged: {error}") from error
    if dtype.hasobject:
        raise ValueError("Object arrays are not loaded: that would run what the file says")
    if min(shape, default=0) < 0:
        raise ValueError(f"its header is damaged: an array of shape {shape}")
    return NpyHeader(shape, dtype, head.tell())


def map_npy(path: Path) -> NDArray[Any]:
    """The array of an ``.npy`` file, memory-mapped.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged, truncated, or holds Python objects.
    """
    with path.open("rb") as file:
        header = npy_header(file)
    held = path.stat().st_size - header.offset
    if header.size > held:
        raise ValueError(f"it is truncated: {held} bytes follow its header, which says {header.size}")
    if header.size == 0:
        return np.empty(header.shape, header.dtype)  # nothing can be mapped
    return np.lib.format.open_memmap(path, mode="r")


def npz_headers(archive: zipfile.ZipFile) -> dict[str, NpyHeader]:
    """The arrays of an open ``.npz`` archive by their names.

    Raises
    ------
    ValueError, zipfile.BadZipFile, RuntimeError, …
        If one of them is damaged: zipfile lets pass what its decompressors say.
    """
    headers = {}
    for member in archive.namelist():
        if member.endswith(".npy"):
            with archive.open(member) as file:
                headers[member.removesuffix(".npy")] = npy_header(file)
    return headers


def read_npz(archive: zipfile.ZipFile, name: str, header: NpyHeader) -> NDArray[Any]:
    """The array `name` of an open archive, of which `npz_headers` gave the header.

    Raises
    ------
    RefusedError
        If it is larger than its member may fill.
    ValueError, zipfile.BadZipFile, RuntimeError, …
        If it is damaged.
    """
    member = archive.getinfo(f"{name}.npy")
    check_growth(f"array '{name}'", header.size, member.compress_size)
    if member.file_size != header.offset + header.size:
        raise RefusedError(
            f"array '{name}' takes {header.size} bytes after its header, the archive holds "
            f"{member.file_size - header.offset}"
        )
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
