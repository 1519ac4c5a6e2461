"""Tar shards, as WebDataset reads them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from blurgen.exporting import png
from blurgen.exporting.base import Sharded
from blurgen.exporting.records import as_json, most_json_bytes

_PSF_HEADER = 256  # more than the header of an .npy file of a PSF takes


class WebDataset(Sharded):
    """``pairs-000000.tar`` … of ``000000.sharp.png``, ``000000.blurred.png``, ``000000.json`` for each pair.

    Where the pair file holds PSFs, there is a ``000000.psf.npy`` too. Members have no time and no owner.
    """

    ending = ".tar"

    def frame_bytes(self) -> int:
        """The two empty blocks at the end, padded to a record."""
        return tarfile.RECORDSIZE

    def pair_bytes(self) -> int:
        """Members of a pair, each with its header, padded to blocks."""
        psf = self.pairs.header.psf_size
        sizes = [png.most_bytes(self.pairs.header.shape)] * 2 + [most_json_bytes(self.pairs)]
        if psf:
            sizes.append(4 * psf * psf + _PSF_HEADER)
        block = tarfile.BLOCKSIZE
        return sum(block + -(-size // block) * block for size in sizes)

    def fill(self, file: BinaryIO, start: int, stop: int) -> Iterator[int]:
        """Write a shard, the members of a pair side by side."""
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for first, last in self.blocks(start, stop):
                sharp, blurred = (png.encode_all(images, self.threads) for images in self.images(first, last))
                members = {
                    "sharp.png": sharp,
                    "blurred.png": blurred,
                    "json": as_json(self.pairs, first, last),
                }
                if self.pairs.psf is not None:
                    members["psf.npy"] = [_npy(psf) for psf in self.pairs.psf[first:last]]
                for i in range(last - first):
                    for ending, data in members.items():
                        member = tarfile.TarInfo(f"{self.key(first + i)}.{ending}")
                        member.size = len(data[i])
                        archive.addfile(member, io.BytesIO(data[i]))
                yield last


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
