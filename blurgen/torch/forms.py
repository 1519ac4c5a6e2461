"""Which stages have a form for the device, and how lists of them are applied there.

Images on the device are tensors (B, H, W, C), contiguous: the order in which noise is drawn. They are uint8,
inside `linear` float32, as on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.draws import Draws
from blurgen.stages.base import KINDS, Columns, ImageStage, Stage, columns_of


class DevicePair(NamedTuple):
    """A batch on its way through the stages, both (B, H, W, C); one tensor while they are equal."""

    sharp: Tensor
    blurred: Tensor


PairForm = Callable[[Any, DevicePair, Columns, Draws], DevicePair]
ImageForm = Callable[[Any, Tensor, Columns, Draws], Tensor]

_FORMS: dict[type[Stage], PairForm] = {}


def on_device_pairs(kind: type[Stage]) -> Callable[[PairForm], PairForm]:
    """Register the form of a stage: ``form(stage, pair, params, draws) -> pair``, as its `apply_pair`.

    Parameters
    ----------
    kind : class
        The stage's class. The form also serves those derived from it that apply themselves as it does.
    """

    def register(form: PairForm) -> PairForm:
        _FORMS[kind] = form
        return form

    return register


def on_device(kind: type[ImageStage]) -> Callable[[ImageForm], ImageForm]:
    """Register the form of a stage on images: ``form(stage, images, params, draws) -> images``.

    `images` is (B, H, W, C), uint8, or float32 where the stage stands in `linear`; it stays as it is.
    `params` and `draws` are those that the stage's own `apply` gets, on the CPU. `kind` is as of
    `on_device_pairs`.
    """

    def register(form: ImageForm) -> ImageForm:
        def apply_pair(stage: Any, pair: DevicePair, params: Columns, draws: Draws) -> DevicePair:
            blurred = form(stage, pair.blurred, params, draws)
            if not stage.changes_sharp:
                return DevicePair(pair.sharp, blurred)
            if pair.sharp is pair.blurred:
                return DevicePair(blurred, blurred)
            return DevicePair(form(stage, pair.sharp, params, draws), blurred)

        on_device_pairs(kind)(apply_pair)
        return form

    return register


def _registered(kind: type[Stage]) -> PairForm | None:
    for base in kind.__mro__:
        if base in _FORMS and all(
            getattr(kind, name, None) is getattr(base, name, None) for name in ("apply_pair", "apply")
        ):
            return _FORMS[base]
    return None


def device_stages() -> list[str]:
    """The names of the stages that have a form for the device."""
    return sorted(name for name, kind in KINDS.items() if _registered(kind) is not None)


def without_form(stages: Sequence[Stage]) -> Iterator[str]:
    """The names of those among the stages, and of those inside them, that the device cannot do."""
    for stage in stages:
        if _registered(type(stage)) is None:
            yield stage.kind
        for order in stage.orders:
            yield from without_form(order)


def apply_stage(stage: Stage, pair: DevicePair, params: Columns, draws: Draws) -> DevicePair:
    """Apply a stage that is known to have a form."""
    found = _registered(type(stage))
    assert found is not None
    return found(stage, pair, params, draws)


def apply_all(stages: Sequence[Stage], pair: DevicePair, params: Columns, draws: Draws) -> DevicePair:
    """Apply the stages one after another."""
    for place, stage in enumerate(stages):
        pair = apply_stage(stage, pair, columns_of(place, stage, params), draws.stage(place))
    return pair


def moved(array: NDArray[Any], device: torch.device) -> Tensor:
    """A copy of an array on the device; a GPU goes on with its work meanwhile."""
    tensor = torch.tensor(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def of_images(values: NDArray[Any], images: Tensor, dtype: Any) -> Tensor:
    """A number for each image, from the CPU: (B, 1, 1, 1) on the images' device."""
    return moved(values, images.device).to(dtype).reshape(-1, 1, 1, 1)


def number(value: float, like: Tensor) -> Tensor:
    """A number on the device, for exact quotients.

    Of a tensor and a plain number PyTorch may multiply by a reciprocal instead.
    """
    return torch.full((), value, dtype=like.dtype, device=like.device)


def parts(count: int, each: int, most: int) -> list[slice]:
    """Cut `count` images that take `each` numbers each: a part takes at most `most`, or is one image."""
    rows = max(1, most // max(1, each))
    return [slice(start, start + rows) for start in range(0, count, rows)]


def rounded(values: Tensor) -> Tensor:
    """Bytes from floats, which are overwritten: rounded half up, clipped."""
    return values.add_(0.5).clamp_(0, 255).to(torch.uint8)
