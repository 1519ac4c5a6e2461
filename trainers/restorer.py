"""A network as it is put to use: images as files hold them in, restored ones out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.loop import autocast
from trainers.models import Network
from trainers.tiling import restore_tiled

_BATCH_PIXELS = 1 << 18
_LARGEST_BATCH = 256


def images_at_once(network: Network, height: int, width: int) -> int:
    """How many images of a size go through a network together."""
    pixels = max(height * width, math.prod(network.size or (1,)))
    return min(_LARGEST_BATCH, max(1, _BATCH_PIXELS // pixels))


@dataclass(frozen=True)
class Restorer:
    """Restores images of any size and of 1 or 3 channels, whatever the network takes.

    A network for gray images restores each channel of colour images by itself; one for colour images gives
    the mean of its channels for gray ones.

    Attributes
    ----------
    network : Network
        In evaluation mode, on the device.
    device : torch.device
        Where the network is.
    precision : str
        ``fp32`` or ``bf16``, the arithmetic of the network.
    tile, overlap : int
        As of `trainers.tiling.restore_tiled`.
    """

    network: Network
    device: torch.device
    precision: str
    tile: int
    overlap: int

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restored images.

        Parameters
        ----------
        images : ndarray
            float32, shape (B, H, W, C) with C 1 or 3, black 0, white 1.

        Returns
        -------
        ndarray
            float32, of the same shape, clipped to 0 … 1.
        """
        count, height, width, channels = images.shape
        made = restore_tiled(
            self.network,
            self._for_network(images),
            tile=self.tile,
            overlap=self.overlap,
            device=self.device,
            run=self._run,
        ).reshape(count, -1, height, width)
        if channels == 1:
            made = made.mean(1, keepdim=True)
        restored: NDArray[np.float32] = made.permute(0, 2, 3, 1).numpy()
        return restored

    def _for_network(self, images: NDArray[np.float32]) -> Tensor:
        """(B, C, H, W) as the network takes it."""
        channels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        if self.network.channels == 1:
            return channels.flatten(0, 1)[:, None]
        return channels.expand(-1, self.network.channels, -1, -1)

    def _run(self, images: Tensor) -> Tensor:
        with torch.no_grad(), autocast(self.device, self.precision):
            return self.network.restore(images).float()
