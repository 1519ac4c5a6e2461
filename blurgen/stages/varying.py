"""Blurs that differ from place to place."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from blurgen import psf
from blurgen.convolution import Border, border_map, convolve_checked
from blurgen.distributions import AnyDistribution, Between, Constant, reference
from blurgen.draws import Draws
from blurgen.loops import varying as loops
from blurgen.loops.vectors import LANES
from blurgen.psf.disk import disk_size
from blurgen.stages.base import Columns, Images, ImageStage, PsfStage, Stage, columns_of, stage_from
from blurgen.varying import convolve_varying_checked, rounding

_STEP = 0.5  # pixels that the outermost pixel moves at most between two samples
_FULL_TURN = 360.0
_RADIAN = 0.017453292519943295
_FARTHEST_RADIUS = 32.0


def _psf_stage(item: Any) -> Stage:
    try:
        stage = stage_from(item)
    except PydanticCustomError as error:
        raise PydanticCustomError("stage", "blur{what}", {"what": error.message()}) from None
    if not isinstance(stage, PsfStage):
        raise PydanticCustomError(
            "stage", "blur: '{kind}' is no blur by one PSF for the whole image", {"kind": stage.kind}
        )
    return stage


Blur = Annotated[
    PsfStage,
    BeforeValidator(_psf_stage),
    PlainSerializer(lambda stage: {stage.kind: stage.body()}),
    WithJsonSchema(reference("Stage")),
]


class _BlurWithin(ImageStage):
    """A stage that uses the PSFs of a blur inside it."""

    takes_floats = True
    one_psf = False
    blur: Blur

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape; InputError where the blur cannot take it."""
        return self.blur.output_shape(shape)

    @property
    def levels(self) -> int:
        """One more than the blur's."""
        return 1 + self.blur.levels

    def _sampled(self, place: int, draws: Draws) -> dict[str, NDArray[Any]]:
        """The blur's own columns at a place, ``place.kind.parameter``."""
        own = self.blur.sample(draws.stage(place))
        return {f"{place}.{self.blur.kind}.{name}": column for name, column in own.items()}

    def _psfs(self, place: int, params: Columns, draws: Draws) -> NDArray[np.float32]:
        return self.blur.psfs(columns_of(place, self.blur, params), draws.stage(place))


class Varying(_BlurWithin):
    """Blur by a grid of PSFs, each drawn for itself, that pass over into one another.

    See `blurgen.varying.convolve_varying` for the formula. Cell r · columns + c records its parameters as
    ``cell.kind.parameter``.

    Parameters
    ----------
    blur : stage
        A blur by one PSF, such as ``{motion: {length: 9, angle: {uniform: [0, 360]}}}``; its border is the
        whole stage's.
    rows, columns : int
        Cells of the grid, 1 … 7 each.
    """

    kind = "varying"
    rows: Annotated[int, Field(strict=True, ge=1, le=7)]
    columns: Annotated[int, Field(strict=True, ge=1, le=7)]

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """The columns of all cells."""
        columns: dict[str, NDArray[Any]] = {}
        for cell in range(self.rows * self.columns):
            columns.update(self._sampled(cell, draws))
        return columns

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The blurred images."""
        cells = [self._psfs(cell, params, draws) for cell in range(self.rows * self.columns)]
        size = self.blur.psf_size
        grids = np.stack(cells, axis=1).reshape(-1, self.rows, self.columns, size, size)
        return convolve_varying_checked(np.ascontiguousarray(images), grids, self.blur.border)


class ObjectMotion(_BlurWithin):
    """Blur one object, of random smooth outline, before the sharp background: as when the object moves.

    With the mask m of the object in the image f, the result is ``k∗(m·f) + (1 − k∗m)·f``: the light of the
    object is spread by the PSF k, and covers the background as long as the object was there. What the object
    uncovers as it moves is not known: there the image itself, the object's own sharp pixels, stands for the
    background.

    The outline has the radius ``r·(1 + Σ a_k cos kφ + b_k sin kφ)``, k = 2 … 5, a_k and b_k drawn evenly from
    ±roughness/(2.57·k), so that the radius stays within r·(1 ± roughness). The coefficients are the draws
    16 … 23 of the stage, the blur's parameters are recorded as ``0.kind.parameter``.

    Parameters
    ----------
    blur : stage
        A blur by one PSF.
    centre_x, centre_y : distribution
        The object's centre, as a share of width and height, 0 … 1.
    size : distribution
        The mean radius r, as a share of the shorter side, 0.01 … 1.
    roughness : distribution
        0 … 0.9; 0 (the default) is a disc.
    softness : distribution
        Over how many pixels the mask falls from 1 to 0, 1 … 100; default 1.
    """

    kind = "object_motion"
    centre_x: Annotated[AnyDistribution, Between(0, 1)]
    centre_y: Annotated[AnyDistribution, Between(0, 1)]
    size: Annotated[AnyDistribution, Between(0.01, 1)]
    roughness: Annotated[AnyDistribution, Between(0, 0.9)] = Constant(constant=0.0)
    softness: Annotated[AnyDistribution, Between(1, 100)] = Constant(constant=1.0)

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """The columns of the object, then those of the blur."""
        return {**super().sample(draws), **self._sampled(0, draws)}

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images with the object blurred."""
        images = np.ascontiguousarray(images)
        count, height, width, channels = images.shape
        layers = np.empty((count, height, width, channels + 1), np.float32)
        loops.object_layers(
            images,
            _centres(params, height, width),
            params["size"] * min(height, width),
            self._waves(params, draws),
            params["softness"],
            layers,
        )
        blurred = convolve_checked(layers, self._psfs(0, params, draws), self.blur.border)
        out = np.empty_like(images)
        loops.compose(images, blurred, *rounding(images), out)
        return out

    def _waves(self, params: Columns, draws: Draws) -> NDArray[np.float64]:
        waves = np.empty((len(draws), 2 * loops.HARMONICS))
        greatest = 2.0 * sum(1.0 / k for k in range(2, 2 + loops.HARMONICS))
        for n in range(2 * loops.HARMONICS):
            amplitude = params["roughness"] / (greatest * (2 + n // 2))
            waves[:, n] = amplitude * (2.0 * draws.uniform(_OUTLINE + n) - 1.0)
        return waves


class _Path(ImageStage):
    """A stage that averages an image over the path of each pixel during the exposure."""

    takes_floats = True
    one_psf = False
    border: Border = "replicate"

    @abstractmethod
    def _motion(self, params: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of a pixel that is 1 from the centre: its path's length, and how far it gets from its place."""

    @abstractmethod
    def _fill(self, params: Columns, first: NDArray[np.int64], turns: NDArray[np.float64]) -> None:
        """Fill the steps ``first[n] … first[n + 1] − 1`` of each image."""

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images, averaged over the exposure."""
        images = np.ascontiguousarray(images)
        _, height, width, _ = images.shape
        centres = _centres(params, height, width)
        # of the farthest corner
        dx = np.maximum(centres[:, 0], width - 1 - centres[:, 0])
        dy = np.maximum(centres[:, 1], height - 1 - centres[:, 1])
        distance = np.sqrt(dx * dx + dy * dy)
        length, farthest = self._motion(params)
        steps = 1 + np.ceil(distance * length / _STEP).astype(np.int64)
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(steps)])
        turns = np.empty((first[-1], 2))
        self._fill(params, first, turns)
        # beyond the farthest pixel what the last vector of a row takes along
        reach = int(np.ceil(np.max(distance * farthest))) + LANES
        out = np.empty_like(images)
        loops.along_paths(
            images,
            centres,
            first,
            turns,
            border_map(height, reach, self.border),
            border_map(width, reach, self.border),
            reach,
            *rounding(images),
            out,
        )
        return out


class Roll(_Path):
    """Camera roll: the image turns about a point during the exposure, evenly.

    The mean over the exposure of the image turned by −angle/2 … angle/2, so that it does not turn on the
    whole: ``(1/n)·Σ_i f(c + R(angle·((i + ½)/n − ½))·(p − c))``, i = 0 … n − 1, f interpolated bilinearly,
    R(θ) a turn. n is 1 + ⌈2·L⌉ for the arc of L pixels of the corner that is farthest from the centre c, so
    that nothing moves more than ½ pixel a step. Each pixel is blurred along its own arc.

    Parameters
    ----------
    angle : distribution
        Degrees that the image turns by, 0 … 30.
    centre_x, centre_y : distribution
        What it turns about, as a share of width and height, 0 … 1; default ½. The share s lies at
        ``s·width − ½``, pixels' centres being whole.
    border : str
        See `blurgen.convolve`.
    """

    kind = "roll"
    angle: Annotated[AnyDistribution, Between(0, 30)]
    centre_x: Annotated[AnyDistribution, Between(0, 1)] = Constant(constant=0.5)
    centre_y: Annotated[AnyDistribution, Between(0, 1)] = Constant(constant=0.5)

    def _motion(self, params: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        angles = params["angle"] * _RADIAN
        return angles, 0.5 * angles

    def _fill(self, params: Columns, first: NDArray[np.int64], turns: NDArray[np.float64]) -> None:
        loops.roll_steps(params["angle"] * _RADIAN, first, turns)


class ZoomMotion(_Path):
    """Zoom during the exposure: the image grows about a point, evenly in the logarithm.

    The mean over the exposure of the image magnified by ``factor^(−½) … factor^½``:
    ``(1/n)·Σ_i f(c + (p − c)/factor^((i + ½)/n − ½))``, i = 0 … n − 1, f interpolated bilinearly. n is
    1 + ⌈2·L⌉ for L = (√factor − 1/√factor) · the distance of the corner that is farthest from the centre c.
    Each pixel is blurred along the line through it and c.

    Parameters
    ----------
    factor : distribution
        Magnification at the end over that at the beginning, 1 … 2.
    centre_x, centre_y : distribution
        As of `Roll`.
    border : str
        See `blurgen.convolve`.
    """

    kind = "zoom_motion"
    factor: Annotated[AnyDistribution, Between(1, 2)]
    centre_x: Annotated[AnyDistribution, Between(0, 1)] = Constant(constant=0.5)
    centre_y: Annotated[AnyDistribution, Between(0, 1)] = Constant(constant=0.5)

    def _motion(self, params: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        root = np.sqrt(params["factor"])
        return root - 1.0 / root, root - 1.0

    def _fill(self, params: Columns, first: NDArray[np.int64], turns: NDArray[np.float64]) -> None:
        loops.zoom_steps(params["factor"], first, turns)


class DepthBlur(ImageStage):
    """Defocus of a tilted plane: a disc whose radius changes over the image.

    The depth's reciprocal, and with it the signed radius of a plane's circle of confusion, is linear in the
    image: ``near + (far − near)·t``, t being 0 in the corner (or on the edge) that lies farthest against the
    direction `angle`, 1 in that farthest along it. Radii of opposite signs put a line of sharp focus between.

    Each pixel gathers light by its own PSF: of the discs (see `Disk`) with radii of ½, ¾, 1, 1¼ … pixels the
    linear mix of the two next to its radius; up to a radius of ½ it stays. As light is gathered, not
    scattered, what is constant stays so, while the sum over an image is kept only where the radius is
    constant, and what is near does not spread over what is in focus.

    Parameters
    ----------
    near, far : distribution
        Radii in pixels, −32 … 32.
    angle : distribution
        Degrees, anticlockwise from the x axis: where `far` lies.
    border : str
        See `blurgen.convolve`.
    """

    kind = "depth_blur"
    takes_floats = True
    one_psf = False
    near: Annotated[AnyDistribution, Between(-_FARTHEST_RADIUS, _FARTHEST_RADIUS)]
    far: Annotated[AnyDistribution, Between(-_FARTHEST_RADIUS, _FARTHEST_RADIUS)]
    angle: Annotated[AnyDistribution, Between(-_FULL_TURN, _FULL_TURN)]
    border: Border = "replicate"

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The blurred images."""
        images = np.ascontiguousarray(images)
        _, height, width, _ = images.shape
        greatest = max(float(np.max(abs(params["near"]))), float(np.max(abs(params["far"]))))
        discs = _discs(max(0, math.ceil(greatest * loops.RADII) - loops.FIRST_RADIUS) + 1)
        reach = discs.shape[1] // 2
        out = np.empty_like(images)
        loops.mixed_discs(
            images,
            params["near"],
            params["far"],
            params["angle"] * _RADIAN,
            discs,
            border_map(height, reach, self.border),
            border_map(width, reach, self.border),
            reach,
            *rounding(images),
            out,
        )
        return out


@lru_cache(maxsize=8)
def _discs(count: int) -> NDArray[np.float32]:
    """The first discs of `loops.mixed_discs`, (count, k, k)."""
    radii = (loops.FIRST_RADIUS + np.arange(count)) / loops.RADII
    return psf.disk_batch(radii, disk_size(float(radii[-1])))


_OUTLINE = 16  # the first of the draws of an object's outline


def _centres(params: Columns, height: int, width: int) -> NDArray[np.float64]:
    """The points (x, y) at the shares centre_x and centre_y, in pixels, shape (B, 2)."""
    return np.stack([params["centre_x"] * width - 0.5, params["centre_y"] * height - 0.5], axis=1)
