"""SRCNN (Dong, Loy, He & Tang, ECCV 2014) and two deeper variants."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from trainers.models.base import Network, register


class _Srcnn(Network):
    """Convolutions of odd sizes, ReLU between them; (B, C, H, W) to the same, zero padding."""

    def __init__(self, channels: int, layers: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.channels = channels
        body: list[nn.Module] = []
        before = channels
        for size, width in layers:
            body += [nn.Conv2d(before, width, size, padding=size // 2), nn.ReLU()]
            before = width
        self.body = nn.Sequential(*body, nn.Conv2d(before, channels, 5, padding=2))

    def forward(self, images: Tensor) -> Tensor:
        """The restored images."""
        restored: Tensor = self.body(images)
        return restored


@register("srcnn-9-1-5")
class Srcnn915(_Srcnn):
    """9×9 to 64, 1×1 to 32, 5×5 to the image: SRCNN as published.

    Parameters
    ----------
    channels : int
        Of the images.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__(channels, [(9, 64), (1, 32)])


@register("srcnn-9-3-1-5")
class Srcnn9315(_Srcnn):
    """9×9 to 64, 3×3 to 64, 1×1 to 32, 5×5 to the image; the source gives sizes only, the widths are SRCNN's.

    Parameters
    ----------
    channels : int
        Of the images.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__(channels, [(9, 64), (3, 64), (1, 32)])


@register("srcnn-9-1-1-1-5")
class Srcnn91115(_Srcnn):
    """9×9 to 64, three times 1×1 to 32, 5×5 to the image; as above, the widths are SRCNN's.

    Parameters
    ----------
    channels : int
        Of the images.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__(channels, [(9, 64), (1, 32), (1, 32), (1, 32)])
