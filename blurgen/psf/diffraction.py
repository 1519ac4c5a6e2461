"""What a lens with aberrations makes of a point: diffraction by its round pupil."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError
from blurgen.loops import pupil as loops
from blurgen.psf.sizes import checked_number, checked_size

MAX_SIZE = 255
MAX_WAVES = 1.0


class Aberrations(NamedTuple):
    """Zernike amplitudes in waves, root mean square over the pupil, and their angles in degrees."""

    defocus: float = 0.0
    astigmatism: float = 0.0
    astigmatism_angle: float = 0.0
    coma: float = 0.0
    coma_angle: float = 0.0
    trefoil: float = 0.0
    trefoil_angle: float = 0.0
    spherical: float = 0.0


def diffraction(
    airy_radius: float,
    size: int = 0,
    *,
    defocus: float = 0.0,
    astigmatism: float = 0.0,
    astigmatism_angle: float = 0.0,
    coma: float = 0.0,
    coma_angle: float = 0.0,
    trefoil: float = 0.0,
    trefoil_angle: float = 0.0,
    spherical: float = 0.0,
) -> NDArray[np.float64]:
    """PSF of a lens with a round aperture in incoherent light of one wavelength, aberrations included.

    The squared magnitude of the Fourier transform of the pupil ``exp(2πiW)``, where the wavefront W,
    in waves, is a sum of Zernike polynomials in Noll's normalisation [1]_ (ρ = 1 at the pupil's rim, θ taken
    from the aberration's angle):

    ===========  ============================
    defocus      √3·(2ρ² − 1)
    astigmatism  √6·ρ²·cos 2θ
    coma         √8·(3ρ³ − 2ρ)·cos θ
    trefoil      √8·ρ³·cos 3θ
    spherical    √5·(6ρ⁴ − 6ρ² + 1)
    ===========  ============================

    Each pixel weighs the light that falls on its area, by Gauss's rule of 3 × 3 points. The pupil is sampled
    at 64 × 64 points or as many as its wavefront needs; without aberrations the weights agree with those of
    the Airy pattern (2·J₁(v)/v)² to 3·10⁻³ of the greatest, with
    aberrations of a few tenths of a wave to 6·10⁻³. The PSF's centroid lies in the middle of the
    centre pixel: coma's tilt is chosen so.

    Parameters
    ----------
    airy_radius : float
        Radius of the first dark ring in pixels, 1 … 20: 1.22·λ·N/p for the wavelength λ, f-number N and pixel
        pitch p. 0.55 µm at f/8 on pixels of 3 µm make 1.79.
    size : int
        Odd size, 1 … 255; light beyond is cut off, the rest divided by its sum. 0 (the default) takes
        ⌈4·airy_radius⌉ pixels, which hold 96 % of the Airy pattern, and the reach of the aberrated rays on
        each side of the centre.
    defocus, spherical : float
        Amplitudes in waves (root mean square over the pupil), −1 … 1. Defocus alone makes a disc of about
        11.4·defocus·airy_radius pixels' radius; a lens of diameter D focused at s₁ has, for an object at s₂,
        a defocus of D²·(1/s₂ − 1/s₁)/(8·√12·λ).
    astigmatism, coma, trefoil : float
        Amplitudes likewise, 0 … 1.
    astigmatism_angle, coma_angle, trefoil_angle : float
        Degrees, anticlockwise from the positive x axis, y pointing up. Coma's tail points to its angle.

    Returns
    -------
    ndarray
        float64, square, of odd size, sum 1; single precision of the greatest weight.

    Raises
    ------
    InputError
        If an argument is out of range, or the automatic size exceeds 255.

    References
    ----------
    .. [1] R. J. Noll, "Zernike polynomials and atmospheric turbulence", J. Opt. Soc. Am. 66 (1976).

    Examples
    --------
    >>> diffraction(2, 3).round(3)
    array([[0.047, 0.127, 0.047],
           [0.127, 0.305, 0.127],
           [0.047, 0.127, 0.047]])
    """
    airy_radius = checked_number("airy_radius", airy_radius, 1.0, 20.0)
    given = Aberrations(
        defocus, astigmatism, astigmatism_angle, coma, coma_angle, trefoil, trefoil_angle, spherical
    )
    for name, value in given._asdict().items():
        least, most = amplitude_range(name)
        checked_number(name, value, least, most)
    rows, columns = checked_size(size) if size != 0 else (automatic_size(airy_radius, given),) * 2
    if rows != columns or rows % 2 == 0 or rows > MAX_SIZE:
        what = "the PSF's automatic size" if size == 0 else "PSF size"
        number = rows if size == 0 else size
        raise InputError(f"{what} {number!r}: an odd whole number from 1 to {MAX_SIZE} is needed")
    out = np.empty((1, rows, rows))
    loops.diffraction(np.array([airy_radius]), np.array([given], np.float64), np.array([rows // 2]), out)
    psf: NDArray[np.float64] = out[0]
    return psf


def amplitude_range(name: str) -> tuple[float, float]:
    """The least and the greatest value of an aberration, or of its angle."""
    if name.endswith("angle"):
        return -1e6, 1e6
    return (-MAX_WAVES if name in ("defocus", "spherical") else 0.0), MAX_WAVES


def automatic_size(airy_radius: float, waves: Aberrations) -> int:
    """The odd size that holds four Airy radii and the reach of the aberrated rays on each side."""
    return int(automatic_sizes(np.array([airy_radius]), np.array([waves], np.float64))[0])


def automatic_sizes(airy_radii: NDArray[np.float64], waves: NDArray[np.float64]) -> NDArray[np.int64]:
    """`automatic_size` of each (airy_radius, waves), shapes (B,) and (B, 8): int64 (B,)."""
    out = np.empty(airy_radii.size, np.int64)
    loops.automatic_sizes(airy_radii, waves, out)
    return out


def diffraction_batch(
    sizes: NDArray[np.int64], airy_radii: NDArray[np.float64], waves: NDArray[np.float64], size: int
) -> NDArray[np.float32]:
    """Render a PSF for each row of `waves`, the fields of `Aberrations`, float64 (B, 8).

    `sizes`, odd, and `airy_radii` are of shape (B,); each PSF is centred in `size` × `size` pixels.
    """
    psfs = np.empty((sizes.size, size, size), np.float32)
    loops.diffraction(airy_radii, waves, sizes // 2, psfs)
    return psfs
