"""What was measured: one row per figure, as a table to read and as JSON to compare."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")


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
        floor = "-" if row.floor is None else f"{row.floor:,.0f}"
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


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _rounded(value: float) -> float:
    return round(value, 1 if value >= 100 else 3)
