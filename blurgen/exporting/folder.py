"""Two folders of PNGs, as BasicSR, NAFNet and Restormer read them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from blurgen.exporting import png
from blurgen.exporting.base import Format
from blurgen.exporting.records import write_csv

SIDES = ("target", "input")  # of sharp and of blurred images; Restormer's names


class Folder(Format):
    """``target/000000.png`` … and ``input/000000.png`` …, ``meta_info.txt`` and ``params.csv``."""

    @property
    def files(self) -> list[str]:
        """Two folders and two texts."""
        return [*SIDES, "meta_info.txt", "params.csv"]

    def write(self, folder: Path, start: int, stop: int) -> Iterator[int]:
        """Write both images of some pairs."""
        for side, images in zip(SIDES, self.images(start, stop), strict=True):
            place = folder / side
            place.mkdir(exist_ok=True)

            def store(index: int, data: bytes, place: Path = place) -> None:
                (place / f"{self.key(index)}.png").write_bytes(data)

            png.of_each(store, images, self.threads, start)
        os.sync()  # thousands of files at once: each by itself would take far longer
        yield stop

    def finish(self, folder: Path) -> None:
        """Write the list of images, and what was drawn."""
        names = [f"{self.key(index)}.png" for index in range(self.count)]
        height, width, channels = self.pairs.header.shape
        lines = (f"{name} ({height},{width},{channels})\n" for name in names)
        (folder / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
        write_csv(folder / "params.csv", self.pairs, names, self.block)
