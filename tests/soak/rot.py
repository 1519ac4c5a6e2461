"""Bytes that flip where they lie: in the file, its journal, the partial file, the source."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

import blurgen
from blurgen.errors import BlurgenError
from blurgen.repairing import repair
from blurgen.verification import verify
from tests.soak.trials import Row, WrongError, counted

_IMAGES = (400, 24, 24)
_RECIPE = "mnist-motion"


def rot(folder: Path, share: float) -> Iterator[Row]:
    """The rows of the table, 550 flipped bits where the share is 1."""
    trials = _Rot(folder, share)
    repaired = "`verify` names the rows, `verify --repair` restores every byte"
    yield trials.counted("a bit of the rows", repaired, 250, trials.of_rows)
    yield trials.counted("a bit of the checksums", "found, and restored", 50, trials.of_sums)
    beyond = "found, and restored or told to be beyond repair"
    yield trials.counted("a bit of header and HDF5's own bytes", beyond, 100, trials.of_header)
    for name in ("journal", "partial"):
        yield trials.counted(
            f"a bit of NAME.{name}, then resumed", "the same bytes", 50, trials.resumed(name)
        )
    said = "`verify` says that the source is another"
    yield trials.counted("a bit of the source", said, 50, trials.of_source)


class _Rot:
    def __init__(self, folder: Path, share: float) -> None:
        self.folder = folder
        self.share = share
        self.draw = random.Random(3)
        self.images = folder / "images.npy"
        np.save(self.images, np.random.default_rng(2).integers(0, 256, _IMAGES, dtype=np.uint8))
        self.source = f"npy:{self.images}"
        self.made = blurgen.make(self.source, folder / "made.h5", _RECIPE, psf=True)
        self.whole = self.made.read_bytes()
        self.extents = _extents(self.made)

    def counted(self, what: str, expected: str, number: int, trial: Callable[[], None]) -> Row:
        return counted(what, expected, [trial] * max(2, round(number * self.share)))

    def flip(self, path: Path, start: int = 0, stop: int | None = None) -> int:
        """Flip a bit of a file, somewhere between two bytes; where."""
        data = bytearray(path.read_bytes())
        place = self.draw.randrange(start, stop or len(data))
        data[place] ^= 1 << self.draw.randrange(8)
        path.write_bytes(data)
        return place

    def found_and_repaired(self, start: int, stop: int, owner: str) -> None:
        """A flipped bit must be found, told by dataset and row, and repaired; owner '' is what HDF5 keeps."""
        path = self.folder / "rotten.h5"
        path.write_bytes(self.whole)
        place = self.flip(path, start, stop)
        where = f"byte {place} ({owner or 'no dataset'})"
        try:
            found = verify(path, sample=0)
        except BlurgenError as error:
            if owner:
                raise WrongError(f"{where}: {error}") from None
        else:
            if found.ok:
                raise WrongError(f"{where} was not found")
            if owner and not owner.startswith("crc32"):
                first, _, bytes_of_row = self.extents[owner]
                row = (place - first) // bytes_of_row
                if not any(a <= row < b for a, b in found.damaged.get(owner, [])):
                    raise WrongError(f"{where}: row {row} is not named, but {found}")
        try:
            repair(path)
        except BlurgenError as error:
            if owner:
                raise WrongError(f"{where}: {error}") from None
        else:
            if path.read_bytes() != self.whole:
                raise WrongError(f"{where}: repaired to other bytes")

    def of_rows(self) -> None:
        name = self.draw.choice([name for name in self.extents if not name.startswith("crc32")])
        self.found_and_repaired(*self.extents[name][:2], name)

    def of_sums(self) -> None:
        name = self.draw.choice([name for name in self.extents if name.startswith("crc32")])
        self.found_and_repaired(*self.extents[name][:2], name)

    def of_header(self) -> None:
        taken = sorted(extent[:2] for extent in self.extents.values())
        edges = [0, *(edge for extent in taken for edge in extent), len(self.whole)]
        free = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
        (gap,) = self.draw.choices(free, [b - a for a, b in free])
        self.found_and_repaired(*gap, "")

    def resumed(self, name: str) -> Callable[[], None]:
        def trial() -> None:
            own = self.folder / "resumed"
            own.mkdir()
            try:
                out = own / "a.h5"
                _interrupted(self.source, out)
                self.flip(own / f"a.h5.{name}")
                with suppress(BlurgenError):  # a header beyond use is told; then one starts anew
                    blurgen.make(self.source, out, _RECIPE, psf=True)
                if not out.exists():
                    blurgen.make(self.source, out, _RECIPE, psf=True, overwrite=True)
                if out.read_bytes() != self.whole:
                    raise WrongError("went on to other bytes")
            finally:
                shutil.rmtree(own)

        return trial

    def of_source(self) -> None:
        before = self.images.read_bytes()
        self.flip(self.images, 128)
        try:
            verify(self.made)
        except BlurgenError as error:
            if "does not hold the images" not in str(error):
                raise WrongError(f"says: {error}") from None
        else:
            raise WrongError("was not noticed")
        finally:
            self.images.write_bytes(before)


def _extents(path: Path) -> dict[str, tuple[int, int, int]]:
    """Where each dataset's bytes lie, as HDF5 tells it: first, behind the last, bytes of a row."""
    extents = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            size = item.dtype.itemsize * int(np.prod(item.shape))
            start = item.id.get_offset()
            extents[name] = (start, start + size, size // item.shape[0])

    with h5py.File(path) as file:
        file.visititems(note)
    return extents


def _interrupted(source: str, out: Path) -> None:
    """A partial file, and a journal that notes a part of it."""

    def stop(done: int, _: int) -> None:
        if done >= _IMAGES[0]:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        blurgen.make(source, out, _RECIPE, psf=True, threads=1, progress=stop)
