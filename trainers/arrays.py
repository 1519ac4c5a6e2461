"""Arrays of images, restored batch by batch into a NumPy file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from blurgen.sources import open_source
from trainers.console import Progress
from trainers.errors import TrainerError
from trainers.files import written
from trainers.pictures import to_levels
from trainers.restorer import Restorer, images_at_once

ENDING: Final = ".npy"
_KINDS = ("hdf5", "idx", "mat", "npy", "npz")  # of the sources, those that are one array
_BY_ENDING = {".h5": "hdf5", ".hdf5": "hdf5", ".mat": "mat", ENDING: "npy", ".npz": "npz"}


def is_array(source: str) -> bool:
    """Whether a source is an array, as ``blurgen make`` names it: ``mat:FILE#VARIABLE`` and the like."""
    kind, colon, _ = source.partition(":")
    return bool(colon) and kind in _KINDS


def array_name(path: Path) -> str | None:
    """What a file of arrays is called as a source; None for any other file."""
    kind = _BY_ENDING.get(path.suffix.lower())
    return f"{kind}:{path}" if kind else None


def restore_array(
    source: str, target: Path, restore: Restorer, *, overwrite: bool, progress: Progress
) -> Path:
    """Restore the images of an array, many at a time, and write them as one array.

    Parameters
    ----------
    source : str
        As `blurgen.open_source` takes it: ``mat:``, ``npy:``, ``npz:``, ``hdf5:`` or ``idx:`` and a path.
        NumPy files and HDF5 are read in ranges, the others whole.
    target : Path
        The ``.npy`` file. It holds uint8, shape (N, H, W) of gray images, (N, H, W, 3) of colour images.
    restore : Restorer
        The network.
    overwrite : bool
        Replace a file that exists.
    progress : Progress
        Counts images.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TrainerError, SourceError
        With one sentence that says what is wrong.
    """
    _check_target(source, target, overwrite)
    images = open_source(source)
    assert images.length is not None
    count, (height, width, channels) = images.length, images.shape
    shape = (count, height, width) if channels == 1 else (count, height, width, channels)
    step = images_at_once(restore.network, height, width)

    def write(partial: Path) -> None:
        # not mapped: a full disk shall be an error, not the end of the process
        with partial.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, count, step):
                stop = min(start + step, count)
                blurred = (images.read(start, stop) / 255).astype(np.float32)
                file.write(to_levels(restore(blurred)).astype(np.uint8).tobytes())
                progress.reached(stop)

    progress.begin("deblurring", count)
    written(target, write)
    progress.end()
    progress.say(f"{count:,} images of {height}×{width}×{channels} restored: {target}")
    return target


def _check_target(source: str, target: Path, overwrite: bool) -> None:
    if target.suffix != ENDING or target.is_dir():
        raise TrainerError(
            f"'{target}': images of '{source}' become one array, a name that ends in .npy is needed"
        )
    if not target.exists():
        return
    kind, _, place = source.partition(":")
    read = Path(place).expanduser()
    if kind == "npy" and read.exists() and read.samefile(target):
        raise TrainerError(f"'{place}' would be replaced by its result: name another place")
    if not overwrite:
        raise TrainerError(f"'{target}' exists: name another place, or replace it (--overwrite)")
