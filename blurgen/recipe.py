"""Recipes: an ordered list of stages, as a value that reads and writes YAML and JSON."""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from blurgen import distributions
from blurgen.draws import DEPTH, Draws
from blurgen.errors import InputError, RecipeError
from blurgen.stages.base import (
    KINDS,
    Columns,
    ImagePair,
    apply_all,
    did_you_mean,
    one_sentence,
    sample_all,
)
from blurgen.stages.combinators import (
    AnyStages,
    any_changes_sharp,
    composed_psfs,
    composed_size,
    move_after_blur,
    without_one_psf,
)
from blurgen.stages.light import check_outside_linear
from blurgen.untrusted.bounds import RefusedError, read_at_most
from blurgen.untrusted.documents import MOST_CHARACTERS, NUMBER, parse_yaml


class Recipe(BaseModel):
    r"""How sharp images become blurred ones: a frozen, comparable, hashable value.

    Parameters
    ----------
    name : str
        What it is called.
    stages : list
        The stages in order; in YAML each a mapping of its name to its fields. An empty list leaves the images
        as they are.
    description : str
        What it is for, and what it cannot know.
    source : str
        Where its numbers come from.
    copies : int
        How many pairs are made from one source image.

    Examples
    --------
    >>> recipe = Recipe.from_yaml("name: mine\nstages: [motion: {length: {uniform: [4, 6]}, angle: 30}]")
    >>> recipe.stages[0].length.bounds
    (4.0, 6.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, strict=True)]
    description: str = ""
    source: str = ""
    copies: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 1
    stages: AnyStages

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        levels = max((stage.levels for stage in self.stages), default=0)
        if levels > DEPTH:
            raise PydanticCustomError(
                "depth", "stages nest {n} levels deep; {most} are the most", {"n": levels, "most": DEPTH}
            )
        check_outside_linear(self.stages)
        return self

    @classmethod
    def from_dict(cls, fields: Any, where: str = "") -> Recipe:
        """A recipe from plain dicts and lists, as YAML and JSON give them.

        Raises
        ------
        RecipeError
            If it is malformed; `where`, a file or name, is told in the message.
        """
        if not isinstance(fields, dict):
            raise RecipeError(f"recipe{_quoted(where)}: a mapping with name and stages is needed")
        label = where or str(fields.get("name", ""))
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            what = one_sentence(error, cls)
            separator = ", " if what.startswith("stage ") else ": "
            raise RecipeError(f"recipe{_quoted(label)}{separator}{what}") from None
        except RecursionError:
            raise RecipeError(f"recipe{_quoted(label)} is nested too deep") from None

    @classmethod
    def from_yaml(cls, text: str, where: str = "") -> Recipe:
        """A recipe from YAML, or from JSON, which is YAML too."""
        return cls.from_dict(read_yaml(text, where), where)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers; every field of every stage, its default included."""
        fields: dict[str, Any] = distributions.tidy(self.model_dump())
        return {name: value for name, value in fields.items() if value != ""}

    def to_yaml(self) -> str:
        """YAML that `from_yaml` reads back to an equal recipe."""
        return yaml.dump(self.to_dict(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)

    def to_json(self) -> str:
        """JSON on one line, the same text for equal recipes."""
        import json

        text = json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))
        # YAML, too, shall read it: what it holds for unprintable is escaped
        return "".join(c if c.isprintable() or ord(c) > 0xFFFF else f"\\u{ord(c):04x}" for c in text)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON Schema (draft 2020-12) of recipes."""
        schema = cls.model_json_schema(ref_template="#/$defs/{model}")
        definitions = {**schema.pop("$defs", {}), **distributions.json_schema()}
        choices: list[dict[str, Any]] = []
        for kind, stage in sorted(KINDS.items()):
            body = stage.body_schema()
            definitions.update(body.pop("$defs", {}))
            definitions[stage.__name__] = body
            choices.append(
                {
                    "type": "object",
                    "properties": {kind: {"$ref": f"#/$defs/{stage.__name__}"}},
                    "required": [kind],
                    "additionalProperties": False,
                }
            )
        definitions["Stage"] = {"oneOf": choices}
        dialect = "https://json-schema.org/draft/2020-12/schema"
        return {"$schema": dialect, **distributions.resolved({**schema, "$defs": definitions})}

    def with_copies(self, copies: int | None) -> Recipe:
        """The same recipe with another number of copies; itself for None."""
        if copies is None:
            return self
        return Recipe.from_dict({**self.to_dict(), "copies": copies})

    def draws(self, seed: int, index: NDArray[np.int64]) -> Draws:
        """The draws of samples `index`."""
        return Draws(seed, index, self.copies)

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Every parameter of every stage, ``place.kind.parameter``: columns of shape (B,)."""
        return sample_all(self.stages, draws)

    def apply(self, pair: ImagePair, params: Columns, draws: Draws) -> ImagePair:
        """The stages on a batch with the parameters that `sample` gave."""
        return apply_all(self.stages, pair, params, draws)

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The shape (H, W, C) of pairs from images of `shape`.

        Raises
        ------
        InputError
            If a stage cannot take such images; the message names it.
        """
        for place, stage in enumerate(self.stages):
            try:
                shape = stage.output_shape(shape)
            except InputError as error:
                raise InputError(f"recipe '{self.name}', stage {place}: {error}") from None
        return shape

    @property
    def changes_sharp(self) -> bool:
        """Whether a stage may change the sharp images, too."""
        return any_changes_sharp(self.stages)

    @property
    def psf_size(self) -> int:
        """The odd size that holds the PSF of all stages together."""
        return composed_size(self.stages)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The PSF of all blurs of each sample together, float32 (B, k, k), k = `psf_size`.

        `params` is what `sample` gave for `draws`.

        Borders and rounding between the blurs aside, the blurred image is the sharp one convolved with it.

        Raises
        ------
        InputError
            If a stage moves pixels after a blur, or blurs each place differently, so that no one PSF of the
            sharp image describes it.
        """
        varying = without_one_psf(self.stages)
        if varying:
            raise InputError(
                f"recipe '{self.name}': '{varying}' does not blur by one PSF for the whole image"
            )
        mover, _ = move_after_blur(self.stages)
        if mover:
            raise InputError(f"recipe '{self.name}': '{mover}' follows a blur, so there is no one PSF")
        return composed_psfs(self.stages, params, draws)


class _Dumper(yaml.SafeDumper):
    """Lists of numbers and names, and distributions, on one line, text of several lines as a block."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        plain = all(isinstance(item, int | float | str) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:
        values = mapping.values() if isinstance(mapping, dict) else [value for _, value in mapping]
        kinds = set(mapping) & set(distributions.KINDS) if isinstance(mapping, dict) else set()
        flow = bool(kinds) and not any(isinstance(value, dict) for value in values)
        return super().represent_mapping(tag, mapping, flow_style=flow and "by_copy" not in kinds)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else (">" if len(text) > 90 else None)
    if not text.replace("\n", "").isprintable() or text != text.strip():
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
# text that looks like a number is quoted
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+.0123456789"))


def read_yaml(text: str, where: str = "") -> Any:
    """The plain dicts, lists and numbers that the text of a recipe holds, not yet checked.

    Raises
    ------
    RecipeError
        If it is not YAML, or refused; `where`, a file or name, is told in the message.
    """
    try:
        return parse_yaml(text)
    except RefusedError as error:
        raise RecipeError(f"recipe{_quoted(where)} is refused: {error}") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"recipe{_quoted(where)} is not YAML: {reason}") from None


def _quoted(where: str) -> str:
    return f" '{where}'" if where else ""


def recipes() -> dict[str, Recipe]:
    """The built-in recipes by name."""
    found = [recipe for family in families().values() for recipe in family]
    return {recipe.name: recipe for recipe in sorted(found, key=lambda recipe: recipe.name)}


def families() -> dict[str, list[Recipe]]:
    """The built-in recipes by their files: those that differ but for a number stand together."""
    return {file.removesuffix(".yaml"): list(_read(file).values()) for file in sorted(_files())}


def _files() -> list[str]:
    folder = resources.files("blurgen") / "recipes"
    return [file.name for file in folder.iterdir() if file.name.endswith(".yaml")]


@cache
def _read(file: str) -> dict[str, Recipe]:
    """The recipes of a file: one of its name, or several whose names add a number to it."""
    text = (resources.files("blurgen") / "recipes" / file).read_text(encoding="utf-8")
    found = [Recipe.from_yaml(part, file) for part in text.split("\n---\n")]
    return {recipe.name: recipe for recipe in found}


def _built_in(name: str) -> Recipe | None:
    """The built-in recipe of that name; only its file is read."""
    for stem in (name, name.rpartition("-")[0]):
        if f"{stem}.yaml" in _files() and name in _read(f"{stem}.yaml"):
            return _read(f"{stem}.yaml")[name]
    return None


def load_recipe(name_or_path: str | os.PathLike[str]) -> Recipe:
    """A built-in recipe by its name, or one from a YAML or JSON file.

    Raises
    ------
    RecipeError
        If there is none of that name, or the file is missing or malformed.
    """
    recipe = _built_in(str(name_or_path))
    if recipe is not None:
        return recipe
    path = Path(name_or_path)
    if path.suffix.lower() not in (".yaml", ".yml", ".json") and not path.exists():
        hint = did_you_mean(str(name_or_path), recipes())
        raise RecipeError(
            f"there is no recipe '{name_or_path}'{hint}; 'blurgen recipes' lists those built in"
        )
    try:
        text = read_at_most(path, 4 * MOST_CHARACTERS).decode("utf-8")
    except UnicodeDecodeError:
        raise RecipeError(f"recipe '{path}' cannot be read: it is not UTF-8 text") from None
    except (OSError, RefusedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(f"recipe '{path}' cannot be read: {reason}") from None
    return Recipe.from_yaml(text, str(name_or_path))
