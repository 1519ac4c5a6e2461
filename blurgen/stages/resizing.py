"""Changes of scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from blurgen.distributions import AnyDistribution, Between
from blurgen.draws import Draws
from blurgen.errors import InputError
from blurgen.loops import resample as loops
from blurgen.stages.base import (
    Columns,
    ImagePair,
    Images,
    ImageStage,
    Stage,
    apply_all,
    sample_all,
)
from blurgen.stages.combinators import Stages

Filter = Literal["bilinear", "bicubic", "area"]
Filters = Annotated[tuple[Filter, ...], Field(min_length=1, max_length=60)]

_NUMBER_OF = {"bilinear": loops.BILINEAR, "bicubic": loops.BICUBIC, "area": loops.AREA}
_BYTES = (np.float32(0.5), np.float32(0.0), np.float32(255.0))
_FLOATS = (np.float32(0.0), np.float32(-np.inf), np.float32(np.inf))
_LARGEST = 1 << 14  # side in pixels
_NAMES = 16  # the first parameter number of the names; fields have lower ones


def _numbers(filters: Sequence[Filter]) -> NDArray[np.int64]:
    return np.array([_NUMBER_OF[name] for name in filters])


def _rounding(images: Images) -> tuple[np.float32, np.float32, np.float32]:
    return _BYTES if images.dtype == np.uint8 else _FLOATS


def scaled(side: int, scale: NDArray[np.float64]) -> NDArray[np.int64]:
    """A side of `side` pixels by factors: rounded down, but at least 1.

    A billionth of a pixel is added, so that side · (1 / n) is what side / n is.
    """
    return np.maximum(1, np.floor(side * scale + 1e-9).astype(np.int64))


def resized(images: Images, size: tuple[int, int], name: Filter) -> Images:
    """Images (B, H, W, C), uint8 or float32, brought to `size` (H, W); see `blurgen.loops.resample`."""
    images = np.ascontiguousarray(images)
    out = np.empty((len(images), *size, images.shape[3]), images.dtype)
    loops.resample_all(images, _NUMBER_OF[name], *_rounding(images), out)
    return out


class Pixelate(ImageStage):
    """Shrink the image and enlarge it again, so that squares are left of it.

    The small sides are ⌊scale · side⌋, at least 1. With ``bilinear``, both steps are bilinear interpolation
    without antialiasing (``cv2.resize`` with its default), each within 1 level of OpenCV's. With ``box``, the
    image is shrunk by means of whole pixels and enlarged by repeating them, as Pillow's ``resize`` does with
    ``BOX``, byte for byte; ImageNet-C (Hendrycks & Dietterich 2019) has that.

    Parameters
    ----------
    scale : distribution
        Small side over side, 10⁻⁴ … 1; 1 changes nothing. For one pixel in n: ``{reciprocal: …}``.
    filter : str
        ``bilinear`` (the default) or ``box``.
    """

    kind = "pixelate"
    one_psf = False
    scale: Annotated[AnyDistribution, Between(1e-4, 1)]
    filter: Literal["bilinear", "box"] = "bilinear"

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The pixelated images."""
        images = np.ascontiguousarray(images)
        heights = scaled(images.shape[1], params["scale"])
        widths = scaled(images.shape[2], params["scale"])
        out = np.empty_like(images)
        if self.filter == "box":
            loops.boxes_and_back(images, heights, widths, out)
        else:
            bilinear = np.full(len(images), loops.BILINEAR)
            loops.there_and_back(images, heights, widths, bilinear, bilinear, *_BYTES, out)
        return out


class ResizeAndBack(ImageStage):
    """Bring the image to another size and back, each by one of several filters, equally likely.

    ``bilinear`` and ``bicubic`` (a = −¾) interpolate between the pixels' middles, without antialiasing;
    ``area`` takes means over the new pixels' areas. These are ``cv2.resize``'s, each within 1 level, but for
    ``area`` where one side shrinks and the other grows (OpenCV interpolates both), and where a side grows
    such that edges of new and old pixels coincide (OpenCV's rounding takes single pixels from aside there).

    Parameters
    ----------
    scale : distribution
        The other size over the image's, 10⁻⁴ … 16; sides are rounded down, but at least 1.
    down, up : list of str
        The filters of the way there and of the way back, ``bilinear``, ``bicubic``, ``area``; by default all.
        The number of the drawn one in the list is recorded.
    """

    kind = "resize_and_back"
    one_psf = False
    takes_floats = True
    scale: Annotated[AnyDistribution, Between(1e-4, 16)]
    down: Filters = ("bilinear", "bicubic", "area")
    up: Filters = ("bilinear", "bicubic", "area")

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Columns scale, down and up."""
        down, up = draws.below(_NAMES, len(self.down)), draws.below(_NAMES + 1, len(self.up))
        return {**super().sample(draws), "down": down, "up": up}

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images after both steps."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        loops.there_and_back(
            images,
            scaled(images.shape[1], params["scale"]),
            scaled(images.shape[2], params["scale"]),
            _numbers(self.down)[params["down"]],
            _numbers(self.up)[params["up"]],
            *_rounding(images),
            out,
        )
        return out


class Resize(Stage):
    """Bring the blurred image to another size, by one of several filters, equally likely; inside `rescaled`.

    For the filters see `ResizeAndBack`. Where the size stays, so does the image.

    Parameters
    ----------
    scale : distribution
        The new size over the old, 10⁻⁴ … 16; sides are rounded down, but at least 1 and at most 16384.
    filters : list of str
        ``bilinear``, ``bicubic``, ``area``; by default all. The number of the drawn one is recorded as
        ``filter``.
    of : str
        What `scale` is relative to: ``original`` (the default), the size that entered `rescaled`, or
        ``current``, the size that earlier stages left.
    """

    kind = "resize"
    one_psf = False
    takes_floats = True
    scale: Annotated[AnyDistribution, Between(1e-4, 16)]
    filters: Filters = ("bilinear", "bicubic", "area")
    of: Literal["original", "current"] = "original"

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """InputError: only `rescaled`, which does not ask, can hold it."""
        raise InputError("stage 'resize' changes the blurred image's size: it must stand in 'rescaled'")

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Columns scale and filter."""
        return {**super().sample(draws), "filter": draws.below(_NAMES, len(self.filters))}

    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """Resize the one blurred image; the sharp one, which nothing changes here, has the old size."""
        height, width = (pair.sharp if self.of == "original" else pair.blurred).shape[1:3]
        size = (
            min(int(scaled(height, params["scale"])[0]), _LARGEST),
            min(int(scaled(width, params["scale"])[0]), _LARGEST),
        )
        name = self.filters[int(params["filter"][0])]
        return ImagePair(pair.sharp, resized(pair.blurred, size, name))


def _with_inner(stages: Sequence[Stage]) -> Iterator[Stage]:
    """The stages and those inside of combinators."""
    for stage in stages:
        yield stage
        for order in stage.orders:
            yield from _with_inner(order)


def _check_shape(stages: Sequence[Stage], shape: tuple[int, int, int]) -> None:
    """Ask every stage but `resize` whether it takes the shape."""
    for stage in stages:
        if not any(isinstance(inner, Resize) for inner in _with_inner([stage])):
            stage.output_shape(shape)
        for order in stage.orders:
            _check_shape(order, shape)


class Rescaled(Stage):
    """Stages during which the blurred image may have other sizes; at the end it has its own again.

    `resize` changes the size. If at the end it is not the original one, the image is resized to that by one
    of the filters `back`, equally likely. Samples go through the stages one by one, as their sizes differ.

    Parameters
    ----------
    back : list of str
        ``bilinear``, ``bicubic``, ``area``; by default all. The number of the drawn one is recorded.
    stages : list
        The stages; none may change the sharp image.
    """

    kind = "rescaled"
    one_psf = False
    back: Filters = ("bilinear", "bicubic", "area")
    stages: Stages

    @model_validator(mode="after")
    def _check(self) -> Rescaled:
        for stage in _with_inner(self.stages):
            if stage.changes_sharp or isinstance(stage, Rescaled):
                why = "changes the sharp image too" if stage.changes_sharp else "holds sizes of its own"
                raise PydanticCustomError(
                    "rescaled",
                    "'{kind}' {why} and cannot stand in 'rescaled'",
                    {"kind": stage.kind, "why": why},
                )
        return self

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape; InputError where a stage cannot take it."""
        _check_shape(self.stages, shape)
        return shape

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Column back, and those of the stages."""
        return {"back": draws.below(_NAMES, len(self.back)), **sample_all(self.stages, draws)}

    @property
    def orders(self) -> list[Sequence[Stage]]:
        """The stages."""
        return [self.stages]

    @property
    def levels(self) -> int:
        """One more than those inside."""
        return 1 + max(stage.levels for stage in self.stages)

    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """The stages on each sample by itself."""
        out = np.empty_like(pair.blurred)
        height, width = out.shape[1:3]
        for n in range(len(out)):
            row = slice(n, n + 1)
            one = ImagePair(pair.sharp[row], pair.blurred[row])
            own = {name: column[row] for name, column in params.items()}
            blurred = apply_all(self.stages, one, own, draws.rows(np.array([n]))).blurred
            out[n] = resized(blurred, (height, width), self.back[int(params["back"][n])])[0]
        return ImagePair(pair.sharp, out)
