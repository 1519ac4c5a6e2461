"""Linear light, and highlights beyond what a sensor holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from blurgen import curves
from blurgen.distributions import AnyDistribution, Between, Constant
from blurgen.draws import Draws
from blurgen.loops import camera as loops
from blurgen.stages.base import (
    Columns,
    ImagePair,
    Images,
    ImageStage,
    Stage,
    apply_all,
    sample_all,
)
from blurgen.stages.combinators import (
    Maybe,
    OneOf,
    Shuffled,
    Stages,
    composed_psfs,
    composed_size,
)


def check_linear(stages: Sequence[Stage], where: str) -> None:
    """Refuse stages that cannot take linear light; `where` they would stand.

    Raises
    ------
    PydanticCustomError
        The message names the stage.
    """
    for stage in stages:
        if isinstance(stage, OneOf | Maybe | Shuffled):
            for order in stage.orders:
                check_linear(order, where)
        elif not stage.takes_floats:
            raise PydanticCustomError(
                "linear",
                "'{kind}' works on bytes, not on linear light, and cannot stand in '{where}'",
                {"kind": stage.kind, "where": where},
            )
        elif stage.changes_sharp:
            raise PydanticCustomError(
                "linear",
                "'{kind}' changes the sharp image too and cannot stand in '{where}'",
                {"kind": stage.kind, "where": where},
            )


def check_outside_linear(stages: Sequence[Stage]) -> None:
    """Refuse stages that work on linear light alone and stand elsewhere.

    Raises
    ------
    PydanticCustomError
        The message names the stage.
    """
    for stage in stages:
        if stage.only_floats:
            raise PydanticCustomError(
                "linear",
                "'{kind}' works on linear light: it must stand in 'linear'",
                {"kind": stage.kind},
            )
        if not isinstance(stage, Linear):
            for order in stage.orders:
                check_outside_linear(order)


class LightStage(ImageStage):
    """A stage that works on linear light only."""

    takes_floats = True
    only_floats = True


class Linear(Stage):
    """Stages on linear light: bytes become light by a curve, go through the stages, and become bytes again.

    Light is float32, 0 black, 255 white; what the stages leave beyond is clipped, and rounded half up on the
    curve, at the end. Bytes that the stages do not change come back as they were.

    Parameters
    ----------
    curve : str or mapping
        ``srgb`` (the default), ``{gamma: 2.2}`` or ``{response: FILE or list of numbers}``; see
        `blurgen.curves`.
    stages : list
        Stages that take linear light and leave the sharp image alone.
    """

    kind = "linear"
    curve: curves.AnyCurve = curves.Srgb()
    stages: Stages

    @model_validator(mode="after")
    def _check(self) -> Linear:
        check_linear(self.stages, self.kind)
        return self

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The shape that the stages give; InputError where the curve's file is missing or changed."""
        curves.tables(self.curve)
        for stage in self.stages:
            shape = stage.output_shape(shape)
        return shape

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """The columns of the stages."""
        return sample_all(self.stages, draws)

    @property
    def orders(self) -> list[Sequence[Stage]]:
        """The stages."""
        return [self.stages]

    @property
    def levels(self) -> int:
        """One more than those inside."""
        return 1 + max(stage.levels for stage in self.stages)

    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """The stages on the blurred images in linear light."""
        light = ImagePair(pair.sharp, curves.to_light(pair.blurred, self.curve))
        done = apply_all(self.stages, light, params, draws)
        return ImagePair(pair.sharp, curves.to_bytes(done.blurred, self.curve))

    @property
    def psf_size(self) -> int:
        """The stages' together."""
        return composed_size(self.stages)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The stages' PSFs, composed: those of the light, not of the bytes."""
        return composed_psfs(self.stages, params, draws)


class Highlights(LightStage):
    """Light that the sensor clipped, put back before a blur: light + 255·gain where a channel is saturated.

    With a blur behind it and the clipping of `linear` or `saturate`, this is blur(x) + gain·blur(M), M the
    mask of saturated pixels, of Rim et al. 2022 (RSBlur), whose gain is U(0.25, 1.75): lamps leave trails.
    The mask is made for each channel by itself.

    Parameters
    ----------
    gain : distribution
        How many times white is added, 0 … 100.
    level : distribution
        Linear light from which on a channel counts as saturated, 0 … 255; 255 by default.
    """

    kind = "highlights"
    gain: Annotated[AnyDistribution, Between(0, 100)]
    level: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=255.0)

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images with brighter highlights."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        count = len(images)
        more = (255.0 * params["gain"]).astype(np.float32)
        level = params["level"].astype(np.float32)
        loops.raise_highlights(images.reshape(count, -1), level, more, out.reshape(count, -1))
        return out


class Saturate(LightStage):
    """Light clipped to 0 … 255, as a sensor does, before the noise that follows."""

    kind = "saturate"

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The clipped images."""
        out: Images = np.clip(images, np.float32(0), np.float32(255))
        return out
