"""The look of all pictures: colours, marks, letters, and the formats that they are written in.

The colours of lines are Okabe and Ito's, which the colour-blind tell apart; dashes and marks differ, too, so
that prints without colour stay legible. A picture is the same bytes every time.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from blurgen.errors import BlurgenError, InputError, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: Final = ("png", "svg", "pdf")

PAPER: Final = "#e9eaec"  # of sheets, whose images may be white
INK: Final = "#202226"
FAINT: Final = "#626469"
RULE: Final = "#d7d9dc"
AROUND: Final = "#3a3e46"  # about an image that is smaller than its place

BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"
GREEN: Final = "#009e73"
PURPLE: Final = "#cc79a7"
ORANGE: Final = "#e69f00"
SKY: Final = "#56b4e9"
GREY: Final = "#767a80"

_COLOURS: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)
_DASHES: Final[tuple[Any, ...]] = (
    "-",
    (0, (5, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (1.2, 1.2)),
    (0, (9, 2)),
    (0, (5, 1.5, 1, 1.5, 1, 1.5)),
    (0, (2.5, 1)),
)
_MARKS: Final = "os^Dv*P"
BASELINE: Final[dict[str, Any]] = {
    "color": GREY,
    "linestyle": (0, (2, 2)),
    "linewidth": 1.3,
}  # of doing nothing

_LOOK: Final[dict[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.titlesize": 10,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "image.cmap": "gray",
    "image.composite_image": False,
    "image.interpolation": "none",
    "legend.fontsize": 8,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,  # text is text
    "svg.fonttype": "none",
    "svg.hashsalt": "blurgen",
    "text.color": INK,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}
# no clock, no versions
_METADATA: Final[dict[str, dict[str, None]]] = {
    "png": {"Software": None},
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
}

_settings = threading.RLock()  # matplotlib's belong to the process: two who change them would not find back


@contextmanager
def look(changed: Mapping[str, Any] = {}) -> Iterator[None]:
    """Within, or in a function so decorated, matplotlib draws in this look, whatever it was told before.

    Parameters
    ----------
    changed : mapping
        Settings of matplotlib that differ.

    Raises
    ------
    BlurgenError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.style as mpl_style
    except ImportError:
        raise BlurgenError(
            "plots, SVG and PDF are drawn by matplotlib: pip install 'blurgen[draw]'"
        ) from None
    with _settings, mpl_style.context(["default", _LOOK, dict(changed)]):
        yield


def figure(width: float, height: float, **options: Any) -> Figure:
    """An empty figure, in inches; nothing global knows it, and no display is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), **options)
    FigureCanvasAgg(made)
    return made


def series(number: int, *, marked: bool = True) -> dict[str, Any]:
    """How the line of a number is drawn: colour, dashes, and marks where its points are few.

    Of any 49 lines no two look the same, nor any 7 without their colours.
    """
    shifted = number + number // len(_COLOURS)
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "linestyle": _DASHES[shifted % len(_DASHES)],
        "marker": _MARKS[shifted % len(_MARKS)] if marked else "",
    }


def literally(text: str) -> str:
    """A text as it is, as matplotlib takes it: a file's name may look like a formula, or break a line.

    One that begins with ``_``, which legends leave out, gets a space in front.
    """
    return (" " if text.startswith("_") else "") + printable(text).replace("$", r"\$")


def drawn(made: Figure, form: str, dpi: int = 150) -> bytes:
    """A figure as a file of a format, the same bytes every time."""
    stored = io.BytesIO()
    made.savefig(stored, format=form, dpi=dpi, metadata=_METADATA[form])
    return stored.getvalue()


def form_of(path: str | os.PathLike[str]) -> str:
    """The format that a picture's name asks for.

    Raises
    ------
    InputError
        If it is none of them.

    Examples
    --------
    >>> form_of("sheet.PDF")
    'pdf'
    """
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise InputError(
            f"'{os.fspath(path)}': pictures are written as PNG, SVG or PDF; a name that ends in .png, .svg "
            "or .pdf is needed"
        )
    return form


def check_form(form: str) -> None:
    """See that pictures can be written in a format.

    Raises
    ------
    InputError
        If they cannot.
    """
    if form not in FORMATS:
        raise InputError(f"figures {form!r}: png, svg or pdf is needed")
