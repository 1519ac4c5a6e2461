"""The frames of a video file, decoded by OpenCV."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.errors import SourceError
from blurgen.sources.per_process import PerProcess

_FORWARD = 64  # frames that are rather decoded than jumped over
_MOST_PIXELS = 1 << 25  # of a frame
# texts that FFmpeg takes for a list of other files, or of addresses
_LISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"v=0", b"[playlist]", b"#FFMETA")


class Video:
    """A video whose frames can be had by number, each the same as when it was opened.

    Opening decodes all of it, to count the frames and to know each by its hash: what containers say of their
    length, and where seeking leads, cannot be relied on.

    Parameters
    ----------
    path : Path
        The file.
    cut_short : bool
        Whether to take a video that ends before its header says.

    Attributes
    ----------
    size : tuple of int
        ``(height, width)``.
    count : int
        How many frames there are.
    sha256 : str
        Hash of the decoded frames.

    Raises
    ------
    SourceError
        If the file is absent, no video, ends early, or OpenCV is not installed.
    """

    def __init__(self, path: Path, *, cut_short: bool = False) -> None:
        self.path = path
        capture = _opened(path)
        announced = int(capture.get(_cv2(path).CAP_PROP_FRAME_COUNT))
        digest = hashlib.sha256()
        self._hashes: list[bytes] = []
        self.size = (0, 0)
        while True:
            decoded, frame = capture.read()
            if not decoded:
                break
            if self._hashes and frame.shape[:2] != self.size:
                raise SourceError(f"{path} changes its size at frame {len(self._hashes)}")
            self.size = frame.shape[:2]
            self._hashes.append(_hash(frame))
            digest.update(self._hashes[-1])
        self.count = len(self._hashes)
        self.sha256 = digest.hexdigest()
        if not self.count:
            raise SourceError(f"{path} holds no frame that can be decoded")
        # one frame less than announced is how some containers count
        if announced - self.count > 1 and not cut_short:
            raise SourceError(
                f"{path} ends early: its header says {announced} frames, {self.count} can be decoded; mend "
                "it, or take what there is by skip_bad"
            )
        self._decoder = PerProcess(partial(_Decoder, path))

    def frames(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Frames `start` … `stop` − 1, RGB: uint8 (N, H, W, 3)."""
        return self._decoder.get().read(start, stop, self._hashes, self.size)


class _Decoder:
    """A process's place in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._capture = _opened(path)
        self._next = 0

    def read(self, start: int, stop: int, hashes: list[bytes], size: tuple[int, int]) -> NDArray[np.uint8]:
        out = np.empty((stop - start, *size, 3), np.uint8)
        with self._lock:
            first = self._jump(start, hashes)
            for number in range(start, stop):
                frame = first if number == start else self._decode()
                if frame is None or _hash(frame) != hashes[number]:
                    raise SourceError(f"{self._path} has changed since it was opened, at frame {number}")
                out[number - start] = frame[..., ::-1]
        return out

    def _jump(self, number: int, hashes: list[bytes]) -> NDArray[np.uint8] | None:
        """The frame of that number: by seeking where that leads to it, else by decoding all before it."""
        if not 0 <= number - self._next <= _FORWARD:
            self._capture.set(_cv2(self._path).CAP_PROP_POS_FRAMES, number)
            self._next = number
            frame = self._decode()
            if frame is not None and _hash(frame) == hashes[number]:
                return frame
            self._capture, self._next = _opened(self._path), 0
        while self._next < number:
            self._capture.grab()
            self._next += 1
        return self._decode()

    def _decode(self) -> NDArray[np.uint8] | None:
        decoded, frame = self._capture.read()
        self._next += 1
        return frame if decoded else None


def _hash(frame: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(frame).data, digest_size=8).digest()


def _cv2(path: Path) -> Any:
    try:
        import cv2
    except ImportError:
        raise SourceError(f"{path}: videos are decoded by OpenCV: pip install 'blurgen[video]'") from None
    return cv2


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise SourceError(f"{path} does not exist" if not path.exists() else f"{path} is no file")
    with path.open("rb") as file:
        first = file.read(64)
    if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_LISTS):
        raise SourceError(f"{path} is a list of videos, allowed is a video")
    cv2 = _cv2(path)
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise SourceError(f"{path} is no video that OpenCV can decode")
    width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > _MOST_PIXELS:
        raise SourceError(f"{path} has frames of {height}×{width} pixels; {_MOST_PIXELS} are the most")
    return capture
