"""Pictures of a training: curves, and sheets of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from blurgen.style import BASELINE, INK, PAPER, drawn, figure, form_of, literally, look, series
from trainers.files import written

FEW = 30  # epochs that get a mark each
_MARGIN, _GAP, _TEXT = 16, 4, 13
_SMALL_SIDE, _LARGEST_SIDE = 84, 320
_MOST_COLUMNS = 16


Curve = tuple[Sequence[float], Sequence[float]]  # places and values


@look()
def curves(
    path: Path,
    lines: Mapping[str, Curve],
    *,
    x: str,
    y: str,
    log: bool = False,
    level: tuple[str, float] | None = None,
) -> None:
    """Draw curves.

    Parameters
    ----------
    path : Path
        The file; its ending tells the format.
    lines : mapping
        Name → the curve's places and values.
    x, y : str
        What the axes say.
    log : bool
        Whether the values stand on a logarithmic axis, if all are positive.
    level : tuple, optional
        Name and height of a dashed line across.
    """
    made = figure(7, 4.2)
    axes = made.add_subplot()
    curves_on(axes, lines, x=x, y=y, log=log, level=level)
    if len(lines) > 1 or level is not None:
        axes.legend()
    save(made, path)


def curves_on(
    axes: Any,
    lines: Mapping[str, Curve],
    *,
    x: str,
    y: str,
    log: bool = False,
    level: tuple[str, float] | None = None,
) -> None:
    """Draw curves on axes; all is as of `curves`."""
    from matplotlib.ticker import MaxNLocator

    for number, (name, (places, values)) in enumerate(lines.items()):
        axes.plot(places, values, label=literally(name), **series(number, marked=len(places) < FEW))
    if level is not None:
        axes.axhline(level[1], label=level[0], **BASELINE)
    heights = [value for _, values in lines.values() for value in values if np.isfinite(value)]
    if log and heights and min(heights) > 0:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))  # epochs and steps are whole
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def loss_label(*names: str) -> str:
    """What the axis of losses says."""
    return f"loss ({', '.join(names)}){' / dB' if names == ('psnr',) else ''}"


def save(made: Any, path: Path) -> None:
    """Write a figure in the format that the file's ending tells; within `look`."""
    content = drawn(made, form_of(path))
    written(path, lambda partial: partial.write_bytes(content))


def sheet(rows: Mapping[str, NDArray[np.floating[Any]]], columns: int = _MOST_COLUMNS) -> Image.Image:
    """Images in rows with a name each, one column a sample; more samples go into further bands below.

    Parameters
    ----------
    rows : mapping
        Name → float images, shape (B, C, H, W) with C 1 or 3, black 0, white 1; values outside are clipped.
    columns : int
        Samples side by side, at most.

    Returns
    -------
    Image
        RGB. Small images are magnified by a whole number to about 84 pixels, large ones reduced to 320.
    """
    font = ImageFont.load_default(_TEXT)
    names = list(rows)
    count, _, height, width = next(iter(rows.values())).shape
    columns = min(columns, max(1, count))
    longest = max(height, width)
    if longest > _LARGEST_SIDE:
        scale = _LARGEST_SIDE / longest
    else:
        scale = float(max(1, _SMALL_SIDE // longest))
        columns = max(1, min(columns, 1600 // round(width * scale + _GAP)))
    tile = (max(1, round(width * scale)), max(1, round(height * scale)))
    left = _MARGIN + max(round(font.getlength(name)) for name in names) + 10
    bands = -(-count // columns)
    band = len(names) * (tile[1] + _GAP) + _MARGIN
    page = Image.new(
        "RGB", (left + columns * (tile[0] + _GAP) + _MARGIN, 2 * _MARGIN + bands * band - _MARGIN), PAPER
    )
    draw = ImageDraw.Draw(page)
    for line, name in enumerate(names):
        for sample in range(count):
            across, down = sample % columns, sample // columns
            top = _MARGIN + down * band + line * (tile[1] + _GAP)
            if across == 0:
                draw.text((_MARGIN, top + tile[1] / 2), name, INK, font, anchor="lm")
            page.paste(_tile(rows[name][sample], tile), (left + across * (tile[0] + _GAP), top))
    return page


def _tile(image: NDArray[np.floating[Any]], size: tuple[int, int]) -> Image.Image:
    values = np.floor(np.clip(np.nan_to_num(image), 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    drawn = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).convert("RGB")
    grows = size[0] >= drawn.width
    return drawn.resize(size, Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS)
