"""What a page remembers: the recipes that are tuned, where they are saved, the images, and the seed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from blurgen.draws import MAX_SEED
from blurgen.errors import BlurgenError, FileError, InputError
from blurgen.files import written
from blurgen.maker import DEFAULT_RECIPES
from blurgen.play.checks import Problem, located
from blurgen.play.document import Document
from blurgen.play.pictures import DRAWN, SHOWN, Choice, Pictures, Sharp, pictures, sharp_images
from blurgen.recipe import load_recipe, recipes

SIDES: Final = ("A", "B")
_COUNT = 10_000  # pairs of an endless source in the command that makes them


@dataclass
class Tuned:
    """One recipe that is tuned.

    Attributes
    ----------
    document : Document
        As it is now.
    file : str
        The name under which it is saved, in the session's folder.
    saved : str or None
        What was last saved or opened there; None where nothing was.
    """

    document: Document
    file: str
    saved: str | None = None

    @property
    def built_in(self) -> str:
        """The built-in recipe that it is, unchanged; empty where it is none."""
        recipe = self.document.recipe
        return recipe.name if recipe is not None and recipes().get(recipe.name) == recipe else ""


@dataclass
class Session:
    """The state of a page; there is one for all the browser's windows.

    Attributes
    ----------
    tuned : dict
        The recipes by side, ``"A"`` and, while two are compared, ``"B"``.
    choices : list of Choice
        The images that can be chosen.
    folder : Path
        Where recipes are saved.
    choice : Choice
        The images that are shown.
    seed : int
        Of all that is drawn.
    active : str
        The side that is edited.
    view : str
        What tiles show: ``"blurred"``, ``"sharp"`` or ``"psf"``.
    """

    tuned: dict[str, Tuned]
    choices: list[Choice]
    folder: Path
    choice: Choice
    seed: int = 0
    active: str = "A"
    view: str = "blurred"

    @property
    def document(self) -> Document:
        """The recipe that is edited."""
        return self.tuned[self.active].document

    @document.setter
    def document(self, document: Document) -> None:
        self.tuned[self.active].document = document

    def compare(self) -> None:
        """Set a copy of A beside it, and edit that."""
        first = self.tuned["A"]
        self.tuned["B"] = Tuned(first.document, _beside(first.file))
        self.active = "B"

    def end_comparing(self) -> None:
        """Keep the recipe that is edited, as A."""
        self.tuned = {"A": self.tuned[self.active]}
        self.active = "A"

    def open(self, name: str) -> None:
        """Edit a built-in recipe instead."""
        self.tuned[self.active] = Tuned(Document(load_recipe(name).to_yaml()), f"{name}.yaml")

    def other_seed(self) -> None:
        """The next seed."""
        self.seed = (self.seed + 1) % (MAX_SEED + 1)

    def save(self, side: str, file: str) -> Path:
        """Write a recipe into the session's folder.

        Raises
        ------
        InputError
            If the name is no plain name of a YAML file, or is taken by a file that was not saved from here.
        FileError
            If it cannot be written.
        """
        if not re.fullmatch(r"[^/\\\0]+\.ya?ml", file) or file.startswith("."):
            raise InputError(f"'{file}': a name that ends in .yaml, without a folder, is needed")
        tuned = self.tuned[side]
        path = self.folder / file
        ours = file == tuned.file and tuned.saved is not None
        try:
            if path.exists() and not (ours and path.read_text(encoding="utf-8") == tuned.saved):
                raise InputError(
                    f"'{file}' is there already, and is not what was opened: choose another name"
                )
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "the file there is not UTF-8 text"
            raise FileError(f"'{path}' cannot be written: {reason}") from None
        written(path, lambda partial: partial.write_text(tuned.document.text, encoding="utf-8"))
        tuned.file, tuned.saved = file, tuned.document.text
        return path

    def command(self, side: str) -> str:
        """The command line that makes the file of pairs, from the recipe as it is saved."""
        tuned = self.tuned[side]
        recipe = tuned.document.recipe
        words = ["blurgen", "make", *self.choice.arguments]
        words += ["--recipe", tuned.built_in or str(self.folder / tuned.file)]
        if self.choice.drawn:
            words += ["--count", str(max(_COUNT, SHOWN * (recipe.copies if recipe else 1)))]
        words += ["--seed", str(self.seed), "--out", f"{Path(tuned.file).stem}.h5"]
        return shlex.join(words)

    def needs_saving(self, side: str) -> bool:
        """Whether the command would make other pairs than those that are shown."""
        tuned = self.tuned[side]
        return not tuned.built_in and tuned.saved != tuned.document.text

    def draw(self, side: str) -> Pictures | Problem:
        """The pictures of a side, or what keeps them from being made."""
        document = self.tuned[side].document
        if document.recipe is None:
            return document.problems[0]
        try:
            sharp = _sharp(self.choice, self.seed if self.choice.drawn else 0)
            return pictures(sharp, document.recipe, self.seed)
        except BlurgenError as error:
            return located(str(error), document.name, document.stages)


def begin(recipe: str | None, own: Choice | None, folder: Path, seed: int = 0) -> Session:
    """A session.

    Parameters
    ----------
    recipe : str or None
        A built-in recipe or a file, which may hold mistakes; by default one that suits the images.
    own : Choice or None
        One's own images; by default drawn ones that suit the recipe.
    folder : Path
        Where recipes are saved that have no file yet.
    seed : int
        The first seed.

    Raises
    ------
    RecipeError
        If there is no such recipe.
    """
    suiting = {name: dataset for dataset, name in reversed(DEFAULT_RECIPES.items()) if dataset in DRAWN}
    if recipe is None:
        recipe = "realistic" if own else DEFAULT_RECIPES["digits"]
    choices = [*([own] if own else []), *map(Choice, DRAWN)]
    choice = own or Choice(suiting.get(recipe, "shapes"))
    path = Path(recipe)
    if recipe not in recipes() and path.is_file():
        text = _text_of(path)
        return Session({"A": Tuned(Document(text), path.name, text)}, choices, path.parent, choice, seed)
    tuned = Tuned(Document(load_recipe(recipe).to_yaml()), f"{recipe}.yaml")
    return Session({"A": tuned}, choices, folder, choice, seed)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"recipe '{path}' cannot be read: {reason}") from None


def _beside(file: str) -> str:
    """The name of a copy."""
    return f"{Path(file).stem}-b.yaml"


@lru_cache(maxsize=8)
def _sharp(choice: Choice, seed: int) -> Sharp:
    return sharp_images(choice.open(seed))
