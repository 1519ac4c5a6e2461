"""Files that are whole under their name, and what is left of those who died over them."""

import os
import signal
import subprocess
import sys

import pytest

from blurgen.errors import FileError
from blurgen.files import host, is_running, written

DYING = """
import os, signal, sys
from pathlib import Path
from blurgen.files import written

def half(path):
    path.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

written(Path(sys.argv[1]), half)
"""


def test_who_died_leaves_the_old_file_and_the_next_one_tidies_up(tmp_path):
    path = tmp_path / "state.pt"
    path.write_bytes(b"old")
    for _ in range(2):
        died = subprocess.run([sys.executable, "-c", DYING, str(path)], check=False)
        assert died.returncode == -signal.SIGKILL
        assert path.read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 2
    elsewhere = tmp_path / ".partial-00000000-1-state.pt"
    running = tmp_path / f".partial-{host()}-{os.getppid()}-state.pt"
    other = tmp_path / f".partial-{host()}-999999999-other.pt"
    for kept in (elsewhere, running, other):
        kept.write_bytes(b"theirs")
    written(path, lambda partial: partial.write_bytes(b"new"))
    assert path.read_bytes() == b"new"
    assert set(tmp_path.iterdir()) == {path, elsewhere, running, other}


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    def fail(partial):
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match=r"a' cannot be written: No space left on device"):
        written(tmp_path / "a", fail)
    with pytest.raises(FileError, match="there is no folder"):
        written(tmp_path / "b" / "a", fail)
    with pytest.raises(FileError, match="it is a folder"):
        written(tmp_path, fail)
    assert not list(tmp_path.iterdir())


def test_processes_that_run():
    assert is_running(str(os.getpid()))
    assert is_running("1")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not is_running(str(ended.pid))
    for text in ("", "x", "9" * 30):
        assert not is_running(text)
