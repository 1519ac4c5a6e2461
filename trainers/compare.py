"""Compare networks: ``python -m trainers.compare a.h5 b.h5 --models x,y --lr 1e-4,1e-3``."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from blurgen.pairs import open_pairs
from blurgen.style import INK, PAPER, check_form, figure, literally, look, series
from trainers.checkpoint import STATE, load_network
from trainers.console import Imports, StopError, command, say
from trainers.console import run as run_command
from trainers.errors import FailedTrainingError, TrainerError
from trainers.files import write_text, written
from trainers.fit import fit
from trainers.grid import CHANGEABLE, Cell, Record, check_options, grid, named_models, parsed_model
from trainers.models import count_parameters
from trainers.plots import FEW, save, sheet
from trainers.rows import levels
from trainers.runs import read_metrics, read_nothing
from trainers.tables import markdown, write_csv
from trainers.unseen import unseen_rows

_SAMPLES = 8
_TITLE = 18
_COLUMNS = (
    "file",
    "model",
    "lr",
    "parameters",
    "epochs",
    "best epoch",
    "PSNR before",
    "PSNR",
    "gain",
    "SSIM",
    "loss",
    "val_loss",
    "minutes",
    "images_per_second",
    "note",
)


@dataclass(frozen=True)
class Result:
    """What came of a training.

    Attributes
    ----------
    cell : Cell
        Which.
    run : Path
        Its folder.
    metrics : list of dict
        The rows of its ``metrics.csv``.
    parameters : int
        Of its network.
    before : float
        The PSNR of doing nothing, in dB.
    note : str
        Why it ended early, or nothing.
    """

    cell: Cell
    run: Path
    metrics: list[dict[str, float]]
    parameters: int
    before: float
    note: str = ""

    @property
    def best(self) -> dict[str, float] | None:
        """The epoch of the highest PSNR."""
        return max(self.metrics, key=lambda row: row["psnr"], default=None)


def compare(
    pairs: Sequence[str | os.PathLike[str]],
    *,
    models: Sequence[str],
    lr: Sequence[float] = (),
    out: str | os.PathLike[str] = "comparison",
    figures: str = "png",
    quiet: bool = True,
    **options: Any,
) -> list[Result]:
    """Train every network on every file with every learning rate, and compare them.

    What is there already is not done again: an interrupted comparison goes on where it stopped, and files,
    networks and rates may be added; tables and pictures show what was asked for last. A training whose loss
    becomes infinite is noted, and the others go on.

    Parameters
    ----------
    pairs : sequence of path-like
        Files of pairs.
    models : sequence of str
        Networks, with arguments where wanted: ``"nafnet:width=16:middle=2"``.
    lr : sequence of float
        First learning rates; none for that of the preset, or the usual one.
    out : path-like
        The folder. It gets ``table.md``, ``table.csv``, ``losses`` with all held-out loss curves as a
        figure, ``samples.png`` with all results on the same images, and the runs.
    figures : {"png", "svg", "pdf"}
        The format of ``losses``.
    quiet : bool
        Say nothing.
    **options
        Any other options of `trainers.fit.fit`, the same for all.

    Returns
    -------
    list of Result
        One for each training, by file, network and rate.

    Raises
    ------
    TrainerError, BlurgenError
        With one sentence that says what is wrong; also where no training at all went through.
    StopError
        If Ctrl-C asked to stop.
    """
    check_options(options)
    check_form(figures)
    folder = Path(out)
    record = Record.opened(folder, options)
    cells = grid(pairs, models, lr, record, gray=bool(options.get("gray")))
    record.save()
    results, errors = [], []
    for number, cell in enumerate(cells, 1):
        run = folder / "runs" / cell.name
        if cell.name not in record.done:
            if not quiet:
                say(f"\n{number} of {len(cells)}: {cell.file}, {cell.label}")
            try:
                _fit(cell, run, options, quiet)
                record.ended(cell.name, "")
            except StopError as error:
                raise StopError(f"{error}; the same comparison goes on from there") from None
            except FailedTrainingError as error:
                if not (run / STATE).is_file():
                    raise  # it did not even begin
                record.ended(cell.name, str(error))
                errors.append(str(error))
        results.append(_result(cell, run, record.done[cell.name]))
        _write(folder, results, figures)
    if not any(result.metrics for result in results):
        raise TrainerError(errors[0] if errors else f"no training in '{folder}' went through an epoch")
    _sheet(folder, results)
    if not quiet:
        say(f"\n{_table(results)}\ntable, curves, sheet and runs: {folder}")
    return results


def _fit(cell: Cell, run: Path, options: Mapping[str, Any], quiet: bool) -> None:
    if (run / STATE).is_file():
        changed = {name: value for name, value in options.items() if name in CHANGEABLE}
        fit(run=run, resume=True, quiet=quiet, **changed)
        return
    shutil.rmtree(run, ignore_errors=True)  # it had not begun
    name, arguments = parsed_model(cell.model)
    fit(cell.path, model=name, model_args=arguments or None, lr=cell.lr, run=run, quiet=quiet, **options)


# ---- what came of it ----


def _result(cell: Cell, run: Path, note: str) -> Result:
    metrics = read_metrics(run)
    network, _ = load_network(run)
    return Result(cell, run, metrics, count_parameters(network), read_nothing(run), note)


def _row(result: Result) -> list[str | int | float | None]:
    best = result.best or {}
    return [
        result.cell.file,
        result.cell.model,
        None if result.cell.lr is None else float(result.cell.lr),
        result.parameters,
        len(result.metrics),
        int(best["epoch"]) if best else None,
        result.before,
        best.get("psnr"),
        best.get("gain"),
        best.get("ssim"),
        best.get("loss"),
        best.get("val_loss"),
        sum(row["seconds"] for row in result.metrics) / 60 if best else None,
        best.get("images_per_second"),
        result.note,
    ]


def _table(results: Sequence[Result]) -> str:
    """Markdown; the best of each file is set in bold."""
    best_of: dict[str, float] = {}
    for result in results:
        if result.best:
            known = best_of.get(result.cell.file, -math.inf)
            best_of[result.cell.file] = max(known, result.best["psnr"])
    forms = {"lr": "{:g}", "parameters": "{:,}", "PSNR before": "{:.2f}", "PSNR": "{:.2f}", "gain": "{:+.2f}"}
    forms |= {
        "SSIM": "{:.4f}",
        "loss": "{:.5g}",
        "val_loss": "{:.5g}",
        "minutes": "{:.1f}",
        "images_per_second": "{:,.0f}",
    }
    lines = []
    for result in results:
        cells = [
            "" if cell is None else forms.get(column, "{}").format(cell)
            for column, cell in zip(_COLUMNS, _row(result), strict=True)
        ]
        if result.best and result.best["psnr"] == best_of[result.cell.file]:
            place = _COLUMNS.index("PSNR")
            cells[place] = f"**{cells[place]}**"
        lines.append(cells)
    headings = [column.replace("val_loss", "held-out loss").replace("_per_", "/") for column in _COLUMNS]
    kept = [i for i in range(len(headings)) if any(line[i] for line in lines)]  # nothing stands in the others
    return markdown([headings[i] for i in kept], [[line[i] for i in kept] for line in lines], left=2)


def _write(folder: Path, results: Sequence[Result], figures: str) -> None:
    text = (
        "Scores are those of each training's best epoch, by the PSNR on its held-out pairs, in dB;\n"
        "the best of each file is bold. Minutes are those of training, without judging.\n\n"
    )
    write_text(folder / "table.md", text + _table(results))
    write_csv(folder / "table.csv", _COLUMNS, [_row(result) for result in results])
    if any(result.metrics for result in results):
        _curves(folder / f"losses.{figures}", results)


@look()
def _curves(path: Path, results: Sequence[Result]) -> None:
    """The held-out loss by epoch, one panel for each file, one line for each training."""
    files = list(dict.fromkeys(result.cell.file for result in results))
    labels = list(dict.fromkeys(result.cell.label for result in results))
    across = min(3, len(files))
    down = -(-len(files) // across)
    made = figure(max(6.0, 4.6 * across), 0.8 + 3.6 * down)
    panels = made.subplots(down, across, squeeze=False, sharey=True).ravel()
    lines: dict[str, Any] = {}
    for panel, file in zip(panels, files, strict=False):
        for result in results:
            if result.cell.file != file or not result.metrics:
                continue
            epochs = [row["epoch"] for row in result.metrics]
            values = [row["val_loss"] for row in result.metrics]
            line = series(labels.index(result.cell.label), marked=len(epochs) < FEW)
            (lines[result.cell.label],) = panel.plot(epochs, values, **line)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.set_title(literally(file))
        panel.set_xlabel("epoch")
    losses = [row["val_loss"] for result in results for row in result.metrics]
    if min(losses) > 0:
        panels[0].set_yscale("log")
    for panel in panels[len(files) :]:
        panel.remove()
    for row in range(down):
        panels[row * across].set_ylabel("held-out loss")
    longest = max(map(len, lines))
    columns = max(
        1, min(len(lines), int(made.get_figwidth() * 10 / (longest + 6)))
    )  # about 10 letters an inch
    made.legend(lines.values(), map(literally, lines), loc="outside lower center", ncols=columns)
    save(made, path)


def _sheet(folder: Path, results: Sequence[Result]) -> None:
    """What every network makes of the same held-out images, one part for each file."""
    pages = []
    for file in dict.fromkeys(result.cell.file for result in results):
        own = [result for result in results if result.cell.file == file and result.metrics]
        if own:
            pages.append((file, sheet(_samples(own))))
    font = ImageFont.load_default(_TITLE)
    head = 2 * _TITLE
    whole = Image.new(
        "RGB", (max(page.width for _, page in pages), sum(page.height + head for _, page in pages)), PAPER
    )
    draw = ImageDraw.Draw(whole)
    top = 0
    for file, page in pages:
        draw.text((16, top + head - 6), file, INK, font, anchor="ls")
        whole.paste(page, (0, top + head))
        top += page.height + head
    written(folder / "samples.png", lambda partial: whole.save(partial, "PNG"))


def _samples(results: Sequence[Result]) -> dict[str, NDArray[Any]]:
    pairs = open_pairs(results[0].cell.path)
    _, options = load_network(results[0].run)
    held_out, _ = unseen_rows(results[0].run, options, pairs)
    count = min(_SAMPLES, len(held_out))
    rows = held_out[np.unique(np.linspace(0, len(held_out) - 1, count).round().astype(np.int64))]
    blurred, sharp = (
        images.transpose(0, 3, 1, 2).astype(np.float32) / 255 for images in levels(pairs, rows, options.gray)
    )
    made = {"blurred": blurred}
    for result in results:
        network, _ = load_network(result.run)
        with torch.no_grad():
            restored = [network.restore(torch.from_numpy(image[None])).numpy() for image in blurred]
        made[result.cell.label] = np.concatenate(restored)
    return {**made, "sharp": sharp}


# ---- command ----

app = command("compare", "Train networks on files of pairs, and compare them.")


@app.command(
    epilog="Example: python -m trainers.compare a.h5 b.h5 --models srcnn-9-1-5,nafnet --lr 1e-4,1e-3"
)
def _command(
    pairs: Annotated[list[Path], typer.Argument(help="Files of pairs.", show_default=False)],
    models: Annotated[
        list[str],
        typer.Option("--models", "-m", help="Networks: NAME,NAME or NAME:ARGUMENT=VALUE; may be repeated."),
    ],
    lr: Annotated[str | None, typer.Option(help="Learning rates: 1e-4,1e-3.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder.")] = Path("comparison"),
    preset: Annotated[str | None, typer.Option(help="Settings of a published training.")] = None,
    loss: Annotated[str | None, typer.Option(help="mse, mae, bce, charbonnier or psnr.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam, adamw or sgd.")] = None,
    schedule: Annotated[str | None, typer.Option(help="constant, staircase or cosine.")] = None,
    epochs: Annotated[int | None, typer.Option(help="How long each.")] = None,
    steps: Annotated[int | None, typer.Option(help="How long each, in steps.")] = None,
    epoch_steps: Annotated[int | None, typer.Option(help="Steps of an epoch.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs of a step.")] = None,
    crop: Annotated[int | None, typer.Option(help="Side of random squares to train with.")] = None,
    augment: Annotated[bool | None, typer.Option("--augment/--no-augment", help="Flip and turn.")] = None,
    gray: Annotated[
        bool | None, typer.Option("--gray", help="Take the mean of the channels, for networks of one.")
    ] = None,
    val_fraction: Annotated[float | None, typer.Option(help="Share of the images held out.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    compiled: Annotated[bool | None, typer.Option("--compile", help="Compile the networks.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Fixes all that is random.")] = None,
    figures: Annotated[str, typer.Option(help="The format of the curves: png, svg or pdf.")] = "png",
    imports: Imports = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    given = {
        "preset": preset,
        "loss": loss,
        "optimizer": optimizer,
        "schedule": schedule,
        "epochs": epochs,
        "steps": steps,
        "epoch_steps": epoch_steps,
        "batch_size": batch_size,
        "crop": crop,
        "augment": augment,
        "gray": gray,
        "val_fraction": val_fraction,
        "precision": precision,
        "compiled": compiled,
        "device": device,
        "seed": seed,
    }
    compare(
        pairs,
        models=[name for names in models for name in named_models(names)],
        lr=_rates(lr),
        out=out,
        figures=figures,
        quiet=quiet,
        **{name: value for name, value in given.items() if value is not None},
    )


def _rates(text: str | None) -> list[float]:
    try:
        return [float(part) for part in (text or "").split(",") if part.strip()]
    except ValueError:
        raise TrainerError(f"--lr {text!r}: numbers with commas between them are needed") from None


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for an error that was said, 2 for wrong usage."""
    return run_command(app, "compare", argv)


if __name__ == "__main__":
    sys.exit(main())
