"""The log into a file: entries a second, against the bare driver that reads the same rows and does nothing with them.

`python -m benchmarks.exporting [--entries N]` measures it by itself on SQLite.
"""

import argparse
import asyncio
import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter
from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from benchmarks.log_filling import fill_log
from benchmarks.progress import say
from benchmarks.results import BenchmarkError, Result, show
from exchange.audit.export import FORMATS, FormatName
from exchange.cli.export_file import ExportFile
from exchange.crypto import SignatureScheme, SigningKey
from exchange.custody import create_log_key, load_log_key
from exchange.kernel import system_clock
from exchange.store import Store, migrate
from exchange.store.last_signed import LastSignedFile
from exchange.store.sequencing import LogTree
from exchange.usecases import Services
from exchange.usecases.exporting import statement_of, whole_lines
from exchange.usecases.sequence_log import Desk

EXPORT_NAMES = ("audit_export_ndjson_per_s",)

_ROUNDS = 3
_ORIGIN = "exchange.example/log/export-benchmark"
_ROWS = (
    "SELECT l.position, l.leaf_hash, e.content FROM log_leaf l JOIN audit_entry e ON e.id = l.entry_id "
    "WHERE l.log = 1 ORDER BY l.position"
)
_AT_ONCE = 500


def export_figures(backend: str, url: str, folder: Path, many: int) -> list[Result]:
    """Return the figure on one backend; the empty database at `url` is given a log of `many` entries."""
    folder.mkdir(exist_ok=True)
    return asyncio.run(_figures(backend, url, folder, many))


async def _figures(backend: str, url: str, folder: Path, many: int) -> list[Result]:
    await migrate(url)
    identity = SigningKey.from_seed(SignatureScheme.ED25519, os.urandom(32))
    store = await Store.open(url, node="benchmark", clock=system_clock, randomness=os.urandom, identity=identity)
    try:
        await _fill(url, store, folder, many)
        say(f"{backend}: exporting {many:,} entries")
        seen = [(await _export_seconds(store, folder, many), await _read_seconds(url, many)) for _ in range(_ROUNDS)]
    finally:
        await store.close()
    exported, read = (many / median(times) for times in zip(*seen, strict=True))
    size = (folder / "log.ndjson").stat().st_size / 2**20
    note = f"{many:,} entries, {size:,.0f} MiB on the disk; the floor is the bare driver reading the same rows"
    return [Result(EXPORT_NAMES[0], backend, exported, "/s", read, exported / read, _ROUNDS, note)]


async def _fill(url: str, store: Store, folder: Path, many: int) -> None:
    create_log_key(folder / "export-log.key", _ORIGIN, os.urandom)
    tree = await LogTree.open(url)
    try:
        desk = Desk(
            tree=tree,
            key=load_log_key(folder / "export-log.key"),
            file=LastSignedFile(folder / "export-last-signed.json"),
            record=store.append,
            clock=system_clock,
            randomness=os.urandom,
        )
        await fill_log(desk, many)
    finally:
        await tree.close()


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
        cursor = connection.execute(_ROWS)
        while rows := cursor.fetchmany(_AT_ONCE):
            count += len(rows)
    return count


async def _read_postgres(url: str) -> int:
    count = 0
    connection: Any = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            cursor = await connection.cursor(_ROWS)
            while rows := await cursor.fetch(_AT_ONCE):
                count += len(rows)
    finally:
        await connection.close()
    return count


def main(words: list[str]) -> int:
    """Measure on SQLite and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exporting", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        url = f"sqlite+aiosqlite:///{folder}/exchange.db"
        show(export_figures("sqlite", url, Path(folder), given.entries))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
