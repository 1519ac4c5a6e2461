"""What a page shows: sixteen pairs, which `make` would write, and their PSFs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from blurgen.degradation import degrade_checked
from blurgen.draws import Draws
from blurgen.psf.composition import trimmed
from blurgen.recipe import Recipe
from blurgen.sheet import as_bytes, short_params
from blurgen.sources import Source, open_source
from blurgen.sources.folder import image_paths
from blurgen.stages import KINDS
from blurgen.stages.base import ImagePair
from blurgen.stages.combinators import composed_psfs, move_after_blur, without_one_psf

Psfs = NDArray[np.float32]

SHOWN = 16
DRAWN: Final = ("digits", "shapes", "plates", "text")
_WITHOUT = {kind for kind, stage in KINDS.items() if not stage.one_psf}
_LARGE = 320  # pixels; larger images are cut into patches
_PATCH = 256


@dataclass(frozen=True)
class Choice:
    """Which images are shown, as `make` is told.

    Attributes
    ----------
    dataset : str
        Of `blurgen.sources`.
    patch : int or None
        Of a folder: the side of the patches that it is cut into.
    """

    dataset: str
    patch: int | None = None

    @property
    def drawn(self) -> bool:
        """Whether the images are drawn by the seed."""
        return self.dataset in DRAWN

    def open(self, seed: int) -> Source:
        """The source; BlurgenError where it cannot be opened."""
        options: dict[str, Any] = {} if self.patch is None else {"patch": self.patch}
        return open_source(self.dataset, seed=seed, **options)

    @property
    def arguments(self) -> list[str]:
        """What `make` is told of it on the command line."""
        return ["--dataset", self.dataset, *([] if self.patch is None else ["--patch", str(self.patch)])]


def choice_of_folder(folder: Path) -> Choice:
    """The images of a folder, whole where they are small and of one size, else in patches.

    Raises
    ------
    SourceError
        If there is no such folder, or no image in it.
    """
    sizes = set()
    for path in image_paths(folder):
        try:
            with Image.open(folder / path) as image:
                sizes.add(frozenset(image.size))  # EXIF may turn it
        except (OSError, UnidentifiedImageError):
            continue  # opening the source tells about it
    sides = [side for size in sizes for side in size]
    whole = len(sizes) <= 1 and max(sides, default=0) <= _LARGE
    return Choice(f"folder:{folder}", None if whole else min(_PATCH, *sides))


@dataclass(frozen=True, eq=False)
class Sharp:
    """The sharp images that are shown.

    Attributes
    ----------
    source : Source
        Where they come from.
    index : ndarray
        int64: which images of the source, spread over it.
    images : ndarray
        uint8, (n, H, W, C).
    """

    source: Source
    index: NDArray[np.int64]
    images: NDArray[np.uint8]


def sharp_images(source: Source) -> Sharp:
    """Sixteen images of a source, or all that it has, evenly spread; of an endless one the first."""
    many = SHOWN if source.length is None else min(SHOWN, source.length)
    index = np.array([k if source.length is None else k * source.length // many for k in range(many)])
    return Sharp(source, index, np.concatenate([source.read(int(i), int(i) + 1) for i in index]))


def shown_rows(index: NDArray[np.int64], copies: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Which rows of the pair file are shown, and of which of the images each is made.

    Sixteen images show one copy each, in turn; fewer images show several, sixteen rows at most.

    Examples
    --------
    >>> rows, images = shown_rows(np.array([0, 5]), copies=3)
    >>> rows.tolist(), images.tolist()
    ([0, 15, 1, 16, 2, 17], [0, 1, 0, 1, 0, 1])
    """
    many = len(index)
    tiles = np.arange(min(SHOWN, many * copies))
    images = tiles % many
    copy = tiles % copies if many == SHOWN else tiles // many
    return index[images] * copies + copy, images


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pairs as `make` writes them.

    Attributes
    ----------
    rows : ndarray
        int64 (n,): which pairs of the file they are.
    sharp, blurred : ndarray
        uint8 (n, H, W, C).
    params : dict
        What was drawn, columns of shape (n,).
    psfs : ndarray or None
        float32 (n, k, k), NaN for a pair whose blur no one PSF describes; None where that is so for all.
    no_psfs : str
        Why so.
    """

    rows: NDArray[np.int64]
    sharp: NDArray[np.uint8]
    blurred: NDArray[np.uint8]
    params: Mapping[str, NDArray[Any]]
    psfs: Psfs | None
    no_psfs: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def has_psf(self, number: int) -> bool:
        """Whether one PSF describes the blur of a pair."""
        return self.psfs is not None and not np.isnan(self.psfs[number]).any()

    def drawn(self, number: int) -> list[str]:
        """What was drawn for a pair, in short words."""
        return short_params(self.params, number)

    def png(self, what: str, number: int) -> bytes:
        """A picture as PNG, pixel for pixel.

        Parameters
        ----------
        what : {"sharp", "blurred", "psf"}
            A PSF is so bright that its maximum is white.
        number : int
            Which pair.
        """
        if what == "psf":
            assert self.psfs is not None
            pixels = as_bytes(self.psfs[number])
        else:
            image = (self.sharp if what == "sharp" else self.blurred)[number]
            pixels = image[..., 0] if image.shape[2] == 1 else image
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG", compress_level=1)
        return out.getvalue()


def pictures(sharp: Sharp, recipe: Recipe, seed: int) -> Pictures:
    """The pairs that `make` writes of these images, by the same steps.

    Raises
    ------
    InputError
        If a stage cannot take such images; the message names it.
    """
    height, width, channels = sharp.images.shape[1:]
    recipe.output_shape((height, width, channels))
    rows, images = shown_rows(sharp.index, recipe.copies)
    chosen = np.ascontiguousarray(sharp.images[images])
    pairs = degrade_checked(ImagePair(chosen, chosen), recipe, seed, rows)
    psfs, no_psfs = _psfs(recipe, pairs.params, recipe.draws(seed, rows))
    return Pictures(rows, pairs.sharp, pairs.blurred, pairs.params, psfs, no_psfs)


def _psfs(recipe: Recipe, params: Mapping[str, NDArray[Any]], draws: Draws) -> tuple[Psfs | None, str]:
    """The PSFs of the pairs that one describes, or why there are none.

    `Recipe.psfs` refuses a recipe where some pair may have none; here the others are shown.
    """
    if recipe.psf_size == 1 and not without_one_psf(recipe.stages):
        return None, "None of the stages is a blur by a PSF."
    mover, _ = move_after_blur(recipe.stages)
    if mover:
        return None, f"'{mover}' follows a blur, so there is no one PSF."
    found = trimmed(composed_psfs(recipe.stages, params, draws))
    for name, column in params.items():
        if any(part in _WITHOUT for part in name.split(".")):
            found[column != -1 if column.dtype.kind in "iu" else ~np.isnan(column)] = np.nan
    if np.isnan(found).all():
        return None, f"'{without_one_psf(recipe.stages)}' does not blur by one PSF for the whole image."
    return found, ""
