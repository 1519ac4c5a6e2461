"""NAFNet (Chen, Chu, Zhang & Sun, ECCV 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainers.models.base import Network, check_blocks, check_width, register

_MOST_LEVELS = 8


class _LayerNorm(nn.Module):
    """Normalises over the channels of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, features: Tensor) -> Tensor:
        last = nn.functional.layer_norm(
            features.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6
        )
        return last.permute(0, 3, 1, 2)


def _gate(features: Tensor) -> Tensor:
    """One half of the channels times the other: the paper's simple gate."""
    first, second = features.chunk(2, dim=1)
    return first * second


class _Block(nn.Module):
    """Gated convolution with channel attention, then a gated two-layer mix; both scaled and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _LayerNorm(width), _LayerNorm(width)
        self.spread = nn.Conv2d(width, 2 * width, 1)
        self.spatial = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1))
        self.merge = nn.Conv2d(width, width, 1)
        self.mix = nn.Conv2d(width, 2 * width, 1)
        self.unmix = nn.Conv2d(width, width, 1)
        # zero at first: a block begins as the identity
        self.beta = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        gated = _gate(self.spatial(self.spread(self.norm1(features))))
        features = features + self.beta * self.merge(gated * self.attention(gated))
        mixed: Tensor = self.unmix(_gate(self.mix(self.norm2(features))))
        return features + self.gamma * mixed


@register("nafnet")
class NafNet(Network):
    """A U-Net of blocks without activation functions: (B, C, H, W) to the same, plus the input.

    H and W are multiples of 2 to the number of levels. Source: L. Chen, X. Chu, X. Zhang, J. Sun, "Simple
    baselines for image restoration", ECCV 2022; ``width=64, encoder=(1, 1, 1, 28), middle=1,
    decoder=(1, 1, 1, 1)`` is its network for GoPro, of 67.9 million weights.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Channels at full resolution; each level doubles them.
    encoder, decoder : sequence of int
        Blocks on each level on the way down, and up; equally many.
    middle : int
        Blocks at the lowest resolution.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 32,
        encoder: Sequence[int] = (1, 1, 1),
        middle: int = 1,
        decoder: Sequence[int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        check_width(width)
        for name, levels in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(levels, list | tuple):
                raise ValueError(f"{name} {levels!r}: a list of whole numbers, such as [1,1,1], is needed")
        check_blocks(*encoder, middle, *decoder)
        if len(encoder) > _MOST_LEVELS:
            raise ValueError(f"encoder has {len(encoder)} levels; {_MOST_LEVELS} are the most")
        if len(encoder) != len(decoder):
            raise ValueError(f"encoder has {len(encoder)} levels, decoder {len(decoder)}")
        self.channels = channels
        self.stride = 2 ** len(encoder)  # type: ignore[misc]
        self.intro = nn.Conv2d(channels, width, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        for blocks in encoder:
            self.encoders.append(nn.Sequential(*(_Block(width) for _ in range(blocks))))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, stride=2))
            width *= 2
        self.middle = nn.Sequential(*(_Block(width) for _ in range(middle)))
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        for blocks in decoder:
            self.ups.append(nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(nn.Sequential(*(_Block(width) for _ in range(blocks))))
        self.ending = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        features = self.intro(images)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            features = encoder(features)
            skips.append(features)
            features = down(features)
        features = self.middle(features)
        for decoder, up in zip(self.decoders, self.ups, strict=True):
            features = decoder(up(features) + skips.pop())
        correction: Tensor = self.ending(features)
        return images + correction
