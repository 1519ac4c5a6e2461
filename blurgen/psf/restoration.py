"""The analytic kernels that restoration papers degrade images with: those of BSRGAN and Real-ESRGAN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.loops import optics as loops
from blurgen.psf.sizes import checked_number, checked_size

MAX_KERNEL = 801
LEAST_BETA, MAX_BETA = 0.25, 16.0
MAX_CUTOFF = 3.1416
MAX_SINC = 201


def anisotropic_gaussian(
    size: int, sigma_x: float, sigma_y: float = 0.0, theta: float = 0.0
) -> NDArray[np.float64]:
    """Gaussian PSF of two widths, turned: exp(−½·xᵀΣ⁻¹x), over its sum.

    Σ = R·diag(σx², σy²)·Rᵀ, R turning by theta. BasicSR's ``bivariate_Gaussian`` but for the angle, which is
    there in radians and clockwise: its ``theta`` is −theta·π/180 here. Weights below 2⁻⁵² of the largest
    are 0.

    Parameters
    ----------
    size : int
        Odd kernel size, 1 … 801.
    sigma_x : float
        Standard deviation in pixels along the axis that theta turns, 0.01 … 100.
    sigma_y : float
        Standard deviation across it, 0 … 100; 0 (the default) takes `sigma_x`. Widths below 0.01 are points.
    theta : float
        Degrees, anticlockwise from the positive x axis, y pointing up.

    Returns
    -------
    ndarray
        float64, shape (size, size), sum 1; symmetric under a half turn.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> anisotropic_gaussian(3, 1, 0.5, theta=90).round(3)
    array([[0.029, 0.216, 0.029],
           [0.048, 0.356, 0.048],
           [0.029, 0.216, 0.029]])
    """
    return _bell(loops.GAUSSIAN, size, sigma_x, sigma_y, theta, 1.0)


def generalized_gaussian(
    size: int, sigma_x: float, sigma_y: float = 0.0, theta: float = 0.0, beta: float = 1.0
) -> NDArray[np.float64]:
    """Generalised Gaussian PSF: exp(−½·(xᵀΣ⁻¹x)^β), over its sum.

    BasicSR's ``bivariate_generalized_Gaussian``; see `anisotropic_gaussian` for Σ and the other arguments.

    Parameters
    ----------
    size : int
        Odd kernel size, 1 … 801.
    sigma_x, sigma_y, theta : float
        As of `anisotropic_gaussian`.
    beta : float
        Shape, 0.25 … 16: 1 is a Gaussian, less a sharper peak with wider tails, more a flatter top.

    Returns
    -------
    ndarray
        float64, shape (size, size), sum 1; symmetric under a half turn.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> generalized_gaussian(3, 1, beta=0.5).round(3)
    array([[0.091, 0.112, 0.091],
           [0.112, 0.185, 0.112],
           [0.091, 0.112, 0.091]])
    """
    return _bell(loops.GENERALIZED, size, sigma_x, sigma_y, theta, beta)


def plateau_gaussian(
    size: int, sigma_x: float, sigma_y: float = 0.0, theta: float = 0.0, beta: float = 1.0
) -> NDArray[np.float64]:
    """PSF with a plateau: 1/((xᵀΣ⁻¹x)^β + 1), over its sum.

    BasicSR's ``bivariate_plateau``; see `anisotropic_gaussian` for Σ and the other arguments.

    Parameters
    ----------
    size : int
        Odd kernel size, 1 … 801; where it ends, so do the tails, which fall off as a power only.
    sigma_x, sigma_y, theta : float
        As of `anisotropic_gaussian`; at these distances the weight is half the centre's.
    beta : float
        Shape, 0.25 … 16: the greater, the steeper.

    Returns
    -------
    ndarray
        float64, shape (size, size), sum 1; symmetric under a half turn.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> plateau_gaussian(3, 1).round(3)
    array([[0.077, 0.115, 0.077],
           [0.115, 0.231, 0.115],
           [0.077, 0.115, 0.077]])
    """
    return _bell(loops.PLATEAU, size, sigma_x, sigma_y, theta, beta)


def _bell(
    law: int, size: int, sigma_x: float, sigma_y: float, theta: float, beta: float
) -> NDArray[np.float64]:
    size = _checked_odd(size, MAX_KERNEL)
    sigma_x = checked_number("sigma_x", sigma_x, 0.01, 100.0)
    sigma_y = checked_number("sigma_y", sigma_y, 0.0, 100.0) or sigma_x
    theta = checked_number("theta", theta, -1e6, 1e6)
    beta = checked_number("beta", beta, LEAST_BETA, MAX_BETA)
    out = np.empty((1, size, size))
    x, y, turn, shape = (np.array([value]) for value in (sigma_x, sigma_y, theta, beta))
    loops.bells(law, np.array([size]), x, y, turn, shape, out)
    psf: NDArray[np.float64] = out[0]
    return psf


def automatic_sizes(sigmas: NDArray[np.float64], betas: NDArray[np.float64]) -> NDArray[np.int64]:
    """The odd sizes that hold generalised Gaussians of widths up to `sigmas`, int64 (B,): 2·⌈4^(1/β)·σ⌉ + 1.

    That is down to e⁻⁸ of the centre, where a Gaussian is at 4σ.
    """
    out = np.empty(sigmas.size, np.int64)
    loops.automatic_sizes(sigmas, betas, out)
    return out


def anisotropic_gaussian_batch(
    sizes: NDArray[np.int64],
    sigma_x: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    theta: NDArray[np.float64],
    size: int,
) -> NDArray[np.float32]:
    """Render a Gaussian for each (size, σx, σy, θ), shape (B,), centred in `size` × `size` pixels.

    The sizes are odd. Unlike in `anisotropic_gaussian`, σy = 0 is not σx but next to nothing.
    """
    return _bells(loops.GAUSSIAN, sizes, sigma_x, sigma_y, theta, np.ones(sizes.size), size)


def generalized_gaussian_batch(
    sizes: NDArray[np.int64],
    sigma_x: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    theta: NDArray[np.float64],
    beta: NDArray[np.float64],
    size: int,
) -> NDArray[np.float32]:
    """Render a generalised Gaussian for each (size, σx, σy, θ, β), as `anisotropic_gaussian_batch`."""
    return _bells(loops.GENERALIZED, sizes, sigma_x, sigma_y, theta, beta, size)


def plateau_gaussian_batch(
    sizes: NDArray[np.int64],
    sigma_x: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    theta: NDArray[np.float64],
    beta: NDArray[np.float64],
    size: int,
) -> NDArray[np.float32]:
    """Render a plateau for each (size, σx, σy, θ, β), as `anisotropic_gaussian_batch`."""
    return _bells(loops.PLATEAU, sizes, sigma_x, sigma_y, theta, beta, size)


def _bells(
    law: int,
    sizes: NDArray[np.int64],
    sigma_x: NDArray[np.float64],
    sigma_y: NDArray[np.float64],
    theta: NDArray[np.float64],
    beta: NDArray[np.float64],
    size: int,
) -> NDArray[np.float32]:
    psfs = np.empty((sizes.size, size, size), np.float32)
    loops.bells(law, sizes, sigma_x, sigma_y, theta, beta, psfs)
    return psfs


def sinc(size: int, cutoff: float) -> NDArray[np.float64]:
    """Kernel of the ideal low-pass with a circular pass band, which rings; it has negative weights.

    ω·J₁(ω·r)/(2π·r), ω²/4π in the centre, over the sum: Real-ESRGAN's ``circular_lowpass_kernel``.

    Parameters
    ----------
    size : int
        Odd kernel size, 1 … 201.
    cutoff : float
        Cutoff frequency ω in radians a pixel, 0.1 … 3.1416; π is the highest frequency of the grid.

    Returns
    -------
    ndarray
        float64, shape (size, size), sum 1.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> sinc(3, 3.14159).round(3)
    array([[-0.072,  0.136, -0.072],
           [ 0.136,  0.748,  0.136],
           [-0.072,  0.136, -0.072]])
    """
    size = _checked_odd(size, MAX_SINC)
    cutoff = checked_number("cutoff", cutoff, 0.1, MAX_CUTOFF)
    out = np.empty((1, size, size))
    loops.sincs(np.array([cutoff]), np.array([size]), out)
    psf: NDArray[np.float64] = out[0]
    return psf


def sinc_batch(sizes: NDArray[np.int64], cutoffs: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Render a sinc for each (size, cutoff), shape (B,), sizes odd, centred in `size` × `size` pixels."""
    psfs = np.empty((sizes.size, size, size), np.float32)
    loops.sincs(cutoffs, sizes, psfs)
    return psfs


def _checked_odd(size: int, most: int) -> int:
    rows, columns = checked_size(size)
    if rows != columns or rows % 2 == 0 or rows > most:
        raise InputError(f"PSF size {size!r}: an odd whole number from 1 to {most} is needed")
    return rows
