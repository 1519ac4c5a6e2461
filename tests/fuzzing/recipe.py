"""Recipes in YAML and JSON."""

from collections.abc import Iterator
from pathlib import Path

from blurgen.errors import BlurgenError
from blurgen.recipe import Recipe, recipes
from blurgen.stages.base import KINDS
from blurgen.untrusted.documents import parse_json

WORDS = (
    *KINDS,
    *("uniform", "log_uniform", "integers", "normal", "choice", "beta", "mixture", "reciprocal", "by_copy"),
    *("stages", "weights", "copies", "&a ", "*a", "!!python/object:", "<<: ", "1e999", "? ", "- ", "[", "{"),
)


def seeds() -> Iterator[bytes]:
    """Every built-in recipe, and what once was refused too late."""
    for recipe in recipes().values():
        yield recipe.to_yaml().encode()
    yield recipes()["realistic"].to_json().encode()
    yield b"name: r\nstages: &a [shuffled: *a]"
    yield b"a: &a [1, 1]\nb: &b [*a, *a]\nname: r\nstages: [*b, *b]"
    yield b"name: r\nstages: " + b"[" * 100
    yield b'{"name": "r", "stages": ' + b"[" * 100


def one(data: bytes, folder: Path) -> None:
    """Read it as YAML and as JSON; what is a recipe comes back from its own text."""
    text = data.decode("utf-8", "replace")
    recipe = Recipe.from_yaml(text)
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert Recipe.from_dict(parse_json(recipe.to_json())) == recipe
    try:
        recipe.output_shape((32, 32, 3))
    except BlurgenError:
        return
