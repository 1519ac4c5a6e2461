"""Images of any size through a network, tile by tile."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainers.errors import TrainerError
from trainers.models import Network


def restore_tiled(
    network: Network,
    image: Tensor,
    *,
    tile: int,
    overlap: int,
    device: torch.device,
    run: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Restore an image in overlapping tiles that fade into each other.

    Of each overlap, the outer quarters of the two tiles, which see least of their surroundings, count
    nothing, and between them weights go evenly from one tile to the other. So the result is that of the whole
    image where the network looks no farther than a quarter of the overlap. A network of one fixed size gets
    the whole image, resized there and back.

    Parameters
    ----------
    network : Network
        In evaluation mode, on the device.
    image : Tensor
        Float, shape (B, C, H, W), black 0, white 1.
    tile : int
        Side of the tiles; 0 takes the image whole.
    overlap : int
        Of neighbouring tiles, at least.
    device : torch.device
        Where the network is; one tile at a time goes there.
    run : callable, optional
        Restores a tile; by default `Network.restore`.

    Returns
    -------
    Tensor
        Of the same shape, on the CPU, clipped to 0 … 1.

    Raises
    ------
    TrainerError
        If the tiles are too small for the overlap and the network's stride.
    """
    restore = run or network.restore
    height, width = image.shape[-2:]
    check_tiles(network, tile, overlap)
    if network.size is not None or not tile or max(height, width) <= tile:
        return restore(image.to(device)).float().cpu()
    rows = _tiles(height, tile, overlap, network.stride)
    columns = _tiles(width, tile, overlap, network.stride)
    out = torch.zeros_like(image)
    for top, bottom, down in rows:
        for left, right, across in columns:
            part = (..., slice(top, bottom), slice(left, right))
            restored = restore(image[part].to(device)).float().cpu()
            out[part] += restored * (down[:, None] * across)
    return out.clamp_(0, 1)


def check_tiles(network: Network, tile: int, overlap: int) -> None:
    """See that tiles of such a size can be laid.

    Raises
    ------
    TrainerError
        If not.
    """
    if tile < 0 or overlap < 0:
        raise TrainerError(f"tile {tile}, overlap {overlap}: 0 or more is needed")
    if tile and tile - 2 * overlap < network.stride:
        least = 2 * overlap + network.stride
        raise TrainerError(
            f"tile {tile} is too small: an overlap of {overlap} needs {least} pixels; 0 takes images whole"
        )


def _tiles(length: int, tile: int, overlap: int, stride: int) -> list[tuple[int, int, Tensor]]:
    """Where tiles begin and end along one side, and what their pixels weigh: together 1 everywhere."""
    step = (tile - overlap) // stride * stride  # a tile sees the same phase of the strides as the whole image
    starts = list(range(0, max(1, length - overlap), step))
    spans = [(start, min(start + tile, length)) for start in starts]
    weights = []
    for start, end in spans:
        weight = torch.ones(end - start)
        if start > 0:
            weight = torch.minimum(weight, _ramp(end - start, overlap))
        if end < length:
            weight = torch.minimum(weight, _ramp(end - start, overlap).flip(0))
        weights.append(weight)
    total = torch.zeros(length)
    for (start, end), weight in zip(spans, weights, strict=True):
        total[start:end] += weight
    return [(a, b, weight / total[a:b]) for (a, b), weight in zip(spans, weights, strict=True)]


def _ramp(length: int, overlap: int) -> Tensor:
    """0 for a quarter of the overlap, then rising to 1 until three quarters of it."""
    places = torch.arange(length, dtype=torch.float32) + 0.5
    quarter = overlap // 4
    return ((places - quarter) / max(1, overlap - 2 * quarter)).clamp(0, 1)
