"""Pair files, plain and compressed."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

import blurgen
from blurgen.errors import BlurgenError
from blurgen.sources import open_source
from blurgen.sources.memory import LabelledMemorySource

WORDS = (
    "sharp",
    "blurred",
    "params",
    "format_version",
    "OHDR",
    "TREE",
    "HEAP",
    "SNOD",
    "FRHP",
    "GCOL",
    "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff",
)


def seeds() -> Iterator[bytes]:
    """Two pairs of 8×8 in each compression, and files of HDF5's newer and stranger kinds."""
    images = np.zeros((2, 8, 8, 1), np.uint8)
    source = LabelledMemorySource("seed", {}, images, np.zeros(2, np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.h5"
        for compression in (None, "gzip", "lzf", "zstd"):
            blurgen.make(
                source, path, "anime-box", count=2, psf=True, compression=compression, overwrite=True
            )
            yield path.read_bytes()
        for libver in ("earliest", "latest"):
            with h5py.File(path, "w", libver=libver) as file:
                file.create_dataset(
                    "x", data=np.zeros((2, 4, 4), np.uint8), chunks=(1, 4, 4), compression="gzip"
                )
                file["soft"] = h5py.SoftLink("/x")
                file["out"] = h5py.ExternalLink("other.h5", "x")
            yield path.read_bytes()


def one(data: bytes, folder: Path) -> None:
    """Open it as a pair file and as a source; what opens can be read."""
    path = folder / "x.h5"
    path.write_bytes(data)
    with contextlib.suppress(BlurgenError):
        open_source(f"hdf5:{path}").read(0, 1)
    pairs = blurgen.open_pairs(path)
    first, last = pairs[0], pairs[-1:]
    assert first.sharp.shape == last.sharp.shape[1:] == pairs.header.shape
    for column in (pairs.label, pairs.psf, pairs.source_index):
        assert column is None or len(column) == len(pairs)
