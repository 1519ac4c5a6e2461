"""PSFs that somebody measured, from a file."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.psf.sizes import MAX_SIZE
from blurgen.untrusted.bounds import RefusedError, check_growth
from blurgen.untrusted.mat import MatFile
from blurgen.untrusted.numpy_files import map_npy, npz_headers, read_npz

MOST_BYTES = 1 << 28
_PLANE_BYTES = 512  # of a PSF beside its values
_SIDES = f"1 to {MAX_SIZE} pixels a side are needed"
_READERS = ".npz, .npy, .mat and .png"


def load_psfs(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Read PSFs from a file and make each ready for use.

    Every two-dimensional array of a ``.npz`` or ``.mat`` (version 5) file is a PSF, in the order of their
    names (numbers in names counted as numbers); so are the slices along the first axis of a three-dimensional
    one. A ``.npy`` file holds one array, a ``.png`` file one gray PSF. Each is divided by its sum, and put
    into a common odd size with its centroid on the centre pixel, to the nearest pixel.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    ndarray
        float64, shape (n, k, k), k odd, each of sum 1.

    Raises
    ------
    InputError
        If the file is missing, unreadable or longer than 256 MiB, or a PSF is empty, negative, not finite, or
        larger than 4095 pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"PSF file '{path}': there is no such file")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"PSF file '{path}' is longer than {MOST_BYTES} bytes")
    try:
        arrays = _read(path)
        _check_number(path, arrays)
    except InputError:
        raise
    except Exception as error:  # readers of damaged files raise whatever they please
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"PSF file '{path}' cannot be read: {reason}") from error
    planes: list[tuple[str, NDArray[np.float64]]] = []
    for name, array in arrays:
        if array.dtype.kind in "fiub" and array.ndim == 2:
            planes.append((name, array.astype(np.float64)))
        elif array.dtype.kind in "fiub" and array.ndim == 3:
            planes += [(f"{name}[{i}]", plane.astype(np.float64)) for i, plane in enumerate(array)]
    if not planes:
        raise InputError(f"PSF file '{path}' holds no two- or three-dimensional array of numbers")
    for name, plane in planes:
        _check(path, name, plane)
    return _centred([plane for _, plane in planes], path)


def _read(path: Path) -> list[tuple[str, NDArray[Any]]]:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            headers = npz_headers(archive)
            _check_total(path, sum(math.prod(header.shape) for header in headers.values()))
            return sorted(((n, read_npz(archive, n, header)) for n, header in headers.items()), key=_natural)
    if suffix == ".npy":
        return [(path.stem, map_npy(path))]
    if suffix == ".mat":
        file = MatFile(path)
        numbers = {n: each for n, each in file.variables.items() if not each.odd}
        _check_total(path, sum(math.prod(each.shape) for each in numbers.values()))
        return sorted(((n, file.read(n)) for n in numbers), key=_natural)
    if suffix == ".png":
        from blurgen.untrusted.images import open_image

        with open_image(path.read_bytes(), ("PNG",)) as image:
            if max(image.size) > MAX_SIZE:
                size = f"{image.height}×{image.width} pixels"
                raise InputError(f"PSF file '{path}' has {size}; {MAX_SIZE} a side are the most")
            if image.mode not in ("L", "I", "I;16", "1"):
                raise InputError(f"PSF file '{path}' is not gray")
            return [(path.stem, np.asarray(image))]
    raise InputError(f"PSF file '{path}': {_READERS} files can be read")


def _check_total(path: Path, numbers: int) -> None:
    """See that all arrays together may be that many numbers, as float64."""
    check_growth("its arrays", 8 * numbers, path.stat().st_size)


def _check_number(path: Path, arrays: list[tuple[str, NDArray[Any]]]) -> None:
    """See that there are no more PSFs than the file may fill memory with, each taken by itself."""
    for name, array in arrays:
        if array.size == 0:
            raise InputError(f"{_where(path, name)} has the shape {array.shape}; {_SIDES}")
    number = sum(len(array) for _, array in arrays if array.ndim == 3)
    check_growth("its PSFs", _PLANE_BYTES * number, path.stat().st_size)


def _where(path: Path, name: str) -> str:
    return f"PSF '{name}' of '{path}'"


def _natural(item: tuple[str, Any]) -> list[tuple[int, int | str]]:
    import re

    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", item[0]) if part]


def _check(path: Path, name: str, plane: NDArray[np.float64]) -> None:
    where = _where(path, name)
    if max(plane.shape) > MAX_SIZE:
        raise InputError(f"{where} has the shape {plane.shape}; {_SIDES}")
    if not np.isfinite(plane).all():
        raise InputError(f"{where} holds NaN or infinite values")
    if (plane < 0).any():
        raise InputError(f"{where} holds negative values")
    if not np.isfinite(plane.sum()):
        raise InputError(f"{where} holds weights too large to add up")
    if plane.sum() <= 0:
        raise InputError(f"{where} is empty: its weights are all 0")


def _centred(planes: list[NDArray[np.float64]], path: Path) -> NDArray[np.float64]:
    placed = []
    reach = 0
    for plane in planes:
        weights = plane / plane.sum()
        rows, columns = np.nonzero(weights)
        values = weights[rows, columns]
        rows = rows - math.floor(math.fsum(rows * values) + 0.5)
        columns = columns - math.floor(math.fsum(columns * values) + 0.5)
        reach = max(reach, int(abs(rows).max()), int(abs(columns).max()))
        placed.append((rows, columns, values))
    try:
        check_growth("PSFs of one size", 8 * len(placed) * (2 * reach + 1) ** 2, path.stat().st_size)
    except RefusedError as error:
        raise InputError(f"PSF file '{path}': {error}") from None
    out = np.zeros((len(placed), 2 * reach + 1, 2 * reach + 1))
    for k, (rows, columns, values) in enumerate(placed):
        out[k, rows + reach, columns + reach] = values
    return out
