"""What was measured: one row per figure, as a table to read and as JSON to compare."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"

_BEGIN = "<!-- figures: begin -->"
_END = "<!-- figures: end -->"


class BenchmarkError(Exception):
    """Something did not answer as it should; no figure is made of it."""


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. `ratio` is value against floor, 1.0 = the floor itself; both None where there is no floor."""

    name: str
    backend: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    runs: int
    note: str


def show(results: list[Result]) -> None:
    """Print the table."""
    table = Table("name", "backend", "value", "unit", "floor", "ratio", "runs", "note")
    for row in results:
        floor = "-" if row.floor is None else _figure(row.floor)
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.name, row.backend, _figure(row.value), row.unit, floor, ratio, str(row.runs), row.note)
    console = Console()
    console.width = max(console.width, 150)
    console.print(table)


def write(results: list[Result], path: Path) -> None:
    """Write the figures as JSON."""
    rows = [
        {
            **asdict(row),
            "value": _rounded(row.value),
            "floor": None if row.floor is None else _rounded(row.floor),
            "ratio": None if row.ratio is None else round(row.ratio, 3),
        }
        for row in results
    ]
    path.write_text(json.dumps(rows, indent=1) + "\n")


def write_page(results: list[Result], page: Path) -> None:
    """Put the figures as a table between the marks of a page."""
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise BenchmarkError(f"`{page}` has no place for figures: put `{_BEGIN}` and `{_END}` into it")
    page.write_text(f"{before}{begin}\n{_markdown(results)}\n{end}{after}")


def _markdown(results: list[Result]) -> str:
    rows = ["| name | backend | value | unit | floor | ratio | runs | note |", "|---|---|---:|---|---:|---:|---:|---|"]
    for row in results:
        floor = "-" if row.floor is None else _figure(row.floor)
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        cells = (f"`{row.name}`", row.backend, _figure(row.value), row.unit, floor, ratio, str(row.runs), row.note)
        rows.append(f"| {' | '.join(cells)} |")
    today = datetime.now(UTC).date().isoformat()
    return f"Measured on {today}, {os.cpu_count()} cores shared by client, server and database.\n\n" + "\n".join(rows)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _rounded(value: float) -> float:
    return round(value, 1 if value >= 100 else 3)
