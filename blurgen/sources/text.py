"""Text as on printed pages: images for document deblurring that need no download and never run out."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from blurgen.loops import text as loops
from blurgen.sources.drawn import Drawn, checked_size
from blurgen.sources.fonts import Outlines, load_outlines

# To change once the same (seed, split, index) gives another image.
_VERSION = 1

# Regular, bold and italic of each family, with how often it is used. "/" slants the face itself.
_FAMILIES = (
    (6, ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic")),
    (5, ("cmr10", "cmb10", "cmti10")),
    (2, ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic")),
    (2, ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique")),
    (1, ("cmss10", "cmss10", "/cmss10")),
    (1, ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique")),
    (1, ("cmtt10", "cmtt10", "/cmtt10")),
)
_SLANT = 0.2
_FONTS = tuple(dict.fromkeys(face.lstrip("/") for _, faces in _FAMILIES for face in faces))
_TOLERANCE = 0.005  # of an em that is at most 25 pixels

# Parts of words, with how often each is used: together they give English's letter frequencies, about.
_PIECES = {
    loops.ONSETS: "t9 s8 r8 n6 d6 l6 c6 m5 p5 b4 f4 h4 v3 g3 w2 k1 j1 th3 st4 tr3 pr3 ch2 sh2 gr1 cl2 br1 "
    "pl2 fr1 dr1 cr1 fl1 qu1 str1 wh1 sp1 sc1 sl1 y1",
    loops.NUCLEI: "e16 a13 i12 o12 u5 ea3 ou3 io2 ai2 ee2 oo1 ie1 y1 oi1 au1",
    loops.CODAS: "n9 r8 s7 t8 l6 d5 m4 c2 nt4 st3 nd3 ng2 ck1 rt2 ll2 ss1 p2 rs1 ct2 g1 k1 x1 ft1 lt1 rm1 w1 "
    "ch1 th1 sh1 z1 f1 b1",
    loops.ENDINGS: "s8 ed5 ing5 tion4 ly4 al3 er5 es3 ment2 ity2 ive2 ance1 ous1 able1 ic2 ate2 ure1 ence1",
    loops.COMMON: "the61 of30 and28 to26 a22 in21 is14 that11 for9 it9 as8 was8 with7 be7 by6 on6 are6 at5 "
    "this5 from5 or5 an5 which4 not4 have4 we4 were3 has3 can3 their2 been2 these2 more2 one2 its2 but3 had2 "
    "all2 will2 than2 also2 such1 other1 they2 may1 both1 each1 into1 if1 so1 no1 when1 only1 "
    "two1 then1 some1",
}
_CHOICES = 1024


def _pieces() -> NDArray[np.int64]:
    """`_PIECES` as the array that `loops.draw` asks for: each sort's pieces, each as often as it is used."""
    pieces = np.zeros((len(_PIECES), _CHOICES, 1 + loops.LONGEST_PIECE), np.int64)
    for sort, words in _PIECES.items():
        weighted = [re.fullmatch(r"([a-z]+)(\d+)", word) for word in words.split()]
        rows, weights = [], []
        for match in weighted:
            assert match is not None
            codes = [loops.CHARACTERS.index(letter) for letter in match[1]]
            rows.append([len(codes), *codes, *[0] * (loops.LONGEST_PIECE - len(codes))])
            weights.append(int(match[2]))
        ends = np.cumsum(weights)
        which = np.searchsorted(ends * _CHOICES, np.arange(_CHOICES) * ends[-1], side="right")
        pieces[sort] = np.array(rows)[which]
    return pieces


def _fonts(outlines: Outlines) -> loops.Fonts:
    faces = [[_FONTS.index(face.lstrip("/")) for face in family] for _, family in _FAMILIES]
    slants = [[_SLANT if face.startswith("/") else 0.0 for face in family] for _, family in _FAMILIES]
    family_of = [k for k, (share, _) in enumerate(_FAMILIES) for _ in range(share)]
    return loops.Fonts(
        outlines.segments,
        outlines.begins,
        outlines.advances,
        np.array(faces),
        np.array(slants),
        np.array(family_of),
    )


class Text(Drawn):
    """Endless cut-outs of printed pages: dark letters on light paper, gray.

    As in Hradiš et al. [1]_, the pages are at 240 to 300 dots an inch, halved by averaging 2 × 2 pixels:
    letters are drawn with their exact area coverage at the halved resolution, which is the same. The text is
    8 to 12 points large, justified, in one or two columns, turned by up to 1.7°; its words are made of
    syllables.

    Parameters
    ----------
    seed : int
        Another seed gives other pages, 0 to 2⁶⁴ − 1.
    split : {"train", "test"}
        Two sets without an image in common.
    size : int
        Width and height of an image in pixels, 16 to 4096.

    Raises
    ------
    InputError
        If an argument is not allowed.
    SourceError
        If the fonts are not installed.

    References
    ----------
    .. [1] M. Hradiš, J. Kotera, P. Zemčík, F. Šroubek, "Convolutional neural networks for direct text
       deblurring", BMVC 2015.

    Examples
    --------
    >>> Text(size=64).read(1000, 1032).shape
    (32, 64, 64, 1)
    """

    kind = "text"
    first_stream = 5

    def __init__(self, seed: int = 0, split: str = "train", size: int = 256) -> None:
        side = checked_size("text", size)
        outlines = load_outlines(_FONTS, loops.CHARACTERS, _TOLERANCE)
        super().__init__(seed, split, (side, side, 1), f"{_VERSION} {outlines.sha256}", size=side)
        self._tables = _fonts(outlines), _pieces()

    def _read(self, start: int, stop: int) -> NDArray[np.uint8]:
        images = np.empty((stop - start, *self.shape), np.uint8)
        loops.draw(self._seed, self._stream, np.uint64(start), *self._tables, images[..., 0])
        return images

    def __reduce__(self) -> tuple[type[Text], tuple[int, str, int]]:
        return Text, (self.options["seed"], self.options["split"], self.options["size"])
