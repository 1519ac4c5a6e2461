"""The random words of pixels on the device, and normal numbers made of them: those of the CPU.

Words of 32 bits are held in int64, whose products wrap around at 2⁶⁴ as those of unsigned numbers do. Normal
numbers come from the operations of `blurgen.loops.normals`, where the formula is explained, one by one. A
fused multiply-add of float32 is done in float64, which differs only where a rounding to 53 bits falls upon a
tie, one time in 2²⁹, and then in the last bit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from blurgen.draws import Draws
from blurgen.loops import normals as loops
from blurgen.torch.forms import moved

_LOW = 0xFFFFFFFF
_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85


def _as_float32(*numbers: float) -> tuple[float, ...]:
    return tuple(float(np.float32(number)) for number in numbers)


_LOGARITHM = _as_float32(*loops.LOGARITHM)
_NUMERATOR = _as_float32(*loops.NUMERATOR)
_DENOMINATOR = _as_float32(*loops.DENOMINATOR)
(_LN2,) = _as_float32(loops.LN2)


def block(c0: Tensor, stream: int, index: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four words of draws `c0` of samples `index`, int64 tensors that broadcast.

    See `blurgen.loops.philox.draw_block`.
    """
    c1, c2, c3 = torch.full_like(index, stream), index & _LOW, index >> 32
    k0, k1 = seed & _LOW, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1 = ((p1 >> 32) & _LOW) ^ c1 ^ k0, p1 & _LOW
        c2, c3 = ((p0 >> 32) & _LOW) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def samples(draws: Draws, device: torch.device) -> Tensor:
    """The samples' indices, (B, 1), on the device."""
    return moved(draws.index, device)[:, None]


def words(draws: Draws, count: int, device: torch.device, first: int = 0) -> Tensor:
    """The first `count` words of each sample's pixels from block `first` on: int64, (B, count)."""
    numbers = torch.arange(first, first + (count + 3) // 4, device=device)[None]
    four = block(numbers, draws.pixel_stream, samples(draws, device), draws.seed)
    return torch.stack(four, dim=-1).reshape(len(draws), -1)[:, :count]


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """A polynomial of float32 numbers, given as float64, by fused multiply-adds; float32."""
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value.mul_(x).add_(coefficient).to(torch.float32).to(torch.float64)
    return value.to(torch.float32)


def normals(drawn: Tensor) -> Tensor:
    """A standard normal number from each word, float32; see `blurgen.loops.normals`."""
    signed = ((drawn ^ 0x80000000) - 0x80000000).to(torch.int32)
    below = signed ^ (signed >> 31)  # of word and its complement the lesser
    x = (below ^ 0x7FFFFFFF).to(torch.float32) + 0.5  # · 2⁻³¹
    p = below.to(torch.float32) + 0.5  # · 2⁻³²
    bits = (p * (2.0**32 - p)).view(torch.int32) - loops.LEAST  # of 4p(1 − p), and its distance from 0.75
    f = ((bits & loops.MANTISSA) + loops.THREE_QUARTERS).view(torch.float32) - 1.0
    wide = f.to(torch.float64)
    logarithm = ((f * f).to(torch.float64) * _polynomial(_LOGARITHM, wide) + wide).to(torch.float32)
    v = ((bits >> 23).to(torch.float64) * _LN2 + logarithm).to(torch.float32).to(torch.float64)
    z = x * ((_polynomial(_NUMERATOR, v) / _polynomial(_DENOMINATOR, v)) * 2.0**-31)
    return torch.where(signed < 0, z, -z)
