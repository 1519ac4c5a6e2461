"""A network of one's own: three lines say what it is, one more gives it a name that every command knows.

The commands find it in this file:

    python -m trainers.fit pairs.h5 --import examples/two_layers.py --model two-layers
"""

from __future__ import annotations

from torch import Tensor, nn

from trainers.models import Network, register


@register("two-layers")
class TwoLayers(Network):
    """What two convolutions add to the image; (B, C, H, W) to the same.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Of the layer between; ``--model-args width=64`` sets it.
    """

    def __init__(self, channels: int = 1, width: int = 32) -> None:
        super().__init__()
        self.channels = channels
        self.first = nn.Conv2d(channels, width, 9, padding=4)
        self.last = nn.Conv2d(width, channels, 5, padding=2)

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        restored: Tensor = images + self.last(self.first(images).relu())
        return restored
