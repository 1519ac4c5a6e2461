"""What a stage is, and how a list of stages is sampled and applied."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from blurgen.convolution import Border, convolve_checked
from blurgen.distributions import Between, Distribution, tidy
from blurgen.draws import PLACES, Draws

Images = NDArray[Any]  # uint8; inside `linear` float32, where 255 is white
Columns = Mapping[str, NDArray[Any]]

_MOST_TOLD = 60  # characters of a wrong name or value
KINDS: dict[str, type[Stage]] = {}


class ImagePair(NamedTuple):
    """A batch on its way through the stages, both (B, H, W, C); one array while they are equal.

    Both are uint8, but inside `linear`, where the blurred images are float32 in linear light, 255 being white
    and more being what a sensor would clip.
    """

    sharp: Images
    blurred: Images


class Stage(BaseModel, ABC):
    """One degradation: `sample` looks at no image, `apply_pair` decides nothing.

    A subclass names itself by `kind` and declares each parameter as a field
    ``name: Annotated[AnyDistribution, Between(low, high)]``. The fields' order is the order of their draws:
    new ones go to the end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]
    changes_sharp: ClassVar[bool] = False
    takes_floats: ClassVar[bool] = False
    """Whether it may stand in `linear`."""
    only_floats: ClassVar[bool] = False
    """Whether it may stand nowhere else."""
    one_psf: ClassVar[bool] = True
    """False where it blurs, but not by one PSF for the whole image."""
    parameters: ClassVar[dict[str, Between]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        cls.parameters = {
            name: mark
            for name, field in cls.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, Between)
        }
        if "kind" in vars(cls):
            KINDS[cls.kind] = cls

    @classmethod
    def from_body(cls, body: Any) -> Stage:
        """The stage from what stands behind its name in a recipe."""
        return cls.model_validate({} if body is None else body)

    def body(self) -> Any:
        """What stands behind its name in a recipe."""
        fields: dict[str, Any] = tidy(self.model_dump())
        return {name: fields[name] for name in sorted(fields, key=lambda name: name not in self.parameters)}

    @classmethod
    def body_schema(cls) -> dict[str, Any]:
        """The JSON Schema of its body."""
        return cls.model_json_schema(ref_template="#/$defs/{model}")

    def distribution(self, parameter: str) -> Distribution:
        """What a parameter is drawn from."""
        value = getattr(self, parameter)
        assert isinstance(value, Distribution)
        return value

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The shape (H, W, C) of what comes out for what goes in; InputError where it cannot go in."""
        return shape

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """A column for each parameter: float64, or int64 where it is a whole number, shape (B,)."""
        columns: dict[str, NDArray[Any]] = {}
        for place, (name, mark) in enumerate(self.parameters.items()):
            values = self.distribution(name).sample(draws, place)
            columns[name] = values.astype(np.int64) if mark.whole else values
        return columns

    @abstractmethod
    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """Degrade the blurred images, and the sharp ones too where the stage changes those."""

    @property
    def orders(self) -> list[Sequence[Stage]]:
        """Of a stage of stages: the lists of which one is applied; a plain stage has none."""
        return []

    @property
    def levels(self) -> int:
        """How many levels of places the stage and those inside it take."""
        return 1

    @property
    def psf_size(self) -> int:
        """The odd size that holds every PSF of the stage; 1 where it has none."""
        return 1

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The PSFs, float32 (B, psf_size, psf_size); single points where the stage has none."""
        return np.ones((len(draws), 1, 1), np.float32)


class ImageStage(Stage):
    """A stage that degrades images by themselves."""

    @abstractmethod
    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The degraded images; `images` stays as it is."""

    def apply_pair(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """Degrade the blurred images, and the sharp ones too where the stage changes those."""
        blurred = self.apply(pair.blurred, params, draws)
        if not self.changes_sharp:
            return ImagePair(pair.sharp, blurred)
        if pair.sharp is pair.blurred:
            return ImagePair(blurred, blurred)
        return ImagePair(self.apply(pair.sharp, params, draws), blurred)


class PsfStage(ImageStage):
    """A stage that convolves with a PSF drawn from its parameters."""

    takes_floats = True
    border: Border = "replicate"

    def apply(self, images: Images, params: Columns, draws: Draws) -> Images:
        """The images convolved with the stage's PSFs."""
        out: Images = convolve_checked(images, self.psfs(params, draws), self.border)
        return out


def stage_from(item: Any) -> Stage:
    """The stage from an item of a recipe's list: its name, or its name and what stands behind it.

    Raises
    ------
    PydanticCustomError
        Where the item is no stage; the message begins with the stage's name where it is known.
    """
    if isinstance(item, Stage):
        return item
    if isinstance(item, str):
        item = {item: None}
    if not isinstance(item, dict) or len(item) != 1:
        raise PydanticCustomError(
            "stage",
            ": {item} is no stage; a mapping of one name is needed",
            {"item": _told(item)},
        )
    (kind, body), *_ = item.items()
    if kind not in KINDS:
        hint = did_you_mean(str(kind), KINDS) or f"; there are {', '.join(sorted(KINDS))}"
        raise PydanticCustomError(
            "stage", ": {kind} is no stage{hint}", {"kind": _told(str(kind)), "hint": hint}
        )
    try:
        return KINDS[kind].from_body(body)
    except ValidationError as error:
        raise PydanticCustomError(
            "stage", " ({kind}): {what}", {"kind": kind, "what": one_sentence(error, KINDS[kind])}
        ) from None


def stages_from(items: Any) -> tuple[Stage, ...]:
    """The stages of a recipe's list; errors begin ``stage N (name): field: …``."""
    if not isinstance(items, list | tuple) or not items:
        raise PydanticCustomError("stages", "a list of at least one stage is needed")
    if len(items) > PLACES:
        raise PydanticCustomError(
            "stages", "{n} stages; {most} are the most", {"n": len(items), "most": PLACES}
        )
    stages = []
    for place, item in enumerate(items):
        try:
            stages.append(stage_from(item))
        except PydanticCustomError as error:
            raise PydanticCustomError(
                "stages", "stage {place}{what}", {"place": place, "what": error.message()}
            ) from None
    return tuple(stages)


def one_sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The first complaint of a ValidationError as ``field: value: what is allowed``."""
    # a misspelt field leaves one missing: speak of the misspelling
    first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    parts = [str(part) for part in first["loc"]]
    names = [_told(part)[1:-1] for part in parts if not part.startswith("function-")]
    where = ".".join(names)
    if first["type"] == "extra_forbidden":
        fields = sorted(model.model_fields)
        if len(names) > 1:
            return f"{where}: there is no such field"
        return f"there is no field '{where}'{did_you_mean(where, fields)}; there are {', '.join(fields)}"
    if first["type"] in ("stages", "stage"):
        option = next((part for part in first["loc"] if isinstance(part, int)), None)
        return first["msg"] if option is None else f"option {option}, {first['msg']}"
    # of a whole stage its fields are not repeated
    told = where and first["type"] != "missing"
    given = f"{_told(first['input'])}: " if told else ""
    message = first["msg"]
    for prefix in ("Value error, ", "Input should be "):
        message = message.removeprefix(prefix)
    return f"{where}: {given}{message[:1].lower()}{message[1:]}" if where else f"{given}{message}"


def _told(given: Any) -> str:
    """What was given as Python writes it, on one line, and not for pages."""
    text = repr(given)
    return text if len(text) <= _MOST_TOLD else f"{text[: _MOST_TOLD - 2]}…{text[-1]}"


def did_you_mean(name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """``; did you mean …?`` where a known name is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def sample_all(stages: Sequence[Stage], draws: Draws) -> dict[str, NDArray[Any]]:
    """The columns of all stages, named ``place.kind.parameter``."""
    columns: dict[str, NDArray[Any]] = {}
    for place, stage in enumerate(stages):
        own = stage.sample(draws.stage(place))
        columns.update({f"{place}.{stage.kind}.{name}": column for name, column in own.items()})
    return columns


def columns_of(place: int, stage: Stage, params: Columns) -> dict[str, NDArray[Any]]:
    """The columns of the stage at `place`, under the names that it gave them."""
    prefix = f"{place}.{stage.kind}."
    return {name[len(prefix) :]: column for name, column in params.items() if name.startswith(prefix)}


def apply_all(stages: Sequence[Stage], pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
    """Apply the stages one after another."""
    for place, stage in enumerate(stages):
        pair = stage.apply_pair(pair, columns_of(place, stage, params), draws.stage(place))
    return pair
