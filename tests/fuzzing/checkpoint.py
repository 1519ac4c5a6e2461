"""Weights as safetensors and as PyTorch's own, and states of trainings."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save

from trainers.checkpoint import load_network, load_state
from trainers.errors import TrainerError
from trainers.models import build
from trainers.weights import read_weights

WORDS = (
    "ctorch\\x0aFloatStorage\\x0a",
    "c__builtin__\\x0abytearray\\x0a",
    "PK\\x03\\x04",
    "data.pkl",
    "data_offsets",
    "dtype",
    "shape",
    "__metadata__",
)


def seeds() -> Iterator[bytes]:
    """A tiny network in each format, with what a run says of it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build("cnn-7-5-3", 1, width=1)
    weights = network.state_dict()
    said = {"kind": "cnn-7-5-3", "channels": "1", "arguments": json.dumps({"width": 1}), "options": "lr: 0.1"}
    yield b"\0" + save(weights, said)
    yield b"\0" + save({"a": torch.zeros(2)})
    for legacy in (False, True):
        file = io.BytesIO()
        torch.save(weights, file, _use_new_zipfile_serialization=not legacy)
        yield b"\1" + file.getvalue()
        file = io.BytesIO()
        torch.save(
            {"step": 1, "network": weights, "optimizer": {"state": {}}},
            file,
            _use_new_zipfile_serialization=not legacy,
        )
        yield b"\2" + file.getvalue()


def one(data: bytes, folder: Path) -> None:
    """The first byte says what the rest is read as."""
    if data[:1] == b"\0":
        path = folder / "x.safetensors"
        path.write_bytes(data[1:])
        try:
            load_network(path)
        except TrainerError:
            read_weights(path)
        return
    path = folder / "x.pt"
    path.write_bytes(data[1:])
    load_state(path) if data[:1] == b"\2" else read_weights(path)
