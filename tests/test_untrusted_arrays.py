import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.io.matlab
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from memory import peak_of

from blurgen import psf
from blurgen.errors import InputError, SourceError
from blurgen.sources import open_source
from blurgen.untrusted.mat import MatFile

LITTLE = 1 << 22  # bytes of memory that a refusal may take


def refused(place, message):
    """The source is refused in one sentence that says so, before memory is taken."""

    def check():
        with pytest.raises(SourceError, match=message) as caught:
            open_source(place)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500

    assert peak_of(check) < LITTLE


# NumPy


def npy(shape, descr="|u1", data=b""):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(path, member, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("x.npy", member)


HUGE = ["(100000000, 28, 28)", "(4294967296, 4294967296, 4294967296)", f"({10**30}, 4, 4)"]


@pytest.mark.parametrize("shape", HUGE)
def test_shapes_that_the_file_cannot_hold(tmp_path, shape):
    (tmp_path / "x.npy").write_bytes(npy(shape))
    refused(f"npy:{tmp_path}/x.npy", "it is truncated: 0 bytes follow its header")
    npz(tmp_path / "x.npz", npy(shape))
    refused(f"npz:{tmp_path}/x.npz", "array 'x' would fill more than")
    with pytest.raises(InputError, match="its arrays would fill more than"):
        psf.load_psfs(tmp_path / "x.npz")
    with pytest.raises(InputError, match="it is truncated"):
        psf.load_psfs(tmp_path / "x.npy")


@pytest.mark.parametrize("shape", ["(-1, 28, 28)", "(2, -28, -28)"])
def test_shapes_that_cannot_be(tmp_path, shape):
    (tmp_path / "x.npy").write_bytes(npy(shape, data=bytes(5000)))
    refused(f"npy:{tmp_path}/x.npy", "header is damaged: an array of shape")


@pytest.mark.parametrize("header", [b"(" * 9000, b"{" * 9000, b"[" + b"-" * 9000, b"f()", b"\xff" * 50])
def test_headers_that_are_no_literal(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    refused(f"npy:{tmp_path}/x.npy", r"x\.npy cannot be read: ")


def test_a_header_of_gigabytes_is_not_unpacked(tmp_path):
    lead = b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 26)
    npz(tmp_path / "x.npz", lead + bytes(1 << 26))
    refused(f"npz:{tmp_path}/x.npz", "cannot be read: ")


def test_a_member_that_unpacks_beyond_its_array(tmp_path):
    npz(tmp_path / "x.npz", npy((2, 4, 4), data=bytes(1 << 24)))
    refused(f"npz:{tmp_path}/x.npz", "takes 32 bytes after its header, the archive holds 16777216")


def test_zeros_by_the_gigabyte(tmp_path, monkeypatch):
    monkeypatch.setattr("blurgen.untrusted.bounds._FREE", 1 << 16)
    npz(tmp_path / "x.npz", npy((1 << 12, 32, 32), data=bytes(1 << 22)))
    refused(f"npz:{tmp_path}/x.npz", "array 'x' would fill more than")
    npz(tmp_path / "y.npz", npy((1 << 12, 32, 32), data=bytes(1 << 22)), zipfile.ZIP_STORED)
    assert open_source(f"npz:{tmp_path}/y.npz").length == 1 << 12


def test_encrypted_and_unknown_archives(tmp_path):
    npz(tmp_path / "x.npz", npy((2, 4, 4), data=bytes(32)), zipfile.ZIP_STORED)
    raw = bytearray((tmp_path / "x.npz").read_bytes())
    directory = raw.rfind(b"PK\x01\x02")
    for place, value in ((8, 1), (10, 99)):  # the flags of encryption; the method
        spoilt = bytearray(raw)
        spoilt[directory + place] = value
        spoilt[place - 2] = value
        (tmp_path / "y.npz").write_bytes(spoilt)
        refused(f"npz:{tmp_path}/y.npz", r"y\.npz cannot be read: ")


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((2**40, 0, 3), r"PSF 'x' of '.*' has the shape \(1099511627776, 0, 3\); 1 to 4095 pixels a side"),
        ((0, 3), r"PSF 'x' of '.*' has the shape \(0, 3\); 1 to 4095 pixels a side"),
        ((300_000, 1, 1), r"its PSFs would fill more than the \d+ bytes"),
    ],
)
def test_more_psfs_than_memory_holds(tmp_path, shape, told):
    array = np.lib.stride_tricks.as_strided(np.ones(1, np.uint8), shape, (0, 0, 0)[: len(shape)])
    if np.prod(shape):
        np.savez_compressed(tmp_path / "x.npz", x=array)
        path = tmp_path / "x.npz"
    else:
        path = tmp_path / "x.npy"
        np.save(path, array)
    with pytest.raises(InputError, match=told):
        psf.load_psfs(path)


def test_psfs_of_sizes_that_fill_each_other(tmp_path):
    planes = {f"k{i}": np.ones((3, 3)) for i in range(300)}
    np.savez(tmp_path / "x.npz", **planes, big=np.eye(900)[:, [0]] + np.eye(900)[:, [-1]])
    with pytest.raises(InputError, match="PSFs of one size would fill more than"):
        psf.load_psfs(tmp_path / "x.npz")


# IDX


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x00\x10\x00\x00"])
def test_idx_sizes_that_the_file_cannot_hold(tmp_path, size):
    header = bytes([0, 0, 8, 3]) + size * 3
    (tmp_path / "x").write_bytes(header + bytes(100))
    refused(f"idx:{tmp_path}/x", "holds 100 bytes of data, its header says")
    (tmp_path / "x.gz").write_bytes(gzip.compress(header + bytes(100)))
    refused(f"idx:{tmp_path}/x.gz", r"x\.gz is refused: what its header says would fill more than")


def test_gzip_is_unpacked_to_the_declared_size(tmp_path):
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 4, 4)
    (tmp_path / "x.gz").write_bytes(gzip.compress(header + bytes(1 << 27), 1))
    refused(f"idx:{tmp_path}/x.gz", "holds more than 32 bytes of data, its header says 2×4×4 = 32")


# MATLAB


def mat5(elements, order="<"):
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + mark + elements


def part(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(shape, data, kind=9, stored=2, name=b"x"):
    return (
        part(6, struct.pack("<II", kind, 0))
        + part(5, struct.pack(f"<{len(shape)}i", *shape))
        + part(1, name)
        + part(stored, data)
    )


def packed(body, declared=None):
    data = zlib.compress(struct.pack("<II", 14, len(body) if declared is None else declared) + body)
    return struct.pack("<II", 15, len(data)) + data


@pytest.mark.parametrize("pack", [packed, lambda body: struct.pack("<II", 14, len(body)) + body])
def test_mat_written_by_hand_is_read(tmp_path, pack):
    (tmp_path / "x.mat").write_bytes(mat5(pack(matrix((4, 4, 2), bytes(range(32))))))
    expected = np.arange(32, dtype=np.uint8).reshape(4, 4, 2, order="F").transpose(2, 0, 1)
    np.testing.assert_array_equal(open_source(f"mat:{tmp_path}/x.mat").read(0, 2)[..., 0], expected)
    np.testing.assert_array_equal(
        scipy.io.loadmat(tmp_path / "x.mat")["x"], MatFile(tmp_path / "x.mat").read("x")
    )


BOMBS = {
    "shape": (packed(matrix((1 << 20, 1 << 20, 9), b"")), "array 'x' would fill more than"),
    "shape and zeros": (packed(matrix((4, 4, 9), bytes(1 << 25))), "33554432 bytes for 4×4×9 numbers"),
    "more than it says": (
        packed(matrix((4, 4, 2), bytes(32)) + bytes(1 << 26), 88),
        "is not unpacked to the 88",
    ),
    "less than it says": (packed(matrix((4, 4, 2), bytes(32)), 9000), "is not unpacked to the 9000 bytes"),
    "says gigabytes": (packed(matrix((4, 4, 2), bytes(32)), 0xFFFFFFF0), "array 'x' would fill more than"),
    "negative": (packed(matrix((-4, -4, 2), bytes(32))), "'x' has 3 dimensions, -4×-4×2"),
    "many dimensions": (packed(matrix((1,) * 40, bytes(32))), "'x' has 40 dimensions"),
    "a long name": (
        packed(matrix((4, 4, 2), bytes(32), name=b"x" * (1 << 20))),
        "a part of type 1 and 1048576",
    ),
    "no numbers": (packed(matrix((4, 4, 2), bytes(32), stored=14)), "a part of type 14 and 32 bytes"),
    "a cell": (packed(matrix((4, 4, 2), bytes(32), kind=1)), "no array of images"),
    "beyond the file": (struct.pack("<II", 14, 5000) + bytes(9), "an element of 5000 bytes at 128 of 145"),
    "of no length": (struct.pack("<II", 14, 0) * 4, "an element of 0 bytes at 128"),
    "no matrix": (part(9, bytes(16)), "an element of type 9 at 128"),
    "spoilt": (packed(matrix((4, 4, 2), bytes(32)))[:-3] + b"abc", "damaged|cannot be read"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_mat_bombs(tmp_path, bomb):
    content, message = BOMBS[bomb]
    (tmp_path / "x.mat").write_bytes(mat5(content))
    (tmp_path / "y.mat").write_bytes(mat5(content))
    if bomb == "shape and zeros":
        with pytest.raises(SourceError, match=message):
            open_source(f"mat:{tmp_path}/x.mat")
        return
    refused(f"mat:{tmp_path}/x.mat", message)


def test_a_mat_file_that_ends_the_process_of_other_readers(tmp_path):
    """Its last part says that 2 bytes lie within a tag of 8, the type of which no reader knows."""
    head = part(6, struct.pack("<II", 9, 0)) + part(5, struct.pack("<2i", 4, 4))[: -0 or None]
    (tmp_path / "x.mat").write_bytes(
        mat5(packed(head + struct.pack("<HHI", 1, 1, 120) + struct.pack("<HHI", 63, 0, 9)))
    )
    refused(f"mat:{tmp_path}/x.mat#x", r"x\.mat cannot be read: it is damaged|a part of type 63")


@pytest.mark.parametrize("rows", [-5, 1 << 30])
def test_version_4_with_shapes_that_cannot_be(tmp_path, rows):
    (tmp_path / "x.mat").write_bytes(struct.pack("<5i", 50, rows, 9, 0, 2) + b"x\0" + bytes(81))
    refused(f"mat:{tmp_path}/x.mat", "damaged")


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.int16, np.int32, np.float32, np.float64, np.bool_]),
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    ),
    st.booleans(),
)
def test_numbers_are_those_that_scipy_reads(tmp_path_factory, array, compressed):
    path = tmp_path_factory.getbasetemp() / "numbers.mat"
    scipy.io.savemat(path, {"x": array, "y": array[0]}, do_compression=compressed)
    expected = scipy.io.loadmat(path, mat_dtype=True)
    file = MatFile(path)
    for name in "xy":
        np.testing.assert_array_equal(file.read(name), expected[name])
        assert file.read(name).dtype == expected[name].dtype


@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_files_of_many_versions_are_read_as_scipy_does():
    folder = Path(scipy.io.matlab.__file__).parent / "tests" / "data"
    if not folder.is_dir():
        pytest.skip("SciPy was installed without its tests")
    compared = 0
    for path in sorted(folder.glob("test*.mat")):
        if path.read_bytes()[124:126] == b"\x00\x02":
            continue  # version 7.3
        file, expected = MatFile(path), scipy.io.loadmat(path, mat_dtype=True)
        for name, variable in file.variables.items():
            if not variable.odd:
                np.testing.assert_array_equal(file.read(name), expected[name], err_msg=path.name)
                compared += 1
    assert compared > 20


# HDF5


@pytest.fixture
def elsewhere(tmp_path):
    """What a file may not reach: another HDF5 file, and raw bytes."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    (tmp_path / "secret.bin").write_bytes(bytes(range(32)))
    return tmp_path


def test_links_are_not_followed(elsewhere):
    with h5py.File(elsewhere / "x.h5", "w") as file:
        file["out"] = h5py.ExternalLink("secret.h5", "x")
        file["soft"] = h5py.SoftLink("/out")
    for name in ("out", "soft"):
        refused(f"hdf5:{elsewhere}/x.h5#{name}", f"holds no '{name}'; it holds nothing")


def external(file):
    file.create_dataset("x", (2, 4, 4), "u1", external=[("secret.bin", 0, 32)])


def virtual(file):
    layout = h5py.VirtualLayout((2, 4, 4), "u1")
    layout[:] = h5py.VirtualSource("secret.h5", "x", (2, 4, 4))
    file.create_virtual_dataset("x", layout)


def empty_and_huge(file):
    file.create_dataset("x", (1 << 40, 28, 28), "u1", chunks=(64, 28, 28))


def huge_chunk(file):
    file.create_dataset("x", (2, 4, 4), "u1", chunks=(1 << 20, 32, 32), maxshape=(None, None, None))


def zeros(file):
    file.create_dataset("x", (1 << 20, 32, 32), "u1", chunks=(1 << 14, 32, 32), compression="gzip")
    chunk = zlib.compress(bytes(1 << 24), 9)
    for start in range(0, 1 << 20, 1 << 14):
        file["x"].id.write_direct_chunk((start, 0, 0), chunk)


STRANGE = {
    external: "keeps its bytes in other files",
    virtual: "is put together from other files",
    empty_and_huge: "dataset 'x' would fill more than",
    huge_chunk: "a chunk of dataset 'x' would fill more than",
    zeros: "dataset 'x' would fill more than",
}


@pytest.mark.parametrize("write", STRANGE, ids=lambda write: write.__name__)
@pytest.mark.parametrize("kind", ["hdf5", "mat"])
def test_strange_datasets(elsewhere, write, kind):
    with h5py.File(elsewhere / "x.h5", "w", userblock_size=512) as file:
        write(file)
    refused(f"{kind}:{elsewhere}/x.h5#x", STRANGE[write])


def test_unknown_filters(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((2, 4, 4))
        creation.set_filter(40_000, h5py.h5z.FLAG_OPTIONAL, (1, 2))
        space = h5py.h5s.create_simple((2, 4, 4))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, space, dcpl=creation)
        made.write_direct_chunk((0, 0, 0), bytes(32))
    refused(f"hdf5:{tmp_path}/x.h5", "packed by HDF5's filter 40000, which is not installed")


@pytest.mark.parametrize("value", ["text", np.array([(1, 2)], "i4,i4"), h5py.Empty("f4")])
def test_other_types(tmp_path, value):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = value
        file.create_dataset("y", (2, 4, 4), h5py.ref_dtype)
    refused(f"hdf5:{tmp_path}/x.h5#x", "x")
    refused(f"hdf5:{tmp_path}/x.h5#y", "holds object|reference|cannot be read")


def test_in_memory_copies_stay_bounded(tmp_path):
    array = np.zeros((64, 64, 64), np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, x=array)
    (tmp_path / "x.npz").write_bytes(file.getvalue())
    assert peak_of(lambda: open_source(f"npz:{tmp_path}/x.npz")) < 4 * array.nbytes
