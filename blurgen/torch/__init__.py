"""Pairs for PyTorch: datasets of pairs, transforms, and recipes on the device that trains.

Needs PyTorch, which blurgen itself does not.
"""

from blurgen.torch.dataset import PairDataset
from blurgen.torch.degrader import Degrader
from blurgen.torch.endless import EndlessPairs
from blurgen.torch.forms import DevicePair, device_stages, on_device, on_device_pairs
from blurgen.torch.transform import Degrade

__all__ = [
    "Degrade",
    "Degrader",
    "DevicePair",
    "EndlessPairs",
    "PairDataset",
    "device_stages",
    "on_device",
    "on_device_pairs",
]
