"""Pictures of how scores depend on what a recipe drew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen.grouping import Group
from blurgen.style import BASELINE, FAINT, figure, literally, look, series
from blurgen.units import with_unit
from trainers.plots import save

_ACROSS = 3  # panels side by side


@look()
def draw(
    path: Path,
    by_parameter: Mapping[str, list[Group]],
    psnr: Mapping[str, NDArray[np.float64]],
    title: str,
) -> None:
    """Draw the mean PSNR of every group, by parameter and method.

    Parameters
    ----------
    path : Path
        The file; its ending tells the format.
    by_parameter : mapping
        Parameter → groups.
    psnr : mapping
        Method → PSNR of each pair in dB, NaN where it was not tried. Of the first two, the middle half of the
        pairs is shaded.
    title : str
        A line above.
    """
    across = min(_ACROSS, len(by_parameter))
    down = -(-len(by_parameter) // across)
    made = figure(max(5.0, 4.2 * across), 0.9 + 3.1 * down)
    panels = made.subplots(down, across, squeeze=False, sharey=True).ravel()
    for panel, (parameter, some) in zip(panels, by_parameter.items(), strict=False):
        _panel(panel, parameter, some, psnr)
    for panel in panels[len(by_parameter) :]:
        panel.remove()
    for row in range(down):
        panels[row * across].set_ylabel("PSNR / dB")
    handles, labels = panels[0].get_legend_handles_labels()
    made.suptitle(literally(title))
    made.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    save(made, path)


def _panel(panel: Any, parameter: str, some: list[Group], psnr: Mapping[str, NDArray[np.float64]]) -> None:
    with_stage = [group for group in some if not np.isnan(group.place)]
    without = [group for group in some if np.isnan(group.place)]
    places = [group.place for group in with_stage]
    # those without the stage stand to the right, apart
    apart = places[-1] + 0.2 * (places[-1] - places[0])
    for number, (method, values) in enumerate(psnr.items()):
        line = series(number - 1) if number else {**BASELINE, "marker": "o"}
        means = [_mean(values[group.rows]) for group in with_stage]
        panel.plot(places, means, label=method, **line)
        if number < 2:
            low, high = zip(*(np.percentile(values[g.rows], (25, 75)) for g in with_stage), strict=True)
            panel.fill_between(places, low, high, color=line["color"], alpha=0.15, linewidth=0)
        if without:
            panel.plot([apart], [_mean(values[without[0].rows])], color=line["color"], marker=line["marker"])
    if without:
        panel.text(0.98, 0.03, "without", transform=panel.transAxes, ha="right", color=FAINT)
    if all(place == int(place) for place in places):
        panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_xlabel(with_unit(parameter))


def _mean(values: NDArray[np.float64]) -> float:
    tried = values[~np.isnan(values)]
    return float(tried.mean()) if len(tried) else float("nan")


def mean_of(values: NDArray[np.float64], group: Group) -> float:
    """The mean over a group's pairs where there is a value; NaN where there is none."""
    return _mean(values[group.rows])
