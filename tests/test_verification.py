import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
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
    assert str(made) in str(found)


def test_the_datasets_are_those_of_the_file(made):
    assert list(verification._stored(blurgen.open_pairs(made))) == DATASETS


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("row", [0, 123, COUNT - 1])
def test_a_flipped_bit_is_found_in_every_dataset(copy, dataset, row):
    flip(copy, dataset, row)
    found = verify(copy, sample=None, threads=1)
    assert not found.ok
    assert list(found.differing) == [dataset]
    assert found.differing[dataset].tolist() == [row]
    assert f"{dataset} in row {row}" in str(found)


@pytest.mark.parametrize("row", [0, COUNT - 1])
def test_every_sample_holds_the_first_and_last_row(copy, row):
    flip(copy, "blurred", row)
    assert verify(copy, sample=2).rows_differing.tolist() == [row]


def test_names_ranges_and_no_more_than_a_few(copy):
    for row in (3, 4, 5, 9, 20, 30, 40, 50, 60):
        flip(copy, "sharp", row)
    flip(copy, "label", 4)
    found = verify(copy, sample=None)
    assert found.rows_differing.tolist() == [3, 4, 5, 9, 20, 30, 40, 50, 60]
    assert "9 of 301 pairs checked differ" in str(found)
    assert "sharp in rows 3–5, 9, 20, 30, 40, …" in str(found)
    assert "label in row 4" in str(found)


def test_threads_and_progress_change_nothing(copy):
    flip(copy, "psf", 77)
    seen = []
    one = verify(copy, sample=None, threads=1)
    three = verify(copy, sample=None, threads=3, progress=lambda done, total: seen.append((done, total)))
    assert str(one) == str(three)
    assert seen[0] == (0, COUNT)
    assert seen[-1] == (COUNT, COUNT)
    assert seen == sorted(seen)


def test_says_that_another_version_made_it(tmp_path):
    path = tmp_path / "old.h5"
    source = Digits()
    header = header_for(source, blurgen.load_recipe("mnist-motion"), seed=0, count=4, psf=False)
    old = replace(header, version="0.0.1")
    with PairWriter(path, old) as writer:
        writer.write(0, remake(source, header, 0, 4))
    assert "0.0.1" not in str(verify(path))
    flip(path, "sharp", 2)
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
    [({"sample": 0}, "sample 0: at least 1"), ({"threads": 0}, "threads 0: a whole number from 1")],
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
