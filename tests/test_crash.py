import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

import blurgen
from blurgen import maker
from blurgen.errors import FileError, SourceError
from blurgen.files import host
from blurgen.pairs import format as pair_format
from blurgen.recipe import Recipe
from blurgen.sources.memory import MemorySource

HOME = Path(blurgen.__file__).parents[1]
RECIPE = Recipe.from_yaml(
    "name: crash\ncopies: 2\nstages: [motion: {length: {uniform: [3, 5]}, angle: {uniform: [0, 180]}}]"
)
IMAGES = np.random.default_rng(3).integers(1, 256, (30, 10, 10, 1), dtype=np.uint8)
SOURCE = MemorySource("thirty", {}, IMAGES)
ROWS = 6  # of a chunk; ten chunks in all


class Failing(MemorySource):
    """Cannot read beyond its first images."""

    good = 15

    def _read(self, start, stop):
        if stop > self.good:
            raise SourceError("interrupted")
        return super()._read(start, stop)


@pytest.fixture(scope="module", autouse=True)
def blocks_of_a_row():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pair_format, "_BLOCK_BYTES", 1)
        yield


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(maker, "_CHUNK_BYTES", ROWS * 2 * 100)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return blurgen.make(SOURCE, tmp_path_factory.mktemp("reference") / "a.h5", RECIPE, seed=4).read_bytes()


def lines(*texts):
    """Lines of a journal, each with its checksum."""
    return "".join(f"{text} {zlib.crc32(text.encode()):08x}\n" for text in texts)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def interrupt(out, good=15):
    failing = Failing("thirty", {}, IMAGES)
    failing.good = good
    with pytest.raises(SourceError, match="interrupted"):
        blurgen.make(failing, out, RECIPE, seed=4, threads=1)


def resume(out, damage=False, **arguments):
    """Go on; how many pairs were there before. Whether damage is told of is as expected."""
    calls, notes = [], []
    progress = lambda *call: calls.append(call)  # noqa: E731
    blurgen.make(SOURCE, out, RECIPE, seed=4, progress=progress, note=notes.append, **arguments)
    assert names(out.parent) == [out.name]
    assert bool(notes) == damage
    return calls[0][0]


@pytest.fixture
def interrupted(tmp_path):
    """A partial file of 30 of the 60 pairs, in five lines of the journal."""
    interrupt(tmp_path / "a.h5")
    assert (tmp_path / "a.h5.journal").read_text() == lines("0 6", "6 12", "12 18", "18 24", "24 30")
    return tmp_path / "a.h5"


# Journals


def test_resumes(interrupted, reference):
    assert resume(interrupted) == 30
    assert interrupted.read_bytes() == reference


@pytest.mark.parametrize("cut", range(1, 16))
def test_torn_last_line(interrupted, reference, cut):
    journal = interrupted.with_name("a.h5.journal")
    journal.write_bytes(journal.read_bytes()[:-cut])
    assert resume(interrupted) == 24
    assert interrupted.read_bytes() == reference


@pytest.mark.parametrize("cut", range(1, 16))
def test_torn_last_line_and_interrupted_again(interrupted, reference, cut):
    journal = interrupted.with_name("a.h5.journal")
    journal.write_bytes(journal.read_bytes()[:-cut])
    interrupt(interrupted, 24)
    interrupt(interrupted, 27)
    assert resume(interrupted) == 54
    assert interrupted.read_bytes() == reference


def test_empty_journal(interrupted, reference):
    interrupted.with_name("a.h5.journal").write_bytes(b"")
    assert resume(interrupted) == 0
    assert interrupted.read_bytes() == reference


def test_lost_journal(interrupted, reference):
    interrupted.with_name("a.h5.journal").unlink()
    assert resume(interrupted) == 0
    assert interrupted.read_bytes() == reference


def test_lines_in_any_order_more_than_once(interrupted, reference):
    text = lines("18 24", "0 12", "2 4", "6 18", "0 6", "24 30", "25 26", "24 30")
    interrupted.with_name("a.h5.journal").write_text(text)
    assert resume(interrupted) == 30
    assert interrupted.read_bytes() == reference


def test_gaps_are_filled(interrupted, reference):
    """What the journal does not name is made again, wherever it lies."""
    interrupted.with_name("a.h5.journal").write_text(lines("6 12", "18 19", "25 30"))
    partial = interrupted.with_name("a.h5.partial")
    with h5py.File(partial, "r+") as file:
        for row in {*range(60)} - {*range(6, 12), 18, *range(25, 30)}:
            file["sharp"][row] = 0
            file["blurred"][row] = 0
    assert resume(interrupted, threads=2) == 12
    assert interrupted.read_bytes() == reference


@pytest.mark.parametrize(
    "line",
    ["six twelve", "6", "6 12 18", "12 6", "6 6", "-6 0", "54 61", "6.0 12", "\0\0\0\0", "", "6 ¹²"],
    ids=repr,
)
@pytest.mark.parametrize("summed", [False, True])
def test_damaged_journal(interrupted, reference, line, summed):
    """A line that is not as we write them costs its rows."""
    journal = interrupted.with_name("a.h5.journal")
    journal.write_text(lines("0 6") + (lines(line) if summed else f"{line}\n") + lines("6 12"))
    assert resume(interrupted, damage=True) == 12
    assert interrupted.read_bytes() == reference


def test_no_flipped_byte_of_a_journal_does_harm(interrupted, reference, tmp_path):
    """Two lines at most are lost, of 12 rows, and it is said in one sentence."""
    journal, partial = (interrupted.with_name(f"a.h5.{end}") for end in ("journal", "partial"))
    whole, half = journal.read_bytes(), partial.read_bytes()
    lost = set()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        again = tmp_path / str(place)
        again.mkdir()
        (again / "a.h5.journal").write_bytes(damaged)
        (again / "a.h5.partial").write_bytes(half)
        torn = damaged[-1] != ord("\n")  # as if a crash had cut the last line short
        lost.add(30 - resume(again / "a.h5", damage=not torn))
        assert (again / "a.h5").read_bytes() == reference
    assert lost == {6, 12}


def test_says_how_many_lines_are_damaged(interrupted):
    interrupted.with_name("a.h5.journal").write_text("x\ny\n" + lines("0 6"))
    notes = []
    blurgen.make(SOURCE, interrupted, RECIPE, seed=4, note=notes.append)
    expected = f"'{interrupted}.journal' has 2 damaged lines: what they noted is made again"
    assert notes == [expected]


def test_a_source_that_changed_is_noticed(tmp_path):
    """Between two runs a file is replaced: rows of both must not end up in one file."""

    def press(done, _):
        if done >= 30:
            raise KeyboardInterrupt

    images, out = tmp_path / "images.npy", tmp_path / "a.h5"
    np.save(images, IMAGES)
    with pytest.raises(KeyboardInterrupt):
        blurgen.make(f"npy:{images}", out, RECIPE, threads=1, progress=press)
    before = {path: path.read_bytes() for path in tmp_path.glob("a.h5.*")}
    changed = IMAGES.copy()
    changed[29, 9, 9] ^= 1
    np.save(images, changed)
    with pytest.raises(FileError, match=r"begun with other arguments \(dataset_sha256 "):
        blurgen.make(f"npy:{images}", out, RECIPE)
    assert {path: path.read_bytes() for path in tmp_path.glob("a.h5.*")} == before
    np.save(images, IMAGES)
    expected = blurgen.make(f"npy:{images}", tmp_path / "b.h5", RECIPE)
    assert blurgen.make(f"npy:{images}", out, RECIPE).read_bytes() == expected.read_bytes()


# What was written may be damaged before the run goes on


@pytest.mark.parametrize("dataset", ["sharp", "blurred", "source_index", "params/0.motion.angle"])
@pytest.mark.parametrize("row", [0, 13, 29])
def test_damaged_rows_are_made_again(interrupted, reference, dataset, row):
    partial = interrupted.with_name("a.h5.partial")
    with h5py.File(partial) as file:
        place = file[dataset].id.get_offset() + row * (file[dataset].nbytes // 60)
    content = bytearray(partial.read_bytes())
    content[place] ^= 8
    partial.write_bytes(content)
    assert resume(interrupted, damage=True) == 29
    assert interrupted.read_bytes() == reference


def test_rows_that_never_reached_the_disk_are_made_again(interrupted, reference):
    """As of a disk that says that it has written, and has not."""
    partial = interrupted.with_name("a.h5.partial")
    with h5py.File(partial, "r+") as file:
        for name in ("sharp", "blurred", "crc32/blocks"):
            file[name][10:20] = 0
    assert resume(interrupted, damage=True) == 20
    assert interrupted.read_bytes() == reference


def test_journal_without_a_partial_file(interrupted, reference):
    interrupted.with_name("a.h5.partial").unlink()
    assert resume(interrupted) == 0
    assert interrupted.read_bytes() == reference


def test_layout_interrupted(tmp_path, reference):
    """A crash while the file is laid out leaves a file that is in nobody's way."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (tmp_path / f"a.h5.partial.{host()}-{gone.pid}-0a1b2c3d").write_bytes(
        reference[:1000] + b"garbage" * 100_000
    )
    (tmp_path / "a.h5.journal").write_text(lines("0 60"))
    assert resume(tmp_path / "a.h5") == 0
    assert (tmp_path / "a.h5").read_bytes() == reference


def test_every_row_noted_but_not_renamed(interrupted, reference):
    resume(interrupted)
    interrupted.rename(interrupted.with_name("a.h5.partial"))
    interrupted.with_name("a.h5.journal").write_text(lines("0 60"))
    assert resume(interrupted) == 60
    assert interrupted.read_bytes() == reference


def test_renamed_but_the_journal_is_still_there(tmp_path, reference):
    out = tmp_path / "a.h5"
    out.write_bytes(reference)
    (tmp_path / "a.h5.journal").write_text(lines("0 60"))
    assert np.array_equal(blurgen.open_pairs(out).sharp, np.repeat(IMAGES, 2, axis=0))
    with pytest.raises(FileError, match="exists"):
        blurgen.make(SOURCE, out, RECIPE, seed=4)
    assert out.read_bytes() == reference
    # the stale journal must not be taken for that of another run
    blurgen.make(SOURCE, out, RECIPE, seed=5, overwrite=True)
    assert names(tmp_path) == ["a.h5"]
    expected = blurgen.make(SOURCE, tmp_path / "b.h5", RECIPE, seed=5)
    assert out.read_bytes() == expected.read_bytes()


def test_partial_file_is_valid_and_truncated_ones_are_refused(interrupted):
    partial = interrupted.with_name("a.h5.partial")
    with h5py.File(partial, "r", locking=False) as file:
        assert file["sharp"].shape == (60, 10, 10, 1)
        assert np.array_equal(file["sharp"][:30], np.repeat(IMAGES[:15], 2, axis=0))
    partial.write_bytes(partial.read_bytes()[:-5000])
    with pytest.raises(FileError) as error:
        blurgen.make(SOURCE, interrupted, RECIPE, seed=4)
    assert "\n" not in str(error.value)


def test_changed_under_our_hands(tmp_path):
    """A partial file that someone else changed is not passed off as finished."""

    def meddle(done, count):
        if done == count:
            with h5py.File(tmp_path / "a.h5.partial", "r+", locking=False) as file:
                file.attrs["seed"] = np.uint64(77)

    with pytest.raises(FileError, match="was changed while it was written"):
        blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, seed=4, progress=meddle)
    assert not (tmp_path / "a.h5").exists()


# The power fails: only what was synced is on the disk, and of the rest any part


def test_power_fails_at_any_instant(tmp_path, reference, monkeypatch):
    """No line of the journal names rows that are not on the disk, and no unsynced file gets the name."""
    monkeypatch.setattr(maker, "_CHECKPOINT_SECONDS", 0.0)
    folder = tmp_path / "first"
    folder.mkdir()
    out, partial, journal = (folder / f"a.h5{end}" for end in ("", ".partial", ".journal"))
    real = {name: getattr(os, name) for name in ("pwrite", "write", "fdatasync", "fsync", "rename")}
    synced = {}  # inode → what of it is surely on the disk
    states = set()

    def note():
        if partial.exists():
            lines = journal.read_bytes() if journal.exists() else b""
            states.add((synced.get(partial.stat().st_ino, b""), lines))

    def sync(name, file):
        result = real[name](file)
        content = Path(f"/proc/self/fd/{file}")
        if content.is_file():
            synced[os.fstat(file).st_ino] = content.read_bytes()
        note()
        return result

    def changing(name):
        def call(*arguments, **options):
            if name == "rename" and os.fspath(arguments[0]) == str(partial):
                assert synced[partial.stat().st_ino] == partial.read_bytes() == reference
                assert synced[journal.stat().st_ino] == journal.read_bytes() != b""
            result = real[name](*arguments, **options)
            note()
            return result

        return call

    for name in ("fdatasync", "fsync"):
        monkeypatch.setattr(os, name, lambda file, name=name: sync(name, file))
    for name in ("pwrite", "write", "rename"):
        monkeypatch.setattr(os, name, changing(name))
    assert blurgen.make(SOURCE, out, RECIPE, seed=4, threads=2).read_bytes() == reference
    for name, function in real.items():
        monkeypatch.setattr(os, name, function)

    assert len({lines for _, lines in states}) > 3
    resumed = set()
    for number, (content, lines) in enumerate(sorted(states)):
        again = tmp_path / str(number)
        again.mkdir()
        (again / "a.h5.partial").write_bytes(content)
        (again / "a.h5.journal").write_bytes(lines)
        resumed.add(resume(again / "a.h5"))
        assert (again / "a.h5").read_bytes() == reference
    assert len(resumed) > 3


# The process is killed before, in or after any of its calls to the system

KILLED_AT = """
import json, os, pathlib, random, signal, sys
import blurgen
from blurgen import maker
from blurgen.pairs import format

maker._CHECKPOINT_SECONDS = 0.0
maker._CHUNK_BYTES = 10 * 2 * 784
format._BLOCK_BYTES = 10 * 784
COUNT, NAMES = 60, ["open", "pwrite", "write", "fdatasync", "fsync", "posix_fallocate", "rename", "unlink"]
seed, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
numbers = random.Random(seed)
real = {name: getattr(os, name) for name in NAMES}
blurgen.degrade(blurgen.open_source("digits").read(0, 2), "mnist-motion")


def run(out, fatal=None, torn=False, calls=None):
    # the process kills itself at its call number `fatal`, or makes half of it before that
    made = [0]
    def wrapped(name):
        def call(*arguments, **options):
            if made[0] == fatal:
                if torn and name in ("pwrite", "write"):
                    half = len(arguments[1]) // 2
                    real[name](arguments[0], bytes(arguments[1][:half]), *arguments[2:])
                os.kill(os.getpid(), signal.SIGKILL)
            made[0] += 1
            if calls is not None:
                calls.append(name)
            return real[name](*arguments, **options)
        return call
    for name in NAMES:
        setattr(os, name, wrapped(name))
    progress = []
    note = lambda done, count: progress.append(done)
    blurgen.make("digits", out, count=COUNT, seed=1, threads=2, progress=note, overwrite=fatal is None)
    for name in NAMES:
        setattr(os, name, real[name])
    return progress[0]


def child(*arguments):
    pid = os.fork()
    if pid == 0:
        try:
            run(*arguments)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), (arguments, code)
    return code


calls = []
run(folder / "reference.h5", None, False, calls)
reference = (folder / "reference.h5").read_bytes()
kills, resumed = 0, []
points = [(k, torn) for k in range(len(calls)) for torn in (False, True)][:: int(sys.argv[3])]
for fatal, torn in points:
    out = folder / f"{fatal}{torn}.h5"
    child_code = child(out, fatal, torn)
    kills += child_code != 0
    if not out.exists():
        kills += child(out, numbers.randrange(len(calls)), numbers.random() < 0.5) != 0
    if not out.exists():
        resumed.append(run(out))
    assert out.read_bytes() == reference, (fatal, torn)
    if out.with_name(out.name + ".journal").exists():  # killed between renaming and removing
        assert not out.with_name(out.name + ".partial").exists()
    for path in folder.glob(out.name + "*"):
        path.unlink()
print(json.dumps({"calls": sorted(set(calls)), "kills": kills, "resumed": resumed}))
"""


def python(code, *arguments):
    path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_killed_at_any_call(folder, seed, step):
    process = python(KILLED_AT, seed, folder, step)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    found = json.loads(output)
    assert {"pwrite", "write", "fdatasync", "fsync", "posix_fallocate", "rename"} <= set(found["calls"])
    assert found["kills"] > 10
    assert len({done for done in found["resumed"] if done}) > 1
    assert names(folder) == ["reference.h5"]


def test_killed_at_any_call(tmp_path):
    assert_killed_at_any_call(tmp_path, 1, 3)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_every_call(tmp_path, seed):
    assert_killed_at_any_call(tmp_path, seed, 1)


# The process is killed from without

MAKE = """
import sys, time
import blurgen
from blurgen import maker
from blurgen.pairs import format
from blurgen.sources.digits import Digits

format._BLOCK_BYTES = 1
maker._CHECKPOINT_SECONDS = 0.02
maker._CHUNK_BYTES = 20 * 2 * 784

class Slow(Digits):
    def _read(self, start, stop):
        time.sleep(0.004)
        return super()._read(start, stop)

def progress(done, count):
    print(done, flush=True)

count = int(sys.argv[2])
blurgen.make(Slow(1), sys.argv[1], "mnist-motion", count=count, seed=1, threads=2, progress=progress)
"""


def assert_survives_kills(folder, reference, kills, seed):
    numbers = np.random.default_rng(seed)
    out, journal = folder / "a.h5", folder / "a.h5.journal"
    resumed = finished = 0
    while kills:
        process = python(MAKE, out, COUNT)
        if numbers.random() < 0.25:
            time.sleep(numbers.uniform(0, 0.6))  # wherever it may be
        else:
            for _ in range(numbers.integers(1, 150)):  # so far it has come, on a busy machine, too
                process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGKILL), errors
        kills -= 1
        resumed += journal.exists() and journal.stat().st_size > 0
        if out.exists():
            finished += 1
            assert out.read_bytes() == reference
            for path in folder.iterdir():
                path.unlink()
        elif (folder / "a.h5.partial").exists():
            with h5py.File(folder / "a.h5.partial", "r", locking=False) as file:
                assert len(file["blurred"]) == COUNT
    noted = journal.exists() and journal.stat().st_size > 0
    process = python(MAKE, out, COUNT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert (int(output.split()[0]) > 0) == noted
    assert out.read_bytes() == reference
    assert names(folder) == ["a.h5"]
    assert resumed > 0


COUNT = 6000


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp("digits") / "a.h5"
    source = blurgen.open_source("digits", seed=1)
    return blurgen.make(source, out, "mnist-motion", count=COUNT, seed=1, threads=1).read_bytes()


def test_killed(tmp_path, digits):
    assert_survives_kills(tmp_path, digits, 8, 1)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(10))
def test_killed_often(tmp_path, digits, seed):
    assert_survives_kills(tmp_path, digits, 10, 100 + seed)


@pytest.mark.parametrize("most", [1, 2000, 6000])
def test_what_the_system_refuses_is_told_in_its_words(tmp_path, most):
    """HDF5 tells it in the middle of other things."""
    script = (
        "import resource, sys; from blurgen.cli import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most})); "
        "sys.exit(main(['make', '--dataset', 'digits', '--count', '9', '--out', 'a.h5']))"
    )
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(HOME)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert names(tmp_path) == []


def test_no_flipped_byte_of_a_partial_file_does_harm(interrupted, reference, tmp_path):
    """Rows, checksums, attributes, what HDF5 keeps: told in one sentence, refused or mended."""
    journal, partial = (interrupted.with_name(f"a.h5.{end}") for end in ("journal", "partial"))
    whole, noted = partial.read_bytes(), journal.read_bytes()
    draws = np.random.default_rng(8)
    for number, place in enumerate(draws.integers(0, len(whole), 120)):
        again = tmp_path / str(number)
        again.mkdir()
        damaged = bytearray(whole)
        damaged[place] ^= 1 << number % 8
        (again / "a.h5.partial").write_bytes(damaged)
        (again / "a.h5.journal").write_bytes(noted)
        try:
            blurgen.make(SOURCE, again / "a.h5", RECIPE, seed=4)
        except FileError:
            assert (again / "a.h5.partial").exists()
            blurgen.make(SOURCE, again / "a.h5", RECIPE, seed=4, overwrite=True)
        assert (again / "a.h5").read_bytes() == reference
        assert names(again) == ["a.h5"]


def test_a_damaged_header_is_written_again(interrupted, reference):
    """A bit before the first row, which no other check looks at."""
    partial = interrupted.with_name("a.h5.partial")
    with h5py.File(partial) as file:
        place = min(file[name].id.get_offset() for name in ("sharp", "blurred", "source_index")) - 1
    data = bytearray(partial.read_bytes())
    data[place] ^= 4
    partial.write_bytes(data)
    notes = []
    blurgen.make(SOURCE, interrupted, RECIPE, seed=4, note=notes.append)
    assert notes == [f"'{partial}' was damaged since it was written: its header is written again"]
    assert interrupted.read_bytes() == reference
