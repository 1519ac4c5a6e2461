"""MATLAB's files of version 4 to 7.3."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from blurgen import psf
from blurgen.errors import BlurgenError
from blurgen.sources import open_source

WORDS = (
    "\\x0f\\x00\\x00\\x00",
    "\\x0e\\x00\\x00\\x00",
    "\\x06\\x00\\x00\\x00",
    "\\xff\\xff\\xff\\x7f",
    "IM",
    "MI",
)


def seeds() -> Iterator[bytes]:
    """Variables of every kind, in every version."""
    array = np.arange(32, dtype=np.uint8).reshape(4, 4, 2)
    for options in ({}, {"do_compression": True}):
        file = io.BytesIO()
        scipy.io.savemat(
            file, {"x": array, "t": "text", "d": np.eye(3), "c": np.eye(2) * 1j, "s": {"a": 1}}, **options
        )
        yield b"\0" + file.getvalue()
    file = io.BytesIO()
    scipy.io.savemat(file, {"x": array})
    yield b"\1" + file.getvalue()[136:]
    file = io.BytesIO()
    scipy.io.savemat(file, {"x": np.eye(9)}, format="4")
    yield b"\0" + file.getvalue()
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as written:
        written["x"] = array
    yield b"\0MATLAB 7.3".ljust(20) + file.getvalue()[19:]


def one(data: bytes, folder: Path) -> None:
    """The first byte says whether the rest is the inside of one compressed variable."""
    content = data[1:]
    if data[:1] == b"\1":
        packed = zlib.compress(struct.pack("<II", 14, len(content)) + content, 1)
        content = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed
    path = folder / "x.mat"
    path.write_bytes(content)
    try:
        open_source(f"mat:{path}").read(0, 1)
    except BlurgenError:
        psf.load_psfs(path)
