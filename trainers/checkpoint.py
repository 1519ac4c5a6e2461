"""Networks and states of trainings on disk: written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from blurgen.untrusted.bounds import read_at_most
from blurgen.untrusted.documents import MOST_CHARACTERS, parse_json
from trainers.errors import TrainerError
from trainers.files import written
from trainers.models import Network, build
from trainers.options import Options
from trainers.weights import read_metadata, read_torch_file, read_weights

WEIGHTS = ("best.safetensors", "last.safetensors")
STATE = "state.pt"


def save_weights(path: str | os.PathLike[str], network: Network, **metadata: str) -> None:
    """Write a network's weights as safetensors, with its kind and channels.

    Parameters
    ----------
    path : path-like
        The file; one that exists is replaced.
    network : Network
        The network.
    **metadata : str
        What else the file shall say; ``arguments``, JSON, are those the network was built with.
    """
    from safetensors.torch import save

    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    said = {"kind": network.kind, "channels": str(network.channels), **metadata}
    data = save(weights, said)
    written(Path(path), lambda partial: partial.write_bytes(data), synced=True)


def load_into(network: Network, path: str | os.PathLike[str]) -> None:
    """Give a network the weights of a file.

    Raises
    ------
    TrainerError
        If they are of another network or shape, or not finite.
    """
    weights = read_weights(path)
    _check_fit(network, path, weights)
    _give(network, path, weights)


def _give(network: Network, path: str | os.PathLike[str], weights: Mapping[str, Tensor]) -> None:
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise TrainerError(f"'{path}' is of no use: {name} holds values that are not finite")
    network.load_state_dict(dict(weights))


def _check_fit(network: Network, path: str | os.PathLike[str], weights: Mapping[str, Tensor]) -> None:
    kind = read_metadata(path).get("kind", network.kind)
    if kind != network.kind:
        raise TrainerError(f"'{path}' holds the weights of network '{kind}', not of '{network.kind}'")
    own = network.state_dict()
    odd = sorted(weights.keys() ^ own.keys())
    if odd:
        how = "lacks" if odd[0] in own else "holds the unknown"
        raise TrainerError(
            f"'{path}' does not fit network '{network.kind}': it {how} {odd[0]} ({len(odd)} names differ)"
        )
    for name in own:
        value = weights[name]
        if value.shape != own[name].shape:
            raise TrainerError(
                f"'{path}' does not fit this '{network.kind}': {name} is {_times(value)} in the file, "
                f"{_times(own[name])} in the network"
            )
        if value.is_floating_point() != own[name].is_floating_point():
            raise TrainerError(f"'{path}' does not fit network '{network.kind}': {name} is {value.dtype}")


def load_network(run: str | os.PathLike[str]) -> tuple[Network, Options]:
    """The network of a run, or of a file of weights, in evaluation mode on the CPU.

    Parameters
    ----------
    run : path-like
        A run's folder, of which the best weights are taken, or a file of weights.

    Returns
    -------
    tuple
        The network and the options it was fitted with.

    Raises
    ------
    TrainerError
        If there is no such run, the weights cannot be read or do not fit, or nothing says what network they
        belong to.
    """
    path = weights_file(run)
    said = read_metadata(path)
    beside = path.parent / "options.yaml"
    if "options" in said:
        options = Options.from_yaml(said["options"], f"'{path}'")
    elif beside.is_file():
        options = Options.read(beside)
    else:
        options = Options()
    kind = said.get("kind", options.model)
    if kind is None:
        raise TrainerError(f"'{path}' does not say what network its weights belong to")
    try:
        arguments = parse_json(said["arguments"]) if "arguments" in said else options.model_args
        channels = int(said["channels"]) if "channels" in said else _channels(path.parent)
        if not isinstance(arguments, dict) or channels not in (1, 3):
            raise TypeError(arguments, channels)
    except (ValueError, TypeError):
        raise TrainerError(f"'{path}': what it says of its network is damaged") from None
    weights = read_weights(path)
    with torch.device("meta"):  # takes no memory, whatever the file says of the network
        _check_fit(build(kind, channels, **arguments), path, weights)
    network = build(kind, channels, **arguments)
    _give(network, path, weights)
    return network.eval(), options


def weights_file(run: str | os.PathLike[str]) -> Path:
    """The file of a run's best weights, else of its last; a file stands for itself.

    Raises
    ------
    TrainerError
        If there is none.
    """
    path = Path(run)
    if not path.exists():
        raise TrainerError(f"there is no run '{path}'")
    if path.is_file():
        return path
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    raise TrainerError(f"'{path}' is no run: it holds neither {' nor '.join(WEIGHTS)}")


def save_state(path: str | os.PathLike[str], **state: Any) -> None:
    """Write what a training needs to go on: tensors, numbers, texts, and lists and mappings of them."""

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            try:
                torch.save(state, file)
            except RuntimeError as error:
                # what PyTorch says when it cannot write does not tell why
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None

    written(Path(path), write, synced=True)


def load_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `save_state` wrote.

    Raises
    ------
    TrainerError
        If it cannot be read, or holds anything else: nothing is ever unpickled.
    """
    file = Path(path)
    state = read_torch_file(file)
    if not isinstance(state, dict) or not {"step", "network", "optimizer"} <= state.keys():
        raise TrainerError(f"'{file}' is no state of a training")
    return state


def arguments_json(arguments: Mapping[str, Any]) -> str:
    """A network's arguments, as `save_weights` takes them."""
    return json.dumps(arguments, sort_keys=True)


def _channels(run: Path) -> int:
    try:
        said = parse_json(read_at_most(run / "data.json", MOST_CHARACTERS).decode("utf-8"))
        return int(said["shape"][2])
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError):
        raise TrainerError(f"'{run}' does not say how many channels its network takes") from None


def _times(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "one number"
