"""Pages of justified text: words made of syllables, set in lines and columns, filled with exact coverage.

The words' parts are drawn from `pieces`: int64, shape (5, K, 9), with K pieces of each sort, onsets, nuclei,
codas, endings and common words; a piece is its length and the codes of its letters. A character's code is its
place in `CHARACTERS`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.elementary import sincos
from blurgen.loops.jit import exact
from blurgen.loops.outlines import add_outline, cover_row
from blurgen.loops.sequence import below, between, restart, sequence, spread, uniform

CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:-()[]?%"
ONSETS, NUCLEI, CODAS, ENDINGS, COMMON = range(5)
REGULAR, BOLD, ITALIC = range(3)
LONGEST_PIECE = 8

_TO_CAPITAL = CHARACTERS.index("A")
_ZERO = CHARACTERS.index("0")
_STOP, _COMMA, _SEMICOLON, _COLON, _HYPHEN, _OPEN, _CLOSE, _LEFT, _RIGHT, _QUESTION, _PERCENT = range(
    CHARACTERS.index("."), len(CHARACTERS)
)
_SMALL_N = CHARACTERS.index("n")

# A word is an int64 array: how many letters it has; in how many places it may be divided; its face; whether
# the next word begins a sentence; how many letters stand before each of those places; the letters.
_COUNT, _BREAKS, _FACE, _STARTS = range(4)
_BREAK, _LETTER = 4, 10
_WORD = 74
# A line is an int64 array: how many characters it has; how many of them are spaces; the characters, each as
# its face times 256 plus its code, or −1 for a space.
_SPACES = 1
_CHARACTER = 2
_LINE = 1024
_SPACE = -1


class Fonts(NamedTuple):
    """The letters.

    Attributes
    ----------
    segments, begins : ndarray
        Outlines in em: float64, shape (N, 4), and int64, shape (F·C + 1,).
    advances : ndarray
        float64, shape (F, C), in em.
    faces : ndarray
        int64, shape (families, 3): the font of a family's regular, bold and italic face.
    slants : ndarray
        float64, shape (families, 3): how far each is slanted, as a share of the height.
    family_of : ndarray
        int64: families, each as often as it is to be drawn.
    """

    segments: NDArray[np.float64]
    begins: NDArray[np.int64]
    advances: NDArray[np.float64]
    faces: NDArray[np.int64]
    slants: NDArray[np.float64]
    family_of: NDArray[np.int64]


class Page(NamedTuple):
    """Family, size of an em in pixels, and how the page lies: turned by an angle, and its origin."""

    family: int
    em: float
    sine: float
    cosine: float
    x: float
    y: float


@exact
def _push(word: NDArray[np.int64], code: int) -> None:
    n = word[_COUNT]
    # room is left for a hyphen and for signs
    if n < _WORD - _LETTER - 4:
        word[_LETTER + n] = code
        word[_COUNT] = n + 1


@exact
def _push_piece(
    sort: int, pieces: NDArray[np.int64], numbers: NDArray[np.uint64], word: NDArray[np.int64]
) -> None:
    piece = below(numbers, pieces.shape[1])
    for k in range(pieces[sort, piece, 0]):
        _push(word, pieces[sort, piece, 1 + k])


@exact
def _push_number(digits: int, numbers: NDArray[np.uint64], word: NDArray[np.int64]) -> None:
    _push(word, _ZERO + 1 + below(numbers, 9))
    for _ in range(digits - 1):
        _push(word, _ZERO + below(numbers, 10))


@exact
def _push_break(word: NDArray[np.int64]) -> None:
    word[_BREAK + word[_BREAKS]] = word[_COUNT]
    word[_BREAKS] += 1


@exact
def _make_figure(numbers: NDArray[np.uint64], word: NDArray[np.int64]) -> None:
    """A number, a year, a decimal, a percentage, a reference or an abbreviation."""
    u = uniform(numbers)
    if u < 0.3:
        _push_number(1 + below(numbers, 3), numbers, word)
    elif u < 0.45:
        _push_number(4, numbers, word)
    elif u < 0.6:
        _push_number(1 + below(numbers, 2), numbers, word)
        _push(word, _STOP)
        _push_number(1 + below(numbers, 2), numbers, word)
    elif u < 0.68:
        _push_number(1 + below(numbers, 2), numbers, word)
        _push(word, _PERCENT)
    elif u < 0.85:
        _push(word, _LEFT)
        _push_number(1 + below(numbers, 2), numbers, word)
        _push(word, _RIGHT)
    else:
        for _ in range(2 + below(numbers, 3)):
            _push(word, _TO_CAPITAL + below(numbers, 26))


@exact
def _make_syllables(pieces: NDArray[np.int64], numbers: NDArray[np.uint64], word: NDArray[np.int64]) -> None:
    """One to four syllables, and sometimes an ending."""
    u = uniform(numbers)
    syllables = 1 + int(u > 0.3) + int(u > 0.75) + int(u > 0.95)
    for s in range(syllables):
        if s > 0:
            _push_break(word)
        if s > 0 or uniform(numbers) < 0.8:
            _push_piece(ONSETS, pieces, numbers, word)
        _push_piece(NUCLEI, pieces, numbers, word)
        if uniform(numbers) < (0.8 if s == syllables - 1 else 0.25):
            _push_piece(CODAS, pieces, numbers, word)
    if uniform(numbers) < 0.3:
        if syllables > 1:
            _push_break(word)
        _push_piece(ENDINGS, pieces, numbers, word)


@exact
def _make_word(
    face: int, pieces: NDArray[np.int64], numbers: NDArray[np.uint64], word: NDArray[np.int64]
) -> None:
    """Draw a word without the signs around it; the first of a sentence gets a capital."""
    starts = word[_STARTS] == 1
    word[_COUNT] = 0
    word[_BREAKS] = 0
    word[_FACE] = face
    word[_STARTS] = 0
    u = uniform(numbers)
    if u < 0.37:
        _push_piece(COMMON, pieces, numbers, word)
    elif u < 0.955 or starts:
        _make_syllables(pieces, numbers, word)
        starts = starts or u < 0.4
    else:
        _make_figure(numbers, word)
        return
    if starts:
        word[_LETTER] += _TO_CAPITAL


@exact
def _punctuate(u: float, word: NDArray[np.int64]) -> None:
    """Put signs around a word, or none: `u` in [0, 1) says which."""
    if u < 0.075:
        _push(word, _STOP)
        word[_STARTS] = 1
    elif u < 0.08:
        _push(word, _QUESTION)
        word[_STARTS] = 1
    elif u < 0.15:
        _push(word, _COMMA)
    elif u < 0.155:
        _push(word, _SEMICOLON)
    elif u < 0.16:
        _push(word, _COLON)
    elif u < 0.175 and word[_LETTER] != _LEFT:
        _push(word, _CLOSE)
        _push(word, _CLOSE)
        for k in range(_LETTER + word[_COUNT] - 2, _LETTER, -1):
            word[k] = word[k - 1]
        word[_LETTER] = _OPEN
        word[_BREAKS] = 0


@exact
def _take_off(word: NDArray[np.int64], head: int) -> None:
    """Leave only what follows the first `head` letters of a word."""
    word[_COUNT] -= head
    for k in range(_LETTER, _LETTER + word[_COUNT]):
        word[k] = word[k + head]
    kept = 0
    for k in range(_BREAK, _BREAK + word[_BREAKS]):
        if word[k] > head:
            word[_BREAK + kept] = word[k] - head
            kept += 1
    word[_BREAKS] = kept


@exact
def _width(word: NDArray[np.int64], n: int, font: int, advances: NDArray[np.float64]) -> float:
    """Width of a word's first `n` letters in em."""
    width = 0.0
    for k in range(_LETTER, _LETTER + n):
        width += advances[font, word[k]]
    return width


@exact
def _append(word: NDArray[np.int64], n: int, line: NDArray[np.int64]) -> None:
    """Append a word's first `n` letters to a line, and a space before them where it is not empty."""
    at = _CHARACTER + line[_COUNT]
    if at + 1 + n > _LINE:
        return
    if at > _CHARACTER:
        line[at] = _SPACE
        line[_SPACES] += 1
        at += 1
    for k in range(_LETTER, _LETTER + n):
        line[at] = 256 * word[_FACE] + word[k]
        at += 1
    line[_COUNT] = at - _CHARACTER


@exact
def _divide(
    room: float,
    font: int,
    advances: NDArray[np.float64],
    word: NDArray[np.int64],
    line: NDArray[np.int64],
) -> float:
    """Append as much of a word as fits, with a hyphen; the width that takes, 0 where nothing fits."""
    for k in range(_BREAK + word[_BREAKS] - 1, _BREAK - 1, -1):
        head = word[k]
        if head < 2 or word[_COUNT] - head < 3:
            continue
        width: float = _width(word, head, font, advances) + advances[font, _HYPHEN]
        if width <= room:
            kept = word[_LETTER + head]
            word[_LETTER + head] = _HYPHEN
            _append(word, head + 1, line)
            word[_LETTER + head] = kept
            _take_off(word, head)
            return width
    return 0.0


@exact
def _next_face(run: NDArray[np.int64], numbers: NDArray[np.uint64]) -> int:
    """The face of the next word: now and then a few are italic, more rarely bold."""
    if run[0] > 0:
        run[0] -= 1
        return int(run[1])
    u = uniform(numbers)
    if u > 0.02:
        return REGULAR
    face = ITALIC if u < 0.015 else BOLD
    run[0] = below(numbers, 5)
    run[1] = face
    return face


@exact
def _set_line(
    width: float,
    space: float,
    remaining: int,
    family: int,
    fonts: Fonts,
    pieces: NDArray[np.int64],
    numbers: NDArray[np.uint64],
    run: NDArray[np.int64],
    word: NDArray[np.int64],
    line: NDArray[np.int64],
) -> tuple[int, float]:
    """Fill a line with the next words of a paragraph; all widths are in em.

    Returns how many words the paragraph still lacks, and the width of what was set without its spaces. What
    did not fit stays in `word`, and comes first in the next line.
    """
    advances = fonts.advances
    line[_COUNT] = 0
    line[_SPACES] = 0
    used = 0.0
    while True:
        if word[_COUNT] == 0:
            if remaining == 0:
                return 0, used
            remaining -= 1
            _make_word(_next_face(run, numbers), pieces, numbers, word)
            _punctuate(uniform(numbers) if remaining > 0 else 0.0, word)
        font = fonts.faces[family, word[_FACE]]
        wide = _width(word, word[_COUNT], font, advances)
        room = width - used - space * (line[_SPACES] + 1)
        if line[_COUNT] > 0 and wide > room:
            return remaining, used + _divide(room, font, advances, word, line)
        _append(word, word[_COUNT], line)
        used += wide
        word[_COUNT] = 0


@exact
def _set_heading(
    pieces: NDArray[np.int64],
    numbers: NDArray[np.uint64],
    word: NDArray[np.int64],
    line: NDArray[np.int64],
) -> None:
    """Fill a line with bold words, often with a number before them."""
    line[_COUNT] = 0
    line[_SPACES] = 0
    word[_COUNT] = 0
    word[_FACE] = BOLD
    if uniform(numbers) < 0.6:
        _push_number(1, numbers, word)
        if uniform(numbers) < 0.6:
            _push(word, _STOP)
            _push_number(1, numbers, word)
        _append(word, word[_COUNT], line)
    word[_STARTS] = 1
    for _ in range(1 + below(numbers, 3)):
        _make_word(BOLD, pieces, numbers, word)
        _append(word, word[_COUNT], line)
    word[_COUNT] = 0
    word[_STARTS] = 1


@exact
def _draw_line(
    line: NDArray[np.int64],
    x: float,
    y: float,
    space: float,
    fonts: Fonts,
    page: Page,
    area: NDArray[np.float32],
) -> None:
    """Fill the outlines of a line that begins at (`x`, `y`); these and `space` are in pixels of the page."""
    segments, begins, advances = fonts.segments, fonts.begins, fonts.advances
    em = page.em
    side = float(area.shape[0])
    a = page.cosine * em
    d = page.sine * em
    for k in range(_CHARACTER, _CHARACTER + line[_COUNT]):
        if line[k] == _SPACE:
            x += space
            continue
        face = line[k] >> 8
        code = line[k] & 255
        font = fonts.faces[page.family, face]
        left = page.x + page.cosine * x - page.sine * y
        base = page.y + page.sine * x + page.cosine * y
        if -1.3 * em < left < side + 0.4 * em and -0.4 * em < base < side + 1.1 * em:
            slant = fonts.slants[page.family, face]
            glyph = font * advances.shape[1] + code
            place = (a, -d - slant * a, left, d, a - slant * d, base)
            add_outline(segments, begins[glyph], begins[glyph + 1], place, area)
        x += em * advances[font, code]


@exact
def _set_column(
    x: float,
    width: float,
    leading: float,
    top: float,
    bottom: float,
    fonts: Fonts,
    pieces: NDArray[np.int64],
    page: Page,
    numbers: NDArray[np.uint64],
    area: NDArray[np.float32],
) -> None:
    """Set paragraphs and headings one below the other from `top` to `bottom`; all lengths are in pixels."""
    run = np.zeros(2, np.int64)
    word = np.zeros(_WORD, np.int64)
    line = np.zeros(_LINE, np.int64)
    em = page.em
    # typewriter faces, whose letters are all equally wide, have wide spaces
    space = max(0.26, 0.5 * fonts.advances[fonts.faces[page.family, REGULAR], _SMALL_N])
    indented = uniform(numbers) < 0.6
    y = top - leading * uniform(numbers)
    indent = 0.0
    word[_STARTS] = 1
    remaining = 20 + below(numbers, 90)
    while y < bottom:
        measure = width / em - indent
        remaining, used = _set_line(
            measure, space, remaining, page.family, fonts, pieces, numbers, run, word, line
        )
        ends = remaining == 0 and word[_COUNT] == 0
        gap = space
        if not ends and line[_SPACES] > 0:
            gap = min((measure - used) / line[_SPACES], 1.5)
        _draw_line(line, x + em * indent, y, em * gap, fonts, page, area)
        y += leading
        indent = 0.0
        if ends:
            remaining = 20 + below(numbers, 100)
            indent = 1.4 if indented else 0.0
            y += 0.0 if indented else 0.5 * leading
            u = uniform(numbers)
            if u < 0.3:
                y += 0.7 * leading
                larger = 1.0 if u < 0.1 else 1.25
                heading = Page(page.family, larger * em, page.sine, page.cosine, page.x, page.y)
                _set_heading(pieces, numbers, word, line)
                _draw_line(line, x, y, larger * em * space, fonts, heading, area)
                y += (0.9 + 0.4 * larger) * leading
                indent = 0.0


@exact
def _print(numbers: NDArray[np.uint64], area: NDArray[np.float32], image: NDArray[np.uint8]) -> None:
    """Turn coverage to dark ink on paper whose shade changes a little over the page."""
    side = image.shape[0]
    cover = np.empty(side, np.float32)
    paper = 255.0 - 20.0 * uniform(numbers) * uniform(numbers)
    ink = np.float32(between(numbers, 0.5, 45.0))
    across = spread(numbers, 6.0) / side
    down = spread(numbers, 6.0) / side
    step = np.float32(across)
    for row in range(side):
        cover_row(area, row, 0, side, cover)
        first = np.float32(paper + down * (row - 0.5 * side) - 0.5 * across * side + 0.5)
        for x in range(side):
            light = min(first + step * np.float32(np.int32(x)), np.float32(255.5))
            image[row, x] = np.uint8(light + cover[x] * (ink - light))


@exact
def draw(
    seed: np.uint64,
    stream: np.uint64,
    start: np.uint64,
    fonts: Fonts,
    pieces: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Draw part of a page into each image of `out`.

    Parameters
    ----------
    seed, stream, start : uint64
        Image ``i`` is drawn from the numbers of `seed`, `stream` and index ``start + i``.
    fonts : Fonts
        The letters.
    pieces : ndarray
        Parts of words, as described above.
    out : ndarray
        Images, uint8, shape ``(B, S, S)``.
    """
    side = out.shape[1]
    middle = 0.5 * side
    area = np.zeros((side, side + 1), np.float32)
    numbers = sequence(seed, stream)
    for i in range(out.shape[0]):
        restart(numbers, start + np.uint64(i))
        family = fonts.family_of[below(numbers, fonts.family_of.size)]
        # 8 to 12 points at 240 to 300 dots an inch, halved
        em = between(numbers, 8.0, 12.0) * between(numbers, 120.0, 150.0) / 72.0
        leading = em * between(numbers, 1.12, 1.45)
        columns = 1 + int(uniform(numbers) < 0.35)
        width = em * (between(numbers, 19.0, 25.0) if columns == 2 else between(numbers, 28.0, 40.0))
        pitch = width + em * between(numbers, 1.5, 2.5)
        # the cut-out shows the page's margins at most 2 em wide, where the page is not narrower
        beyond = side - (columns - 1) * pitch - width - 2.0 * em
        left = between(numbers, min(beyond, 2.0 * em), max(beyond, 2.0 * em))
        sine, cosine = sincos(spread(numbers, 0.03))
        x, y = middle * (1.0 - cosine + sine), middle * (1.0 - cosine - sine)
        page = Page(family, em, sine, cosine, x, y)
        slack = 0.03 * side + em
        for k in range(columns):
            x = left + k * pitch
            if -width - slack < x < side + slack:
                _set_column(x, width, leading, -slack, side + slack, fonts, pieces, page, numbers, area)
        _print(numbers, area, out[i])
