"""IDX files, gzipped or not."""

import gzip
from collections.abc import Iterator
from pathlib import Path

from blurgen.sources import open_source

WORDS = ("\\x00\\x00\\x08\\x03", "\\x1f\\x8b\\x08", "\\xff\\xff\\xff\\xff")


def seeds() -> Iterator[bytes]:
    """Images, plain and gzipped; sizes that cannot be."""
    images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(24)
    yield b"\0" + images
    yield b"\1" + images
    yield b"\0" + gzip.compress(images, 1)
    yield b"\1" + bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(5000)
    yield b"\0" + gzip.compress(bytes(1 << 20))


def one(data: bytes, folder: Path) -> None:
    """The first byte says whether the rest is gzipped here."""
    path = folder / "x-images-idx3-ubyte"
    path.write_bytes(gzip.compress(data[1:], 1) if data[:1] == b"\1" else data[1:])
    source = open_source(f"idx:{path}")
    source.read(0, 1)
