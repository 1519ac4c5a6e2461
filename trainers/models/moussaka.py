"""The licence plate network of the Imperial College project."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trainers.models.base import Network, check_share, check_width, register


@register("moussaka")
class Moussaka(Network):
    """An autoencoder for gray plates of 90×270 pixels: (B, 1, 90, 270) to the same.

    Encoder: 5×5 stride 3 to 512, 5×5 stride 3 to 256, 5×5 to 128, ReLU each; decoder: the mirror image with
    transposed convolutions, to 128, 256 and 1, ReLU each, then tanh. Dropout before every layer but the
    first. Images pass 90×270 → 30×90 → 10×30 and back. Source: licence plate deblurring group project,
    Imperial College London. Its published code never switches its dropout on, its description says 0.5. How
    the weights begin is ours: so that values keep their size from layer to layer (He et al., ICCV 2015), and
    that the first images are mid-gray; were they negative, the last ReLU would never have a gradient.

    Parameters
    ----------
    channels : int
        1: gray, the mean of the channels.
    dropout : float
        The share of values set to zero in training; 0 is what the published code did.
    width : int
        Channels of the first layer; those of the others follow.
    """

    size = (90, 270)
    only_channels = 1

    def __init__(self, channels: int = 1, dropout: float = 0.5, width: int = 512) -> None:
        check_width(width, least=4)
        check_share("dropout", dropout)
        super().__init__()
        self.channels = channels
        self.dropout = nn.Dropout(dropout)
        middle, narrow = width // 2, width // 4
        self.encoder = nn.ModuleList(
            [
                nn.Conv2d(1, width, 5, stride=3, padding=1),
                nn.Conv2d(width, middle, 5, stride=3, padding=1),
                nn.Conv2d(middle, narrow, 5, padding=2),
            ]
        )
        self.decoder = nn.ModuleList(
            [
                nn.ConvTranspose2d(narrow, narrow, 5, padding=2),
                nn.ConvTranspose2d(narrow, middle, 5, stride=3, padding=1),
                nn.ConvTranspose2d(middle, 1, 5, stride=3, padding=1),
            ]
        )
        for layer in (*self.encoder, *self.decoder):
            _begin(layer)
        with torch.no_grad():
            self.decoder[-1].weight.mul_(0.1)
            self.decoder[-1].bias.fill_(math.atanh(0.5))

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        code = images
        for number, layer in enumerate([*self.encoder, *self.decoder]):
            code = layer(code if number == 0 else self.dropout(code)).relu()
        return torch.tanh(code)


def _begin(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Draw weights that keep the size of values through the layer and its ReLU; no bias."""
    summed: float = layer.in_channels * math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        summed /= math.prod(layer.stride)  # so many products meet in an output, in the mean
    nn.init.normal_(layer.weight, std=math.sqrt(2 / summed))
    nn.init.zeros_(layer.bias)
