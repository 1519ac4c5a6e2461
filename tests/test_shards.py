"""Shards of one file: whoever makes them, in whatever order, the file is that of one undisturbed run."""

import errno
import fcntl
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_blocks import BLOCK, IMAGES, RECIPE, SOURCE, Failing, small_blocks

import blurgen
from blurgen.errors import FileError, InputError, SourceError
from blurgen.maker import header_for
from blurgen.pairs import partial
from blurgen.pairs.shards import Shard
from blurgen.sources.memory import MemorySource

HOME = Path(blurgen.__file__).parents[1]


class Nested(MemorySource):
    """Runs something while it is read."""

    def _read(self, start, stop):
        self.action()
        return super()._read(start, stop)


@pytest.fixture(scope="module", autouse=True)
def small():
    with small_blocks() as patched:
        patched.setattr(partial, "_PATIENCE_SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return blurgen.make(SOURCE, tmp_path_factory.mktemp("reference") / "a.h5", RECIPE, seed=4).read_bytes()


def make(out, shard=None, source=SOURCE, **arguments):
    return blurgen.make(source, out, RECIPE, **{"seed": 4, "threads": 1, "shard": shard, **arguments})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def noted(out, *shards):
    return [partial.kept(out, Shard(*shard)) for shard in shards]


# What a shard is


@given(blocks=st.integers(1, 100), of=st.integers(1, 120), short=st.integers(0, BLOCK - 1))
def test_shards_are_the_whole_in_equal_shares(blocks, of, short):
    count = max(1, blocks * BLOCK - short)
    source = MemorySource("x", {}, np.zeros((count, 10, 10, 1), np.uint8))
    header = header_for(source, RECIPE.with_copies(1), seed=0, count=None)
    ranges = [Shard(number, of).rows(header) for number in range(1, of + 1)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == count
    assert all(first[1] == second[0] for first, second in itertools.pairwise(ranges))
    sizes = [-(-(stop - start) // header.block_rows) for start, stop in ranges]
    assert max(sizes) - min(sizes) <= 1
    assert all(start % header.block_rows == 0 or start == count for start, _ in ranges)


@pytest.mark.parametrize(
    "shard", [(0, 3), (4, 3), (1, 0), (-1, 3), (1.5, 3), (1, 2, 3), 3, (True, 3)], ids=str
)
def test_no_shards(tmp_path, shard):
    with pytest.raises(InputError, match="shard") as error:
        make(tmp_path / "a.h5", shard)
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_compressed_files_have_none(tmp_path):
    with pytest.raises(
        InputError, match="a compressed file cannot be made in shards of one file; make parts"
    ):
        make(tmp_path / "a.h5", (1, 2), compression="gzip")
    assert names(tmp_path) == []


# The same bytes


@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
def test_any_split_order_and_interruption(reference, data):
    of = data.draw(st.integers(1, 7), "shards")
    numbers = data.draw(st.permutations(range(1, of + 1)), "order")
    whole = data.draw(st.booleans(), "the rest as a whole")
    left = numbers[data.draw(st.integers(0, of), "of them made") :] if whole else []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "a.h5"
        for number in numbers[: of - len(left)]:
            failing = Failing("some", {}, IMAGES)
            failing.reads = data.draw(st.integers(0, 22 // of), "reads before the interruption")
            try:
                make(out, (number, of), failing)
            except SourceError:
                make(out, (number, of), threads=2)
        if whole:
            make(out)
        else:
            assert blurgen.finish(out) == out
        assert out.read_bytes() == reference
        assert names(out.parent) == ["a.h5"]


def test_shards_of_several_numbers_may_meet(tmp_path, reference):
    out = tmp_path / "a.h5"
    for shard in ((2, 3), (1, 2), (4, 4)):
        make(out, shard)
    with pytest.raises(FileError, match="pairs are not made") as error:
        blurgen.finish(out)
    assert "run shard" not in str(error.value)  # nobody can say of which
    make(out, (3, 4))
    assert blurgen.finish(out).read_bytes() == reference
    assert names(tmp_path) == ["a.h5"]


def test_more_shards_than_blocks(tmp_path, reference):
    for number in range(1, 31):
        make(tmp_path / "a.h5", (number, 30))
    assert blurgen.finish(tmp_path / "a.h5").read_bytes() == reference


def test_a_shard_makes_its_own_rows_alone(tmp_path):
    calls = []
    make(tmp_path / "a.h5", (2, 3), progress=lambda *call: calls.append(call))
    assert (calls[0], calls[-1]) == ((0, 21), (21, 21))
    assert names(tmp_path) == ["a.h5.journal.2-of-3", "a.h5.partial"]
    with h5py.File(tmp_path / "a.h5.partial", "r") as file:
        made = np.flatnonzero(file["sharp"][...].any(axis=(1, 2, 3)))
        assert (made[0], made[-1], made.size) == (21, 41, 21)
        sums = np.flatnonzero(file["crc32/blocks"][...].any(axis=1))
        assert sums.tolist() == list(range(7, 14))


def test_a_finished_shard_is_not_made_again(tmp_path):
    make(tmp_path / "a.h5", (2, 3))
    failing = Failing("some", {}, IMAGES)
    failing.reads = 0
    make(tmp_path / "a.h5", (2, 3), failing)


# Finishing


def test_what_is_missing_is_named(tmp_path, reference):
    out = tmp_path / "a.h5"
    make(out, (1, 4))
    make(out, (3, 4))
    with pytest.raises(FileError) as error:
        blurgen.finish(out)
    assert str(error.value) == (
        f"'{out}' cannot be finished: 32 of 62 pairs are not made, rows 15–29, 45–61: "
        "run shards 2/4, 4/4 again"
    )
    make(out, (4, 4))
    with pytest.raises(FileError, match=r"15 of 62 pairs are not made, rows 15–29: run shard 2/4 again"):
        blurgen.finish(out)
    make(out, (2, 4))
    assert blurgen.finish(out).read_bytes() == reference


def test_what_a_plain_run_left_is_finished_by_shards(tmp_path, reference):
    out = tmp_path / "a.h5"
    failing = Failing("some", {}, IMAGES)
    failing.reads = 9
    with pytest.raises(SourceError):
        make(out, source=failing)
    with pytest.raises(FileError, match=r"35 of 62 pairs are not made, rows 27–61$"):
        blurgen.finish(out)
    make(out, (2, 2))
    with pytest.raises(FileError, match="3 of 62 pairs are not made, rows 27–29: run shard 1/2 again"):
        blurgen.finish(out)
    make(out, (1, 2))
    assert blurgen.finish(out).read_bytes() == reference


def test_nothing_to_finish(tmp_path, reference):
    with pytest.raises(FileError, match="is not begun"):
        blurgen.finish(tmp_path / "a.h5")
    make(tmp_path / "a.h5")
    with pytest.raises(FileError, match="is finished already"):
        blurgen.finish(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == reference


@pytest.mark.parametrize("dataset", ["blurred", "params/0.motion.angle", "crc32/blocks"])
def test_a_damaged_shard_is_found_and_made_again(tmp_path, reference, dataset):
    out = tmp_path / "a.h5"
    for number in (1, 2, 3):
        make(out, (number, 3))
    with h5py.File(tmp_path / "a.h5.partial", "r+") as file:
        row = 8 if dataset == "crc32/blocks" else 25
        file[dataset][row] = file[dataset][row - 1]
    notes = []
    with pytest.raises(FileError, match="3 of 62 pairs are not made, rows 24–26: run shard 2/3 again"):
        blurgen.finish(out, note=notes.append)
    assert notes == [f"'{out}.partial' was damaged since it was written: 3 rows are made again"]
    make(out, (2, 3))
    assert blurgen.finish(out).read_bytes() == reference


def test_a_damaged_journal_of_a_shard(tmp_path, reference):
    out = tmp_path / "a.h5"
    for number in (1, 2):
        make(out, (number, 2))
    journal = tmp_path / "a.h5.journal.1-of-2"
    journal.write_bytes(journal.read_bytes().replace(b"6 9 ", b"6 8 "))
    with pytest.raises(FileError, match="rows 6–8: run shard 1/2 again"):
        blurgen.finish(out)
    make(out, (1, 2))
    assert blurgen.finish(out).read_bytes() == reference


def test_finishing_minds_what_exists(tmp_path, reference):
    out = tmp_path / "a.h5"
    make(out, (1, 1))
    out.write_text("mine")
    with pytest.raises(FileError, match=r"a\.h5' exists.*--overwrite"):
        blurgen.finish(out)
    assert out.read_text() == "mine"
    assert blurgen.finish(out, overwrite=True).read_bytes() == reference


def test_shards_of_other_arguments(tmp_path, reference):
    out = tmp_path / "a.h5"
    make(out, (1, 2), seed=5)
    with pytest.raises(FileError, match=r"begun with other arguments .*seed 5, now 4"):
        make(out, (2, 2))
    make(out, (2, 2), overwrite=True)
    assert names(tmp_path) == ["a.h5.journal.2-of-2", "a.h5.partial"]
    make(out, (1, 2))
    assert blurgen.finish(out).read_bytes() == reference


def test_journals_of_a_file_that_was_removed_do_not_count(tmp_path, reference):
    out = tmp_path / "a.h5"
    make(out, (1, 2))
    (tmp_path / "a.h5.partial").unlink()
    make(out, (2, 2))
    assert noted(out, (1, 2), (2, 2)) == [(0, 30), (32, 32)]
    make(out, (1, 2))
    assert blurgen.finish(out).read_bytes() == reference


# Several at once


def while_making(out, shard, action):
    source = Nested("some", {}, IMAGES)
    source.action = action
    make(out, shard, source)


def test_different_shards_at_once(tmp_path, reference):
    out = tmp_path / "a.h5"
    while_making(out, (1, 3), lambda: make(out, (2, 3)))
    make(out, (3, 3))
    assert blurgen.finish(out).read_bytes() == reference


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ((1, 3), (1, 3), "shard 1/3 of '.*' is being written by another process"),
        ((1, 3), None, "^'.*' is being written by another process"),
        (None, (1, 3), "^'.*' is being written by another process"),
        ((1, 3), "finish", "^'.*' is being written by another process"),
        ((1, 3), "overwrite", "^'.*' is being written by another process"),
    ],
)
def test_what_is_refused_meanwhile(tmp_path, reference, first, second, words):
    out = tmp_path / "a.h5"
    refused = []

    attempts = {
        "finish": lambda: blurgen.finish(out),
        "overwrite": lambda: make(out, (2, 3), seed=5, overwrite=True),
    }

    def meanwhile():
        with pytest.raises(FileError, match=words):
            attempts.get(second, lambda: make(out, second))()
        refused.append(second)

    while_making(out, first, meanwhile)
    assert refused
    if first:
        make(out)
    assert out.read_bytes() == reference


def test_the_rest_is_made_by_a_plain_run(tmp_path, reference):
    out = tmp_path / "a.h5"
    make(out, (2, 3))
    calls = []
    make(out, progress=lambda *call: calls.append(call))
    assert calls[0] == (21, 62)
    assert out.read_bytes() == reference
    assert names(tmp_path) == ["a.h5"]


RACE = """
import os, signal, sys
import numpy as np
import blurgen
from blurgen import maker
from blurgen.pairs import format
from blurgen.sources.digits import Digits

format._BLOCK_BYTES = 2 * 784
maker._CHUNK_BYTES = 4 * 784
maker._CHECKPOINT_SECONDS = 0.0
folder, attempts, deadly = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
numbers = np.random.default_rng(7)
SHARDS = 3
names = ["pwrite", "write", "fdatasync", "fsync", "link", "open"]
real = {name: getattr(os, name) for name in names}
blurgen.make("digits", f"{folder}/whole.h5", count=24, threads=1)
whole = open(f"{folder}/whole.h5", "rb").read()


def mortal(calls):
    def wrapped(name):
        def call(*arguments, **options):
            nonlocal calls
            calls -= 1
            if calls < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real[name](*arguments, **options)
        return call
    for name in names:
        setattr(os, name, wrapped(name))


def run(out, calls):
    # all shards at once, from the same moment on; each dies after a number of calls
    go, children = os.pipe(), []
    for number in range(1, SHARDS + 1):
        child = os.fork()
        if child == 0:
            os.close(go[1])
            os.read(go[0], 1)
            if calls is not None:
                mortal(int(calls[number - 1]))
            try:
                blurgen.make("digits", out, count=24, threads=1, shard=(number, SHARDS))
            except BaseException as error:
                print(error, file=sys.stderr, flush=True)
                os._exit(3)
            os._exit(0)
        children.append(child)
    os.close(go[1])
    os.close(go[0])
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


killed = 0
for attempt in range(attempts):
    out = f"{folder}/{attempt}.h5"
    if deadly:
        codes = run(out, numbers.integers(0, 40, SHARDS))
        assert set(codes) <= {0, -signal.SIGKILL}, codes
        killed += sum(code != 0 for code in codes)
    codes = run(out, None)
    assert codes == [0] * SHARDS, codes
    blurgen.finish(out)
    assert open(out, "rb").read() == whole
    os.unlink(out)
print(killed)
"""


def race(folder, attempts, deadly):
    path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", RACE, str(folder), str(attempts), str(int(deadly))],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert names(folder) == ["whole.h5"]
    return int(done.stdout)


def test_all_begin_at_once(tmp_path):
    assert race(tmp_path, 5, False) == 0


def test_killed_anywhere(tmp_path):
    assert race(tmp_path, 6, True) > 8


@pytest.mark.fuzz
def test_killed_anywhere_often(tmp_path):
    assert race(tmp_path, 60, True) > 80


# File systems without locks


@pytest.fixture
def without_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_without_locks_it_is_said_and_goes_on(tmp_path, reference, without_locks):
    out = tmp_path / "a.h5"
    notes = []
    for number in (2, 1):
        make(out, (number, 2), note=notes.append)
    assert blurgen.finish(out, note=notes.append).read_bytes() == reference
    assert notes == [f"'{out}': its file system has no locks: see that no other process writes the same"] * 3


def test_without_locks_the_same_shard_twice_does_no_harm(tmp_path, reference, without_locks):
    out = tmp_path / "a.h5"
    while_making(out, (1, 2), lambda: make(out, (1, 2)))
    make(out, (2, 2))
    assert blurgen.finish(out).read_bytes() == reference


def test_without_locks_nothing_is_compressed(tmp_path, without_locks):
    with pytest.raises(FileError, match="compressed files need a file system with locks"):
        make(tmp_path / "a.h5", compression="lzf")
    assert names(tmp_path) == []


def test_other_failures_of_locks_are_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(FileError, match=r"cannot be written: Input/output error"):
        make(tmp_path / "a.h5")
