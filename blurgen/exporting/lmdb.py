"""Two LMDB databases of PNGs, as BasicSR and its descendants read them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blurgen.errors import FileError
from blurgen.exporting import png
from blurgen.exporting.base import Format
from blurgen.exporting.folder import SIDES
from blurgen.exporting.records import write_csv

_PAGE = 1 << 16  # the largest that a processor in use has; LMDB's pages are as large as the system's
_SLACK = 16 << 20  # for the tree above the leaves


class Lmdb(Format):
    """``target.lmdb`` and ``input.lmdb``, each with its ``meta_info.txt``, and ``params.csv``.

    A database is opened anew for each part: what LMDB writes then depends on the parts alone, and an
    interrupted export ends with the same bytes.
    """

    extra = package = "lmdb"

    @property
    def files(self) -> list[str]:
        """Two databases and a text."""
        return [*(f"{side}.lmdb" for side in SIDES), "params.csv"]

    def write(self, folder: Path, start: int, stop: int) -> Iterator[int]:
        """Add both images of some pairs, unless they are there."""
        for side, images in zip(SIDES, self.images(start, stop), strict=True):
            with self._database(folder / f"{side}.lmdb") as database:
                if database.stat()["entries"] >= stop:
                    continue
                encoded = png.encode_all(images, self.threads)
                with database.begin(write=True) as transaction:
                    for index, data in enumerate(encoded, start):
                        transaction.put(self.key(index).encode(), data, append=True)
        yield stop

    @contextmanager
    def _database(self, path: Path) -> Iterator[Any]:
        import lmdb

        page = -(-png.most_bytes(self.pairs.header.shape) // _PAGE) + 1
        try:
            # nobody else writes, so that no file for locks is needed
            with lmdb.open(str(path), map_size=self.count * page * _PAGE + _SLACK, lock=False) as database:
                yield database
        except lmdb.Error as error:
            disk = os.statvfs(path)
            if disk.f_bavail * disk.f_frsize < _PAGE:  # LMDB calls it an input/output error
                raise OSError(errno.ENOSPC, "") from None
            reason = str(error).rpartition(": ")[2]
            raise FileError(f"'{path}' cannot be written: {reason}") from None

    def finish(self, folder: Path) -> None:
        """Write the list of images of each database, and what was drawn."""
        names = [f"{self.key(index)}.png" for index in range(self.count)]
        height, width, channels = self.pairs.header.shape
        lines = "".join(f"{name} ({height},{width},{channels}) {png.LEVEL}\n" for name in names)
        for side in SIDES:
            (folder / f"{side}.lmdb" / "meta_info.txt").write_text(lines, encoding="utf-8")
        write_csv(folder / "params.csv", self.pairs, names, self.block)
