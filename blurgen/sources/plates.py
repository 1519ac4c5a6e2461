"""Licence plates of many styles with the text that stands on them: no download, no end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blurgen.checks import checked_whole
from blurgen.errors import InputError
from blurgen.loops import plates as loops
from blurgen.sources.drawn import Drawn
from blurgen.sources.fonts import Outlines, load_outlines

# To change once the same (seed, split, index) gives another image.
_VERSION = 1

_FONTS = ("DejaVuSans-Bold", "DejaVuSans", "STIXGeneralBolIta", "DejaVuSerif-Bold")
_BOLD, _PLAIN, _SCRIPT, _SERIF = range(4)
_TOLERANCE = 0.002  # of an em that is at most 80 pixels

_READABLE = loops.CHARACTERS[:36]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Colour = tuple[int, int, int]
_WHITE, _PALE, _YELLOW, _AMBER = (244, 244, 240), (232, 235, 236), (248, 206, 30), (244, 180, 20)
_BLACK, _BLUE, _GOLD, _SILVER = (18, 18, 20), (10, 60, 150), (250, 210, 40), (190, 192, 196)


@dataclass(frozen=True)
class _Run:
    """A line of text. "@" is any letter, "#" any digit, "_" a place for seals; the rest stands for itself."""

    text: str
    x: float
    y: float
    height: float
    pitch: float = 0.0
    ink: Colour = _BLACK
    font: int = _BOLD
    width: float = 1.0


@dataclass(frozen=True)
class _Spot:
    """A patch of colour: see `loops.Designs`."""

    kind: int
    place: tuple[float, float, float, float]
    radius: float
    colour: Colour
    height: float = 0.0


@dataclass(frozen=True)
class _Design:
    """A plate: its size in millimetres and what is on it."""

    size: tuple[float, float]
    face: tuple[Colour, Colour]
    runs: tuple[_Run, ...]
    spots: tuple[_Spot, ...] = ()
    bolts: tuple[tuple[float, float], ...] = ()
    letters: str = _LETTERS
    corner: float = 8.0
    raised: float = 0.6


def _ring(inset: float, width: float, colour: Colour, height: float = 0.6) -> _Spot:
    return _Spot(loops.RING, (inset, 0, width, 0), 0, colour, height)


def _disc(x: float, y: float, radius: float, colour: Colour, height: float = 0.0) -> _Spot:
    return _Spot(loops.DISC, (x, y, 0, 0), radius, colour, height)


def _bar(x0: float, y0: float, x1: float, y1: float, colour: Colour, radius: float = 0.5) -> _Spot:
    return _Spot(loops.RECTANGLE, (x0, y0, x1, y1), radius, colour)


def _dots(x: float, y: float, radius: float) -> tuple[_Spot, ...]:
    """Twelve dots in a circle."""
    side, short = math.sqrt(3) / 2, 0.5
    quarter = ((1.0, 0.0), (side, short), (short, side))
    turned = [(c, s) for c, s in quarter] + [(-s, c) for c, s in quarter]
    points = turned + [(-c, -s) for c, s in turned]
    return tuple(_disc(x + radius * c, y + radius * s, 2.4, _GOLD) for c, s in points)


def _wide(
    text: str,
    *,
    country: str = "",
    face: Colour = _WHITE,
    ink: Colour = _BLACK,
    height: float = 77,
    pitch: float = 52,
    rim: Colour | None = _BLACK,
    right_band: bool = False,
    seals: float = 0,
    letters: str = _LETTERS,
    raised: float = 0.6,
    maker: str = "",
) -> _Design:
    """A European plate, 520 × 110 mm, with a blue band on the left where a country is named."""
    left, right = (46.0 if country else 6.0), (474.0 if right_band else 514.0)
    middle = (left + right) / 2
    spots: tuple[_Spot, ...] = ()
    runs: tuple[_Run, ...] = (_Run(text, middle, 55, height, pitch, ink, width=0.8),)
    if country:
        spots += (_bar(3, 3, 44, 107, _BLUE, 5), *_dots(23.5, 34, 13))
        runs += (_Run(country, 23.5, 84, 19 if len(country) == 1 else 16, ink=_WHITE, width=0.85),)
    if right_band:
        spots += (_bar(476, 3, 517, 107, _BLUE, 5), _disc(496.5, 34, 13, _GOLD), _disc(496.5, 34, 10, _BLUE))
    if rim is not None:
        spots += (_ring(2.5, 3.5, rim),)
    if seals:
        spots += (
            _disc(seals, 34, 13, (120, 150, 90), 0.3),
            _disc(seals, 34, 5, (225, 215, 120)),
            _disc(seals, 76, 15, (205, 212, 215), 0.3),
            _disc(seals, 76, 9, (90, 140, 190)),
            _disc(seals, 76, 6, (226, 226, 220)),
        )
    if maker:
        runs += (_Run(maker, middle, 102, 6.5, ink=(60, 60, 62), font=_PLAIN),)
    return _Design(
        (520, 110), (face, face), runs, spots, ((68, 56), (middle + 205, 56)), letters, raised=raised
    )


_BRITISH = "ABCDEFGHJKLMNOPRSTUVWXYZ"
_CLEAR = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_CONSONANTS = "BCDFGHJKLMNPRSTVWXYZ"


def _british(face: Colour, band: bool, maker: str) -> _Design:
    return _wide(
        "@@## @@@",
        country="UK" if band else "",
        face=face,
        pitch=56,
        height=76,
        rim=None,
        letters=_BRITISH,
        raised=0.0,
        maker=maker,
    )


def _american(
    text: str,
    state: str,
    motto: str,
    face: tuple[Colour, Colour],
    ink: Colour,
    head: Colour,
    *,
    band: Colour | None = None,
    font: int = _SCRIPT,
) -> _Design:
    """A North American plate, 305 × 152 mm, with a state's name above and a motto below."""
    spots: tuple[_Spot, ...] = (_ring(2, 2.5, ink, 0.8),)
    if band is not None:
        spots = (_bar(2, 2, 303, 36, band, 8), _bar(2, 138, 303, 150, band, 6), *spots)
    runs = (
        _Run(text, 152.5, 84, 66, 37, ink, width=0.78),
        _Run(state, 152.5, 21, 17, ink=head, font=font),
        _Run(motto, 152.5, 139 if band is None else 144, 8, ink=head, font=_BOLD),
    )
    bolts = ((62, 14), (243, 14), (62, 138), (243, 138))
    return _Design((305, 152), face, runs, spots, bolts, _LETTERS, 13, 1.0)


def _japanese(face: Colour, ink: Colour) -> _Design:
    runs = (
        _Run("@@@ ###", 165, 36, 38, 32, ink, width=0.85),
        _Run("@", 33, 104, 34, 36, ink, width=0.85),
        _Run("##-##", 188, 106, 80, 60, ink, width=0.85),
    )
    return _Design((330, 165), (face, face), runs, (), ((60, 18), (270, 18)), _CLEAR, 10, 1.0)


def _chinese(text: str, width: float, face: tuple[Colour, Colour], ink: Colour) -> _Design:
    pitch = (width - 34) / (len(text) - 0.4)
    runs = (_Run(text, width / 2, 71, 88, pitch, ink, width=0.72),)
    bolts = ((110, 15), (width - 110, 15), (110, 125), (width - 110, 125))
    return _Design((width, 140), face, runs, (_ring(5, 2.5, ink),), bolts, _CLEAR, 10, 1.0)


def _southern(face: Colour) -> _Design:
    spots = (_bar(2, 2, 398, 33, _BLUE, 6), _ring(2, 3, _BLACK))
    runs = (_Run("@@@#@##", 200, 82, 66, 51, width=0.78), _Run("SUDAMERICA", 200, 17, 15, ink=_WHITE))
    return _Design((400, 130), (face, face), runs, spots, ((55, 17), (345, 17)))


def _colour_header(text: str, face: Colour, ink: Colour, state: str) -> _Design:
    """An Australian plate, 372 × 134 mm."""
    runs = (_Run(text, 186, 60, 72, 49, ink, width=0.75), _Run(state, 186, 118, 12, ink=ink, font=_PLAIN))
    return _Design((372, 134), (face, face), runs, (_ring(3, 3, ink),), ((60, 14), (312, 14)), raised=0.9)


_NAVY, _GREEN, _RED, _WINE = (28, 38, 98), (10, 92, 60), (176, 28, 36), (130, 24, 44)
_SKY, _DAWN, _SAND = (
    ((250, 252, 252), (176, 210, 238)),
    ((250, 196, 140), (252, 244, 214)),
    ((250, 248, 238), (240, 222, 180)),
)
_PLAIN_WHITE = (_WHITE, _WHITE)

# The designs, with how often each is drawn.
_DESIGNS: tuple[tuple[int, _Design], ...] = (
    (5, _british(_WHITE, False, "")),
    (3, _british(_WHITE, True, "BLACKWATER MOTORS")),
    (5, _british(_YELLOW, False, "HILLCREST OF ASHFORD")),
    (3, _british(_YELLOW, True, "")),
    (3, _wide("@_@@ ####", country="D", pitch=50, seals=127)),
    (3, _wide("@@_@@ ###", country="D", pitch=50, seals=177)),
    (3, _wide("@@_@ ####", country="D", pitch=50, seals=177)),
    (2, _wide("@@@_@@ ##", country="D", pitch=50, seals=227)),
    (5, _wide("@@-###-@@", country="F", pitch=49, rim=None, right_band=True, letters=_CLEAR, raised=0.0)),
    (4, _wide("@@ ###@@", country="I", pitch=53, rim=None, right_band=True, letters=_CLEAR)),
    (3, _wide("##-@@-@@", country="NL", face=_AMBER, pitch=56, letters=_CONSONANTS)),
    (3, _wide("#-@@@-##", country="NL", face=_AMBER, pitch=58, letters=_CONSONANTS)),
    (2, _wide("@@-###-@", country="NL", face=_AMBER, pitch=58, letters=_CONSONANTS)),
    (3, _wide("#-@@@-###", country="B", ink=_WINE, rim=_WINE, pitch=52, letters=_CLEAR)),
    (4, _wide("#### @@@", country="E", pitch=57, letters=_CONSONANTS)),
    (3, _wide("@@ #####", country="PL", pitch=56)),
    (2, _wide("@@@ ##@", country="S", pitch=60, letters=_CLEAR, raised=0.4)),
    (2, _wide("@@ ## ###", country="DK", pitch=54, ink=(30, 30, 34), rim=_RED)),
    (3, _wide("@@ ## @@ ####", pitch=42, height=70)),
    (2, _wide("@@ ## @@ ####", pitch=42, height=70, face=_YELLOW)),
    (2, _wide("##-###-##", pitch=56, face=_YELLOW)),
    (
        2,
        _wide(
            "@@@ ###@", face=(22, 22, 24), ink=_SILVER, pitch=58, rim=_SILVER, letters=_BRITISH, raised=1.0
        ),
    ),
    (2, _american("@@@ ####", "Lake State", "TEN THOUSAND MILES", _SKY, _NAVY, _NAVY)),
    (2, _american("#@@@###", "Golden Coast", "WHERE THE SUN SETS", _PLAIN_WHITE, _NAVY, _RED)),
    (2, _american("@@@ ####", "Prairie", "BIG SKY COUNTRY", _DAWN, _BLACK, _WINE)),
    (2, _american("### @@@", "EVERGREEN", "STATE OF FORESTS", _PLAIN_WHITE, _GREEN, _GREEN, font=_SERIF)),
    (
        2,
        _american(
            "@## @@@", "NORTHERN", "LIVE AND LET LIVE", _PLAIN_WHITE, _NAVY, _WHITE, band=_BLUE, font=_BOLD
        ),
    ),
    (2, _american("@@@ ###", "Mesa Grande", "LAND OF CANYONS", _SAND, (70, 40, 30), _WINE)),
    (
        2,
        _american(
            "@@@ ####",
            "EMPIRE",
            "THE OLD COLONY",
            ((240, 178, 40), (240, 178, 40)),
            _NAVY,
            _NAVY,
            font=_SERIF,
        ),
    ),
    (2, _american("@@@@ ###", "Harbour Isle", "YOURS TO FIND", _PLAIN_WHITE, (24, 70, 150), (24, 70, 150))),
    (5, _japanese(_WHITE, _GREEN)),
    (1, _japanese((246, 206, 60), _BLACK)),
    (1, _japanese((12, 92, 62), _PALE)),
    (4, _chinese("@@·#####", 440, ((22, 72, 176), (16, 58, 152)), _PALE)),
    (2, _chinese("@@·@####", 440, ((22, 72, 176), (16, 58, 152)), _PALE)),
    (2, _chinese("@@·##@##", 440, ((22, 72, 176), (16, 58, 152)), _PALE)),
    (3, _chinese("@@·@#####", 480, ((232, 242, 232), (96, 196, 122)), _BLACK)),
    (1, _chinese("@@·#####", 440, ((240, 200, 40), (240, 200, 40)), _BLACK)),
    (4, _southern(_WHITE)),
    (2, _colour_header("@@@ ##@", (246, 244, 232), (20, 84, 70), "THE GARDEN STATE")),
    (2, _colour_header("### @@@", (246, 204, 60), _BLACK, "SOUTH LAND")),
    (1, _colour_header("@@@ ###", (24, 24, 26), _WHITE, "WESTERN PLAINS")),
)

# Colours of cars, the usual ones several times.
_BODIES = (
    (224, 226, 228),
    (238, 238, 234),
    (214, 214, 212),
    (22, 22, 25),
    (38, 38, 42),
    (14, 14, 16),
    (88, 92, 97),
    (120, 124, 128),
    (66, 69, 74),
    (168, 172, 176),
    (188, 191, 194),
    (34, 54, 104),
    (60, 92, 140),
    (24, 36, 62),
    (140, 24, 28),
    (96, 18, 24),
    (50, 70, 56),
    (120, 96, 70),
    (196, 178, 148),
    (206, 110, 40),
)


def text_of(label: int) -> str:
    """The text that a label stands for.

    Parameters
    ----------
    label : int
        A number whose digits, base 37, are the characters: 1 to 10 for 0 to 9, 11 to 36 for A to Z; the first
        one is the most significant.

    Raises
    ------
    InputError
        If it stands for no text of at most 12 characters.

    Examples
    --------
    >>> text_of(label_of("AB12CDE"))
    'AB12CDE'
    """
    rest = checked_whole("plates: label", label, 0, 37**loops.MAX_TEXT - 1)
    text = ""
    while rest > 0:
        rest, code = divmod(rest, 37)
        if code == 0:
            raise InputError(
                f"plates: label {label} stands for no text: it has a 0 among its digits, base 37"
            )
        text = _READABLE[code - 1] + text
    return text


def label_of(text: str) -> int:
    """The label that stands for a text: the inverse of `text_of`.

    Raises
    ------
    InputError
        If there are more than 12 characters, or others than A–Z and 0–9.

    Examples
    --------
    >>> label_of("A0")
    408
    """
    if len(text) > loops.MAX_TEXT or not set(text) <= set(_READABLE):
        raise InputError(
            f"plates: text {text!r}, allowed are at most {loops.MAX_TEXT} characters A–Z and 0–9"
        )
    label = 0
    for character in text:
        label = 37 * label + _READABLE.index(character) + 1
    return label


def _codes(run: _Run) -> list[int]:
    special = {"@": loops.LETTER, "#": loops.DIGIT, " ": loops.GAP, "_": loops.WIDE_GAP}
    return [
        special[character] if character in special else loops.CHARACTERS.index(character)
        for character in run.text
    ]


def _tables(outlines: Outlines) -> loops.Designs:
    """The designs as the arrays that `loops.draw` asks for."""
    sheets, spots, runs, letters = [], [], [], []
    bolts: list[tuple[float, float]] = []
    patterns: list[int] = []
    spot_begins, bolt_begins, run_begins, pattern_begins = [0], [0], [0], [0]
    for _, design in _DESIGNS:
        sheets.append([*design.size, design.corner, *design.face[0], *design.face[1], design.raised])
        spots += [[spot.kind, *spot.place, spot.radius, *spot.colour, spot.height] for spot in design.spots]
        bolts += design.bolts
        for run in design.runs:
            runs.append([run.x, run.y, run.height, run.pitch, *run.ink, run.font, run.width])
            patterns += _codes(run)
            pattern_begins.append(len(patterns))
        spot_begins.append(len(spots))
        bolt_begins.append(len(bolts))
        run_begins.append(len(runs))
        drawn = [_READABLE.index(letter) for letter in design.letters]
        letters.append([len(drawn), *drawn, *[0] * (26 - len(drawn))])
    return loops.Designs(
        np.array([k for k, (share, _) in enumerate(_DESIGNS) for _ in range(share)]),
        np.array(sheets, np.float64),
        np.array(spots, np.float64),
        np.array(spot_begins),
        np.array(bolts, np.float64),
        np.array(bolt_begins),
        np.array(runs, np.float64),
        np.array(run_begins),
        np.array(patterns),
        np.array(pattern_begins),
        np.array(letters),
        outlines.segments,
        outlines.begins,
        outlines.advances,
        outlines.boxes,
    )


class Plates(Drawn):
    """Endless licence plates on cars, 270 × 90, RGB, each with its text as a label.

    The styles are like those of many countries in shape, colours and patterns of letters and digits, without
    their emblems; plates are seen a little from the side, with bolts, frames, wear, dirt, shadows and uneven
    light. A label is an int64 that `text_of` turns to text, without the spaces and hyphens between.

    Parameters
    ----------
    seed : int
        Another seed gives other plates, 0 to 2⁶⁴ − 1.
    split : {"train", "test"}
        Two sets without an image in common.

    Raises
    ------
    InputError
        If an argument is not allowed.
    SourceError
        If the fonts are not installed.

    Examples
    --------
    >>> plates = Plates()
    >>> plates.read(1000, 1032).shape
    (32, 90, 270, 3)
    >>> len(text_of(plates.labels(1000, 1001)[0])) > 4
    True
    """

    kind = "plates"
    first_stream = 3
    has_labels = True

    def __init__(self, seed: int = 0, split: str = "train") -> None:
        outlines = load_outlines(_FONTS, loops.CHARACTERS, _TOLERANCE)
        super().__init__(seed, split, (loops.HEIGHT, loops.WIDTH, 3), f"{_VERSION} {outlines.sha256}")
        self._designs = _tables(outlines)
        self._bodies = np.array(_BODIES, np.float64)

    def _read(self, start: int, stop: int) -> NDArray[np.uint8]:
        images = np.empty((stop - start, *self.shape), np.uint8)
        loops.draw(self._seed, self._stream, np.uint64(start), self._designs, self._bodies, images)
        return images

    def _labels(self, start: int, stop: int) -> NDArray[np.int64]:
        labels = np.empty(stop - start, np.int64)
        loops.labels(self._seed, self._stream, np.uint64(start), self._designs, labels)
        return labels

    def __reduce__(self) -> tuple[type[Plates], tuple[int, str]]:
        return Plates, (self.options["seed"], self.options["split"])
