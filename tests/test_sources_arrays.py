import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import h5py
import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from blurgen.errors import SourceError
from blurgen.sources import open_source
from blurgen.sources.levels import find_white, to_bytes
from blurgen.sources.memory import content_sha256


def some(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def whole(source):
    return source.read(0, source.length)


GRAY, RGB = some(6, 5, 4), some(6, 5, 4, 3)
GRAY[0, 0, :2] = 0, 255


# MATLAB


def write_mat5(path, **variables):
    scipy.io.savemat(path, variables)


def write_mat73(path, **variables):
    """As MATLAB does: 512 bytes of its own, then HDF5 with the axes in reverse and the class noted."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_group("#refs#")["a"] = some(3, 3, 3)
        for name, array in variables.items():
            is_logical = array.dtype == bool
            file[name] = array.astype(np.uint8).T if is_logical else array.T
            matlab_class = "logical" if is_logical else {"float64": "double"}.get(array.dtype.name, "uint8")
            file[name].attrs["MATLAB_class"] = np.bytes_(matlab_class)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024")


mat_versions = pytest.mark.parametrize("write", [write_mat5, write_mat73])


@mat_versions
@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (GRAY.transpose(1, 2, 0), GRAY[..., None]),
        (RGB.transpose(1, 2, 3, 0), RGB),
        (some(9, 49), some(9, 49).reshape(9, 7, 7, 1)),
        (some(9, 49).astype(float), some(9, 49).reshape(9, 7, 7, 1)),
        (some(9, 49) / 255, some(9, 49).reshape(9, 7, 7, 1)),
        (some(5, 6, 3) > 127, ((some(5, 6, 3) > 127) * np.uint8(255)).transpose(2, 0, 1)[..., None]),
    ],
)
def test_mat_layouts(tmp_path, write, stored, expected):
    write(tmp_path / "x.mat", X=stored, labels=np.arange(16.0).reshape(1, 16))
    for name in ("x.mat", "x.mat#X"):
        source = open_source(f"mat:{tmp_path}/{name}")
        assert (source.length, source.shape) == (len(expected), expected.shape[1:])
        np.testing.assert_array_equal(whole(source), expected)
        assert source.sha256 == content_sha256(expected.shape, [expected])


@mat_versions
def test_mat_variable_has_to_be_chosen(tmp_path, write):
    write(tmp_path / "x.mat", A=some(3, 4), B=some(2, 2, 2))
    with pytest.raises(SourceError, match=r"several arrays of images, add #NAME .*: A \(3×4\), B \(2×2×2\)"):
        open_source(f"mat:{tmp_path}/x.mat")
    with pytest.raises(SourceError, match=r"holds no 'C'; it holds A \(.*\), B"):
        open_source(f"mat:{tmp_path}/x.mat#C")
    np.testing.assert_array_equal(
        whole(open_source(f"mat:{tmp_path}/x.mat#B"))[1, ..., 0], some(2, 2, 2)[..., 1]
    )


def test_mat_without_images(tmp_path):
    write_mat5(tmp_path / "x.mat", v=some(1, 5), text="abc")
    with pytest.raises(SourceError, match="holds no array of images, laid out N×k², H×W×N and H×W×C×N"):
        open_source(f"mat:{tmp_path}/x.mat")


def test_mat_sparse(tmp_path):
    write_mat5(tmp_path / "x.mat", s=scipy.sparse.csc_array(np.eye(4)))
    with pytest.raises(SourceError, match=r"s is sparse; store full\(s\)"):
        open_source(f"mat:{tmp_path}/x.mat#s")


@pytest.mark.parametrize("spoil", [lambda raw: raw[: len(raw) // 2], lambda raw: b"x" * 300, lambda raw: b""])
@mat_versions
def test_mat_damaged(tmp_path, write, spoil):
    write(tmp_path / "x.mat", X=some(50, 784))
    (tmp_path / "x.mat").write_bytes(spoil((tmp_path / "x.mat").read_bytes()))
    with pytest.raises(SourceError, match=r"x\.mat"):
        open_source(f"mat:{tmp_path}/x.mat")


# NumPy


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (GRAY, GRAY[..., None]),
        (RGB, RGB),
        (np.asfortranarray(RGB), RGB),
        (RGB[..., :1], RGB[..., :1]),
        (some(9, 784), some(9, 784).reshape(9, 28, 28, 1)),
        (GRAY.astype(">f4"), GRAY[..., None]),
        (GRAY.astype(np.int64), GRAY[..., None]),
        ((GRAY / 255).astype(np.float32), GRAY[..., None]),
        (GRAY > 99, ((GRAY > 99) * np.uint8(255))[..., None]),
    ],
)
def test_numpy_layouts(tmp_path, stored, expected):
    np.save(tmp_path / "x.npy", stored)
    np.savez(tmp_path / "x.npz", x=stored, y=np.arange(len(stored)))
    np.savez_compressed(tmp_path / "z.npz", x=stored, y=stored)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["group/x"] = stored
        file["group/y"] = np.arange(len(stored))
    for name in ("npy:x.npy", "npz:x.npz", "npz:x.npz#x", "npz:z.npz#x", "hdf5:x.h5", "hdf5:x.h5#/group/x"):
        kind, _, place = name.partition(":")
        source = open_source(f"{kind}:{tmp_path}/{place}")
        assert (source.length, source.shape, source.options) == (len(expected), expected.shape[1:], {})
        np.testing.assert_array_equal(whole(source), expected)
        assert whole(source).flags.c_contiguous
        assert whole(source).flags.writeable
        np.testing.assert_array_equal(source.read(2, 5), expected[2:5])
        assert source.read(3, 3).shape == (0, *expected.shape[1:])
        assert source.sha256 == content_sha256(expected.shape, [expected])


def test_long_array_in_several_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("blurgen.sources.arrays._CHUNK", 100)
    np.save(tmp_path / "x.npy", GRAY / 255)
    source = open_source(f"npy:{tmp_path}/x.npy")
    assert source.sha256 == content_sha256((6, 5, 4, 1), [GRAY])
    (tmp_path / "x.mat").touch()
    scipy.io.savemat(tmp_path / "x.mat", {"x": GRAY.transpose(1, 2, 0) / 255})
    assert open_source(f"mat:{tmp_path}/x.mat").sha256 == source.sha256


def test_python_objects_are_not_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[{}] * 4] * 3, object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([[{}] * 4] * 3, object), allow_pickle=True)
    with pytest.raises(SourceError, match=r"x\.npy cannot be read: .*[Oo]bject"):
        open_source(f"npy:{tmp_path}/x.npy")
    with pytest.raises(SourceError, match=r"x\.npz cannot be read: Object arrays"):
        open_source(f"npz:{tmp_path}/x.npz#x")


def test_npy_and_npz_mistaken(tmp_path):
    np.save(tmp_path / "x.npy", GRAY)
    np.savez(tmp_path / "x.npz", x=GRAY)
    with pytest.raises(SourceError, match=r"x\.npz is an archive of arrays: open it as 'npz:"):
        open_source(f"npy:{tmp_path}/x.npz")
    with pytest.raises(SourceError, match=r"x\.npy is one array, no archive: open it as 'npy:"):
        open_source(f"npz:{tmp_path}/x.npy")


@pytest.mark.parametrize("kind", ["npy", "npz", "hdf5"])
@pytest.mark.parametrize("spoil", [lambda raw: raw[: len(raw) // 2], lambda raw: b"x" * 300, lambda raw: b""])
def test_damaged(tmp_path, kind, spoil):
    path = tmp_path / "file"
    with path.open("wb") as file:
        if kind == "npy":
            np.save(file, some(50, 784))
        elif kind == "npz":
            np.savez(file, x=some(50, 784))
    if kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["x"] = some(50, 784)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(SourceError, match="file cannot be read"):
        open_source(f"{kind}:{path}")


def test_the_name_of_an_array_after_a_colon_is_understood(tmp_path):
    np.savez(tmp_path / "x.npz", a=some(5, 784), b=some(5, 784))
    with pytest.raises(SourceError, match=r"x\.npz:b cannot be read: .*; did you mean .*x\.npz#b\?"):
        open_source(f"npz:{tmp_path}/x.npz:b")


@pytest.mark.parametrize("kind", ["npy", "npz", "hdf5", "mat"])
def test_absent(tmp_path, kind):
    with pytest.raises(SourceError, match=r"nothing cannot be read: .*No such file"):
        open_source(f"{kind}:{tmp_path}/nothing")


def test_hash_sign_in_path(tmp_path):
    (tmp_path / "a#b").mkdir()
    np.savez(tmp_path / "a#b/x.npz", x=GRAY, y=RGB)
    assert open_source(f"npz:{tmp_path}/a#b/x.npz#y").shape == (5, 4, 3)
    np.savez(tmp_path / "c#d.npz", x=GRAY)
    assert open_source(f"npz:{tmp_path}/c#d.npz").shape == (5, 4, 1)


# HDF5


@pytest.fixture
def hdf5(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("sharp", data=RGB, chunks=(2, 5, 4, 3), compression="gzip")
    return open_source(f"hdf5:{tmp_path}/x.h5")


def test_hdf5_in_threads(hdf5):
    with ThreadPoolExecutor(8) as pool:
        for start, images in enumerate(pool.map(lambda i: hdf5.read(i % 6, i % 6 + 1), range(200))):
            np.testing.assert_array_equal(images[0], RGB[start % 6])


def in_child(source, queue):
    queue.put(source.read(1, 4))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_hdf5_in_processes(hdf5, method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=in_child, args=(hdf5, queue))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=60), RGB[1:4])
    child.join()
    np.testing.assert_array_equal(whole(hdf5), RGB)


def test_streamed_sources_pickle_small(tmp_path):
    np.save(tmp_path / "x.npy", some(300, 784))
    source = open_source(f"npy:{tmp_path}/x.npy")
    pickled = pickle.dumps(source)
    assert len(pickled) < 2000
    np.testing.assert_array_equal(whole(pickle.loads(pickled)), whole(source))


def test_zstd_if_installed(tmp_path):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=RGB, chunks=(2, 5, 4, 3), **hdf5plugin.Zstd())
    np.testing.assert_array_equal(whole(open_source(f"hdf5:{tmp_path}/x.h5")), RGB)


# What arrays are refused


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (some(5, 783), "is 5×783; allowed are N×k², N×H×W and N×H×W×C with C 1 or 3"),
        (some(784, 5), "is 784×5; .*; its transpose would do"),
        (some(784), "is 784; allowed"),
        (some(2, 3, 4, 2), "is 2×3×4×2; allowed"),
        (some(2, 3, 4, 3, 1), "is 2×3×4×3×1; allowed"),
        (some(0, 784), "holds no images: it is 0×784"),
        (some(4, 0, 3), "holds no images: it is 4×0×3"),
        (GRAY.astype(np.uint16), "holds uint16: store it as uint8"),
        (GRAY.astype(complex), "holds complex128; allowed"),
        (GRAY - 1.0, r"holds float64 values from -1 to 254; allowed are floats in \[0, 1\] and whole"),
        (GRAY * 1.5, "holds float64 values from .*, not all whole; allowed"),
        (GRAY.astype(np.int16) * 2, "holds int16 values from 0 to 510;"),
        (GRAY / 255 + 1e-6, r"values from 1e-06 to 1\.000001, not all whole"),
        (np.where(np.arange(6) == 4, np.nan, 0.5)[:, None, None] + np.zeros((6, 5, 4)), "NaN .* in image 4"),
        (np.where(np.arange(6) == 2, np.inf, 0.5)[:, None, None] + np.zeros((6, 5, 4)), "first in image 2"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_refused(tmp_path, array, message, kind, monkeypatch):
    monkeypatch.setattr("blurgen.sources.arrays._CHUNK", 500)
    path = tmp_path / "x"
    with path.open("wb") as file:
        np.save(file, array) if kind == "npy" else np.savez(file, a=array)
    place = f"{path}" if kind == "npy" else f"{path}#a"
    with pytest.raises(SourceError, match=message) as caught:
        open_source(f"{kind}:{place}")
    assert str(path) in str(caught.value)


def test_black_and_white_floats_are_not_the_darkest_levels(tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4)[None])
    np.testing.assert_array_equal(whole(open_source(f"npy:{tmp_path}/x.npy"))[0, ..., 0], 255 * np.eye(4))


# Grey levels


@given(
    st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
        lambda dtype: arrays.arrays(
            dtype, (3, 2, 2), elements=st.floats(0, 1, width=np.dtype(dtype).itemsize * 8)
        )
    )
)
def test_unit_floats_round_half_up(values):
    white = find_white(values.dtype, [values], "x")
    # In whole numbers, since a float is a ratio of such.
    expected = []
    for value in values.ravel():
        top, bottom = float(value).as_integer_ratio()
        expected.append((2 * 255 * top + bottom) // (2 * bottom))
    found = to_bytes(values, white).ravel().astype(int)
    # 255 times a double may itself be rounded onto a half: one level off there, never elsewhere.
    close = np.abs(values.ravel().astype(float) * 255 % 1 - 0.5) < 1e-12
    np.testing.assert_array_equal(found[~close], np.array(expected)[~close])
    assert np.all(np.abs(found - expected) <= close)


@given(arrays.arrays(np.uint8, (2, 3, 3)), st.sampled_from(["f2", "f4", "f8", "i2", "i4", "u4", "i8", "u8"]))
def test_whole_numbers_are_grey_levels(levels, dtype):
    values = levels.astype(dtype)
    if dtype[0] == "f" and levels.max() <= 1:
        levels = levels * np.uint8(255)
    np.testing.assert_array_equal(to_bytes(values, find_white(values.dtype, [values], "x")), levels)
