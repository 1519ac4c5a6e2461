"""A recipe as a module, for pipelines of transforms."""

from __future__ import annotations

import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import get_worker_info

from blurgen.checks import checked_whole
from blurgen.degradation import degrade_checked
from blurgen.draws import MAX_SEED
from blurgen.errors import InputError
from blurgen.recipe import Recipe, load_recipe
from blurgen.stages.base import ImagePair
from blurgen.torch.degrader import Degrader, Index, check_images, checked_index

_WORKERS = 1 << 31
_IMAGES = 1 << 32  # that a worker may take before its indices meet those of another


class Degrade(nn.Module):  # type: ignore[misc]
    """Blurs images by a recipe: a transform as those of torchvision and kornia are.

    It stands in ``nn.Sequential``, torchvision's ``Compose`` or kornia's ``ImageSequential``. On the CPU it
    does what `blurgen.degrade` does, byte for byte; on other devices what `Degrader` does.

    Parameters
    ----------
    recipe : Recipe, str or path-like
        A recipe, the name of a built-in one, or a YAML or JSON file.
    seed : int
        0 … 2⁶⁴ − 1. Several processes of one training need one each.

    Attributes
    ----------
    index : int
        Of the next image; it may be set. A process counts from 0. A worker of a ``DataLoader`` counts from a
        number of its own, which comes from the worker's seed, and that from PyTorch's generator: workers and
        passes differ, and ``torch.manual_seed`` repeats them.

    Raises
    ------
    InputError, RecipeError
        If an argument is not as above.

    Notes
    -----
    There is no gradient. Of recipes that change the sharp image, too (``recipe.changes_sharp``), `Degrader`
    gives both.

    Examples
    --------
    >>> degrade = Degrade("mnist-motion", seed=1)
    >>> degrade(torch.zeros(2, 1, 28, 28)).dtype, degrade.index
    (torch.float32, 2)
    """

    def __init__(self, recipe: Recipe | str | os.PathLike[str], seed: int = 0) -> None:
        super().__init__()
        self.recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
        self.seed = checked_whole("seed", seed, 0, MAX_SEED)
        self.index = 0
        self._worker: int | None = None

    def forward(self, images: Tensor, *, index: Index | None = None) -> Tensor:
        """Blur each image.

        Parameters
        ----------
        images : Tensor
            uint8, or floats from 0 to 1, which are rounded to bytes first; shape (B, C, H, W) or (C, H, W)
            with C 1 or 3.
        index : int or array of int, optional
            The absolute index of each image, shape (B,), on the CPU; or that of the first. By default images
            are counted.

        Returns
        -------
        Tensor
            The blurred images: of the same type and device, of the same shape unless the recipe changes it,
            channels last in memory. `images` is never changed.

        Raises
        ------
        InputError
            If an argument is not as above, or a stage cannot take such images.
        RecipeError
            If the images are not on the CPU, and a stage has no form for the device; the message names it.
        """
        if not isinstance(images, Tensor):
            raise InputError(f"images are a {type(images).__name__}; a tensor is needed")
        if images.ndim not in (3, 4):
            raise InputError(
                f"images have the shape {tuple(images.shape)}; (B, C, H, W) or (C, H, W) is needed"
            )
        with torch.no_grad():
            batch = _as_bytes(images if images.ndim == 4 else images[None])
            check_images(batch)
            rows = checked_index(self._counted(len(batch)) if index is None else index, len(batch))
            blurred = self._blurred(batch, rows)
            if images.dtype != torch.uint8:
                blurred = blurred.to(torch.float32).div_(255).to(images.dtype)
        return blurred if images.ndim == 4 else blurred[0]

    def _blurred(self, images: Tensor, rows: NDArray[np.int64]) -> Tensor:
        if images.device.type != "cpu":
            return Degrader(self.recipe, self.seed)(images, rows)[1]
        given = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.recipe.output_shape(given.shape[1:])
        blurred = degrade_checked(ImagePair(given, given), self.recipe, self.seed, rows).blurred
        if np.may_share_memory(blurred, given):
            blurred = blurred.copy()
        return torch.from_numpy(blurred).permute(0, 3, 1, 2)

    def _counted(self, count: int) -> int:
        """The index of the first of the next images."""
        worker = get_worker_info()
        if worker is not None and worker.seed != self._worker:
            self._worker = worker.seed
            self.index = worker.seed % _WORKERS * _IMAGES
        first = self.index
        self.index += count
        return first

    def extra_repr(self) -> str:
        """What ``repr`` tells."""
        return f"{self.recipe.name!r}, seed={self.seed}"


def _as_bytes(images: Tensor) -> Tensor:
    """Floats as bytes, rounded half up; bytes as they are."""
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise InputError(f"images are {images.dtype}; torch.uint8, or floats from 0 to 1, are needed")
    levels = images.to(torch.float32) * 255 + 0.5
    if levels.numel():
        low, high = (float(end) for end in levels.aminmax())
        if not 0 <= low <= high < 256:
            raise InputError(
                f"images hold values from {(low - 0.5) / 255:.4g} to {(high - 0.5) / 255:.4g}; "
                "0 to 1 is needed, as before normalising"
            )
    return levels.to(torch.uint8)
