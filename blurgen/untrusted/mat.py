"""MATLAB's ``.mat`` files of version 4 to 7: what they hold, and one array of numbers at a time.

SciPy decodes the arrays, but would decompress whatever it is given and follow any length. So the elements of
a file are walked here, a compressed one is unpacked to the length that it says of itself and no further, and
SciPy gets a file of that one element.
"""

from __future__ import annotations

import io
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
_NUMERIC = {6: 8, 7: 4, 8: 1, 9: 1, 10: 2, 11: 2, 12: 4, 13: 4, 14: 8, 15: 8}  # class: bytes of a number
_OTHERS = {
    1: "a cell array",
    2: "a struct",
    3: "an object",
    4: "text",
    5: "sparse",
    16: "a function",
    17: "opaque",
}
_TYPES4 = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}
_KINDS4 = {1: "text", 2: "sparse"}
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
        What it is that is no array of numbers; empty for those.
    wanted : int
        Bytes that its numbers take.
    start, stop : int
        Where its element lies in the file, without the tag in front.
    packed : bool
        Whether that is compressed.
    """

    name: str
    shape: tuple[int, ...]
    odd: str
    wanted: int
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
            If the array is damaged, larger than the file may fill, or no array of numbers.
        """
        variable = self.variables[name]
        if variable.odd:
            raise ValueError(f"{name} is {variable.odd}, no array of numbers")
        check_growth(f"array '{name}'", variable.wanted, variable.stop - variable.start)
        with self._path.open("rb") as file:
            lead = b"" if self._is_old else file.read(_HEADER5)
            file.seek(variable.start)
            element = file.read(variable.stop - variable.start)
        if variable.packed:
            element = _unpacked(name, element, self._order)
        elif not self._is_old:
            lead += struct.pack(f"{self._order}II", _MATRIX, len(element))
        return _decoded(lead + element, name)


def _decoded(content: bytes, name: str) -> NDArray[Any]:
    from scipy import io as scipy_io

    try:
        # with mat_dtype, double stays double: MATLAB's file stores whole doubles as bytes, to save space
        found: dict[str, Any] = scipy_io.loadmat(io.BytesIO(content), mat_dtype=True)  # type: ignore[arg-type]
        return np.asarray(found[name])
    except Exception as error:
        # on damaged files, loadmat lets nearly anything pass: TypeError, KeyError, …
        raise ValueError(f"{name} is damaged: {error}") from error


def _unpacked(name: str, element: bytes, order: str) -> bytes:
    """A compressed element, unpacked as far as its own tag says."""
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
    return tag + body


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
    flags, head = _element(head, order, (_UINT32,))
    if len(flags) != 8:
        raise ValueError("it is damaged: a variable without its class")
    word = struct.unpack(f"{order}II", flags)[0]
    kind, is_complex = word & 0xFF, bool(word & 0x800)
    if kind == 17:
        return None
    dimensions, head = _element(head, order, (_INT32, _UINT32))
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions[: len(dimensions) // 4 * 4])
    if not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise ValueError(f"it is damaged: a variable of {len(shape)} dimensions, {shape[:4]}")
    name = _element(head, order, (_INT8, _UTF8))[0].decode("latin1")
    if not name:
        return None
    # SciPy makes doubles of all that it reads by mat_dtype but what is kept in a smaller class
    wanted = math.prod(shape) * _NUMERIC.get(kind, 1) * (2 if is_complex else 1)
    odd = "" if kind in _NUMERIC else _OTHERS.get(kind, f"of the unknown class {kind}")
    return Variable(name, shape, odd, wanted, start, stop, packed)


def _element(head: bytes, order: str, expected: tuple[int, ...]) -> tuple[bytes, bytes]:
    """The first part of a variable, and what follows it; short ones lie within their tag."""
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
    return head[start : start + length], head[stop:]


def _order4(first: bytes) -> str:
    return "<" if 0 <= struct.unpack("<i", first)[0] <= 5000 else ">"


def _walk4(file: BinaryIO, size: int, order: str) -> Iterator[Variable]:
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(20)
        if len(head) < 20:
            raise ValueError(f"it is damaged: {len(head)} bytes of a header at {place}")
        kind, rows, columns, is_complex, letters = struct.unpack(f"{order}5i", head)
        width = _TYPES4.get(kind // 10 % 10)
        if (
            width is None
            or kind % 10 > 2
            or rows < 0
            or columns < 0
            or is_complex not in (0, 1)
            or letters < 1
        ):
            raise ValueError(
                f"it is no MATLAB file, or damaged: a header of {kind}, {rows}×{columns} at {place}"
            )
        numbers = rows * columns * (2 if is_complex else 1)
        stop = place + 20 + letters + numbers * width
        if stop > size:
            raise ValueError(f"it is damaged: a variable of {rows}×{columns} at {place} of {size} bytes")
        name = file.read(letters).strip(b"\0").decode("latin1")
        yield Variable(name, (rows, columns), _KINDS4.get(kind % 10, ""), numbers * 8, place, stop)
        place = stop
