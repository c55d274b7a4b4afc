"""What was measured: one row per figure, as a table to read and as JSON to compare."""

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
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
    """One figure. `ratio` is value against floor, 1.0 = the floor itself; both None where there is no floor.

    `measured` is the day, as ISO 8601 writes it.
    """

    name: str
    backend: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    runs: int
    note: str
    measured: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())


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


def beside_former(results: Collection[Result], path: Path) -> list[Result]:
    """Return the figures, and those of other names or databases that are in `path`."""
    new = {(row.name, row.backend) for row in results}
    former = [Result(**row) for row in json.loads(path.read_text())] if path.exists() else []
    return [row for row in former if (row.name, row.backend) not in new] + list(results)


def write_page(results: list[Result], page: Path) -> None:
    """Put the figures as a table between the marks of a page."""
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise BenchmarkError(f"`{page}` has no place for figures: put `{_BEGIN}` and `{_END}` into it")
    page.write_text(f"{before}{begin}\n{_markdown(results)}\n{end}{after}")


def _markdown(results: list[Result]) -> str:
    rows = [
        "| name | backend | value | unit | floor | ratio | runs | measured | note |",
        "|---|---|---:|---|---:|---:|---:|---|---|",
    ]
    for row in results:
        floor = "-" if row.floor is None else _figure(row.floor)
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        cells = (f"`{row.name}`", row.backend, _figure(row.value), row.unit, floor, ratio, str(row.runs), row.measured)
        rows.append(f"| {' | '.join((*cells, row.note))} |")
    return f"Measured on {os.cpu_count()} cores shared by client, server and database.\n\n" + "\n".join(rows)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _rounded(value: float) -> float:
    return round(value, 1 if value >= 100 else 3)
