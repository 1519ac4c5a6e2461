"""Files of weights: read without unpickling anything."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from blurgen.untrusted.bounds import RefusedError
from trainers.errors import TrainerError
from trainers.torch_files import check_tensors, check_torch_file

_PICKLED = (".pt", ".pth")


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a file of weights: safetensors, or PyTorch's own (``.pt``, ``.pth``).

    Raises
    ------
    TrainerError
        If it cannot be read, is damaged, or holds anything but tensors: nothing is ever unpickled.
    """
    file = Path(path)
    if file.suffix not in _PICKLED:
        return _safetensors(file)[0]
    found = read_torch_file(file)
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise TrainerError(f"'{file}' holds no weights: a mapping of names to tensors is needed")
    return dict(found)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """What a file of weights says of itself; nothing, where it is PyTorch's own."""
    file = Path(path)
    return {} if file.suffix in _PICKLED else _safetensors(file)[1]


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise TrainerError(f"there is no file '{path}'")


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    _check_file(path)
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()  # it is no mapping, and does not iterate
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise TrainerError(f"'{path}' cannot be read as safetensors: {reason}") from None


def read_torch_file(path: Path) -> Any:
    """What a file of PyTorch's own holds: numbers, texts and tensors in lists and mappings.

    Raises
    ------
    TrainerError
        If there is none, it cannot be read, or holds anything else.
    """
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd about a file is said below
            check_torch_file(path)
            found = torch.load(path, map_location="cpu", weights_only=True)
            check_tensors(found)
            return found
    except RefusedError as error:
        raise TrainerError(f"'{path}' is refused: {error}") from None
    except pickle.UnpicklingError:
        raise TrainerError(
            f"'{path}' is refused: it holds more than tensors, and unpickling it could run any code"
        ) from None
    except Exception as error:  # a damaged file may end in any of them
        reason = " ".join(str(error).split())[:120]
        raise TrainerError(f"'{path}' cannot be read as PyTorch's: {reason}") from None
