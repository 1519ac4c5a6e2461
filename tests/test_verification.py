import shutil
import zlib
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import blurgen
from blurgen import verification
from blurgen.errors import FileError, InputError, SourceError
from blurgen.maker import header_for, remake
from blurgen.pairs import PairWriter
from blurgen.sources.digits import Digits
from blurgen.verification import Verification, sampled_rows, verify

RECIPE = """
name: mixture
copies: 2
stages:
  - one_of:
    - stages: [motion: {length: {uniform: [3, 5]}, angle: {uniform: [0, 180]}}]
    - stages: [box: {size: {integers: [1, 4]}}]
"""
COUNT = 301
BLOCK = 83  # rows of 28×28 bytes in 64 KiB
DATASETS = [
    "sharp",
    "blurred",
    "params/0.one_of.branch",
    "params/0.one_of.0.0.motion.length",
    "params/0.one_of.0.0.motion.angle",
    "params/0.one_of.1.0.box.size",
    "source_index",
    "label",
    "psf",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    recipe = blurgen.Recipe.from_yaml(RECIPE)
    return blurgen.make(
        "digits", tmp_path_factory.mktemp("made") / "pairs.h5", recipe, count=COUNT, seed=5, psf=True
    )


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copy(made, tmp_path / "copy.h5")


def flip(path, dataset, row):
    """Change one bit of a row, as a failing disk would."""
    _flip(path, dataset, row)


def forge(path, dataset, row):
    """Change one bit of a row, and all checksums so that nobody sees it: they are computed as documented."""
    _flip(path, dataset, row)
    with h5py.File(path, "r+") as file:
        names = sorted(DATASETS)
        rows = int(file.attrs["block_rows"])
        for block, start in enumerate(range(0, len(file["sharp"]), rows)):
            for k, name in enumerate(names):
                file["crc32/blocks"][block, k] = zlib.crc32(file[name][start : start + rows].tobytes())
        structure = file["crc32/file"][0]
        both = np.array([structure, zlib.crc32(file["crc32/blocks"][...].tobytes())], "<u4")
        file["crc32/file"][...] = [*both, zlib.crc32(both.tobytes())]


def _flip(path, dataset, row):
    with h5py.File(path) as file:
        found = file[dataset]
        offset = found.id.get_offset() + row * (found.nbytes // len(found))
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("sample", [None, 1, 7, 1000])
def test_a_sound_file_is_found_sound(made, sample):
    found = verify(made, sample=sample)
    assert found.ok
    assert found.checked == min(sample or COUNT, COUNT)
    assert found.count == COUNT
    assert found.rows_differing.size == 0
    assert (found.damaged, found.rest_damaged) == ({}, False)
    assert str(made) in str(found)


def test_checksums_alone_need_no_source(copy, monkeypatch):
    monkeypatch.setattr(verification, "open_source", None)
    found = verify(copy, sample=0)
    assert found.ok
    assert found.checked == 0
    assert str(found) == f"'{copy}': the checksums of all 301 pairs are right"
    flip(copy, "psf", 200)
    assert not verify(copy, sample=0).ok


def test_the_file_has_several_blocks(made):
    assert blurgen.open_pairs(made).header.block_rows == BLOCK < COUNT


def test_the_datasets_are_those_of_the_file(made):
    assert list(verification.stored_columns(blurgen.open_pairs(made))) == DATASETS


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("row", [0, 123, COUNT - 1])
def test_a_flipped_bit_is_found_in_every_dataset(copy, dataset, row):
    flip(copy, dataset, row)
    found = verify(copy, sample=1, threads=1)
    assert not found.ok
    start = row // BLOCK * BLOCK
    stop = min(start + BLOCK, COUNT)
    assert found.damaged == {dataset: [(start, stop)]}
    assert not found.rest_damaged
    assert str(found) == f"'{copy}' was damaged since it was made: {dataset} in rows {start}–{stop - 1}"


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("row", [0, 123, COUNT - 1])
def test_what_the_checksums_cannot_see_is_found_by_making_it_again(copy, dataset, row):
    forge(copy, dataset, row)
    assert verify(copy, sample=0).ok
    found = verify(copy, sample=None, threads=1)
    assert not found.ok
    assert list(found.differing) == [dataset]
    assert found.differing[dataset].tolist() == [row]
    assert f"{dataset} in row {row}" in str(found)


@pytest.mark.parametrize("row", [0, COUNT - 1])
def test_every_sample_holds_the_first_and_last_row(copy, row):
    forge(copy, "blurred", row)
    assert verify(copy, sample=2).rows_differing.tolist() == [row]


def test_names_ranges_and_no_more_than_a_few(copy):
    for row in (3, 4, 5, 9, 20, 30, 40, 50, 60):
        flip(copy, "sharp", row)
    forge(copy, "label", 4)
    found = verify(copy, sample=None)
    assert found.rows_differing.tolist() == [3, 4, 5, 9, 20, 30, 40, 50, 60]
    assert "9 of 301 pairs checked differ" in str(found)
    assert "sharp in rows 3–5, 9, 20, 30, 40, …" in str(found)
    assert "label in row 4" in str(found)


def test_neighbouring_blocks_are_told_as_one_range(copy):
    for row in (0, BLOCK, 3 * BLOCK):
        flip(copy, "sharp", row)
    flip(copy, "label", 4)
    found = verify(copy)
    assert found.damaged == {"sharp": [(0, 2 * BLOCK), (3 * BLOCK, COUNT)], "label": [(0, BLOCK)]}
    assert "sharp in rows 0–165, 249–300; label in rows 0–82" in str(found)


def outside_of_rows(path):
    """Places of all bytes that belong to no row, by h5py alone."""
    rows = np.zeros(path.stat().st_size, bool)
    with h5py.File(path) as file:
        for name in DATASETS:
            begin = file[name].id.get_offset()
            rows[begin : begin + file[name].nbytes] = True
    return np.flatnonzero(~rows)


def finding(path):
    """What the checksums say, or that the file cannot be opened at all."""
    try:
        found = verify(path, sample=0)
    except blurgen.BlurgenError as error:
        return f"{error}; bytes outside of the rows"
    assert not found.ok
    return str(found)


@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_else_is_found(made, tmp_path_factory, share, bit):
    """In the attributes, in what HDF5 keeps, in gaps, in the checksums: or the file is refused at once."""
    places = outside_of_rows(made)
    place = places[int(share * places.size)]
    content = bytearray(made.read_bytes())
    content[place] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.h5"
    path.write_bytes(content)
    assert "bytes outside of the rows" in finding(path)


def test_a_flipped_bit_of_a_checksum_is_found(copy):
    with h5py.File(copy) as file:
        places = [file[f"crc32/{name}"].id.get_offset() for name in ("blocks", "file")]
    for place in [places[0] + 5, *range(places[1], places[1] + 12)]:
        content = copy.read_bytes()
        changed = bytearray(content)
        changed[place] ^= 2
        copy.write_bytes(changed)
        assert verify(copy, sample=0).rest_damaged
        copy.write_bytes(content)
    assert verify(copy, sample=0).ok


@pytest.mark.parametrize("compression", ["gzip", "lzf", "zstd"])
def test_any_flipped_byte_of_a_compressed_file_is_found(tmp_path, compression):
    made = blurgen.make("digits", tmp_path / "a.h5", count=100, compression=compression, psf=True)
    assert verify(made).ok
    content = made.read_bytes()
    for place in np.random.default_rng(1).choice(len(content), 60, replace=False):
        changed = bytearray(content)
        changed[place] ^= 16
        made.write_bytes(changed)
        finding(made)
    made.write_bytes(content)
    with h5py.File(made, "r+") as file:  # a chunk that cannot be undone
        file["blurred"].id.write_direct_chunk((BLOCK, 0, 0, 0), b"nonsense")
    found = verify(made, sample=0)
    assert found.damaged == {"blurred": [(BLOCK, 100)]}
    assert found.rest_damaged


def test_threads_and_progress_change_nothing(copy):
    seen = []
    three = verify(copy, sample=None, threads=3, progress=lambda done, total: seen.append((done, total)))
    assert three.ok
    assert seen[0] == (0, 2 * COUNT)
    assert seen[-1] == (2 * COUNT, 2 * COUNT)
    assert seen == sorted(seen)
    forge(copy, "psf", 77)
    assert str(verify(copy, sample=None, threads=1)) == str(verify(copy, sample=None, threads=3))


def test_says_that_another_version_made_it(tmp_path):
    path = tmp_path / "old.h5"
    source = Digits()
    header = header_for(source, blurgen.load_recipe("mnist-motion"), seed=0, count=4, psf=False)
    old = replace(header, version="0.0.1")
    with PairWriter(path, old) as writer:
        writer.write(0, remake(source, header, 0, 4))
    assert "0.0.1" not in str(verify(path))
    with PairWriter(path, old, overwrite=True) as writer:
        columns = remake(source, header, 0, 4)
        columns["sharp"][2] ^= 1
        writer.write(0, columns)
    found = verify(path)
    assert found.made_by == "0.0.1"
    assert "blurgen 0.0.1 made it" in str(found)
    assert blurgen.__version__ in str(found)


def test_moved_images_are_found_and_others_refused(tmp_path):
    images = Digits().read(0, 20)
    np.save(tmp_path / "a.npy", images)
    out = blurgen.make(f"npy:{tmp_path / 'a.npy'}", tmp_path / "pairs.h5", "mnist-motion")
    moved = (tmp_path / "a.npy").rename(tmp_path / "b.npy")
    with pytest.raises(SourceError, match=r"a\.npy"):
        verify(out)
    assert verify(out, dataset=f"npy:{moved}").ok
    np.savez(tmp_path / "c.npz", x=images)
    assert verify(out, dataset=f"npz:{tmp_path / 'c.npz'}").ok
    images[0, 0, 0] ^= 1
    np.save(moved, images)
    with pytest.raises(SourceError, match=r"does not hold the images that .*pairs\.h5' was made from"):
        verify(out, dataset=f"npy:{moved}")


def test_takes_an_open_source(made):
    assert verify(made, sample=3, dataset=Digits(5)).ok
    with pytest.raises(SourceError, match="hash"):
        verify(made, dataset=Digits(6))


def test_folders_open_with_their_options(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    out = blurgen.make(f"folder:{tmp_path / 'here'}", tmp_path / "p.h5", "anime-box", patch="16x12", stride=7)
    assert verify(out, sample=None).ok
    assert verify(out, dataset=f"folder:{tmp_path / 'there'}").ok


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"sample": -1}, "sample -1: 0 rows or more"), ({"threads": 0}, "threads 0: a whole number from 1")],
)
def test_refuses(made, arguments, message):
    with pytest.raises(InputError, match=message):
        verify(made, **arguments)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(FileError, match="there is no such file"):
        verify(tmp_path / "none.h5")


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000, 360_000])
@pytest.mark.parametrize("sample", [1, 2, 3, 999, 1000])
def test_samples_spread_evenly(count, sample):
    rows = sampled_rows(count, sample)
    assert rows.size == min(count, sample)
    assert rows[0] == 0
    assert sample == 1 or rows[-1] == count - 1
    assert (np.diff(rows) > 0).all()
    if sample > 1:
        assert np.diff(rows).max(initial=1) <= 2 * -(-count // rows.size)


def test_samples_meet_every_copy():
    rows = sampled_rows(360_000, 1000)
    assert np.bincount(rows % 6).min() > 100


def test_result_is_empty_where_nothing_differs():
    found = Verification("x", 3, 3, {}, "1")
    assert found.ok
    assert "all 3 pairs" in str(found)
