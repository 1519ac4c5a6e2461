"""Changes of tone on the device: byte for byte the CPU's."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from blurgen.draws import Draws
from blurgen.loops import tone as loops
from blurgen.stages.base import Columns, ImageStage
from blurgen.stages.tone import Brightness, Contrast, Exposure, Gamma
from blurgen.torch.forms import moved, number, of_images, on_device, rounded


def by_levels(stage: ImageStage, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """What a stage makes of bytes that it changes one by one: the CPU applies it to each level."""
    ramp = np.ascontiguousarray(
        np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (len(draws), 256, 1, 1))
    )
    levels = moved(stage.apply(ramp, params, draws), images.device).reshape(len(draws), 256)
    places = images.reshape(len(images), -1).to(torch.int64)
    return levels.gather(1, places).reshape(images.shape)


@on_device(Brightness)
def brightness(stage: Brightness, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The brighter or darker images."""
    if images.dtype == torch.uint8:
        return by_levels(stage, images, params, draws)
    return images + of_images(params["shift"], images, torch.float32)


@on_device(Gamma)
def gamma(stage: Gamma, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The darker or lighter images."""
    return by_levels(stage, images, params, draws)


@on_device(Contrast)
def contrast(stage: Contrast, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images of more or less contrast; of floats the mean may be another in its last bits."""
    factor = of_images(params["factor"], images, torch.float64)
    pixels = images.shape[1] * images.shape[2]
    if images.dtype == torch.uint8:
        total = images.sum(dim=(1, 2), keepdim=True, dtype=torch.int64).to(torch.float64)
        mean = total / number(pixels, total)
        return rounded((images.to(torch.float64) - mean) * factor + mean)
    total = images.sum(dim=(1, 2), keepdim=True, dtype=torch.float64)
    middle = (total / number(pixels, total)).to(torch.float32)
    return (images - middle) * factor.to(torch.float32) + middle


@on_device(Exposure)
def exposure(stage: Exposure, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images exposed longer or shorter."""
    factors = np.empty(len(images), np.float32)
    loops.fill_powers_of_two(params["stops"], factors)
    return images * of_images(factors, images, torch.float32)
