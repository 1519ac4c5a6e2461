"""The network of the MNIST motion deblurring project."""

from __future__ import annotations

from torch import Tensor, nn

from trainers.models.base import Network, check_share, check_width, register


@register("cnn-7-5-3")
class Cnn753(Network):
    """Three convolutions: 7×7 to 64, 5×5 to 64, 3×3 to the image; (B, C, H, W) to (B, C, H, W).

    ReLU and dropout after the first two, the last linear; zero padding. Source: the MNIST motion deblurring
    project, trained on kernels of a MATLAB script.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Channels between the layers.
    dropout : float
        The share of values set to zero in training.
    """

    def __init__(self, channels: int = 1, width: int = 64, dropout: float = 0.1) -> None:
        check_width(width)
        check_share("dropout", dropout)
        super().__init__()
        self.channels = channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 7, padding=3),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(width, width, 5, padding=2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        restored: Tensor = self.body(images)
        return restored
