"""Draw the curves of trainings: ``python -m trainers.curves runs/NAME --out curves.pdf``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from blurgen.style import figure, form_of, look
from trainers.console import command, say
from trainers.console import run as run_command
from trainers.errors import TrainerError
from trainers.options import Options
from trainers.plots import Curve, curves_on, loss_label, save
from trainers.runs import read_metrics, read_nothing


@look()
def draw_curves(runs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Path:
    """Draw loss and PSNR against the epoch, of one run or of several.

    Parameters
    ----------
    runs : sequence of path-like
        Folders of runs. Of several, the held-out loss and the PSNR of each are drawn; of one the loss in
        training, too, and the PSNR of doing nothing.
    out : path-like
        The file: NAME.png, .svg or .pdf.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    TrainerError, BlurgenError
        With one sentence that says what is wrong.
    """
    path = Path(out)
    form_of(path)
    if not runs:
        raise TrainerError("no run is given; at least one is needed")
    folders = list(dict.fromkeys(Path(run) for run in runs))
    metrics = [read_metrics(folder) for folder in folders]
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    for folder, rows in zip(folders, metrics, strict=True):
        if not rows:
            raise TrainerError(f"run '{folder}' has no epoch yet")
    losses = {name: _curve(rows, "val_loss") for name, rows in zip(names, metrics, strict=True)}
    psnrs = {name: _curve(rows, "psnr") for name, rows in zip(names, metrics, strict=True)}
    level = None
    if len(folders) == 1:
        losses = {"training": _curve(metrics[0], "loss"), "held out": _curve(metrics[0], "val_loss")}
        psnrs = {"held out": psnrs[names[0]]}
        level = ("doing nothing", read_nothing(folders[0]))
    made = figure(9.0, 3.6)
    left, right = made.subplots(1, 2)
    curves_on(left, losses, x="epoch", y=loss_label(*_losses(folders)), log=True)
    curves_on(right, psnrs, x="epoch", y="PSNR / dB", level=level)
    for axes in (left, right):
        axes.legend()
    save(made, path)
    return path


def _curve(rows: Sequence[dict[str, float]], column: str) -> Curve:
    return [row["epoch"] for row in rows], [row[column] for row in rows]


def _losses(folders: Sequence[Path]) -> list[str]:
    """The losses' names, as the runs' options have them."""
    return list(dict.fromkeys(Options.read(folder / "options.yaml").loss for folder in folders))


# ---- command ----

app = command("curves", "Draw the curves of trainings.")


@app.command(epilog="Example: python -m trainers.curves runs/a runs/b --out curves.pdf")
def _command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write: NAME.png, .svg or .pdf.")],
) -> None:
    several = len(set(runs))
    say(f"{draw_curves(runs, out)}: {several} run{'s' if several != 1 else ''}")


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for an error that was said, 2 for wrong usage."""
    return run_command(app, "curves", argv)


if __name__ == "__main__":
    sys.exit(main())
