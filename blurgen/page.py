"""Pages of images with words: laid out, painted by Pillow, or drawn by matplotlib as SVG and PDF."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from blurgen.errors import InputError
from blurgen.files import written
from blurgen.style import AROUND, FAINT, PAPER, drawn, figure, form_of, look

SEPARATOR: Final = "   ·   "  # lines are broken here
TITLE, TEXT, SMALL = 20, 13, 12  # font sizes
_MARGIN = 20
_GAP = 4  # between the panes of a tile
_BETWEEN = 18  # between tiles
_LINE = 17  # from one line of text to the next
_BELOW = 6  # from a pane to the text
_ASPECT = 1.5  # width to height of the page that is aimed at
_MOST_PIXELS = 100_000_000
_POINTS = 72  # an inch: a pixel of the page is a point of SVG and PDF

_PLAIN = str.maketrans({"×": "x", "–": "-", "—": "-", "−": "-", "σ": "s", "’": "'"})

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Pane:
    """An image on its ground.

    Attributes
    ----------
    image : ndarray
        uint8, shape (h, w, C).
    scale : int
        How many pixels of the page a pixel of it is wide and high.
    height, width : int
        Of the ground, in pixels of the page; by default the image fills it. The image is in its middle.
    ground : str
        The ground's colour.
    """

    image: Bytes
    scale: int = 1
    height: int = 0
    width: int = 0
    ground: str = AROUND

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole, in pixels of the page."""
        rows, columns = self.image.shape[:2]
        return max(self.height, rows * self.scale), max(self.width, columns * self.scale)


@dataclass(frozen=True)
class Tile:
    """What is drawn for one sample.

    Attributes
    ----------
    panes : list of Pane
        Side by side.
    text : list of (sequence of str, colour)
        Paragraphs below the panes. Each is a list of words that stay together; lines are broken between them.
    """

    panes: list[Pane]
    text: list[tuple[Sequence[str], str]] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """Header lines, then tiles in columns.

    Attributes
    ----------
    tiles : list of Tile
        At least one; panes that stand above one another are of one width.
    headers : list of (text, font size, colour)
        Above all.
    captions : list of str
        Above the panes of the first row's tiles.
    columns : int or None
        Tiles side by side; by default as many as make a landscape page.
    least : int
        Pixels that the text below a tile has at least.
    """

    tiles: list[Tile]
    headers: list[tuple[str, int, str]] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    columns: int | None = None
    least: int = 150

    def image(self, within: int | None = None) -> Image.Image:
        """The page as an RGB image, by Pillow alone.

        Parameters
        ----------
        within : int, optional
            Pixels that it shall not be wider than, as far as its columns are not given and one fits.

        Raises
        ------
        InputError
            If it would be too large.
        """
        return _painted(_laid_out(self, _Face(), within))

    def save(self, path: str | os.PathLike[str]) -> tuple[int, int]:
        """Write the page as PNG, SVG or PDF; it appears under its name only when it is whole.

        In SVG and PDF each image is embedded pixel for pixel, and text is text; matplotlib draws them.

        Returns
        -------
        tuple of int
            The width and height, in pixels.

        Raises
        ------
        InputError
            If the name ends otherwise, or the page would be too large.
        FileError
            If it cannot be written.
        BlurgenError
            If matplotlib is needed, and not installed.
        """
        path = Path(path)
        form = form_of(path)
        if form == "png":
            image = self.image()
            written(path, lambda partial: image.save(partial, "PNG"))
            return image.size
        with look():
            laid = _laid_out(self, _PlotFace())
            content = _drawn(laid, form)
        written(path, lambda partial: partial.write_bytes(content))
        return laid.width, laid.height


def check_pixels(width: int, height: int) -> None:
    """See that a page is not too large.

    Raises
    ------
    InputError
        If it is.
    """
    if width * height > _MOST_PIXELS:
        raise InputError(
            f"the picture would have {width * height / 1e6:,.0f} megapixels; ask for fewer or smaller ones "
            f"({_MOST_PIXELS // 1_000_000} megapixels are allowed)"
        )


# ---- letters ----


class _Face:
    """The letters that come with Pillow, which are few."""

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        return _pillow_font(size)

    def drawable(self, text: str) -> str:
        """`text` in the letters that the font has; others become question marks."""
        return _plain(text)

    def width(self, text: str, size: int) -> int:
        return math.ceil(self.font(size).getlength(self.drawable(text)))

    def wrapped(self, words: Iterable[str], width: int, size: int, gap: str = "   ") -> list[str]:
        """Words in lines of at most `width` pixels; a word that is wider is cut short."""
        lines: list[str] = []
        for word in words:
            longer = f"{lines[-1]}{gap}{word}" if lines else word
            if lines and self.width(longer, size) <= width:
                lines[-1] = longer
            else:
                lines.append(self._cut(word, width, size))
        return lines

    def _cut(self, text: str, width: int, size: int) -> str:
        if self.width(text, size) <= width:
            return text
        while text and self.width(f"{text}…", size) > width:
            text = text[:-1]
        return f"{text}…"


class _PlotFace(_Face):
    """The letters that come with matplotlib."""

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(_plot_font(), size)

    def drawable(self, text: str) -> str:
        known = _plot_letters()
        letters = "".join(c if ord(c) in known else "?" for c in unicodedata.normalize("NFC", text))
        # SVG makes one of several spaces
        return re.sub(" {2,}", lambda spaces: "\N{NO-BREAK SPACE}" * len(spaces[0]), letters)


@cache
def _pillow_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@cache
def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.translate(_PLAIN))
    return "".join(c if " " <= c <= "~" or c in "°·…" else "?" for c in plain if not unicodedata.combining(c))


@cache
def _plot_font() -> str:
    from matplotlib.font_manager import FontProperties, findfont

    return str(findfont(FontProperties()))


@cache
def _plot_letters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(_plot_font()).get_charmap())


# ---- where everything stands ----


@dataclass(frozen=True)
class _LaidOut:
    """What stands where, (left, top) in pixels."""

    width: int
    height: int
    face: _Face
    panes: list[tuple[tuple[int, int], Pane]]
    words: list[tuple[tuple[int, int], str, int, str]]  # place, text, font size, colour


def _laid_out(page: Page, face: _Face, within: int | None = None) -> _LaidOut:
    widths = [pane.size[1] for pane in page.tiles[0].panes]
    width = max(sum(widths) + _GAP * (len(widths) - 1), page.least)
    pane_height = max(pane.size[0] for tile in page.tiles for pane in tile.panes)
    texts = [
        [(line, ink) for words, ink in tile.text for line in face.wrapped(words, width, SMALL)]
        for tile in page.tiles
    ]
    height = pane_height + _BELOW + _LINE * max(map(len, texts))
    columns = page.columns
    if columns is None:
        columns = _columns(len(page.tiles), width + _BETWEEN, height + _BETWEEN)
        if within is not None:
            columns = max(1, min(columns, (within - 2 * _MARGIN + _BETWEEN) // (width + _BETWEEN)))
    elif columns < 1:
        raise InputError(f"columns {columns}: at least 1 is needed")
    columns = min(columns, len(page.tiles))
    page_width = 2 * _MARGIN + columns * (width + _BETWEEN) - _BETWEEN
    head = [
        (line, size, ink)
        for text, size, ink in page.headers
        for line in face.wrapped(text.split(SEPARATOR), page_width - 2 * _MARGIN, size, SEPARATOR)
    ]
    top = _MARGIN + sum(_leading(size) for _, size, _ in head) + (10 if head else 0)
    top += _LINE if page.captions else 0
    page_height = top + math.ceil(len(page.tiles) / columns) * (height + _BETWEEN) - _BETWEEN + _MARGIN
    check_pixels(page_width, page_height)
    laid = _LaidOut(page_width, page_height, face, [], [])
    y = _MARGIN
    for text, size, ink in head:
        laid.words.append(((_MARGIN, y), text, size, ink))
        y += _leading(size)
    for number, (tile, lines) in enumerate(zip(page.tiles, texts, strict=True)):
        row, column = divmod(number, columns)
        left = x = _MARGIN + column * (width + _BETWEEN)
        y = top + row * (height + _BETWEEN)
        if row == 0:
            at = x
            for caption, pane_width in zip(page.captions, widths, strict=bool(page.captions)):
                laid.words.append(((at, y - _LINE), caption, SMALL, FAINT))
                at += pane_width + _GAP
        for pane in tile.panes:
            laid.panes.append(((x, y + (pane_height - pane.size[0]) // 2), pane))
            x += pane.size[1] + _GAP
        y += pane_height + _BELOW
        for line, ink in lines:
            laid.words.append(((left, y), line, SMALL, ink))
            y += _LINE
    return laid


def _leading(size: int) -> int:
    return size + 6


def _columns(count: int, width: int, height: int) -> int:
    """The number of columns that brings the page nearest to `_ASPECT`; fewest empty places if in doubt."""

    def badness(columns: int) -> tuple[float, int]:
        rows = math.ceil(count / columns)
        empty = rows * columns - count
        aspect = columns * width / (rows * height)
        return (abs(math.log(aspect / _ASPECT)) + 2 * empty / (rows * columns), columns)

    return min(range(1, count + 1), key=badness)


def _place(at: tuple[int, int], pane: Pane) -> tuple[int, int, int, int]:
    """Left, top, width and height of the image of a pane."""
    height, width = (side * pane.scale for side in pane.image.shape[:2])
    return at[0] + (pane.size[1] - width) // 2, at[1] + (pane.size[0] - height) // 2, width, height


# ---- how it is drawn ----


def _painted(laid: _LaidOut) -> Image.Image:
    page = Image.new("RGB", (laid.width, laid.height), PAPER)
    draw = ImageDraw.Draw(page)
    for (left, top), pane in laid.panes:
        height, width = pane.size
        draw.rectangle((left, top, left + width - 1, top + height - 1), pane.ground)
        x, y, *_ = _place((left, top), pane)
        image = pane.image[..., 0] if pane.image.shape[2] == 1 else pane.image
        page.paste(Image.fromarray(image.repeat(pane.scale, axis=0).repeat(pane.scale, axis=1)), (x, y))
    for at, text, size, ink in laid.words:
        draw.text(at, laid.face.drawable(text), font=laid.face.font(size), fill=ink)
    return page


def _drawn(laid: _LaidOut, form: str) -> bytes:
    made = figure(laid.width / _POINTS, laid.height / _POINTS, dpi=_POINTS, facecolor=PAPER, layout="none")
    axes = made.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    for (left, top), pane in laid.panes:
        height, width = pane.size
        x, y, across, down = _place((left, top), pane)
        if (across, down) != (width, height):
            axes.add_patch(_rectangle(left, top, width, height, pane.ground))
        image = np.broadcast_to(pane.image, (*pane.image.shape[:2], 3))
        # no smoothing: a pixel is a square
        axes.imshow(image, aspect="auto", extent=(x, x + across, y + down, y), interpolation="none")
    axes.set(xlim=(0, laid.width), ylim=(laid.height, 0))
    for (left, top), text, size, ink in laid.words:
        ascent, _ = laid.face.font(size).getmetrics()
        axes.text(left, top + ascent, laid.face.drawable(text), size=size, color=ink, parse_math=False)
    return drawn(made, form, _POINTS)


def _rectangle(left: int, top: int, width: int, height: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (left, top), width, height, facecolor=colour, linewidth=0, zorder=-1
    )  # images stand on it
