"""Changes of geometry; they change the sharp image too."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from blurgen.distributions import AnyDistribution, Between, Constant
from blurgen.draws import Draws
from blurgen.errors import InputError
from blurgen.loops import geometry as loops
from blurgen.loops import warp
from blurgen.loops.psf import arctangent
from blurgen.stages.base import Columns, Images, ImageStage
from blurgen.stages.resizing import resized

_CORNERS = ("top_left", "top_right", "bottom_right", "bottom_left")
_LONGEST = 1 << 14

Side = Annotated[int, Field(strict=True, ge=1, le=_LONGEST)]
Margin = Annotated[int, Field(strict=True, ge=0, le=_LONGEST)]


class Turn(ImageStage):
    """Turn the image by quarter turns anticlockwise, the sharp one too.

    Parameters
    ----------
    quarters : distribution
        How many quarter turns, whole, 0 … 3. Odd ones need square images.
    """

    kind = "turn"
    changes_sharp = True
    quarters: Annotated[AnyDistribution, Between(0, 3, whole=True)]

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape; InputError where the images are not square."""
        height, width, _ = shape
        if height != width:
            raise InputError(f"stage 'turn' needs square images, these are {height}×{width}")
        return shape

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The turned images."""
        images = np.ascontiguousarray(images)
        out = images.copy()
        loops.turn(images, params["quarters"], out)
        return out


class Flip(ImageStage):
    """Mirror the image, the sharp one too.

    Parameters
    ----------
    horizontal : distribution
        1 where left and right are exchanged, else 0; 0 by default.
    vertical : distribution
        1 where top and bottom are exchanged, else 0; 0 by default.
    """

    kind = "flip"
    changes_sharp = True
    horizontal: Annotated[AnyDistribution, Between(0, 1, whole=True)] = Constant(constant=0.0)
    vertical: Annotated[AnyDistribution, Between(0, 1, whole=True)] = Constant(constant=0.0)

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The mirrored images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        loops.flip(images, params["horizontal"], params["vertical"], out)
        return out


class _InGrey(ImageStage):
    """A stage that shows what lies beyond the image, which is of the drawn level `grey`."""

    changes_sharp = True

    @property
    def _replicates(self) -> bool:
        return False

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """A column for each parameter; the grey level is rounded down."""
        columns = super().sample(draws)
        columns["grey"] = np.floor(columns["grey"])
        return columns

    def _warped(
        self, images: Images, maps: NDArray[np.float64], params: Columns, size: tuple[int, int]
    ) -> Images:
        images = np.ascontiguousarray(images)
        out = np.empty((len(images), *size, images.shape[3]), np.uint8)
        warp.warp(images, maps, self._replicates, params["grey"].astype(np.uint8), out)
        return out

    def _placed(
        self, images: Images, shape: tuple[int, int, int], corner: tuple[int, int], params: Columns
    ) -> Images:
        images = np.ascontiguousarray(images)
        out = np.empty((len(images), *shape), np.uint8)
        loops.place(images, *corner, self._replicates, params["grey"].astype(np.uint8), out)
        return out


class _InBorder(_InGrey):
    """A stage that shows what lies beyond the image: its outermost pixels, or a drawn level."""

    border: Literal["replicate", "constant"] = "replicate"

    @model_validator(mode="after")
    def _check_grey(self) -> _InBorder:
        if self.border == "replicate" and self.distribution("grey") != Constant(constant=0.0):
            raise PydanticCustomError(
                "grey", "grey is what a border that is constant shows: set border: constant"
            )
        return self

    @property
    def _replicates(self) -> bool:
        return self.border == "replicate"


class Rotate(_InBorder):
    """Turn the image about its middle, by bilinear interpolation, the sharp one too.

    Parameters
    ----------
    angle : distribution
        Degrees, anticlockwise, −10⁶ … 10⁶. Multiples of 90 turn square images exactly as `turn` does.
    grey : distribution
        Level of what lies beyond the image where the border is constant, 0 … 255, rounded down; 0 by default.
    border : str
        ``replicate`` (the outermost pixels) or ``constant``.
    """

    kind = "rotate"
    angle: Annotated[AnyDistribution, Between(-1e6, 1e6)]
    grey: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=0.0)

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The turned images."""
        height, width = images.shape[1:3]
        maps = np.empty((len(images), 9))
        warp.rotations(params["angle"], height, width, maps)
        return self._warped(images, maps, params, (height, width))


class Perspective(_InBorder):
    """Move each corner of the image inwards at random, by bilinear interpolation, the sharp one too.

    Each corner moves by ``strength`` · U(0, 1) of the width and, apart from that, of the height; the image is
    mapped onto the quadrilateral by the projective map of the four corners. The eight shares are recorded as
    ``top_left_x``, ``top_left_y``, …, ``bottom_left_y``.

    Parameters
    ----------
    strength : distribution
        How far corners move at most, as a share of the side, 0 … 0.3 (beyond ⅓ the corners need not span a
        convex quadrilateral).
    grey : distribution
        Level of what lies beyond the image where the border is constant, 0 … 255, rounded down; 0 by default.
    border : str
        ``replicate`` (the outermost pixels) or ``constant``.
    """

    kind = "perspective"
    strength: Annotated[AnyDistribution, Between(0, 0.3)]
    grey: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=0.0)

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Columns strength, grey and the eight shares."""
        columns = super().sample(draws)
        for corner, name in enumerate(_CORNERS):
            for axis, letter in enumerate("xy"):
                share = draws.uniform(16 + 2 * corner + axis)  # numbers that no field will use
                columns[f"{name}_{letter}"] = columns["strength"] * share
        return columns

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images seen from aside."""
        height, width = images.shape[1:3]
        corners = np.empty((len(images), 4, 2))
        for corner, name in enumerate(_CORNERS):
            x, y = params[f"{name}_x"], params[f"{name}_y"]
            corners[:, corner, 0] = 1.0 - x if "right" in name else x
            corners[:, corner, 1] = 1.0 - y if "bottom" in name else y
        maps = np.empty((len(images), 9))
        warp.onto_corners(corners, height, width, maps)
        return self._warped(images, maps, params, (height, width))


class PlateView(_InGrey):
    """Fit the image into a frame, see it from aside, and shrink it, the sharp one too: licence plates.

    The image is fitted into `height` × `width`, H × W, in its middle, keeping its aspect. Then the angle is
    a = pov · atan(H / W) / 2; for a > 0 the top left corner moves down and the bottom right one up by
    d = W · tan a, for a < 0 the top right and bottom left ones; all corners move inwards by a third of the
    sum of their side's two, d / 3. Opposite sides stay parallel: the view is a shear. At last all shrinks
    about the middle by ½ + magnitude / 2. Around it is grey.

    All is one affine map and one bilinear interpolation (of the Imperial College project, from which the
    formulas are, each of the three steps interpolates and rounds to bytes by itself, so that its images are a
    little softer, and the fitted size and place are whole numbers there). Shrinking does not average: of
    images larger than the frame pixels are skipped, as in ``cv2.resize`` with its default.

    Parameters
    ----------
    pov : distribution
        Point of view, −1 … 1; 0 is the front.
    magnitude : distribution
        0 … 1; at 1 nothing is shrunk.
    grey : distribution
        Level of what lies beyond the image, 0 … 255, rounded down; 0 by default.
    height, width : int
        Size of the frame in pixels, 1 … 16384, by default 90 × 270; H < 3·W, else nothing may be left.
    """

    kind = "plate_view"
    pov: Annotated[AnyDistribution, Between(-1, 1)]
    magnitude: Annotated[AnyDistribution, Between(0, 1)]
    grey: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=0.0)
    height: Side = 90
    width: Side = 270

    @model_validator(mode="after")
    def _check(self) -> PlateView:
        if self.height >= 3 * self.width:
            raise PydanticCustomError(
                "frame",
                "height must be less than three times width, not {height} for {width}",
                {"height": self.height, "width": self.width},
            )
        return self

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The frame's shape."""
        return self.height, self.width, shape[2]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images in the frame."""
        maps = np.empty((len(images), 9))
        tilt = params["pov"] * arctangent(float(self.height), float(self.width)) / 2.0
        shrink = 0.5 + params["magnitude"] / 2.0
        frame = (self.height, self.width)
        warp.plate_views(tilt, shrink, images.shape[1:3], frame, maps)
        return self._warped(images, maps, params, frame)


class Elastic(_InBorder):
    """Displace the pixels by a smooth random field, by bilinear interpolation, the sharp one too.

    The field is a cubic B-spline in x and y with control points `period` pixels apart, each with a normal
    number for either direction, scaled such that the displacement's variance, averaged over the plane, is
    amplitude². (As the free-form deformations of D. Rueckert et al., IEEE TMI 18, 1999.) Where the amplitude
    is above about a quarter of the period the image may fold over.

    Parameters
    ----------
    amplitude : distribution
        Standard deviation of the displacement in pixels, 0 … 100.
    period : distribution
        Distance of the control points in pixels, 2 … 10⁴.
    grey : distribution
        Level of what lies beyond the image where the border is constant, 0 … 255, rounded down; 0 by default.
    border : str
        ``replicate`` (the outermost pixels) or ``constant``.
    """

    kind = "elastic"
    amplitude: Annotated[AnyDistribution, Between(0, 100)]
    period: Annotated[AnyDistribution, Between(2, 1e4)]
    grey: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=0.0)

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The displaced images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        warp.elastic(
            images,
            params["amplitude"],
            params["period"],
            np.uint64(draws.seed),
            draws.index,
            np.uint64(draws.pixel_stream),
            self._replicates,
            params["grey"].astype(np.uint8),
            out,
        )
        return out


class Pad(_InBorder):
    """Make the image larger, the sharp one too.

    Parameters
    ----------
    grey : distribution
        Level of what is added where the border is constant, 0 … 255, rounded down; 0 by default.
    top, bottom, left, right : int
        How many pixels are added there, 0 … 16384; 0 by default.
    border : str
        ``replicate`` (the outermost pixels) or ``constant``.
    """

    kind = "pad"
    grey: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=0.0)
    top: Margin = 0
    bottom: Margin = 0
    left: Margin = 0
    right: Margin = 0

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The shape with the margins added."""
        height, width, channels = shape
        return self.top + height + self.bottom, self.left + width + self.right, channels

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The larger images."""
        return self._placed(images, self.output_shape(images.shape[1:]), (self.top, self.left), params)


class Fit(_InBorder):
    """Bring the image to a size, keeping its aspect, in the middle of what is added; the sharp one too.

    Both sides are scaled by the same factor, the greatest that lets the image into `height` × `width`, and
    rounded to whole pixels. It is shrunk by averaging over areas, enlarged by bilinear interpolation.

    Parameters
    ----------
    grey : distribution
        Level of what is added where the border is constant, 0 … 255, rounded down; 0 by default.
    height, width : int
        The size in pixels, 1 … 16384.
    border : str
        ``replicate`` (the outermost pixels) or ``constant``.
    """

    kind = "fit"
    grey: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=0.0)
    height: Side
    width: Side

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The size asked for."""
        return self.height, self.width, shape[2]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The fitted images."""
        height, width = images.shape[1:3]
        scale = min(self.height / height, self.width / width)
        rows = min(self.height, max(1, math.floor(scale * height + 0.5)))
        columns = min(self.width, max(1, math.floor(scale * width + 0.5)))
        fitted = resized(images, (rows, columns), "area" if scale < 1.0 else "bilinear")
        corner = ((self.height - rows) // 2, (self.width - columns) // 2)
        return self._placed(fitted, (self.height, self.width, images.shape[3]), corner, params)
