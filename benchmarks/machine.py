"""What the figures were measured on, and how many threads each library may use."""

from __future__ import annotations

import os
import platform
from importlib import metadata, util
from pathlib import Path

import blurgen

ROOT = Path(__file__).resolve().parents[1]

_LIBRARIES = {
    "numpy": ("numpy",),
    "numba": ("numba",),
    "scipy": ("scipy",),
    "OpenCV": ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
    "torch": ("torch",),
    "kornia": ("kornia",),
    "albumentations": ("albumentations",),
    "deepinv": ("deepinv",),
}


def usable_cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed(module: str) -> bool:
    """Whether a library can be imported."""
    return util.find_spec(module) is not None


def set_library_threads(count: int) -> None:
    """Let OpenCV and torch use `count` threads of their own."""
    if installed("cv2"):
        import cv2

        cv2.setNumThreads(count)
    if installed("torch"):
        import torch

        torch.set_num_threads(count)


def cpu_model() -> str:
    """The processor's name."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """The version of every library that takes part, or "not installed"."""
    found = {"blurgen": blurgen.__version__, "Python": platform.python_version()}
    for name, packages in _LIBRARIES.items():
        found[name] = "not installed"
        for package in packages:
            try:
                found[name] = metadata.version(package)
                break
            except metadata.PackageNotFoundError:
                continue
    return found


def describe() -> dict[str, object]:
    """The machine, for the head of a report."""
    return {
        "cpu": cpu_model(),
        "usable_cpus": usable_cpus(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": [round(value, 2) for value in os.getloadavg()],
        "versions": versions(),
    }
