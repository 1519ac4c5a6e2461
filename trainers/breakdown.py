"""Pictures of how scores depend on what a recipe drew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.grouping import Group
from trainers.files import written

_ACROSS = 3  # panels side by side
_COLOURS = ("0.45", "tab:blue", "tab:orange", "tab:green")


def draw(
    path: Path,
    by_parameter: Mapping[str, list[Group]],
    psnr: Mapping[str, NDArray[np.float64]],
    title: str,
) -> None:
    """Draw the mean PSNR of every group, by parameter and method, as a PNG.

    Parameters
    ----------
    path : Path
        The file.
    by_parameter : mapping
        Parameter → groups.
    psnr : mapping
        Method → PSNR of each pair in dB, NaN where it was not tried. Of the first two, the middle half of the
        pairs is shaded.
    title : str
        A line above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(_ACROSS, len(by_parameter))
    down = -(-len(by_parameter) // across)
    figure = Figure(figsize=(max(5.0, 4.2 * across), 0.9 + 3.1 * down), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for panel, (parameter, some) in zip(panels, by_parameter.items(), strict=False):
        _panel(panel, parameter, some, psnr)
    for panel in panels[len(by_parameter) :]:
        panel.remove()
    for row in range(down):
        panels[row * across].set_ylabel("PSNR / dB")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.suptitle(title, fontsize=11)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    written(path, lambda partial: figure.savefig(partial, dpi=110))


def _panel(panel: Any, parameter: str, some: list[Group], psnr: Mapping[str, NDArray[np.float64]]) -> None:
    with_stage = [group for group in some if not np.isnan(group.place)]
    without = [group for group in some if np.isnan(group.place)]
    places = [group.place for group in with_stage]
    # those without the stage stand to the right, apart
    apart = places[-1] + 0.2 * (places[-1] - places[0])
    for number, (method, values) in enumerate(psnr.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        means = [_mean(values[group.rows]) for group in with_stage]
        panel.plot(places, means, "o-", color=colour, label=method, linewidth=1.6, markersize=3.5)
        if number < 2:
            low, high = zip(*(np.percentile(values[g.rows], (25, 75)) for g in with_stage), strict=True)
            panel.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        if without:
            panel.plot([apart], [_mean(values[without[0].rows])], "s", color=colour, markersize=5)
    if without:
        panel.text(0.98, 0.03, "without", transform=panel.transAxes, ha="right", fontsize=8, color="0.35")
    if all(place == int(place) for place in places):
        panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_xlabel(parameter)
    panel.grid(alpha=0.3)


def _mean(values: NDArray[np.float64]) -> float:
    tried = values[~np.isnan(values)]
    return float(tried.mean()) if len(tried) else float("nan")


def mean_of(values: NDArray[np.float64], group: Group) -> float:
    """The mean over a group's pairs where there is a value; NaN where there is none."""
    return _mean(values[group.rows])
