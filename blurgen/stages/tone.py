"""Changes of tone."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from blurgen.distributions import AnyDistribution, Between
from blurgen.draws import Draws
from blurgen.loops import tone as loops
from blurgen.loops.elementary import log
from blurgen.stages.base import Columns, Images, ImageStage
from blurgen.stages.light import LightStage


class Brightness(ImageStage):
    """The same number of grey levels added to every pixel and channel.

    Bytes are rounded half up and saturate at 0 and 255; in linear light, where 255 is white too, nothing is
    clipped.

    Parameters
    ----------
    shift : distribution
        Grey levels, −255 … 255.
    """

    kind = "brightness"
    takes_floats = True
    shift: Annotated[AnyDistribution, Between(-255, 255)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The brighter or darker images."""
        if images.dtype == np.float32:
            return images + params["shift"].astype(np.float32)[:, None, None, None]
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        shifts = np.floor(params["shift"] + 0.5).astype(np.int64)  # what rounding the sum comes to
        loops.add_bytes(images.reshape(len(images), -1), shifts, out.reshape(len(images), -1))
        return out


class Contrast(ImageStage):
    """Values stretched about their mean: (x − m)·factor + m, m the mean of the channel over the image.

    This is the contrast of ImageNet-C (Hendrycks & Dietterich 2019), where factors are below 1. Bytes are
    clipped and rounded half up; in linear light nothing is clipped.

    Parameters
    ----------
    factor : distribution
        0 (flat) … 20; 1 changes nothing.
    """

    kind = "contrast"
    takes_floats = True
    factor: Annotated[AnyDistribution, Between(0, 20)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images of more or less contrast."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        count, _, _, channels = images.shape
        stretch = loops.stretch_floats if images.dtype == np.float32 else loops.stretch_bytes
        pixels = (count, -1, channels)
        stretch(images.reshape(pixels), params["factor"], out.reshape(pixels))
        return out


@lru_cache(maxsize=1)
def _logs() -> NDArray[np.float64]:
    return np.array([0.0, *(log(level / 255.0) for level in range(1, 256))])


class Gamma(ImageStage):
    """A power of each value: 255·(x/255)^γ, rounded half up.

    Parameters
    ----------
    gamma : distribution
        0.01 … 100; above 1 darkens, 1 changes nothing.
    """

    kind = "gamma"
    gamma: Annotated[AnyDistribution, Between(0.01, 100)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The darker or lighter images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        count = len(images)
        loops.gamma_bytes(images.reshape(count, -1), _logs(), params["gamma"], out.reshape(count, -1))
        return out


class Exposure(LightStage):
    """Linear light times 2^stops: stands in `linear`, on leaving which highlights clip.

    Parameters
    ----------
    stops : distribution
        −20 … 20; one stop more is twice the light.
    """

    kind = "exposure"
    stops: Annotated[AnyDistribution, Between(-20, 20)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images exposed longer or shorter."""
        factors = np.empty(len(images), np.float32)
        loops.fill_powers_of_two(params["stops"], factors)
        out: Images = images * factors[:, None, None, None]
        return out


@lru_cache(maxsize=1)
def _lab_tables() -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    light, roots, luminance = (np.empty(shape, np.int32) for shape in (256, 3072, (2, 256)))
    levels = np.empty(4096, np.uint8)
    loops.fill_lab_tables(light, roots, luminance, levels)
    return light, roots, luminance, levels


class Clahe(ImageStage):
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), byte for byte OpenCV's.

    Gray images are equalised themselves, of colour images the lightness: they go to CIE L*a*b* and back as by
    ``cv2.cvtColor``, L* through ``cv2.createCLAHE(clip_limit, (tiles, tiles))``. Images whose sides `tiles`
    does not divide are taken to be mirrored beyond their right and lower ends.

    Parameters
    ----------
    clip_limit : distribution
        How many times the mean a histogram's bin may hold, 0 … 1000; 0 sets no limit.
    tiles : distribution
        Tiles a side, whole, 1 … 20.
    """

    kind = "clahe"
    clip_limit: Annotated[AnyDistribution, Between(0, 1000)]
    tiles: Annotated[AnyDistribution, Between(1, 20, whole=True)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The equalised images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        loops.clahe(images, params["clip_limit"], params["tiles"], *_lab_tables(), out)
        return out
