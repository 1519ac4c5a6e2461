"""Recipes on the device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blurgen.checks import checked_whole
from blurgen.draws import MAX_SEED
from blurgen.errors import InputError, RecipeError
from blurgen.recipe import Recipe, load_recipe
from blurgen.torch import (
    blur,
    clahe,
    combinators,
    geometry,
    jpeg,
    light,
    noise,
    paths,
    poisson,
    resizing,
    tone,
)
from blurgen.torch.forms import DevicePair, apply_all, without_form

# imported so that they register their forms
_FORMS = (blur, clahe, combinators, geometry, jpeg, light, noise, paths, poisson, resizing, tone)
_MOST = 2**63 - 1

Index: TypeAlias = int | Sequence[int] | NDArray[np.integer] | Tensor


class Degrader:
    """Makes pairs where the images are: what `blurgen.degrade` does, on a batch on a GPU.

    The parameters are drawn, and PSFs rendered, on the CPU: they are those of `blurgen.degrade`. All that
    touches pixels happens on the device, for the whole batch at a time. Each stage by itself gives what the
    CPU gives, to one grey level; docs/gpu.md says which are equal byte for byte. After a stage that is not, a
    later one that magnifies small differences, such as JPEG, may differ by more where they meet.

    Parameters
    ----------
    recipe : Recipe, str or path-like
        A recipe, the name of a built-in one, or a YAML or JSON file.
    seed : int
        0 … 2⁶⁴ − 1.

    Raises
    ------
    RecipeError
        If a stage has no form for the device; the message names it.

    Examples
    --------
    >>> degrader = Degrader("mnist-motion", seed=1)
    >>> sharp, blurred = degrader(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), index=[10, 3])
    >>> blurred.shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(self, recipe: Recipe | str | os.PathLike[str], seed: int = 0) -> None:
        self.recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
        self.seed = checked_whole("seed", seed, 0, MAX_SEED)
        missing = next(without_form(self.recipe.stages), "")
        if missing:
            raise RecipeError(
                f"recipe '{self.recipe.name}': stage '{missing}' has no form for the GPU; "
                "blurgen.degrade makes these pairs on the CPU"
            )

    def __call__(self, images: Tensor, index: Index = 0) -> tuple[Tensor, Tensor]:
        """Make a pair of each image.

        Parameters
        ----------
        images : Tensor
            uint8, shape (B, C, H, W) with C 1 or 3, on any device that has float64. Channels-last memory is
            taken as it is; other memory is copied.
        index : int or array of int
            The absolute index of each sample, shape (B,), on the CPU; or that of the first.

        Returns
        -------
        tuple of Tensor
            ``(sharp, blurred)``: uint8, (B, C, H, W), channels last in memory, on the images' device.
            `images` is never changed, but ``sharp`` may share its memory.

        Raises
        ------
        InputError
            If an argument is not as above, or a stage cannot take such images.
        """
        check_images(images)
        count, channels, height, width = images.shape
        rows = checked_index(index, count)
        self.recipe.output_shape((height, width, channels))
        draws = self.recipe.draws(self.seed, rows)
        params = self.recipe.sample(draws)
        with torch.no_grad():
            given = images.permute(0, 2, 3, 1).contiguous()
            sharp, blurred = apply_all(self.recipe.stages, DevicePair(given, given), params, draws)
            if blurred is sharp or blurred is given:
                blurred = blurred.clone()
        return sharp.permute(0, 3, 1, 2), blurred.permute(0, 3, 1, 2)

    def __repr__(self) -> str:
        return f"Degrader({self.recipe.name!r}, seed={self.seed})"


def check_images(images: Tensor) -> None:
    """Raise an InputError that says what the images are, unless they are such as `Degrader` takes."""
    if not isinstance(images, Tensor):
        raise InputError(f"images are a {type(images).__name__}; a tensor is needed")
    if images.dtype != torch.uint8:
        raise InputError(f"images are {images.dtype}; torch.uint8 is needed")
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise InputError(f"images have the shape {tuple(images.shape)}; (B, C, H, W) with C 1 or 3 is needed")
    if images.numel() == 0:
        raise InputError(f"images have the shape {tuple(images.shape)}: there are no pixels")
    if images.device.type == "mps":
        raise InputError("images are on 'mps', which has no float64; 'cpu' or 'cuda' is needed")


def checked_index(index: Index, count: int) -> NDArray[np.int64]:
    """The absolute indices of `count` samples, from themselves or from the first."""
    if isinstance(index, int | np.integer):
        start = checked_whole("index", index, 0, _MOST - count)
        return np.arange(start, start + count, dtype=np.int64)
    given = index.cpu().numpy() if isinstance(index, Tensor) else np.asarray(index)
    if given.shape != (count,) or given.dtype.kind not in "iu":
        raise InputError(
            f"index is {given.dtype} of shape {given.shape}; whole numbers of shape ({count},) are needed"
        )
    wrong = (given < 0) | (given > _MOST)
    if wrong.any():
        raise InputError(f"index {given[wrong][0]}: whole numbers from 0 to {_MOST} are needed")
    return given.astype(np.int64)
