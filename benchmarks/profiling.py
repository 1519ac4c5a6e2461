"""Which operators, or kernels of a GPU, take the time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.training import settle


def operators(run: Callable[[], None], device: torch.device) -> dict[str, float]:
    """The seconds of each operator's own work within a run, the longest first.

    On a GPU these are its kernels' and copies' times. On the CPU they hold some of the profiler's own time,
    too: compare them with one another only.
    """
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as seen:
        run()
        settle(device)
    if device.type == "cuda":
        found = {
            event.key: event.self_device_time_total * 1e-6
            for event in seen.key_averages()
            if event.device_type == DeviceType.CUDA and not event.is_user_annotation
        }
    else:
        found = {
            event.key: event.self_cpu_time_total * 1e-6
            for event in seen.key_averages()
            if event.key.startswith("aten::")
        }
    return dict(sorted(found.items(), key=lambda item: -item[1]))
