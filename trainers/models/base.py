"""What the networks share: a registry by name, and the way to run them on images of any size."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from trainers.errors import TrainerError


class Network(nn.Module):
    """A network from degraded images to restored ones, both float (B, C, H, W), black 0, white 1.

    Attributes
    ----------
    kind : str
        The name that `register` gave it.
    stride : int
        Height and width are multiples of it; `restore` pads to them.
    size : tuple of int or None
        The one size (H, W) that it takes, or None where it takes any.
    only_channels : int or None
        The one channel count that it takes, or None where `channels` may be 1 or 3.
    channels : int
        The channels of this one's images.
    """

    kind: ClassVar[str] = ""
    stride: ClassVar[int] = 1
    size: ClassVar[tuple[int, int] | None] = None
    only_channels: ClassVar[int | None] = None
    channels: int

    def restore(self, images: Tensor) -> Tensor:
        """Restored images of any size: padded to a multiple of the stride, or resized to the one size.

        Parameters
        ----------
        images : Tensor
            Float, shape (B, C, H, W).

        Returns
        -------
        Tensor
            Of the same shape, clipped to 0 … 1.
        """
        height, width = images.shape[-2:]
        if self.size is not None:
            if (height, width) == self.size:
                restored: Tensor = self(images)
                return restored.clamp(0, 1)
            fitted = F.interpolate(images, self.size, mode="bicubic", antialias=True).clamp(0, 1)
            back = F.interpolate(self(fitted), (height, width), mode="bicubic", antialias=True)
            return back.clamp(0, 1)
        down, right = -height % self.stride, -width % self.stride
        padded = F.pad(images, (0, right, 0, down), mode="replicate")
        restored = self(padded).clamp(0, 1)
        return restored[..., :height, :width]


N = TypeVar("N", bound=type[Network])
MODELS: dict[str, type[Network]] = {}


def register(name: str) -> Callable[[N], N]:
    """Make a network known by `name` to every command.

    A definition that is run again, as in a notebook, takes the place of the former one.

    Raises
    ------
    TrainerError
        If another network has that name.

    Examples
    --------
    >>> import torch
    >>> @register("mine")
    ... class Mine(Network):
    ...     def __init__(self, channels: int = 1) -> None:
    ...         super().__init__()
    ...         self.channels = channels
    ...         self.body = nn.Conv2d(channels, channels, 3, padding=1)
    ...
    ...     def forward(self, images: Tensor) -> Tensor:
    ...         return self.body(images)
    >>> build("mine", 3)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3, 8, 8])
    >>> _ = MODELS.pop("mine")  # an example only
    """

    def known(network: N) -> N:
        other = MODELS.get(name, network)
        if (other.__module__, other.__qualname__) != (network.__module__, network.__qualname__):
            raise TrainerError(f"there is a network '{name}' already: choose another name")
        network.kind = name
        MODELS[name] = network
        return network

    return known


def build(name: str, channels: int, /, **arguments: Any) -> Network:
    """The network of that name for images of so many channels.

    Raises
    ------
    TrainerError
        If there is no such network, it takes no such argument, or other channels.
    """
    if name not in MODELS:
        raise TrainerError(
            f"there is no network '{name}'; there are {', '.join(sorted(MODELS))}; "
            "for one of your own, name the file that registers it (--import)"
        )
    network = MODELS[name]
    allowed = [p for p in inspect.signature(network).parameters if p != "channels"]
    for argument in arguments:
        if argument not in allowed:
            taken = ", ".join(allowed) or "none"
            raise TrainerError(f"network '{name}' has no argument '{argument}'; it takes {taken}")
    if network.only_channels not in (None, channels):
        raise TrainerError(
            f"network '{name}' takes images of {network.only_channels} channel"
            f"{'s' if network.only_channels != 1 else ''}, these have {channels}"
        )
    try:
        return network(channels=channels, **arguments)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # PyTorch's own, too
        raise TrainerError(f"network '{name}': {' '.join(str(error).split())}") from None


_WIDEST = 4096
_MOST_BLOCKS = 256


def check_width(width: int, least: int = 1) -> None:
    """See that a network's width is a whole number, `least` to 4096.

    Raises
    ------
    ValueError
        If it is not; `build` tells of which network.
    """
    if isinstance(width, bool) or not isinstance(width, int) or not least <= width <= _WIDEST:
        raise ValueError(f"width {width!r}: a whole number, {least} … {_WIDEST}, is needed")


def check_blocks(*levels: int) -> None:
    """See that numbers of blocks are whole, 0 to 256.

    Raises
    ------
    ValueError
        If one is not; `build` tells of which network.
    """
    for blocks in levels:
        if isinstance(blocks, bool) or not isinstance(blocks, int) or not 0 <= blocks <= _MOST_BLOCKS:
            raise ValueError(f"{blocks!r} blocks: a whole number, 0 … {_MOST_BLOCKS}, is needed")


def check_share(name: str, share: float) -> None:
    """See that an argument is a number between 0 and 1.

    Raises
    ------
    ValueError
        If it is not; `build` tells of which network.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"{name} {share!r}: a number from 0 to 1 is needed")


def count_parameters(network: nn.Module) -> int:
    """How many weights are trained."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
