"""NumPy's files, and archives of them."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blurgen import psf
from blurgen.errors import BlurgenError
from blurgen.sources import open_source

WORDS = (
    "\\x93NUMPY\\x01\\x00",
    "'descr': '|u1'",
    "'descr': '|O'",
    "'fortran_order': ",
    "'shape': (2, 4, 4)",
    "PK\\x03\\x04",
    "PK\\x01\\x02",
)


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def seeds() -> Iterator[bytes]:
    """Arrays of several types, alone and in archives."""
    for dtype in ("u1", "f8", "?", ">i4"):
        array = (np.arange(32) % 2).reshape(2, 4, 4).astype(dtype)
        for how in b"\0\1\2":
            yield bytes([how]) + _npy(array)
        file = io.BytesIO()
        np.savez_compressed(file, x=array, y=array)
        yield b"\0" + file.getvalue()
    yield b"\1" + _npy(np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], float))
    yield b"\1" + _npy(np.zeros((2, 2))).replace(b"(2, 2)", b"(999999999999, 9)")


def one(data: bytes, folder: Path) -> None:
    """The first byte says whether the rest becomes the member of an archive, stored or deflated."""
    content = data[1:]
    path = folder / "x.npz"
    if data[:1] in (b"\1", b"\2"):
        kind = zipfile.ZIP_STORED if data[:1] == b"\1" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", kind) as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    for kind in ("npy", "npz"):
        try:
            open_source(f"{kind}:{path}").read(0, 1)
        except BlurgenError:
            continue
    psf.load_psfs(path)
