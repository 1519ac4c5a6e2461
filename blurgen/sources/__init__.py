"""Where sharp images come from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blurgen.errors import InputError
from blurgen.sources.base import Source

__all__ = ["SOURCES", "Source", "SourceKind", "open_source"]


@dataclass(frozen=True)
class SourceKind:
    """What help texts say of a kind of source.

    Attributes
    ----------
    summary : str
        What it is.
    options : mapping of str to str
        Each option that it takes, and what that does.
    """

    summary: str
    options: Mapping[str, str] = field(default_factory=dict)


_SPLIT = {"split": "'train' (default) or 'test'"}

_WINDOWS = {
    "window": "how many frames are averaged, odd: 9, or '7-13' (default) for any",
    "every": "from one window's middle frame to the next; by default the longest window",
    "curve": "the camera's response: 'gamma' (2.2, default), 'srgb', 'identity' or a file",
    "highlights": "how much more light than white a saturated value stands for; by default 0",
    "patch": "cut into patches of this size, 64 or '64x48'",
    "stride": "from one patch to the next; by default the size of a patch",
    "skip_bad": "leave out sequences too short for a window, take videos that end early",
}

_SIZE = {"size": "width and height of an image; 256 by default"}

SOURCES: Mapping[str, SourceKind] = {
    "mnist": SourceKind("handwritten digits, 28×28 gray: 60 000 for training, 10 000 for testing", _SPLIT),
    "fashion-mnist": SourceKind("clothes, 28×28 gray: 60 000 and 10 000", _SPLIT),
    "kmnist": SourceKind("cursive Japanese characters, 28×28 gray: 60 000 and 10 000", _SPLIT),
    "emnist-digits": SourceKind(
        "handwritten digits, 28×28 gray: 240 000 and 40 000; a download of 536 MiB", _SPLIT
    ),
    "digits": SourceKind("digits that are drawn, 28×28 gray: no download, no end", _SPLIT),
    "plates": SourceKind("licence plates that are drawn, 270×90 RGB, with their texts as labels", _SPLIT),
    "text": SourceKind("cut-outs of printed pages that are drawn, gray", _SPLIT | _SIZE),
    "shapes": SourceKind(
        "discs, ellipses and polygons that cover one another (dead leaves), drawn",
        _SPLIT | _SIZE | {"mode": "'rgb' (default) or 'gray'"},
    ),
    "folder:PATH": SourceKind(
        "the images of a folder and those below it",
        {
            "mode": "'gray' or 'rgb'; by default gray if every image is",
            "patch": "cut into patches of this size, 64 or '64x48'",
            "stride": "from one patch to the next; by default the size of a patch",
            "resize": "resize every image to this size, 64 or '64x48'",
            "skip_bad": "leave out files that cannot be decoded, or are smaller than a patch",
        },
    ),
    "pairs:PATH": SourceKind(
        "pairs that exist: a folder laid out as GoPro's or RealBlur's, or two, SHARP,BLURRED",
        {
            "blurred": "which of several kinds of blurred images is meant, such as blur_gamma",
            "mode": "'gray' or 'rgb'; by default gray if every image is",
            "patch": "cut into patches of this size, 64 or '64x48'",
            "stride": "from one patch to the next; by default the size of a patch",
            "resize": "resize both images of every pair to this size, 64 or '64x48'",
            "skip_bad": "leave out what has no partner, cannot be decoded, or differs in size",
        },
    ),
    "frames:PATH": SourceKind(
        "means of consecutive frames, the images of a folder and those below", _WINDOWS
    ),
    "video:PATH": SourceKind("means of consecutive frames of a video file", _WINDOWS),
    "idx:PATH": SourceKind("an IDX file, the format of MNIST, gzipped or not"),
    "mat:PATH#VARIABLE": SourceKind("a variable of a MATLAB file: rows of k² pixels, H×W×N or H×W×C×N"),
    "npy:PATH": SourceKind("a NumPy array: rows of k² pixels, N×H×W or N×H×W×C"),
    "npz:PATH#NAME": SourceKind("an array of a NumPy archive, laid out so too"),
    "hdf5:PATH#DATASET": SourceKind("a dataset of an HDF5 file, laid out so too"),
}


def open_source(dataset: str, *, data_dir: str | Path | None = None, seed: int = 0, **options: Any) -> Source:
    """Open a source of sharp images by its name.

    Parameters
    ----------
    dataset : str
        One of `SOURCES`: a name such as ``"mnist"``, or a kind and a path such as ``"folder:photos"`` or
        ``"mat:faces.mat#X"``. ``#NAME`` may be left out where the file leaves no choice.
    data_dir : str or Path, optional
        Folder to look for the files of published data sets in, else the environment variable
        ``BLURGEN_DATA``; they are downloaded if they are not there.
    seed : int
        For images that are drawn.
    **options
        Those that `SOURCES` lists for the kind.

    Returns
    -------
    Source
        Safe to read from several threads; pickles.

    Raises
    ------
    InputError
        If there is no such source, or it does not take such an option.
    SourceError
        If the images cannot be found or read.

    Examples
    --------
    >>> open_source("digits", seed=7, split="test").shape
    (28, 28, 1)
    """
    kind, place = _resolve(dataset)
    known = SOURCES[kind].options
    for option in options:
        if option not in known:
            taken = ", ".join(known) or "none"
            raise InputError(f"{dataset}: no option '{option}'{_suggest(option, known)}; it takes {taken}")

    # What each kind needs is imported only here: requests, h5py, SciPy and Pillow take their time.
    source: Source
    match kind.partition(":")[0]:
        case "digits" | "plates" | "text" | "shapes" as drawn:
            source = _open_drawn(drawn, seed, options)
        case "folder":
            from blurgen.sources.folder import Folder

            source = Folder(dataset, Path(place).expanduser(), **options)
        case "pairs":
            from blurgen.sources.pair_folders import PairFolders

            source = PairFolders(dataset, place, **options)
        case "frames":
            from blurgen.sources.frames import open_frames

            source = open_frames(dataset, Path(place).expanduser(), seed=seed, **options)
        case "video":
            from blurgen.sources.frames import open_video

            source = open_video(dataset, Path(place).expanduser(), seed=seed, **options)
        case "idx":
            from blurgen.sources.idx import open_idx

            source = open_idx(dataset, Path(place).expanduser())
        case "npy":
            from blurgen.sources.arrays import open_npy

            source = open_npy(dataset, Path(place).expanduser())
        case "npz":
            from blurgen.sources.arrays import open_npz

            source = open_npz(dataset, *_split_place(place))
        case "mat":
            from blurgen.sources.arrays import open_mat

            source = open_mat(dataset, *_split_place(place))
        case "hdf5":
            from blurgen.sources.arrays import open_hdf5

            source = open_hdf5(dataset, *_split_place(place))
        case _:
            from blurgen.sources.idx import open_dataset

            source = open_dataset(dataset, None if data_dir is None else Path(data_dir), **options)
    return source


def _open_drawn(kind: str, seed: int, options: dict[str, Any]) -> Source:
    match kind:
        case "digits":
            from blurgen.sources.digits import Digits

            return Digits(seed=seed, **options)
        case "plates":
            from blurgen.sources.plates import Plates

            return Plates(seed=seed, **options)
        case "text":
            from blurgen.sources.text import Text

            return Text(seed=seed, **options)
        case _:
            from blurgen.sources.shapes import Shapes

            return Shapes(seed=seed, **options)


def _resolve(dataset: str) -> tuple[str, str]:
    """Find the key of `SOURCES` that is meant, and the path."""
    prefix, colon, place = dataset.partition(":")
    for kind in SOURCES:
        if kind.partition(":")[:2] == (prefix, colon):
            if colon and not place:
                raise InputError(f"'{dataset}' names no path; allowed is {kind}")
            return kind, place
    names = [kind.partition(":")[0] for kind in SOURCES]
    suggestion = _suggest(prefix, names)
    if Path(dataset).exists():
        suggestion = f"; did you mean '{_guess_kind(Path(dataset))}:{dataset}'?"
    raise InputError(f"no source '{dataset}'{suggestion}; there are {', '.join(SOURCES)}")


def _suggest(given: str, known: Mapping[str, Any] | list[str]) -> str:
    close = difflib.get_close_matches(given.lower().replace("_", "-"), known, 1)
    close = close or difflib.get_close_matches(given, known, 1)
    return f", did you mean '{close[0]}'?" if close else ""


def _guess_kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    by_suffix = {".mat": "mat", ".npy": "npy", ".npz": "npz", ".h5": "hdf5", ".hdf5": "hdf5"}
    return by_suffix.get(path.suffix, "idx")


def _split_place(place: str) -> tuple[Path, str | None]:
    """Split ``PATH#NAME``; a # in the path of a file that exists is part of it."""
    path, hash_sign, name = place.rpartition("#")
    if not hash_sign or Path(place).expanduser().is_file():
        return Path(place).expanduser(), None
    return Path(path).expanduser(), name
