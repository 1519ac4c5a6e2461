"""Noise of counted electrons on the device.

The method, the draws and, in float64, the operations are those of `blurgen.loops.poisson`, so that the counts
are the CPU's, but for the library's logarithm: where a pixel's test comes to lie within its last bits, which
happens to one in 10¹³ or so, another attempt may be taken.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.draws import Draws
from blurgen.stages.base import Columns
from blurgen.stages.noise import PoissonGaussianNoise, ShotNoise
from blurgen.torch.forms import number, of_images, on_device, parts
from blurgen.torch.noise import MOST, finished
from blurgen.torch.words import block, normals, samples, words

_COUNTS = 1 << 31  # the bit that tells the stream of Poisson numbers from that of the pixels' words
_ATTEMPTS = 16
_SMALL = 10.0
_MOST_ELECTRONS = 1e9
_MOST_STEPS = 100  # of the search for a small count
_STEPS = 20  # after which one looks whether any goes on
_HALF_UNIT = 2.0**-54
_HALF_LOG_2PI = 0.9189385332046727


def _unit(high: Tensor, low: Tensor) -> Tensor:
    """A float64 in [0, 1) with 53 bits, from two words."""
    return ((high << 21) | (low >> 11)).to(torch.float64) * 2.0**-53


def _exp_of_minus(x: Tensor) -> Tensor:
    """E to the power of −x, 0 ≤ x ≤ 10; see `blurgen.loops.poisson`."""
    r = x * -0.03125
    y = 1.0 + r * 0.08333333333333333
    for share in (11, 10, 9, 8, 7, 6, 5, 4, 3, 2):
        y = 1.0 + y * (r * (1.0 / share))
    y = 1.0 + y * r
    for _ in range(5):
        y = y * y
    return y


def _searched(rate: Tensor, u: Tensor) -> Tensor:
    """The least k whose cumulative probability exceeds `u`; rates below 10."""
    share = _exp_of_minus(rate)
    total, count = share, torch.zeros_like(rate)
    for k in range(1, _MOST_STEPS + 1):
        more = u >= total
        if k % _STEPS == 1 and not bool(more.any()):
            break
        count += more
        share = share * (rate / number(k, rate))
        total = total + share
    return count


def _candidate(rate: Tensor, b: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """PTRS's candidate for a uniform number, and how far that is from the nearer end."""
    u = (u - 0.5) + _HALF_UNIT
    us = 0.5 - u.abs()
    return ((2.0 * (-0.059 + 0.02483 * b) / us + b) * u + rate + 0.43).floor(), us


def _accepted(rate: Tensor, b: Tensor, k: Tensor, us: Tensor, v: Tensor) -> Tensor:
    """Whether PTRS takes `k`, where its quick test has not already."""
    a = -0.059 + 0.02483 * b
    left = (v + _HALF_UNIT) * (1.1239 + number(1.1328, b) / (b - 3.4)) / (a / (us * us) + b)
    factorial = torch.ones_like(k)
    for factor in range(2, 10):
        factorial = torch.where(k >= factor, factorial * factor, factorial)
    few = (left * factorial).log() <= k * rate.log() - rate
    # k! by Stirling's series
    n = k.clamp(min=0.0) + 1.0
    r = 1.0 / (n * n)
    series = 0.08333333333333333 - r * (
        0.002777777777777778 - r * (0.0007936507936507937 - r * 0.0005952380952380953)
    )
    right = k * (rate / n).log() + (n - rate) - _HALF_LOG_2PI - series / n
    many = (left * n.sqrt()).log() <= right
    possible = (k >= 0.0) & ((us >= 0.013) | (v <= us))
    return possible & torch.where(k < 10.0, few, many)


def _attempted(rate: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """PTRS's candidate for each rate from its two uniform numbers, and whether it is taken."""
    b = 0.931 + 2.53 * rate.sqrt()
    k, us = _candidate(rate, b, u)
    taken = (us >= 0.07) & (v <= 0.9277 - number(3.6224, b) / (b - 2.0))
    rest = (~taken).nonzero(as_tuple=True)[0]
    taken[rest] = _accepted(rate[rest], b[rest], k[rest], us[rest], v[rest])
    return k, taken


def _uniforms(draw: Tensor, index: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """The two uniform numbers of a draw for the count of a pixel."""
    w0, w1, w2, w3 = block(draw, draws.pixel_stream | _COUNTS, index, draws.seed)
    return _unit(w0, w1), _unit(w2, w3)


def counts(rate: Tensor, draws: Draws) -> Tensor:
    """A Poisson number for each rate, both float64 (B, n)."""
    pixels = rate.shape[1]
    index = samples(draws, rate.device)
    draw = _ATTEMPTS * torch.arange(pixels, device=rate.device)
    u, v = (numbers.flatten() for numbers in _uniforms(draw[None], index, draws))
    rates = rate.flatten()
    out = (rates + 0.5).floor()  # what is left when every attempt fails
    small = (rates < _SMALL).nonzero(as_tuple=True)[0]
    out[small] = _searched(rates[small], u[small])
    left = (rates >= _SMALL).nonzero(as_tuple=True)[0]
    u, v = u[left], v[left]
    for attempt in range(1, _ATTEMPTS + 1):
        k, taken = _attempted(rates[left], u, v)
        out[left] = torch.where(taken, k, out[left])
        left = left[~taken]
        if attempt == _ATTEMPTS or left.numel() == 0:
            break
        u, v = _uniforms(draw[left % pixels] + attempt, index[left // pixels, 0], draws)
    return out.reshape(rate.shape)


def _add_counts(
    images: Tensor,
    light: Tensor,
    draws: Draws,
    gain: NDArray[np.float64],
    scale: NDArray[np.float64],
    full_well: NDArray[np.float64],
    read_noise: NDArray[np.float64],
) -> Tensor:
    """The images with the noise of what `light`, of one channel or as many as they have, gives electrons."""
    out = torch.empty_like(images)
    gains = of_images(gain, images, torch.float64)
    scales, wells, reads = (
        of_images(values, images, torch.float32) for values in (scale, full_well, read_noise)
    )
    each = light[0].numel()
    for part in parts(len(images), each, MOST // 4):
        own = draws.rows(np.arange(len(draws))[part])
        some = light[part]
        unit_gain = gains[part].to(torch.float32)
        rate = (some.to(torch.float64).clamp_(min=0.0) / gains[part]).clamp_(max=_MOST_ELECTRONS)
        electrons = counts(rate.reshape(len(some), each), own).to(torch.float32).reshape(some.shape)
        noise = scales[part] * (
            unit_gain * torch.minimum(electrons, wells[part]) - some.to(torch.float32).clamp(min=0.0)
        )
        if (read_noise[part] > 0.0).any():
            read = normals(words(own, each, images.device)).reshape(some.shape)
            noise = noise + unit_gain * (reads[part] * read)
        out[part] = finished(images[part].to(torch.float32).clamp(min=0.0) + noise, images)
    return out


def _luma(images: Tensor) -> Tensor:
    """0.299·R + 0.587·G + 0.114·B, (B, H, W, 1); of bytes by weights of 16 bits, rounded half up."""
    if images.dtype == torch.uint8:
        r, g, b = images.to(torch.int32).split(1, dim=3)
        return ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16).to(torch.uint8)
    r, g, b = images.split(1, dim=3)
    return 0.299 * r + 0.587 * g + 0.114 * b


@on_device(ShotNoise)
def shot_noise(stage: ShotNoise, images: Tensor, params: Columns, draws: Draws) -> Tensor:
    """The images with the noise of counting photons."""
    light = _luma(images) if stage.channels == "gray" and images.shape[3] == 3 else images
    unlimited, none = np.full(len(images), np.inf), np.zeros(len(images))
    return _add_counts(images, light, draws, 255.0 / params["peak"], params["scale"], unlimited, none)


@on_device(PoissonGaussianNoise)
def poisson_gaussian_noise(
    stage: PoissonGaussianNoise, images: Tensor, params: Columns, draws: Draws
) -> Tensor:
    """The images with a sensor's noise."""
    full_well = np.where(params["full_well"] > 0, params["full_well"], np.inf)
    ones = np.ones(len(images))
    return _add_counts(images, images, draws, params["gain"], ones, full_well, params["read_noise"])
