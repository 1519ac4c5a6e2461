"""Outlines of the free TrueType fonts that come with Matplotlib: DejaVu, STIX and Computer Modern."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import SourceError

Point = tuple[float, float]


@dataclass(frozen=True)
class Outlines:
    """Glyphs as closed contours of straight segments, in em, y downwards from the baseline.

    Attributes
    ----------
    segments : ndarray
        float64, shape (N, 4): x0, y0, x1, y1 of each.
    begins : ndarray
        int64, shape (F·C + 1,): character c of font f has the segments ``begins[f·C + c]`` up to the next.
    advances : ndarray
        float64, shape (F, C): from one character's origin to the next one's.
    boxes : ndarray
        float64, shape (F, C, 4): least x, least y, greatest x, greatest y of each; zeros where it is blank.
    sha256 : str
        Hash of the font files.
    """

    segments: NDArray[np.float64]
    begins: NDArray[np.int64]
    advances: NDArray[np.float64]
    boxes: NDArray[np.float64]
    sha256: str


@lru_cache(maxsize=8)
def load_outlines(fonts: tuple[str, ...], characters: str, tolerance: float) -> Outlines:
    """Read the outlines of some fonts' characters.

    Parameters
    ----------
    fonts : tuple of str
        File names without ending, such as ``"DejaVuSans-Bold"``.
    characters : str
        Which characters.
    tolerance : float
        How far a segment may leave the curve at most, in em.

    Raises
    ------
    SourceError
        If Matplotlib or fontTools is not installed, or a font lacks a character.
    """
    folder = _font_folder()
    segments: list[tuple[float, float, float, float]] = []
    begins = [0]
    advances = np.zeros((len(fonts), len(characters)))
    boxes = np.zeros((len(fonts), len(characters), 4))
    digest = hashlib.sha256()
    for f, name in enumerate(fonts):
        try:
            content = (folder / f"{name}.ttf").read_bytes()
        except OSError as error:
            raise SourceError(f"font {name}: Matplotlib's file {error.filename} cannot be read") from error
        digest.update(content)
        for c, (advance, glyph) in enumerate(_read_glyphs(name, content, characters)):
            advances[f, c] = advance
            lines = [line for contour in glyph for line in _flatten(contour, tolerance)]
            if lines:
                xs, ys = [line[0] for line in lines], [line[1] for line in lines]
                boxes[f, c] = min(xs), min(ys), max(xs), max(ys)
            segments += lines
            begins.append(len(segments))
    return Outlines(np.array(segments).reshape(-1, 4), np.array(begins), advances, boxes, digest.hexdigest())


def _font_folder() -> Path:
    for library in ("matplotlib", "fontTools"):
        if importlib.util.find_spec(library) is None:
            raise SourceError(f"drawing letters needs {library}: pip install 'blurgen[draw]'")
    # Matplotlib itself is not imported: that takes its time
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"


@contextmanager
def _without_notes_on_dates() -> Iterator[None]:
    """Some of the fonts have a creation date of 1904, of which fontTools warns."""
    logger = logging.getLogger("fontTools.ttLib.tables._h_e_a_d")

    def is_no_date(record: logging.LogRecord) -> bool:
        return "timestamp" not in record.getMessage()

    logger.addFilter(is_no_date)
    try:
        yield
    finally:
        logger.removeFilter(is_no_date)


def _read_glyphs(name: str, content: bytes, characters: str) -> list[tuple[float, list[list[list[Point]]]]]:
    """Advance and contours of each character, in em; a contour is a list of quadratic pieces."""
    from fontTools.ttLib import TTFont

    with _without_notes_on_dates(), TTFont(io.BytesIO(content)) as font:
        em = font["head"].unitsPerEm
        names = font.getBestCmap()
        glyphs, widths = font["glyf"], font["hmtx"]
        read = []
        for character in characters:
            if ord(character) not in names:
                raise SourceError(f"font {name} has no character {character!r}")
            glyph_name = names[ord(character)]
            read.append((widths[glyph_name][0] / em, _contours(glyphs, glyph_name, em)))
    return read


def _contours(glyphs: Any, name: str, em: int) -> list[list[list[Point]]]:
    coordinates, ends, flags = glyphs[name].getCoordinates(glyphs)
    contours = []
    first = 0
    for end in ends:
        points = [(x / em, -y / em) for x, y in coordinates[first : end + 1]]
        on_curve = [bool(flag & 1) for flag in flags[first : end + 1]]
        contours.append(_pieces(points, on_curve))
        first = end + 1
    return contours


def _middle(p: Point, q: Point) -> Point:
    return (p[0] + q[0]) / 2, (p[1] + q[1]) / 2


def _pieces(points: list[Point], on_curve: list[bool]) -> list[list[Point]]:
    """Cut a TrueType contour into lines (two points) and parabolas (three).

    Between two control points off the curve lies one on it, in the middle.
    """
    path: list[tuple[Point, bool]] = []
    for k, (point, on) in enumerate(zip(points, on_curve, strict=True)):
        if not on and not on_curve[k - 1]:
            path.append((_middle(points[k - 1], point), True))
        path.append((point, on))
    start = next(k for k, (_, on) in enumerate(path) if on)
    path = [*path[start:], *path[: start + 1]]
    pieces, piece = [], [path[0][0]]
    for point, on in path[1:]:
        piece.append(point)
        if on:
            pieces.append(piece)
            piece = [point]
    return pieces


def _flatten(contour: list[list[Point]], tolerance: float) -> Iterator[tuple[float, float, float, float]]:
    """The contour's straight segments; a parabola in n parts is |a − 2b + c| / 4n² from its chords."""
    for piece in contour:
        (ax, ay), (bx, by), (cx, cy) = piece[0], piece[len(piece) // 2], piece[-1]
        n = 1
        if len(piece) == 3:
            bend_x, bend_y = ax - 2 * bx + cx, ay - 2 * by + cy
            bend = math.sqrt(bend_x * bend_x + bend_y * bend_y)
            n = max(1, math.ceil(math.sqrt(bend / (4 * tolerance))))
        x, y = ax, ay
        for k in range(1, n + 1):
            t = k / n
            if k == n:
                x_next, y_next = cx, cy
            else:
                s = 1 - t
                x_next = s * s * ax + 2 * s * t * bx + t * t * cx
                y_next = s * s * ay + 2 * s * t * by + t * t * cy
            yield x, y, x_next, y_next
            x, y = x_next, y_next
