"""Damaged pair files repaired: to the bytes that they had, or not at all."""

import os

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blurgen
from blurgen import repairing
from blurgen.errors import BlurgenError, FileError, SourceError
from blurgen.maker import header_for, remake
from blurgen.pairs import PairWriter
from blurgen.pairs import format as pair_format
from blurgen.repairing import repair
from blurgen.sources.digits import Digits
from blurgen.verification import verify

COUNT = 60
BLOCK = 4
DATASETS = ["sharp", "blurred", "label", "source_index", "params/1.motion.angle", "psf"]


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pair_format, "_BLOCK_BYTES", BLOCK * 784)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return blurgen.make("digits", tmp_path_factory.mktemp("made") / "a.h5", count=COUNT, seed=5, psf=True)


@pytest.fixture(scope="module")
def whole(made):
    return made.read_bytes()


@pytest.fixture
def copy(whole, tmp_path):
    path = tmp_path / "copy.h5"
    path.write_bytes(whole)
    return path


@pytest.fixture(scope="module")
def places(made):
    """Name → (offset, bytes of a row) of every dataset, by h5py alone."""
    found = {}
    with h5py.File(made) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: (item.id.get_offset(), item.nbytes // len(item))})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


def flip(path, *at):
    content = bytearray(path.read_bytes())
    for place in at:
        content[place] ^= 4
    path.write_bytes(content)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_sound_file_is_left_alone(copy, whole):
    before = copy.stat().st_mtime_ns
    done = repair(copy, dataset="none-such")  # no source is needed
    assert (done.rows, done.rest) == ({}, False)
    assert str(done) == f"'{copy}': nothing is damaged"
    assert copy.read_bytes() == whole
    assert copy.stat().st_mtime_ns == before
    assert names(copy.parent) == ["copy.h5"]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("row", [0, 31, COUNT - 1])
def test_rows_of_every_dataset(copy, whole, places, dataset, row):
    offset, size = places[dataset]
    flip(copy, offset + row * size)
    inode = copy.stat().st_ino
    done = repair(copy)
    start = row // BLOCK * BLOCK
    assert done.rows == {dataset: [(start, start + BLOCK)]}
    assert not done.rest
    assert str(done) == f"'{copy}': repaired {dataset} in rows {start}–{start + BLOCK - 1}"
    assert copy.read_bytes() == whole
    assert copy.stat().st_ino == inode


def test_only_damaged_rows_are_made_again(copy, whole, places, monkeypatch):
    seen = []

    def watched(source, header, start, stop):
        seen.append((start, stop))
        return remake(source, header, start, stop)

    monkeypatch.setattr(repairing, "remake", watched)
    for row in (5, 9, 50):
        flip(copy, places["sharp"][0] + row * 784)
    repair(copy, threads=1)
    assert copy.read_bytes() == whole
    assert seen == [(4, 12), (48, 52)]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("rows_too", [False, True])
def test_each_checksum_of_the_file(copy, whole, places, number, rows_too):
    flip(copy, places["crc32/file"][0] + 4 * number)
    if rows_too:
        flip(copy, places["blurred"][0] + 1000)
    done = repair(copy)
    assert done.rest
    assert list(done.rows) == ["blurred"] * rows_too
    assert copy.read_bytes() == whole


@pytest.mark.parametrize("rows", [[], [20], [20, 33]])
def test_checksums_of_blocks(copy, whole, places, rows):
    """Where a row and its checksum disagree either may be wrong: making it again tells."""
    begin, size = places["crc32/blocks"]
    flip(copy, begin + 5 * size, begin + 9 * size + 6)
    for row in rows:
        flip(copy, places["psf"][0] + row * places["psf"][1])
    done = repair(copy, threads=1)
    assert done.rest
    assert done.rows == (
        {"psf": [(r // BLOCK * BLOCK, r // BLOCK * BLOCK + BLOCK) for r in rows]} if rows else {}
    )
    assert copy.read_bytes() == whole


@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6
    ),
    outside=st.booleans(),
)
def test_whatever_is_damaged_the_result_is_what_it_was_or_it_is_refused(
    tmp_path_factory, made, whole, places, changes, outside
):
    content = bytearray(whole)
    rows = np.zeros(len(whole), bool)
    for name, (offset, size) in places.items():
        rows[offset : offset + size * COUNT] |= not name.startswith("crc32")
    candidates = np.flatnonzero(~rows if outside else rows)
    for share, change in changes:
        content[candidates[int(share * candidates.size)]] ^= change
    path = tmp_path_factory.getbasetemp() / "repaired.h5"
    path.write_bytes(content)
    try:
        repair(path, threads=1)
    except BlurgenError:
        assert outside
        assert not is_sound(path)
    else:
        assert path.read_bytes() == whole


def is_sound(path):
    try:
        return verify(path, sample=0).ok
    except BlurgenError:
        return False


def test_what_hdf5_keeps(copy, whole, places):
    """Gaps, and bytes of HDF5's that do not hinder reading, are written anew, without a source."""
    rows = np.zeros(len(whole), bool)
    for offset, size in places.values():
        rows[offset : offset + size * COUNT] = True
    gaps = np.flatnonzero(~rows)
    flip(copy, gaps[-1], gaps[-300])
    done = repair(copy, dataset="none-such")
    assert (done.rows, done.rest) == ({}, True)
    assert str(done) == f"'{copy}': repaired bytes outside of the rows"
    assert copy.read_bytes() == whole
    assert names(copy.parent) == ["copy.h5"]


@pytest.mark.parametrize(
    ("name", "value"), [("blurgen_version", b"0.0.9"), ("seed", 6), ("dataset", b"digit5")]
)
def test_a_damaged_header_is_refused(copy, name, value):
    """It can be read, but is not what it was: nothing must be made from it."""
    with h5py.File(copy, "r+") as file:
        file.attrs.modify(name, value)
    before = copy.read_bytes()
    with pytest.raises(FileError, match="cannot be repaired, only made again: its header is damaged"):
        repair(copy)
    assert copy.read_bytes() == before
    assert names(copy.parent) == ["copy.h5"]


@pytest.mark.parametrize("keep", [0, 100, 5000, -1])
def test_a_file_that_cannot_be_read(copy, whole, keep):
    copy.write_bytes(whole[:keep])
    with pytest.raises(FileError, match="it cannot be repaired, only made again") as error:
        repair(copy)
    assert "\n" not in str(error.value)
    assert copy.read_bytes() == whole[:keep]


def test_another_source_is_refused(copy, places):
    flip(copy, places["sharp"][0])
    before = copy.read_bytes()
    with pytest.raises(SourceError, match="does not hold the images"):
        repair(copy, dataset=Digits(6))
    assert copy.read_bytes() == before


def test_rows_that_come_out_otherwise_are_refused(tmp_path):
    """A file of another version, whose rows this one does not make."""
    source = Digits()
    header = header_for(source, blurgen.load_recipe("mnist-motion"), seed=0, count=8)
    old = pair_format.Header(**{**header.__dict__, "version": "0.0.1"})
    path = tmp_path / "old.h5"
    with PairWriter(path, old) as writer:
        columns = remake(source, header, 0, 8)
        columns["sharp"][6] ^= 1
        writer.write(0, columns)
    for block, match in ((0, None), (1, r"not what they were \(blurgen 0\.0\.1 made it, this is")):
        with h5py.File(path) as file:
            place = file["blurred"].id.get_offset() + block * BLOCK * 784
        whole = path.read_bytes()
        flip(path, place)
        if match is None:
            repair(path)
            assert path.read_bytes() == whole
        else:
            with pytest.raises(FileError, match=match):
                repair(path)


def test_interrupted_at_any_write(copy, whole, places, monkeypatch):
    """What is written is what was there: the next repair finds no more damage than before."""
    begin, size = places["crc32/blocks"]
    damage = [places["sharp"][0] + 9 * 784, places["psf"][0], begin + 3 * size, places["crc32/file"][0]]
    real = os.pwrite
    for last in range(10):
        copy.write_bytes(whole)
        flip(copy, *damage)
        calls = []

        def half(file, data, offset, calls=calls, last=last):
            calls.append(offset)
            if len(calls) > last:
                real(file, bytes(data[: len(data) // 2]), offset)
                raise KeyboardInterrupt
            return real(file, data, offset)

        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", half)
            try:
                repair(copy, threads=1)
            except KeyboardInterrupt:
                assert copy.read_bytes() != whole or last
        repair(copy)
        assert copy.read_bytes() == whole
    assert len(calls) < 10


@pytest.mark.parametrize("compression", ["gzip", "lzf", "zstd"])
def test_compressed_files(tmp_path, compression):
    path = blurgen.make("digits", tmp_path / "a.h5", count=COUNT, psf=True, compression=compression)
    whole = path.read_bytes()
    assert str(repair(path)).endswith("nothing is damaged")
    with h5py.File(path) as file:
        chunk = file["blurred"].id.get_chunk_info(7)
        index = file["label"].id.get_offset() + 8 * 50
    flip(path, chunk.byte_offset + chunk.size // 2, index)
    done = repair(path)
    row = chunk.chunk_offset[0]
    assert done.rows == {"blurred": [(row, row + BLOCK)], "label": [(48, 52)]}
    assert done.rest
    assert path.read_bytes() == whole
    with h5py.File(path, "r+") as file:
        file.attrs.modify("seed", 7)
    before = path.read_bytes()
    with pytest.raises(FileError, match="cannot be repaired, only made again: its header is damaged"):
        repair(path)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.h5"]


def test_any_byte_of_a_compressed_file(tmp_path):
    path = blurgen.make("digits", tmp_path / "a.h5", count=30, compression="gzip")
    whole = path.read_bytes()
    repaired = 0
    for place in np.random.default_rng(2).choice(len(whole), 40, replace=False):
        flip(path, place)
        try:
            repair(path)
        except BlurgenError:
            path.write_bytes(whole)
        else:
            repaired += 1
            assert path.read_bytes() == whole
    assert repaired > 30
