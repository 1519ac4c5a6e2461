"""Pictures in the terminal: each protocol decoded by a reader of its own, and terminals that are played."""

import base64
import io
import os
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import blurgen
from blurgen import inline
from blurgen.cli import main
from blurgen.inline import Terminal, device_attributes, iterm2, kitty, protocol_of, sixel
from blurgen.sheet import contact_sheet

RANDOM = np.random.default_rng(0)


def gradient(height, width, channels=3):
    """Smooth, with more colours than sixel has."""
    y, x = np.mgrid[:height, :width]
    parts = [255 * x / width, 255 * y / height, 255 - 127 * (x + y) / (height + width)]
    return np.stack(parts[:channels], axis=-1).astype(np.uint8)


def png(image):
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, "PNG")
    return stored.getvalue()


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


# ---- decoders ----


def read_kitty(sequence):
    """The PNG of a sequence, as the protocol's page tells it."""
    found = re.findall(rb"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", sequence)
    assert b"".join(b"\x1b_G%b;%b\x1b\\" % part for part in found) == sequence  # nothing else
    keys = [dict(key.split(b"=") for key in part[0].split(b",")) for part in found]
    assert keys[0] == {b"a": b"T", b"f": b"100", b"q": b"2", b"m": b"1" if len(found) > 1 else b"0"}
    assert all(key == {b"m": b"1"} for key in keys[1:-1])
    assert keys[-1][b"m"] == b"0"
    assert all(len(part[1]) <= 4096 and len(part[1]) % 4 == 0 for part in found)
    return base64.b64decode(b"".join(part[1] for part in found), validate=True)


def read_iterm2(sequence):
    found = re.fullmatch(rb"\x1b\]1337;File=inline=1;size=(\d+):([A-Za-z0-9+/=]*)\x07", sequence)
    content = base64.b64decode(found[2], validate=True)
    assert len(content) == int(found[1])
    return content


def read_sixel(sequence):
    """The RGB image of a sequence, letter by letter; what no sixel reaches is magenta."""
    start = re.match(rb'\x1bP[\d;]*q"1;1;(\d+);(\d+)', sequence)
    assert sequence.endswith(b"\x1b\\")
    width, height = int(start[1]), int(start[2])
    canvas = np.empty((height, width, 3))
    canvas[:] = (255, 0, 255)
    colours, colour, x, top, repeat = {}, None, 0, 0, 1
    for token in re.finditer(
        rb"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)|([?-~])|([$-])", sequence[start.end() : -2]
    ):
        number, red, green, blue, count, bits, move = token.groups()
        if red is not None:
            colours[int(number)] = [int(part) * 255 / 100 for part in (red, green, blue)]
        elif number is not None:
            colour = colours[int(number)]
        elif count is not None:
            repeat = int(count)
        elif bits is not None:
            for _ in range(repeat):
                for row in range(6):
                    if (bits[0] - 63) >> row & 1:
                        canvas[top + row, x] = colour
                x += 1
            repeat = 1
        else:
            x, top = 0, top + (6 if move == b"-" else 0)
    assert len(colours) <= 256
    return canvas


# ---- protocols ----


@pytest.mark.parametrize("shape", [(1, 1), (40, 70), (200, 200)])
def test_kitty_and_iterm2_carry_the_png(shape):
    content = png(RANDOM.integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert read_kitty(kitty(content)) == content
    assert read_iterm2(iterm2(content)) == content


@pytest.mark.parametrize("length", [3072, 3073, 6144])
def test_kitty_chunks_end_where_they_must(length):
    content = bytes(range(256)) * 24
    assert read_kitty(kitty(content[:length])) == content[:length]


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (6, 6), (7, 300), (19, 31)])
def test_sixels_of_gray_are_exact_to_half_a_percent(shape):
    gray = RANDOM.integers(0, 256, (*shape, 1), dtype=np.uint8).repeat(3, axis=2)
    gray[:, shape[1] // 2 :] = gray[0, 0]  # runs
    assert np.abs(read_sixel(sixel(gray)) - gray).max() <= 255 / 200 + 1e-9


def test_sixels_of_few_colours_are_exact_to_half_a_percent():
    palette = RANDOM.integers(0, 256, (200, 3), dtype=np.uint8)
    image = palette[RANDOM.integers(0, 200, (33, 50))]
    assert np.abs(read_sixel(sixel(image)) - image).max() <= 255 / 200 + 1e-9


def test_sixels_of_many_colours_are_near_and_right_in_the_mean():
    image = gradient(60, 90)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 256
    found = read_sixel(sixel(image))
    assert np.abs(found - image).mean() < 8
    # mixed pixel by pixel: no bands are left in the mean of a neighbourhood
    blocks = (found - image).reshape(6, 10, 9, 10, 3).mean(axis=(1, 3))
    assert np.abs(blocks).max() < 6


# ---- which one ----


@pytest.mark.parametrize(
    ("environment", "answer", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, None, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, None, "kitty"),
        ({"TERM": "xterm-ghostty"}, None, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, None, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, None, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, b"\x1b[?62;4;9;22c", "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, b"\x1b[?1;2c", None),
        ({"TERM": "screen", "TERM_PROGRAM": "vscode", "TMUX": "/tmp/x"}, b"\x1b[?1;2;4c", "sixel"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, None, "iterm2"),
        ({"TERM": "xterm"}, b"\x1b[?62;4;9;22c", "sixel"),
        ({"TERM": "xterm"}, b"typed ahead\x1b[?63;1;2;4c", "sixel"),
        ({"TERM": "xterm"}, b"\x1b[?62;9;22c", None),
        ({"TERM": "xterm"}, b"\x1b[?4;6c", None),  # a VT132, the first number is the terminal's kind
        ({"TERM": "xterm"}, b"\x1b[?64;14;44c", None),
        ({"TERM": "xterm"}, b"", None),
        ({}, b"", None),
        ({"TERM": "dumb", "KITTY_WINDOW_ID": "1"}, None, None),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}, b"\x1b[?1;2c", None),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x", "LC_TERMINAL": "iTerm2"}, b"\x1b[?1;2;4c", "sixel"),
        ({"TERM": "screen", "STY": "1.x"}, b"\x1b[?1;2c", None),
        # one terminal that was started from another, and tmux on the far side of ssh
        (
            {"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "KITTY_WINDOW_ID": "1"},
            b"\x1b[?1;2c",
            None,
        ),
        (
            {"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm", "KITTY_WINDOW_ID": "1"},
            None,
            "iterm2",
        ),
        ({"TERM": "screen-256color", "LC_TERMINAL": "iTerm2"}, b"\x1b[?1;2;4c", "sixel"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, b"\x1b[?1;2c", None),
    ],
)
def test_terminals_are_known_by_what_they_say(environment, answer, protocol):
    asked = (lambda: pytest.fail("asked without need")) if answer is None else (lambda: answer)
    assert protocol_of(environment, asked) == protocol


@pytest.mark.parametrize(("protocol", "read"), [("kitty", read_kitty), ("iterm2", read_iterm2)])
def test_what_fits_is_shown_pixel_for_pixel(protocol, read):
    image = gradient(20, 80)
    sequence = Terminal(protocol, 80).sequence(Image.fromarray(image))
    np.testing.assert_array_equal(pixels(read(sequence[:-1])), image)


@pytest.mark.parametrize(
    ("protocol", "read"), [("kitty", lambda s: pixels(read_kitty(s))), ("sixel", read_sixel)]
)
def test_what_is_too_wide_is_reduced(protocol, read):
    flat = np.full((50, 301, 3), 140, np.uint8)
    found = read(Terminal(protocol, 100).sequence(Image.fromarray(flat))[:-1])
    assert found.shape == (17, 100, 3)
    assert np.abs(found - 140.0).max() <= 255 / 200


def test_no_terminal_is_said():
    with pytest.raises(blurgen.BlurgenError, match=r"standard output is no terminal.* --out sheet\.png"):
        inline.this_terminal()


def test_the_command_says_so_in_one_sentence(digits, capsys):
    assert main(["show", str(digits), "--inline"]) == 1
    assert capsys.readouterr().err.startswith("blurgen: standard output is no terminal")
    assert main(["show", str(digits)]) == 2
    assert "--out or --inline is needed" in capsys.readouterr().err


# ---- a terminal that is played ----

SHOW = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from blurgen import cli, inline
inline._PATIENCE = float(sys.argv[1])
before = termios.tcgetattr(0)
code = cli.main(["show", sys.argv[2], "--inline", "--count", "3"])
sys.exit(code if termios.tcgetattr(0) == before else 99)
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return blurgen.make("digits", tmp_path_factory.mktemp("inline") / "a.h5", count=3, seed=2)


def played(path, answer, patience, size=(24, 80, 640, 384), **environment):
    """What a program wrote to a terminal that gives this answer, its exit code, and whether it asked.

    The exit code is 99 where the program left the terminal's modes changed.
    """
    pty, termios, fcntl = (pytest.importorskip(name) for name in ("pty", "termios", "fcntl"))
    known = ("TMUX", "STY", "KITTY_WINDOW_ID", "TERM_PROGRAM", "LC_TERMINAL")
    clean = {name: value for name, value in os.environ.items() if name not in known}
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", *size))
    program = subprocess.Popen(
        [sys.executable, "-c", SHOW, str(patience), str(path)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env={**clean, "TERM": "xterm", **environment},
    )
    os.close(follower)
    shown, asked = b"", False
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the program has ended
            break
        if not part:
            break
        shown += part
        if not asked and b"\x1b[c" in shown:
            asked = True
            if answer:
                os.write(leader, answer)
    code = program.wait()
    os.close(leader)
    return shown.replace(b"\r\n", b"\n"), code, asked


def test_a_terminal_that_says_it_knows_sixel_is_sent_sixels(digits):
    shown, code, asked = played(digits, b"\x1b[?62;4;22c", 60.0)
    assert (code, asked) == (0, True)
    question, sequence = shown.split(b"\x1b[c", 1)
    assert question == b""  # and the answer is not echoed
    expected = np.asarray(contact_sheet(blurgen.open_pairs(digits), range(3)).image(640))
    assert expected.shape[1] <= 640
    found = read_sixel(sequence[: sequence.index(b"\x1b\\") + 2])
    assert found.shape == expected.shape
    # grays and the shades of letters are a few more than 256
    assert np.abs(found - expected).mean() < 255 / 200
    assert np.abs(found - expected).max() < 12


def test_kitty_is_sent_the_sheet_without_a_question(digits):
    shown, code, asked = played(digits, b"", 60.0, KITTY_WINDOW_ID="3", size=(24, 80, 0, 0))
    assert (code, asked) == (0, False)
    expected = np.asarray(contact_sheet(blurgen.open_pairs(digits), range(3)).image(640))
    np.testing.assert_array_equal(pixels(read_kitty(shown.rstrip(b"\n"))), expected)


@pytest.mark.parametrize(("answer", "patience"), [(b"\x1b[?1;2c", 60.0), (b"", 0.05)])
def test_a_terminal_without_pictures_or_words_gets_a_sentence(digits, answer, patience):
    shown, code, asked = played(digits, answer, patience)
    assert (code, asked) == (1, True)
    assert re.fullmatch(
        rb"\x1b\[cblurgen: this terminal does not say that it shows pictures by .*: "
        rb"write a file instead, --out sheet\.png\n",
        shown,
    )


def test_a_picture_that_is_cut_off_is_ended(monkeypatch):
    class Slow(io.BytesIO):
        cut_off = False

        def flush(self):
            if not self.cut_off:
                self.cut_off = True
                raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(slow := Slow()))
    with pytest.raises(KeyboardInterrupt):
        Terminal("kitty", 100).draw(Image.new("RGB", (9, 9)))
    assert slow.getvalue().startswith(b"\x1b_G")
    assert slow.getvalue().endswith(b"\x1b\\")
    monkeypatch.undo()


def test_a_terminal_that_cannot_be_asked_keeps_silent(monkeypatch, tmp_path):
    no_terminal = tmp_path / "tty"
    no_terminal.touch()
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: opened(no_terminal, os.O_RDWR))
    assert device_attributes() == b""
