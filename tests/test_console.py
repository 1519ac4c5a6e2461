"""Progress on terminals, which are played, and in files: nobody's line is garbled."""

import os
import re
import struct
import subprocess
import sys

import pytest

import blurgen
from blurgen.cli import main
from blurgen.sources import download

# a command with a bar, and others that speak in the middle of it
NOISY = """
import logging, sys, time, warnings
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
warnings.formatwarning = lambda text, kind, *_: f"{kind.__name__}: {text}\\n"
mine = logging.getLogger("mine")
mine.propagate = False
mine.addHandler(logging.StreamHandler(sys.stdout))

from blurgen.console import shown_progress

with shown_progress(False) as progress:
    for done in range(1, 25):
        progress(done, 24)
        time.sleep(0.012)
        if done == 6:
            logging.info("root %s end", "r" * 130)
        if done == 9:
            mine.warning("mine %s end", "m" * 70)
        if done == 12:
            print("print", "p" * 70, "end")
        if done == 15:
            warnings.warn("careful")
        if done == 18:
            progress.note("note " + "n" * 70 + " end")
        if done == 21:
            print("unended", end=" ")
            print("line", file=sys.stdout)
logging.info("after")
print("done")
"""
TRAINING = """
import logging, sys, time
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
from trainers.console import Progress

with Progress() as progress:
    for epoch in (1, 2):
        progress.begin(f"epoch {epoch}", 10)
        for done in range(1, 11):
            progress.reached(done, "9 images/s")
            time.sleep(0.012)
            if done == 5:
                logging.info("log %d %s end", epoch, "l" * 70)
        progress.say(f"said {epoch} " + "s" * 70 + " end")
"""


def on_terminal(program, columns, stdout=None, **environment):
    """What a program writes to a terminal of that width, and its exit code."""
    pty, termios, fcntl = (pytest.importorskip(name) for name in ("pty", "termios", "fcntl"))
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    own = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    plain = {name: value for name, value in os.environ.items() if name not in own}
    running = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=follower,
        stdout=stdout or follower,
        stderr=follower,
        env={**plain, "TERM": "xterm-256color", **environment},
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    return shown.decode(), running.wait()


def screen(written, columns):
    """What a terminal then shows, from its first line on: an emulator of what bars use."""
    rows, y, x = [[]], 0, 0
    token = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n])")
    at = 0
    while at < len(written):
        found = token.match(written, at)
        assert found, written[at : at + 20]
        at = found.end()
        number, kind, start, down, letter = found.groups()
        if start:
            x = 0
        elif down:
            y += 1
        elif letter:
            if x == columns:  # the line is full
                x, y = 0, y + 1
            rows += [[] for _ in range(y + 1 - len(rows))]
            rows[y] += " " * (x + 1 - len(rows[y]))
            rows[y][x] = letter
            x += 1
        elif kind == "A":
            y = max(0, y - int(number or 1))
        elif kind == "K":
            assert number == "2"
            rows[y] = []
        else:
            assert kind in "mhl", kind  # colours, and whether the cursor is seen
        rows += [[] for _ in range(y + 1 - len(rows))]
    return ["".join(row) for row in rows]


def unwrapped(rows, columns):
    """The lines, those that fill the width joined with what follows: none ends there."""
    text = "".join(row if len(row) == columns else f"{row}\n" for row in rows)
    return [line.rstrip() for line in text.split("\n") if line.strip()]


EXPECTED = [
    f"INFO root {'r' * 130} end",
    f"mine {'m' * 70} end",
    f"print {'p' * 70} end",
    "UserWarning: careful",
    f"blurgen: note {'n' * 70} end",
    "unended line",
    "INFO after",
    "done",
]


@pytest.mark.parametrize("columns", [37, 60, 120])
def test_lines_stay_whole_above_a_bar(columns):
    written, code = on_terminal(NOISY, columns)
    assert code == 0
    assert "━" in written
    assert unwrapped(screen(written, columns), columns) == EXPECTED
    assert "\x1b[?25h" in written  # the cursor is back


def test_what_goes_into_a_file_is_not_shown_above_the_bar(tmp_path):
    with (tmp_path / "out").open("wb") as file:
        written, code = on_terminal(NOISY, 100, stdout=file)
    assert code == 0
    assert (tmp_path / "out").read_text().splitlines() == [EXPECTED[n] for n in (1, 2, 5, 7)]
    assert unwrapped(screen(written, 100), 100) == [EXPECTED[n] for n in (0, 3, 4, 6)]


@pytest.mark.parametrize("columns", [45, 110])
def test_lines_stay_whole_while_a_network_trains(columns):
    written, code = on_terminal(TRAINING, columns)
    assert code == 0
    assert "━" in written
    told = [(f"INFO log {n} {'l' * 70} end", f"said {n} {'s' * 70} end") for n in (1, 2)]
    assert unwrapped(screen(written, columns), columns) == [line for lines in told for line in lines]


def test_no_colour_where_none_is_wanted():
    coloured, _ = on_terminal(NOISY, 100)
    plain, _ = on_terminal(NOISY, 100, NO_COLOR="1")
    paint = re.compile(r"\x1b\[[\d;]*(3[0-9]|9[0-7]|4[0-9])[\d;]*m")
    assert paint.search(coloured)
    assert "━" in plain
    assert not paint.search(plain)


@pytest.mark.parametrize("program", [NOISY, TRAINING])
def test_a_dumb_terminal_gets_lines_alone(program):
    written, code = on_terminal(program, 100, TERM="dumb")
    assert code == 0
    assert "\x1b" not in written
    assert "\r" not in written.replace("\r\n", "\n")
    assert f"{'l' * 70} end" in written or EXPECTED[0] in written


@pytest.fixture
def forced(monkeypatch, tmp_path):
    """Colours forced, as on many build servers, whose logs are files all the same."""
    for name, value in {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def test_progress_in_a_file_is_lines(forced, capfd):
    pairs = str(blurgen.make("digits", "p.h5", count=60))
    for command in (
        ["make", "-d", "digits", "-n", "60", "-o", "q.h5"],
        ["report", pairs, "-o", "r.md"],
        ["export", pairs, "--to", "folder", "-o", "f"],
        ["verify", pairs],
        ["verify", pairs, "--repair"],
        ["gallery", "-o", "g", "flip"],
    ):
        assert main(command) == 0
        out, err = capfd.readouterr()
        assert not set("\r\x1b") & set(out + err), command
        said = r"(\d+ of \d+ (pairs|pages) \(\d+ %\)[^\n]*\n|blurgen: compiling [^\n]*\n)+"
        assert re.fullmatch(said, err), command


def test_a_download_into_a_file_shows_no_bar(forced, capfd):
    with download._progress("f.gz", 0, 10) as advance:
        advance(10)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("encoding", "times"), [("utf-8:strict", "×"), ("ascii:strict", r"\xd7")])
def test_names_that_are_no_text_can_be_said(encoding, times):
    program = "from blurgen.console import say; say('caf\\udce9.png: 2×2')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.decode("utf-8") == f"caf\\udce9.png: 2{times}2\n"
