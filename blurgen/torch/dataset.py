"""Pair files as a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from blurgen.pairs.reader import PairFile

Transform = Callable[[Tensor, Tensor], Any]


class PairDataset(Dataset):  # type: ignore[misc]
    """The pairs of a file, for any ``DataLoader``: blurred first, as networks take them.

    Each process opens the file by itself when it first reads from it, so that workers may be forked, spawned,
    or come from a fork server, and there may be any number of them.

    Parameters
    ----------
    path : path-like
        A pair file.
    transform : callable, optional
        Called as ``transform(blurred, sharp)``; what it returns takes the place of the two tensors.
    params : bool
        Whether items also hold the drawn parameters.

    Attributes
    ----------
    pairs : PairFile
        The file: its recipe, seed, labels and more.

    Raises
    ------
    FileError
        If the file is missing, damaged, no pair file, or of a newer format.

    Notes
    -----
    An item is ``(blurred, sharp)``: uint8 tensors of shape (C, H, W), contiguous, 0 … 255. With `params` it
    is ``(blurred, sharp, params)``, a dict from ``place.stage.parameter`` to float or int; with a transform,
    what that returns stands for the tensors. PyTorch's default collation makes batches of all of these.

    Examples
    --------
    >>> import blurgen, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pairs.h5"
    >>> _ = blurgen.make("digits", path, "mnist-motion", count=12)
    >>> blurred, sharp = PairDataset(path)[0]
    >>> blurred.shape, blurred.dtype
    (torch.Size([1, 28, 28]), torch.uint8)
    """

    def __init__(
        self, path: str | os.PathLike[str], transform: Transform | None = None, *, params: bool = False
    ) -> None:
        self.pairs = PairFile(path)
        self._transform = transform
        self._with_params = params

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        return self._item(
            channels_first(self.pairs.blurred[index]), channels_first(self.pairs.sharp[index]), index
        )

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The items of a batch, as a ``DataLoader`` asks for them: read together, in the file's order."""
        wanted = np.asarray(indices, np.int64)
        wrong = (wanted < -len(self)) | (wanted >= len(self))
        if wrong.any():
            raise IndexError(f"pair {wanted[wrong][0]} of {len(self)}")
        places, order = np.unique(wanted % len(self), return_inverse=True)
        # an index that comes twice makes two items
        blurred, sharp = (
            channels_first(images[places][order]) for images in (self.pairs.blurred, self.pairs.sharp)
        )
        return [self._item(b, s, int(n)) for b, s, n in zip(blurred, sharp, wanted, strict=True)]

    def _item(self, blurred: Tensor, sharp: Tensor, index: int) -> Any:
        item = (blurred, sharp) if self._transform is None else self._transform(blurred, sharp)
        if not self._with_params:
            return item
        params = {name: column[index].item() for name, column in self.pairs.params.items()}
        return (*item, params) if isinstance(item, tuple) else (item, params)

    def __repr__(self) -> str:
        return f"PairDataset({self.pairs!r})"


def channels_first(images: NDArray[np.uint8]) -> Tensor:
    """A tensor (…, C, H, W) of its own from images (…, H, W, C)."""
    return torch.from_numpy(np.array(np.moveaxis(images, -1, -3), order="C"))
