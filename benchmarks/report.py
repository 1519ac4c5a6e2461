"""Markdown tables, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.timing import Result

RACE_COLUMNS = (
    "case",
    "threads",
    "library",
    "at its best with",
    "{items}/s",
    "blurgen ÷ it (in single rounds)",
    "differs by",
    "wanted",
    "reached",
)


@dataclass
class Table:
    """A group's results.

    Attributes
    ----------
    rows : list of tuple of str
        What is printed.
    records : list of dict
        The same as numbers.
    notes : list of str
        Printed below.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_race(
        self,
        case: str,
        threads: int,
        results: list[Result],
        *,
        floor: float | None,
        named_floors: dict[str, float] | None = None,
    ) -> None:
        """Add the rows of a race; `floor` is that of the best other contestant whose work was checked."""
        ours = results[0]
        others = [result for result in results[1:] if result.samples]
        rivals = [result for result in others if result.contestant.checked]
        best = min(rivals, key=lambda result: result.best, default=None)
        self._add(case, threads, ours, None, None)
        for result in sorted(others, key=lambda result: result.best):
            wanted = floor if result is best else (named_floors or {}).get(result.contestant.name)
            ratios = [b / a for a, b in zip(ours.samples, result.samples, strict=False)]
            self._add(case, threads, result, ratios, wanted, result.best / ours.best)
        for result in results[1:]:
            if not result.samples:
                name, why = result.contestant.name, result.contestant.missing
                self.rows.append((case, str(threads), name, why, "–", "–", "–", "–", "–"))
                self.records.append({"case": case, "threads": threads, "library": name, "missing": why})

    def _add(
        self,
        case: str,
        threads: int,
        result: Result,
        ratios: list[float] | None,
        wanted: float | None,
        ratio: float = 1.0,
    ) -> None:
        figure = "1" if ratios is None else f"{digits(ratio)} ({digits(min(ratios))}–{digits(max(ratios))})"
        gap = result.difference
        self.rows.append(
            (
                case,
                str(threads),
                result.contestant.name,
                result.how,
                digits(result.rate),
                figure,
                "–" if gap is None else digits(gap),
                "–" if wanted is None else f"≥ {wanted:g}",
                "–" if wanted is None else _verdict(ratio >= wanted),
            )
        )
        self.records.append(
            {
                "case": case,
                "threads": threads,
                "library": result.contestant.name.strip("*"),
                "how": result.how,
                "per_second": result.rate,
                "ratio": ratio,
                "round_ratios": ratios,
                "samples": result.samples,
                "compile_seconds": max(0.0, result.first - result.best * result.contestant.items),
                "difference": gap,
                "wanted": wanted,
                "reached": None if wanted is None else ratio >= wanted,
            }
        )

    def add_absolute(
        self, what: str, figure: float, shown: str, wanted: tuple[str, float] | None, more: str = ""
    ) -> None:
        """Add a row (what, measured, wanted, reached, how); `wanted` is ≥ or ≤, and the floor."""
        reached = None
        if wanted is not None:
            reached = figure >= wanted[1] if wanted[0] == "≥" else figure <= wanted[1]
        bound = "–" if wanted is None else f"{wanted[0]} {digits(wanted[1])}"
        self.rows.append((what, shown, bound, "–" if reached is None else _verdict(reached), more))
        self.records.append(
            {"case": what, "figure": figure, "wanted": wanted and wanted[1], "reached": reached, "how": more}
        )

    def markdown(self) -> str:
        """The table, its title above and its notes below."""
        lines = [f"## {self.name}: {self.title}", ""]
        if self.rows:
            lines.append("| " + " | ".join(self.columns) + " |")
            lines.append("|" + " --- |" * len(self.columns))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        lines += ["", *(f"{note}\n" for note in self.notes)]
        return "\n".join(lines)

    def shortfalls(self) -> list[str]:
        """A line for every floor that was not reached."""
        found = []
        for record in self.records:
            if record.get("reached") is False:
                figure = float(record["ratio"] if "ratio" in record else record["figure"])
                where = ", ".join(str(record[key]) for key in ("case", "library") if key in record)
                threads = f" on {record['threads']} threads" if "threads" in record else ""
                found.append(f"{self.name}: {where}{threads}: {digits(figure)}, wanted {record['wanted']:g}")
        return found


def race_columns(items: str) -> list[str]:
    """The columns of a race's table, whose figures are `items` a second."""
    return [column.format(items=items) for column in RACE_COLUMNS]


def head(machine: dict[str, Any]) -> str:
    """The first lines of a report."""
    names = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = ", ".join(str(value) for value in machine["load_before"])
    return (
        f"Machine: {machine['cpu']}, {machine['usable_cpus']} usable processors, {machine['system']}; "
        f"load before {load}\n\nLibraries: {names}\n"
    )


def write_json(path: Path, machine: dict[str, Any], options: dict[str, Any], tables: list[Table]) -> None:
    """Write all figures, those of single rounds too."""
    groups = {
        table.name: {"title": table.title, "notes": table.notes, "records": table.records} for table in tables
    }
    content = {"machine": machine, "options": options, "groups": groups}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def digits(value: float) -> str:
    """Three digits that count, thousands apart."""
    short = f"{value:.3g}"
    return grouped(int(float(short))) if abs(value) >= 999.5 else short


def grouped(number: int) -> str:
    """A whole number, thousands apart."""
    return f"{number:,}".replace(",", " ")


def _verdict(reached: bool) -> str:
    return "yes" if reached else "**no**"
