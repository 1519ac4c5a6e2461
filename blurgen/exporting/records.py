"""What was drawn for each pair, as other programs take it."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

from blurgen.pairs import PairFile

Value = float | int | None


def records(pairs: PairFile, start: int, stop: int) -> dict[str, list[Value]]:
    """Columns of the rows `start` … `stop` − 1: source_index, label where there are labels, every parameter.

    A parameter of a stage that took no part is None; the pair file has NaN or −1 there.
    """
    found: dict[str, list[Value]] = {"source_index": pairs.source_index[start:stop].tolist()}
    if pairs.label is not None:
        found["label"] = pairs.label[start:stop].tolist()
    for name, column in pairs.params.items():
        whole = column.dtype.kind == "i"
        found[name] = [
            None if (value == -1 if whole else math.isnan(value)) else value
            for value in column[start:stop].tolist()
        ]
    return found


def as_json(pairs: PairFile, start: int, stop: int) -> list[bytes]:
    """A JSON text for each row: index, source_index, label, and params by their names."""
    columns = records(pairs, start, stop)
    beside = [name for name in ("source_index", "label") if name in columns]
    return [
        json.dumps(
            {
                "index": start + i,
                **{name: columns[name][i] for name in beside},
                "params": {name: columns[name][i] for name in pairs.params},
            }
        ).encode()
        for i in range(stop - start)
    ]


def most_json_bytes(pairs: PairFile) -> int:
    """What no JSON text of `as_json` exceeds: no number takes more than 24 characters."""
    return 128 + sum(len(json.dumps(name)) + 32 for name in pairs.params)


def write_csv(path: Path, pairs: PairFile, names: list[str], rows: int) -> None:
    """A line for each pair, empty where a stage took no part; `rows` lines are in memory at a time."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        for start in range(0, len(pairs), rows):
            stop = min(start + rows, len(pairs))
            columns = records(pairs, start, stop)
            if start == 0:
                lines.writerow(["name", *columns])
            lines.writerows(zip(names[start:stop], *columns.values(), strict=True))
