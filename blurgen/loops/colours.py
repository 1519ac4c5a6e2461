"""Random covariances of the three colours' noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Which two channels each number of `covariances` belongs to."""

_SWEEPS = 10  # of Jacobi rotations; they converge quadratically, and 3×3 needs about 5


@exact
def _eigenvectors(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eigenvectors of a symmetric 3×3 matrix, by falling eigenvalue, as columns; `a` is lost."""
    v = np.zeros((3, 3))
    for i in range(3):
        v[i, i] = 1.0
    for _ in range(_SWEEPS):
        for p, q in ((0, 1), (0, 2), (1, 2)):
            if abs(a[p, q]) <= 1e-30 * (abs(a[p, p]) + abs(a[q, q])):
                continue
            theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
            t = math.copysign(1.0, theta) / (abs(theta) + math.sqrt(theta * theta + 1.0))
            c = 1.0 / math.sqrt(t * t + 1.0)
            s = t * c
            for k in range(3):
                x, y = a[k, p], a[k, q]
                a[k, p], a[k, q] = c * x - s * y, s * x + c * y
            for k in range(3):
                x, y = a[p, k], a[q, k]
                a[p, k], a[q, k] = c * x - s * y, s * x + c * y
                x, y = v[k, p], v[k, q]
                v[k, p], v[k, q] = c * x - s * y, s * x + c * y
    for p, q in ((0, 1), (0, 2), (1, 2)):
        if a[q, q] > a[p, p]:
            a[p, p], a[q, q] = a[q, q], a[p, p]
            for k in range(3):
                v[k, p], v[k, q] = v[k, q], v[k, p]
    return v


@exact
def covariances(uniform: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Fill `out` (6, B), see `PAIRS`, with |UᵀDU| from uniform numbers (12, B).

    The first three are the diagonal of D; U has the left singular vectors of the matrix of the other nine.
    """
    square = np.empty((3, 3))
    for n in range(uniform.shape[1]):
        for i in range(3):
            for j in range(3):
                total = 0.0
                for k in range(3):
                    total += uniform[3 + 3 * i + k, n] * uniform[3 + 3 * j + k, n]
                square[i, j] = total
        u = _eigenvectors(square)
        for m, (i, j) in enumerate(PAIRS):
            total = 0.0
            for k in range(3):
                total += uniform[k, n] * u[k, i] * u[k, j]
            out[m, n] = abs(total)


@exact
def mixing(covariance: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Fill `out` (B, 3, 3) with the Cholesky factors of covariances (6, B), see `PAIRS`."""
    for n in range(covariance.shape[1]):
        low = np.zeros((3, 3))
        for m, (i, j) in enumerate(PAIRS):
            rest = covariance[m, n]
            for k in range(i):
                rest -= low[i, k] * low[j, k]
            if i == j:
                low[i, i] = math.sqrt(max(rest, 0.0))
            elif low[i, i] > 0.0:
                low[j, i] = rest / low[i, i]
        for i in range(3):
            for j in range(3):
                out[n, i, j] = low[i, j]
