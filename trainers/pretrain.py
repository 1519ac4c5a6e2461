"""Greedy layer-wise pre-training, as the licence plate project did it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainers.data import Feeder
from trainers.errors import TrainerError
from trainers.models import Network
from trainers.models.moussaka import Moussaka

_RATE = 1e-3


def layerwise(
    network: Network,
    feeder: Feeder,
    *,
    first_steps: int = 1000,
    other_steps: int = 100,
    device: torch.device,
    told: Callable[[str, float, float], None] = lambda *_: None,
) -> None:
    """Train each layer, with a mirrored one that is thrown away after, to give back what it takes in.

    Layer after layer: what the layers before make of blurred images goes through the layer, ReLU, and a
    mirrored layer (a transposed convolution for a convolution, and the other way round), and is compared with
    itself by the mean squared error; plain gradient descent at 1e-3 changes both. The layers before stay as
    they are; dropout is off. The source does not say more of the mirrored layer; that it is linear is ours.

    Parameters
    ----------
    network : Network
        A `Moussaka`, on the device; its weights change.
    feeder : Feeder
        Gives the blurred images, from batch 0 on.
    first_steps, other_steps : int
        Steps of the first layer, and of each other.
    device : torch.device
        Where the network is.
    told : callable
        Told each layer's name, and its error before and after.

    Raises
    ------
    TrainerError
        If it is another network, or the error becomes infinite or NaN.
    """
    if not isinstance(network, Moussaka):
        raise TrainerError(f"layer-wise pre-training is for network 'moussaka', not '{network.kind}'")
    layers: list[nn.Conv2d | nn.ConvTranspose2d] = [*network.encoder, *network.decoder]
    step = 0
    for number, layer in enumerate(layers):
        steps = other_steps if number else first_steps
        mirrored = _mirrored(layer).to(device)
        optimizer = torch.optim.SGD([*layer.parameters(), *mirrored.parameters()], lr=_RATE)
        errors: list[Tensor] = []
        for blurred, _ in feeder.batches(step, step + steps):
            with torch.no_grad():
                taken = blurred
                for before in layers[:number]:
                    taken = before(taken).relu()
            error = (mirrored(layer(taken).relu()) - taken).square().mean()
            optimizer.zero_grad(set_to_none=True)
            error.backward()
            optimizer.step()
            if not errors:
                errors.append(error.detach())
        step += steps
        if not error.isfinite():
            raise TrainerError(f"the pre-training of layer {number + 1} diverged: its error is no number")
        told(f"layer {number + 1}", errors[0].item(), error.item())


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
