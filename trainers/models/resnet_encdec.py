"""A ResNet-50 encoder with a U-Net-like decoder, of the GoPro project."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainers.errors import TrainerError
from trainers.models.base import Network, register
from trainers.weights import read_weights

_EXPANSION = 4


class _Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 with batch normalisation, added to what came in; named as in torchvision."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = width * _EXPANSION
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, features: Tensor) -> Tensor:
        kept = features if self.downsample is None else self.downsample(features)
        changed = self.bn1(self.conv1(features)).relu()
        changed = self.bn2(self.conv2(changed)).relu()
        out: Tensor = (self.bn3(self.conv3(changed)) + kept).relu()
        return out


def _layer(before: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    after = width * _EXPANSION
    rest = (_Bottleneck(after, width, 1) for _ in range(blocks - 1))
    return nn.Sequential(_Bottleneck(before, width, stride), *rest)


class _Encoder(nn.Module):
    """ResNet-50 (He et al., CVPR 2016) without its head; the names are those of torchvision's state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _layer(64, 64, 3, 1)
        self.layer2 = _layer(256, 128, 4, 2)
        self.layer3 = _layer(512, 256, 6, 2)
        self.layer4 = _layer(1024, 512, 3, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        stem = F.max_pool2d(self.bn1(self.conv1(images)).relu(), 3, stride=2, padding=1)
        first = self.layer1(stem)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)


def _double(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


class _Up(nn.Module):
    """Doubles the resolution, joins the encoder's features, and convolves twice."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(before, after, 2, stride=2)
        self.convs = _double(2 * after, after)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.convs(torch.cat([self.up(features), skip], dim=1))
        return joined


@register("resnet-encdec")
class ResNetEncDec(Network):
    """(B, C, H, W) to the same, H and W multiples of 32; sigmoid.

    The encoder's features of 2048 channels go up through 1024, 512 and 256, joined to the encoder's of the
    same size, then by two bilinear steps to 128 and 64, and 1×1 to the image. Source: a GoPro deblurring
    project, trained on colour frames resized to 256×256; the encoder takes a gray image as three equal
    channels, as is usual with weights of colour images.

    Parameters
    ----------
    channels : int
        Of the images.
    """

    stride = 32

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = _Encoder()
        self.up1, self.up2, self.up3 = _Up(2048, 1024), _Up(1024, 512), _Up(512, 256)
        self.convs4, self.convs5 = _double(256, 128), _double(128, 64)
        self.last = nn.Conv2d(64, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        colours = images if self.channels == 3 else images.expand(-1, 3, -1, -1)
        first, second, third, features = self.encoder(colours)
        features = self.up3(self.up2(self.up1(features, third), second), first)
        for convs in (self.convs4, self.convs5):
            features = convs(F.interpolate(features, scale_factor=2, mode="bilinear"))
        restored: Tensor = self.last(features).sigmoid()
        return restored

    def load_encoder(self, path: Path) -> None:
        """Take the encoder's weights from a file of torchvision's ``resnet50`` state dict.

        Its head, ``fc``, is left out; the counts of batches, which old files lack, may be missing.

        Raises
        ------
        TrainerError
            If the file cannot be read, does not fit, or holds values that are not finite.
        """
        weights = {name: value for name, value in read_weights(path).items() if not name.startswith("fc.")}
        expected = self.encoder.state_dict()
        for name, count in expected.items():
            if name.endswith("num_batches_tracked"):
                weights.setdefault(name, count)
        odd = sorted(weights.keys() ^ expected.keys())
        if odd:
            where = "lacks" if odd[0] in expected else "holds the unknown"
            raise TrainerError(f"'{path}' is no ResNet-50: it {where} {odd[0]} ({len(odd)} names differ)")
        for name, value in weights.items():
            if value.shape != expected[name].shape:
                raise TrainerError(
                    f"'{path}' is no ResNet-50: {name} is {tuple(value.shape)}, "
                    f"{tuple(expected[name].shape)} is needed"
                )
            if value.is_floating_point() and not value.isfinite().all():
                raise TrainerError(f"'{path}' is of no use: {name} holds values that are not finite")
        self.encoder.load_state_dict(weights)
