"""Pictures to look at: contact sheets of pair files, and PSFs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blurgen.errors import InputError
from blurgen.known_psfs import known_psfs
from blurgen.page import SEPARATOR, TEXT, TITLE, Page, Pane, Tile, check_pixels
from blurgen.psf.composition import trimmed
from blurgen.style import FAINT, INK
from blurgen.units import unit_of

if TYPE_CHECKING:
    from blurgen.pairs import PairFile

_SMALL_SIDE = 112  # about this high are small images drawn
_LARGEST_SIDE = 256  # larger ones are reduced to this
_PSF_SIDE = 144  # about this large is the largest PSF of a grid drawn
_LEAST_PSF = 148  # … and this wide is its cell at least, for the text


def contact_sheet(
    pairs: PairFile,
    rows: Sequence[int] | NDArray[np.integer[Any]],
    *,
    columns: int | None = None,
    scale: int | None = None,
) -> Page:
    """Some pairs of a file: sharp, blurred, PSF where there is one, and what was drawn.

    Parameters
    ----------
    pairs : PairFile
        The file.
    rows : sequence of int
        Which pairs, in this order.
    columns : int, optional
        Tiles side by side; by default as many as make a landscape page.
    scale : int, optional
        Pixels of the sheet for one of an image, 1 … 64. By default small images are magnified to about 112
        pixels, and large ones reduced to 256.

    Returns
    -------
    Page
        To be painted or saved.

    Raises
    ------
    InputError
        If a row is not in the file, or the sheet would be too large.
    """
    index = _checked_rows(pairs, rows)
    magnify = _scale_for(pairs.header.shape[:2], scale)
    height, width, _ = pairs.header.shape
    check_pixels(int(2 * width * magnify), int(index.size * height * magnify))  # before all the work
    params = {name: np.asarray(column[index]) for name, column in pairs.params.items()}
    psfs, _ = known_psfs(pairs, index)
    psfs = None if psfs is None else trimmed(psfs)
    label = pairs.label
    tiles = []
    for i, row in enumerate(index):
        panes = [_drawn(pairs.sharp[row], magnify), _drawn(pairs.blurred[row], magnify)]
        if psfs is not None:
            panes.append(_psf_pane(psfs[i], max(1, int(magnify)), panes[0].size[0]))
        name = [f"#{row}"] if label is None else [f"#{row}", f"label {label[row]}"]
        tiles.append(Tile(panes, [(name, INK), (short_params(params, i), FAINT)]))
    captions = ["sharp", "blurred", "PSF"][: 2 if psfs is None else 3]
    return Page(tiles, _headers(pairs, magnify, psfs is not None), captions, columns)


def psf_grid(
    psfs: Sequence[NDArray[np.floating[Any]]],
    captions: Sequence[Sequence[str]],
    *,
    title: str = "",
    columns: int | None = None,
) -> Page:
    """PSFs side by side on one pixel scale, each so bright that its maximum is white.

    Beneath each stand its caption, its size (height × width), its sum and its maximum.

    Parameters
    ----------
    psfs : sequence of ndarray
        Each of shape (h, w).
    captions : sequence of sequence of str
        One for each PSF: words that stay together.
    title : str
        A line above all.
    columns : int, optional
        PSFs side by side; by default as many as make a landscape page.

    Returns
    -------
    Page
        To be painted or saved.

    Raises
    ------
    InputError
        If there is no PSF, or the picture would be too large.
    """
    if not psfs:
        raise InputError("no PSF is given; at least one is needed")
    side = max(max(psf.shape) for psf in psfs)
    scale = max(1, round(_PSF_SIDE / side))
    check_pixels(side * scale, len(psfs) * side * scale)  # before all the work
    tiles = []
    for psf, caption in zip(psfs, captions, strict=True):
        pane = Pane(as_bytes(psf)[..., None], scale, side * scale, side * scale)
        numbers = [_times(psf.shape), f"sum {psf.sum():.4g}", f"max {_short_number(float(psf.max()))}"]
        tiles.append(Tile([pane], [(caption, INK), (numbers, FAINT)]))
    lines = [(title, TITLE, INK)] if title else []
    return Page(tiles, lines, [], columns, _LEAST_PSF)


def as_bytes(psf: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """A PSF as gray values, its maximum 255.

    Examples
    --------
    >>> as_bytes(np.array([[0.5, 0.25, 0.25]]))
    array([[255, 128, 128]], dtype=uint8)
    """
    peak = float(psf.max())
    values = psf / peak if peak > 0 else psf
    gray: NDArray[np.uint8] = np.floor(np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
    return gray


def short_params(params: Mapping[str, NDArray[Any]], row: int) -> list[str]:
    """What was drawn for a row, in short words; what did not take part is left out.

    Examples
    --------
    >>> params = {"1.motion.length": np.array([5.2341]), "1.motion.angle": np.array([31.4])}
    >>> short_params(params, 0)
    ['length 5.23', 'angle 31.4°']
    """
    short = _short_names(tuple(params))
    words = []
    for name, column in params.items():
        value = column[row].item()
        whole = column.dtype.kind in "iu"
        if value == -1 if whole else math.isnan(value):
            continue
        number = str(value) if whole else _short_number(value)
        words.append(f"{short[name]} {number}{'°' if unit_of(name) == '°' else ''}")
    return words


def _short_number(value: float) -> str:
    """Three digits; whole numbers as such."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".")


def _checked_rows(pairs: PairFile, rows: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    index = np.asarray(rows, np.int64).reshape(-1)
    if index.size == 0:
        raise InputError("no pair is chosen; at least one is needed")
    for row in index:
        if not 0 <= row < len(pairs):
            raise InputError(f"pair {row} is not in '{pairs.path}', which holds 0 … {len(pairs) - 1}")
    return index


def _scale_for(size: tuple[int, int], scale: int | None) -> float:
    """Pixels of the sheet for a pixel of an image: a whole number, or below 1 for large images."""
    if scale is not None:
        if not 1 <= scale <= 64:
            raise InputError(f"scale {scale}: 1 … 64 is allowed")
        return float(scale)
    if max(size) > _LARGEST_SIDE:
        return _LARGEST_SIDE / max(size)
    # flat images, too, shall not become wider than large ones may be
    return float(max(1, min(round(_SMALL_SIDE / size[0]), _LARGEST_SIDE // max(size))))


def _drawn(image: NDArray[np.uint8], scale: float) -> Pane:
    """An image on the sheet's pixel scale."""
    if scale >= 1:
        return Pane(image, int(scale))
    height, width = (max(1, round(n * scale)) for n in image.shape[:2])
    small = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).resize(
        (width, height), Image.Resampling.BOX
    )
    return Pane(np.asarray(small).reshape(height, width, -1))


def _psf_pane(psf: NDArray[np.float32], scale: int, height: int) -> Pane:
    """A PSF on the images' pixel scale, in the middle of a black pane as high as they are."""
    side = psf.shape[0] * scale
    border = max(scale, 4)
    return Pane(
        as_bytes(psf)[..., None], scale, max(height, side + 2 * border), max(40, side + 2 * border), "#000000"
    )


def _headers(pairs: PairFile, scale: float, has_psf: bool) -> list[tuple[str, int, str]]:
    header = pairs.header
    size = _times(header.shape)
    options = ", ".join(f"{name} {_option(value)}" for name, value in header.dataset_options.items())
    drawn = f"scale {scale:g}" if scale >= 1 else f"scale 1/{1 / scale:.3g}{', PSFs 1' if has_psf else ''}"
    return [
        (pairs.path.name, TITLE, INK),
        (
            SEPARATOR.join(
                (f"{len(pairs):,} pairs of {size}", f"recipe {header.recipe.name}", f"seed {header.seed}")
            ),
            TEXT,
            INK,
        ),
        (f"from {header.dataset}{f' ({options})' if options else ''}{SEPARATOR}{drawn}", TEXT, FAINT),
    ]


def _option(value: Any) -> str:
    return _times(value) if isinstance(value, list) else str(value)


def _times(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape))


@cache
def _short_names(names: tuple[str, ...]) -> dict[str, str]:
    """The last part of each name, or as many as tell it from the others."""
    short = {}
    for parts in (1, 2):
        tails = {name: ".".join(name.split(".")[-parts:]) for name in names}
        counts = Counter(tails.values())
        short.update({n: tail for n, tail in tails.items() if counts[tail] == 1 and n not in short})
    return {name: short.get(name, name) for name in names}
