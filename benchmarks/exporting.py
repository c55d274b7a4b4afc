"""The log into a file: entries a second, against the bare driver that reads the same rows and drops them.

The driver reads in the way that is fastest on its database: one cursor on SQLite, long ranges on PostgreSQL.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter
from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from benchmarks.results import BenchmarkError, Result
from exchange.audit.export import FORMATS, FormatName
from exchange.cli.export_file import ExportFile
from exchange.kernel import system_clock
from exchange.store import Store
from exchange.usecases import Services
from exchange.usecases.auditors.exporting import statement_of, whole_lines

EXPORT_NAME = "audit_export_ndjson_per_s"

_ROUNDS = 3
_ROWS = (
    "SELECT l.position, l.leaf_hash, e.content FROM log_leaf l JOIN audit_entry e ON e.id = l.entry_id "
    "WHERE l.log = 1 {} ORDER BY l.position"
)
_AT_ONCE = 10_000


async def export_figure(backend: str, url: str, store: Store, folder: Path) -> Result:
    """Return the figure of the log in the database at `url`, which `store` has open and nobody writes to."""
    state = await store.log.state()
    if state is None:
        raise BenchmarkError("there is no log to export")
    many = state.size
    seen = [(await _export_seconds(store, folder, many), await _read_seconds(url, many)) for _ in range(_ROUNDS)]
    exported, read = (many / median(times) for times in zip(*seen, strict=True))
    size = (folder / "log.ndjson").stat().st_size / 2**20
    (folder / "log.ndjson").unlink()
    note = f"{many:,} entries, {size:,.0f} MiB on the disk; the floor is the bare driver reading the same rows"
    return Result(EXPORT_NAME, backend, exported, "/s", read, exported / read, _ROUNDS, note)


async def _export_seconds(store: Store, folder: Path, many: int) -> float:
    services = cast("Services", SimpleNamespace(store=store))
    begin = perf_counter()
    logs = await store.log.states()
    with ExportFile(folder / "log.ndjson", FORMATS[FormatName.NDJSON], {}) as file:
        file.begin(None, force=True)
        async for place, lines in whole_lines(services, None, logs):
            file.add_lines(place, lines)
        written = file.finish(statement_of(system_clock(), None, logs)).count
    took = perf_counter() - begin
    if written < many:
        raise BenchmarkError(f"{written} entries were exported, not {many}")
    return took


async def _read_seconds(url: str, many: int) -> float:
    begin = perf_counter()
    count = await _read_postgres(url) if url.startswith("postgresql") else _read_sqlite(url)
    took = perf_counter() - begin
    if count < many:
        raise BenchmarkError(f"{count} rows were read, not {many}")
    return took


def _read_sqlite(url: str) -> int:
    count = 0
    with closing(sqlite3.connect(url.partition("///")[2])) as connection:
        cursor = connection.execute(_ROWS.format(""))
        while rows := cursor.fetchmany(_AT_ONCE):
            count += len(rows)
    return count


async def _read_postgres(url: str) -> int:
    connection: Any = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        statement = await connection.prepare(_ROWS.format("AND l.position >= $1 AND l.position < $2"))
        count = 0
        while rows := await statement.fetch(count, count + _AT_ONCE):
            count += len(rows)
        return count
    finally:
        await connection.close()
