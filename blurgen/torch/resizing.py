"""Changes of scale on the device: byte for byte the CPU's.

The images of a batch become small by factors of their own: what is smaller than the largest of them is padded
by pixels that nothing is made of. Sums run over the same taps, in the same order and in float32, as in
`blurgen.loops.resample`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.draws import Draws
from blurgen.stages.base import Columns
from blurgen.stages.resizing import Pixelate, ResizeAndBack, scaled
from blurgen.torch.forms import moved, on_device, parts, rounded

_MOST = 1 << 24  # values that are worked on at a time
_A = -0.75  # of Keys' kernel

Sizes = NDArray[np.int64]


class _Taps(NamedTuple):
    """Of each image's new pixels which old ones they are made of, and with which weights: (B, taps, new)."""

    places: NDArray[np.int64]
    weights: NDArray[np.float32]


def _keys(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel (1981) at 0 ≤ x ≤ 2."""
    near = ((_A + 2.0) * x - (_A + 3.0)) * x * x + 1.0
    far = ((_A * x - 5.0 * _A) * x + 8.0 * _A) * x - 4.0 * _A
    return np.where(x <= 1.0, near, far)


def _taps_of(name: str, old: Sizes, new: Sizes, most: int) -> _Taps:
    """The taps of one filter, an even number of them, for sizes (B, 1, 1); `most` new pixels each."""
    i = np.arange(most)
    if name == "area":
        count = int(((old // new + 3) // 2 * 2).max())
        places = i * old // new + np.arange(count)[:, None]
        covered = np.minimum((i + 1) * old, (places + 1) * new) - np.maximum(i * old, places * new)
        weights = np.maximum(0, covered) / old
    else:
        twice = (2 * i + 1) * old - new  # 2·new times the position of the middle
        below = twice // (2 * new)
        between = (twice - below * 2 * new) / (2 * new)
        if name == "bicubic":
            t = np.arange(4)[:, None]
            places, weights = below - 1 + t, _keys(abs(between + 1.0 - t))
        else:
            places = below + np.arange(2)[:, None]
            weights = np.concatenate([1.0 - between, between], axis=1)
    return _Taps(np.clip(places, 0, old - 1), weights.astype(np.float32))


def _taps(names: list[str], old: Sizes, new: Sizes) -> _Taps:
    """The taps of each image's own filter and sizes; where it needs fewer, the rest have no weight."""
    most, count = int(new.max()), len(old)
    found = {}
    for name in dict.fromkeys(names):
        rows = np.array([n for n, other in enumerate(names) if other == name])
        found[name] = rows, _taps_of(name, old[rows, None, None], new[rows, None, None], most)
    longest = max(taps.weights.shape[1] for _, taps in found.values())
    out = _Taps(np.zeros((count, longest, most), np.int64), np.zeros((count, longest, most), np.float32))
    for rows, taps in found.values():
        own = taps.weights.shape[1]
        out.places[rows, :own], out.weights[rows, :own] = taps
    return out


def _along(values: Tensor, axis: int, taps: _Taps) -> Tensor:
    """The weighted sums along an axis of float32 images (B, H, W, C), two taps at a time."""
    shape, wanted = [len(values), 1, 1, 1], list(values.shape)
    shape[axis] = wanted[axis] = taps.places.shape[2]
    places = moved(taps.places, values.device)
    weights = moved(taps.weights, values.device)

    def term(t: int) -> Tensor:
        pixels = values.gather(axis, places[:, t].reshape(shape).expand(wanted))
        return weights[:, t].reshape(shape) * pixels

    out = term(0) + term(1)
    for t in range(2, places.shape[1], 2):
        out += term(t) + term(t + 1)
    return out


def _resampled(
    images: Tensor, old: tuple[Sizes, Sizes], new: tuple[Sizes, Sizes], names: list[str], down_first: bool
) -> Tensor:
    """Images brought from sizes of their own to others, of the same type."""
    values = images.to(torch.float32)
    for axis in (1, 2) if down_first else (2, 1):
        values = _along(values, axis, _taps(names, old[axis - 1], new[axis - 1]))
    return rounded(values) if images.dtype == torch.uint8 else values


def _there_and_back(images: Tensor, scale: NDArray[np.float64], down: list[str], up: list[str]) -> Tensor:
    """The images (B, H, W, C) brought to sizes of their own and back by named filters."""
    _, height, width, channels = images.shape
    out = torch.empty_like(images)
    small = scaled(height, scale), scaled(width, scale)
    # the work across is done on the fewer rows
    for shrinks in (True, False):
        chosen = np.flatnonzero((small[0] <= height) == shrinks)
        if chosen.size == 0:
            continue
        largest = int(max(height, small[0][chosen].max()) * max(width, small[1][chosen].max()))
        for part in parts(chosen.size, largest * channels, _MOST):
            rows = chosen[part]
            own = small[0][rows], small[1][rows]
            whole = np.full_like(own[0], height), np.full_like(own[1], width)
            places = moved(rows, images.device)
            there = _resampled(images[places], whole, own, [down[n] for n in rows], shrinks)
            out[places] = _resampled(there, own, whole, [up[n] for n in rows], not shrinks)
    return out


def _box_ends(size: int, new: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the old pixels whose middles lie in each new one the first and one past the last, (B, most)."""
    scale = (size / new)[:, None]
    middle = (np.arange(new.max()) + 0.5) * scale
    first = np.maximum(0, (middle - 0.5 * scale + 0.5).astype(np.int64))
    last = np.minimum(size, (middle + 0.5 * scale + 0.5).astype(np.int64))
    # rounding may let in a pixel whose middle lies on the edge
    while (out := (first - middle + 0.5) * (1.0 / scale) <= -0.5).any():
        first += out
    while (out := (last - 1 - middle + 0.5) * (1.0 / scale) > 0.5).any():
        last -= out
    # what lies beyond an image's own new size is one pixel of any kind
    beyond = np.arange(new.max()) >= new[:, None]
    first[beyond], last[beyond] = 0, 1
    return first, last


def _box_means(values: Tensor, axis: int, new: NDArray[np.int64]) -> Tensor:
    """Means over whole pixels along an axis of bytes (B, H, W, C), int64: weights of 22 bits, rounded."""
    first, last = (moved(ends, values.device) for ends in _box_ends(values.shape[axis], new))
    shape = [len(values), 1, 1, 1]
    shape[axis] = first.shape[1]
    zero = torch.zeros_like(values.narrow(axis, 0, 1))
    totals = torch.cat([zero, values.cumsum(axis)], dim=axis)
    wanted = list(values.shape)
    wanted[axis] = first.shape[1]
    upper, lower = (totals.gather(axis, ends.reshape(shape).expand(wanted)) for ends in (last, first))
    weights = (0.5 + 1.0 / (last - first).to(torch.float64) * (1 << 22)).to(torch.int64)
    return ((upper - lower) * weights.reshape(shape) + (1 << 21)) >> 22


def _repeated(values: Tensor, axis: int, size: int, small: NDArray[np.int64]) -> Tensor:
    """The pixels that stand at the middles of `size` new ones, of `small` old ones each."""
    places = ((np.arange(size) + 0.5) * (small / size)[:, None]).astype(np.int64)
    shape, wanted = [len(values), 1, 1, 1], list(values.shape)
    shape[axis] = wanted[axis] = size
    return values.gather(axis, moved(places, values.device).reshape(shape).expand(wanted))


def _boxes_and_back(images: Tensor, scale: NDArray[np.float64]) -> Tensor:
    """The images shrunk by means of whole pixels and enlarged by repeating them, byte for byte Pillow's."""
    _, height, width, _ = images.shape
    out = torch.empty_like(images)
    for part in parts(len(images), images[0].numel(), _MOST):
        rows, columns = scaled(height, scale[part]), scaled(width, scale[part])
        small = _box_means(_box_means(images[part].to(torch.int64), 2, columns), 1, rows)
        out[part] = _repeated(_repeated(small.to(torch.uint8), 2, width, columns), 1, height, rows)
    return out


@on_device(Pixelate)
def pixelate(stage: Pixelate, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The pixelated images."""
    if stage.filter == "box":
        return _boxes_and_back(images, params["scale"])
    bilinear = ["bilinear"] * len(images)
    return _there_and_back(images, params["scale"], bilinear, bilinear)


@on_device(ResizeAndBack)
def resize_and_back(stage: ResizeAndBack, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images after both steps."""
    down, up = [stage.down[n] for n in params["down"]], [stage.up[n] for n in params["up"]]
    return _there_and_back(images, params["scale"], down, up)
