"""What training makes small: functions of restored and sharp images (B, C, H, W), giving a number."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.errors import TrainerError

_CHARBONNIER = 1e-3
_PSNR_FLOOR = 1e-8

Loss = Callable[[Tensor, Tensor], Tensor]


def mse(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean squared error."""
    return (restored - sharp).square().mean()


def mae(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean absolute error."""
    return (restored - sharp).abs().mean()


def bce(restored: Tensor, sharp: Tensor) -> Tensor:
    """Binary cross-entropy, −(s log r + (1 − s) log(1 − r)), r clipped to 0 … 1, logarithms at −100."""
    return F.binary_cross_entropy(restored.clamp(0, 1), sharp)


def charbonnier(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean of √(d² + 10⁻⁶): nearly the absolute error, but smooth at 0 (Charbonnier et al., ICIP 1994)."""
    return ((restored - sharp).square() + _CHARBONNIER**2).sqrt().mean()


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """Minus the mean PSNR in dB, 10 log₁₀(MSE + 10⁻⁸) of each image, as NAFNet was trained."""
    errors = (restored - sharp).square().flatten(1).mean(1)
    return (10 * torch.log10(errors + _PSNR_FLOOR)).mean()


LOSSES: dict[str, Loss] = {"mse": mse, "mae": mae, "bce": bce, "charbonnier": charbonnier, "psnr": psnr}


def loss_named(name: str) -> Loss:
    """The loss of that name.

    Raises
    ------
    TrainerError
        If there is none.
    """
    if name not in LOSSES:
        raise TrainerError(f"there is no loss '{name}'; there are {', '.join(LOSSES)}")
    return LOSSES[name]
