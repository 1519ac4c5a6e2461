"""How much arithmetic a network needs, and how much a device can do."""

from __future__ import annotations

import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import cpu_model
from benchmarks.training import settle
from trainers.models import build
from trainers.options import Options

# dense bf16 products in FLOP/s as the maker gives them, by the whole name: others are slower by a part of it
_PEAKS = {
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200": 989e12,
}
_TRIES = 20


def step_flops(options: Options, shape: tuple[int, int, int]) -> float:
    """Additions and multiplications that training on one image (H, W, C) needs, in convolutions and products.

    Three times those of the forward pass: backward needs as many for the images, and as many for the weights.
    (Counting backward itself would not do: PyTorch's counter takes grouped convolutions for full ones there.)
    """
    assert options.model is not None
    height, width, channels = shape
    # on the device "meta" nothing is computed
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = build(options.model, channels, **options.model_args)
        network(torch.empty(1, channels, height, width))
    return 3.0 * float(counter.get_total_flops())


def peak(device: torch.device, size: int) -> tuple[float, str]:
    """The most bf16 FLOP/s of a device, and where that is from: its maker, or matrices of `size`² numbers."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_model()
    if name in _PEAKS:
        return _PEAKS[name], f"the {_PEAKS[name] / 1e12:.0f} TFLOP/s that the maker gives the {name}"
    # numbers as a network has them: a GPU is quicker with zeros and ones, which change fewer bits
    drawn = torch.Generator(device).manual_seed(1)
    a, b = (torch.randn(size, size, generator=drawn, device=device).bfloat16() for _ in range(2))
    best = float("inf")
    for _ in range(_TRIES):
        settle(device)
        start = time.perf_counter()
        torch.mm(a, b)
        settle(device)
        best = min(best, time.perf_counter() - start)
    found = 2.0 * size**3 / best
    return found, f"the {found / 1e12:.3g} TFLOP/s of a product of two {size}×{size} matrices on the {name}"
