"""A folder of photographs, whole, resized, or cut into patches."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError, SourceError
from blurgen.sources.patched import THREADS, PatchedSource, Size, parse_size, patch_options, times

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


@dataclass(frozen=True)
class _File:
    """What the look at one file found: its size as ``(height, width)``, upright."""

    path: str
    sha256: str
    size: tuple[int, int]
    gray: bool


@dataclass(frozen=True)
class _Bad:
    path: str
    reason: str


class Folder(PatchedSource):
    """The images of a folder and all folders below it.

    Files are taken by extension (PNG, JPEG, TIFF, BMP, WebP; hidden ones are left out), in the natural order
    of their relative paths: ``a2.png`` before ``a10.png``. Links are followed, and each folder is entered
    once. EXIF orientation is applied; alpha is dropped; of 16 bits the upper 8 are kept; palettes and CMYK
    become RGB; of a file of several images the first is taken.

    Opening decodes every file once, to be sure of it.

    Parameters
    ----------
    name : str
        What was asked for.
    path : Path
        The folder.
    mode : {"rgb", "gray"}, optional
        Gray weighs R, G, B by 0.299, 0.587, 0.114. By default gray if every image is, else rgb.
    patch : int or (int, int) or str, optional
        Cut every image into patches of this size: an int, ``(height, width)`` or ``"HxW"``. They lie in
        rows from the upper left corner; what remains at the right and lower edge is not used.
    stride : like patch, optional
        Distance from one patch to the next; by default `patch`.
    resize : like patch, optional
        Resize every image, bicubic and antialiased, whatever its proportions.
    skip_bad : bool
        Leave out files that cannot be decoded or are smaller than `patch`, and list them in `skipped`.

    Attributes
    ----------
    skipped : list of (str, str)
        Relative path and reason of each file left out.

    Raises
    ------
    InputError
        If an option is out of range, or options exclude each other.
    SourceError
        If the folder is absent or without images; if an image cannot be decoded or is too small; or, with
        neither `patch` nor `resize`, if images differ in size.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        mode: str | None = None,
        patch: Size | None = None,
        stride: Size | None = None,
        resize: Size | None = None,
        skip_bad: bool = False,
    ) -> None:
        if mode not in (None, "gray", "rgb"):
            raise InputError(f"{name}: mode {mode!r}, allowed are 'gray' and 'rgb'")
        if patch is not None and resize is not None:
            raise InputError(f"{name}: patch and resize are both given, allowed is one of them")
        if not isinstance(skip_bad, bool):
            raise InputError(f"{name}: skip_bad {skip_bad!r}, allowed are True and False")
        self.name = name
        self._root = path.absolute()
        self._patch, self._stride = patch_options(name, patch, stride)
        self._resize = parse_size(name, "resize", resize)

        files, bad = self._look_at(list(image_paths(path)), skip_bad)
        self._files = files
        self.skipped = [(each.path, each.reason) for each in bad]
        if not files:
            raise SourceError(
                f"{path} holds no usable image: all {len(bad)} are skipped, {_describe(bad[0])}"
            )
        self._mode = mode or ("gray" if all(file.gray for file in files) else "rgb")

        if self._resize:
            sizes = [self._resize] * len(files)
        elif self._patch:
            sizes = [file.size for file in files]
        else:
            sizes = [_common_size(path, files)] * len(files)
        self._lay_out(sizes, 1 if self._mode == "gray" else 3, self._patch, self._stride)

        self.options = {"mode": self._mode}
        if self._patch and self._stride:
            self.options |= {"patch": list(self._patch), "stride": list(self._stride)}
        if self._resize:
            self.options |= {"resize": list(self._resize)}
        self.sha256 = self._identity()
        if skip_bad:
            self.options |= {"skip_bad": True}

    def _look_at(self, paths: list[str], skip_bad: bool) -> tuple[list[_File], list[_Bad]]:
        """Decode every file once."""
        files: list[_File] = []
        bad: list[_Bad] = []
        pool = ThreadPoolExecutor(THREADS, "blurgen-folder-open")
        try:
            for found in pool.map(self._inspect, paths):
                if isinstance(found, _File):
                    files.append(found)
                elif skip_bad:
                    bad.append(found)
                else:
                    named = self._root / _describe(found)
                    raise SourceError(f"{named}; mend or remove it, or leave such files out by skip_bad")
        finally:
            pool.shutdown(cancel_futures=True)
        return files, bad

    def _inspect(self, path: str) -> _File | _Bad:
        from blurgen.sources.images import decode, is_gray

        try:
            content = (self._root / path).read_bytes()
            image = decode(content)
        except OSError as error:
            return _Bad(path, error.strerror or str(error))
        except ValueError as error:
            return _Bad(path, str(error))
        size = (image.height, image.width)
        if self._patch and (size[0] < self._patch[0] or size[1] < self._patch[1]):
            return _Bad(path, f"{times(size)} pixels, smaller than the patch of {times(self._patch)}")
        return _File(path, hashlib.sha256(content).hexdigest(), size, is_gray(image))

    def _identity(self) -> str:
        digest = hashlib.sha256(f"folder {json.dumps(self.options, sort_keys=True)}\n".encode())
        for file in self._files:
            digest.update(os.fsencode(file.path) + b"\0" + file.sha256.encode())
        return digest.hexdigest()

    def _load(self, item: int) -> NDArray[np.uint8]:
        return self._decode(self._files[item])[None]

    def _decode(self, file: _File) -> NDArray[np.uint8]:
        from PIL import Image

        from blurgen.sources.images import decode

        path = self._root / file.path
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise SourceError(f"{path} has changed since it was opened")
            image = decode(content)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise SourceError(f"{path} cannot be decoded: {error}") from error
        image = image.convert("L" if self._mode == "gray" else "RGB")
        if self._resize:
            image = image.resize(self._resize[::-1], Image.Resampling.BICUBIC)
        return np.asarray(image).reshape(image.height, image.width, self.shape[2])


def natural_key(path: str) -> tuple[Any, ...]:
    """Sort key of a relative path by which numbers count as numbers: ``a2`` before ``a10``.

    Parameters
    ----------
    path : str
        With ``/`` between its parts, which are compared one by one.

    Returns
    -------
    tuple
        Different for different paths.
    """
    parts = []
    for part in path.split("/"):
        pieces = re.split(r"([0-9]+)", part)
        parts.append(tuple(int(piece) if index % 2 else piece for index, piece in enumerate(pieces)))
    # "01" and "1" are the same number: the text decides.
    return (tuple(parts), path)


def image_paths(root: Path) -> list[str]:
    """Relative paths of all image files, in natural order."""
    if not root.exists():
        raise SourceError(f"{root} does not exist")
    if not root.is_dir():
        raise SourceError(f"{root} is a file, allowed is a folder")
    paths = list(_walk(root))
    images = [path for path in paths if path.lower().endswith(EXTENSIONS)]
    if not images:
        seen = Counter(Path(path).suffix or "no extension" for path in paths)
        listed = ", ".join(f"{count} of {suffix}" for suffix, count in seen.most_common(5))
        raise SourceError(
            f"{root} holds no PNG, JPEG, TIFF, BMP or WebP image; it holds {listed or 'no files'}"
        )
    return sorted(images, key=natural_key)


def _walk(root: Path) -> Iterator[str]:
    """Relative paths of all files that are not hidden, entering each folder once."""

    def fail(error: OSError) -> None:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error

    entered = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=fail):
        # A link may lead to a folder that was entered already, or that we are in.
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted((each for each in folders if not each.startswith(".")), key=natural_key)
        for file in files:
            path = Path(folder, file)
            if not file.startswith(".") and (path.is_file() or path.is_symlink()):
                yield path.relative_to(root).as_posix()


def _common_size(root: Path, files: list[_File]) -> tuple[int, int]:
    first = files[0]
    for other in files:
        if other.size != first.size:
            raise SourceError(
                f"the images of {root} differ in size: {first.path} is {times(first.size)}, {other.path} is "
                f"{times(other.size)}; give patch (--patch) or resize (--resize)"
            )
    return first.size


def _describe(bad: _Bad) -> str:
    return f"{bad.path}: {bad.reason}"
