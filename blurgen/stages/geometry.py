"""Changes of geometry; they change the sharp image too."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from blurgen.distributions import AnyDistribution, Between
from blurgen.draws import Draws
from blurgen.errors import InputError
from blurgen.loops import geometry as loops
from blurgen.stages.base import Columns, Images, ImageStage


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
