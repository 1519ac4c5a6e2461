"""A recipe as a transform of albumentations.

Needs albumentations, which blurgen itself does not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from albumentations import ImageOnlyTransform
from numpy.typing import NDArray

from blurgen.degradation import degrade
from blurgen.draws import MAX_SEED
from blurgen.errors import InputError
from blurgen.recipe import Recipe, load_recipe


class Degrade(ImageOnlyTransform):  # type: ignore[misc]
    """Blurs images by a recipe.

    The generator that albumentations gives each transform draws a seed for each call: ``Compose(…, seed=1)``
    repeats the calls, ``ReplayCompose`` each by itself, byte for byte.

    Parameters
    ----------
    recipe : Recipe, str, path-like or mapping
        A recipe, the name of a built-in one, a YAML or JSON file, or plain dicts as ``Recipe.to_dict`` gives
        them, which is how it is written by ``to_dict``.
    p : float
        How probable it is that an image is blurred at all.

    Raises
    ------
    RecipeError
        If the recipe is malformed, or there is none of that name.

    Notes
    -----
    Images are uint8, or float32 from 0 to 1, which are rounded to bytes; (H, W), (H, W, 1) or (H, W, 3),
    channels as RGB. What comes back is alike, unless the recipe changes the size. Masks, boxes and key points
    stay as they are: recipes that move pixels (``recipe.changes_sharp``) are not for them.

    Parameters of a call are ``seed`` and ``index``, as `blurgen.degrade` takes them, and ``drawn``, the value
    of every parameter of the recipe.

    Examples
    --------
    >>> blur = Degrade("anime-motion", p=1)
    >>> blur(image=np.zeros((32, 32, 3), np.uint8))["image"].shape
    (32, 32, 3)
    >>> sorted(blur.params["drawn"])
    ['0.motion.angle', '0.motion.length']
    """

    def __init__(self, recipe: Recipe | str | os.PathLike[str] | Mapping[str, Any], p: float = 0.5) -> None:
        super().__init__(p=p)
        if isinstance(recipe, Mapping):
            self.recipe = Recipe.from_dict(dict(recipe))
        else:
            self.recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)

    def get_params(self) -> dict[str, Any]:
        """A seed, which of the recipe's copies, and what they draw."""
        seed = int(self.random_generator.integers(MAX_SEED, dtype=np.uint64, endpoint=True))
        index = int(self.random_generator.integers(self.recipe.copies))
        columns = self.recipe.sample(self.recipe.draws(seed, np.array([index])))
        drawn = {name: column.item() for name, column in columns.items()}
        return {"seed": seed, "index": index, "drawn": drawn}

    def apply(self, img: NDArray[Any], seed: int, index: int, **params: Any) -> NDArray[Any]:
        """The blurred image."""
        blurred: NDArray[Any] = degrade(_as_bytes(img)[None], self.recipe, seed, index).blurred[0]
        if img.dtype != np.uint8:
            blurred = blurred.astype(np.float32) / np.float32(255)
        return blurred[..., 0] if img.ndim == 2 else blurred

    def get_transform_init_args(self) -> dict[str, Any]:
        """What ``to_dict`` writes: the recipe as plain dicts."""
        return {"recipe": self.recipe.to_dict()}

    def __repr__(self) -> str:
        return f"Degrade({self.recipe.name!r}, p={self.p})"


def _as_bytes(image: NDArray[Any]) -> NDArray[Any]:
    """Floats as bytes, rounded half up; all else as it is."""
    if image.dtype != np.float32 or image.size == 0:
        return image
    levels = image * np.float32(255) + np.float32(0.5)
    low, high = float(levels.min()), float(levels.max())
    if not 0 <= low <= high < 256:
        raise InputError(
            f"the image holds values from {(low - 0.5) / 255:.4g} to {(high - 0.5) / 255:.4g}; "
            "0 to 1 is needed, as before normalising"
        )
    return levels.astype(np.uint8)
