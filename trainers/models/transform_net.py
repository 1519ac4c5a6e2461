"""The image-transform network of Johnson, Alahi & Fei-Fei (ECCV 2016), with batch normalisation."""

from __future__ import annotations

from torch import Tensor, nn

from trainers.models.base import Network, register


class _Residual(nn.Module):
    """Two 3×3 convolutions with batch normalisation, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, images: Tensor) -> Tensor:
        added: Tensor = images + self.body(images)
        return added


@register("transform-net")
class TransformNet(Network):
    """9×9 to 32, strided 3×3 to 64 and 128, five residual blocks, and back; sigmoid.

    (B, C, H, W) to the same, H and W multiples of 4. Source: J. Johnson, A. Alahi, L. Fei-Fei, "Perceptual
    losses for real-time style transfer and super-resolution", ECCV 2016, as a GoPro deblurring project used
    it.

    Parameters
    ----------
    channels : int
        Of the images.
    """

    stride = 4

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.body = nn.Sequential(
            *_normed(nn.Conv2d(channels, 32, 9, padding=4, bias=False), 32),
            *_normed(nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), 64),
            *_normed(nn.Conv2d(64, 128, 3, stride=2, padding=1, bias=False), 128),
            *(_Residual(128) for _ in range(5)),
            *_normed(nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1, bias=False), 64),
            *_normed(nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1, bias=False), 32),
            nn.Conv2d(32, channels, 9, padding=4),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        restored: Tensor = self.body(images)
        return restored


def _normed(layer: nn.Module, width: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return layer, nn.BatchNorm2d(width), nn.ReLU()
