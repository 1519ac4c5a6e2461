"""Plots of a report: SVG that takes its colours from the page's style sheet, light or dark."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurgen import style
from blurgen.grouping import Group
from blurgen.reporting.findings import Levels, Parameter
from blurgen.reporting.promises import nudged, shares
from blurgen.units import with_unit

Values = NDArray[Any]

# stand for the style sheet's variables, which `_svg` puts in their place
_INK, _FAINT, _LINE, _ONE, _TWO = "#010203", "#010204", "#010205", "#010206", "#010207"
_VARIABLES = {_INK: "--ink", _FAINT: "--faint", _LINE: "--line", _ONE: "--one", _TWO: "--two"}
_LOOK = {
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _FAINT,
    "axes.labelpad": 2,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.7,
    "axes.titlecolor": _FAINT,
    "axes.titlesize": 7,
    "grid.color": _LINE,
    "savefig.transparent": True,
    "text.color": _INK,
    **{
        f"{axis}tick.{name}": value
        for axis in "xy"
        for name, value in {
            "color": _FAINT,
            "labelcolor": _FAINT,
            "labelsize": 7,
            "major.pad": 2,
            "major.size": 2.5,
            "major.width": 0.7,
            "minor.size": 1.5,
        }.items()
    },
}
_WIDE = 3.6  # inches; 72 units of the SVG each
_BINS = 30
_MOST_BARS = 40  # one for each value, as long as there are no more
_MOST_TICKS = 8
_DECADES = 20.0  # a range that spans more than this factor stands on a logarithmic axis


def figure(height: float, panels: int = 1, *, labelled: bool = False) -> tuple[Any, list[Any]]:
    """An empty figure and its panels, side by side, in the page's look."""
    made = style.figure(_WIDE, height, dpi=72, layout="none")
    axes = list(made.subplots(1, panels, squeeze=False)[0])
    made.subplots_adjust(
        left=0.18,
        right=0.985,
        top=0.94,
        bottom=(0.37 if labelled else 0.22) / height,
        wspace=0.3 if panels > 1 else 0.0,
    )
    for axis in axes:
        axis.grid(visible=False, axis="x")
    return made, axes


def svg(made: Any, alt: str, key: str) -> str:
    """A figure as an SVG element.

    Parameters
    ----------
    made : Figure
        The figure.
    alt : str
        What it shows, for those who do not see it.
    key : str
        Tells it from the other plots of the page.
    """
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": key}):
        text = style.drawn(made, "svg", 72).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(r"'DejaVu Sans'", "system-ui, sans-serif", text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, f"var({variable})")
    head = re.compile(r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", re.DOTALL)
    label = html.escape(alt, quote=True)
    text = head.sub(rf'<svg \1 role="img" aria-label="{_escaped(label)}">', text, count=1)
    return re.sub(r"\n\s*", "\n", text).strip()


@style.look(_LOOK)
def distribution(parameter: Parameter, key: str) -> str:
    """How often which values came, as bars, and how often they were promised, as a line."""
    made, (axis,) = figure(1.9, labelled=True)
    values, promise = parameter.values.astype(np.float64), parameter.promise
    known = np.union1d(np.unique(values), promise.values)
    if known.size <= _MOST_BARS:
        _bars(axis, parameter, known)
    else:
        _histogram(axis, parameter, float(known[0]), float(known[-1]))
    _shares_of(axis, "pairs")
    axis.set_xlabel(with_unit(parameter.name, short=True))
    low, high = values.min(), values.max()
    alt = (
        f"Distribution of {parameter.name}: values from {low:.4g} to {high:.4g}, mean {values.mean():.4g}; "
        f"the greatest difference from what was promised is {100 * parameter.gap:.2g} percent of the pairs"
    )
    return svg(made, alt, key)


def _bars(axis: Any, parameter: Parameter, known: Values) -> None:
    """A bar for each value, evenly spaced, and a mark for the share that was promised."""
    places = np.arange(known.size)
    which = np.searchsorted(known, parameter.values.astype(np.float64))
    came = np.bincount(which, minlength=known.size) / parameter.values.size
    nudge = 1e-9 * np.maximum(np.abs(known), 1e-300)
    promised = parameter.promise.cumulative(known + nudge) - parameter.promise.cumulative(known - nudge)
    width = min(0.72, 0.12 * known.size)
    axis.bar(places, came, width=width, color=_ONE, alpha=0.6, linewidth=0)
    axis.hlines(promised, places - 0.45, places + 0.45, color=_TWO, linewidth=1.8)
    axis.set_xlim(-0.7, known.size - 0.3)
    step = -(-known.size // _MOST_TICKS)
    axis.set_xticks(places[::step], [f"{value:.4g}" for value in known[::step]])


def _histogram(axis: Any, parameter: Parameter, low: float, high: float) -> None:
    """Bars for bins, and a line of steps for the shares that were promised."""
    logarithmic = _logarithmic(parameter.promise.values, low, high)
    edges = (np.geomspace if logarithmic else np.linspace)(low, high, _BINS + 1)
    values = np.sort(parameter.values.astype(np.float64))
    came = np.diff(np.searchsorted(values, nudged(edges), side="right")) / values.size
    promised = shares(parameter.promise, edges)
    axis.stairs(came, edges, fill=True, color=_ONE, alpha=0.6, linewidth=0)
    axis.stairs(promised, edges, baseline=None, color=_TWO, linewidth=1.5)
    if logarithmic:
        from matplotlib.ticker import LogLocator, NullFormatter

        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 300 else (1.0,)))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.xaxis.set_major_locator(_ticks(6))
    axis.set_xlim(edges[0], edges[-1])


def _logarithmic(values: Values, low: float, high: float) -> bool:
    """Whether values spread over decades: their median is nearer to the geometric mean of the ends."""
    if low <= 0 or high / low <= _DECADES:
        return False
    middle = math.log(float(np.median(values)))
    return middle - math.log(low * high) / 2 < math.log((low + high) / 2) - middle


@style.look(_LOOK)
def effect(name: str, groups: Sequence[Group], scores: dict[str, Values], key: str) -> str:
    """Scores against a parameter: median and middle half of each group."""
    made, axes = figure(1.55, len(scores), labelled=True)
    there = [group for group in groups if not np.isnan(group.place)]
    without = [group for group in groups if np.isnan(group.place)]
    places = [group.place for group in there]
    single = all("…" not in group.label for group in there)
    # those without the stage stand to the right, apart
    apart = places[-1] + 0.25 * ((places[-1] - places[0]) or 1.0)
    told = []
    for axis, (label, values) in zip(axes, scores.items(), strict=True):
        low, middle, high = np.transpose([np.percentile(values[group.rows], (25, 50, 75)) for group in there])
        if single:
            axis.vlines(places, low, high, color=_ONE, linewidth=2.4, alpha=0.45)
            axis.plot(places, middle, "o", color=_ONE, markersize=3.2)
        else:
            axis.fill_between(places, low, high, color=_ONE, alpha=0.3, linewidth=0)
            axis.plot(places, middle, "o-", color=_ONE, linewidth=1.5, markersize=2.6)
        for group in without:
            some = np.percentile(values[group.rows], (25, 50, 75))
            axis.vlines(apart, some[0], some[2], color=_TWO, linewidth=2.4, alpha=0.55)
            axis.plot([apart], [some[1]], "s", color=_TWO, markersize=3.4)
        axis.set_title(label, loc="left", pad=3)
        axis.yaxis.set_major_locator(_ticks(3))
        whole = all(place == int(place) for place in places)
        ticks = _ticks(3, whole=whole).tick_values(places[0], places[-1])
        axis.set_xticks([tick for tick in ticks if places[0] <= tick <= places[-1]])
        axis.margins(x=0.08)
        axis.set_xlabel(with_unit(name, short=True))
        told.append(f"{label} from {middle[0]:.3g} at {places[0]:.3g} to {middle[-1]:.3g}")
    made.subplots_adjust(top=0.86)
    ends = f" at {places[-1]:.3g}"
    return svg(made, f"Medians against {name}: " + ", ".join(f"{one}{ends}" for one in told), key)


@style.look(_LOOK)
def histogram(values: Values, label: str, key: str, *, whole: bool = False) -> str:
    """How often which values came."""
    made, (axis,) = figure(2.1, labelled=True)
    low, high = float(values.min()), float(values.max())
    if whole and high - low < _MOST_BARS:
        edges = np.arange(low, high + 2) - 0.5
        axis.xaxis.set_major_locator(_ticks(6, whole=True))
    else:
        edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    axis.stairs(np.histogram(values, edges)[0] / values.size, edges, fill=True, color=_ONE, alpha=0.75)
    _shares_of(axis, "pairs")
    axis.set_xlabel(label)
    middle = float(np.median(values))
    axis.axvline(middle, color=_TWO, linewidth=1.5)
    return svg(made, f"{label}: from {low:.4g} to {high:.4g}, median {middle:.4g}", key)


@style.look(_LOOK)
def grey_levels(levels: Levels, key: str) -> str:
    """How often each grey level comes before and after, on a logarithmic scale."""
    made, (axis,) = figure(2.1, labelled=True)
    steps = np.arange(257) - 0.5
    lowest = 1.0
    for counts, colour, dashes in ((levels.sharp, _ONE, "-"), (levels.blurred, _TWO, (0, (4, 1.2)))):
        part = counts.sum(axis=0) / counts.sum()
        lowest = min(lowest, float(part[part > 0].min()))
        axis.stairs(part, steps, baseline=None, color=colour, linewidth=1.3, linestyle=dashes)
    axis.set_yscale("log")
    axis.set_ylim(max(lowest / 2, 1e-8), 1.0)
    axis.set_xlim(-3, 258)
    axis.set_xticks([0, 64, 128, 192, 255])
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    axis.set_xlabel("grey level, 0 … 255")
    axis.set_ylabel("of the pixels")
    alt = "How often each grey level comes, in sharp and in blurred images, on a logarithmic scale"
    return svg(made, alt, key)


@style.look(_LOOK)
def centroids(offsets: Values, key: str) -> str:
    """Where the centroids of PSFs lie about the middle pixel."""
    made, (axis,) = figure(2.1, labelled=True)
    reach = max(0.6, 1.08 * float(np.abs(offsets).max()))
    axis.add_patch(_square(_FAINT))
    axis.plot(offsets[:, 0], offsets[:, 1], "o", color=_ONE, markersize=2.4, alpha=0.55, markeredgewidth=0)
    axis.set_xlim(-reach, reach)
    axis.set_ylim(reach, -reach)  # as in images, down is positive
    axis.set_aspect("equal", adjustable="box")
    axis.grid(visible=True, axis="both")
    axis.xaxis.set_major_locator(_ticks(4))
    axis.yaxis.set_major_locator(_ticks(4))
    axis.set_xlabel("pixels to the right")
    axis.set_ylabel("pixels down", labelpad=1)
    far = float(np.hypot(*offsets.T).max())
    return svg(made, f"Centroids of the PSFs: the farthest lies {far:.3g} pixels from the middle", key)


def _shares_of(axis: Any, what: str) -> None:
    """The values of an axis are shares, from none."""
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_locator(_ticks(4))
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    axis.set_ylabel(f"of the {what}")


def _square(colour: str) -> Any:
    """The middle pixel."""
    from matplotlib.patches import Rectangle

    return Rectangle((-0.5, -0.5), 1, 1, fill=False, edgecolor=colour, linewidth=0.8, linestyle="--")


def _ticks(most: int, *, whole: bool = False) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, steps=[1, 2, 5, 10] if whole else [1, 2, 2.5, 5, 10], integer=whole)


def _escaped(text: str) -> str:
    """For the replacement of a regular expression."""
    return text.replace("\\", r"\\")
