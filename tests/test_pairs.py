import json
import pickle
import time
from itertools import pairwise

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import blurgen
from blurgen.errors import BlurgenError, FileError
from blurgen.recipe import Recipe
from blurgen.sources.memory import LabelledMemorySource, MemorySource

PAGE = 4096
COUNT = 38  # no multiple of the recipe's copies
RECIPE = Recipe.from_yaml(
    """
name: mélange
description: σ in px
copies: 3
stages:
  - motion: {length: {uniform: [3, 5]}, angle: {uniform: [0, 180]}}
  - maybe:
      probability: 0.5
      stages:
        - box: {size: {choice: [3, 5]}}
        - gaussian: {sigma: {uniform: [0.8, 1]}}
"""
)
IMAGES = np.random.default_rng(1).integers(0, 256, (13, 16, 20, 3), dtype=np.uint8)
SOURCE = LabelledMemorySource("photos", {"patch": 16}, IMAGES, np.arange(13, dtype=np.uint8)[::-1])
FLOATS = ["0.motion.angle", "0.motion.length", "1.maybe.1.gaussian.sigma"]
INTEGERS = ["1.maybe.0.box.size", "1.maybe.1.gaussian.size", "1.maybe.applied"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "pairs.h5"
    return blurgen.make(SOURCE, out, RECIPE, count=COUNT, seed=2**63 + 5, psf=True, threads=2)


@pytest.fixture(scope="module")
def pairs(made):
    return blurgen.open_pairs(made)


@pytest.fixture
def copy(made, tmp_path):
    path = tmp_path / "copy.h5"
    path.write_bytes(made.read_bytes())
    return path


def places(path):
    """Name → (offset, bytes) of every dataset, by h5py alone."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = (item.id.get_offset(), item.nbytes)

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


def assert_one_sentence(error):
    text = str(error.value if hasattr(error, "value") else error)
    assert text
    assert "\n" not in text
    assert "  " not in text
    assert len(text) < 500


# The format


def test_attributes(made):
    with h5py.File(made, "r") as file:
        raw = dict(file.attrs)
        kinds = {name: file.attrs.get_id(name).get_type() for name in raw}
        spaces = {file.attrs.get_id(name).get_space().get_simple_extent_type() for name in raw}
    texts = {
        "format": "blurgen-pairs",
        "blurgen_version": blurgen.__version__,
        "recipe": RECIPE.to_json(),
        "recipe_name": "mélange",
        "dataset": "photos",
        "dataset_options": '{"patch": 16}',
        "dataset_sha256": SOURCE.sha256,
    }
    numbers = {"format_version": 1, "count": COUNT, "copies": 3, "seed": 2**63 + 5}
    numbers |= {"first": 0, "whole_count": COUNT, "block_rows": COUNT}
    assert set(raw) == set(texts) | set(numbers)
    for name, text in texts.items():
        assert isinstance(kinds[name], h5py.h5t.TypeStringID)
        assert kinds[name].get_cset() == h5py.h5t.CSET_UTF8
        assert not kinds[name].is_variable_str()
        assert bytes(raw[name]).decode() == text
    for name, number in numbers.items():
        assert kinds[name].equal(h5py.h5t.STD_U64LE if name == "seed" else h5py.h5t.STD_I64LE)
        assert raw[name] == number
    assert spaces == {h5py.h5s.SCALAR}
    assert Recipe.from_dict(json.loads(bytes(raw["recipe"]))) == RECIPE


def test_datasets(made):
    with h5py.File(made, "r") as file:
        found = {}
        file.visititems(lambda name, item: found.setdefault(name, item) and None)
        groups = [name for name, item in found.items() if isinstance(item, h5py.Group)]
        shapes = {n: (i.shape, i.dtype.str) for n, i in found.items() if isinstance(i, h5py.Dataset)}
        assert not any(len(item.attrs) for item in found.values())
    size = RECIPE.psf_size
    assert groups == ["crc32", "params"]
    assert shapes == {
        "sharp": ((COUNT, 16, 20, 3), "|u1"),
        "blurred": ((COUNT, 16, 20, 3), "|u1"),
        **{f"params/{name}": ((COUNT,), "<f8") for name in FLOATS},
        **{f"params/{name}": ((COUNT,), "<i8") for name in INTEGERS},
        "source_index": ((COUNT,), "<i8"),
        "label": ((COUNT,), "<i8"),
        "psf": ((COUNT, size, size), "<f4"),
        "crc32/blocks": ((1, 11), "<u4"),
        "crc32/file": ((3,), "<u4"),
    }


def test_only_what_there_is(tmp_path):
    source = MemorySource("photos", {}, IMAGES)
    with h5py.File(blurgen.make(source, tmp_path / "a.h5", RECIPE), "r") as file:
        assert set(file) == {"sharp", "blurred", "params", "source_index", "crc32"}


def test_layout(made):
    found = places(made)
    with h5py.File(made, "r") as file:
        for name in found:
            creation = file[name].id.get_create_plist()
            assert creation.get_layout() == h5py.h5d.CONTIGUOUS
            assert creation.get_nfilters() == 0
    ends = [(begin, begin + length) for begin, length in found.values()]
    assert len(ends) == 13
    assert max(end for _, end in ends) <= made.stat().st_size
    assert all(first[1] <= second[0] for first, second in pairwise(sorted(ends)))
    assert all(begin % PAGE == 0 for begin, length in found.values() if length >= PAGE)


def test_every_column_of_a_page_begins_on_one(tmp_path):
    found = places(blurgen.make("digits", tmp_path / "a.h5", count=513, psf=True))
    del found["crc32/blocks"], found["crc32/file"]
    assert {name: begin % PAGE for name, (begin, _) in found.items()} == dict.fromkeys(found, 0)


def test_raw_bytes_are_the_rows(made):
    raw = made.read_bytes()
    with h5py.File(made, "r") as file:
        for name, (begin, length) in places(made).items():
            assert raw[begin : begin + length] == file[name][...].tobytes()


def test_no_clock_in_the_file(tmp_path):
    first = blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, psf=True).read_bytes()
    second = time.time() // 1
    while time.time() // 1 == second:  # HDF5 counts whole seconds
        time.sleep(0.05)
    assert blurgen.make(SOURCE, tmp_path / "b.h5", RECIPE, psf=True).read_bytes() == first
    with h5py.File(tmp_path / "a.h5", "r") as file:
        names = ["/"]
        file.visit(names.append)
        assert [h5py.h5g.get_objinfo(file.id, name.encode()).mtime for name in names] == [0] * len(names)


def test_neither_path_nor_host_in_the_file(made, tmp_path):
    elsewhere = tmp_path / "some-folder" / "quite-another-name.h5"
    elsewhere.parent.mkdir()
    blurgen.make(SOURCE, elsewhere, RECIPE, count=COUNT, seed=2**63 + 5, psf=True, threads=1)
    assert elsewhere.read_bytes() == made.read_bytes()


# What stands in it


def test_values_through_plain_h5py(made):
    index = np.arange(COUNT)
    expected = blurgen.degrade(IMAGES[index // 3], RECIPE, seed=2**63 + 5)
    with h5py.File(made, "r") as file:
        assert np.array_equal(file["sharp"][...], IMAGES[index // 3])
        assert np.array_equal(file["blurred"][...], expected.blurred)
        assert set(file["params"]) == set(expected.params)
        for name, column in expected.params.items():
            assert np.array_equal(file["params"][name][...], column, equal_nan=column.dtype.kind == "f")
        assert np.array_equal(file["source_index"][...], index // 3)
        assert np.array_equal(file["label"][...], 12 - index // 3)
        assert np.array_equal(
            file["psf"][...], RECIPE.psfs(expected.params, RECIPE.draws(2**63 + 5, np.arange(COUNT)))
        )


def test_absent_values(pairs):
    applied = pairs.params["1.maybe.applied"] == 1
    assert 0 < applied.sum() < COUNT
    assert set(pairs.params["1.maybe.0.box.size"][~applied]) == {-1}
    assert set(pairs.params["1.maybe.0.box.size"][applied]) == {3, 5}
    assert np.array_equal(np.isnan(pairs.params["1.maybe.1.gaussian.sigma"]), ~applied)


def test_psfs_blur_the_sharp_images(pairs):
    assert pairs.psf.shape[1:] == (RECIPE.psf_size, RECIPE.psf_size)
    assert np.allclose(pairs.psf.sum(axis=(1, 2)), 1, atol=1e-5)
    again = blurgen.convolve(np.asarray(pairs.sharp), np.asarray(pairs.psf)).astype(int)
    inner = np.s_[:, 5:-5, 5:-5]  # between the stages lie borders and rounding
    assert np.abs(again - pairs.blurred)[inner].max() <= 2
    other = blurgen.convolve(np.asarray(pairs.sharp), np.asarray(pairs.psf[::-1])).astype(int)
    assert np.abs(other - pairs.blurred)[inner].max() > 20


# Reading by PairFile


def test_header(pairs):
    header = pairs.header
    assert (header.recipe, pairs.recipe) == (RECIPE, RECIPE)
    assert (header.seed, pairs.seed) == (2**63 + 5, 2**63 + 5)
    assert (header.dataset, header.dataset_options) == ("photos", {"patch": 16})
    assert header.dataset_sha256 == SOURCE.sha256
    assert (header.count, header.shape) == (COUNT, (16, 20, 3))
    assert header.has_labels
    assert header.psf_size == RECIPE.psf_size
    assert header.version == blurgen.__version__


def test_columns(pairs):
    assert len(pairs) == COUNT
    assert (pairs.sharp.shape, pairs.sharp.dtype) == ((COUNT, 16, 20, 3), np.uint8)
    assert (pairs.blurred.shape, pairs.blurred.dtype) == ((COUNT, 16, 20, 3), np.uint8)
    assert set(pairs.params) == {*FLOATS, *INTEGERS}
    assert {pairs.params[name].dtype for name in FLOATS} == {np.dtype("f8")}
    assert {pairs.params[name].dtype for name in INTEGERS} == {np.dtype("i8")}
    assert (pairs.source_index.dtype, pairs.label.dtype, pairs.psf.dtype) == ("i8", "i8", "f4")


def test_columns_are_read_only(pairs):
    with pytest.raises(ValueError, match="read-only"):
        pairs.sharp[0] = 0


def test_no_labels_no_psfs(tmp_path):
    pairs = blurgen.open_pairs(blurgen.make(MemorySource("x", {}, IMAGES), tmp_path / "a.h5", RECIPE))
    assert pairs.label is None
    assert pairs.psf is None
    assert not pairs.header.has_labels
    assert pairs.header.psf_size == 0
    assert len(pairs) == 39


@pytest.mark.parametrize("key", [0, 7, COUNT - 1, -1, -COUNT, np.int64(4), np.uint8(4)])
def test_one_pair(pairs, key):
    sharp, blurred, params = pairs[key]
    assert np.array_equal(sharp, pairs.sharp[int(key)])
    assert np.array_equal(blurred, pairs.blurred[int(key)])
    assert sharp.shape == blurred.shape == (16, 20, 3)
    assert list(params) == list(pairs.params)
    for name, value in params.items():
        assert type(value) is (float if name in FLOATS else int)
        assert np.array_equal(value, pairs.params[name][int(key)], equal_nan=name in FLOATS)


@pytest.mark.parametrize(
    "key",
    [
        slice(2, 9),
        slice(None, None, 5),
        slice(30, 100),
        slice(-3, None),
        slice(9, 2, -2),
        slice(5, 5),
        np.array([3, 3, -1, 0]),
        np.array([], dtype=np.int64),
        np.arange(COUNT) % 7 == 0,
    ],
    ids=str,
)
def test_several_pairs(pairs, key):
    some = pairs[key]
    rows = np.arange(COUNT)[key]
    assert isinstance(some, blurgen.Pairs)
    assert len(some) == len(rows)
    assert np.array_equal(some.sharp, np.asarray(pairs.sharp)[rows])
    assert np.array_equal(some.blurred, np.asarray(pairs.blurred)[rows])
    assert list(some.params) == list(pairs.params)
    for name, column in some.params.items():
        assert np.array_equal(column, pairs.params[name][rows], equal_nan=name in FLOATS)


def test_iteration(pairs):
    rows = list(pairs)
    assert len(rows) == COUNT
    assert np.array_equal([row.blurred for row in rows], pairs.blurred)
    assert [row.params["0.motion.angle"] for row in rows] == list(pairs.params["0.motion.angle"])


@pytest.mark.parametrize("key", [COUNT, -COUNT - 1, 10**30, np.int64(COUNT)])
def test_no_such_pair(pairs, key):
    with pytest.raises(IndexError, match=f"pair {key} of {COUNT}"):
        pairs[key]


def test_no_such_pair_in_an_array(pairs):
    with pytest.raises(IndexError):
        pairs[np.array([0, COUNT])]


def test_pickles_small(pairs):
    assert pairs.sharp.shape[0] == COUNT  # mapped already
    pickled = pickle.dumps(pairs)
    assert len(pickled) < 20_000
    again = pickle.loads(pickled)
    assert again.header == pairs.header
    assert np.array_equal(again.blurred, pairs.blurred)
    assert np.array_equal(again.params["1.maybe.applied"], pairs.params["1.maybe.applied"])


def test_repr(pairs, made):
    assert repr(pairs) == f"PairFile('{made}', {COUNT} pairs of 16×20×3, 'mélange')"


def test_opens_text_paths(made):
    assert blurgen.open_pairs(str(made)).header == blurgen.open_pairs(made).header


def test_read_only_file_in_a_read_only_folder(copy):
    copy.chmod(0o444)
    copy.parent.chmod(0o555)
    try:
        assert len(blurgen.open_pairs(copy)) == COUNT
        assert [path.name for path in copy.parent.iterdir()] == ["copy.h5"]
    finally:
        copy.parent.chmod(0o755)


def test_single_row(tmp_path):
    pairs = blurgen.open_pairs(blurgen.make(SOURCE, tmp_path / "a.h5", RECIPE, count=1))
    assert len(list(pairs)) == 1
    assert np.array_equal(pairs[0].sharp, IMAGES[0])


def test_images_of_few_bytes(tmp_path):
    recipe = Recipe.from_yaml("name: n\nstages: [gaussian_noise: {sigma: {uniform: [1, 2]}}]")
    images = np.arange(5 * 3, dtype=np.uint8).reshape(5, 1, 3, 1)
    pairs = blurgen.open_pairs(blurgen.make(MemorySource("x", {}, images), tmp_path / "a.h5", recipe))
    assert np.array_equal(pairs.sharp, images)
    assert np.array_equal(pairs.source_index, np.arange(5))
    assert pairs.source_index.flags.aligned
    assert pairs.params["0.gaussian_noise.sigma"].flags.aligned


@pytest.mark.parametrize("length", [1, 30_000])
def test_long_recipes(tmp_path, length):
    recipe = Recipe(name="n", description="ä" * length, stages=RECIPE.stages)
    made = blurgen.make(SOURCE, tmp_path / "a.h5", recipe, count=2) if length == 1 else None
    if made:
        assert blurgen.open_pairs(made).recipe == recipe
        return
    with pytest.raises(BlurgenError, match="recipe takes 60") as error:
        blurgen.make(SOURCE, tmp_path / "a.h5", recipe, count=2)
    assert_one_sentence(error)
    assert list(tmp_path.iterdir()) == []


def test_recipe_of_nearly_the_longest_size(tmp_path):
    recipe = Recipe(name="n", description="ä" * 29_000, stages=RECIPE.stages)
    assert blurgen.open_pairs(blurgen.make(SOURCE, tmp_path / "a.h5", recipe, count=2)).recipe == recipe


# What is no good pair file


def refused(path, match):
    with pytest.raises(FileError, match=match or None) as error:
        blurgen.open_pairs(path)
    assert_one_sentence(error)
    assert path.name in str(error.value)


def test_absent(tmp_path):
    refused(tmp_path / "none.h5", "[Nn]o such file")


def test_folder(tmp_path):
    refused(tmp_path, "cannot be read")


@pytest.mark.parametrize("content", [b"", b"no HDF5" * 1000, b"\x89HDF\r\n\x1a\n"])
def test_not_hdf5(tmp_path, content):
    (tmp_path / "x.h5").write_bytes(content)
    refused(tmp_path / "x.h5", "cannot be read")


def test_other_hdf5(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["sharp"] = np.zeros((3, 4, 4, 1), np.uint8)
    refused(tmp_path / "x.h5", "is an HDF5 file but no pair file")


@pytest.mark.parametrize("version", [2, 2**40])
def test_newer_format(copy, version):
    with h5py.File(copy, "r+") as file:
        file.attrs["format_version"] = version
    refused(copy, f"format version {version}; this blurgen .* reads up to 1: a newer one is needed")


@pytest.mark.parametrize(
    "name",
    [
        "blurgen_version",
        "recipe",
        "seed",
        "dataset",
        "dataset_options",
        "dataset_sha256",
        "count",
        "first",
        "whole_count",
        "block_rows",
    ],
)
def test_missing_attribute(copy, name):
    with h5py.File(copy, "r+") as file:
        del file.attrs[name]
    refused(copy, f"lacks the attribute '{name}'")


@pytest.mark.parametrize("name", ["format", "format_version"])
def test_missing_mark(copy, name):
    with h5py.File(copy, "r+") as file:
        del file.attrs[name]
    refused(copy, "no pair file" if name == "format" else "format version")


@pytest.mark.parametrize(
    "name",
    [
        "sharp",
        "blurred",
        "source_index",
        "params",
        "params/0.motion.angle",
        "params/1.maybe.applied",
        "crc32",
        "crc32/blocks",
        "crc32/file",
    ],
)
def test_missing_dataset(copy, name):
    with h5py.File(copy, "r+") as file:
        del file[name]
    refused(copy, "lacks the dataset")


@pytest.mark.parametrize("name", ["sharp", "blurred", "source_index", "label", "params/0.motion.angle"])
@pytest.mark.parametrize("change", ["shape", "dtype"])
def test_other_dataset(copy, name, change):
    with h5py.File(copy, "r+") as file:
        old = file[name][...]
        del file[name]
        file[name] = old[:-1] if change == "shape" else old.astype(np.int16)
    refused(copy, f"dataset '{name}' is|lacks")


@pytest.mark.parametrize("name", ["recipe", "dataset_options"])
@pytest.mark.parametrize("text", ["", "{", '{"name": "x", "stages": [', "\udc80"])
def test_damaged_json(copy, name, text):
    with h5py.File(copy, "r+") as file:
        raw = text.encode("utf-8", "surrogateescape")
        file.attrs.create(name, np.bytes_(raw or b"\0"))
    refused(copy, "an attribute is damaged")


@pytest.mark.parametrize("text", ["[]", "3", '"x"', '{"name": "x"}', '{"name": "x", "stages": ["none"]}'])
def test_json_but_no_recipe(copy, text):
    with h5py.File(copy, "r+") as file:
        file.attrs["recipe"] = np.bytes_(text.encode())
    with pytest.raises(BlurgenError, match="recipe") as error:
        blurgen.open_pairs(copy)
    assert_one_sentence(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recipe", 1.5),
        ("recipe", [1, 2]),
        ("seed", "text"),
        ("seed", 1.5),
        ("seed", -1),
        ("seed", [1, 2]),
        ("count", [1, 2]),
        ("dataset", 3),
        ("dataset_options", 1.5),
        ("dataset_options", "3"),
        ("format_version", 0),
    ],
)
def test_attribute_of_another_kind(copy, name, value):
    with h5py.File(copy, "r+") as file:
        file.attrs[name] = value
    refused(copy, "")


@pytest.mark.parametrize("value", ["text", 1.5, -1, COUNT + 1])
def test_another_count(copy, value):
    with h5py.File(copy, "r+") as file:
        file.attrs["count"] = value
    refused(copy, "is expected|attribute")


def columns_read(path):
    """Open a file and touch each of its columns; FileError and the like are as good as success."""
    try:
        pairs = blurgen.open_pairs(path)
    except BlurgenError as error:
        assert_one_sentence(error)
        return False
    for column in (pairs.sharp, pairs.blurred, pairs.source_index, pairs.label, pairs.psf):
        assert column is None or len(column) == len(pairs)
        assert column is None or int(np.asarray(column).view(np.uint8).sum()) >= 0
    assert all(len(column) == len(pairs) for column in pairs.params.values())
    assert isinstance(repr(pairs), str)
    return True


def test_repacked_with_chunks(made, tmp_path):
    with h5py.File(made, "r") as old, h5py.File(tmp_path / "x.h5", "w") as new:
        new.attrs.update(old.attrs)
        for name in places(made):
            new.create_dataset(name, data=old[name][...], chunks=True, compression="gzip")
    if columns_read(tmp_path / "x.h5"):
        assert np.array_equal(blurgen.open_pairs(tmp_path / "x.h5").blurred, blurgen.open_pairs(made).blurred)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Where damaged copies go."""
    return tmp_path_factory.mktemp("damaged") / "x.h5"


@settings(max_examples=3 * settings().max_examples)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated(made, damaged, share):
    raw = made.read_bytes()
    length = int(share * len(raw))
    damaged.write_bytes(raw[:length])
    end = max(begin + size for begin, size in places(made).values())
    assert not columns_read(damaged) or length >= end


@settings(max_examples=10 * settings().max_examples)
@given(
    changes=st.lists(st.tuples(st.integers(0, 2**32), st.integers(1, 255)), min_size=1, max_size=4),
    beginning=st.booleans(),
)
def test_flipped_bytes(made, damaged, changes, beginning):
    raw = bytearray(made.read_bytes())
    pixels = np.zeros(len(raw), bool)
    for begin, size in places(made).values():
        pixels[begin : begin + size] = True
    header = np.flatnonzero(~pixels)
    if beginning:  # where most of what HDF5 reads lies
        header = header[header < PAGE]
    for place, change in changes:
        raw[header[place % header.size]] ^= change
    damaged.write_bytes(raw)
    columns_read(damaged)
