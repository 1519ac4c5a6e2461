"""Noise of the sensor."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from blurgen.distributions import AnyDistribution, Between
from blurgen.draws import Draws
from blurgen.loops import noise as loops
from blurgen.stages.base import Columns, Images, ImageStage


class GaussianNoise(ImageStage):
    """Independent normal noise on every pixel and channel, rounded half up and clipped to 0 … 255.

    Each value's noise is a function of (seed, sample, stage, its place in the image) alone; see
    `blurgen.loops.noise` for how normal it is.

    Parameters
    ----------
    sigma : distribution
        Standard deviation in grey levels, 0 … 255.
    """

    kind = "gaussian_noise"
    sigma: Annotated[AnyDistribution, Between(0, 255)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The noisy images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        count = len(images)
        sigma = params["sigma"].astype(np.float32)
        loops.add_normal(
            images.reshape(count, -1),
            sigma,
            np.uint64(draws.seed),
            draws.index,
            np.uint64(draws.pixel_stream),
            out.reshape(count, -1),
        )
        return out
