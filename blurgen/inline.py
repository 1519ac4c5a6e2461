"""Pictures in the terminal, in the three ways that terminals know: kitty's, iTerm2's, and sixel."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
import select
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blurgen.errors import InputError

_INSTEAD: Final = "write a file instead, --out sheet.png"
_KITTY_TERMS: Final = ("xterm-kitty", "xterm-ghostty")
_ITERM2_PROGRAMS: Final = ("iTerm.app", "WezTerm", "mintty")
_BOTH_OR_NONE: Final = "vscode"  # knows iTerm2's, of all colours, and sixel, unless pictures are switched off
_KITTY_CHUNK: Final = 4096  # base64 letters of an escape, at most
_ATTRIBUTES: Final = re.compile(rb"\x1b\[\?([\d;]+)c")  # the answer to what the terminal can do
_SIXEL: Final = b"4"  # among them
_PATIENCE = 1.0  # seconds that a terminal has to answer
_CELL_WIDTH: Final = 8  # pixels of a letter, where the terminal does not tell
_MOST_COLOURS: Final = 256
_BAND: Final = 6  # rows that one sixel stands for
_LONG_RUN: Final = re.compile(rb"(.)\1{3,}", re.DOTALL)


@dataclass(frozen=True)
class Terminal:
    """A terminal that shows pictures.

    Attributes
    ----------
    protocol : str
        ``kitty``, ``iterm2`` or ``sixel``.
    width : int
        In pixels.
    """

    protocol: str
    width: int

    def draw(self, image: Image.Image) -> None:
        """Show an RGB image on standard output."""
        out = sys.stdout.buffer
        try:
            out.write(self.sequence(image))
            out.flush()
        except BaseException:
            out.write(b"\x1b\\")  # else a picture that is cut off swallows what comes next
            raise

    def sequence(self, image: Image.Image) -> bytes:
        """What shows an RGB image when it is written to the terminal; one that is too wide is reduced."""
        if image.width > self.width:
            height = max(1, round(image.height * self.width / image.width))
            image = image.resize((self.width, height), Image.Resampling.LANCZOS)
        if self.protocol == "sixel":
            return sixel(np.asarray(image)) + b"\n"
        stored = io.BytesIO()
        image.save(stored, "PNG")
        return {"kitty": kitty, "iterm2": iterm2}[self.protocol](stored.getvalue()) + b"\n"


def this_terminal() -> Terminal:
    """The terminal that standard output is.

    Raises
    ------
    InputError
        If it is none, or one that shows no pictures.
    """
    if not sys.stdout.isatty():
        raise InputError(f"standard output is no terminal, where pictures could be shown: {_INSTEAD}")
    protocol = protocol_of(os.environ, device_attributes)
    if protocol is None:
        inside = "tmux" if os.environ.get("TMUX") else "screen" if os.environ.get("STY") else ""
        where, ways = (inside, "sixel") if inside else ("this terminal", "kitty, iTerm2 or sixel")
        raise InputError(f"{where} does not say that it shows pictures by {ways}: {_INSTEAD}")
    return Terminal(protocol, _width(sys.stdout.fileno()))


def protocol_of(environment: Mapping[str, str], attributes: Callable[[], bytes]) -> str | None:
    """How pictures are shown.

    Parameters
    ----------
    environment : mapping
        Variables by which terminals tell what they are.
    attributes : callable
        Asks the terminal for its primary device attributes; gives its answer, or nothing. It is called only
        where the environment does not tell.

    Returns
    -------
    str or None
        ``kitty``, ``iterm2`` or ``sixel``; None where none is known.
    """
    term = environment.get("TERM", "")
    if term == "dumb":
        return None
    program = environment.get("TERM_PROGRAM", "")
    # those between us and the terminal let no foreign sequences through, and answer for themselves
    between = bool(environment.get("TMUX") or environment.get("STY"))
    between = between or term.startswith(("tmux", "screen"))  # perhaps on the far side of ssh
    if not between:
        # a terminal that was started from another inherits what that one set
        if term in _KITTY_TERMS or (environment.get("KITTY_WINDOW_ID") and not program):
            return "kitty"
        if program in _ITERM2_PROGRAMS or environment.get("LC_TERMINAL") == "iTerm2":
            return "iterm2"
    found = _ATTRIBUTES.search(attributes())
    if not found or _SIXEL not in found[1].split(b";")[1:]:
        return None
    return "iterm2" if program == _BOTH_OR_NONE and not between else "sixel"


# ---- the protocols ----


def kitty(png: bytes) -> bytes:
    """A PNG by kitty's graphics protocol, which cuts it into chunks; the terminal is told not to answer."""
    data = base64.b64encode(png)
    chunks = [data[start : start + _KITTY_CHUNK] for start in range(0, len(data), _KITTY_CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks, 1):
        keys = b"a=T,f=100,q=2," if number == 1 else b""
        parts.append(b"\x1b_G%bm=%d;%b\x1b\\" % (keys, number < len(chunks), chunk))
    return b"".join(parts)


def iterm2(png: bytes) -> bytes:
    """A PNG as iTerm2 takes files."""
    return b"\x1b]1337;File=inline=1;size=%d:%b\a" % (len(png), base64.b64encode(png))


def sixel(image: NDArray[np.uint8]) -> bytes:
    """An image as sixels, of 256 colours.

    Parameters
    ----------
    image : ndarray
        uint8, shape (H, W, 3). Where it has no more colours, counted in the whole percents that sixels tell
        colours in, each is exact to half a percent; else the nearest of 256 are mixed pixel by pixel.
    """
    palette, places = _indexed(image)
    height, width = places.shape
    parts = [b'\x1bP0;1;0q"1;1;%d;%d' % (width, height)]
    parts += [b"#%d;2;%d;%d;%d" % (number, *colour) for number, colour in enumerate(palette.tolist())]
    across = np.arange(width)
    for top in range(0, height, _BAND):
        band = places[top : top + _BAND]
        colours, which = np.unique(band, return_inverse=True)
        bits = np.zeros((colours.size, width), np.uint8)
        for row, line in enumerate(which.reshape(band.shape)):
            bits[line, across] |= 1 << row
        lines = []
        for colour, line in zip(colours, bits + 63, strict=True):  # 63 is ?, no pixel
            run = _LONG_RUN.sub(_counted, line.tobytes().rstrip(b"?"))
            lines.append(b"#%d%b" % (colour, run))
        parts.append(b"$".join(lines) + b"-")
    parts.append(b"\x1b\\")
    return b"".join(parts)


def _counted(run: re.Match[bytes]) -> bytes:
    return b"!%d%b" % (len(run[0]), run[1])


def _indexed(image: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Colours in percents, shape (n, 3), and which of them each pixel has, shape (H, W)."""
    percents = (image.astype(np.int64) * 100 + 127) // 255
    keys = percents @ np.array([101 * 101, 101, 1])
    known, places = np.unique(keys, return_inverse=True)
    if known.size <= _MOST_COLOURS:
        palette = np.stack([known // (101 * 101), known // 101 % 101, known % 101], axis=1)
        return palette, places.reshape(image.shape[:2])
    whole = Image.fromarray(image)
    mixed = whole.quantize(palette=whole.quantize(_MOST_COLOURS), dither=Image.Dither.FLOYDSTEINBERG)
    colours = np.array(mixed.getpalette(), np.int64).reshape(-1, 3)
    return (colours * 100 + 127) // 255, np.asarray(mixed).astype(np.int64)


# ---- asking the terminal ----


def device_attributes() -> bytes:
    """What the terminal answers when it is asked what it can do; nothing where it keeps silent."""
    import termios

    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        with _unbuffered(terminal):
            os.write(terminal, b"\x1b[c")
            return _answer(terminal)
    except (OSError, termios.error):  # it hung up, or is not ours to ask
        return b""
    finally:
        os.close(terminal)


def _answer(terminal: int) -> bytes:
    answer = b""
    until = time.monotonic() + _PATIENCE
    while not _ATTRIBUTES.search(answer) and (left := until - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            break
        some = os.read(terminal, 1024)
        if not some:
            break
        answer += some
    return answer


@contextlib.contextmanager
def _unbuffered(terminal: int) -> Iterator[None]:
    """Within, the terminal neither shows what it receives nor waits for the end of a line."""
    import termios

    before = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    try:
        termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _width(terminal: int) -> int:
    """In pixels; of letters of a usual width where it tells their number alone."""
    import fcntl
    import termios

    size = fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))
    _, columns, pixels, _ = struct.unpack("HHHH", size)
    return int(pixels or (columns or 80) * _CELL_WIDTH)
