"""Pairs that exist already: sharp and blurred images in folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import InputError, SourceError
from blurgen.sources.folder import image_paths, natural_key
from blurgen.sources.patched import THREADS, PatchedSource, Size, parse_size, patch_options, times

# What published data sets call the folders of their sharp and of their blurred images: GoPro, RealBlur, REDS,
# RSBlur, HIDE and those that follow them.
_SHARP = ("sharp", "gt", "target", "ground_truth")
_BLURRED = ("blur", "blur_gamma", "blurred", "real_blur", "input")


@dataclass(frozen=True)
class _Pair:
    """Two files of one size, ``(height, width)``, and the hash of both contents."""

    sharp: Path
    blurred: Path
    sha256: tuple[str, str]
    size: tuple[int, int]
    gray: bool


class PairFolders(PatchedSource):
    """Sharp and blurred images that belong together by their names.

    Either two folders, in which images have the same relative paths but for the extension, or one that holds
    a layout: folders named sharp, gt, target or ground_truth beside blur, blur_gamma, blurred, real_blur or
    input, on any level, by themselves (``sharp``) or at the end of a name (``train_sharp``), a file's name
    repeating the folder's or not (``gt/gt_1.png``). So are GoPro, RealBlur, REDS and RSBlur laid out.

    Files are decoded as `Folder` says. Opening decodes every file once, to be sure of it.

    Parameters
    ----------
    name : str
        What was asked for.
    place : str
        ``FOLDER`` or ``SHARP_FOLDER,BLURRED_FOLDER``.
    blurred : str, optional
        Which of several kinds of blurred images a layout holds, e.g. ``"blur_gamma"`` of GoPro.
    mode : {"rgb", "gray"}, optional
        By default gray if every image is, else rgb.
    patch, stride : int or (int, int) or str, optional
        Cut every pair into patches, as `Folder` does.
    resize : like patch, optional
        Resize both images of every pair, as `Folder` does.
    skip_bad : bool
        Leave out, and list in `skipped`, what has no partner, cannot be decoded, or differs in size.

    Attributes
    ----------
    skipped : list of (str, str)
        Path and reason of each file left out.

    Raises
    ------
    InputError
        If an option is out of range, or options exclude each other.
    SourceError
        If a folder is absent, or holds no pairs; if an image has no partner, another size than its partner,
        cannot be decoded or is too small; or, with neither `patch` nor `resize`, if pairs differ in size.
    """

    has_blurred = True

    def __init__(
        self,
        name: str,
        place: str,
        *,
        blurred: str | None = None,
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
        self.name = name
        self._patch, self._stride = patch_options(name, patch, stride)
        self._resize = parse_size(name, "resize", resize)
        found, alone = _partners(place, blurred)
        self.skipped = [(str(path), "it has no partner") for path in alone]
        if alone and not skip_bad:
            others = {1: "", 2: ", nor has 1 other"}.get(len(alone), f", nor have {len(alone) - 1} others")
            raise SourceError(f"{alone[0]} has no partner{others}; leave such images out by skip_bad")
        self._pairs = list(self._look_at(found, skip_bad))
        if not self._pairs:
            raise SourceError(f"{place} holds no usable pair: {self.skipped[0][0]}: {self.skipped[0][1]}")
        self._mode = mode or ("gray" if all(pair.gray for pair in self._pairs) else "rgb")
        sizes = [self._resize or pair.size for pair in self._pairs]
        for pair in self._pairs:
            if not (self._patch or self._resize) and pair.size != sizes[0]:
                raise SourceError(
                    f"pairs differ in size: {self._pairs[0].sharp} is {times(sizes[0])}, {pair.sharp} is "
                    f"{times(pair.size)}; give patch (--patch) or resize (--resize)"
                )
        self._lay_out(sizes, 1 if self._mode == "gray" else 3, self._patch, self._stride)
        self.options = {"mode": self._mode}
        if blurred is not None:
            self.options |= {"blurred": blurred}
        if self._patch and self._stride:
            self.options |= {"patch": list(self._patch), "stride": list(self._stride)}
        if self._resize:
            self.options |= {"resize": list(self._resize)}
        self.sha256 = self._identity()
        if skip_bad:
            self.options |= {"skip_bad": True}

    def _look_at(self, found: list[tuple[Path, Path]], skip_bad: bool) -> Iterator[_Pair]:
        """Decode every pair once."""
        pool = ThreadPoolExecutor(THREADS, "blurgen-pairs-open")
        try:
            for pair in pool.map(self._inspect, found):
                if isinstance(pair, _Pair):
                    yield pair
                elif skip_bad:
                    self.skipped.append(pair)
                else:
                    raise SourceError(f"{pair[0]}: {pair[1]}; mend it, or leave such pairs out by skip_bad")
        finally:
            pool.shutdown(cancel_futures=True)

    def _inspect(self, paths: tuple[Path, Path]) -> _Pair | tuple[str, str]:
        """The pair, or a file's path and what is wrong with it."""
        from blurgen.sources.images import decode, is_gray

        hashes, sizes, gray = [], [], []
        for path in paths:
            try:
                content = path.read_bytes()
                image = decode(content)
            except OSError as error:
                return str(path), error.strerror or str(error)
            except ValueError as error:
                return str(path), str(error)
            hashes.append(hashlib.sha256(content).hexdigest())
            sizes.append((image.height, image.width))
            gray.append(is_gray(image))
        sharp, blurred = paths
        if sizes[0] != sizes[1]:
            return str(blurred), f"{times(sizes[1])} pixels, its sharp image {sharp} has {times(sizes[0])}"
        if self._patch and (sizes[0][0] < self._patch[0] or sizes[0][1] < self._patch[1]):
            return str(sharp), f"{times(sizes[0])} pixels, smaller than the patch of {times(self._patch)}"
        return _Pair(sharp, blurred, (hashes[0], hashes[1]), sizes[0], all(gray))

    def _identity(self) -> str:
        digest = hashlib.sha256(f"pairs {json.dumps(self.options, sort_keys=True)}\n".encode())
        for pair in self._pairs:
            digest.update("".join(pair.sha256).encode())
        return digest.hexdigest()

    def _load(self, item: int) -> NDArray[np.uint8]:
        from PIL import Image

        from blurgen.sources.images import decode

        pair = self._pairs[item]
        images = []
        for path, sha256 in zip((pair.sharp, pair.blurred), pair.sha256, strict=True):
            try:
                content = path.read_bytes()
            except OSError as error:
                raise SourceError(f"{path} cannot be read: {error.strerror}") from error
            if hashlib.sha256(content).hexdigest() != sha256:
                raise SourceError(f"{path} has changed since it was opened")
            image = decode(content).convert("L" if self._mode == "gray" else "RGB")
            if self._resize:
                image = image.resize(self._resize[::-1], Image.Resampling.BICUBIC)
            images.append(np.asarray(image).reshape(image.height, image.width, self.shape[2]))
        return np.stack(images)

    def _read_pairs(self, start: int, stop: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        sharp, blurred = self._cut_out(start, stop, 2)
        return sharp, blurred


def _partners(place: str, kind: str | None) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """The pairs of files in natural order, and the files without a partner."""
    root = Path(place).expanduser()
    if root.is_dir():
        sharp, blurred = _by_layout(root, kind)
    else:
        first, second = _two_folders(place)
        if kind is not None:
            raise InputError(f"pairs:{place}: blurred {kind!r} is for layouts; here two folders are given")
        sharp, blurred = _by_path(first), _by_path(second)
    common = sorted(sharp.keys() & blurred.keys(), key=natural_key)
    alone = [sharp.get(key) or blurred[key] for key in sorted(sharp.keys() ^ blurred.keys(), key=natural_key)]
    if not common:
        raise SourceError(f"pairs:{place}: no image has a partner of the same name, {alone[0]} for one")
    return [(sharp[key].absolute(), blurred[key].absolute()) for key in common], alone


def _two_folders(place: str) -> tuple[Path, Path]:
    """The two folders of ``SHARP,BLURRED``, whose names may hold commas themselves."""
    parts = place.split(",")
    splits = [(Path(",".join(parts[:n])), Path(",".join(parts[n:]))) for n in range(1, len(parts))]
    if not splits:
        raise SourceError(f"{place} is no folder; allowed are pairs:FOLDER and pairs:SHARP,BLURRED")
    splits = [(first.expanduser(), second.expanduser()) for first, second in splits]
    for first, second in splits:
        if first.is_dir() and second.is_dir():
            return first, second
    missing = [folder for folder in splits[0] if not folder.is_dir()]
    raise SourceError(f"{missing[0]} is no folder")


def _by_path(root: Path) -> dict[str, Path]:
    """The images of a folder by their relative path without its extension."""
    files: dict[str, Path] = {}
    for path in image_paths(root):
        key = str(PurePosixPath(path).with_suffix(""))
        if key in files:
            raise SourceError(f"{files[key]} and {root / path} differ in nothing but the extension")
        files[key] = root / path
    return files


def _by_layout(root: Path, kind: str | None) -> tuple[dict[str, Path], dict[str, Path]]:
    """The sharp images and the blurred ones of a layout, by what is common to the paths of a pair."""
    sharp: dict[str, Path] = {}
    blurred: dict[str, dict[str, Path]] = {}
    for path in image_paths(root):
        role, key = _role(path)
        if role in _SHARP:
            sharp[key] = root / path
        elif role:
            blurred.setdefault(role, {})[key] = root / path
    if not sharp or not blurred:
        lacking = "blurred" if sharp else "sharp"
        names = ", ".join(_BLURRED if sharp else _SHARP)
        raise SourceError(
            f"{root} has no folder of {lacking} images (named {names}); name both as pairs:SHARP,BLURRED"
        )
    if kind is None and len(blurred) > 1:
        raise SourceError(f"{root} holds {' and '.join(sorted(blurred))}: say which is meant by blurred")
    chosen = next(iter(blurred)) if kind is None else kind
    if chosen not in blurred:
        raise InputError(f"{root} holds no {kind!r}, only {' and '.join(sorted(blurred))}")
    return sharp, blurred[chosen]


def _role(path: str) -> tuple[str, str]:
    """What the innermost telling folder of a path is called, and the path with that left out."""
    *folders, file = PurePosixPath(path).with_suffix("").parts
    for depth in reversed(range(len(folders))):
        folder = folders[depth].lower()
        # the longest first, or blur_gamma would end a name that ends in gamma
        for role in sorted(_SHARP + _BLURRED, key=len, reverse=True):
            if folder == role or folder.endswith(f"_{role}"):
                prefix = folders[depth][: len(folder) - len(role)]
                rest = file[len(role) + 1 :] if file.lower().startswith(f"{role}_") else file
                return role, "/".join([*folders[:depth], f"{prefix}*", *folders[depth + 1 :], rest])
    return "", ""
