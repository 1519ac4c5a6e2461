"""Tone curves: how much linear light a byte stands for, and which byte an amount of light becomes.

In YAML::

    curve: srgb
    curve: {gamma: 2.2}
    curve: {response: camera.txt}
    curve: {response: [0, 0.4, 0.7, 0.9, 1]}

Light is on the scale of bytes: 0 is black, 255 white. A byte b stands for the light that the curve gives it;
light becomes the byte b whose values b − ½ … b + ½ it lies among (rounded half up), so that bytes survive the
way to light and back, whatever the curve.
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from blurgen.distributions import tidy
from blurgen.errors import InputError
from blurgen.loops import curves as loops
from blurgen.untrusted.bounds import RefusedError, read_named
from blurgen.untrusted.numpy_files import npy_header

_MOST_POINTS = 4096  # with more, neighbouring bytes could fall upon one float32
_MOST_BYTES = 1 << 20
_NEEDED = f"2 to {_MOST_POINTS} finite, strictly increasing numbers are needed"


class Curve(BaseModel, ABC):
    """A strictly increasing curve through black (0, 0) and white (1, 1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def light(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Linear light of encoded values, both 0 … 1, shape (n,)."""


class Srgb(Curve):
    """The curve of sRGB (IEC 61966-2-1): E/12.92 up to 0.04045, else ((E + 0.055)/1.055)^2.4."""

    def light(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Linear light of sRGB values."""
        out = np.empty_like(encoded)
        loops.fill_srgb_light(encoded, out)
        return out


class Gamma(Curve):
    """Light is E^γ; GoPro's and many a camera's in the literature: γ = 2.2.

    Parameters
    ----------
    gamma : float
        0.1 … 10.
    """

    gamma: Annotated[float, Field(strict=True, ge=0.1, le=10, allow_inf_nan=False)]

    def light(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """The γ-th power."""
        out = np.empty_like(encoded)
        loops.fill_powers(encoded, self.gamma, out)
        return out


class Response(Curve):
    """A camera's response: what it makes of equally spaced light, from black to white.

    Between the points the curve is straight; the first is taken for black, the last for white, whatever
    the values' scale.

    Parameters
    ----------
    response : list of float, or str
        2 to 4096 strictly increasing numbers, or a ``.npy`` or text file of them, found from the folder that
        one works in.
    sha256 : str
        Hash of the file, filled in when it is read: a recipe that carries it refuses a file that changed.
    """

    response: str | tuple[float, ...]
    sha256: str = ""

    def light(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of the response."""
        values = self.values()
        values = (values - values[0]) / (values[-1] - values[0])
        place = np.clip(np.searchsorted(values, encoded, side="right") - 1, 0, values.size - 2)
        low, high = values[place], values[place + 1]
        out: NDArray[np.float64] = (place + (encoded - low) / (high - low)) / (values.size - 1)
        return out

    def values(self) -> NDArray[np.float64]:
        """The numbers; InputError where there are too few, they do not increase, or the file changed."""
        if not isinstance(self.response, str):
            return _checked(np.array(self.response, np.float64), "response")
        content = _content(self.response)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InputError(f"response file '{self.response}' is not the one that the recipe was made with")
        return _numbers(self.response, content)


def _content(path: str) -> bytes:
    try:
        return read_named(Path(path), _MOST_BYTES)
    except (OSError, RefusedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"response file '{path}' cannot be read: {reason}") from None


def _numbers(path: str, content: bytes) -> NDArray[np.float64]:
    try:
        if path.lower().endswith(".npy"):
            npy_header(io.BytesIO(content))  # which sees to what NumPy would build
            values = np.load(io.BytesIO(content), allow_pickle=False)
        else:
            values = np.array(content.decode().split(), np.float64)
        values = values.astype(np.float64).ravel()
    except (ValueError, TypeError, EOFError):
        raise InputError(f"response file '{path}' holds no numbers; {_NEEDED}") from None
    return _checked(values, f"response file '{path}'")


def _checked(values: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    if not 2 <= values.size <= _MOST_POINTS:
        raise InputError(f"{what} has {values.size} numbers; {_NEEDED}")
    if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        raise InputError(f"{what} does not increase everywhere; {_NEEDED}")
    return values


def _response(value: dict[str, Any]) -> Response:
    given = value["response"]
    if isinstance(given, list | tuple) and all(type(number) in (int, float) for number in given):
        curve = Response.model_validate({**value, "response": [float(number) for number in given]})
        curve.values()
    elif isinstance(given, str) and given:
        curve = Response.model_validate(value)
        if not curve.sha256:  # else a recipe that was read before: the file is needed when it is used
            curve = Response(response=given, sha256=hashlib.sha256(_content(given)).hexdigest())
            curve.values()
    else:
        raise InputError(f"response {given!r}: a file or a list of numbers is needed")
    return curve


def parse(value: Any) -> Curve:
    """A curve from what stands in a recipe."""
    if isinstance(value, Curve):
        return value
    if value == "srgb":
        return Srgb()
    if isinstance(value, dict) and "gamma" in value:
        return Gamma.model_validate(value)
    if not isinstance(value, dict) or "response" not in value:
        raise PydanticCustomError("curve", "no curve; srgb, gamma or response is needed")
    try:
        return _response(value)
    except InputError as error:
        raise PydanticCustomError("curve", "{what}", {"what": str(error)}) from None


class _AsWritten:
    """How pydantic reads, writes and describes a curve: as it stands in YAML."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            parse, serialization=core_schema.plain_serializer_function_ser_schema(cls._plain)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"const": "srgb"}, *(curve.model_json_schema() for curve in (Gamma, Response))]}

    @staticmethod
    def _plain(value: Curve) -> Any:
        return "srgb" if isinstance(value, Srgb) else tidy(value.model_dump(exclude_defaults=True))


AnyCurve = Annotated[Curve, _AsWritten]


class Tables(NamedTuple):
    """A curve made ready for the loops; see `blurgen.loops.curves.to_bytes`."""

    light: NDArray[np.float32]
    edges: NDArray[np.int32]
    cells: NDArray[np.uint8]
    lowest: np.int32
    white: np.int32
    steps: int


@lru_cache(maxsize=8)
def tables(curve: Curve) -> Tables:
    """The light of each byte, and the edges between the bytes.

    Raises
    ------
    InputError
        If the curve's file is missing or changed.
    """
    levels = np.arange(256, dtype=np.float64)
    light = (255.0 * curve.light(levels / 255.0)).astype(np.float32)
    exact = 255.0 * curve.light((levels[:-1] + 0.5) / 255.0)
    # the least float32 that is not below each edge, but for the rounding errors of the edge
    rounded = exact.astype(np.float32)
    short = rounded < exact * (1.0 - 1e-13)
    rounded = np.where(short, np.nextafter(rounded, np.float32(np.inf)), rounded)
    edges = np.append(rounded.view(np.int32), np.int32(np.iinfo(np.int32).max))
    white = np.float32(255.0).view(np.int32)
    lowest = edges[0] - 1 >> loops.CELL_BITS << loops.CELL_BITS  # a cell that begins black
    starts = np.arange(lowest, white + 1, 1 << loops.CELL_BITS)
    cells = np.searchsorted(edges, starts, side="right")
    steps = int(np.diff(np.append(cells, 255)).max())
    return Tables(light, edges, cells.astype(np.uint8), np.int32(lowest), np.int32(white), steps)


def to_light(images: NDArray[np.uint8], curve: Curve) -> NDArray[np.float32]:
    """Bytes as linear light: float32 of the images' shape, 0 … 255."""
    out = np.empty(images.shape, np.float32)
    loops.to_light(np.ascontiguousarray(images).reshape(-1), tables(curve).light, out.reshape(-1))
    return out


def to_bytes(images: NDArray[np.float32], curve: Curve) -> NDArray[np.uint8]:
    """Linear light as bytes: clipped to 0 … 255, rounded half up in the curve's terms."""
    _, edges, cells, lowest, white, steps = tables(curve)
    out = np.empty(images.shape, np.uint8)
    bits = np.ascontiguousarray(images).view(np.int32).reshape(-1)
    loops.to_bytes(bits, edges, cells, lowest, white, steps, out.reshape(-1))
    return out
