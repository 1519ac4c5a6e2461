"""Blurs of the lens: defocus, diffraction, and the analytic kernels that restoration papers use."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from blurgen import psf
from blurgen.distributions import AnyDistribution, Between, Constant
from blurgen.draws import Draws
from blurgen.psf import aperture, restoration
from blurgen.psf.diffraction import (
    MAX_SIZE,
    Aberrations,
    amplitude_range,
    automatic_size,
    automatic_sizes,
)
from blurgen.psf.disk import disk_size
from blurgen.stages.base import Columns, Images, PsfStage

_ANY_ANGLE = Between(-1e6, 1e6)
_BETA = Between(restoration.LEAST_BETA, restoration.MAX_BETA)
_NONE = Constant(constant=0.0)


def _greatest(stage: PsfStage, name: str) -> float:
    return stage.distribution(name).bounds[1]


class Polygon(PsfStage):
    """Defocus by a lens whose aperture is a regular polygon; see `blurgen.psf.polygon`.

    Parameters
    ----------
    radius : distribution
        From the centre to the corners, in pixels, 0 … 400.
    blades : distribution
        Number of edges, whole, 3 … 16.
    rotation : distribution
        Where the first corner lies, in degrees anticlockwise from the x axis; default 0.
    border : str
        See `blurgen.convolve`.
    """

    kind = "polygon"
    radius: Annotated[AnyDistribution, Between(0, 400)]
    blades: Annotated[AnyDistribution, Between(3, aperture.MAX_BLADES, whole=True)]
    rotation: Annotated[AnyDistribution, _ANY_ANGLE] = _NONE

    @property
    def psf_size(self) -> int:
        """The size for the greatest radius."""
        return disk_size(_greatest(self, "radius"))

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A polygon for each radius, number of edges and rotation."""
        return psf.polygon_batch(params["radius"], params["blades"], params["rotation"], self.psf_size)


class SoftDisk(PsfStage):
    """Defocus by a round aperture with a soft edge, ½·erfc((r − radius)/(√2·edge)).

    See `blurgen.psf.soft_disk`.

    Parameters
    ----------
    radius : distribution
        Where the edge is half as bright as the plateau, in pixels, 0 … 300.
    edge : distribution
        Standard deviation of the Gaussian across the edge, in pixels, 0.25 … 25.
    border : str
        See `blurgen.convolve`.
    """

    kind = "soft_disk"
    radius: Annotated[AnyDistribution, Between(0, 300)]
    edge: Annotated[AnyDistribution, Between(aperture.LEAST_EDGE, 25)]

    @property
    def psf_size(self) -> int:
        """The size for the greatest radius and the softest edge."""
        return aperture.soft_disk_size(_greatest(self, "radius"), _greatest(self, "edge"))

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A disc for each radius and edge."""
        return psf.soft_disk_batch(params["radius"], params["edge"], self.psf_size)


class ImageNetCDefocus(PsfStage):
    """The defocus blur of ImageNet-C; see `blurgen.psf.imagenet_c_disk`.

    Its severities 1 … 5 are (radius, alias_blur) (3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5). Its
    kernels of severities 4 and 5 brighten by 1.3 and 1.1 %, these do not.

    Parameters
    ----------
    radius : distribution
        Radius in pixels, 0 … 400.
    alias_blur : distribution
        Standard deviation of the smoothing in pixels, 0.05 … 10.
    border : str
        See `blurgen.convolve`.
    """

    kind = "imagenet_c_defocus"
    radius: Annotated[AnyDistribution, Between(0, 400)]
    alias_blur: Annotated[AnyDistribution, Between(0.05, 10)]

    @property
    def psf_size(self) -> int:
        """The size for the greatest radius."""
        return aperture.imagenet_c_disk_size(_greatest(self, "radius"))

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A disc for each radius and smoothing."""
        return psf.imagenet_c_disk_batch(params["radius"], params["alias_blur"], self.psf_size)


class SizedStage(PsfStage):
    """A blur by a kernel of a size that is drawn."""

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Columns of all parameters; even sizes are rounded up to odd, 0 stays 0."""
        columns = super().sample(draws)
        columns["size"] = np.where(columns["size"] > 0, columns["size"] | 1, 0)
        return columns

    @property
    def psf_size(self) -> int:
        """The greatest size."""
        return int(_greatest(self, "size")) | 1


class AnisotropicGaussian(SizedStage):
    """Gaussian blur of two widths, turned: Real-ESRGAN's and, with `sigma_y` left out, a plain one.

    See `blurgen.psf.anisotropic_gaussian`; the angle is in degrees and anticlockwise, unlike there.

    Parameters
    ----------
    sigma_x : distribution
        Standard deviation in pixels along the axis that theta turns, 0.01 … 100.
    sigma_y : distribution
        Standard deviation across it, 0 … 100; 0 (the default) takes sigma_x.
    theta : distribution
        Degrees, anticlockwise from the x axis; default 0.
    size : distribution
        Kernel size, whole and odd, up to 801; 0 (the default) takes 2·⌈4·max(σx, σy)⌉ + 1.
    border : str
        See `blurgen.convolve`.
    """

    kind = "anisotropic_gaussian"
    sigma_x: Annotated[AnyDistribution, Between(0.01, 100)]
    sigma_y: Annotated[AnyDistribution, Between(0, 100)] = _NONE
    theta: Annotated[AnyDistribution, _ANY_ANGLE] = _NONE
    size: Annotated[AnyDistribution, Between(0, restoration.MAX_KERNEL, whole=True)] = _NONE

    @property
    def psf_size(self) -> int:
        """The size for the greatest width or size."""
        return _size_for(self, max(_greatest(self, "sigma_x"), _greatest(self, "sigma_y")), 1.0)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A Gaussian for each pair of widths, angle and size."""
        x, y = _widths(params)
        sizes = _sizes(params["size"], np.maximum(x, y), np.ones(x.size))
        return psf.anisotropic_gaussian_batch(sizes, x, y, params["theta"], self.psf_size)


class CovarianceGaussian(SizedStage):
    """Gaussian blur given by its covariance matrix's eigenvalues, as BSRGAN draws it.

    It is `AnisotropicGaussian` of the eigenvalues' square roots.

    Parameters
    ----------
    variance_x : distribution
        Variance in square pixels along the axis that theta turns, 0 … 10,000.
    variance_y : distribution
        Variance across it, 0 … 10,000.
    theta : distribution
        Degrees, anticlockwise from the x axis; default 0.
    size : distribution
        Kernel size, whole and odd, up to 801; 0 (the default) takes 2·⌈4σ⌉ + 1 of the greater σ.
    border : str
        See `blurgen.convolve`.
    """

    kind = "covariance_gaussian"
    variance_x: Annotated[AnyDistribution, Between(0, 1e4)]
    variance_y: Annotated[AnyDistribution, Between(0, 1e4)]
    theta: Annotated[AnyDistribution, _ANY_ANGLE] = _NONE
    size: Annotated[AnyDistribution, Between(0, restoration.MAX_KERNEL, whole=True)] = _NONE

    @property
    def psf_size(self) -> int:
        """The size for the greatest variance or size."""
        variance = max(_greatest(self, "variance_x"), _greatest(self, "variance_y"))
        return _size_for(self, float(np.sqrt(variance)), 1.0)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A Gaussian for each pair of variances, angle and size."""
        x, y = np.sqrt(params["variance_x"]), np.sqrt(params["variance_y"])
        sizes = _sizes(params["size"], np.maximum(x, y), np.ones(x.size))
        return psf.anisotropic_gaussian_batch(sizes, x, y, params["theta"], self.psf_size)


class GeneralizedGaussian(SizedStage):
    """Blur by exp(−½·(xᵀΣ⁻¹x)^β), as Real-ESRGAN's; see `blurgen.psf.generalized_gaussian`.

    Parameters
    ----------
    sigma_x : distribution
        Width in pixels along the axis that theta turns, 0.01 … 100.
    sigma_y : distribution
        Width across it, 0 … 100; 0 (the default) takes sigma_x.
    theta : distribution
        Degrees, anticlockwise from the x axis; default 0.
    beta : distribution
        Shape, 0.25 … 16; 1 (the default) is a Gaussian.
    size : distribution
        Kernel size, whole and odd, up to 801; 0 (the default) takes 2·⌈4^(1/β)·max(σx, σy)⌉ + 1, which
        must not exceed 801 either.
    border : str
        See `blurgen.convolve`.
    """

    kind = "generalized_gaussian"
    sigma_x: Annotated[AnyDistribution, Between(0.01, 100)]
    sigma_y: Annotated[AnyDistribution, Between(0, 100)] = _NONE
    theta: Annotated[AnyDistribution, _ANY_ANGLE] = _NONE
    beta: Annotated[AnyDistribution, _BETA] = Constant(constant=1.0)
    size: Annotated[AnyDistribution, Between(0, restoration.MAX_KERNEL, whole=True)] = _NONE

    @model_validator(mode="after")
    def _check(self) -> GeneralizedGaussian:
        _refuse_beyond(self.psf_size, restoration.MAX_KERNEL)
        return self

    @property
    def psf_size(self) -> int:
        """The size for the greatest width with the widest tails, or the greatest size."""
        width = max(_greatest(self, "sigma_x"), _greatest(self, "sigma_y"))
        return _size_for(self, width, self.beta.bounds[0])

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A generalised Gaussian for each set of parameters."""
        x, y = _widths(params)
        sizes = _sizes(params["size"], np.maximum(x, y), params["beta"])
        return psf.generalized_gaussian_batch(sizes, x, y, params["theta"], params["beta"], self.psf_size)


class PlateauGaussian(SizedStage):
    """Blur by 1/((xᵀΣ⁻¹x)^β + 1), as Real-ESRGAN's; see `blurgen.psf.plateau_gaussian`.

    Parameters
    ----------
    sigma_x : distribution
        Where the weight is half the centre's along the axis that theta turns, in pixels, 0.01 … 100.
    sigma_y : distribution
        Likewise across it, 0 … 100; 0 (the default) takes sigma_x.
    theta : distribution
        Degrees, anticlockwise from the x axis; default 0.
    beta : distribution
        Shape, 0.25 … 16; default 1.
    size : distribution
        Kernel size, whole and odd, 1 … 801. The tails fall off as a power, so it must be given.
    border : str
        See `blurgen.convolve`.
    """

    kind = "plateau_gaussian"
    sigma_x: Annotated[AnyDistribution, Between(0.01, 100)]
    sigma_y: Annotated[AnyDistribution, Between(0, 100)] = _NONE
    theta: Annotated[AnyDistribution, _ANY_ANGLE] = _NONE
    beta: Annotated[AnyDistribution, _BETA] = Constant(constant=1.0)
    size: Annotated[AnyDistribution, Between(1, restoration.MAX_KERNEL, whole=True)]

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A plateau for each set of parameters."""
        x, y = _widths(params)
        beta, theta = params["beta"], params["theta"]
        return psf.plateau_gaussian_batch(params["size"], x, y, theta, beta, self.psf_size)


class Sinc(SizedStage):
    """The ideal circular low-pass, cut off at a kernel size, which rings: Real-ESRGAN's sinc filter.

    See `blurgen.psf.sinc`. Its PSFs have negative weights: bytes are clipped to 0 … 255, floats are not.

    Parameters
    ----------
    cutoff : distribution
        Cutoff frequency in radians a pixel, 0.1 … 3.1416 (π, the highest frequency of the grid).
    size : distribution
        Kernel size, whole and odd, 1 … 201.
    border : str
        See `blurgen.convolve`.
    """

    kind = "sinc"
    cutoff: Annotated[AnyDistribution, Between(0.1, restoration.MAX_CUTOFF)]
    size: Annotated[AnyDistribution, Between(1, restoration.MAX_SINC, whole=True)]

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A sinc for each cutoff and size."""
        return psf.sinc_batch(params["size"], params["cutoff"], self.psf_size)

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images convolved with the stage's PSFs."""
        if images.dtype != np.uint8:
            return super().apply(images, params, draws)
        # sums of bytes in integers take no negative weights
        sums = super().apply(images.astype(np.float32), params, draws)
        return np.clip(np.floor(sums + np.float32(0.5)), 0, 255).astype(np.uint8)


class Diffraction(SizedStage):
    """Diffraction by a round lens with aberrations, in light of one wavelength.

    See `blurgen.psf.diffraction`.

    Parameters
    ----------
    airy_radius : distribution
        Radius of the Airy pattern's first dark ring in pixels, 1 … 20: 1.22·λ·N/p for the wavelength λ,
        f-number N and pixel pitch p.
    defocus, spherical : distribution
        Zernike amplitudes (Noll) in waves, root mean square over the pupil, −1 … 1; default 0.
    astigmatism, coma, trefoil : distribution
        Zernike amplitudes likewise, 0 … 1; default 0.
    astigmatism_angle, coma_angle, trefoil_angle : distribution
        Degrees, anticlockwise from the x axis; default 0.
    size : distribution
        Size in pixels, whole and odd, up to 255; 0 (the default) takes ⌈4·airy_radius⌉ and the reach of the
        aberrated rays on each side of the centre, together at most 255.
    border : str
        See `blurgen.convolve`.
    """

    kind = "diffraction"
    airy_radius: Annotated[AnyDistribution, Between(1, 20)]
    defocus: Annotated[AnyDistribution, Between(*amplitude_range("defocus"))] = _NONE
    astigmatism: Annotated[AnyDistribution, Between(*amplitude_range("astigmatism"))] = _NONE
    astigmatism_angle: Annotated[AnyDistribution, _ANY_ANGLE] = _NONE
    coma: Annotated[AnyDistribution, Between(*amplitude_range("coma"))] = _NONE
    coma_angle: Annotated[AnyDistribution, _ANY_ANGLE] = _NONE
    trefoil: Annotated[AnyDistribution, Between(*amplitude_range("trefoil"))] = _NONE
    trefoil_angle: Annotated[AnyDistribution, _ANY_ANGLE] = _NONE
    spherical: Annotated[AnyDistribution, Between(*amplitude_range("spherical"))] = _NONE
    size: Annotated[AnyDistribution, Between(0, MAX_SIZE, whole=True)] = _NONE

    @model_validator(mode="after")
    def _check(self) -> Diffraction:
        _refuse_beyond(self.psf_size, MAX_SIZE)
        return self

    @property
    def psf_size(self) -> int:
        """The size for the greatest Airy radius and aberrations, or the greatest size."""
        size = int(self.size.bounds[1]) | 1
        if self.size.bounds[0] > 0:
            return size
        bounds = [self.distribution(name).bounds for name in Aberrations._fields]
        waves = Aberrations(*(max(-least, most) for least, most in bounds))
        return max(size, automatic_size(_greatest(self, "airy_radius"), waves))

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A PSF for each set of parameters."""
        waves = np.stack([params[name] for name in Aberrations._fields], axis=1)
        sizes = automatic_sizes(params["airy_radius"], waves)
        sizes = np.where(params["size"] > 0, params["size"], sizes)
        return psf.diffraction_batch(sizes, params["airy_radius"], waves, self.psf_size)


def _widths(params: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both widths, the second the first's where it is 0."""
    return params["sigma_x"], np.where(params["sigma_y"] > 0.0, params["sigma_y"], params["sigma_x"])


def _sizes(
    given: NDArray[np.int64], widths: NDArray[np.float64], betas: NDArray[np.float64]
) -> NDArray[np.int64]:
    return np.where(given > 0, given, restoration.automatic_sizes(widths, betas))


def _size_for(stage: SizedStage, width: float, beta: float) -> int:
    """The size that holds all kernels of a stage that may choose their sizes by themselves."""
    least, most = stage.distribution("size").bounds
    automatic = restoration.automatic_sizes(np.array([width]), np.array([beta]))
    return max(int(most) | 1, int(automatic[0]) if least <= 0 else 1)


def _refuse_beyond(size: int, most: int) -> None:
    if size > most:
        raise PydanticCustomError(
            "size",
            "the kernels reach {size} pixels a side, {most} are the most: narrow the ranges or give a size",
            {"size": size, "most": most},
        )
