"""Images of a report, as data that stands in the page itself."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blurgen.known_psfs import known_psfs
from blurgen.pairs import PairFile
from blurgen.psf.composition import trimmed
from blurgen.reporting.sampling import Rows
from blurgen.sheet import as_bytes, short_params

_SIDE = 512  # of an image in the page: of larger ones the middle is shown, pixel for pixel
_FEWEST = 6  # tiles that shall fit; else images are stored with loss
_QUALITY = 90  # of WebP
_SMALL_QUALITY = 80  # … of differences and spectra
_SPECTRUM_SIDE = 128
_PSF_DECIBELS, _IMAGE_DECIBELS = 60.0, 80.0  # from white to black
_PSF_SIDE = 160  # pixels that a PSF's picture has at most

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """An image in the page.

    Attributes
    ----------
    label : str
        What stands below it.
    alt : str
        What it shows.
    source : str
        The image itself, a ``data:`` URI.
    width, height : int
        In pixels.
    pixelated : bool
        Whether its pixels shall be seen when it is enlarged.
    """

    label: str
    alt: str
    source: str
    width: int
    height: int
    pixelated: bool


@dataclass(frozen=True)
class Tile:
    """A pair in the contact sheet.

    Attributes
    ----------
    row : int
        Which pair.
    label : int or None
        Its label, where there is one.
    sharp, blurred : Picture
        What is seen at once.
    more : list of Picture
        What is seen besides when the tile is opened.
    drawn : list of str
        What was drawn, in short words; what is the same in every pair is left out.
    values : dict
        All that was drawn, under the names in the file.
    """

    row: int
    label: int | None
    sharp: Picture
    blurred: Picture
    more: list[Picture]
    drawn: list[str]
    values: dict[str, str]

    @property
    def bytes(self) -> int:
        """What its images take in the page."""
        return sum(len(picture.source) for picture in (self.sharp, self.blurred, *self.more))


@dataclass(frozen=True)
class Sheet:
    """The tiles of a contact sheet.

    Attributes
    ----------
    tiles : list of Tile
        In the order of the file.
    cut : tuple of int or None
        The height and width that is shown of larger images; None where all of each is.
    lossless : bool
        Whether sharp and blurred images are what the file holds, pixel for pixel.
    """

    tiles: list[Tile]
    cut: tuple[int, int] | None
    lossless: bool


def sheet(pairs: PairFile, rows: Rows, varied: set[str], budget: int) -> Sheet:
    """Tiles of some pairs, as many of them as fit.

    Parameters
    ----------
    pairs : PairFile
        The file.
    rows : ndarray
        int64: which pairs; fewer of them, evenly spread, where the images would be too large. One is there
        at least.
    varied : set of str
        The parameters that are told beneath a tile.
    budget : int
        What the images may take, in bytes of the page.
    """
    height, width = pairs.header.shape[:2]
    cut = (min(height, _SIDE), min(width, _SIDE))
    first = _tile(pairs, int(rows[0]), cut, varied, lossless=True)
    lossless = first.bytes * min(_FEWEST, rows.size) <= budget
    if not lossless:
        first = _tile(pairs, int(rows[0]), cut, varied, lossless=False)
    # others may pack worse than the first: what no longer fits is left out
    fitting = max(1, min(rows.size, budget // first.bytes))
    spread = rows[np.linspace(0, rows.size - 1, fitting).astype(np.int64)]
    tiles = [first]
    for row in spread[1:]:
        tile = _tile(pairs, int(row), cut, varied, lossless=lossless)
        if sum(one.bytes for one in tiles) + tile.bytes > budget:
            break
        tiles.append(tile)
    return Sheet(tiles, None if cut == (height, width) else cut, lossless)


def picture(image: Bytes, label: str, alt: str, *, quality: int = 0, pixelated: bool = True) -> Picture:
    """An image (H, W) or (H, W, C) for the page: PNG, or WebP of a quality where one is given."""
    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    buffer = io.BytesIO()
    made = Image.fromarray(np.ascontiguousarray(flat))
    if quality:
        made.save(buffer, "WEBP", quality=quality, method=4)
    else:
        made.save(buffer, "PNG", optimize=True)
    kind = "webp" if quality else "png"
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(label, alt, f"data:image/{kind};base64,{data}", image.shape[1], image.shape[0], pixelated)


def psf_picture(psf: NDArray[np.floating], label: str, alt: str) -> Picture:
    """A PSF, its greatest weight white; of very large ones means of pixels."""
    gray = as_bytes(psf)
    if max(gray.shape) > _PSF_SIDE:
        small = Image.fromarray(gray).resize((_PSF_SIDE, _PSF_SIDE), Image.Resampling.BOX)
        gray = np.asarray(small)
    return picture(gray, label, alt)


def middle(image: Bytes, cut: tuple[int, int]) -> Bytes:
    """The middle of an image (H, W, C), of size `cut`."""
    top, left = (image.shape[0] - cut[0]) // 2, (image.shape[1] - cut[1]) // 2
    return image[top : top + cut[0], left : left + cut[1]]


def _tile(pairs: PairFile, row: int, cut: tuple[int, int], varied: set[str], *, lossless: bool) -> Tile:
    sharp, blurred = (middle(np.asarray(images[row]), cut) for images in (pairs.sharp, pairs.blurred))
    params = {name: np.asarray(column[row : row + 1]) for name, column in pairs.params.items()}
    quality = 0 if lossless else _QUALITY
    small = max(cut) <= 64
    faint = 0 if small else _SMALL_QUALITY
    signed, gain = _difference(sharp, blurred)
    more = [
        picture(
            signed,
            f"difference, ×{gain:g} (mid-grey is none)",
            f"Pair {row}, blurred minus sharp, times {gain:g}, mid-grey where they are equal",
            quality=faint,
        )
    ]
    psfs, _ = known_psfs(pairs, np.array([row]))
    if psfs is None:
        spectrum = picture(
            _image_spectrum(blurred),
            f"spectrum of the blurred image (black is −{_IMAGE_DECIBELS:.0f} dB)",
            f"Pair {row}, logarithm of the blurred image's spectrum, frequency 0 in the middle",
            quality=_SMALL_QUALITY,
        )
    else:
        (psf,) = trimmed(psfs, above=1e-3, border=1, least=3)  # what can be seen of it
        size = f"{psf.shape[0]}×{psf.shape[1]}"
        more.append(psf_picture(psf, f"PSF, {size}", f"Pair {row}, the PSF of its blur, {size} pixels"))
        spectrum = picture(
            _psf_spectrum(psf),
            f"spectrum of the PSF (black is −{_PSF_DECIBELS:.0f} dB)",
            f"Pair {row}, logarithm of the PSF's spectrum, frequency 0 in the middle",
            pixelated=False,
        )
    more.append(spectrum)
    values = {name: _number(column) for name, column in params.items()}
    return Tile(
        row,
        None if pairs.label is None else int(pairs.label[row]),
        picture(sharp, "sharp", f"Pair {row}, sharp", quality=quality),
        picture(blurred, "blurred", f"Pair {row}, blurred", quality=quality),
        more,
        short_params({name: column for name, column in params.items() if name in varied}, 0),
        {name: value for name, value in values.items() if value},
    )


def _difference(sharp: Bytes, blurred: Bytes) -> tuple[Bytes, float]:
    """Blurred minus sharp about mid-grey, and how often enlarged: so that all but a few pixels fit."""
    difference = blurred.astype(np.float64) - sharp
    most = max(float(np.percentile(np.abs(difference), 99.5)), 1.0)
    gain = 2.0 ** min(4, max(-1, int(np.floor(np.log2(127.0 / most)))))
    return np.clip(np.rint(128.0 + gain * difference), 0, 255).astype(np.uint8), gain


def _number(column: NDArray[np.generic]) -> str:
    value = column[0].item()
    if column.dtype.kind in "iu":
        return "" if value == -1 else str(value)
    return "" if np.isnan(value) else f"{value:.6g}"


def _psf_spectrum(psf: NDArray[np.float32]) -> Bytes:
    side = max(_SPECTRUM_SIDE, psf.shape[0])
    return _decibels(np.abs(np.fft.fft2(psf.astype(np.float64), (side, side))), _PSF_DECIBELS)


def _image_spectrum(image: Bytes) -> Bytes:
    """Of the gray values, faded out at the borders, which are no part of the scene."""
    gray = image.mean(axis=2)
    fade = np.outer(np.hanning(gray.shape[0] + 2)[1:-1], np.hanning(gray.shape[1] + 2)[1:-1])
    return _decibels(np.abs(np.fft.fft2((gray - gray.mean()) * fade)), _IMAGE_DECIBELS)


def _decibels(amplitude: NDArray[np.float64], span: float) -> Bytes:
    peak = float(amplitude.max()) or 1.0
    level = 20.0 * np.log10(np.maximum(amplitude / peak, 1e-12)) / span + 1.0
    return np.floor(np.clip(np.fft.fftshift(level), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
