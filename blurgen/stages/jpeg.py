"""Artefacts of JPEG."""

from __future__ import annotations

from typing import Annotated

from blurgen.codec import Subsampling, jpeg_checked
from blurgen.distributions import AnyDistribution, Between
from blurgen.draws import Draws
from blurgen.stages.base import Columns, Images, ImageStage


class Jpeg(ImageStage):
    """What the image is after it was stored as JPEG, byte for byte as libjpeg-turbo makes it.

    `blurgen.jpeg` says how. It takes bytes only, and changes nothing but the blurred image.

    Parameters
    ----------
    quality : distribution
        Quality on libjpeg's scale, whole, 1 … 100.
    subsampling : str
        ``4:2:0`` (default), ``4:2:2`` or ``4:4:4``: at what part of the width and height chroma is stored; of
        no effect on gray images.
    """

    kind = "jpeg"
    quality: Annotated[AnyDistribution, Between(1, 100, whole=True)]
    subsampling: Subsampling = "4:2:0"

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images as they come back."""
        return jpeg_checked(images, params["quality"], self.subsampling)
