"""IDX files, the format of MNIST, and the data sets that are published in it.

What is checked, whenever one of the data sets is opened:

* always: that the gzip stream is whole (its CRC), the magic number, that the length is what the header
  says, the number and size of the images, and that there are as many labels;
* MNIST, from wherever: the MD5 of the decompressed bytes;
* Fashion-MNIST and KMNIST as downloaded: the SHA-256 of the gzip file. Their publishers give no hash of the
  decompressed bytes, and anybody may have compressed a local file anew, so a local one is only checked
  not to be MNIST;
* EMNIST as downloaded: the SHA-256 of the zip archive, and the CRC of what it holds.

EMNIST stores its images transposed; they are given upright.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError, SourceError
from blurgen.sources.memory import LabelledMemorySource, MemorySource
from blurgen.untrusted.bounds import RefusedError, check_growth


@dataclass(frozen=True)
class Published:
    """One published IDX file.

    Attributes
    ----------
    stem : str
        Name of the decompressed file, e.g. ``"train-images-idx3-ubyte"``.
    shape : tuple of int
        What it holds.
    sha256 : str or None
        Of the gzip file as published; None where that lies in an archive.
    md5 : str or None
        Of the decompressed bytes, where published.
    """

    stem: str
    shape: tuple[int, ...]
    sha256: str | None
    md5: str | None = None


@dataclass(frozen=True)
class Archive:
    """A zip archive that IDX files are published in: its name, its SHA-256, and the folder inside."""

    filename: str
    sha256: str
    folder: str


@dataclass(frozen=True)
class Dataset:
    """A published data set.

    Attributes
    ----------
    folders : tuple of str
        Where in a data folder its files are looked for, in this order.
    splits : dict
        ``{"train": (images, labels), "test": (images, labels)}``.
    archive : Archive or None
        Where its files are published, if not singly.
    transposed : bool
        Whether rows and columns of its images are swapped in the file.
    """

    folders: tuple[str, ...]
    splits: dict[str, tuple[Published, Published]]
    archive: Archive | None = None
    transposed: bool = False


def _like_mnist(folders: tuple[str, ...], hashes: dict[str, tuple[str, str | None]]) -> Dataset:
    """Describe a data set of MNIST's file names and sizes; hashes are (SHA-256 of gzip, MD5 of content)."""

    def part(stem: str, *shape: int) -> Published:
        return Published(stem, shape, *hashes[stem])

    return Dataset(
        folders,
        {
            "train": (part("train-images-idx3-ubyte", 60000, 28, 28), part("train-labels-idx1-ubyte", 60000)),
            "test": (part("t10k-images-idx3-ubyte", 10000, 28, 28), part("t10k-labels-idx1-ubyte", 10000)),
        },
    )


# SHA-256 of the gzip files: torchvision/prototype/datasets/_builtin/mnist.py; those of Fashion-MNIST also in
# keras/src/datasets/fashion_mnist.py, those of KMNIST also in ankane/torchvision-ruby. MD5 of MNIST's
# decompressed files: as distributed since 1998. SHA-256 of EMNIST's archive: JuliaML/MLDatasets.jl.
DATASETS: dict[str, Dataset] = {
    "mnist": _like_mnist(
        ("mnist", "MNIST/raw", "."),
        {
            "train-images-idx3-ubyte": (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "6bbc9ace898e44ae57da46a324031adb",
            ),
            "train-labels-idx1-ubyte": (
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "a25bea736e30d166cdddb491f175f624",
            ),
            "t10k-images-idx3-ubyte": (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "2646ac647ad5339dbf082846283269ea",
            ),
            "t10k-labels-idx1-ubyte": (
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "27ae3e4e09519cfbb04c329615203637",
            ),
        },
    ),
    "fashion-mnist": _like_mnist(
        ("fashion-mnist", "FashionMNIST/raw", "."),
        {
            "train-images-idx3-ubyte": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                None,
            ),
            "train-labels-idx1-ubyte": (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                None,
            ),
            "t10k-images-idx3-ubyte": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                None,
            ),
            "t10k-labels-idx1-ubyte": (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                None,
            ),
        },
    ),
    "kmnist": _like_mnist(
        ("kmnist", "KMNIST/raw", "."),
        {
            "train-images-idx3-ubyte": (
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                None,
            ),
            "train-labels-idx1-ubyte": (
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                None,
            ),
            "t10k-images-idx3-ubyte": (
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                None,
            ),
            "t10k-labels-idx1-ubyte": (
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                None,
            ),
        },
    ),
    "emnist-digits": Dataset(
        ("emnist-digits", "EMNIST/raw", "gzip", "."),
        {
            split: (
                Published(f"emnist-digits-{split}-images-idx3-ubyte", (count, 28, 28), None),
                Published(f"emnist-digits-{split}-labels-idx1-ubyte", (count,), None),
            )
            for split, count in (("train", 240000), ("test", 40000))
        },
        Archive("gzip.zip", "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e", "gzip"),
        transposed=True,
    ),
}


def open_dataset(name: str, data_dir: Path | None = None, split: str = "train") -> LabelledMemorySource:
    """Open one of `DATASETS`, downloading it if it is nowhere found.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    data_dir : Path, optional
        Folder to look in, else that of the environment variable ``BLURGEN_DATA``. The files may lie in it,
        in a folder ``NAME`` in it, or as torchvision lays them; gzipped or not.
    split : {"train", "test"}
        Which part.

    Returns
    -------
    LabelledMemorySource
        Images ``(28, 28, 1)`` and their labels.

    Raises
    ------
    InputError
        If `split` is not one of the two.
    SourceError
        If a file cannot be found, downloaded or read, or is not what it should be.
    """
    dataset = DATASETS[name]
    if split not in dataset.splits:
        raise InputError(f"{name}: split {split!r}, allowed are {_listed(dataset.splits)}")
    roots = _data_roots(data_dir)
    parts = dataset.splits[split]
    images, labels = (_load(part, _locate(name, part, parts, roots), name) for part in parts)
    if dataset.transposed:
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    return LabelledMemorySource(name, {"split": split}, images[..., np.newaxis], labels)


def open_idx(name: str, path: Path) -> MemorySource:
    """Open any IDX file of images.

    Labels are taken from the file beside it whose name says ``labels`` and ``idx1`` where this one says
    ``images`` and ``idx3``, if there is one.

    Parameters
    ----------
    name : str
        What was asked for.
    path : Path
        The file, gzipped or not.

    Returns
    -------
    MemorySource
        Images ``(H, W, 1)``; a `LabelledMemorySource` where there are labels.

    Raises
    ------
    SourceError
        If a file cannot be read or is no IDX file of bytes, or if there are not as many labels as images.
    """
    images = read_idx(path, 3)
    match = re.fullmatch(r"(.*)images[-.]idx3-ubyte(?:\.gz)?", path.name)
    beside = match and _find(path.parent, f"{match[1]}labels-idx1-ubyte")
    if not beside:
        return MemorySource(name, {}, images[..., np.newaxis])
    labels = read_idx(beside, 1)
    if len(labels) != len(images):
        raise SourceError(f"{beside} holds {len(labels)} labels for the {len(images)} images of {path.name}")
    return LabelledMemorySource(name, {}, images[..., np.newaxis], labels)


def read_idx(path: Path, ndim: int, md5: str | None = None) -> NDArray[np.uint8]:
    """Read an IDX file of bytes.

    Parameters
    ----------
    path : Path
        The file; gzip is recognised by its content.
    ndim : int
        Number of dimensions it has to have: 3 for images, 1 for labels.
    md5 : str, optional
        What the MD5 of the decompressed bytes has to be.

    Returns
    -------
    ndarray
        uint8, read-only, of the shape in the header.

    Raises
    ------
    SourceError
        If the file cannot be read, its gzip stream is truncated or damaged, its magic number is another,
        its length is not what its header says, it holds nothing, or its hash is another.
    """
    return _parse(path, _read_decompressed(path, ndim), ndim, md5)


def _read_decompressed(path: Path, ndim: int) -> bytes:
    """The content, of which no more is unpacked than one byte beyond what its header says."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return file.read()
            stream = gzip.GzipFile(fileobj=file)
            header = stream.read(4 + 4 * ndim)
            length = math.prod(struct.unpack(f">{ndim}I", header[4:])) if len(header) == 4 + 4 * ndim else 0
            check_growth("what its header says", length, path.stat().st_size)
            return header + stream.read(length + 1)
    except RefusedError as error:
        raise SourceError(f"{path} is refused: {error}") from error
    except EOFError as error:
        raise SourceError(f"{path} is truncated: its gzip stream ends early") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _parse(path: Path, content: bytes, ndim: int, md5: str | None) -> NDArray[np.uint8]:
    header = 4 + 4 * ndim
    expected = 0x0800 | ndim
    if len(content) < header:
        raise SourceError(f"{path} is truncated: {len(content)} bytes, its header alone takes {header}")
    magic, *shape = struct.unpack(f">{1 + ndim}I", content[:header])
    if magic != expected:
        raise SourceError(
            f"{path} is no IDX file of {ndim}-dimensional bytes: magic number {magic:#010x}, expected "
            f"{expected:#010x}"
        )
    held, said = len(content) - header, math.prod(shape)
    if held != said:
        how_much = f"{held} bytes of data" if held < said else f"more than {said} bytes of data"
        raise SourceError(f"{path} holds {how_much}, its header says {_times(shape)} = {said}")
    if said == 0:  # NumPy makes no array of 0 by very many
        raise SourceError(f"{path} holds nothing: its header says {_times(shape)}")
    if md5 is not None:
        found = _md5(content)
        if found != md5:
            raise SourceError(f"{path} is not the published file: MD5 of its content {found}, expected {md5}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _load(part: Published, path: Path, name: str) -> NDArray[np.uint8]:
    content = _read_decompressed(path, len(part.shape))
    array = _parse(path, content, len(part.shape), part.md5)
    if array.shape != part.shape:
        raise SourceError(f"{path} holds {_times(array.shape)}, {name} has {_times(part.shape)}")
    if part.md5 is None and _md5(content) in _known_md5s():
        raise SourceError(f"{path} belongs to MNIST, not to {name}")
    return array


def _known_md5s() -> set[str]:
    return {part.md5 for pair in DATASETS["mnist"].splits.values() for part in pair if part.md5}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _data_roots(data_dir: Path | None) -> list[Path]:
    """Give the folder to look in, if one is named."""
    origin, named = "data_dir", data_dir
    if data_dir is None:
        origin, named = "BLURGEN_DATA", Path(given) if (given := os.environ.get("BLURGEN_DATA")) else None
    if named is None:
        return []
    if not named.is_dir():
        raise SourceError(f"{origin} names {named}, which is not a folder")
    return [named]


def _locate(name: str, part: Published, parts: tuple[Published, ...], roots: list[Path]) -> Path:
    """Find a file in the folders, else in the cache or on the network."""
    from blurgen.sources import download

    dataset = DATASETS[name]
    for root in roots:
        for folder in dataset.folders:
            if found := _find(root / folder, part.stem):
                return found
    filename = f"{part.stem}.gz"
    try:
        if dataset.archive is not None:
            inside = dataset.archive.folder
            members = tuple(f"{inside}/{file.stem}.gz" for pair in dataset.splits.values() for file in pair)
            return download.fetch_member(
                name, dataset.archive.filename, dataset.archive.sha256, members, f"{inside}/{filename}"
            )
        assert part.sha256 is not None
        return download.fetch(name, filename, part.sha256)
    except SourceError as error:
        absent = f"{name}: {filename} is not in {roots[0]} and " if roots else f"{name}: "
        needed = " and ".join(f"{file.stem}.gz" for file in parts)
        raise SourceError(
            f"{absent}{error}; put {needed} into a folder and name it by data_dir or BLURGEN_DATA"
        ) from error


def _find(folder: Path, stem: str) -> Path | None:
    return next((path for path in _spellings(folder, stem) if path.is_file()), None)


def _spellings(folder: Path, stem: str) -> Iterator[Path]:
    """Names that a file is known under: with ``-idx3`` or ``.idx3``, gzipped or not."""
    for name in (stem, stem.replace("-idx", ".idx")):
        yield folder / name
        yield folder / f"{name}.gz"


def _times(shape: tuple[int, ...] | list[int]) -> str:
    return "×".join(map(str, shape))


def _listed(names: dict[str, tuple[Published, Published]]) -> str:
    return " and ".join(map(repr, names))
