"""Flips, quarter turns and crops, drawn from (seed, pass, row), and made."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.draws import Draws
from blurgen.loops.jit import exact

Images = NDArray[np.uint8]
Index = NDArray[np.int64]


def derived_seed(seed: int, purpose: str, number: int = 0) -> int:
    """A seed of 64 bits for one purpose and one pass, epoch or step, by BLAKE2."""
    text = f"{purpose}/{seed}/{number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


class Cuts(NamedTuple):
    """How each image is turned and cut, int64, shape (B,).

    ``codes`` add 1 for upside down, 2 for left to right, 4 for rows and columns exchanged; the cut begins at
    (``tops``, ``lefts``).
    """

    codes: Index
    tops: Index
    lefts: Index

    def part(self, rows: slice) -> Cuts:
        """Those of some of the images."""
        return Cuts(self.codes[rows], self.tops[rows], self.lefts[rows])


def draw_cuts(
    seed: int, number: int, rows: Index, shape: tuple[int, int], size: tuple[int, int], augment: bool
) -> Cuts:
    """Cuts of `size` from images of `shape`, drawn from (seed, pass, row)."""
    draws = Draws(derived_seed(seed, "augment", number), rows)
    zeros = np.zeros(len(rows), np.int64)
    ways = 8 if size[0] == size[1] else 4
    return Cuts(
        draws.below(0, ways) if augment else zeros,
        draws.below(1, shape[0] - size[0] + 1) if shape[0] > size[0] else zeros,
        draws.below(2, shape[1] - size[1] + 1) if shape[1] > size[1] else zeros,
    )


@exact
def cut(images: Images, slots: Index, codes: Index, tops: Index, lefts: Index, out: Images) -> None:
    """Cut and turn ``images[slots]`` (…, H, W, C) into `out` (B, h, w, C)."""
    _, height, width, channels = out.shape
    for i in range(slots.size):
        image, code, top, left = images[slots[i]], codes[i], tops[i], lefts[i]
        if code == 0:
            out[i] = image[top : top + height, left : left + width]
            continue
        for y in range(height):
            for x in range(width):
                row, column = (x, y) if code & 4 else (y, x)
                if code & 1:
                    row = height - 1 - row
                if code & 2:
                    column = width - 1 - column
                for c in range(channels):
                    out[i, y, x, c] = image[top + row, left + column, c]


def cut_on_device(images: Tensor, cuts: tuple[Tensor, Tensor, Tensor], size: tuple[int, int]) -> Tensor:
    """Cut and turn images (B, H, W, C) that lie on a device; the same as the loop for arrays does."""
    codes, tops, lefts = (numbers[:, None, None] for numbers in cuts)
    rows = torch.arange(size[0], device=images.device)[None, :, None]
    columns = torch.arange(size[1], device=images.device)[None, None, :]
    exchanged = (codes & 4) > 0
    y, x = torch.where(exchanged, columns, rows), torch.where(exchanged, rows, columns)
    y = torch.where((codes & 1) > 0, size[0] - 1 - y, y) + tops
    x = torch.where((codes & 2) > 0, size[1] - 1 - x, x) + lefts
    return images[torch.arange(len(images), device=images.device)[:, None, None], y, x]
