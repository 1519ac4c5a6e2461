"""Findings in words and numbers, as page and card tell them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blurgen.reporting.duplicates import LEAST
from blurgen.reporting.findings import Findings, Parameter


def facts(found: Findings) -> dict[str, str]:
    """The findings that stand in one number each: name → value."""
    header = found.pairs.header
    told = {
        "pairs": f"{header.count:,}",
        "size": "×".join(map(str, header.shape)),
        "recipe": header.recipe.name,
        "source": _source(header.dataset),
        "seed": str(header.seed),
        "PSNR, median": f"{np.median(found.psnr):.2f} dB",
        "SSIM, median": f"{np.median(found.ssim):.4f}",
    }
    if found.psfs is not None:
        told["PSF, median side"] = f"{np.median(found.psfs.support):.0f} px"
    return told


def sampled(found: Findings) -> dict[str, str]:
    """What was looked at for what, in words."""
    count = len(found.pairs)
    told = {"parameters": _of(found.rows.size, count), "images": _of(found.scored.size, count)}
    if found.psfs is not None:
        told["PSFs"] = _of(len(found.psfs.rows), count)
    return told


def numbers_of(parameter: Parameter) -> dict[str, str]:
    """What came of a parameter beside what was promised: name → value."""
    promise, values = parameter.promise, parameter.values
    told = {"promised": promise.written or "what its stage makes of its own draws"}
    if promise.share < 1 or parameter.share < 1:
        told["took part"] = f"{_percent(parameter.share)} (promised {_percent(promise.share)})"
    if not values.size:
        return {**told, "values": "none"}
    low, high = values.min(), values.max()
    if low == high and parameter.gap == 0:
        told["value"] = f"{low:.5g}"
        return told
    told["range"] = f"{low:.5g} … {high:.5g}"
    told["mean"] = f"{values.mean():.5g}"
    told["greatest gap"] = f"{_percent(parameter.gap)} ({verdict(parameter)})"
    return told


def constant(parameter: Parameter) -> str:
    """Of a parameter that does not vary: its value, and how often its stage took part."""
    told = numbers_of(parameter)
    part = f", in {told['took part']}" if "took part" in told else ""
    return f"{told.get('value', 'never drawn')}{part}"


def verdict(parameter: Parameter) -> str:
    """Whether a parameter is as promised, as far as that can be said."""
    if not parameter.promise.independent:
        return "copies may share a value, so chance allows more"
    if parameter.kept:
        return f"chance allows {_percent(parameter.bound)}"
    return f"more than the {_percent(parameter.bound)} that chance allows"


def clipped(found: Findings) -> list[tuple[str, ...]]:
    """For each channel the shares of black and white pixels: sharp and blurred."""
    names = ["grey"] if found.pairs.header.shape[2] == 1 else ["red", "green", "blue"]
    rows: list[tuple[str, ...]] = []
    for name, before, after in zip(names, found.levels.sharp, found.levels.blurred, strict=True):
        ends = [_percent(counts[level] / counts.sum()) for level in (0, 255) for counts in (before, after)]
        rows.append((name, *ends))
    return rows


def scores(found: Findings) -> list[tuple[str, ...]]:
    """For PSNR and SSIM: mean, least, median, greatest, and how many pairs are equal."""
    same = f"{int((found.psnr >= 100).sum()):,}"
    return [
        ("PSNR / dB", *(f"{value:.2f}" for value in _spread(found.psnr)), same),
        ("SSIM", *(f"{value:.4f}" for value in _spread(found.ssim)), same),
    ]


def psf_numbers(found: Findings) -> dict[str, str]:
    """The PSFs in numbers: name → value."""
    told = found.psfs
    if told is None:
        return {}
    far = np.hypot(*told.centroids.T)
    low, middle, high = np.percentile(told.support, (0, 50, 100))
    return {
        "PSFs": "stored in the file" if told.stored else "made again from what was drawn",
        "support": f"{low:.0f} … {high:.0f} pixels, median {middle:.0f}",
        "centroid": f"{np.median(far):.3f} pixels from the middle in the median, {far.max():.3f} at most",
    }


def duplicates(found: Findings) -> str:
    """What the search for near-duplicates did and found, in sentences."""
    told = found.duplicates
    which = "all source images" if told.whole else "a sample of the source images"
    text = (
        f"One sharp image of each of {told.images:,} source images ({which}) was compared with every other: "
        f"near-duplicates are those whose grey values correlate by at least {LEAST:g}, whatever their "
        "brightness and contrast. None is missed: images are left aside only where their means over a grid "
        "of 16×16 prove them less alike."
    )
    if told.flat:
        text += f" {told.flat:,} more have next to no contrast and were left out."
    if not len(told.rows):
        return f"{text} There is none."
    if told.stopped:
        return f"{text} So many are alike that the search ended early: at least {told.involved:,} images."
    return f"{text} There are {len(told.rows):,} such pairs, of {told.involved:,} images."


def _source(dataset: str) -> str:
    """A source without the folders that it lies in."""
    kind, colon, place = dataset.partition(":")
    return f"{kind}{colon}{place.rstrip('/').rpartition('/')[2]}"


def _spread(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    return float(values.mean()), float(values.min()), float(np.median(values)), float(values.max())


def _of(some: int, count: int) -> str:
    return f"all {count:,} pairs" if some == count else f"{some:,} of {count:,} pairs, drawn evenly"


def _percent(share: float) -> str:
    """Two digits at least, and never 0 or 100 where it is not."""
    percent = 100.0 * float(share)
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    digits = max(0, 1 - math.floor(math.log10(min(percent, 100.0 - percent)))) if percent < 99.995 else 4
    return f"{percent:.{min(digits, 4)}f} %"
