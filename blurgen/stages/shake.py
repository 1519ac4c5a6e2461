"""Blurs by the shake of a hand-held camera: random trajectories."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from blurgen.distributions import AnyDistribution, Between, Constant
from blurgen.draws import Draws
from blurgen.psf.camera_shake import (
    PUBLISHED,
    RANGES,
    STEPS,
    camera_shake_batch,
    random_walk_batch,
    shake_size,
)
from blurgen.psf.gp_shake import CORRELATION, DEVIATION, gp_shake_batch
from blurgen.psf.gp_shake import MOST as MOST_GP
from blurgen.psf.gp_shake import STEPS as GP_STEPS
from blurgen.psf.levi_shake import LEAST, levi_columns, levi_shake_batch
from blurgen.psf.levi_shake import MOST as MOST_LEVI
from blurgen.psf.path import MOST_STEPS
from blurgen.stages.base import Columns, PsfStage


class _HandHeld(PsfStage):
    """What the trajectories of Boracchi and Foi are drawn from."""

    centripetal: Annotated[AnyDistribution, Between(*RANGES["centripetal"])] = PUBLISHED["centripetal"]
    impulses: Annotated[AnyDistribution, Between(*RANGES["impulses"])] = PUBLISHED["impulses"]
    gaussian: Annotated[AnyDistribution, Between(*RANGES["gaussian"])] = PUBLISHED["gaussian"]
    anxiety: Annotated[AnyDistribution, Between(*RANGES["anxiety"])] = PUBLISHED["anxiety"]
    angle: Annotated[AnyDistribution, Between(*RANGES["angle"])] = PUBLISHED["angle"]


class CameraShake(_HandHeld):
    """Random trajectories of a hand-held camera: Boracchi & Foi 2012, as in DeblurGAN's generator.

    See `blurgen.psf.camera_shake` for the law. By default all of it is as published, but for the canvas: it
    is as large as the longest trajectory may need (63 pixels for 60, where the authors' has 64), so that
    nothing is cut off, and the PSF is centred on its centroid to a fraction of a pixel.

    Parameters
    ----------
    centripetal : distribution
        Pull to the start, 0 … 100; by default uniform in 0 … 0.7.
    impulses : distribution
        Impulsive shakes: their probability in a step over the anxiety, 0 … 100; by default uniform in
        0 … 0.2.
    gaussian : distribution
        Strength of the random walk, 0 … 1000; by default uniform in 0 … 10.
    anxiety : distribution
        Scale of all three, 0 … 1; by default one of 0.01, 0.009, 0.008, 0.007, 0.005, 0.003.
    angle : distribution
        First direction in degrees, clockwise from the x axis; by default uniform in 0 … 360.
    length : distribution
        Length of the whole trajectory in pixels, 0 … 1023; by default 60.
    exposure : distribution
        Its first part that is exposed, 0.001 … 1; by default one of 0.1, 0.5, 1.
    steps : int
        Number of points of the whole trajectory, 2 … 20000; by default 2000.
    border : str
        See `blurgen.convolve`.
    """

    kind = "camera_shake"
    length: Annotated[AnyDistribution, Between(*RANGES["length"])] = PUBLISHED["length"]
    exposure: Annotated[AnyDistribution, Between(*RANGES["exposure"])] = PUBLISHED["exposure"]
    steps: Annotated[int, Field(strict=True, ge=2, le=MOST_STEPS)] = STEPS

    @property
    def psf_size(self) -> int:
        """The size for the greatest length and exposure."""
        return shake_size(self.length.bounds[1], self.exposure.bounds[1], self.steps)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The PSF of a trajectory for each row."""
        return camera_shake_batch(params, draws, self.psf_size, self.steps)


class RandomWalk(_HandHeld):
    """A smooth random walk of a given size, as the "random walk" blurs of Hradiš et al. 2015.

    They did not publish the law of their walk. Here it is a trajectory of `camera_shake`, 60 pixels long in
    2000 steps, scaled so that its PSF just fits into a square of `size` pixels about its centroid.

    Parameters
    ----------
    size : distribution
        Size in pixels, 1 … 801; of a walk of size 1 all light stays on one pixel.
    centripetal, impulses, gaussian, anxiety, angle : distribution
        As of `camera_shake`, with the same ranges and defaults.
    border : str
        See `blurgen.convolve`.
    """

    kind = "random_walk"
    size: Annotated[AnyDistribution, Between(1, 801)]

    @property
    def psf_size(self) -> int:
        """The odd size for the greatest one."""
        return 2 * int(np.ceil((self.size.bounds[1] - 1.0) / 2.0)) + 1

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The PSF of a walk for each row."""
        return random_walk_batch(params, draws, self.psf_size)


class GpShake(PsfStage):
    """Trajectories whose coordinates are Gaussian processes with a Matérn-5/2 covariance, as deepinv's.

    See `blurgen.psf.gp_shake` for the law, and for what differs from deepinv.

    Parameters
    ----------
    size : distribution
        Size of the PSF in pixels, whole, 1 … 801; even ones are rounded up to odd.
    correlation : distribution
        Length over which the motion is similar, 0.01 … 100, as a part of the exposure; by default 0.3.
    deviation : distribution
        Standard deviation of each coordinate, 0 … 10, in half widths of the PSF; by default 0.25.
    steps : int
        Number of points, 2 … 20000; by default 1000.
    border : str
        See `blurgen.convolve`.
    """

    kind = "gp_shake"
    size: Annotated[AnyDistribution, Between(1, MOST_GP, whole=True)]
    correlation: Annotated[AnyDistribution, Between(*CORRELATION)] = Constant(constant=0.3)
    deviation: Annotated[AnyDistribution, Between(*DEVIATION)] = Constant(constant=0.25)
    steps: Annotated[int, Field(strict=True, ge=2, le=MOST_STEPS)] = GP_STEPS

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """The columns of the fields; even sizes are rounded up to odd."""
        columns = super().sample(draws)
        columns["size"] |= 1
        return columns

    @property
    def psf_size(self) -> int:
        """The greatest size, made odd."""
        return int(self.size.bounds[1]) | 1

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The PSF of a trajectory for each row."""
        return gp_shake_batch(
            params["size"], params["correlation"], params["deviation"], draws, self.psf_size, self.steps
        )


class LeviShake(PsfStage):
    """Random paths of straight steps, after L. Borodenko's program ``motionblur``.

    See `blurgen.psf.levi_shake` for the law, and for what differs from the program. Recorded are also what is
    drawn for a whole path: length (pixels), bend (largest heading, degrees), flips (their probability), angle
    (by which all is turned, degrees).

    Parameters
    ----------
    size : distribution
        Size of the PSF in pixels, whole, 5 … 801; even ones are rounded up to odd.
    intensity : distribution
        0 (a straight line) … 1.
    border : str
        See `blurgen.convolve`.
    """

    kind = "levi_shake"
    size: Annotated[AnyDistribution, Between(LEAST, MOST_LEVI, whole=True)]
    intensity: Annotated[AnyDistribution, Between(0, 1)]

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """The columns of the fields, and length, bend, flips, angle."""
        columns = super().sample(draws)
        columns["size"] |= 1
        return {**columns, **levi_columns(columns["size"], columns["intensity"], draws)}

    @property
    def psf_size(self) -> int:
        """The greatest size, made odd."""
        return int(self.size.bounds[1]) | 1

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The PSF of a path for each row."""
        return levi_shake_batch(params["size"], params["intensity"], params, draws, self.psf_size)
