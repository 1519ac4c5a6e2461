"""The options of a training, as a value that reads and writes YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blurgen.untrusted.bounds import read_at_most
from blurgen.untrusted.documents import MOST_CHARACTERS, parse_yaml
from trainers.errors import TrainerError

Whole = Annotated[int, Field(ge=1, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Options(BaseModel):
    """Everything that `trainers.fit.fit` was told, defaults filled in.

    Attributes
    ----------
    pairs : str
        The pair file; with `online`, a pair file or a source of sharp images.
    model, model_args : str, dict
        The network, and its arguments.
    loss : str
        One of `trainers.losses.LOSSES`.
    optimizer, lr, optimizer_args : str, float, dict
        ``adam``, ``adamw`` or ``sgd`` of PyTorch, the first learning rate, and other arguments.
    schedule, schedule_args : str, dict
        ``constant``, ``staircase`` (``factor``, ``every`` steps) or ``cosine`` (``floor``, ``warmup`` steps).
    clip : float or None
        The largest norm of all gradients together; larger ones are scaled down to it.
    epochs, steps : int or None
        How long: one of the two.
    epoch_steps : int or None
        Steps of an epoch; by default one pass over the training pairs.
    batch_size : int
        Pairs of a step, of all processes together.
    crop : int or None
        Side of the random square that is cut from each pair for training; 0 takes pairs whole.
    augment : bool
        Whether training pairs are flipped, and turned by quarters where they are square.
    gray : bool
        Whether the mean of the channels is taken, for a network of one.
    val_fraction, val : float, str or None
        The share of the source images, the last ones, that is held out; or a file of pairs for that.
    precision : str
        ``fp32`` or ``bf16`` (autocast; the weights stay float32).
    compiled : bool
        Whether `torch.compile` translates the network.
    device : str
        As PyTorch names it; ``auto`` takes a GPU where there is one.
    seed : int
        Fixes weights, order, augmentation, dropout, and what is drawn online.
    weights : str or None
        A run or a file of weights to begin from.
    encoder_weights : str or None
        A file of weights of the encoder.
    pretrain, pretrain_steps : str or None, tuple of int
        ``layerwise``, and its steps: those of the first layer, and of each other.
    online, online_on : str or None, str
        The recipe, or its file, by which training pairs are drawn anew in every pass; and where: ``cpu``,
        ``gpu``, or ``auto``.
    count : int or None
        With `online`: how many images of the source are taken.
    patience : int or None
        Stop after so many epochs without a better PSNR.
    samples, samples_every : int, int
        How many held-out pairs the sample sheets show, and how many epochs lie between two sheets.
    threads : int or None
        Threads that prepare batches.
    preset : str or None
        What the values began from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: str = ""
    model: str | None = None
    model_args: dict[str, Any] = {}
    loss: str = "psnr"
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: Positive = 1e-3
    optimizer_args: dict[str, Any] = {}
    schedule: Literal["constant", "staircase", "cosine"] = "cosine"
    schedule_args: dict[str, Any] = {}
    clip: Positive | None = None
    epochs: Whole | None = None
    steps: Whole | None = None
    epoch_steps: Whole | None = None
    batch_size: Whole | None = None
    crop: Annotated[int, Field(ge=0, strict=True)] | None = None
    augment: bool = False
    gray: bool = False
    val_fraction: Share = 0.2
    val: str | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    compiled: bool = False
    device: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    weights: str | None = None
    encoder_weights: str | None = None
    pretrain: Literal["layerwise"] | None = None
    pretrain_steps: tuple[Whole, Whole] = (1000, 100)
    online: str | None = None
    online_on: Literal["auto", "cpu", "gpu"] = "auto"
    count: Whole | None = None
    patience: Whole | None = None
    samples: Whole = 8
    samples_every: Whole = 5
    threads: Whole | None = None
    preset: str | None = None

    @classmethod
    def of(cls, fields: Any, where: str = "") -> Options:
        """Options from plain values.

        Raises
        ------
        TrainerError
            If one is unknown, of another type, or out of range.
        """
        if not isinstance(fields, dict):
            raise TrainerError(f"{where or 'options'}: a mapping of options is needed")
        try:
            options = cls.model_validate(fields)
        except ValidationError as error:
            raise TrainerError(_one_sentence(error, where)) from None
        if options.epochs and options.steps:
            raise TrainerError("give epochs or steps, not both")
        for name, value in options:
            if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise TrainerError(f"option {name} {value!r}: a name in UTF-8 is needed")
        for name in ("count", "online_on"):
            value = getattr(options, name)
            if value not in (None, "auto") and not options.online:
                raise TrainerError(
                    f"{name} {value!r} is for blur that is drawn anew: name its recipe (--online)"
                )
        return options

    def to_yaml(self) -> str:
        """YAML that `from_yaml` reads back to equal options."""
        # by way of JSON: tuples become lists
        return yaml.safe_dump(json.loads(self.model_dump_json()), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str, where: str = "") -> Options:
        """The options of a text that `to_yaml` gave."""
        try:
            fields = parse_yaml(text)
        except (yaml.YAMLError, ValueError) as error:
            raise TrainerError(f"{where or 'options'}: no YAML: {' '.join(str(error).split())}") from None
        return cls.of(fields, where)

    @classmethod
    def read(cls, path: Path) -> Options:
        """The options of a run's ``options.yaml``."""
        try:
            text = read_at_most(path, MOST_CHARACTERS).decode("utf-8")
        except (OSError, ValueError) as error:
            raise TrainerError(f"'{path}' cannot be read: {error}") from None
        return cls.from_yaml(text, f"'{path}'")

    def with_values(self, **changed: Any) -> Options:
        """The same options but for some, checked anew."""
        return Options.of({**self.model_dump(), **changed})


def _one_sentence(error: ValidationError, where: str) -> str:
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or "options"
    begin = f"{where}: " if where else ""
    if first["type"] == "extra_forbidden":
        return f"{begin}there is no option '{name}'"
    what = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{begin}option {name} {first['input']!r}: {what} is needed"
