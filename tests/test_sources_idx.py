import gzip
import hashlib
import json
import pickle
import struct
import subprocess
import sys
import time
from dataclasses import replace

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from blurgen.errors import InputError, SourceError
from blurgen.sources import SOURCES, download, idx, open_source
from blurgen.sources.idx import Dataset, Published, read_idx
from blurgen.sources.memory import content_sha256


def idx_bytes(array):
    """The format as Yann LeCun's page describes it, written independently of the reader."""
    magic = bytes([0, 0, 8, array.ndim])
    return magic + b"".join(struct.pack(">i", n) for n in array.shape) + array.tobytes()


def some_images(count=7, height=5, width=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width), np.uint8)


@pytest.fixture(autouse=True)
def _nothing_elsewhere(monkeypatch, tmp_path):
    """No test finds files, or reaches the network, by accident."""
    monkeypatch.delenv("BLURGEN_DATA", raising=False)
    monkeypatch.setattr(download, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(download, "MIRRORS", dict.fromkeys(download.MIRRORS, ()))


@pytest.fixture
def tiny(monkeypatch):
    """A published data set of 7 images for training and 3 for testing, in place of KMNIST."""
    content = {}
    splits = {}
    for split, count in (("train", 7), ("test", 3)):
        images = some_images(count, seed=count)
        labels = np.arange(count, dtype=np.uint8)
        stems = f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"
        content |= {stems[0]: images, stems[1]: labels}
        splits[split] = tuple(
            Published(stem, array.shape, "0" * 64, hashlib.md5(idx_bytes(array)).hexdigest())
            for stem, array in zip(stems, (images, labels), strict=True)
        )
    monkeypatch.setitem(idx.DATASETS, "kmnist", Dataset(("kmnist", "KMNIST/raw", "."), splits))
    return content


def lay(folder, content, spell=lambda stem: stem, pack=lambda data: data):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in content.items():
        (folder / spell(stem)).write_bytes(pack(idx_bytes(array)))


# Real data


@pytest.mark.parametrize(
    ("split", "count", "first"), [("train", 60000, [5, 0, 4]), ("test", 10000, [7, 2, 1])]
)
def test_mnist(split, count, first):
    source = open_source("mnist", data_dir=shared("datasets"), split=split)
    assert (source.length, source.shape, source.options) == (count, (28, 28, 1), {"split": split})
    assert source.has_labels
    np.testing.assert_array_equal(source.labels(0, 3), first)
    assert source.labels(0, 3).dtype == np.int64
    images = source.read(0, count)
    # The published MD5 covers header and pixels.
    header = struct.pack(">4i", 2051, count, 28, 28)
    md5 = {"train": "6bbc9ace898e44ae57da46a324031adb", "test": "2646ac647ad5339dbf082846283269ea"}[split]
    assert hashlib.md5(header + images.tobytes()).hexdigest() == md5
    assert images.flags.c_contiguous
    assert images.flags.writeable


def test_mnist_opens_fast():
    folder = shared("datasets")
    started = time.process_time()
    open_source("mnist", data_dir=folder)
    assert time.process_time() - started < 2  # of the processor; 0.3 where it has nothing else to do


def test_fashion_sample():
    source = open_source(f"idx:{shared('datasets/fashion-mnist-sample')}/sample900-images-idx3-ubyte.gz")
    assert (source.length, source.shape, source.has_labels, source.options) == (900, (28, 28, 1), False, {})
    with pytest.raises(SourceError, match="no labels"):
        source.labels(0, 1)


def test_one_byte_off_is_not_mnist(tmp_path):
    folder = shared("datasets", "mnist")
    for path in folder.iterdir():
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[-1] ^= path.name.startswith("t10k-images")
        (tmp_path / path.name.removesuffix(".gz")).write_bytes(content)
    open_source("mnist", data_dir=tmp_path, split="train")
    with pytest.raises(
        SourceError, match=r"t10k-images-idx3-ubyte is not the published file: MD5 .* 2646ac64"
    ):
        open_source("mnist", data_dir=tmp_path, split="test")


def test_mnist_is_not_fashion_mnist():
    with pytest.raises(SourceError, match="belongs to MNIST, not to fashion-mnist"):
        open_source("fashion-mnist", data_dir=shared("datasets", "mnist"))


# Finding files


@pytest.mark.parametrize("folder", ["", "kmnist", "KMNIST/raw"])
@pytest.mark.parametrize("spell", [str, lambda stem: stem.replace("-idx", ".idx")])
@pytest.mark.parametrize("packed", [False, True])
def test_every_spelling(tmp_path, tiny, folder, spell, packed):
    lay(
        tmp_path / folder,
        tiny,
        (lambda stem: spell(stem) + ".gz") if packed else spell,
        gzip.compress if packed else bytes,
    )
    for split in ("train", "test"):
        source = open_source("kmnist", data_dir=tmp_path, split=split)
        expected = tiny[f"{split}-images-idx3-ubyte"]
        np.testing.assert_array_equal(source.read(0, len(expected))[..., 0], expected)
        np.testing.assert_array_equal(source.labels(1, 3), [1, 2])
        assert source.sha256 == content_sha256((*expected.shape, 1), [expected])


def test_environment_variable(tmp_path, tiny, monkeypatch):
    lay(tmp_path, tiny)
    monkeypatch.setenv("BLURGEN_DATA", str(tmp_path))
    assert open_source("kmnist").length == 7


def test_argument_goes_before_environment(tmp_path, tiny, monkeypatch):
    lay(tmp_path / "here", tiny)
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("BLURGEN_DATA", str(tmp_path / "there"))
    assert open_source("kmnist", data_dir=tmp_path / "here").length == 7


def test_unpacked_by_name_only(tmp_path, tiny):
    """Some servers and browsers decompress on the way and keep the name."""
    lay(tmp_path, tiny, lambda stem: f"{stem}.gz")
    assert open_source("kmnist", data_dir=tmp_path).length == 7


def test_absent_folder_is_named(tmp_path, monkeypatch):
    with pytest.raises(SourceError, match=r"data_dir names .*nowhere, which is not a folder"):
        open_source("mnist", data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("BLURGEN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match=r"BLURGEN_DATA names .*nowhere"):
        open_source("mnist")


def test_other_count_is_refused(tmp_path, tiny, monkeypatch):
    images, labels = idx.DATASETS["kmnist"].splits["train"]
    more = replace(images, shape=(8, 5, 4), md5=None)
    monkeypatch.setitem(idx.DATASETS["kmnist"].splits, "train", (more, labels))
    lay(tmp_path, tiny)
    with pytest.raises(SourceError, match="holds 7×5×4, kmnist has 8×5×4"):
        open_source("kmnist", data_dir=tmp_path)


def test_emnist_is_upright(tmp_path, monkeypatch):
    image = some_images(2, 5, 5)
    labels = np.array([3, 4], np.uint8)
    real = idx.DATASETS["emnist-digits"]
    parts = (
        replace(real.splits["train"][0], shape=(2, 5, 5)),
        replace(real.splits["train"][1], shape=(2,)),
    )
    monkeypatch.setitem(idx.DATASETS, "emnist-digits", replace(real, splits={"train": parts}))
    lay(tmp_path / "gzip", {parts[0].stem: image.transpose(0, 2, 1), parts[1].stem: labels})
    source = open_source("emnist-digits", data_dir=tmp_path)
    np.testing.assert_array_equal(source.read(0, 2)[..., 0], image)


# Any IDX file


@pytest.mark.parametrize("name", ["a-images-idx3-ubyte", "a-images.idx3-ubyte", "a-images-idx3-ubyte.gz"])
def test_labels_beside(tmp_path, name):
    (tmp_path / name).write_bytes(idx_bytes(some_images()))
    (tmp_path / "a-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.arange(7, dtype=np.uint8))))
    source = open_source(f"idx:{tmp_path / name}")
    assert source.has_labels
    np.testing.assert_array_equal(source.labels(2, 5), [2, 3, 4])


def test_labels_of_another_length(tmp_path):
    (tmp_path / "a-images-idx3-ubyte").write_bytes(idx_bytes(some_images()))
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(6, dtype=np.uint8)))
    with pytest.raises(SourceError, match="6 labels for the 7 images"):
        open_source(f"idx:{tmp_path}/a-images-idx3-ubyte")


@given(
    images=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=3, max_dims=3, max_side=9)), data=st.data()
)
def test_round_trip(tmp_path_factory, images, data):
    path = tmp_path_factory.mktemp("idx") / "x"
    content = idx_bytes(images)
    path.write_bytes(gzip.compress(content, 1) if data.draw(st.booleans()) else content)
    source = open_source(f"idx:{path}")
    start = data.draw(st.integers(0, len(images)))
    stop = data.draw(st.integers(start, len(images)))
    np.testing.assert_array_equal(source.read(start, stop), images[start:stop, ..., np.newaxis])


@given(content=st.binary(max_size=200))
def test_any_bytes_give_images_or_our_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("idx") / "x"
    for lead in (b"", b"\x1f\x8b", bytes([0, 0, 8, 3]), gzip.compress(content)[:20]):
        path.write_bytes(lead + content)
        try:
            images = read_idx(path, 3)
        except SourceError as error:
            message = str(error)
        else:
            written = lead + content
            assert idx_bytes(images) == (gzip.decompress(written) if written[0] == 0x1F else written)
            continue
        assert str(path) in message


DAMAGE = {
    "truncated gzip": (lambda raw: gzip.compress(raw)[:-20], "is truncated: its gzip stream ends early"),
    "half a gzip": (lambda raw: gzip.compress(raw)[:30], "is truncated"),
    "wrong CRC": (lambda raw: gzip.compress(raw)[:-8] + bytes(8), "is damaged: CRC"),
    "damaged gzip": (lambda raw: gzip.compress(raw)[:10] + b"\xff" * 90, "is damaged"),
    "not IDX": (lambda raw: b"<html>" + raw, "magic number 0x3c68746d, expected 0x00000803"),
    "labels": (lambda raw: bytes([0, 0, 8, 1]) + raw[4:], "magic number 0x00000801, expected 0x00000803"),
    "floats": (lambda raw: bytes([0, 0, 13, 3]) + raw[4:], "magic number 0x00000d03"),
    "short": (lambda raw: raw[:-1], r"holds 139 bytes of data, its header says 7×5×4 = 140"),
    "long": (lambda raw: raw + b"x", "holds more than 140 bytes of data, its header says 7×5×4"),
    "a stump": (lambda raw: raw[:9], "is truncated: 9 bytes"),
    "nothing": (lambda raw: b"", "is truncated: 0 bytes"),
    "no images": (lambda raw: idx_bytes(np.zeros((0, 28, 28), np.uint8)), "holds nothing: .* 0×28×28"),
    "very many rows of nothing": (
        lambda raw: bytes([0, 0, 8, 3]) + b"\xff" * 8 + bytes(4),
        "holds nothing: .* 4294967295×4294967295×0",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(tmp_path, damage):
    spoil, message = DAMAGE[damage]
    path = tmp_path / "x-images-idx3-ubyte.gz"
    path.write_bytes(spoil(idx_bytes(some_images())))
    with pytest.raises(SourceError, match=message) as caught:
        open_source(f"idx:{path}")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_absent_file(tmp_path):
    with pytest.raises(SourceError, match="nothing cannot be read: No such file"):
        open_source(f"idx:{tmp_path}/nothing")


# What every source keeps to


def test_reads_are_the_callers_own(tmp_path):
    (tmp_path / "x").write_bytes(idx_bytes(some_images()))
    source = open_source(f"idx:{tmp_path}/x")
    source.read(0, 7)[:] = 0
    np.testing.assert_array_equal(source.read(0, 7)[..., 0], some_images())


def test_pickles(tmp_path, tiny):
    lay(tmp_path, tiny)
    source = open_source("kmnist", data_dir=tmp_path)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.read(0, 7), source.read(0, 7))
    assert again.sha256 == source.sha256
    assert json.loads(json.dumps(again.options)) == {"split": "train"}


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 8), (8, 8)])
def test_range_is_checked(tmp_path, start, stop):
    (tmp_path / "x").write_bytes(idx_bytes(some_images()))
    with pytest.raises(SourceError, match="holds 7 images"):
        open_source(f"idx:{tmp_path}/x").read(start, stop)


def test_hash_says_what_is_held():
    images = some_images(6)[..., np.newaxis]
    whole = content_sha256(images.shape, [images])
    assert whole == hashlib.sha256(b"6 5 4 1\n" + images.tobytes()).hexdigest()
    assert content_sha256(images.shape, [images[:2], images[2:]]) == whole
    assert content_sha256((6, 4, 5, 1), [images]) != whole


# Names


@pytest.mark.parametrize("name", ["minst", "MNIST", "fashion_mnist", "folders:x", "digit"])
def test_misspelt_source(name):
    close = {"minst": "mnist", "MNIST": "mnist", "fashion_mnist": "fashion-mnist", "digit": "digits"}
    with pytest.raises(InputError, match=f"did you mean '{close.get(name, 'folder')}'") as caught:
        open_source(name)
    assert all(kind in str(caught.value) for kind in SOURCES)


def test_bare_path(tmp_path):
    with pytest.raises(InputError, match=f"did you mean 'folder:{tmp_path}'"):
        open_source(str(tmp_path))
    (tmp_path / "x.mat").touch()
    with pytest.raises(InputError, match=f"did you mean 'mat:{tmp_path}/x.mat'"):
        open_source(f"{tmp_path}/x.mat")


def test_no_path():
    with pytest.raises(InputError, match="names no path; allowed is mat:PATH#VARIABLE"):
        open_source("mat:")


def test_unknown_option():
    with pytest.raises(InputError, match=r"no option 'splti', did you mean 'split'.; it takes split"):
        open_source("mnist", splti="test")
    with pytest.raises(InputError, match="no option 'pach', did you mean 'patch'"):
        open_source("folder:x", pach=3)
    with pytest.raises(InputError, match="no option 'split'; it takes none"):
        open_source("idx:x", split="test")


def test_unknown_split():
    with pytest.raises(InputError, match="split 'val', allowed are 'train' and 'test'"):
        open_source("mnist", split="val")


def test_import_is_cheap():
    heavy = ("h5py", "scipy", "PIL", "numba", "rich", "requests")
    code = f"import sys, blurgen.sources as s; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
