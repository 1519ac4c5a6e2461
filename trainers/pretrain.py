"""Greedy layer-wise pre-training, as the licence plate project did it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from trainers.cuts import derived_seed
from trainers.data import Feeder
from trainers.errors import FailedTrainingError
from trainers.loop import autocast
from trainers.models.moussaka import Moussaka

_RATE = 1e-3


def layerwise(
    network: Moussaka,
    feeder: Feeder,
    *,
    first_steps: int = 1000,
    other_steps: int = 100,
    seed: int,
    device: torch.device,
    precision: str = "fp32",
    begin: int = 0,
    each_step: Callable[[int, int, int], None] = lambda *_: None,
    each_layer: Callable[[int, float, float], None] = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train each layer, with a mirrored one that is thrown away after, to give back what it takes in.

    Layer after layer: what the layers before make of blurred images goes through the layer, ReLU, and a
    mirrored layer (a transposed convolution for a convolution, and the other way round), and is compared with
    itself by the mean squared error; plain gradient descent at 1e-3 changes both. The layers before stay as
    they are; dropout is off. The source does not say more of the mirrored layer; that it is linear is ours.

    Parameters
    ----------
    network : Moussaka
        On the device; its weights change.
    feeder : Feeder
        Gives the blurred images, from batch 0 on.
    first_steps, other_steps : int
        Steps of the first layer, and of each other.
    seed : int
        Fixes the mirrored layers' first weights.
    device : torch.device
        Where the network is.
    precision : {"fp32", "bf16"}
        The arithmetic of the layers.
    begin : int
        The first layer to train, counted from 0; those before it were.
    each_step : callable
        Told the layer, its steps that were done, and all of its steps.
    each_layer : callable
        Told each layer that was trained, and its error before and after.
    should_stop : callable
        Asked after steps; once it says True, the layer that was under way is put back as it was.

    Raises
    ------
    FailedTrainingError
        If the error becomes infinite or NaN.
    """
    layers: list[nn.Conv2d | nn.ConvTranspose2d] = [*network.encoder, *network.decoder]
    for number in range(begin, len(layers)):
        layer, steps = layers[number], other_steps if number else first_steps
        first = first_steps + (number - 1) * other_steps if number else 0
        as_it_was = deepcopy(layer.state_dict())
        torch.manual_seed(derived_seed(seed, "mirrored layer", number))
        mirrored = _mirrored(layer).to(device)
        optimizer = torch.optim.SGD([*layer.parameters(), *mirrored.parameters()], lr=_RATE)
        errors: list[Tensor] = []
        for done, (blurred, _) in enumerate(feeder.batches(first, first + steps), 1):
            with autocast(device, precision):
                with torch.no_grad():
                    taken = blurred
                    for before in layers[:number]:
                        taken = before(taken).relu()
                again = mirrored(layer(taken).relu())
            error = (again.float() - taken.float()).square().mean()
            optimizer.zero_grad(set_to_none=True)
            error.backward()
            optimizer.step()
            if not errors:
                errors.append(error.detach())
            each_step(number, done, steps)
            if should_stop() and done < steps:
                layer.load_state_dict(as_it_was)
                return
        if not error.isfinite():
            raise FailedTrainingError(
                f"the pre-training of layer {number + 1} diverged: its error is no number"
            )
        each_layer(number, errors[0].item(), error.item())
        if should_stop():
            return


def _mirrored(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """The layer that takes the shapes back."""
    other = nn.Conv2d if isinstance(layer, nn.ConvTranspose2d) else nn.ConvTranspose2d
    return other(
        layer.out_channels,
        layer.in_channels,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
    )
