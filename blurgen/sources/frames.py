"""Blur by averaging the frames of fast cameras: the middle frame is sharp, the mean of a window blurred."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import PydanticCustomError

from blurgen import curves
from blurgen.draws import Draws
from blurgen.errors import InputError, SourceError
from blurgen.loops import frames as loops
from blurgen.sources.folder import image_paths
from blurgen.sources.patched import PatchedSource, Size, patch_options, times
from blurgen.sources.video import Video

# the windows' lengths are drawn in Philox's domain 3, in a stream that no drawn source takes
_STREAM = (3 << 30) | 1000

# GoPro's; sRGB's; none, for frames that are linear already
_CURVES = {"gamma": {"gamma": 2.2}, "srgb": "srgb", "identity": {"gamma": 1}}

Window = int | str | Sequence[int]


class _Sequence(ABC):
    """Frames in order, all of one size."""

    name: str
    count: int
    size: tuple[int, int]
    sha256: str

    @abstractmethod
    def frames(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Frames `start` … `stop` − 1, RGB: uint8 (N, H, W, 3)."""


class _VideoSequence(_Sequence):
    def __init__(self, path: Path, *, cut_short: bool) -> None:
        self._video = Video(path, cut_short=cut_short)
        self.name = str(path)
        self.count, self.size, self.sha256 = self._video.count, self._video.size, self._video.sha256

    def frames(self, start: int, stop: int) -> NDArray[np.uint8]:
        return self._video.frames(start, stop)


class _FolderSequence(_Sequence):
    """The images of one folder, in natural order."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self.name = str(paths[0].parent)
        self.count = len(paths)
        digest = hashlib.sha256()
        self._hashes = []
        for path in paths:
            frame, content_hash = _decoded(path)
            if path is paths[0]:
                self.size = frame.shape[:2]
            elif frame.shape[:2] != self.size:
                raise SourceError(f"{path} is {times(frame.shape[:2])}, the first frame {times(self.size)}")
            self._hashes.append(content_hash)
            digest.update(content_hash)
        self.sha256 = digest.hexdigest()

    def frames(self, start: int, stop: int) -> NDArray[np.uint8]:
        out = np.empty((stop - start, *self.size, 3), np.uint8)
        for number in range(start, stop):
            out[number - start], content_hash = _decoded(self._paths[number])
            if content_hash != self._hashes[number]:
                raise SourceError(f"{self._paths[number]} has changed since it was opened")
        return out


def _decoded(path: Path) -> tuple[NDArray[np.uint8], bytes]:
    from blurgen.sources.images import decode

    try:
        content = path.read_bytes()
        image = decode(content).convert("RGB")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{path} cannot be decoded: {error}") from error
    return np.asarray(image), hashlib.sha256(content).digest()


class FrameAverages(PatchedSource):
    """Pairs from windows of consecutive frames, as GoPro's were made (Nah, Kim & Lee, CVPR 2017).

    Blurred is the mean of a window's frames in linear light, through the inverse of the camera's response
    curve and back; sharp is the window's middle frame. A window's length is drawn for each, and is its label.

    Parameters
    ----------
    name : str
        What was asked for.
    sequences : list
        The frames, from `open_video` or `open_frames`.
    seed : int
        Fixes the drawn lengths.
    window : int or (int, int) or str
        How many frames are averaged, odd, or the least and the most, ``"7-13"``.
    every : int, optional
        From one window's middle to the next; by default the longest window, so that windows share no frame.
    curve : str
        The response curve: ``"gamma"`` (the default, 2.2), ``"srgb"``, ``"identity"``, or a file of a
        camera's response, as `blurgen.curves.Response` takes it.
    highlights : float
        Light lost to saturation is given back before averaging: a frame's value of 255 counts as 1 + this
        much. 0 (the default) … 10.
    patch, stride : int or (int, int) or str, optional
        Cut every pair into patches, as `Folder` does.
    skip_bad : bool
        Leave out, and list in `skipped`, sequences shorter than the longest window.

    Raises
    ------
    InputError
        If an option is out of range.
    SourceError
        If a sequence is too short for a window, or sequences differ in size without `patch`.
    """

    has_labels = True
    has_blurred = True

    def __init__(
        self,
        name: str,
        sequences: Sequence[_Sequence],
        *,
        seed: int = 0,
        window: Window = "7-13",
        every: int | None = None,
        curve: str = "gamma",
        highlights: float = 0.0,
        patch: Size | None = None,
        stride: Size | None = None,
        skip_bad: bool = False,
    ) -> None:
        self.name = name
        least, most = _parse_window(name, window)
        step = most if every is None else every
        if isinstance(step, bool) or not isinstance(step, int) or step < 1:
            raise InputError(f"{name}: every {every!r}, a whole number of at least 1 is needed")
        if (
            isinstance(highlights, bool)
            or not isinstance(highlights, int | float)
            or not 0 <= highlights <= 10
        ):
            raise InputError(f"{name}: highlights {highlights!r}, a number from 0 to 10 is needed")
        self._patch, self._stride = patch_options(name, patch, stride)
        self._curve = _parse_curve(name, curve)
        self._light = curves.tables(self._curve).light.copy()
        self._light[255] *= np.float32(1.0 + highlights)
        self.skipped: list[tuple[str, str]] = []
        self._sequences = list(self._usable(sequences, (least, most), skip_bad))

        # _middles[i] is (sequence, middle frame) of window i
        self._middles = [
            (number, middle)
            for number, sequence in enumerate(self._sequences)
            for middle in range(most // 2, sequence.count - most // 2, step)
        ]
        draws = Draws(seed, np.arange(len(self._middles), dtype=np.int64), stream=_STREAM)
        self._lengths = least + 2 * draws.below(0, (most - least) // 2 + 1)
        sizes = [self._sequences[number].size for number, _ in self._middles]
        if not self._patch and len(set(sizes)) > 1:
            raise SourceError(f"{name}: sequences differ in size; give patch (--patch)")
        self._lay_out(sizes, 3, self._patch, self._stride)
        self.options: dict[str, Any] = {
            "seed": int(seed),
            "window": [least, most],
            "every": step,
            "curve": curve,
            "highlights": highlights,
        }
        if self._patch and self._stride:
            self.options |= {"patch": list(self._patch), "stride": list(self._stride)}
        identity = {**self.options, "curve": self._curve.model_dump()}
        digest = hashlib.sha256(f"frames {json.dumps(identity, sort_keys=True)}\n".encode())
        for sequence in self._sequences:
            digest.update(f"{sequence.count} {sequence.sha256}\n".encode())
        self.sha256 = digest.hexdigest()
        if skip_bad:
            self.options |= {"skip_bad": True}

    def _usable(
        self, sequences: Sequence[_Sequence], window: tuple[int, int], skip_bad: bool
    ) -> list[_Sequence]:
        usable = []
        for sequence in sequences:
            frames = "1 frame" if sequence.count == 1 else f"{sequence.count} frames"
            small = self._patch and any(a < b for a, b in zip(sequence.size, self._patch, strict=True))
            if sequence.count < window[1]:
                wrong = f"it has {frames}; windows of {window[0]} to {window[1]} need {window[1]}"
            elif small and self._patch:
                wrong = (
                    f"its frames are {times(sequence.size)}, smaller than the patch of {times(self._patch)}"
                )
            else:
                usable.append(sequence)
                continue
            if not skip_bad:
                raise SourceError(f"{sequence.name}: {wrong}")
            self.skipped.append((sequence.name, wrong))
        if not usable:
            raise SourceError(f"{self.name} holds no usable frames: {': '.join(self.skipped[0])}")
        return usable

    def _load(self, item: int) -> NDArray[np.uint8]:
        number, middle = self._middles[item]
        reach = int(self._lengths[item]) // 2
        frames = self._sequences[number].frames(middle - reach, middle + reach + 1)
        light = np.empty(frames[0].size, np.float32)
        loops.mean(frames.reshape(len(frames), -1), self._light, light)
        return np.stack([frames[reach], curves.to_bytes(light, self._curve).reshape(frames[reach].shape)])

    def _read_pairs(self, start: int, stop: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        sharp, blurred = self._cut_out(start, stop, 2)
        return sharp, blurred

    def _labels(self, start: int, stop: int) -> NDArray[np.int64]:
        items = np.searchsorted(self._starts, np.arange(start, stop), side="right") - 1
        lengths: NDArray[np.int64] = self._lengths[items]
        return lengths


def open_video(name: str, path: Path, **options: Any) -> FrameAverages:
    """Windows of a video file's frames."""
    skip_bad = bool(options.get("skip_bad", False))
    return FrameAverages(name, [_VideoSequence(path.absolute(), cut_short=skip_bad)], **options)


def open_frames(name: str, root: Path, **options: Any) -> FrameAverages:
    """Windows of the images of a folder; every folder below it that holds images is a sequence of its own."""
    parents = groupby(image_paths(root), key=lambda path: PurePosixPath(path).parent)
    folders: dict[PurePosixPath, list[Path]] = {}
    for parent, paths in parents:
        folders.setdefault(parent, []).extend(root.absolute() / path for path in paths)
    return FrameAverages(name, [_FolderSequence(paths) for paths in folders.values()], **options)


def _parse_curve(name: str, curve: str) -> curves.Curve:
    if curve in _CURVES:
        return curves.parse(_CURVES[curve])
    if not isinstance(curve, str) or not Path(curve).exists():
        raise InputError(
            f"{name}: curve {curve!r}, allowed are {', '.join(_CURVES)} and a file of a camera's response"
        )
    try:
        return curves.parse({"response": curve})
    except PydanticCustomError as error:
        raise InputError(f"{name}: curve: {error.message()}") from None


def _parse_window(name: str, window: Window) -> tuple[int, int]:
    ends: Sequence[object] = ()
    if isinstance(window, str):
        if match := re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", window.strip()):
            ends = (int(match[1]), int(match[2] or match[1]))
    elif isinstance(window, Sequence):
        ends = window
    else:
        ends = (window, window)
    match ends:
        case [int(least), int(most)] if 1 <= least <= most <= 1001 and least % 2 and most % 2:
            return least, most
    raise InputError(f"{name}: window {window!r}, allowed are odd numbers such as 9, (7, 13) or '7-13'")
