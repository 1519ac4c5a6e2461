"""Parts of a camera: what its sensor and its lens do to linear light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from blurgen.distributions import AnyDistribution, Between, Constant
from blurgen.draws import Draws
from blurgen.errors import InputError
from blurgen.loops import camera as loops
from blurgen.stages.base import Columns, ImagePair, Images, ImageStage, Stage, apply_all, sample_all
from blurgen.stages.combinators import Stages, composed_size, without_one_psf
from blurgen.stages.light import check_linear

Pattern = Literal["RGGB", "BGGR", "GRBG", "GBRG"]
_Row = tuple[
    Annotated[float, Field(allow_inf_nan=False, strict=True)],
    Annotated[float, Field(allow_inf_nan=False, strict=True)],
    Annotated[float, Field(allow_inf_nan=False, strict=True)],
]
Matrix = tuple[_Row, _Row, _Row]
_PATTERN_DRAW = 2  # after those of the two gains
_LEAST_VOLUME = 1e-3  # of the rows' directions; with less, the inverse magnifies noise a thousandfold


def _cofactors(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    return (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )


def _determinant(m: Matrix) -> float:
    return sum(m[0][k] * _cofactors(m)[k][0] for k in range(3))


class Sensor(Stage):
    """Stages on the raw data of a colour sensor: one colour a pixel, before white balance.

    Linear RGB → colours of the camera by `matrix` → mosaic by a Bayer pattern → divided by the gains of white
    balance → `stages`, which see one channel → times the gains → missing colours interpolated → RGB by the
    inverse matrix. The noise of a raw image becomes what cameras make of it: strong in red and blue, and
    correlated between neighbours and colours (Brooks et al. 2019; Rim et al. 2022). Stands in `linear`.

    Colours are interpolated beyond the image's borders as if it were mirrored about its outermost pixels.

    Parameters
    ----------
    red_gain, blue_gain : distribution
        Gains of white balance, green's being 1: 0.1 … 10; 1 by default.
    patterns : list of str
        Bayer patterns, the colours of the four pixels in the upper left corner row by row: ``RGGB``,
        ``BGGR``, ``GRBG``, ``GBRG``; one is drawn, each equally likely, and recorded as `pattern`, its place
        in the list. All four by default.
    matrix : list
        Colours of the camera from RGB, three rows of three numbers; none by default.
    demosaic : str
        ``malvar`` (the default), the 5 × 5 linear filters of Malvar, He and Cutler (ICASSP 2004), or
        ``bilinear``.
    stages : list
        Stages that take linear light, leave the sharp image alone, and do not blur.
    """

    kind = "sensor"
    takes_floats = True
    only_floats = True
    red_gain: Annotated[AnyDistribution, Between(0.1, 10)] = Constant(constant=1.0)
    blue_gain: Annotated[AnyDistribution, Between(0.1, 10)] = Constant(constant=1.0)
    patterns: Annotated[tuple[Pattern, ...], Field(min_length=1)] = ("RGGB", "BGGR", "GRBG", "GBRG")
    matrix: Matrix | None = None
    demosaic: Literal["malvar", "bilinear"] = "malvar"
    stages: Stages

    @model_validator(mode="after")
    def _check(self) -> Sensor:
        check_linear(self.stages, self.kind)
        if composed_size(self.stages) > 1 or without_one_psf(self.stages):
            raise PydanticCustomError("sensor", "a blur cannot stand in 'sensor', where it would mix colours")
        if self.matrix is not None:
            size = 1.0
            for row in self.matrix:
                size *= max(abs(number) for number in row)
            if abs(_determinant(self.matrix)) <= _LEAST_VOLUME * size:
                raise PydanticCustomError("matrix", "matrix: three rows that differ more are needed")
        return self

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape; InputError where the images are gray or smaller than the pattern."""
        height, width, channels = shape
        if channels != 3 or min(height, width) < 2:
            raise InputError(
                f"stage 'sensor' needs colour images of at least 2×2 pixels, these are "
                f"{height}×{width}×{channels}"
            )
        for stage in self.stages:
            stage.output_shape((height, width, 1))
        return shape

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Columns red_gain, blue_gain and pattern, and those of the stages."""
        pattern = draws.below(_PATTERN_DRAW, len(self.patterns))
        return {**super().sample(draws), "pattern": pattern, **sample_all(self.stages, draws)}

    @property
    def orders(self) -> list[Sequence[Stage]]:
        """The stages."""
        return [self.stages]

    @property
    def levels(self) -> int:
        """One more than those inside."""
        return 1 + max(stage.levels for stage in self.stages)

    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """The stages on the mosaic of the blurred images."""
        images = np.ascontiguousarray(pair.blurred)
        layouts = np.array([["RGB".index(c) for c in name] for name in self.patterns])[params["pattern"]]
        gains = np.ones((len(images), 3), np.float32)
        gains[:, 0], gains[:, 2] = params["red_gain"], params["blue_gain"]
        there, back = self._matrices
        mosaic = np.empty((*images.shape[:3], 1), np.float32)
        loops.mosaic(images, there, layouts, gains, mosaic.reshape(images.shape[:3]))
        done = apply_all(self.stages, ImagePair(pair.sharp, mosaic), params, draws)
        out = np.empty_like(images)
        planes = np.ascontiguousarray(done.blurred).reshape(images.shape[:3])
        loops.demosaic(planes, layouts, gains, self.demosaic == "malvar", back, out)
        return ImagePair(pair.sharp, out)

    @property
    def _matrices(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The matrix and its inverse; empty where there is none."""
        if self.matrix is None:
            return np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)
        inverse = np.array(_cofactors(self.matrix)) / _determinant(self.matrix)
        return np.array(self.matrix, np.float32), inverse.astype(np.float32)


class Vignetting(ImageStage):
    """Light that falls off towards the corners as cos⁴ of the angle to the lens's axis.

    With r the distance from the centre and R that of the corner pixels, values are multiplied by
    (1 + k·(r/R)²)⁻², which is cos⁴ of arctan(√k·r/R), k = (1 − strength)^−½ − 1. True to optics in `linear`;
    of bytes the values themselves are multiplied, and rounded half up.

    Parameters
    ----------
    strength : distribution
        The share that the corner pixels lose, 0 … 0.99.
    """

    kind = "vignetting"
    takes_floats = True
    strength: Annotated[AnyDistribution, Between(0, 0.99)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images, darker outwards."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        curvature = 1.0 / np.sqrt(1.0 - params["strength"]) - 1.0
        darken = loops.vignette_floats if images.dtype == np.float32 else loops.vignette_bytes
        count, height, width, channels = images.shape
        rows = (count, height, width * channels)
        darken(images.reshape(rows), (height, width, channels), curvature, out.reshape(rows))
        return out
