"""Tables as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainers.files import write_text

Cell = str | int | float | None


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table whose columns are as wide in plain text, too.

    Parameters
    ----------
    headings : sequence of str
        One for each column.
    rows : iterable of sequence of str
        The cells.
    left : int
        So many columns are set flush left, the others flush right.

    Returns
    -------
    str
        Lines that each end with a line feed.

    Examples
    --------
    >>> print(markdown(["name", "PSNR"], [["nothing", "18.1"], ["net", "24"]]), end="")
    | name    | PSNR |
    | :------ | ---: |
    | nothing | 18.1 |
    | net     |   24 |
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (headings, *rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(headings))]
    rule = [":" + "-" * (w - 1) if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    lines = [cells[0], rule, *cells[1:]]
    return "".join(
        f"| {' | '.join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(row))} |\n"
        for row in ([*zip(line, widths, strict=True)] for line in lines)
    )


def write_csv(path: Path, headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a CSV file; numbers have seven digits, what is missing is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    write_text(path, text.getvalue())


def _plain(cell: Cell) -> str | int:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return f"{cell:.7g}" if isinstance(cell, float) else cell
