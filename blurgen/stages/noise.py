"""Noise of the sensor, and what resembles it."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from blurgen.distributions import AnyDistribution, Between, Constant
from blurgen.draws import Draws
from blurgen.errors import InputError
from blurgen.loops import colours, poisson, smooth
from blurgen.loops import noise as loops
from blurgen.stages.base import Columns, Images, ImageStage

_COUNTS = 1 << 31  # the bit that tells the stream of Poisson numbers from that of the pixels' words
_MOST_VALUES = 1 << 28
_COVARIANCES = 16  # the parameter number of the first of the covariances' twelve draws

_Limits = tuple[np.float32, np.float32, np.float32]


def _limits(images: Images) -> _Limits:
    """What is added for rounding, and where values are clipped: floats are neither rounded nor clipped."""
    if images.dtype == np.uint8:
        return np.float32(0.5), np.float32(0), np.float32(255)
    return np.float32(0), np.float32(-math.inf), np.float32(math.inf)


def _source(draws: Draws) -> tuple[np.uint64, NDArray[np.int64], np.uint64]:
    """What the words of the pixels are made from: seed, indices, stream."""
    return np.uint64(draws.seed), draws.index, np.uint64(draws.pixel_stream)


def _flat(images: Images) -> Images:
    return images.reshape(len(images), -1)


def _add_normals(
    images: Images, params: Columns, draws: Draws, channels: str, *, relative: bool = False
) -> Images:
    images = np.ascontiguousarray(images)
    out = np.empty_like(images)
    mixing = np.empty((0, 3, 3), np.float32)
    if channels == "correlated":
        mixing = np.empty((len(images), 3, 3), np.float32)
        covariances = np.array([params[name] for name in _CORRELATED.values()], np.float64)
        colours.mixing(covariances, mixing)
    loops.add_normals(
        _flat(images),
        params["sigma"].astype(np.float32),
        relative,
        images.shape[3] if channels == "gray" else 1,
        mixing,
        *_source(draws),
        *_limits(images),
        _flat(out),
    )
    return out


_CORRELATED = {pair: "covariance_" + "".join("rgb"[c] for c in pair) for pair in colours.PAIRS}

Channels = Literal["independent", "gray"]


class _Normals(ImageStage):
    """Normal noise whose channels may be correlated."""

    takes_floats: ClassVar[bool] = True
    channels: Literal["independent", "gray", "correlated"] = "independent"

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape; correlated channels need three of them."""
        if self.channels == "correlated" and shape[2] != 3:
            raise InputError(
                f"stage '{self.kind}' needs RGB images for channels 'correlated', these are gray"
            )
        return shape

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """The parameters' columns, and those of the covariance where channels are correlated."""
        columns = super().sample(draws)
        if self.channels == "correlated":
            uniform = np.array([draws.uniform(_COVARIANCES + n) for n in range(12)])
            covariances = np.empty((len(_CORRELATED), len(draws)))
            colours.covariances(uniform, covariances)
            columns.update(zip(_CORRELATED.values(), covariances, strict=True))
        return columns


class GaussianNoise(_Normals):
    """Normal noise of the same deviation everywhere: x + σ·N.

    With ``channels: correlated`` the noise of a pixel's channels has the covariance σ²·|UᵀDU|, where D is
    diagonal with three numbers uniform in [0, 1), U the left singular vectors of a 3×3 matrix of such
    numbers, and the absolute value is taken of each element: the law of BSRGAN (Zhang et al., ICCV 2021), in
    whose terms σ is the noise level. A channel's own deviation is then σ·√c, c its element of the diagonal,
    0.5 on average. The six elements are recorded as `covariance_rr`, `covariance_rg` … `covariance_bb`.

    Each value's noise is a function of (seed, sample, stage, its place in the image) alone; see
    `blurgen.loops.noise` for how normal it is.

    Parameters
    ----------
    sigma : distribution
        Standard deviation in grey levels, 0 … 255.
    channels : {"independent", "gray", "correlated"}
        Whether each channel has noise of its own, all have the same, or theirs is correlated at random,
        which RGB images alone can have. Default: independent.
    """

    kind = "gaussian_noise"
    sigma: Annotated[AnyDistribution, Between(0, 255)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The noisy images."""
        return _add_normals(images, params, draws, self.channels)


class SpeckleNoise(_Normals):
    """Normal noise in proportion to the light: x + x·σ·N.

    ImageNet-C (Hendrycks & Dietterich, ICLR 2019) has σ from 0.15 to 0.6.

    Parameters
    ----------
    sigma : distribution
        Standard deviation as a share of the pixel's value, 0 … 10.
    channels : {"independent", "gray", "correlated"}
        As of `GaussianNoise`. Default: independent.
    """

    kind = "speckle_noise"
    sigma: Annotated[AnyDistribution, Between(0, 10)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The noisy images."""
        return _add_normals(images, params, draws, self.channels, relative=True)


def _luma(images: Images) -> Images:
    """0.299·R + 0.587·G + 0.114·B, (B, H, W, 1); of bytes by weights of 16 bits, rounded half up."""
    r, g, b = images[..., 0:1], images[..., 1:2], images[..., 2:3]
    if images.dtype == np.uint8:
        r, g, b = (channel.astype(np.uint32) for channel in (r, g, b))
        whole: Images = ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16).astype(np.uint8)
        return whole
    gray: Images = np.float32(0.299) * r + np.float32(0.587) * g + np.float32(0.114) * b
    return gray


class _Counts(ImageStage):
    """Noise of counted electrons."""

    takes_floats: ClassVar[bool] = True

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape, if there are draws for so many pixels."""
        if math.prod(shape) > _MOST_VALUES:
            raise InputError(
                f"stage '{self.kind}' needs images of at most {_MOST_VALUES} values, these have more"
            )
        return shape

    def _add(
        self,
        images: Images,
        light: Images,
        draws: Draws,
        gain: NDArray[np.float64],
        scale: NDArray[np.float64],
        full_well: NDArray[np.float64],
        read_noise: NDArray[np.float64],
    ) -> Images:
        images, light = np.ascontiguousarray(images), np.ascontiguousarray(light)
        out = np.empty_like(images)
        poisson.add_counts(
            _flat(images),
            _flat(light),
            gain,
            scale.astype(np.float32),
            full_well.astype(np.float32),
            read_noise.astype(np.float32),
            *_source(draws),
            np.uint64(draws.pixel_stream | _COUNTS),
            *_limits(images),
            _flat(out),
        )
        return out


class ShotNoise(_Counts):
    """The noise of counting photons: x + s·(P·255/peak − x), P Poisson with mean x·peak/255.

    With s = 1 it is the shot noise of ImageNet-C (peak 60, 25, 12, 5, 3). In Real-ESRGAN's Poisson noise
    (Wang et al., ICCVW 2021) s is the scale, and the peak is how many different values the image has, rounded
    up to a power of two: 256 for more than 128 of them, hence for nearly all photographs. Negative values
    count as none.

    Parameters
    ----------
    peak : distribution
        Photons that make white, 0.1 … 10⁷.
    scale : distribution
        By what the noise is multiplied, 0 … 100. Default: 1.
    channels : {"independent", "gray"}
        With gray, P is drawn for the luma of each pixel, 0.299·R + 0.587·G + 0.114·B, rounded where images
        are bytes, and all channels get its noise. Default: independent.
    """

    kind = "shot_noise"
    peak: Annotated[AnyDistribution, Between(0.1, 1e7)]
    scale: Annotated[AnyDistribution, Between(0, 100)] = Constant(constant=1.0)
    channels: Channels = "independent"

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The noisy images."""
        light = _luma(images) if self.channels == "gray" and images.shape[3] == 3 else images
        unlimited, none = np.full(len(images), math.inf), np.zeros(len(images))
        return self._add(images, light, draws, 255.0 / params["peak"], params["scale"], unlimited, none)


class PoissonGaussianNoise(_Counts):
    """A sensor's noise: K·(min(P, full well) + σ·N), P Poisson with mean x/K electrons.

    K, the gain, is in grey levels per electron (the system gain of EMVA 1288): a pixel of value x holds x/K
    electrons on average, and the variance is K·x + (K·σ)². The charge saturates before it is read. The noise
    β₁·Poisson(x/β₁) + β₂·N of RSBlur (Rim et al., ECCV 2022), x in 0 … 1, is that of gain 255·β₁ and read
    noise β₂/β₁; where the two are drawn independently, that of gain 255·β₁ alone, and after it a
    `gaussian_noise` of sigma 255·β₂. Negative values count as none.

    Parameters
    ----------
    gain : distribution
        K in grey levels per electron, 10⁻⁴ … 255.
    read_noise : distribution
        σ in electrons, 0 … 10⁵. Default: 0.
    full_well : distribution
        The most electrons that a pixel holds, 0 … 10⁷; 0 is without limit. Default: 0.
    """

    kind = "poisson_gaussian_noise"
    gain: Annotated[AnyDistribution, Between(1e-4, 255)]
    read_noise: Annotated[AnyDistribution, Between(0, 1e5)] = Constant(constant=0.0)
    full_well: Annotated[AnyDistribution, Between(0, 1e7)] = Constant(constant=0.0)

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The noisy images."""
        full_well = np.where(params["full_well"] > 0, params["full_well"], math.inf)
        scale = np.ones(len(images))
        return self._add(images, images, draws, params["gain"], scale, full_well, params["read_noise"])


class ImpulseNoise(ImageStage):
    """Salt and pepper: some values are replaced by white or black.

    Each value is replaced with the probability `amount`, and is white then with the probability `salt`, as
    in scikit-image's ``random_noise(mode="s&p")``. ImageNet-C has amounts from 0.03 to 0.27.

    Parameters
    ----------
    amount : distribution
        0 … 1.
    salt : distribution
        0 … 1. Default: 0.5.
    channels : {"independent", "gray"}
        Whether each channel is replaced for itself, or pixels as a whole. Default: independent.
    """

    kind = "impulse_noise"
    takes_floats: ClassVar[bool] = True
    amount: Annotated[AnyDistribution, Between(0, 1)]
    salt: Annotated[AnyDistribution, Between(0, 1)] = Constant(constant=0.5)
    channels: Channels = "independent"

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The noisy images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        both = np.floor(params["amount"] * 2.0**32)
        white = np.floor(both * params["salt"])
        loops.put_impulses(
            _flat(images),
            white.astype(np.uint64),
            both.astype(np.uint64),
            images.shape[3] if self.channels == "gray" else 1,
            *_source(draws),
            _flat(out),
        )
        return out


class Quantisation(ImageStage):
    """Values in 2ⁿ levels, evenly spaced from black to white: ⌊x·(2ⁿ − 1)/255 + ½⌋·255/(2ⁿ − 1).

    Bytes are rounded half up again; bytes of 8 bits and more stay as they are. Floats are clipped to 0 … 255
    before, as a converter does, and stay floats.

    Parameters
    ----------
    bits : distribution
        n, whole, 1 … 16.
    """

    kind = "quantisation"
    takes_floats: ClassVar[bool] = True
    bits: Annotated[AnyDistribution, Between(1, 16, whole=True)]

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images in fewer levels."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        loops.quantise(_flat(images), params["bits"], _flat(out))
        return out


class BandingNoise(ImageStage):
    """A normal number for each row and each column, the same in all channels: x + σ_r·N_y + σ_c·N_x.

    Parameters
    ----------
    row_sigma, column_sigma : distribution
        Standard deviations in grey levels, 0 … 255. Default: 0.
    """

    kind = "banding_noise"
    takes_floats: ClassVar[bool] = True
    row_sigma: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=0.0)
    column_sigma: Annotated[AnyDistribution, Between(0, 255)] = Constant(constant=0.0)

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The noisy images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        rows, columns = (params[name].astype(np.float32) for name in ("row_sigma", "column_sigma"))
        loops.add_bands(images, rows, columns, *_source(draws), *_limits(images), out)
        return out


class CorrelatedNoise(ImageStage):
    """Normal noise whose neighbours resemble each other: x + σ·S.

    S is white noise, filtered by a Gaussian of deviation r that is cut off at 4·r and scaled so that every
    value of S has variance 1. The white noise reaches beyond the image, so that S has the same law at its
    border as inside. The correlation of values d pixels apart is e^(−d²/(4r²)), roughly so for r below 0.7.

    Parameters
    ----------
    sigma : distribution
        Standard deviation in grey levels, 0 … 255.
    radius : distribution
        r in pixels, 0 … 50; 0 is white noise.
    channels : {"independent", "gray"}
        Whether each channel has noise of its own, or all have the same. Default: independent.
    """

    kind = "correlated_noise"
    takes_floats: ClassVar[bool] = True
    sigma: Annotated[AnyDistribution, Between(0, 255)]
    radius: Annotated[AnyDistribution, Between(0, 50)]
    channels: Channels = "independent"

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The noisy images."""
        images = np.ascontiguousarray(images)
        out = np.empty_like(images)
        smooth.add_smooth(
            images,
            params["sigma"].astype(np.float32),
            params["radius"],
            images.shape[3] if self.channels == "gray" else 1,
            *_source(draws),
            *_limits(images),
            out,
        )
        return out
