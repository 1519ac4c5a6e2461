"""Noise on the device, but for that of counted electrons: byte for byte the CPU's."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from blurgen.draws import Draws
from blurgen.loops import colours
from blurgen.stages.base import Columns
from blurgen.stages.noise import BandingNoise, GaussianNoise, ImpulseNoise, Quantisation, SpeckleNoise
from blurgen.torch.forms import moved, number, of_images, on_device, parts, rounded
from blurgen.torch.tone import by_levels
from blurgen.torch.words import normals, words

MOST = 1 << 24  # words that are made at a time
_COLUMNS = 1 << 31  # the block with which the words of columns begin
_COVARIANCES = [f"covariance_{'rgb'[i]}{'rgb'[j]}" for i, j in colours.PAIRS]


def finished(values: Tensor, images: Tensor) -> Tensor:
    """What a stage on such images gives: bytes rounded half up and clipped, floats as they are."""
    return rounded(values) if images.dtype == torch.uint8 else values


def _mixed(noise: Tensor, params: Columns, rows: slice) -> Tensor:
    """Three independent numbers a pixel made those of correlated channels."""
    covariances = np.array([params[name][rows] for name in _COVARIANCES], np.float64)
    weights = np.empty((covariances.shape[1], 3, 3), np.float32)
    colours.mixing(covariances, weights)
    w = moved(weights, noise.device)[:, None, None]
    a, b, c = noise[..., 0], noise[..., 1], noise[..., 2]
    green = w[..., 1, 0] * a + w[..., 1, 1] * b
    blue = w[..., 2, 0] * a + w[..., 2, 1] * b + w[..., 2, 2] * c
    return torch.stack([w[..., 0, 0] * a, green, blue], dim=-1)


@on_device(GaussianNoise)
@on_device(SpeckleNoise)
def normal_noise(
    stage: GaussianNoise | SpeckleNoise, images: Tensor, params: Columns, draws: Draws
) -> Tensor:
    """The images with normal noise, of the same deviation everywhere or relative to the light."""
    out = torch.empty_like(images)
    sigma = of_images(params["sigma"], images, torch.float32)
    _, height, width, channels = images.shape
    drawn = 1 if stage.channels == "gray" else channels
    each = height * width * drawn
    for part in parts(len(images), each, MOST):
        own = draws.rows(np.arange(len(draws))[part])
        noise = normals(words(own, each, images.device)).reshape(len(own), height, width, drawn)
        if stage.channels == "correlated":
            noise = _mixed(noise, params, part)
        noise = noise * sigma[part]
        light = images[part].to(torch.float32)
        if isinstance(stage, SpeckleNoise):
            noise = light * noise
        out[part] = finished(light + noise, images)
    return out


@on_device(BandingNoise)
def banding_noise(stage: BandingNoise, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images with a normal number for each row and each column."""
    _, height, width, _ = images.shape
    rows = normals(words(draws, height, images.device))[:, :, None, None]
    columns = normals(words(draws, width, images.device, _COLUMNS))[:, None, :, None]
    row_sigma, column_sigma = (
        of_images(params[name], images, torch.float32) for name in ("row_sigma", "column_sigma")
    )
    return finished(images.to(torch.float32) + (row_sigma * rows + column_sigma * columns), images)


@on_device(ImpulseNoise)
def impulse_noise(stage: ImpulseNoise, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images with some values replaced by white or black."""
    out = torch.empty_like(images)
    both = np.floor(params["amount"] * 2.0**32)
    white = np.floor(both * params["salt"])
    below_both, below_white = (of_images(limits, images, torch.int64) for limits in (both, white))
    _, height, width, channels = images.shape
    drawn = 1 if stage.channels == "gray" else channels
    each = height * width * drawn
    for part in parts(len(images), each, MOST):
        own = draws.rows(np.arange(len(draws))[part])
        word = words(own, each, images.device).reshape(len(own), height, width, drawn)
        kept = torch.where(word < below_both[part], 0, images[part])
        out[part] = torch.where(word < below_white[part], 255, kept).to(images.dtype)
    return out


@on_device(Quantisation)
def quantisation(stage: Quantisation, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images in fewer levels."""
    if images.dtype == torch.uint8:
        return by_levels(stage, images, params, draws)
    steps = of_images((1 << params["bits"]) - 1, images, torch.float64)
    level = (images.to(torch.float64).clamp_(0.0, 255.0) * steps / number(255.0, steps) + 0.5).floor_()
    return (level * 255.0 / steps).to(torch.float32)
