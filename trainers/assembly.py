"""What a training is assembled from: its options in full, device, network, feeders and optimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blurgen.errors import BlurgenError
from trainers.checkpoint import STATE, load_into, load_state, weights_file
from trainers.cuts import Index
from trainers.data import Feeder, Online
from trainers.distributed import World
from trainers.errors import TrainerError
from trainers.loop import State
from trainers.models import MODELS, Network, build
from trainers.models.moussaka import Moussaka
from trainers.models.resnet_encdec import ResNetEncDec
from trainers.options import Options
from trainers.presets import preset_named
from trainers.rows import Data, Side
from trainers.runs import read_data

Say = Callable[[str], None]

EPOCHS = 20
_SMALL_IMAGES = 64  # pixels a side, up to which the small network is taken
_LARGEST_WHOLE, _USUAL_CROP = 512, 256
# what a run may be told anew when it goes on
_CHANGEABLE = {
    "pairs",
    "val",
    "epochs",
    "steps",
    "patience",
    "samples",
    "samples_every",
    "threads",
    "device",
    "compiled",
}


# ---- options ----


def resolved(given: dict[str, Any]) -> Options:
    """Options of those that were given and those of the preset among them.

    A given model, optimiser or schedule other than the preset's leaves the preset's arguments for it behind;
    of the same one, single arguments replace the preset's.

    Raises
    ------
    TrainerError
        If there is no such preset, or an option is wrong.
    """
    if not given.get("pairs"):
        raise TrainerError("name a pair file")
    if "preset" not in given:
        return Options.of(given)
    values = preset_named(given["preset"])
    for name in ("model", "optimizer", "schedule"):
        arguments = f"{name}_args"
        if given.get(name, values[name]) != values[name]:
            values.pop(arguments, None)
        elif arguments in given:
            given = {**given, arguments: {**values.get(arguments, {}), **given[arguments]}}
    for one, other in (("epochs", "steps"), ("steps", "epochs")):
        if one in given:
            values.pop(other, None)
    return Options.of({**values, **given})


def resumed(folder: Path | None, given: dict[str, Any]) -> Options:
    """The options of a run that goes on: its own, but for those of the given ones that may change.

    Raises
    ------
    TrainerError
        If there is no such run, or an option was given that may not.
    """
    if folder is None:
        raise TrainerError("name the run to go on with (--run)")
    if not (folder / STATE).is_file():
        raise TrainerError(f"there is nothing to go on with in '{folder}': no {STATE}")
    own = Options.read(folder / "options.yaml")
    # single arguments are added to those of its preset, as they were when it began
    begun = {"pairs": own.pairs, **({"preset": own.preset} if own.preset else {})}
    asked = resolved({**begun, **given})
    changed: dict[str, Any] = {}
    for name in given:
        before, now = getattr(own, name), getattr(asked, name)
        if name in _CHANGEABLE:
            changed[name] = now
        elif before != now:
            raise TrainerError(
                f"run '{folder}' was begun with {name} {before!r}, not {now!r}: begin another (--run)"
            )
    if "epochs" in given or "steps" in given:
        changed.update(epochs=asked.epochs, steps=asked.steps)
    return own.with_values(**changed)


def completed(options: Options, data: Data, say: Say) -> Options:
    """Defaults that depend on the images."""
    height, width, _ = data.shape
    changed: dict[str, Any] = {}
    if options.model is None:
        small = max(height, width) <= _SMALL_IMAGES
        changed["model"] = "cnn-7-5-3" if small else "nafnet"
        say(f"network: {changed['model']}, for images of {height}×{width} (--model takes another)")
    model = changed.get("model", options.model)
    size = MODELS[model].size if model in MODELS else None
    if options.crop is None:
        whole = size is not None or min(height, width) <= _LARGEST_WHOLE
        changed["crop"] = 0 if whole else _USUAL_CROP
    if options.epochs is None and options.steps is None:
        changed["epochs"] = EPOCHS
    if options.batch_size is None:
        side = int(changed.get("crop", options.crop or 0))
        pixels = side * side or height * width
        changed["batch_size"] = 16 if pixels <= _USUAL_CROP**2 else 4
    return options.with_values(**changed)


def chosen_device(name: str, world: World | None = None) -> torch.device:
    """The device of that name; for ``auto``, a GPU where there is one.

    Raises
    ------
    TrainerError
        If there is none of that name.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TrainerError(f"there is no device '{name}'; there are auto, cpu and cuda, cuda:1 …") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise TrainerError(f"device {name}: this machine has no GPU that PyTorch can use (--device cpu)")
        if device.index is None:
            device = torch.device("cuda", (world or World()).local_rank)
        if device.index >= torch.cuda.device_count():
            raise TrainerError(f"device {device}: there are {torch.cuda.device_count()} GPUs only")
        torch.cuda.set_device(device)
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise TrainerError("device mps: this machine has no GPU of Apple's that PyTorch can use")
    elif device.type not in ("cpu", "mps"):
        raise TrainerError(f"device '{name}': cpu, cuda or mps is needed")
    return device


# ---- what is assembled ----


def make_network(
    options: Options, data: Data, device: torch.device, world: World, goes_on: bool = False
) -> Network:
    """The network on the device, its weights drawn from the seed, the global one of PyTorch, or loaded.

    A training that goes on has its own weights, and those that it began from may be gone.

    Raises
    ------
    TrainerError
        If it does not take such images or arguments, or weights do not fit.
    """
    assert options.model is not None
    height, width, channels = data.shape
    torch.manual_seed(options.seed)
    network = build(options.model, channels, **options.model_args)
    if network.size is not None and network.size != (height, width):
        wanted = f"{network.size[0]}×{network.size[1]}"
        raise TrainerError(
            f"network '{network.kind}' takes images of {wanted} pixels, these have {height}×{width}"
        )
    if options.pretrain and not isinstance(network, Moussaka):
        raise TrainerError(f"layer-wise pre-training is for network '{Moussaka.kind}', not '{network.kind}'")
    if options.pretrain and options.weights:
        raise TrainerError("weights that are loaded are not pre-trained: give weights or pretrain, not both")
    if options.weights and not goes_on:
        load_into(network, weights_file(options.weights))
    if options.encoder_weights:
        if not isinstance(network, ResNetEncDec):
            raise TrainerError(f"encoder weights are for network '{ResNetEncDec.kind}', not '{network.kind}'")
        if not goes_on:
            network.load_encoder(Path(options.encoder_weights))
    placed: Network = network.to(device, memory_format=torch.channels_last)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        if world.size > 1:
            placed = torch.nn.SyncBatchNorm.convert_sync_batchnorm(placed)
    return placed


@dataclass(frozen=True)
class Feeders:
    """Training pairs, held-out pairs, and those of the held-out ones that sheets show."""

    train: Feeder
    val: Feeder
    samples: Feeder

    def close(self) -> None:
        """End their threads."""
        for field in fields(self):
            getattr(self, field.name).close()


def make_feeders(options: Options, data: Data, device: torch.device, world: World, say: Say) -> Feeders:
    """The feeders of a training."""
    assert options.batch_size is not None

    def feeder(side: Side, index: Index, online: Online | None, shared: bool, **arguments: Any) -> Feeder:
        return Feeder(
            side.rows,
            index,
            device=device,
            seed=options.seed,
            gray=options.gray,
            online=online,
            threads=options.threads,
            world=world if shared else World(),
            **arguments,
        )

    online = _online(options, data.train, data.has_blurred, device, say)
    judged = Online(data.held_out.recipe) if data.held_out.recipe else None
    train_feeder = feeder(
        data.train,
        data.train.index,
        online,
        True,
        batch_size=options.batch_size,
        augment=options.augment,
        crop=options.crop or None,
    )
    if train_feeder.batch_size < options.batch_size:
        say(f"batch size {options.batch_size}: there are {len(train_feeder)} pairs to train with only")
    # whole images are larger than what was cut for training
    height, width, _ = data.held_out.rows.shape
    pixels = options.crop**2 if options.crop else data.shape[0] * data.shape[1]
    at_once = max(1, options.batch_size * pixels // (height * width)) * world.size
    val_feeder = feeder(data.held_out, data.held_out.index, judged, True, batch_size=at_once, shuffle=False)
    held_out = data.held_out.index
    shown = held_out[np.linspace(0, len(held_out) - 1, min(options.samples, len(held_out))).astype(int)]
    sample_feeder = feeder(
        data.held_out,
        shown,
        judged,
        False,
        batch_size=max(1, at_once // world.size),
        shuffle=False,
        resident=False,
    )
    return Feeders(train_feeder, val_feeder, sample_feeder)


def _online(options: Options, side: Side, has_blurred: bool, device: torch.device, say: Say) -> Online | None:
    """Whether blur is drawn online, and by what."""
    if side.recipe is None:
        return None
    if options.online_on == "gpu" and device.type == "cpu":
        raise TrainerError("online on a GPU: the device is the CPU")
    if device.type == "cpu" or options.online_on == "cpu" or has_blurred:
        return Online(side.recipe)
    try:
        from blurgen.torch import Degrader

        Degrader(side.recipe, 0)
    except BlurgenError as error:
        if options.online_on == "gpu":
            raise
        say(f"{error}: threads of the CPU blur instead")
        return Online(side.recipe)
    return Online(side.recipe, on_device=True)


def make_optimizer(options: Options, network: Network, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser.

    Raises
    ------
    TrainerError
        If it has no such argument.
    """
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    arguments = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in options.optimizer_args.items()
    }
    if device.type in ("cpu", "cuda"):
        arguments.setdefault("fused", True)  # one pass over the weights, not one for each operation
    one = torch.nn.Parameter(torch.zeros(1, device=device))
    one.grad = torch.zeros_like(one)
    try:
        # some arguments are not looked at before the first step
        kinds[options.optimizer]([one], lr=options.lr, **arguments).step()
        optimizer: torch.optim.Optimizer = kinds[options.optimizer](
            network.parameters(), lr=options.lr, **arguments
        )
    except (TypeError, ValueError, RuntimeError) as error:
        what = str(error).partition("__init__() ")[2] or str(error)
        what = " ".join(what.partition(" - got ")[0].split())  # what follows is PyTorch's inside
        told = ", ".join(f"{name} {value!r}" for name, value in options.optimizer_args.items())
        raise TrainerError(f"optimizer '{options.optimizer}': {what} ({told})") from None
    return optimizer


# ---- what is kept ----


def restored_state(folder: Path, network: Network, optimizer: torch.optim.Optimizer, steps: int) -> State:
    """Where a run stopped; network and optimiser are set to it.

    Raises
    ------
    TrainerError
        If its state is damaged or of another network, or it has done more than `steps`.
    """
    saved = load_state(folder / STATE)
    try:
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        _check_shapes(optimizer)
        state = _checked_state(saved)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise TrainerError(f"'{folder / STATE}' is not of this run: {reason}") from None
    if state.step > steps:
        raise TrainerError(f"run '{folder}' has done {state.step:,} steps already, more than {steps:,}")
    return state


def _check_shapes(optimizer: torch.optim.Optimizer) -> None:
    """See that what is kept for each weight has its shape: fused steps take that for granted."""
    for weight, kept in optimizer.state.items():
        for name, value in kept.items():
            wanted = torch.Size() if name == "step" else weight.shape
            if isinstance(value, torch.Tensor) and value.shape != wanted:
                raise ValueError(f"{name} of the optimizer is {tuple(value.shape)}, not {tuple(wanted)}")


def _checked_state(saved: dict[str, Any]) -> State:
    for name, usual in vars(State()).items():
        value = saved[name]
        if type(value) is not type(usual) or (type(value) is int and value < 0):
            raise ValueError(f"{name} {value!r}")
    return State(**{field.name: saved[field.name] for field in fields(State)})


def check_data(folder: Path, data: Data) -> None:
    """See that a run goes on with the pairs that it began with, wherever they lie now.

    Raises
    ------
    TrainerError
        If not.
    """
    before = read_data(folder)
    for name in ("header_sha256", "dataset_sha256", "count", "recipe"):
        if before.get(name) != data.said.get(name):
            raise TrainerError(f"run '{folder}' was begun with other pairs: their {name} differs")
    judged = [(said.get("val") or {}).get("header_sha256") for said in (before, data.said)]
    if judged[0] != judged[1]:
        raise TrainerError(f"run '{folder}' was begun with other pairs to judge by (--val)")
