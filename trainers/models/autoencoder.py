"""The Fashion-MNIST autoencoder."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from trainers.models.base import Network, register


@register("autoencoder")
class Autoencoder(Network):
    """2×2 convolutions to 64, 32, 16, 8 and transposed ones to 16, 32, 64, all linear; 1×1 and sigmoid.

    (B, C, H, W) to the same; 22,057 weights for gray images. Padding is TensorFlow's "same": a convolution of
    even size pads below and to the right. Source: a Fashion-MNIST deblurring autoencoder in Keras. With no
    nonlinearity but the last, all of it is one linear filter of 8×8 taps: any other network here does better.

    Parameters
    ----------
    channels : int
        Of the images.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels
        widths = (channels, 64, 32, 16, 8)
        self.encoder = nn.ModuleList(nn.Conv2d(a, b, 2) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(a, b, 2) for a, b in ((8, 16), (16, 32), (32, 64)))
        self.last = nn.ConvTranspose2d(64, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        height, width = images.shape[-2:]
        code = images
        for layer in self.encoder:
            code = layer(F.pad(code, (0, 1, 0, 1)))
        for layer in self.decoder:
            code = layer(code)[..., :height, :width]
        restored: Tensor = self.last(code).sigmoid()
        return restored
