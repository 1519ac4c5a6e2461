"""Pictures to look at: contact sheets of pair files, and PSFs. Drawn with Pillow alone."""

from __future__ import annotations

import math
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from blurgen.errors import InputError
from blurgen.files import written
from blurgen.known_psfs import known_psfs
from blurgen.psf.composition import trimmed

if TYPE_CHECKING:
    from blurgen.pairs import PairFile

Colour = tuple[int, int, int]

_PAGE = (233, 234, 236)
_AROUND = (58, 62, 70)  # about a PSF that is smaller than its place
_INK = (32, 34, 38)
_FAINT = (98, 100, 105)

_MARGIN = 20
_GAP = 4  # between the panes of a tile
_BETWEEN = 18  # between tiles
_TITLE, _TEXT, _SMALL = 20, 13, 12  # font sizes
_LINE = 17  # from one line of text to the next
_SMALL_SIDE = 112  # about this high are small images drawn
_LARGEST_SIDE = 256  # larger ones are reduced to this
_LEAST_TEXT = 150  # pixels that the text below a tile has at least
_PSF_SIDE = 144  # about this large is the largest PSF of a grid drawn
_LEAST_PSF = 148  # … and this wide is its cell at least, for the text
_ASPECT = 1.5  # width to height of the page that is aimed at
_MOST_PIXELS = 100_000_000

_UNITS = {"angle": "°"}
_PLAIN = str.maketrans({"×": "x", "–": "-", "—": "-", "−": "-", "σ": "s", "’": "'"})


@dataclass(frozen=True)
class Tile:
    """What is drawn for one sample.

    Attributes
    ----------
    panes : list of ndarray
        uint8, shape (h, w, C), side by side.
    text : list of (sequence of str, colour)
        Paragraphs below the panes. Each is a list of words that stay together; lines are broken between them.
    """

    panes: list[NDArray[np.uint8]]
    text: list[tuple[Sequence[str], Colour]] = field(default_factory=list)


def contact_sheet(
    pairs: PairFile,
    rows: Sequence[int] | NDArray[np.integer[Any]],
    *,
    columns: int | None = None,
    scale: int | None = None,
) -> Image.Image:
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
    Image
        RGB.

    Raises
    ------
    InputError
        If a row is not in the file, or the sheet would be too large.
    """
    index = _checked_rows(pairs, rows)
    magnify = _scale_for(pairs.header.shape[:2], scale)
    height, width, _ = pairs.header.shape
    _check_pixels(int(2 * width * magnify), int(index.size * height * magnify))  # before all the work
    params = {name: np.asarray(column[index]) for name, column in pairs.params.items()}
    psfs, _ = known_psfs(pairs, index)
    psfs = None if psfs is None else trimmed(psfs)
    label = pairs.label
    tiles = []
    for i, row in enumerate(index):
        panes = [_drawn(pairs.sharp[row], magnify), _drawn(pairs.blurred[row], magnify)]
        if psfs is not None:
            panes.append(_psf_pane(psfs[i], max(1, int(magnify)), panes[0].shape[0]))
        name = [f"#{row}"] if label is None else [f"#{row}", f"label {label[row]}"]
        tiles.append(Tile(panes, [(name, _INK), (short_params(params, i), _FAINT)]))
    captions = ["sharp", "blurred", "PSF"][: 2 if psfs is None else 3]
    return _page(tiles, _headers(pairs, magnify, psfs is not None), captions, columns)


def psf_grid(
    psfs: Sequence[NDArray[np.floating[Any]]],
    captions: Sequence[Sequence[str]],
    *,
    title: str = "",
    columns: int | None = None,
) -> Image.Image:
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
    Image
        RGB.

    Raises
    ------
    InputError
        If there is no PSF, or the picture would be too large.
    """
    if not psfs:
        raise InputError("no PSF is given; at least one is needed")
    side = max(max(psf.shape) for psf in psfs)
    scale = max(1, round(_PSF_SIDE / side))
    _check_pixels(side * scale, len(psfs) * side * scale)  # before all the work
    tiles = []
    for psf, caption in zip(psfs, captions, strict=True):
        pane = np.empty((side * scale, side * scale, 3), np.uint8)
        pane[:] = _AROUND
        drawn = _magnified(as_bytes(psf), scale)
        top, left = (pane.shape[0] - drawn.shape[0]) // 2, (pane.shape[1] - drawn.shape[1]) // 2
        pane[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn[..., None]
        numbers = [_times(psf.shape), f"sum {psf.sum():.4g}", f"max {_short_number(float(psf.max()))}"]
        tiles.append(Tile([pane], [(caption, _INK), (numbers, _FAINT)]))
    lines = [(title, _TITLE, _INK)] if title else []
    return _page(tiles, lines, [], columns, least=_LEAST_PSF)


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
        words.append(f"{short[name]} {number}{_UNITS.get(name.rpartition('.')[2], '')}")
    return words


def save_png(image: Image.Image, path: str | os.PathLike[str]) -> Path:
    """Write a picture as PNG; it appears under its name only when it is whole.

    Raises
    ------
    InputError
        If the name does not end in ``.png``.
    FileError
        If it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InputError(f"'{path}': pictures are written as PNG; a name that ends in .png is needed")
    return written(path, lambda partial: image.save(partial, "PNG"))


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


def _drawn(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """An image on the sheet's pixel scale."""
    if scale >= 1:
        return _magnified(image, int(scale))
    height, width = (max(1, round(n * scale)) for n in image.shape[:2])
    small = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).resize(
        (width, height), Image.Resampling.BOX
    )
    return np.asarray(small).reshape(height, width, -1)


def _magnified(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def _psf_pane(psf: NDArray[np.float32], scale: int, height: int) -> NDArray[np.uint8]:
    """A PSF on the images' pixel scale, in the middle of a black pane as high as they are."""
    drawn = _magnified(as_bytes(psf), scale)
    border = max(scale, 4)
    pane = np.zeros(
        (max(height, drawn.shape[0] + 2 * border), max(40, drawn.shape[1] + 2 * border), 1), np.uint8
    )
    top, left = (pane.shape[0] - drawn.shape[0]) // 2, (pane.shape[1] - drawn.shape[1]) // 2
    pane[top : top + drawn.shape[0], left : left + drawn.shape[1], 0] = drawn
    return pane


def _headers(pairs: PairFile, scale: float, has_psf: bool) -> list[tuple[str, int, Colour]]:
    header = pairs.header
    size = _times(header.shape)
    options = ", ".join(f"{name} {_option(value)}" for name, value in header.dataset_options.items())
    drawn = f"scale {scale:g}" if scale >= 1 else f"scale 1/{1 / scale:.3g}{', PSFs 1' if has_psf else ''}"
    return [
        (pairs.path.name, _TITLE, _INK),
        (
            f"{len(pairs):,} pairs of {size}   ·   recipe {header.recipe.name}   ·   seed {header.seed}",
            _TEXT,
            _INK,
        ),
        (f"from {header.dataset}{f' ({options})' if options else ''}   ·   {drawn}", _TEXT, _FAINT),
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


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@cache
def _drawable(text: str) -> str:
    """`text` in the letters that the font has; others become question marks."""
    plain = unicodedata.normalize("NFD", text.translate(_PLAIN))
    return "".join(c if " " <= c <= "~" or c in "°·…" else "?" for c in plain if not unicodedata.combining(c))


def _width(text: str, size: int) -> int:
    return math.ceil(_font(size).getlength(_drawable(text)))


def _wrapped(words: Iterable[str], width: int, size: int, gap: str = "   ") -> list[str]:
    """Words in lines of at most `width` pixels; a word that is wider is cut short."""
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]}{gap}{word}" if lines else word
        if lines and _width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(_cut(word, width, size))
    return lines


def _cut(text: str, width: int, size: int) -> str:
    if _width(text, size) <= width:
        return text
    while text and _width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text}…"


def _page(
    tiles: list[Tile],
    headers: list[tuple[str, int, Colour]],
    captions: list[str],
    columns: int | None,
    least: int = _LEAST_TEXT,
) -> Image.Image:
    """Header lines, then the tiles in columns."""
    widths = [pane.shape[1] for pane in tiles[0].panes]
    width = max(sum(widths) + _GAP * (len(widths) - 1), least)
    pane_height = max(pane.shape[0] for tile in tiles for pane in tile.panes)
    texts = [_lines(tile, width) for tile in tiles]
    height = pane_height + 6 + _LINE * max(map(len, texts))
    if columns is None:
        columns = _columns(len(tiles), width + _BETWEEN, height + _BETWEEN)
    elif columns < 1:
        raise InputError(f"columns {columns}: at least 1 is needed")
    columns = min(columns, len(tiles))
    page_width = 2 * _MARGIN + columns * (width + _BETWEEN) - _BETWEEN
    head = [
        (line, size, ink) for text, size, ink in headers for line in _header_lines(text, size, page_width)
    ]
    top = _MARGIN + sum(_leading(size) for _, size, _ in head) + (10 if head else 0)
    top += _LINE if captions else 0
    page_height = top + math.ceil(len(tiles) / columns) * (height + _BETWEEN) - _BETWEEN + _MARGIN
    _check_pixels(page_width, page_height)
    page = Image.new("RGB", (page_width, page_height), _PAGE)
    write = _writer(page)
    y = _MARGIN
    for text, size, ink in head:
        write((_MARGIN, y), text, size, ink)
        y += _leading(size)
    for number, (tile, lines) in enumerate(zip(tiles, texts, strict=True)):
        row, column = divmod(number, columns)
        x = _MARGIN + column * (width + _BETWEEN)
        y = top + row * (height + _BETWEEN)
        if row == 0:
            at = x
            for caption, pane_width in zip(captions, widths, strict=bool(captions)):
                write((at, y - _LINE), caption, _SMALL, _FAINT)
                at += pane_width + _GAP
        for pane in tile.panes:
            gray = pane.shape[2] == 1
            page.paste(
                Image.fromarray(pane[..., 0] if gray else pane), (x, y + (pane_height - pane.shape[0]) // 2)
            )
            x += pane.shape[1] + _GAP
        x = _MARGIN + column * (width + _BETWEEN)
        y += pane_height + 6
        for line, ink in lines:
            write((x, y), line, _SMALL, ink)
            y += _LINE
    return page


def _check_pixels(width: int, height: int) -> None:
    if width * height > _MOST_PIXELS:
        raise InputError(
            f"the picture would have {width * height / 1e6:,.0f} megapixels; ask for fewer or smaller ones "
            f"({_MOST_PIXELS // 1_000_000} megapixels are allowed)"
        )


def _lines(tile: Tile, width: int) -> list[tuple[str, Colour]]:
    return [(line, ink) for words, ink in tile.text for line in _wrapped(words, width, _SMALL)]


def _leading(size: int) -> int:
    return size + 6


def _header_lines(text: str, size: int, page_width: int) -> list[str]:
    return _wrapped(text.split("   ·   "), page_width - 2 * _MARGIN, size, "   ·   ")


def _writer(page: Image.Image) -> Callable[[tuple[int, int], str, int, Colour], None]:
    draw = ImageDraw.Draw(page)

    def write(at: tuple[int, int], text: str, size: int, ink: Colour) -> None:
        draw.text(at, _drawable(text), font=_font(size), fill=ink)

    return write


def _columns(count: int, width: int, height: int) -> int:
    """The number of columns that brings the page nearest to `_ASPECT`; fewest empty places if in doubt."""

    def badness(columns: int) -> tuple[float, int]:
        rows = math.ceil(count / columns)
        empty = rows * columns - count
        aspect = columns * width / (rows * height)
        return (abs(math.log(aspect / _ASPECT)) + 2 * empty / (rows * columns), columns)

    return min(range(1, count + 1), key=badness)
