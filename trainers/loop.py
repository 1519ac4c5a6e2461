"""The training loop, and how a network is judged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from trainers.cuts import derived_seed
from trainers.data import Feeder
from trainers.distributed import World
from trainers.errors import FailedTrainingError, TrainerError
from trainers.losses import Loss
from trainers.metrics import psnr, ssim
from trainers.models import Network

_CHECK_STEPS = 20  # on a GPU, which a look at the loss would keep waiting


class Scores(NamedTuple):
    """Means over the held-out pairs."""

    loss: float
    psnr: float
    ssim: float


@dataclass
class State:
    """Where a training stands.

    Attributes
    ----------
    step : int
        Steps that were done.
    loss_sum, images, seconds, waited : float, int, float, float
        Of the epoch so far: the sum of the steps' losses, pairs taken, time, and time without a batch.
    best_psnr, best_epoch : float, int
        The highest PSNR on held-out pairs, and its epoch; 0 before the first.
    epoch : int
        Epochs that were ended.
    pretrained : int
        Layers whose pre-training was ended.
    """

    step: int = 0
    loss_sum: float = 0.0
    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    best_psnr: float = -math.inf
    best_epoch: int = 0
    epoch: int = 0
    pretrained: int = 0


class Epoch(NamedTuple):
    """What an epoch was: its losses and scores, its time and speed, and the share of time without a batch."""

    number: int
    step: int
    loss: float
    scores: Scores
    seconds: float
    images_per_second: float
    data_wait: float
    is_best: bool


def train(
    network: Network,
    feeder: Feeder,
    *,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    learning_rate: Callable[[int], float],
    steps: int,
    epoch_steps: int,
    validate: Callable[[], Scores],
    each_epoch: Callable[[State, Epoch], bool],
    each_step: Callable[[State], None],
    state: State,
    should_stop: Callable[[], bool],
    device: torch.device,
    seed: int,
    precision: str = "fp32",
    clip: float | None = None,
    world: World | None = None,
) -> bool:
    """Train a network until `steps` are done, beginning where `state` stands, and change it as they are.

    Parameters
    ----------
    network : Network
        In training mode, on the device.
    feeder : Feeder
        Gives the batch of each step.
    loss : callable
        Of restored and sharp images, the number to make small.
    optimizer : Optimizer
        Of the network's weights.
    learning_rate : callable
        Of the step, counted from 0.
    steps, epoch_steps : int
        In all, and of an epoch; the last epoch may have fewer.
    validate : callable
        Judges the network at the end of an epoch.
    each_epoch : callable
        Told of every epoch, before the state goes on to the next one; True ends the training.
    each_step : callable
        Told where the training stands, after every step, on a GPU every 20.
    state : State
        Where to begin.
    should_stop : callable
        Asked after steps; once it says True, the training ends there.
    device : torch.device
        Where the network is.
    seed : int
        Fixes dropout: every step draws from (seed, step).
    precision : {"fp32", "bf16"}
        The arithmetic of the network.
    clip : float, optional
        The largest norm of all gradients together.
    world : World, optional
        Several processes, each with its share of every batch.

    Returns
    -------
    bool
        False where it was asked to stop.

    Raises
    ------
    FailedTrainingError
        If the loss becomes infinite or NaN.
    """
    world = world or World()
    forward = _together(network, world, device)
    look = 1 if device.type == "cpu" else _CHECK_STEPS
    while state.step < steps:
        last = min((state.epoch + 1) * epoch_steps, steps)
        # Apple's GPUs know no float64
        losses = torch.tensor(state.loss_sum, dtype=torch.float32 if device.type == "mps" else torch.float64)
        losses = losses.to(device)
        waited, begun = feeder.waited - state.waited, time.perf_counter() - state.seconds
        network.train()
        for blurred, sharp in feeder.batches(state.step, last):
            torch.manual_seed(derived_seed(seed, f"dropout {world.rank}", state.step))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(state.step)
            with autocast(device, precision):
                restored = padded(forward, blurred, network.stride)
            error = loss(restored.float(), sharp)
            optimizer.zero_grad(set_to_none=True)
            error.backward()
            if clip is not None:
                clip_grad_norm_(network.parameters(), clip)
            optimizer.step()

            losses += error.detach()
            state.step += 1
            state.images += len(sharp) * world.size
            if state.step % look == 0 or state.step == last:
                seen = world.sum(torch.stack([losses, losses.new_tensor(float(should_stop()))]))
                state.loss_sum = seen[0].item() / world.size
                if not math.isfinite(seen[0].item()):
                    raise FailedTrainingError(_diverged(state.step, learning_rate(state.step - 1)))
                state.seconds, state.waited = time.perf_counter() - begun, feeder.waited - waited
                each_step(state)
                if seen[1].item() and state.step < last:
                    return False
        taken = last - state.epoch * epoch_steps
        mean = world.sum(losses.clone()).item() / world.size / taken
        scores = validate()
        if not math.isfinite(scores.loss) or not math.isfinite(scores.psnr):
            raise FailedTrainingError(_diverged(state.step, learning_rate(state.step - 1)))
        state.epoch += 1
        is_best = scores.psnr > state.best_psnr
        if is_best:
            state.best_psnr, state.best_epoch = scores.psnr, state.epoch
        speed, wait = state.images / state.seconds, state.waited / state.seconds
        epoch = Epoch(state.epoch, state.step, mean, scores, state.seconds, speed, wait, is_best)
        state.loss_sum, state.images, state.seconds, state.waited = 0.0, 0, 0.0, 0.0
        if each_epoch(state, epoch):
            return True
        if world.sum(losses.new_tensor(float(should_stop()))).item() and state.step < steps:
            return False
    return True


def judge(
    restore: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    loss: Loss,
    device: torch.device,
    precision: str = "fp32",
    world: World | None = None,
) -> Scores:
    """Mean loss, PSNR and SSIM of what `restore` makes of blurred images, over all pairs.

    Each process gives its share of the pairs. The loss of a batch counts as often as it has pairs.
    """
    sums = torch.zeros(4, dtype=torch.float64)
    with torch.no_grad():
        for blurred, sharp in batches:
            with autocast(device, precision):
                restored = restore(blurred)
            restored = restored.float()
            found = [
                loss(restored, sharp) * len(sharp),
                psnr(restored, sharp).sum(),
                ssim(restored, sharp).sum(),
            ]
            sums[:3] += torch.stack(found).cpu()
            sums[3] += len(sharp)
    sums = (world or World()).sum(sums.to(device)).cpu()
    means = (sums[:3] / sums[3]).tolist()
    return Scores(*means)


def padded(forward: Callable[[Tensor], Tensor], images: Tensor, stride: int) -> Tensor:
    """What `forward` makes of images whose sides are first made multiples of `stride`, cut back after."""
    height, width = images.shape[-2:]
    down, right = -height % stride, -width % stride
    if not down and not right:
        return forward(images)
    return forward(F.pad(images, (0, right, 0, down), mode="replicate"))[..., :height, :width]


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Within, a network computes in `precision`."""
    context: AbstractContextManager[Any] = torch.autocast(
        device.type, torch.bfloat16, enabled=precision == "bf16"
    )
    return context


def schedule(kind: str, lr: float, steps: int, arguments: dict[str, Any]) -> Callable[[int], float]:
    """The learning rate as a function of the step, counted from 0.

    Parameters
    ----------
    kind : {"constant", "staircase", "cosine"}
        ``staircase`` multiplies by ``factor`` every ``every`` steps; ``cosine`` falls along half a cosine to
        ``floor`` at the end, after it rose evenly in ``warmup`` steps.
    lr : float
        At the beginning.
    steps : int
        In all.
    arguments : dict
        As named above; ``factor`` is else 0.5, ``every`` a quarter of the steps, ``floor`` and ``warmup`` 0.

    Raises
    ------
    TrainerError
        If it has no such argument, or one is no number.
    """
    defaults: dict[str, dict[str, float]] = {
        "constant": {},
        "staircase": {"factor": 0.5, "every": max(1, steps // 4)},
        "cosine": {"floor": 0.0, "warmup": 0},
    }
    known = defaults[kind]
    for name, value in arguments.items():
        if name not in known:
            taken = ", ".join(known) or "none"
            raise TrainerError(f"schedule '{kind}' has no argument '{name}'; it takes {taken}")
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < (name == "every"):
            least = "1 or more" if name == "every" else "0 or more"
            raise TrainerError(f"schedule '{kind}': {name} {value!r}: a number, {least}, is needed")
    chosen = {**known, **arguments}

    def staircase(step: int) -> float:
        return float(lr * chosen["factor"] ** (step // chosen["every"]))

    def cosine(step: int) -> float:
        warmup, floor = chosen["warmup"], chosen["floor"]
        if step < warmup:
            return float(lr * (step + 1) / warmup)
        share = (step - warmup) / max(1, steps - warmup)
        return float(floor + (lr - floor) * (1 + math.cos(math.pi * share)) / 2)

    return {"constant": lambda _: lr, "staircase": staircase, "cosine": cosine}[kind]


def _together(network: Network, world: World, device: torch.device) -> nn.Module:
    """The network, its gradients averaged over all processes."""
    if world.size == 1:
        return network
    from torch.nn.parallel import DistributedDataParallel

    return DistributedDataParallel(network, [device.index] if device.type == "cuda" else None)


def _diverged(step: int, rate: float) -> str:
    return (
        f"the loss is infinite or NaN after step {step:,}: a smaller learning rate than {rate:g} may help; "
        "the last good checkpoint is kept"
    )
