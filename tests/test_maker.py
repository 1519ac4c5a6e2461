import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from shared_data import shared

import blurgen
from blurgen import maker
from blurgen.errors import BlurgenError, FileError, InputError, RecipeError, SourceError
from blurgen.pairs import format as pair_format
from blurgen.recipe import Recipe
from blurgen.sources.memory import LabelledMemorySource, MemorySource

HOME = Path(blurgen.__file__).parents[1]  # for processes of our own
RECIPE = Recipe.from_yaml(
    """
name: several
copies: 3
stages:
  - turn: {quarters: {integers: [0, 3]}}
  - motion: {length: {uniform: [3, 5]}, angle: {uniform: [0, 180]}}
  - maybe: {probability: 0.5, stages: [box: {size: {choice: [3, 5]}}]}
  - gaussian_noise: {sigma: {uniform: [0, 5]}}
"""
)
IMAGES = np.random.default_rng(2).integers(0, 256, (40, 12, 12, 1), dtype=np.uint8)
LABELS = np.arange(40, dtype=np.uint8)
SOURCE = LabelledMemorySource("forty", {}, IMAGES, LABELS)
BYTES_A_PAIR = 2 * 12 * 12


class Failing(LabelledMemorySource):
    """Cannot read beyond its first images."""

    good = 20

    def _read(self, start, stop):
        if stop > self.good:
            raise SourceError(f"source '{self.name}': image {stop - 1} is unreadable")
        return super()._read(start, stop)


FAILING = Failing("forty", {}, IMAGES, LABELS)


@pytest.fixture(scope="module", autouse=True)
def blocks_of_a_row():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pair_format, "_BLOCK_BYTES", 1)
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The bytes of the file that an undisturbed run makes."""
    return blurgen.make(SOURCE, tmp_path_factory.mktemp("reference") / "a.h5", RECIPE, seed=5).read_bytes()


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 7 * BYTES_A_PAIR)


def assert_one_sentence(error):
    text = str(getattr(error, "value", error))
    assert text
    assert "\n" not in text
    assert len(text) < 500


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def interrupt(out, **arguments):
    """A run that stops in the middle; how many pairs it noted."""
    with pytest.raises(SourceError, match="unreadable"):
        blurgen.make(FAILING, out, RECIPE, **{"seed": 5, "threads": 1, **arguments})
    assert not out.exists()
    lines = out.with_name(out.name + ".journal").read_text().splitlines()
    return sum(int(stop) - int(start) for start, stop, _ in map(str.split, lines))


# The same bytes


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
def test_same_bytes_whatever_the_threads_and_chunks(tmp_path, reference, monkeypatch, threads, rows):
    monkeypatch.setattr(maker, "_CHUNK_BYTES", rows * BYTES_A_PAIR)
    made = blurgen.make(SOURCE, tmp_path / "b.h5", RECIPE, seed=5, threads=threads)
    assert made == tmp_path / "b.h5"
    assert made.read_bytes() == reference
    assert names(tmp_path) == ["b.h5"]


@pytest.mark.parametrize("seed", range(3))
def test_same_bytes_in_any_order(tmp_path, reference, monkeypatch, seed):
    def shuffled(gaps, rows):
        chunks = [(i, min(i + rows, last)) for first, last in gaps for i in range(first, last, rows)]
        return iter([chunks[i] for i in np.random.default_rng(seed).permutation(len(chunks))])

    monkeypatch.setattr(maker, "chunks_of", shuffled)
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 7 * BYTES_A_PAIR)
    assert blurgen.make(SOURCE, tmp_path / "b.h5", RECIPE, seed=5).read_bytes() == reference


def test_chunk_rows(monkeypatch):
    header = maker.header_for(SOURCE, RECIPE, seed=0, count=None, psf=False)
    assert 1 <= maker.chunk_rows(header) <= 4096
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 7 * BYTES_A_PAIR)
    assert maker.chunk_rows(header) == 7
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 1)
    assert maker.chunk_rows(header) == 1
    monkeypatch.setattr(pair_format, "_BLOCK_BYTES", 5 * 12 * 12)
    assert maker.chunk_rows(header) == header.block_rows == 5
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 14 * BYTES_A_PAIR)
    assert maker.chunk_rows(header) == 10


def test_another_seed_gives_other_bytes(tmp_path, reference):
    assert blurgen.make(SOURCE, tmp_path / "b.h5", RECIPE, seed=6).read_bytes() != reference


def test_a_shorter_file_is_the_beginning_of_a_longer_one(tmp_path, reference):
    (tmp_path / "all.h5").write_bytes(reference)
    every = blurgen.open_pairs(tmp_path / "all.h5")
    some = blurgen.open_pairs(blurgen.make(SOURCE, tmp_path / "some.h5", RECIPE, seed=5, count=50))
    assert len(some) == 50  # no multiple of the copies
    assert np.array_equal(some.blurred, every.blurred[:50])
    assert np.array_equal(some.source_index, np.arange(50) // 3)
    assert np.array_equal(some.label, np.arange(50) // 3)


def test_rows_are_those_of_degrade(tmp_path, small_chunks):
    pairs = blurgen.open_pairs(blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, seed=5))
    expected = blurgen.degrade(np.repeat(IMAGES, 3, axis=0), RECIPE, seed=5)
    assert len(pairs) == 120
    assert np.array_equal(pairs.sharp, expected.sharp)
    assert np.array_equal(pairs.blurred, expected.blurred)
    for name, column in expected.params.items():
        assert np.array_equal(pairs.params[name], column, equal_nan=column.dtype.kind == "f")


def test_copies(tmp_path):
    pairs = blurgen.open_pairs(blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, copies=5, count=23))
    assert pairs.recipe.copies == 5
    assert np.array_equal(pairs.source_index, np.arange(23) // 5)
    again = blurgen.degrade(IMAGES[np.arange(23) // 5], RECIPE.with_copies(5))
    assert np.array_equal(pairs.blurred, again.blurred)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert file.attrs["copies"] == 5


def test_copies_decide_the_default_count(tmp_path):
    assert len(blurgen.open_pairs(blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, copies=2))) == 80


def test_psfs(tmp_path, small_chunks):
    plain = blurgen.open_pairs(blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE))
    pairs = blurgen.open_pairs(blurgen.make(SOURCE, tmp_path / "b.h5", RECIPE, psf=True))
    assert plain.psf is None
    assert np.array_equal(pairs.blurred, plain.blurred)
    assert np.array_equal(pairs.psf, RECIPE.psfs(pairs.params, RECIPE.draws(0, np.arange(120))))


def test_recipes_by_name_and_path(tmp_path):
    (tmp_path / "mine.yaml").write_text(RECIPE.to_yaml())
    by_path = blurgen.make(SOURCE, tmp_path / "a.h5", tmp_path / "mine.yaml")
    assert by_path.read_bytes() == blurgen.make(SOURCE, tmp_path / "b.h5", RECIPE).read_bytes()
    by_name = blurgen.make(SOURCE, tmp_path / "c.h5", "mnist-motion", count=3)
    assert blurgen.open_pairs(by_name).recipe == blurgen.recipes()["mnist-motion"]


def test_options_of_the_source(tmp_path):
    made = blurgen.make("digits", tmp_path / "a.h5", count=7, seed=3, split="test")
    pairs = blurgen.open_pairs(made)
    assert pairs.header.dataset_options == {"split": "test", "seed": 3}
    digits = blurgen.open_source("digits", seed=3, split="test")
    assert pairs.recipe.name == "mnist-motion"
    assert np.array_equal(pairs.sharp[:3], np.repeat(digits.read(0, 1), 3, axis=0))
    assert np.array_equal(pairs.label, digits.labels(0, 2)[np.arange(7) // 6])


def test_the_header_opens_the_same_source(tmp_path):
    header = blurgen.open_pairs(
        blurgen.make("digits", tmp_path / "a.h5", count=20, seed=3, split="test")
    ).header
    again = blurgen.make(
        header.dataset,
        tmp_path / "b.h5",
        header.recipe,
        count=header.count,
        **{"seed": header.seed, **header.dataset_options},
    )
    assert again.read_bytes() == (tmp_path / "a.h5").read_bytes()


# Arguments that are wrong


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"count": 0}, InputError, "count 0: a whole number from 1"),
        ({"count": -3}, InputError, "count -3: a whole number from 1"),
        ({"count": 121}, InputError, r"count 121: .* 40 images × 3 copies = 120 pairs"),
        ({"copies": 0}, RecipeError, "copies: 0"),
        ({"copies": 1.5}, RecipeError, r"copies: 1\.5"),
        ({"threads": 0}, InputError, "threads 0"),
        ({"recipe": "none-such"}, RecipeError, "there is no recipe 'none-such'"),
        ({"recipe": None}, InputError, "'forty' has no default recipe"),
        ({"dataset": "digits"}, InputError, "never runs out"),
        ({"dataset": "digits", "count": 3, "nosuch": 1}, InputError, "no option 'nosuch'"),
        ({"dataset": "digids"}, InputError, "no source 'digids'"),
    ],
    ids=str,
)
def test_wrong_arguments(tmp_path, arguments, kind, message):
    arguments = {"dataset": SOURCE, "recipe": RECIPE, **arguments}
    with pytest.raises(kind, match=message) as error:
        blurgen.make(arguments.pop("dataset"), tmp_path / "a.h5", **arguments)
    assert_one_sentence(error)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": -1},
        {"seed": 2**64},
        {"seed": 1.5},
        {"seed": "1"},
        {"count": 1.5},
        {"count": "3"},
        {"threads": 1.5},
    ],
    ids=str,
)
def test_numbers_of_another_kind(tmp_path, arguments):
    with pytest.raises(InputError) as error:
        blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, **arguments)
    assert_one_sentence(error)
    assert names(tmp_path) == []


def test_options_beside_a_source(tmp_path):
    with pytest.raises(InputError, match="cuont") as error:
        blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, cuont=3)
    assert_one_sentence(error)


@pytest.mark.parametrize("count", [2**60, 2**70])
def test_more_than_any_file_holds(tmp_path, count):
    with pytest.raises(BlurgenError) as error:
        blurgen.make("digits", tmp_path / "a.h5", count=count)
    assert_one_sentence(error)
    assert names(tmp_path) == []


def test_no_one_psf(tmp_path):
    recipe = Recipe.from_yaml("name: n\nstages: [motion: {length: 3, angle: 0}, turn: {quarters: 1}]")
    with pytest.raises(InputError, match="there is no one PSF"):
        blurgen.make(SOURCE, tmp_path / "a.h5", recipe, psf=True)
    assert names(tmp_path) == []


def test_a_recipe_that_cannot_take_the_images(tmp_path):
    source = MemorySource("flat", {}, IMAGES[:, :10])
    with pytest.raises(InputError, match=r"stage 0: .* needs square images") as error:
        blurgen.make(source, tmp_path / "a.h5", RECIPE)
    assert_one_sentence(error)
    assert names(tmp_path) == []


def test_options_that_json_changes(tmp_path):
    source = MemorySource("forty", {"patch": (12, 12)}, IMAGES)
    assert len(blurgen.open_pairs(blurgen.make(source, tmp_path / "a.h5", RECIPE))) == 120


# Places that are wrong


def test_existing_file(tmp_path):
    out = tmp_path / "a.h5"
    out.write_text("mine")
    with pytest.raises(FileError, match=r"a\.h5' exists.*--overwrite") as error:
        blurgen.make(SOURCE, out, RECIPE)
    assert_one_sentence(error)
    assert out.read_text() == "mine"
    assert names(tmp_path) == ["a.h5"]


def test_overwrite(tmp_path, reference):
    out = tmp_path / "a.h5"
    out.write_text("mine")
    assert blurgen.make(SOURCE, out, RECIPE, seed=5, overwrite=True).read_bytes() == reference
    assert names(tmp_path) == ["a.h5"]


def test_the_old_file_survives_a_failing_run(tmp_path, reference, small_chunks):
    out = tmp_path / "a.h5"
    out.write_text("mine")
    with pytest.raises(SourceError, match="unreadable"):
        blurgen.make(FAILING, out, RECIPE, seed=5, overwrite=True)
    assert out.read_text() == "mine"
    with pytest.raises(FileError, match="exists"):
        blurgen.make(SOURCE, out, RECIPE, seed=5)
    assert out.read_text() == "mine"
    assert blurgen.make(SOURCE, out, RECIPE, seed=5, overwrite=True).read_bytes() == reference
    assert names(tmp_path) == ["a.h5"]


def test_missing_folder(tmp_path):
    with pytest.raises(FileError, match=f"there is no folder '{tmp_path / 'none'}'") as error:
        blurgen.make(SOURCE, tmp_path / "none" / "a.h5", RECIPE)
    assert_one_sentence(error)
    assert names(tmp_path) == []


def test_a_folder(tmp_path):
    (tmp_path / "a.h5").mkdir()
    with pytest.raises(FileError, match=r"a\.h5' is no ordinary file") as error:
        blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, overwrite=True)
    assert_one_sentence(error)
    assert names(tmp_path) == ["a.h5"]


def test_a_path_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="there is no folder") as error:
        blurgen.make(SOURCE, tmp_path / "file" / "a.h5", RECIPE)
    assert_one_sentence(error)


@pytest.mark.parametrize("length", [250, 300])
def test_names_too_long(tmp_path, length):
    with pytest.raises(FileError, match=r"too long|cannot be written"):
        blurgen.make(SOURCE, tmp_path / ("x" * length), RECIPE)
    assert names(tmp_path) == []


def test_relative_paths(tmp_path, reference, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert blurgen.make(SOURCE, "a.h5", RECIPE, seed=5) == Path("a.h5")
    assert (tmp_path / "a.h5").read_bytes() == reference


def test_overwrite_replaces_files_only(tmp_path):
    os.mkfifo(tmp_path / "a.h5")
    with pytest.raises(FileError):
        blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, overwrite=True)
    assert (tmp_path / "a.h5").is_fifo()


# Partial files


def test_a_source_that_fails_in_the_middle(tmp_path, reference, small_chunks):
    out = tmp_path / "a.h5"
    noted = interrupt(out)
    assert noted == 56  # whole chunks of 7 of the 60 pairs of 20 images
    assert names(tmp_path) == ["a.h5.journal", "a.h5.partial"]
    calls = []
    blurgen.make(SOURCE, out, RECIPE, seed=5, progress=lambda *call: calls.append(call))
    assert calls[0] == (56, 120)
    assert calls[-1] == (120, 120)
    assert out.read_bytes() == reference
    assert names(tmp_path) == ["a.h5"]


def test_rows_that_are_noted_are_not_made_again(tmp_path, reference, small_chunks):
    class Watched(LabelledMemorySource):
        seen = ()

        def _read(self, start, stop):
            self.seen += tuple(range(start, stop))
            return super()._read(start, stop)

    out = tmp_path / "a.h5"
    interrupt(out)
    watched = Watched("forty", {}, IMAGES, LABELS)
    blurgen.make(watched, out, RECIPE, seed=5, threads=1)
    assert sorted(set(watched.seen)) == list(range(18, 40))  # row 56 is of image 18
    assert out.read_bytes() == reference


def test_several_threads_fail_and_resume(tmp_path, reference, monkeypatch):
    out = tmp_path / "a.h5"
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 4 * BYTES_A_PAIR)
    interrupt(out, threads=3)
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 9 * BYTES_A_PAIR)
    interrupt(out, threads=2)
    assert blurgen.make(SOURCE, out, RECIPE, seed=5, threads=5).read_bytes() == reference


def test_interrupted_by_the_keyboard(tmp_path, reference, small_chunks):
    def press(done, _):
        if done >= 30:
            raise KeyboardInterrupt

    out = tmp_path / "a.h5"
    with pytest.raises(KeyboardInterrupt):
        blurgen.make(SOURCE, out, RECIPE, seed=5, progress=press, threads=1)
    assert names(tmp_path) == ["a.h5.journal", "a.h5.partial"]
    calls = []
    blurgen.make(SOURCE, out, RECIPE, seed=5, progress=lambda *call: calls.append(call))
    assert calls[0][0] >= 30
    assert out.read_bytes() == reference


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        ({"seed": 6}, "seed 5, now 6"),
        ({"count": 100}, "count 120, now 100"),
        ({"copies": 4, "count": 120}, "recipe, copies 3, now 4"),
        ({"psf": True}, "psf 0, now "),
        (
            {"recipe": Recipe(name="other", copies=3, stages=RECIPE.stages)},
            "recipe, recipe_name 'several', now",
        ),
        ({"source": LabelledMemorySource("fifty", {}, IMAGES, LABELS)}, "dataset 'forty', now 'fifty'"),
        ({"source": LabelledMemorySource("forty", {"a": 1}, IMAGES, LABELS)}, "dataset_options '{}', now"),
        ({"source": LabelledMemorySource("forty", {}, IMAGES[::-1], LABELS)}, "dataset_sha256 '"),
        (
            {"source": LabelledMemorySource("forty", {}, IMAGES[:, 1:-1, 1:-1], LABELS)},
            "shape .12, 12, 1., now",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_partial_file_of_other_arguments(tmp_path, reference, small_chunks, arguments, difference):
    out = tmp_path / "a.h5"
    interrupt(out)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    arguments = {"source": SOURCE, "recipe": RECIPE, "seed": 5, **arguments}
    source = arguments.pop("source")
    with pytest.raises(FileError, match=f"begun with other arguments .*{difference}"):
        blurgen.make(source, out, **arguments)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before
    afresh = blurgen.make(source, out, **arguments, overwrite=True)
    assert afresh.read_bytes() != reference
    assert names(tmp_path) == ["a.h5"]
    expected = blurgen.make(source, tmp_path / "b.h5", **arguments)
    assert afresh.read_bytes() == expected.read_bytes()


def test_partial_file_of_another_version(tmp_path, small_chunks, monkeypatch):
    out = tmp_path / "a.h5"
    interrupt(out)
    with h5py.File(tmp_path / "a.h5.partial", "r+") as file:
        file.attrs["blurgen_version"] = np.bytes_(b"0.0.1")
    with pytest.raises(FileError, match=r"blurgen_version '0\.0\.1', now"):
        blurgen.make(SOURCE, out, RECIPE, seed=5)


def test_overwrite_resumes_a_partial_file_of_the_same_arguments(tmp_path, reference, small_chunks):
    out = tmp_path / "a.h5"
    interrupt(out)
    calls = []
    blurgen.make(SOURCE, out, RECIPE, seed=5, overwrite=True, progress=lambda *call: calls.append(call))
    assert calls[0] == (56, 120)
    assert out.read_bytes() == reference


def test_a_partial_file_that_is_none(tmp_path):
    (tmp_path / "a.h5.partial").write_bytes(b"garbage" * 1000)
    with pytest.raises(FileError, match=r"a\.h5\.partial") as error:
        blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE)
    assert_one_sentence(error)
    assert names(tmp_path) == ["a.h5.partial"]


def test_overwrite_discards_a_partial_file_that_is_none(tmp_path, reference):
    (tmp_path / "a.h5.partial").write_bytes(b"garbage" * 1000)
    out = blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, seed=5, overwrite=True)
    assert out.read_bytes() == reference
    assert names(tmp_path) == ["a.h5"]


def test_space_is_reserved_before_any_work(tmp_path, monkeypatch):
    reserved = []
    real = os.posix_fallocate

    def reserve(file, start, size):
        reserved.append((start, size, os.fstat(file).st_size))
        real(file, start, size)

    monkeypatch.setattr(os, "posix_fallocate", reserve)
    source = Nested("forty", {}, IMAGES, LABELS)
    source.action = lambda: reserved or pytest.fail("there was work before the space was reserved")
    size = blurgen.make(source, tmp_path / "a.h5", RECIPE).stat().st_size
    assert reserved == [(0, size, size)]


# Several writers


class Nested(LabelledMemorySource):
    """Runs something while it is read."""

    def _read(self, start, stop):
        self.action()
        return super()._read(start, stop)


def while_making(out, action):
    source = Nested("forty", {}, IMAGES, LABELS)
    source.action = action
    return blurgen.make(source, out, RECIPE, seed=5, threads=1)


def test_second_writer_is_refused(tmp_path, reference):
    out = tmp_path / "a.h5"
    messages = []

    def second():
        with pytest.raises(FileError, match="is being written by another process") as error:
            blurgen.make(SOURCE, out, RECIPE, seed=5)
        messages.append(str(error.value))

    assert while_making(out, second).read_bytes() == reference
    assert messages
    assert names(tmp_path) == ["a.h5"]


def test_second_writer_of_another_process_is_refused(tmp_path, reference):
    out = tmp_path / "a.h5"
    code = (
        "import blurgen, sys, numpy as np\n"
        "from blurgen.sources.memory import LabelledMemorySource\n"
        "from blurgen.pairs import format\n"
        "format._BLOCK_BYTES = 1\n"
        "images = np.load(sys.argv[1])\n"
        "source = LabelledMemorySource('forty', {}, images, np.arange(40, dtype=np.uint8))\n"
        "try: blurgen.make(source, sys.argv[2], sys.argv[3], seed=5)\n"
        "except blurgen.FileError as error: print(error)"
    )
    np.save(tmp_path / "images.npy", IMAGES)
    (tmp_path / "recipe.yaml").write_text(RECIPE.to_yaml())
    words = []

    def second():
        arguments = [tmp_path / "images.npy", out, tmp_path / "recipe.yaml"]
        words.append(python(code, *arguments).stdout)

    assert while_making(out, second).read_bytes() == reference
    assert len(words) == 1
    assert words[0].startswith(f"'{out}")
    assert words[0].endswith("' is being written by another process\n")


def test_overwrite_does_not_discard_what_another_is_writing(tmp_path, reference):
    out = tmp_path / "a.h5"
    refusals = []

    def second():
        try:
            blurgen.make(SOURCE, out, RECIPE, seed=6, overwrite=True)
        except FileError as error:
            refusals.append(str(error))

    assert while_making(out, second).read_bytes() == reference
    assert len(refusals) == 1
    assert "is being written by another process" in refusals[0]


def test_two_that_begin_at_once(tmp_path):
    code = (
        "import os, sys, blurgen, threading\n"
        "from blurgen import pairs\n"
        "from pathlib import Path\n"
        "folder = Path(sys.argv[1])\n"
        "blurgen.degrade(blurgen.open_source('digits').read(0, 2), 'mnist-motion')\n"
        "lines = []\n"
        "for attempt in range(8):\n"
        "    children = []\n"
        "    go = os.pipe()\n"
        "    for _ in range(2):\n"
        "        child = os.fork()\n"
        "        if child == 0:\n"
        "            os.close(go[1]); os.read(go[0], 1)\n"
        "            try: blurgen.make('digits', folder / f'{attempt}.h5', count=500, threads=1)\n"
        "            except blurgen.FileError: os._exit(3)\n"
        "            except BaseException: os._exit(4)\n"
        "            os._exit(0)\n"
        "        children.append(child)\n"
        "    os.close(go[1]); os.close(go[0])\n"
        "    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)\n"
        "    print(*codes)\n"
    )
    outcomes = python(code, tmp_path).stdout.splitlines()
    assert outcomes == ["0 3"] * 8
    assert names(tmp_path) == [f"{attempt}.h5" for attempt in range(8)]


# Nothing left open


def open_files():
    return {os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")}  # noqa: PTH208


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc is absent")
def test_closes_its_files(tmp_path, small_chunks):
    blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE)
    interrupt(tmp_path / "b.h5")
    assert not [path for path in open_files() if path.startswith(str(tmp_path))]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc is absent")
def test_closes_its_files_when_it_cannot_begin(tmp_path, small_chunks):
    interrupt(tmp_path / "a.h5")
    (tmp_path / "a.h5.partial").write_bytes((tmp_path / "a.h5.partial").read_bytes()[:-5000])
    with pytest.raises(FileError, match="damaged"):
        blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, seed=5)
    assert not [path for path in open_files() if path.startswith(str(tmp_path))]


# Progress


@pytest.mark.parametrize("threads", [1, 3])
def test_progress(tmp_path, small_chunks, threads):
    calls = []
    blurgen.make(
        SOURCE, tmp_path / "a.h5", RECIPE, threads=threads, progress=lambda *call: calls.append(call)
    )
    done = [call[0] for call in calls]
    assert {call[1] for call in calls} == {120}
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 120)
    assert len(set(done)) > 3  # at most six of the 18 chunks at once


def test_checkpoints(tmp_path, small_chunks, monkeypatch):
    monkeypatch.setattr(maker, "_CHECKPOINT_SECONDS", 0.0)
    journal = tmp_path / "a.h5.journal"
    noted = []

    def progress(done, _):
        noted.append(len(journal.read_text().splitlines()))

    blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, threads=1, progress=progress)
    assert noted[0] == 0
    assert noted == sorted(noted)
    assert noted[-1] >= 10  # of 18 chunks
    assert not journal.exists()


# Full disks, and folders that must not be written


def python(code, *arguments, before=(), check=True):
    path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [*before, sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=check,
    )


ATTEMPT = """
import json, os, sys
import blurgen
folder, count = sys.argv[1], int(sys.argv[2])
blurgen.degrade(blurgen.open_source("digits").read(0, 2), "mnist-motion")
out = os.path.join(folder, "a.h5")
def attempt(count=count, **arguments):
    try:
        blurgen.make("digits", out, count=count, threads=1, **arguments)
        words = ""
    except blurgen.FileError as error:
        words = str(error)
    except BaseException as error:
        words = f"{type(error).__name__}\\n{error}"
    return {"words": words, "files": sorted(os.listdir(folder)), "free": os.statvfs(folder).f_bfree}
"""


def attempted(text, folder, count, before=()):
    return json.loads(python(ATTEMPT + text, folder, count, before=before).stdout)


@pytest.fixture
def tiny_disk(tmp_path):
    """The folder and the words before a command that give it a disk of 1 MB, of its own, there."""
    folder = tmp_path / "disk"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    for spaces in (["--user", "--map-root-user", "--mount"], ["--mount"]):
        before = ["unshare", *spaces, "sh", "-c", script, str(folder)]
        if shutil.which("unshare"):
            tried = subprocess.run([*before, "true"], check=False, capture_output=True)
            if tried.returncode == 0:
                return folder, before
    return pytest.skip("no disk can be mounted here")


def test_a_disk_too_small(tiny_disk):
    folder, before = tiny_disk
    found = attempted("print(json.dumps(attempt()))", folder, 5000, before)
    assert "MB, which cannot be reserved: No space left on device" in found["words"]
    assert_one_sentence(found["words"])
    assert found["files"] == []


def test_a_disk_too_small_is_empty_afterwards(tiny_disk):
    folder, before = tiny_disk
    code = "free = os.statvfs(folder).f_bfree; print(json.dumps({**attempt(), 'before': free}))"
    found = attempted(code, folder, 5000, before)
    assert found["files"] == []
    assert found["free"] == found["before"]


FILL = """
def fill():
    with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
"""


def test_a_full_disk(tiny_disk):
    folder, before = tiny_disk
    found = attempted(FILL + "fill(); print(json.dumps(attempt()))", folder, 500, before)
    assert "No space left on device" in found["words"]
    assert found["files"] == ["filler"]
    assert_one_sentence(found["words"])


def test_a_disk_that_fills_up(tiny_disk):
    folder, before = tiny_disk
    code = f"""{FILL}
from blurgen import maker
maker._CHUNK_BYTES = 20_000
first = attempt(progress=lambda done, count: fill() if done == 0 else None)
os.unlink(os.path.join(folder, "filler"))
second = attempt()
import hashlib
hashes = [hashlib.sha256(open(out, "rb").read()).hexdigest()]
os.unlink(out)
attempt()
hashes.append(hashlib.sha256(open(out, "rb").read()).hexdigest())
print(json.dumps([first, second, hashes]))
"""
    first, second, hashes = attempted(code, folder, 400, before)
    assert "No space left on device" in first["words"]
    assert_one_sentence(first["words"])
    assert first["files"] == ["a.h5.journal", "a.h5.partial", "filler"]
    assert second["words"] == ""
    assert second["files"] == ["a.h5"]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("limit", [0, 3000, 100_000, 1_000_000])
def test_a_limit_of_the_size_of_files(tmp_path, limit):
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
print(json.dumps(attempt()))
"""
    found = attempted(code, tmp_path, 1000)
    assert "too large" in found["words"].lower()
    assert found["files"] == []
    assert_one_sentence(found["words"])


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_without_permission(mode):
    code = f"""
attempt()
os.unlink(out)
if os.getuid() == 0:  # whom permissions do not bind
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
locked = os.path.join(folder, "locked")
os.mkdir(locked, {mode})
out = os.path.join(locked, "a.h5")
found = attempt()
os.chmod(locked, 0o755)
print(json.dumps({{**found, "files": os.listdir(locked)}}))
os.rmdir(locked)
"""
    with tempfile.TemporaryDirectory() as folder:  # those of pytest are closed to other users
        Path(folder).chmod(0o777)
        found = attempted(code, folder, 100)
    assert "ermission denied" in found["words"]
    assert found["files"] == []
    assert_one_sentence(found["words"])


# Real data


def test_mnist(tmp_path, monkeypatch):
    folder = shared("datasets", "mnist")
    out = blurgen.make("mnist", tmp_path / "a.h5", count=1001, seed=9, data_dir=folder)
    monkeypatch.setenv("BLURGEN_DATA", str(folder))
    again = blurgen.make("mnist", tmp_path / "b.h5", count=1001, seed=9)
    assert again.read_bytes() == out.read_bytes()
    pairs = blurgen.open_pairs(out)
    assert (pairs.header.dataset, pairs.recipe.name, pairs.recipe.copies) == ("mnist", "mnist-motion", 6)
    assert list(pairs.label[:30:6]) == [5, 0, 4, 1, 9]  # as everyone knows them
    mnist = blurgen.open_source("mnist", data_dir=folder)
    for row in (0, 1, 5, 6, 77, 500, 999, 1000):
        image = mnist.read(row // 6, row // 6 + 1)
        by_hand = blurgen.degrade(image, "mnist-motion", seed=9, start=row)
        assert np.array_equal(pairs.sharp[row], by_hand.sharp[0])
        assert np.array_equal(pairs.blurred[row], by_hand.blurred[0])
        assert pairs[row].params == {name: column[0] for name, column in by_hand.params.items()}
        turned = np.rot90(image[0], pairs.params["0.turn.quarters"][row])
        assert np.array_equal(pairs.sharp[row], turned)
        psf = blurgen.psf.motion(*(pairs.params[f"1.motion.{name}"][row] for name in ("length", "angle")))
        blurred = blurgen.convolve(pairs.sharp[row][None], psf)
        assert np.abs(blurred[0].astype(int) - pairs.blurred[row]).max() <= 1


def test_mnist_for_testing(tmp_path):
    folder = shared("datasets", "mnist")
    made = blurgen.make("mnist", tmp_path / "a.h5", copies=1, data_dir=folder, split="test")
    pairs = blurgen.open_pairs(made)
    assert len(pairs) == 10_000
    assert pairs.header.dataset_options == {"split": "test"}
    source = blurgen.open_source("mnist", data_dir=folder, split="test")
    assert np.array_equal(
        pairs.sharp[pairs.params["0.turn.quarters"] == 0],
        source.read(0, 10_000)[pairs.params["0.turn.quarters"] == 0],
    )
    assert np.array_equal(pairs.label, source.labels(0, 10_000))


def test_memory(tmp_path):
    code = """
import os, resource, sys, blurgen
from pathlib import Path
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
out = Path(sys.argv[1]) / "a.h5"
blurgen.make("digits", out, count=5000, threads=2).unlink()
before = peak()
blurgen.make("digits", out, count=200_000, threads=2).unlink()
print(peak() - before)
"""
    grown = float(python(code, tmp_path).stdout)
    assert grown < 100  # MB; the pairs take 320


def test_no_thread_outlives_a_failure(tmp_path, monkeypatch):
    """Chunks under way end before the error is raised: nobody writes to a file that is closed."""
    begun, go_on = threading.Event(), threading.Event()
    remake = maker.remake

    def slow_or_failing(source, header, start, stop):
        if start == 0:
            begun.wait(10)
            raise SourceError("the first chunk")
        begun.set()
        go_on.wait(0.2)
        return remake(source, header, start, stop)

    monkeypatch.setattr(maker, "_CHUNK_BYTES", 7 * BYTES_A_PAIR)
    monkeypatch.setattr(maker, "remake", slow_or_failing)
    with pytest.raises(SourceError, match="the first chunk"):
        blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, threads=2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("blurgen-make")]
