"""PyTorch's own files (``.pt``, ``.pth``): a look at what they would build, before PyTorch reads them."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from blurgen.untrusted.bounds import RefusedError

# What weights and states are made of. PyTorch itself allows more, such as bytearray, which any number fills.
_ALLOWED = {
    "collections OrderedDict",
    "torch Size",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor_v2",
}
_PICKLES_BEFORE_1_6 = 5  # magic number, version, system, the object, and the names of its storages


def check_torch_file(path: Path) -> None:
    """See that a file holds but tensors and plain values, and not more of them than its own bytes.

    Raises
    ------
    RefusedError
        If it names anything else, or is compressed (PyTorch never compresses).
    ValueError, OSError, zipfile.BadZipFile
        If it is damaged.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(_PICKLES_BEFORE_1_6):
                _check_names(file)
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise RefusedError("it is compressed, which PyTorch's files never are")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise RefusedError("its parts are longer than the whole")
        for member in members:
            if member.filename.endswith(".pkl"):
                with archive.open(member) as file:
                    _check_names(file)


def check_tensors(value: Any) -> None:
    """See that each tensor of lists and mappings has as many numbers in memory as its shape says.

    Raises
    ------
    RefusedError
        If one repeats few numbers many times, which any use of it would write out; or it has another layout.
    """
    for tensor in _tensors(value):
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise RefusedError("a tensor is no plain array of numbers")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise RefusedError(f"a tensor of {tensor.numel()} numbers has not as many in the file")


def _tensors(value: Any) -> Iterator[Tensor]:
    waiting, seen = [value], set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each


def _check_names(file: IO[bytes]) -> None:
    """Look through one pickle, which is not unpickled."""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "GLOBAL" and argument not in _ALLOWED and not _is_plain(str(argument)):
            raise RefusedError(f"it names {argument}, and holds more than tensors")


def _is_plain(name: str) -> bool:
    """Whether a name is that of a kind of numbers, or of a storage of them."""
    module, _, kind = name.partition(" ")
    return module == "torch" and (
        kind.endswith("Storage") or isinstance(getattr(torch, kind, None), torch.dtype)
    )
