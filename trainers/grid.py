"""The grid of a comparison: its trainings, and the record of those that are done."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from blurgen.pairs import PairFile, open_pairs
from trainers.checkpoint import STATE
from trainers.console import key_values
from trainers.errors import TrainerError
from trainers.files import write_text
from trainers.fit import fit
from trainers.models import build
from trainers.presets import preset_named

_RECORD = "comparison.json"
# what may differ when a comparison goes on
CHANGEABLE = ("device", "compiled", "threads")
_NUMBER = re.compile(r"[-+]?\d[\d.eE+-]*")
_RUN_BY_COMPARE = ("pairs", "model", "model_args", "lr", "run", "resume", "dry_run", "quiet")


@dataclass(frozen=True)
class Cell:
    """One training of the grid.

    Attributes
    ----------
    file, path : str
        The pair file's name in the tables, and its path.
    model : str
        The network, with its arguments: ``nafnet:width=16``.
    lr : float or None
        The first learning rate; None for the usual one.
    """

    file: str
    path: str
    model: str
    lr: float | None

    @property
    def name(self) -> str:
        """Of the run's folder."""
        rate = "" if self.lr is None else f"-{self.lr:g}"
        return _plain(f"{self.file}-{self.model}{rate}")

    @property
    def label(self) -> str:
        """In the figure and on the sheet."""
        return self.model if self.lr is None else f"{self.model}, {self.lr:g}"


def _plain(text: str) -> str:
    """A text as the name of a folder."""
    return re.sub(r"[^\w.+=-]+", "-", text)


class Record:
    """What a comparison's folder says of itself.

    Attributes
    ----------
    options : dict
        The options that all trainings share.
    files : dict
        Name in the tables → path and content's hash of each pair file.
    done : dict
        Name of each run that ended → why it ended early, or nothing.
    """

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self._path = path
        shared = {name: value for name, value in options.items() if name not in CHANGEABLE}
        self.options = json.loads(json.dumps(shared, default=str))
        self.files: dict[str, list[str]] = {}
        self.done: dict[str, str] = {}

    @classmethod
    def opened(cls, folder: Path, options: Mapping[str, Any]) -> Record:
        """That of a folder, begun where there is none.

        Raises
        ------
        TrainerError
            If the folder holds anything else, or a comparison with other options.
        """
        record = cls(folder / _RECORD, options)
        if not record._path.is_file():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise TrainerError(f"'{folder}' exists and is no comparison: name another folder (--out)")
            return record
        try:
            said = json.loads(record._path.read_text(encoding="utf-8"))
            before, files, done = dict(said["options"]), dict(said["files"]), dict(said["done"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainerError(f"'{record._path}' cannot be read: {error}") from None
        if not any((folder / "runs").glob(f"*/{STATE}")):
            return record  # nothing was begun with these options
        record.files, record.done = files, done
        differ = [
            name
            for name in sorted(before.keys() | record.options.keys())
            if before.get(name) != record.options.get(name)
        ]
        if differ:
            name = differ[0]
            raise TrainerError(
                f"'{folder}' was compared with {name} {before.get(name, 'as usual')}, not "
                f"{record.options.get(name, 'as usual')}: name another folder (--out)"
            )
        return record

    def label(self, pairs: PairFile) -> str:
        """The name of a file in the tables: its own, with a number where another has it."""
        sha256 = _identity(pairs)
        for known, (path, before) in self.files.items():
            if path == str(pairs.path):
                if before != sha256:
                    raise TrainerError(
                        f"'{path}' has changed since it was compared: name another folder (--out)"
                    )
                return known
        name, number = pairs.path.stem, 1
        taken = {_plain(known) for known in self.files}  # runs are told apart by it
        while _plain(name) in taken:
            number += 1
            name = f"{pairs.path.stem}-{number}"
        self.files[name] = [str(pairs.path), sha256]
        return name

    def ended(self, run: str, note: str) -> None:
        """A run ended."""
        self.done[run] = note
        self.save()

    def save(self) -> None:
        """Write it."""
        said = {"options": self.options, "files": self.files, "done": self.done}
        write_text(self._path, json.dumps(said, indent=2, ensure_ascii=False) + "\n")


def _identity(pairs: PairFile) -> str:
    """Of what fixes a file's content."""
    text = json.dumps(pairs.header.attributes(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def grid(
    pairs: Sequence[str | os.PathLike[str]],
    models: Sequence[str],
    rates: Sequence[float],
    record: Record,
    gray: bool = False,
) -> list[Cell]:
    """Every training, each checked before the first begins; if `gray`, on the mean of the channels.

    Raises
    ------
    TrainerError, BlurgenError
        If a file cannot be read, or a network does not fit its images.
    """
    if not pairs or not models:
        raise TrainerError("a comparison needs a file of pairs and a network at least")
    for rate in rates:
        if not (math.isfinite(rate) and rate > 0):
            raise TrainerError(f"learning rate {rate:g}: a number above 0 is needed")
    wanted: Sequence[float | None] = rates or (None,)
    cells: list[Cell] = []
    for path in pairs:
        opened = open_pairs(path)
        if not len(opened):
            raise TrainerError(f"pair file '{path}' holds no pairs")
        label = record.label(opened)
        for model in models:
            name, arguments = parsed_model(model)
            with torch.device("meta"):  # a check only
                build(name, 1 if gray else opened.header.shape[2], **arguments)
            cells += [Cell(label, str(opened.path), model, rate) for rate in wanted]
    return list({cell.name: cell for cell in cells}.values())  # each once


def named_models(text: str) -> list[str]:
    """``"cnn-7-5-3,nafnet:encoder=1,1"`` as two: a comma before a number belongs to a value."""
    models: list[str] = []
    for part in filter(None, map(str.strip, text.split(","))):
        if models and "=" in models[-1] and _NUMBER.fullmatch(part.split(":")[0]):
            models[-1] += f",{part}"
        else:
            models.append(part)
    return models


def parsed_model(text: str) -> tuple[str, dict[str, Any]]:
    """``"nafnet:width=16"`` as its name and arguments."""
    name, *pairs = text.split(":")
    return name, key_values("--models", pairs)


def check_options(options: Mapping[str, Any]) -> None:
    """See that `trainers.fit.fit` takes such options, and that they leave the grid alone.

    Raises
    ------
    TrainerError
        If not.
    """
    known = set(inspect.signature(fit).parameters) - set(_RUN_BY_COMPARE)
    odd = sorted(options.keys() - known)
    if odd:
        raise TrainerError(f"compare takes no option '{odd[0]}'; it takes those of fit")
    if "preset" in options:
        preset_named(options["preset"])
