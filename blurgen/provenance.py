"""Where the pairs of a file come from: whose images they are, and the command that makes them again."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from blurgen.errors import RecipeError
from blurgen.pairs import Header
from blurgen.recipe import load_recipe, recipes


class Licence(NamedTuple):
    """What those who publish images say.

    Attributes
    ----------
    identifier : str
        As the Hugging Face Hub writes it.
    note : str
        What is under it, and by whom.
    """

    identifier: str
    note: str


_LICENCES = {
    "mnist": Licence("cc-by-sa-3.0", "MNIST, by Yann LeCun, Corinna Cortes and Christopher Burges"),
    "fashion-mnist": Licence("mit", "Fashion-MNIST, copyright Zalando SE"),
    "kmnist": Licence("cc-by-sa-4.0", "KMNIST, by ROIS-DS Center for Open Data in the Humanities (CODH)"),
}
_DRAWN = ("digits", "plates", "text", "shapes")


def licence(header: Header) -> Licence | None:
    """The licence of the sharp images, where it is known."""
    return _LICENCES.get(header.dataset)


def origin(header: Header) -> str:
    """Whose the sharp images are, and what follows for the pairs, in Markdown."""
    known = licence(header)
    if known:
        return (
            f"The sharp images are those of {known.note}, under {known.identifier}. The pairs are made "
            "from them: the same licence holds."
        )
    if header.dataset in _DRAWN:
        return (
            "The sharp images are drawn by a program; nobody else has rights in them. Choose a licence "
            "before you publish."
        )
    return (
        f"The sharp images come from `{header.dataset}`, whose licence is not known here. The pairs are made "
        "from them: state that licence before you publish."
    )


def built_in(header: Header) -> bool:
    """Whether the recipe, but for the number of copies, is the built-in one of its name."""
    if header.recipe.name not in recipes():
        return False
    try:
        return load_recipe(header.recipe.name).with_copies(header.recipe.copies) == header.recipe
    except RecipeError:
        return False


def remake_command(header: Header, recipe: str) -> str:
    """The command that makes the pair file again; of a part, the whole.

    Parameters
    ----------
    header : Header
        Of the pair file.
    recipe : str
        The file that holds its recipe; not needed where the recipe is built in: then its name is in the
        command.
    """
    words = ["blurgen", "make", "--dataset", header.dataset, "--recipe"]
    if built_in(header):
        words.append(header.recipe.name)
        if header.recipe.copies != load_recipe(header.recipe.name).copies:
            words += ["--copies", str(header.recipe.copies)]
    else:
        words.append(recipe)
    words += ["--count", str(header.whole_count), "--seed", str(header.seed)]
    for name, value in header.dataset_options.items():
        if name == "seed" or value is None:  # the seed of all
            continue
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not False:
            between = "-" if name == "window" else "x"
            words += [option, between.join(map(str, value)) if isinstance(value, list) else str(value)]
    if header.psf_size:
        words.append("--psf")
    if header.compression:
        words += ["--compression", header.compression]
    return shlex.join([*words, "--out", "pairs.h5"])


def remake_note(header: Header) -> str:
    """What the command needs, or why there is none that makes the same bytes; a sentence in Markdown."""
    last = header.first + header.count - 1
    whole = header.count == header.whole_count
    part = "" if whole else f" Of its pairs, these are {header.first} to {last}, counted from 0."
    drawn_by = header.dataset_options.get("seed", header.seed)
    if drawn_by != header.seed:
        return (
            f"The images were drawn by the seed {drawn_by}, the blur by {header.seed}: that takes Python, "
            f"`blurgen.make(blurgen.open_source({header.dataset!r}, seed={drawn_by}, …), …)`."
        ) + part
    if ":" in header.dataset:
        return (
            f"Paths are as they were given: run it in the same folder. Version {header.version} of blurgen "
            f"makes the same bytes from the same images, whose hash is `{header.dataset_sha256}`."
        ) + part
    return (
        f"Version {header.version} of blurgen makes the same bytes. The hash of the images is "
        f"`{header.dataset_sha256}`."
    ) + part
