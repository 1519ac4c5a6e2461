"""Deblurring as it was before networks, with the PSF known: what a network must beat."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from blurgen.psf.composition import trimmed
from blurgen.threads import usable_cpus
from trainers.errors import TrainerError

Floats = NDArray[np.float64]

_TRIED_ON = 24  # pairs that a method's strength is chosen by, at most
_TINY = 1e-10


@dataclass(frozen=True)
class Method:
    """A way to deblur one channel.

    Attributes
    ----------
    name : str
        What it is called.
    strengths : tuple of float
        What is tried for its one parameter.
    parameter : str
        What that is called.
    restore : callable
        Of a float64 image (H, W), black 0, white 1, its PSF, and a strength.
    """

    name: str
    strengths: tuple[float, ...]
    parameter: str
    restore: Callable[[Floats, Floats, float], Floats]


def wiener(image: Floats, psf: Floats, balance: float) -> Floats:
    """Wiener filter of scikit-image, regularised by the Laplacian times `balance`."""
    restored: Floats = _scikit_image().wiener(image, psf, balance)
    return restored


def richardson_lucy(image: Floats, psf: Floats, iterations: float) -> Floats:
    """Richardson–Lucy deconvolution of scikit-image, so many iterations."""
    restored: Floats = _scikit_image().richardson_lucy(image, psf, num_iter=int(iterations))
    return restored


def _scikit_image() -> Any:
    try:
        from skimage import restoration
    except ImportError:
        raise TrainerError("the classical methods need scikit-image: pip install scikit-image") from None
    return restoration


METHODS: Final = (
    Method("Wiener", (1e-4, 1e-3, 1e-2, 1e-1, 1.0), "balance", wiener),
    Method("Richardson–Lucy", (5, 10, 20, 50), "iterations", richardson_lucy),
)


@dataclass(frozen=True)
class Restored:
    """What a method made of some pairs.

    Attributes
    ----------
    method : str
        Its name.
    setting : str
        Its parameter, as it was chosen.
    images : ndarray
        float32, shape (B, H, W, C), clipped to 0 … 1.
    """

    method: str
    setting: str
    images: NDArray[np.float32]


def deconvolve(
    blurred: NDArray[Any],
    sharp: NDArray[Any],
    psfs: NDArray[np.float32],
    *,
    step: Callable[[int], None] = lambda _: None,
) -> list[Restored]:
    """Deblur images by every method, each with the strength that suits it best.

    Borders are extended by the pixels at the edge before, and cut off after. The strength is the one of the
    highest mean PSNR on the first of these very pairs, which favours the method a little.

    Parameters
    ----------
    blurred, sharp : ndarray
        Shape (B, H, W, C), grey levels 0 … 255.
    psfs : ndarray
        float32, shape (B, k, k).
    step : callable
        Told after every image how many are done, of all methods together.

    Returns
    -------
    list of Restored
        One for each method.
    """
    done = 0
    results = []
    with ThreadPoolExecutor(usable_cpus(), "trainers-classical") as pool:
        for method in METHODS:
            first = range(min(_TRIED_ON, -(-len(blurred) // 4)))
            scores = []
            for strength in method.strengths:
                task = _task(method, strength, blurred, psfs)
                scores.append(
                    np.mean([_psnr(image, sharp[i]) for i, image in enumerate(pool.map(task, first))])
                )
            best = method.strengths[int(np.argmax(scores))]
            images = np.empty(blurred.shape, np.float32)
            for i, image in enumerate(pool.map(_task(method, best, blurred, psfs), range(len(blurred)))):
                images[i] = image
                done += 1
                step(done)
            results.append(Restored(method.name, f"{method.parameter} {best:g}", images))
    return results


def _task(
    method: Method, strength: float, blurred: NDArray[Any], psfs: NDArray[np.float32]
) -> Callable[[int], NDArray[np.float32]]:
    def one(i: int) -> NDArray[np.float32]:
        return restored(method, blurred[i], psfs[i], strength)

    return one


def restored(
    method: Method, image: NDArray[Any], psf: NDArray[np.floating[Any]], strength: float
) -> NDArray[np.float32]:
    """One image (H, W, C), deblurred channel by channel: float32, 0 … 1."""
    kernel = np.ascontiguousarray(trimmed(psf.astype(np.float64)[None])[0])
    reach = kernel.shape[0] // 2
    margin = 2 * reach  # so that what wraps around stays out of the image
    padded = np.pad(image / 255, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    height, width, channels = image.shape
    inside = (slice(margin, margin + height), slice(margin, margin + width))
    parts = [method.restore(padded[..., c], kernel, strength)[inside] for c in range(channels)]
    return np.clip(np.nan_to_num(np.stack(parts, axis=-1)), 0, 1).astype(np.float32)


def _psnr(image: NDArray[np.float32], sharp: NDArray[Any]) -> float:
    error = float(np.mean((image - sharp / 255) ** 2))
    return -10 * float(np.log10(max(error, _TINY)))
