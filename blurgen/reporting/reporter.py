"""From a pair file to a page, or to a card."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from blurgen.errors import InputError
from blurgen.files import written
from blurgen.pairs import PairFile, open_pairs
from blurgen.reporting.card import card
from blurgen.reporting.findings import Findings, Progress, findings

_PAGES, _CARDS = (".html", ".htm"), (".md",)


@dataclass(frozen=True, eq=False)
class Report:
    """What was written.

    Attributes
    ----------
    path : Path
        Where.
    findings : Findings
        What it tells.
    shown : int
        How many pairs the page shows; 0 on a card.
    """

    path: Path
    findings: Findings
    shown: int


def report(
    pairs: PairFile | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Write what can be told of a pair file.

    Parameters
    ----------
    pairs : PairFile or path-like
        The file.
    out : path-like
        ``NAME.html``: one page that needs nothing else, below 10 MB. ``NAME.md``: a data set's card, the same
        as ``export(…, to="hf")`` writes. It is replaced if it is there.
    seed : int
        Draws which pairs of a large file are looked at and shown, 0 … 2⁶⁴ − 1.
    progress : callable, optional
        Called with (pairs scored, pairs to score) now and then.

    Returns
    -------
    Report
        What was written, and the findings.

    Raises
    ------
    InputError
        If the name ends otherwise, or a package that a page needs is not installed.
    FileError
        If the pair file cannot be read, or `out` cannot be written.

    Notes
    -----
    Time and memory are bounded whatever the file: parameters of 100,000 pairs are counted, 2,000 pairs (fewer
    of large images) are scored, 10,000 source images compared with one another; the page says how many.
    """
    path = Path(out)
    ending = path.suffix.lower()
    if ending not in (*_PAGES, *_CARDS):
        raise InputError(f"'{path}': a report is a page, NAME.html, or a card, NAME.md")
    opened = pairs if isinstance(pairs, PairFile) else open_pairs(pairs)
    if ending in _PAGES:
        from blurgen.reporting.page import page, require

        require()
    found = findings(opened, seed=seed, progress=progress)
    if ending in _PAGES:
        text, shown = page(found)
    else:
        text, shown = card(found), 0
    content = text.encode(errors="backslashreplace")  # a path may be no UTF-8
    written(path, lambda partial: partial.write_bytes(content))
    return Report(path, found, shown)
