"""PSFs of a round aperture with aberrations, by a Fourier transform of its pupil.

The pupil is sampled on a square grid, symmetric about its centre, so that one real sum of sums and one of
differences serve the two points ±x at once. Inner loops run over neighbours in memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import sincos
from blurgen.loops.jit import exact
from blurgen.loops.optics import finish

Plane = NDArray[np.float32]

AIRY = 1.2196698912665045  # the first dark ring, in wavelengths times the f-number
# Gauss's three points of a pixel and their weights
_OFF = 0.3872983346207417
_OUTER, _INNER = 5.0 / 18.0, 8.0 / 18.0
_LEAST_GRID = 64
_LANES = 16  # floats: rows of whole vectors need no remainder

_R3, _R5, _R6, _R8 = math.sqrt(3.0), math.sqrt(5.0), math.sqrt(6.0), math.sqrt(8.0)


@exact
def _steepest(waves: NDArray[np.float64]) -> float:
    """A bound of the wavefront's slope in the pupil, in waves a radius."""
    slope: float = (
        4.0 * _R3 * abs(waves[0])
        + 2.0 * _R6 * abs(waves[1])
        + 6.0 * _R8 * abs(waves[3])
        + 3.0 * _R8 * abs(waves[5])
        + 12.0 * _R5 * abs(waves[7])
    )
    return slope


@exact
def automatic_sizes(airy: NDArray[np.float64], waves: NDArray[np.float64], out: NDArray[np.int64]) -> None:
    """Sizes that hold four Airy radii and what the wavefront's slopes add to them."""
    for b in range(airy.size):
        # a ray lands where the slope at its place in the pupil sends it
        reach = 4.0 * airy[b] + _steepest(waves[b]) * airy[b] * 2.0 / AIRY
        out[b] = 2 * math.ceil(reach) + 1


@exact
def _grid(airy: float, slope: float, reach: int) -> int:
    """How many points the pupil takes across, a multiple of 16.

    They keep the PSF's periodic images out of sight, and the phase at the rim nearly even over a step.
    """
    needed = AIRY / airy * (reach + 0.5 + 4.0 * airy) + 16.0 * slope
    return max(_LEAST_GRID, 16 * math.ceil(needed / 16.0))


@exact
def _fill_pupil(waves: NDArray[np.float64], out: Plane) -> None:
    """The pupil's amplitude at ``out[x, y]``, imaginary parts behind the real ones of a row.

    The edge falls to 0 over one step of the grid.
    """
    n = out.shape[0]
    step = 2.0 / n
    s, c = sincos(waves[2] % 180.0 / 90.0 * math.pi)
    astigmatism_x, astigmatism_y = _R6 * waves[1] * c, _R6 * waves[1] * s
    s, c = sincos(waves[4] % 360.0 / 180.0 * math.pi)
    coma_x, coma_y = _R8 * waves[3] * c, _R8 * waves[3] * s
    s, c = sincos(waves[6] % 120.0 / 60.0 * math.pi)
    trefoil_x, trefoil_y = _R8 * waves[5] * c, _R8 * waves[5] * s
    defocus, spherical = _R3 * waves[0], _R5 * waves[7]
    amplitudes, angles = np.empty(n), np.empty(n)
    for i in range(n):
        x = (i + 0.5) * step - 1.0
        for j in range(n):
            y = (j + 0.5) * step - 1.0
            square = x * x + y * y
            amplitudes[j] = max(0.0, min(1.0, 0.5 + (1.0 - math.sqrt(square)) / step))
            angles[j] = (
                defocus * (2.0 * square - 1.0)
                + astigmatism_x * (x * x - y * y)
                + astigmatism_y * (2.0 * x * y)
                # Zernike's coma is 3ρ³ − 2ρ; the tilt −ρ moves the PSF's centroid to the centre
                + 3.0 * (square - 1.0) * (coma_x * x + coma_y * y)
                + trefoil_x * (x * x - 3.0 * y * y) * x
                + trefoil_y * (3.0 * x * x - y * y) * y
                + spherical * (6.0 * square * (square - 1.0) + 1.0)
            ) * (2.0 * math.pi)
        for j in range(n):
            out[i, j] = 0.0
            out[i, n + j] = 0.0
            if amplitudes[j] > 0.0:
                s, c = sincos(angles[j])
                out[i, j] = amplitudes[j] * c
                out[i, n + j] = amplitudes[j] * s


@exact
def _transform(field: Plane, cosines: Plane, sines: Plane, out: Plane) -> None:
    """Along the first axis, Σ field[u, y]·exp(−2πi·u·x) for every x, written transposed: ``out[y, x]``.

    `cosines` and `sines` are those at [x, u], x ≥ 0 and u > 0 from the smallest, a multiple of 4 of them;
    the x of `out` run from − to +, what is left of its rows is 0.
    """
    n, width = field.shape[0], field.shape[1] // 2
    positions, half = cosines.shape
    middle, room = positions - 1, out.shape[1] // 2
    sums, differences = np.empty((half, 2 * width), np.float32), np.empty((half, 2 * width), np.float32)
    for u in range(half):
        above, below = field[half + u], field[n - 1 - half - u]
        for y in range(2 * width):
            sums[u, y] = above[y] + below[y]
            differences[u, y] = above[y] - below[y]
    even, odd = np.empty(2 * width, np.float32), np.empty(2 * width, np.float32)
    out[:] = 0.0
    for a in range(positions):
        even[:] = 0.0
        odd[:] = 0.0
        for u in range(0, half, 4):
            # four at a time: the totals are loaded and stored less often
            f0, f1, f2, f3 = sums[u], sums[u + 1], sums[u + 2], sums[u + 3]
            c0, c1, c2, c3 = cosines[a, u], cosines[a, u + 1], cosines[a, u + 2], cosines[a, u + 3]
            for y in range(2 * width):
                even[y] += (c0 * f0[y] + c1 * f1[y]) + (c2 * f2[y] + c3 * f3[y])
            f0, f1, f2, f3 = differences[u], differences[u + 1], differences[u + 2], differences[u + 3]
            c0, c1, c2, c3 = sines[a, u], sines[a, u + 1], sines[a, u + 2], sines[a, u + 3]
            for y in range(2 * width):
                odd[y] += (c0 * f0[y] + c1 * f1[y]) + (c2 * f2[y] + c3 * f3[y])
        for y in range(out.shape[0]):
            out[y, middle + a] = even[y] + odd[width + y]
            out[y, room + middle + a] = even[width + y] - odd[y]
            out[y, middle - a] = even[y] - odd[width + y]
            out[y, room + middle - a] = even[width + y] + odd[y]


@exact
def diffraction(
    airy: NDArray[np.float64], waves: NDArray[np.float64], reaches: NDArray[np.int64], out: NDArray[Any]
) -> None:
    """Fill the pixels within ``reaches[b]`` of the middle of each `out[b]` with a lens's PSF.

    ``waves[b]`` is defocus, astigmatism and its angle, coma and its angle, trefoil and its angle, spherical.
    """
    largest = out.shape[1] // 2
    drawn = np.empty((out.shape[1], out.shape[1]))
    for b in range(airy.size):
        reach = reaches[b]
        n = _grid(airy[b], _steepest(waves[b]), reach)
        pupil = np.empty((n, 2 * n), np.float32)
        _fill_pupil(waves[b], pupil)

        positions = 3 * reach + 2
        cosines, sines = np.empty((positions, n // 2), np.float32), np.empty((positions, n // 2), np.float32)
        for a in range(positions):
            pixel = (a + 1) // 3
            x = pixel + ((a + 1) % 3 - 1) * _OFF
            for u in range(n // 2):
                s, c = sincos(math.pi * AIRY / airy[b] * x * ((u + 0.5) * 2.0 / n))
                cosines[a, u] = c
                sines[a, u] = s

        width = 2 * positions - 1
        room = (width + _LANES - 1) // _LANES * _LANES
        half = np.empty((n, 2 * room), np.float32)
        _transform(pupil, cosines, sines, half)
        # transposed twice: rows along x, columns along y, which points up
        light = np.empty((width, 2 * room), np.float32)
        _transform(half, cosines, sines, light)

        for i in range(2 * reach + 1):
            for j in range(2 * reach + 1):
                total = 0.0
                for u in range(3):
                    for v in range(3):
                        x, y = 3 * j + u, width - 1 - 3 * i - v
                        e, f = np.float64(light[x, y]), np.float64(light[x, room + y])
                        weight = (_INNER if u == 1 else _OUTER) * (_INNER if v == 1 else _OUTER)
                        total += weight * (e * e + f * f)
                drawn[largest - reach + i, largest - reach + j] = total
        finish(drawn, reach, out[b])
