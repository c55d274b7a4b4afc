"""A log in bulk: entries sealed by the real function, with their places, written past the service.

Columns are projections of the bytes here too. Times run from long ago to now; who did what is drawn, so that each
filter has something frequent and something rare.
"""

import asyncio
import os
import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.indexes import build_indexes, take_indexes
from benchmarks.pooling import in_order, kept
from benchmarks.progress import Progress
from exchange.audit import Actor, EntryDraft, EventName, Outcome, Subject, seal_entry
from exchange.kernel import new_id
from exchange.store.log.search_rows import SEARCH_COLUMNS, search_row

Values = tuple[Any, ...]

CHUNK = 20_000
MEMBERS = ("GBR", "NOR", "DNK", "ESP", "FRA", "DEU", "ITA", "POL", "NLD", "PRT", "CZE", "EST")
CLIENTS, REPORTS, AGREEMENTS = 240, 40_000, 30
_END = datetime(2026, 5, 1, tzinfo=UTC)
_SPAN = timedelta(days=365)
_EVENTS = ((EventName.REPORT_READ, 70), (EventName.REPORT_PART_READ, 15), (EventName.REPORT_EXPLAINED, 4))
_LEVELS = (("SECRET", 50), ("CONFIDENTIAL", 30), ("RESTRICTED", 20))
_REASONS = (
    (("not-releasable",), 60),
    (("above-clearance",), 30),
    (("above-clearance", "not-releasable"), 9),
    (("nationality",), 1),
)
_REFUSED_PER_CENT = 6
RARE_EVERY = 200_000
"""How seldom a client is revoked: what is rare must be found as fast as what is not."""


def id_of(kind: int, number: int) -> str:
    """Return a UUIDv7 that is always the same for the same thing."""
    return f"0196{kind:04x}-0000-7000-8000-{number:012x}"


def client_of(number: int) -> Actor:
    """Return a client; the first ones act far more often than the last."""
    member = MEMBERS[number % len(MEMBERS)]
    agency = f"agency {number // len(MEMBERS) % 3}"
    return Actor("client", id_of(1, number), member, agency, "ab" * 32, "SECRET", ())


def fill_sqlite(path: Path, count: int, folder: Path, *, title: str) -> None:
    """Put `count` entries with their places into the SQLite database at `path`; `folder` keeps them for another one."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY", "threads = 2"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'audit_search' AND sql LIKE 'CREATE %INDEX%'"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    marks = ", ".join("?" * len(SEARCH_COLUMNS))
    with Progress(title, count) as progress:
        for entries, rows in in_order(partial(made, folder, count), range(0, count, CHUNK)):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO audit_entry (id, content) VALUES (?, ?)", entries)
            connection.executemany(f"INSERT INTO audit_search ({', '.join(SEARCH_COLUMNS)}) VALUES ({marks})", rows)
            connection.execute("COMMIT")
            progress.advance(len(rows))
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def fill_postgres(url: str, count: int, folder: Path, *, title: str) -> None:
    """Put `count` entries with their places into the PostgreSQL database at `url`, and let it gather statistics."""
    indexes = asyncio.run(_begin(url))
    with Progress(title, count) as progress:
        for written in in_order(partial(_copy_chunk, url, folder, count), range(0, count, CHUNK)):
            progress.advance(written)
    asyncio.run(_finish(url, indexes))


def made(folder: Path, count: int, start: int) -> tuple[list[Values], list[Values]]:
    """Return the rows of the entries from `start` on, of `audit_entry` and of `audit_search`; `folder` keeps them."""
    return kept(folder / f"{start}.pickle", partial(_made, count, start))


def _made(count: int, start: int) -> tuple[list[Values], list[Values]]:
    dice = random.Random(start)
    entries, rows = [], []
    for number in range(start, min(start + CHUNK, count)):
        draft = _draft(dice, number, count)
        entry_id = new_id(draft.at, os.urandom)
        content = seal_entry(draft, entry_id=entry_id, node="bench", boot=id_of(9, 0), node_seq=number).content
        entries.append((entry_id, content))
        # The first places are those of the entries that founding the instance left.
        rows.append(search_row(1, 1_000_000 + number, content))
    return entries, rows


def _draft(dice: random.Random, number: int, count: int) -> EntryDraft:
    at = _END - _SPAN * ((count - number) / count)
    actor = client_of(min(int(dice.expovariate(8 / CLIENTS)), CLIENTS - 1))
    common: dict[str, Any] = {"at": at, "request_id": id_of(8, number), "source": "192.0.2.7"}
    if number % RARE_EVERY == 17:
        owner = client_of(number % CLIENTS)
        subject = Subject("client", str(owner.id), 2)
        revoked = {"event": EventName.CLIENT_REVOKED, "outcome": Outcome.PERMITTED, "actor": Actor("host")}
        return EntryDraft(**common, **revoked, subject=subject, owner=owner.member)
    if dice.randrange(100) < 11:
        listed = {"event": EventName.REPORT_LISTED, "outcome": Outcome.PERMITTED, "actor": actor}
        return EntryDraft(**common, **listed, purpose="defence", result_ids=(id_of(2, dice.randrange(REPORTS)),))
    report = min(int(dice.expovariate(5 / REPORTS)), REPORTS - 1)
    is_refused = dice.randrange(100) < _REFUSED_PER_CENT
    return EntryDraft(
        **common,
        event=_drawn(dice, _EVENTS),
        outcome=Outcome.REFUSED if is_refused else Outcome.PERMITTED,
        actor=actor,
        subject=Subject("report", id_of(2, report), 1),
        owner=MEMBERS[report % 7],
        label={"policy": "NATO", "classification": _LEVELS[report % 3][0], "compartments": []},
        agreement=id_of(3, report % AGREEMENTS),
        scope="cyber-threats",
        purpose="defence",
        policies=("scope/cyber-threats", "guards/0123456789abcdef"),
        reasons=_drawn(dice, _REASONS) if is_refused else (),
        size_bytes=None if is_refused else 8_192,
    )


def _drawn(dice: random.Random, choices: tuple[tuple[Any, int], ...]) -> Any:
    return dice.choices([each for each, _ in choices], [weight for _, weight in choices])[0]


def _copy_chunk(url: str, folder: Path, count: int, start: int) -> int:
    entries, rows = made(folder, count, start)

    async def copy() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("SET synchronous_commit = off")
        await connection.copy_records_to_table("audit_entry", records=entries, columns=["id", "content"])
        await connection.copy_records_to_table("audit_search", records=rows, columns=list(SEARCH_COLUMNS))
        await connection.close()

    asyncio.run(copy())
    return len(rows)


async def _begin(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return await take_indexes(connection, ["audit_search"])
    finally:
        await connection.close()


async def _finish(url: str, indexes: list[str]) -> None:
    connection = await asyncpg.connect(url)
    await build_indexes(connection, indexes)
    for table in ("audit_search", "audit_entry"):
        await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=3_600)
    await connection.close()


def times(count: int) -> Iterator[datetime]:
    """Yield moments within the log: an early one, a late one."""
    for share in (0.1, 0.9):
        yield _END - _SPAN * (1 - share)
