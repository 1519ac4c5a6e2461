"""Sharp/blurred image pairs for training deblurring networks: fast, physically sensible, repeatable.

>>> import blurgen
>>> pairs = blurgen.degrade(blurgen.open_source("digits").read(0, 8), "mnist-motion", seed=1)
>>> pairs.blurred.shape
(8, 28, 28, 1)

Importing it is cheap: each name below loads what it needs when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from blurgen._version import __version__
from blurgen.errors import BlurgenError, ClusterError, FileError, InputError, RecipeError, SourceError

if TYPE_CHECKING:
    from blurgen import psf
    from blurgen.codec import jpeg
    from blurgen.convolution import convolve
    from blurgen.degradation import Pairs, degrade
    from blurgen.exporting import export
    from blurgen.maker import finish, make
    from blurgen.merging import merge
    from blurgen.pairs import PairFile, open_pairs
    from blurgen.recipe import Recipe, load_recipe, recipes
    from blurgen.reporting import report
    from blurgen.sources import open_source
    from blurgen.sources.base import Source
    from blurgen.varying import convolve_varying

_HOMES = {
    "PairFile": "pairs",
    "Pairs": "degradation",
    "Recipe": "recipe",
    "Source": "sources.base",
    "convolve": "convolution",
    "convolve_varying": "varying",
    "degrade": "degradation",
    "export": "exporting",
    "finish": "maker",
    "jpeg": "codec",
    "load_recipe": "recipe",
    "make": "maker",
    "merge": "merging",
    "open_pairs": "pairs",
    "open_source": "sources",
    "recipes": "recipe",
    "report": "reporting",
}

__all__ = [
    "BlurgenError",
    "ClusterError",
    "FileError",
    "InputError",
    "PairFile",
    "Pairs",
    "Recipe",
    "RecipeError",
    "Source",
    "SourceError",
    "__version__",
    "convolve",
    "convolve_varying",
    "degrade",
    "export",
    "finish",
    "jpeg",
    "load_recipe",
    "make",
    "merge",
    "open_pairs",
    "open_source",
    "psf",
    "recipes",
    "report",
]


def __getattr__(name: str) -> Any:
    if name == "psf":
        return import_module("blurgen.psf")
    if name not in _HOMES:
        raise AttributeError(f"module 'blurgen' has no attribute '{name}'")
    return getattr(import_module(f"blurgen.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
