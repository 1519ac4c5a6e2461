"""The compressions that a pair file may have: what HDF5 calls them, and chunks compressed on our threads."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.untrusted.bounds import RefusedError

_GZIP_LEVEL = 4
_ZSTD_LEVEL = 3
_ZSTD_FILTER = 32015  # as registered with The HDF Group


@dataclass(frozen=True)
class Codec:
    """One compression.

    Attributes
    ----------
    filter_id : int or str
        What h5py's ``create_dataset`` takes for `compression`.
    options : Any
        What it takes for `compression_opts`.
    compress : callable
        Bytes of a chunk to the bytes that the filter undoes; releases the GIL.
    """

    filter_id: int | str
    options: Any
    compress: Callable[[NDArray[np.uint8]], bytes]


def _gzip(data: NDArray[np.uint8]) -> bytes:
    return zlib.compress(data.data, _GZIP_LEVEL)


def _lzf(data: NDArray[np.uint8]) -> bytes:
    from blurgen.loops.lzf import compress

    out = np.empty(data.size + data.size // 32 + 4, np.uint8)
    return out[: compress(data, out)].tobytes()


def _zstd(data: NDArray[np.uint8]) -> bytes:
    import zstandard

    return bytes(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(data.data))


COMPRESSIONS = ("gzip", "lzf", "zstd")


def codec(name: str) -> Codec:
    """The compression of that name.

    Raises
    ------
    InputError
        If there is none of that name, or what it needs is not installed.
    """
    if name == "gzip":
        return Codec("gzip", _GZIP_LEVEL, _gzip)
    if name == "lzf":
        return Codec("lzf", None, _lzf)
    if name == "zstd":
        register_filters()
        return Codec(_ZSTD_FILTER, (_ZSTD_LEVEL,), _zstd)
    raise InputError(f"compression {name!r}: {', '.join(COMPRESSIONS)} are allowed")


def register_filters() -> None:
    """Teach HDF5 zstd.

    Raises
    ------
    InputError
        If the packages for it are not installed.
    """
    try:
        import hdf5plugin
        import zstandard  # noqa: F401 – to see that it is there
    except ImportError:
        raise InputError("compression 'zstd' needs two more packages: pip install 'blurgen[zstd]'") from None
    assert hdf5plugin.FILTERS["zstd"] == _ZSTD_FILTER


_FILTERS = {1: "gzip", 32000: "lzf", _ZSTD_FILTER: "zstd"}


def name_of_filter(dataset: Any) -> str:
    """The compression of an h5py dataset; empty where it has none.

    Raises
    ------
    RefusedError
        If it has a filter that is none of ours.
    """
    creation = dataset.id.get_create_plist()
    names = [_FILTERS.get(creation.get_filter(i)[0], "") for i in range(creation.get_nfilters())]
    if "" in names or len(names) > 1:
        raise RefusedError(f"dataset '{dataset.name}' has filters that blurgen does not use")
    return names[0] if names else ""
