"""Pairs for PyTorch: a dataset of pair files, and recipes on the device that trains.

Needs PyTorch, which blurgen itself does not.
"""

from blurgen.torch.dataset import PairDataset
from blurgen.torch.degrader import Degrader
from blurgen.torch.forms import DevicePair, device_stages, on_device, on_device_pairs

__all__ = ["Degrader", "DevicePair", "PairDataset", "device_stages", "on_device", "on_device_pairs"]
