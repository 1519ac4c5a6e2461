"""Judge a network: ``python -m trainers.evaluate RUN pairs.h5``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor

from blurgen.grouping import all_groups
from blurgen.known_psfs import known_psfs
from blurgen.pairs import PairFile, open_pairs
from blurgen.style import check_form
from trainers.assembly import chosen_device
from trainers.breakdown import draw, mean_of
from trainers.checkpoint import load_network
from trainers.classical import Restored, deconvolve
from trainers.console import Imports, Progress, command
from trainers.console import run as run_command
from trainers.data import Feeder
from trainers.errors import TrainerError
from trainers.files import write_text, written
from trainers.loop import autocast
from trainers.metrics import psnr, ssim
from trainers.models import Network
from trainers.options import Options
from trainers.plots import sheet
from trainers.restorer import images_at_once
from trainers.rows import FileRows, levels
from trainers.tables import markdown, write_csv
from trainers.unseen import unseen_rows

Index = NDArray[np.int64]
Numbers = NDArray[np.float64]

NOTHING = "doing nothing"
METRICS = ("PSNR", "SSIM", "MSE", "MAE")
PERCENTILES = (5, 25, 50, 75, 95)
_FORMATS = {"PSNR": "{:.2f}", "SSIM": "{:.4f}", "MSE": "{:.5f}", "MAE": "{:.4f}"}
_SAMPLES = 8
_CLASSICAL, _CLASSICAL_PIXELS = 200, 20_000_000  # they take seconds a megapixel


@dataclass
class Evaluation:
    """How a network and other methods did on a file of pairs.

    Attributes
    ----------
    pairs : PairFile
        The file.
    network : str
        The network's kind.
    rows : ndarray
        int64, shape (N,): the pairs that were taken.
    classical_rows : ndarray
        int64: those that the classical methods were tried on, as places in `rows`.
    scores : dict
        Method → metric → ndarray of shape (N,), NaN where the method was not tried; PSNR in dB.
    settings : dict
        Classical method → the setting that was chosen.
    notes : list of str
        What a reader should know.
    folder : Path
        Where the report is.
    gray : bool
        Whether images are judged by the mean of their channels, as the network takes them.
    """

    pairs: PairFile
    network: str
    rows: Index
    folder: Path
    gray: bool = False
    classical_rows: Index = field(default_factory=lambda: np.empty(0, np.int64))
    scores: dict[str, dict[str, Numbers]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def mean(self, method: str, metric: str = "PSNR") -> float:
        """The mean over the pairs that the method was tried on."""
        return float(np.nanmean(self.scores[method][metric]))

    @property
    def gain(self) -> Numbers:
        """The network's PSNR over that of doing nothing, of each pair, in dB."""
        return self.scores[self.network]["PSNR"] - self.scores[NOTHING]["PSNR"]


def evaluate(
    run: str | os.PathLike[str],
    pairs: Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str] | None = None,
    everything: bool = False,
    classical: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    figures: str = "png",
    quiet: bool = True,
) -> list[Evaluation]:
    """Judge a run's network on files of pairs, and write a report on each.

    PSNR, SSIM, MSE and MAE of every pair, means and percentiles, broken down by each parameter that the
    recipe drew, against doing nothing and against Wiener filtering and Richardson–Lucy with the known PSFs.
    Of the images that the run was trained with, only those that it held out are taken.

    Parameters
    ----------
    run : path-like
        A run's folder, of which the best weights are taken, or a file of weights.
    pairs : sequence of path-like
        The files.
    out : path-like, optional
        Folder of the reports, one folder for each file; by default ``evaluation`` in the run's.
    everything : bool
        Take images that were trained with, too.
    classical : int, optional
        The most pairs that the classical methods are tried on, evenly spread; 0 leaves them out. By default
        200, or fewer where images are large.
    batch_size : int, optional
        By default 1 to 256, by the images' size.
    device : str
        As PyTorch names it; ``auto`` takes a GPU where there is one.
    precision : {"fp32", "bf16"}
        The arithmetic of the network.
    figures : {"png", "svg", "pdf"}
        The format of ``breakdown``.
    quiet : bool
        Say nothing.

    Returns
    -------
    list of Evaluation
        One for each file. Its folder holds ``report.md``, ``scores.csv`` with every pair, ``breakdown.csv``,
        ``breakdown`` as a figure where something was drawn, and ``samples.png``.

    Raises
    ------
    TrainerError, BlurgenError
        With one sentence that says what is wrong.
    """
    if classical is not None and classical < 0:
        raise TrainerError(f"classical {classical}: 0 or more pairs are needed")
    if precision not in ("fp32", "bf16"):
        raise TrainerError(f"precision {precision!r}: fp32 or bf16 is needed")
    check_form(figures)
    place = chosen_device(device)
    network, options = load_network(run)
    network = network.to(place, memory_format=torch.channels_last)
    files = [_checked(path, run, network, options) for path in pairs]
    home = Path(out) if out is not None else _folder_of(run) / "evaluation"
    found = []
    with Progress(quiet, unit="pairs") as progress:
        for pair_file, name in zip(files, _names(files), strict=True):
            every = np.arange(len(pair_file), dtype=np.int64)
            rows, note = (every, "") if everything else unseen_rows(run, options, pair_file)
            gray = pair_file.header.shape[2] != network.channels
            done = Evaluation(pair_file, network.kind, rows, home / name, gray)
            done.notes += [note] if note else []
            done.notes += ["images are judged by the mean of their channels"] if gray else []
            _score_network(done, network, place, precision, batch_size, progress)
            restored = _score_classical(done, classical, progress)
            progress.end()
            _write(done, run, _samples(done, network, place, precision, restored), figures)
            for line in _summary(done):
                progress.say(line)
            found.append(done)
    return found


# ---- scores ----


def _score_network(
    done: Evaluation,
    network: Network,
    device: torch.device,
    precision: str,
    batch_size: int | None,
    progress: Progress,
) -> None:
    height, width, _ = done.pairs.header.shape
    size = batch_size or images_at_once(network, height, width)
    feeder = Feeder(
        FileRows(done.pairs), done.rows, batch_size=size, device=device, shuffle=False, gray=done.gray
    )
    progress.begin(done.pairs.path.name, len(done.rows))
    before, after = [], []
    count = 0
    for blurred, sharp in feeder:
        restored = _restored(network, blurred, device, precision)
        before.append(_scores(blurred, sharp))
        after.append(_scores(restored, sharp))
        count += len(sharp)
        progress.reached(count)
    feeder.close()
    for method, parts in ((NOTHING, before), (network.kind, after)):
        done.scores[method] = dict(zip(METRICS, np.concatenate(parts, axis=1), strict=True))
    if not np.isfinite(done.scores[network.kind]["PSNR"]).all():
        raise TrainerError(
            f"network '{network.kind}' gives values that are not finite on '{done.pairs.path}'"
        )


def _restored(network: Network, blurred: Tensor, device: torch.device, precision: str) -> Tensor:
    with torch.no_grad(), autocast(device, precision):
        return network.restore(blurred).float()


def _scores(restored: Tensor, sharp: Tensor) -> Numbers:
    """One row for each metric."""
    difference = (restored - sharp).flatten(1)
    found = torch.stack(
        [
            psnr(restored, sharp),
            ssim(restored, sharp),
            difference.square().mean(1),
            difference.abs().mean(1),
        ]
    )
    numbers: Numbers = found.cpu().numpy().astype(np.float64)
    return numbers


def _score_classical(done: Evaluation, most: int | None, progress: Progress) -> list[Restored]:
    if most is None:
        height, width, _ = done.pairs.header.shape
        most = min(_CLASSICAL, max(_SAMPLES, _CLASSICAL_PIXELS // (height * width)))
    count = min(most, len(done.rows))
    if not count:
        return []
    places = np.linspace(0, len(done.rows) - 1, count).round().astype(np.int64)
    psfs, reason = known_psfs(done.pairs, done.rows[places])
    if psfs is None:
        done.notes.append(f"no classical methods: {reason}")
        return []
    blurred, sharp = levels(done.pairs, done.rows[places], done.gray)
    progress.begin("classical methods", 2 * count)
    results = deconvolve(blurred, sharp, psfs, step=progress.reached)
    done.classical_rows = places
    target = _tensor(sharp)
    for result in results:
        numbers = _scores(torch.from_numpy(result.images).permute(0, 3, 1, 2), target)
        full = np.full((len(METRICS), len(done.rows)), np.nan)
        full[:, places] = numbers
        done.scores[result.method] = dict(zip(METRICS, full, strict=True))
        done.settings[result.method] = result.setting
    return results


def _tensor(images: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255


# ---- what is written and said ----


def _write(
    done: Evaluation, run: str | os.PathLike[str], samples: Mapping[str, NDArray[Any]], figures: str
) -> None:
    params = {name: np.asarray(column[done.rows]) for name, column in done.pairs.params.items()}
    by_parameter = all_groups(params)
    tables = [f"# {done.network} on {done.pairs.path.name}\n\n"]
    tables.append(f"Weights: {run}. {len(done.rows):,} pairs of recipe {done.pairs.recipe.name}, seed ")
    tables.append(f"{done.pairs.seed}. PSNR in dB, peak 1; SSIM by Wang et al. 2004.\n")
    tables += [f"\n{note[0].upper()}{note[1:]}.\n" for note in done.notes]
    tables.append(f"\n## All {len(done.rows):,} pairs\n\n{_overview(done)}")
    if done.settings:
        settings = ", ".join(f"{method} with {setting}" for method, setting in done.settings.items())
        tables.append(
            "\n## Against classical methods with the known PSF\n\n"
            f"{len(done.classical_rows):,} of the pairs; {settings}, the best of those tried.\n\n"
            f"{_comparison(done)}"
        )
    headings, rows = _breakdown(done, by_parameter)
    if by_parameter:
        tables.append("\n## By what was drawn\n\nMean PSNR of each group, and the gain over doing nothing.\n")
    for parameter in by_parameter:
        own = [_cells(headings, row) for row in rows if row[0] == parameter]
        tables.append(f"\n{markdown([parameter, *headings[2:]], own)}")
    write_text(done.folder / "report.md", "".join(tables))
    write_csv(done.folder / "breakdown.csv", headings, rows)
    columns = [f"{method} {metric}" for method in done.scores for metric in METRICS]
    every = [done.scores[method][metric] for method in done.scores for metric in METRICS]
    write_csv(
        done.folder / "scores.csv",
        ["pair", *columns, *params],
        zip(*(column.tolist() for column in (done.rows, *every, *params.values())), strict=True),
    )
    if by_parameter:
        curves = {method: metrics["PSNR"] for method, metrics in done.scores.items()}
        title = f"{done.network} on {done.pairs.path.name}"
        draw(done.folder / f"breakdown.{figures}", by_parameter, curves, title)
    page = sheet(samples)
    written(done.folder / "samples.png", lambda partial: page.save(partial, "PNG"))


def _overview(done: Evaluation) -> str:
    """Means and percentiles over all pairs."""
    rows = []
    for metric in METRICS:
        for method in (NOTHING, done.network):
            values = done.scores[method][metric]
            numbers = (values.mean(), *np.percentile(values, PERCENTILES))
            rows.append([metric, method, *(_FORMATS[metric].format(number) for number in numbers)])
    gains = (done.gain.mean(), *np.percentile(done.gain, PERCENTILES))
    rows.append(["gain", done.network, *(f"{number:+.2f}" for number in gains)])
    table = markdown(["", "", "mean", *(f"{p} %" for p in PERCENTILES)], rows, left=2)
    return f"{table}\n{100 * np.mean(done.gain > 0):.1f} % of the pairs have a higher PSNR than before.\n"


def _comparison(done: Evaluation) -> str:
    """Means over the pairs that all methods were tried on."""
    rows = []
    for method, scores in done.scores.items():
        means = {metric: scores[metric][done.classical_rows].mean() for metric in METRICS}
        rows.append([method, *(_FORMATS[metric].format(mean) for metric, mean in means.items())])
    return markdown(["", *METRICS], rows)


def _breakdown(
    done: Evaluation, by_parameter: Mapping[str, Sequence[Any]]
) -> tuple[list[str], list[list[str | int | float]]]:
    others = [method for method in done.scores if method not in (NOTHING, done.network)]
    headings = ["parameter", "value", "pairs", NOTHING, done.network, "gain", "SSIM before", "SSIM", *others]
    rows: list[list[str | int | float]] = []
    before, after = done.scores[NOTHING], done.scores[done.network]
    for parameter, groups in by_parameter.items():
        for group in groups:
            row: list[str | int | float] = [parameter, group.label, len(group.rows)]
            means = [before["PSNR"], after["PSNR"], done.gain, before["SSIM"], after["SSIM"]]
            means += [done.scores[method]["PSNR"] for method in others]
            rows.append(row + [mean_of(values, group) for values in means])
    return headings, rows


def _cells(headings: Sequence[str], row: Sequence[str | int | float]) -> list[str]:
    """A group's row as text, without the parameter's name."""
    cells = []
    for heading, cell in list(zip(headings, row, strict=True))[1:]:
        if isinstance(cell, float):
            form = "{:.4f}" if "SSIM" in heading else "{:+.2f}" if heading == "gain" else "{:.2f}"
            cells.append("" if np.isnan(cell) else form.format(cell))
        else:
            cells.append(f"{cell:,}" if isinstance(cell, int) else cell)
    return cells


def _samples(
    done: Evaluation,
    network: Network,
    device: torch.device,
    precision: str,
    restored: Sequence[Restored],
) -> dict[str, NDArray[Any]]:
    """Pairs from the one that gained least to the one that gained most."""
    among = done.classical_rows if len(done.classical_rows) else np.arange(len(done.rows))
    order = np.argsort(done.gain[among], kind="stable")
    picked = order[np.unique(np.linspace(0, len(order) - 1, _SAMPLES).round().astype(np.int64))]
    rows = done.rows[among[picked]]
    blurred, sharp = (_tensor(images) for images in levels(done.pairs, rows, done.gray))
    made = torch.cat([_restored(network, one[None].to(device), device, precision).cpu() for one in blurred])
    # the sheet's font has no dash
    classical = {r.method.replace("–", "-"): r.images[picked].transpose(0, 3, 1, 2) for r in restored}
    return {"blurred": blurred.numpy(), **classical, done.network: made.numpy(), "sharp": sharp.numpy()}


def _summary(done: Evaluation) -> Iterator[str]:
    yield from (f"{note}" for note in done.notes)
    yield f"{done.pairs.path.name}: {len(done.rows):,} pairs, {done.network}"
    yield _overview(done).rstrip()
    if done.settings:
        yield f"against classical methods with the known PSF, on {len(done.classical_rows):,} of them:"
        yield _comparison(done).rstrip()
    yield f"report, tables and pictures: {done.folder}"


# ---- what is given ----


def _checked(
    path: str | os.PathLike[str], run: str | os.PathLike[str], network: Network, options: Options
) -> PairFile:
    pairs = open_pairs(path)
    if not len(pairs):
        raise TrainerError(f"pair file '{path}' holds no pairs")
    channels = pairs.header.shape[2]
    if channels != network.channels and not options.gray:
        raise TrainerError(
            f"network '{network.kind}' of '{run}' takes images of {network.channels} "
            f"channel{'s' if network.channels != 1 else ''}, those of '{path}' have {channels}"
        )
    return pairs


def _folder_of(run: str | os.PathLike[str]) -> Path:
    return Path(run) if Path(run).is_dir() else Path(run).parent


def _names(files: Sequence[PairFile]) -> list[str]:
    """A folder's name for each file: the file's, with a number where it was taken."""
    names: list[str] = []
    for pairs in files:
        name, number = pairs.path.stem, 1
        while name in names:
            number += 1
            name = f"{pairs.path.stem}-{number}"
        names.append(name)
    return names


# ---- command ----

app = command("evaluate", "Judge a network on files of pairs.")


@app.command(epilog="Example: python -m trainers.evaluate runs/cnn-7-5-3-pairs pairs.h5")
def _command(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a file of weights.", show_default=False)],
    pairs: Annotated[list[Path], typer.Argument(help="Files of pairs.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the reports; by default 'evaluation' in the run's.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Take images that were trained with, too.")
    ] = False,
    classical: Annotated[
        int | None,
        typer.Option(help="Pairs that the classical methods are tried on, at most; 0: none; 200 by default."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="By default 1 to 256, by the images' size.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1; by default a GPU if any.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    figures: Annotated[str, typer.Option(help="The format of the breakdown: png, svg or pdf.")] = "png",
    imports: Imports = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    evaluate(
        run,
        pairs,
        out=out,
        everything=everything,
        classical=classical,
        batch_size=batch_size,
        device=device,
        precision=precision,
        figures=figures,
        quiet=quiet,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for an error that was said, 2 for wrong usage."""
    return run_command(app, "evaluate", argv)


if __name__ == "__main__":
    sys.exit(main())
