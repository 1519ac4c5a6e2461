"""Filters that are no convolution with a PSF."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from blurgen import psf
from blurgen.convolution import convolve_checked
from blurgen.distributions import AnyDistribution, Between, Constant
from blurgen.draws import Draws
from blurgen.loops import filters as loops
from blurgen.stages.base import Columns, Images, ImageStage


class Median(ImageStage):
    """The median over a square, each channel by itself: ``cv2.medianBlur``, byte for byte.

    Beyond the image are its outermost pixels.

    Parameters
    ----------
    size : distribution
        Side in pixels, whole, 1 … 15; even sizes are rounded up to odd.
    """

    kind = "median"
    one_psf = False
    size: Annotated[AnyDistribution, Between(1, 15, whole=True)]

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Column size, odd."""
        return {"size": super().sample(draws)["size"] | 1}

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The filtered images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        loops.median(images, params["size"], out)
        return out


class Bilateral(ImageStage):
    """Average over a disc of pixels that are near and alike: ``cv2.bilateralFilter``, within 1 level.

    Weights are exp(−d² / 2σₛ²) · exp(−Δ² / 2σ_c²): d is the distance in pixels, Δ that of the values, of
    colours the sum of the channels' |Δ|, which share one weight (C. Tomasi and R. Manduchi, ICCV 1998, in
    OpenCV's form). The image goes on mirrored about its outermost pixels.

    Parameters
    ----------
    sigma_color : distribution
        σ_c in grey levels, 0.1 … 1000.
    sigma_space : distribution
        σₛ in pixels, 0.1 … 100.
    diameter : distribution
        Of the disc, in pixels, whole, 0 … 301; the radius is ⌊diameter / 2⌋, at least 1. 0 (the default)
        takes the radius 1.5·σₛ, rounded, as OpenCV does.
    """

    kind = "bilateral"
    one_psf = False
    sigma_color: Annotated[AnyDistribution, Between(0.1, 1000)]
    sigma_space: Annotated[AnyDistribution, Between(0.1, 100)]
    diameter: Annotated[AnyDistribution, Between(0, 301, whole=True)] = Constant(constant=0.0)

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The filtered images."""
        images = np.ascontiguousarray(images)
        automatic = np.rint(1.5 * params["sigma_space"]).astype(np.int64)
        reaches = np.where(params["diameter"] > 0, params["diameter"] // 2, automatic)
        out = np.empty_like(images)
        loops.bilateral(images, params["sigma_color"], params["sigma_space"], np.maximum(1, reaches), out)
        return out


class RandomReplacement(ImageStage):
    """Some pixels replaced by those of the image blurred by a 3 × 3 Gaussian of σ = 1.

    Each pixel is drawn by itself, with all its channels. The blurred image's border is mirrored about the
    outermost pixels.

    Parameters
    ----------
    probability : distribution
        Of a pixel to be replaced, 0 … 1.
    """

    kind = "random_replacement"
    one_psf = False
    probability: Annotated[AnyDistribution, Between(0, 1)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images with some pixels replaced."""
        images = np.ascontiguousarray(images)
        count, height, width, channels = images.shape
        kernel = psf.gaussian(3, 1.0).astype(np.float32)[None]
        others = convolve_checked(images, kernel, "mirror")
        out = np.empty_like(images)
        pixels = (count, height * width, channels)
        loops.replace(
            images.reshape(pixels),
            others.reshape(pixels),
            params["probability"],
            np.uint64(draws.seed),
            draws.index,
            np.uint64(draws.pixel_stream),
            out.reshape(pixels),
        )
        return out
