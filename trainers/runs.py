"""The folder of a run."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from blurgen.untrusted.bounds import read_at_most
from blurgen.untrusted.documents import MOST_CHARACTERS, parse_json
from trainers.checkpoint import STATE, arguments_json, save_state, save_weights
from trainers.errors import FailedTrainingError, TrainerError
from trainers.files import write_text, written
from trainers.loop import Epoch, Scores, State
from trainers.models import Network
from trainers.options import Options
from trainers.plots import curves, loss_label, sheet

COLUMNS = (
    "epoch",
    "step",
    "loss",
    "val_loss",
    "psnr",
    "ssim",
    "gain",
    "seconds",
    "images_per_second",
    "data_wait",
)


class Run:
    """What a training writes: options, data, metrics, curves, sheets and checkpoints.

    Parameters
    ----------
    path : Path
        The folder.
    options : Options
        What the training was told.
    nothing : Scores
        Of the blurred images themselves.
    """

    def __init__(self, path: Path, options: Options, nothing: Scores) -> None:
        self.path, self._options, self._nothing = path, options, nothing
        self._events: Any = None
        self._rows: list[dict[str, float]] = []

    @classmethod
    def begin(
        cls,
        path: Path,
        options: Options,
        data: Mapping[str, Any],
        nothing: Scores,
        epochs: int | None = None,
    ) -> Run:
        """A new folder; or, after so many `epochs`, one that a training goes on in.

        Raises
        ------
        TrainerError
            If a new one exists and is not empty, or an old one's metrics are damaged.
        """
        run = cls(path, options, nothing)
        if epochs is None:
            check_free(path)
            path.mkdir(parents=True, exist_ok=True)
        else:
            run._rows = [row for row in read_metrics(path) if row["epoch"] <= epochs]
        run.write_options()
        said = {**data, "nothing": {"psnr": nothing.psnr, "ssim": nothing.ssim}}
        write_text(path / "data.json", json.dumps(said, indent=2, ensure_ascii=False) + "\n")
        run._write_metrics()
        return run

    def write_options(self) -> None:
        """Write ``options.yaml``."""
        write_text(self.path / "options.yaml", self._options.to_yaml())

    def record(self, epoch: Epoch) -> None:
        """Add an epoch to metrics, events and curves."""
        row = {
            "epoch": epoch.number,
            "step": epoch.step,
            "loss": epoch.loss,
            "val_loss": epoch.scores.loss,
            "psnr": epoch.scores.psnr,
            "ssim": epoch.scores.ssim,
            "gain": epoch.scores.psnr - self._nothing.psnr,
            "seconds": epoch.seconds,
            "images_per_second": epoch.images_per_second,
            "data_wait": epoch.data_wait,
        }
        self._rows.append(row)
        self._write_metrics()
        events = self._writer(epoch.step)
        for name in COLUMNS[2:]:
            events.add_scalar(name, row[name], epoch.step)
        events.flush()
        places = [row["epoch"] for row in self._rows]
        losses = {"training": "loss", "held out": "val_loss"}
        curves(
            self.path / "loss.png",
            {name: (places, [row[column] for row in self._rows]) for name, column in losses.items()},
            x="epoch",
            y=loss_label(self._options.loss),
            log=True,
        )
        curves(
            self.path / "psnr.png",
            {"held out": (places, [row["psnr"] for row in self._rows])},
            x="epoch",
            y="PSNR / dB",
            level=("doing nothing", self._nothing.psnr),
        )

    def show(self, epoch: int, blurred: Tensor, restored: Tensor, sharp: Tensor) -> None:
        """Write a sheet of samples: input, prediction, target, error."""
        given, made, wanted = (images.detach().float().cpu().numpy() for images in (blurred, restored, sharp))
        rows = {"input": given, "prediction": made, "target": wanted, "error": np.abs(made - wanted)}
        page = sheet(rows)
        written(self.path / "samples" / f"epoch-{epoch:03}.png", lambda partial: page.save(partial, "PNG"))

    def save(
        self, network: Network, optimizer: torch.optim.Optimizer, state: State, best: bool = False
    ) -> None:
        """Write the last checkpoint, and the best one where it is that.

        Raises
        ------
        FailedTrainingError
            If a weight is infinite or NaN; what was saved before stays.
        TrainerError
            If it cannot be written.
        """
        for name, value in network.state_dict().items():
            if value.is_floating_point() and not value.isfinite().all():
                raise FailedTrainingError(f"{name} became infinite or NaN; the last good checkpoint is kept")
        said = {
            "arguments": arguments_json(self._options.model_args),
            "options": self._options.to_yaml(),
            "epoch": str(state.epoch),
            "step": str(state.step),
        }
        for name in ("best", "last") if best else ("last",):
            save_weights(self.path / f"{name}.safetensors", network, **said)
        save_state(
            self.path / STATE,
            network=network.state_dict(),
            optimizer=optimizer.state_dict(),
            random=torch.get_rng_state(),
            **vars(state),
        )

    def close(self) -> None:
        """End the events."""
        if self._events is not None:
            self._events.close()

    def _writer(self, step: int) -> Any:
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(self.path), purge_step=step if len(self._rows) > 1 else None)
        return self._events

    def _write_metrics(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([_number(row[name]) for name in COLUMNS] for row in self._rows)
        write_text(self.path / "metrics.csv", text.getvalue())


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The rows of a run's ``metrics.csv``.

    Raises
    ------
    TrainerError
        If it is missing or damaged.
    """
    try:
        with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return [{name: float(row[name]) for name in COLUMNS} for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise TrainerError(f"'{run / 'metrics.csv'}' cannot be read: {error}") from None


def read_data(run: Path) -> dict[str, Any]:
    """What a run's ``data.json`` says.

    Raises
    ------
    TrainerError
        If it is missing or damaged.
    """
    try:
        said = parse_json(read_at_most(run / "data.json", MOST_CHARACTERS).decode("utf-8"))
        if not isinstance(said, dict):
            raise TypeError("a mapping is needed")
        return said
    except (OSError, ValueError, TypeError) as error:
        raise TrainerError(f"'{run / 'data.json'}' cannot be read: {error}") from None


def read_nothing(run: Path) -> float:
    """The PSNR of doing nothing that a run's ``data.json`` says, in dB.

    Raises
    ------
    TrainerError
        If it is missing or damaged.
    """
    try:
        return float(read_data(run)["nothing"]["psnr"])
    except (KeyError, TypeError, ValueError):
        raise TrainerError(f"'{run / 'data.json'}' is damaged: it lacks the PSNR of doing nothing") from None


def check_installed() -> None:
    """See that what writes runs is there.

    Raises
    ------
    TrainerError
        If a package is missing.
    """
    missing = [name for name in ("safetensors", "tensorboard", "matplotlib") if find_spec(name) is None]
    if missing:
        raise TrainerError(f"{' and '.join(missing)} must be installed: pip install 'blurgen[train]'")


def check_free(path: Path) -> None:
    """See that a run may begin in the folder.

    Raises
    ------
    TrainerError
        If something is there.
    """
    if (path / STATE).is_file():
        raise TrainerError(f"run '{path}' exists: go on with it (--resume), or name another (--run)")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise TrainerError(f"'{path}' exists, and holds no run to go on with: name another folder (--run)")


def free_name(name: str) -> Path:
    """``runs/NAME``, or the first of ``runs/NAME-2``, … that is free."""
    path, number = Path("runs") / name, 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def _number(value: float) -> str:
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e15):
        return str(int(value))
    return f"{value:.7g}"
