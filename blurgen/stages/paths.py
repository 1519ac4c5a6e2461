"""Blurs by motion along a line or curve other than the uniform one."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from blurgen.distributions import AnyDistribution, Between
from blurgen.draws import Draws
from blurgen.psf.acceleration import MOST as MOST_ACCELERATION
from blurgen.psf.acceleration import accelerated_motion_batch, acceleration_size
from blurgen.psf.arc import arc_motion_batch, arc_size
from blurgen.psf.imagenet_motion import (
    MAX_RADIUS as MAX_IMAGENET_RADIUS,
)
from blurgen.psf.imagenet_motion import SIGMAS, imagenet_c_motion_batch, imagenet_c_size
from blurgen.psf.nonlinear import (
    MAX_FREQUENCY,
    MAX_RADIUS,
    nonlinear_motion_batch,
    nonlinear_size,
)
from blurgen.psf.nonlinear import MAX_LENGTH as MAX_SWING_LENGTH
from blurgen.psf.path import MAX_LENGTH
from blurgen.psf.thick_line import MOST as MOST_THICK
from blurgen.psf.thick_line import thick_line_batch
from blurgen.stages.base import Columns, PsfStage

_ANGLE = Between(-1e6, 1e6)


class AcceleratedMotion(PsfStage):
    """Uniformly accelerated motion along a line; see `blurgen.psf.accelerated_motion`.

    Parameters
    ----------
    length : distribution
        Length of the motion in pixels, 0 … 1023.
    angle : distribution
        Its direction in degrees, anticlockwise from the x axis.
    acceleration : distribution
        Speed at the end over that at the start, 0 … 1000; 1 is uniform motion.
    border : str
        See `blurgen.convolve`.
    """

    kind = "accelerated_motion"
    length: Annotated[AnyDistribution, Between(0, MAX_LENGTH)]
    angle: Annotated[AnyDistribution, _ANGLE]
    acceleration: Annotated[AnyDistribution, Between(0, MOST_ACCELERATION)]

    @property
    def psf_size(self) -> int:
        """The size for the greatest length."""
        return acceleration_size(self.length.bounds[1])

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A PSF for each row."""
        return accelerated_motion_batch(
            params["length"], params["angle"], params["acceleration"], self.psf_size
        )


class ArcMotion(PsfStage):
    """Uniform motion along an arc of a circle; see `blurgen.psf.arc_motion`.

    Parameters
    ----------
    length : distribution
        Length of the arc in pixels, 0 … 1023.
    angle : distribution
        Direction of its chord in degrees, anticlockwise from the x axis.
    bend : distribution
        By how many degrees the direction turns on the way, anticlockwise, −360 … 360.
    border : str
        See `blurgen.convolve`.
    """

    kind = "arc_motion"
    length: Annotated[AnyDistribution, Between(0, MAX_LENGTH)]
    angle: Annotated[AnyDistribution, _ANGLE]
    bend: Annotated[AnyDistribution, Between(-360, 360)]

    @property
    def psf_size(self) -> int:
        """The size for the greatest length."""
        return arc_size(self.length.bounds[1])

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A PSF for each row."""
        return arc_motion_batch(params["length"], params["angle"], params["bend"], self.psf_size)


class NonlinearMotion(PsfStage):
    """Motion along a line with a swing across it, the licence-plate project's "nonlinear" point spread.

    The project's expression is r·(sin f·i + cos f·i); what else there is of it is not known. See
    `blurgen.psf.nonlinear_motion` for how it is read here.

    Parameters
    ----------
    length : distribution
        Length of the line in pixels, 0 … 255.
    angle : distribution
        Its direction in degrees, anticlockwise from the x axis.
    radius : distribution
        Strength r of the swing in pixels, 0 … 100.
    frequency : distribution
        Its frequency f in radians a pixel, 0 … 4.
    border : str
        See `blurgen.convolve`.
    """

    kind = "nonlinear_motion"
    length: Annotated[AnyDistribution, Between(0, MAX_SWING_LENGTH)]
    angle: Annotated[AnyDistribution, _ANGLE]
    radius: Annotated[AnyDistribution, Between(0, MAX_RADIUS)]
    frequency: Annotated[AnyDistribution, Between(0, MAX_FREQUENCY)]

    @property
    def psf_size(self) -> int:
        """The size for the greatest length, radius and frequency."""
        return nonlinear_size(self.length.bounds[1], self.radius.bounds[1], self.frequency.bounds[1])

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A PSF for each row."""
        return nonlinear_motion_batch(
            params["length"], params["angle"], params["radius"], params["frequency"], self.psf_size
        )


class ThickLine(PsfStage):
    """A turned bar a quarter as wide as long, the licence-plate project's motion blur.

    See `blurgen.psf.thick_line`.

    Parameters
    ----------
    size : distribution
        Length in pixels, whole, 1 … 801; even ones are rounded up to odd.
    angle : distribution
        Degrees, anticlockwise from the x axis.
    border : str
        See `blurgen.convolve`.
    """

    kind = "thick_line"
    size: Annotated[AnyDistribution, Between(1, MOST_THICK, whole=True)]
    angle: Annotated[AnyDistribution, _ANGLE]

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Columns size and angle; even sizes are rounded up to odd."""
        columns = super().sample(draws)
        columns["size"] |= 1
        return columns

    @property
    def psf_size(self) -> int:
        """The greatest size, made odd."""
        return int(self.size.bounds[1]) | 1

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A PSF for each size and angle."""
        return thick_line_batch(params["size"], params["angle"], self.psf_size)


class ImagenetCMotion(PsfStage):
    """ImageNet-C's motion blur: half a Gaussian along a line of pixels; see `blurgen.psf.imagenet_c_motion`.

    It moves the image, as there: the PSF begins at its centre, and is not centred on its centroid.

    Parameters
    ----------
    radius : distribution
        0 … 200 pixels; the tail is up to twice as long.
    sigma : distribution
        Standard deviation in pixels, 0.1 … 1000.
    angle : distribution
        Degrees; ImageNet-C takes −45 … 45.
    border : str
        See `blurgen.convolve`.
    """

    kind = "imagenet_c_motion"
    radius: Annotated[AnyDistribution, Between(0, MAX_IMAGENET_RADIUS)]
    sigma: Annotated[AnyDistribution, Between(*SIGMAS)]
    angle: Annotated[AnyDistribution, _ANGLE]

    @property
    def psf_size(self) -> int:
        """The size for the greatest radius."""
        return imagenet_c_size(self.radius.bounds[1])

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A PSF for each row."""
        return imagenet_c_motion_batch(params["radius"], params["sigma"], params["angle"], self.psf_size)
