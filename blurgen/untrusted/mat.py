"""MATLAB's ``.mat`` files of version 4 to 7: what they hold, and one array of numbers at a time.

SciPy reads them, too, but decompresses whatever it is given, and a file can be written that ends its process.
Here, a compressed element is unpacked to the length that it says of itself and no further, and nothing but
arrays of real numbers is decoded.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from blurgen.untrusted.bounds import RefusedError, check_growth

_HEADER5 = 128
_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32, _UTF8 = 1, 5, 6, 16  # some programs write the unsigned ones where MATLAB does not
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_ODD = {1: "a cell array", 2: "a struct", 3: "an object", 4: "text", 5: "sparse", 16: "a function"}
_OPAQUE = 17
_COMPLEX, _LOGICAL = 0x800, 0x200
_TYPES4 = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}
_ODD4 = {1: "text", 2: "sparse"}
_PEEK = 4096  # unpacked bytes in which an element has said its class, dimensions and name


@dataclass(frozen=True)
class Variable:
    """One variable of a file.

    Attributes
    ----------
    name : str
        Its name.
    shape : tuple of int
        As MATLAB's ``size`` says it.
    odd : str
        What it is that is no array of real numbers; empty for those.
    dtype : dtype
        What its numbers are once read, however they are stored.
    start, stop : int
        Where its element lies in the file, without the tag in front.
    packed : bool
        Whether that is compressed.
    """

    name: str
    shape: tuple[int, ...]
    odd: str
    dtype: np.dtype[Any]
    start: int
    stop: int
    packed: bool = False


class MatFile:
    """The directory of a file.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    variables : dict
        `Variable` by name.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(4)
            # version 4 begins with a small number, later ones with text
            self._is_old = len(first) == 4 and 0 in first
            self._order = _order4(first) if self._is_old else _order5(file)
            walk = _walk4 if self._is_old else _walk5
            self.variables = {each.name: each for each in walk(file, size, self._order)}

    def read(self, name: str) -> NDArray[Any]:
        """The array of numbers of that name; doubles as doubles, however they are stored.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If the array is damaged, larger than the file may fill, or no array of real numbers.
        """
        variable = self.variables[name]
        if variable.odd:
            raise ValueError(f"{name} is {variable.odd}, no array of real numbers")
        count = math.prod(variable.shape)
        held = variable.stop - variable.start
        check_growth(f"array '{name}'", count * variable.dtype.itemsize, held)
        with self._path.open("rb") as file:
            file.seek(variable.start)
            element = file.read(held)
        if variable.packed:
            element = _unpacked(name, element, self._order)
        stored, data = _stored4(element, self._order) if self._is_old else _stored5(element, self._order)
        if len(data) != count * stored.itemsize:
            raise ValueError(f"{name} is damaged: {len(data)} bytes for {_times(variable.shape)} numbers")
        numbers = np.frombuffer(data, stored).reshape(variable.shape, order="F")
        with np.errstate(invalid="ignore", over="ignore"):  # a class that cannot hold what is stored
            return numbers.astype(variable.dtype)


def _unpacked(name: str, element: bytes, order: str) -> bytes:
    """What is in a compressed element, as far as its own tag says."""
    try:
        unpacker = zlib.decompressobj()
        tag = unpacker.decompress(element, 8)
        length = struct.unpack(f"{order}II", tag)[1]
        check_growth(f"array '{name}'", length, len(element))
        body = unpacker.decompress(unpacker.unconsumed_tail, length) if length else b""
        more = unpacker.decompress(unpacker.unconsumed_tail, 1)
    except (zlib.error, struct.error) as error:
        raise ValueError(f"{name} is damaged: {error}") from error
    if len(body) != length or more or not unpacker.eof:
        raise RefusedError(f"{name} is not unpacked to the {length} bytes that it says")
    return body


def _order5(file: BinaryIO) -> str:
    file.seek(0)
    header = file.read(_HEADER5)
    if len(header) < _HEADER5:
        raise ValueError("it is no MATLAB file: too short")
    order = {b"IM": "<", b"MI": ">"}.get(header[126:])
    if order is None or struct.unpack(f"{order}H", header[124:126])[0] >> 8 != 1:
        raise ValueError("it is no MATLAB file of version 4 to 7.3")
    return order


def _walk5(file: BinaryIO, size: int, order: str) -> Iterator[Variable]:
    place = _HEADER5
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack(f"{order}II", file.read(8))
        start, stop = place + 8, place + 8 + length
        if length == 0 or stop > size:
            raise ValueError(f"it is damaged: an element of {length} bytes at {place} of {size}")
        head = file.read(min(length, _PEEK))
        if kind == _COMPRESSED:
            try:
                head = zlib.decompressobj().decompress(head, _PEEK)[8:]
            except zlib.error as error:
                raise ValueError(f"it is damaged: {error}") from error
        elif kind != _MATRIX:
            raise ValueError(f"it is damaged: an element of type {kind} at {place}")
        found = _described(head, order, start, stop, kind == _COMPRESSED)
        if found is not None:
            yield found
        place = stop


def _described(head: bytes, order: str, start: int, stop: int, packed: bool) -> Variable | None:
    """What the beginning of a matrix says of it; None for MATLAB's own, which have no name."""
    flags, dimensions, letters, _ = _parts(head, order)
    word = struct.unpack(f"{order}II", flags)[0]
    kind = word & 0xFF
    name = letters.decode("latin1")
    if kind == _OPAQUE or not name:
        return None
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    if not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise ValueError(f"it is damaged: '{name}' has {len(shape)} dimensions, {_times(shape[:4])}")
    odd = "" if kind in _CLASSES else _ODD.get(kind, f"of the unknown class {kind}")
    if word & _COMPLEX:
        odd = odd or "complex"
    dtype = np.dtype(bool if word & _LOGICAL else _CLASSES.get(kind, "u1"))
    return Variable(name, shape, odd, dtype, start, stop, packed)


def _parts(body: bytes, order: str) -> tuple[bytes, bytes, bytes, bytes]:
    """A variable's flags, dimensions and name, and what follows."""
    _, flags, body = _element(body, order, (_UINT32,))
    if len(flags) != 8:
        raise ValueError("it is damaged: a variable without its class")
    if struct.unpack(f"{order}II", flags)[0] & 0xFF == _OPAQUE:
        return flags, b"", b"", b""  # it goes on in a way of its own
    _, dimensions, body = _element(body, order, (_INT32, _UINT32))
    _, name, body = _element(body, order, (_INT8, _UTF8))
    return flags, dimensions[: len(dimensions) // 4 * 4], name, body


def _stored5(body: bytes, order: str) -> tuple[np.dtype[Any], bytes]:
    """The numbers of a variable as they are stored."""
    kind, data, _ = _element(_parts(body, order)[3], order, tuple(_STORED))
    return np.dtype(f"{order}{_STORED[kind]}"), data


def _element(head: bytes, order: str, expected: tuple[int, ...]) -> tuple[int, bytes, bytes]:
    """The type and bytes of the first part of a variable, and what follows; short ones lie in their tag."""
    if len(head) < 8:
        raise ValueError("it is damaged: a variable that ends early")
    kind, length = struct.unpack(f"{order}II", head[:8])
    short = kind >> 16
    if short:
        kind, length, start, stop = kind & 0xFFFF, short, 4, 8
    else:
        start, stop = 8, 8 + length + -length % 8
    if kind not in expected or start + length > min(stop, len(head)):
        raise ValueError(f"it is damaged: a part of type {kind} and {length} bytes")
    return kind, head[start : start + length], head[stop:]


def _order4(first: bytes) -> str:
    return "<" if 0 <= struct.unpack("<i", first)[0] <= 5000 else ">"


def _walk4(file: BinaryIO, size: int, order: str) -> Iterator[Variable]:
    place = 0
    while place < size:
        file.seek(place)
        kind, rows, columns, is_complex, letters = _head4(file.read(20), order)
        numbers = rows * columns * (2 if is_complex else 1)
        stop = place + 20 + letters + numbers * np.dtype(_TYPES4[kind // 10 % 10]).itemsize
        if stop > size:
            raise ValueError(f"it is damaged: a variable of {rows}×{columns} at {place} of {size} bytes")
        name = file.read(letters).strip(b"\0").decode("latin1")
        odd = _ODD4.get(kind % 10, "complex" if is_complex else "")
        yield Variable(name, (rows, columns), odd, np.dtype("f8"), place, stop)
        place = stop


def _head4(head: bytes, order: str) -> tuple[int, int, int, int, int]:
    if len(head) < 20:
        raise ValueError(f"it is damaged: {len(head)} bytes of a header")
    kind, rows, columns, is_complex, letters = struct.unpack(f"{order}5i", head[:20])
    known = kind // 10 % 10 in _TYPES4 and kind // 1000 == (order == ">") and kind % 10 <= 2
    if not known or rows < 0 or columns < 0 or is_complex not in (0, 1) or letters < 1:
        raise ValueError(f"it is no MATLAB file, or damaged: a header of {kind}, {rows}×{columns}")
    return kind, rows, columns, is_complex, letters


def _stored4(element: bytes, order: str) -> tuple[np.dtype[Any], bytes]:
    kind, _, _, _, letters = _head4(element, order)
    return np.dtype(f"{order}{_TYPES4[kind // 10 % 10]}"), element[20 + letters :]


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
