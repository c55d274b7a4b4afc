"""How long an auditor waits for the first page of a search, over a log of a million entries or of ten.

Each question is asked as the exchange's auditor and as a member's, through the whole use case: look, slice, the entry
about the search durable, answer. Beside it the floor: the database's own driver fetching a page by the same index.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg

from benchmarks.progress import say, timed
from benchmarks.results import Result
from benchmarks.search_filling import fill_postgres, fill_sqlite, id_of, times
from exchange.audit import Criteria
from exchange.usecases import EntryQuery, search_entries
from tests.support.postgres import private_cluster
from tests.support.world import World, open_world

PAGE = 100
AUDITORS = ("EXCHANGE", "NOR", "ESP")
"""All of the log; the slice of a member that owns reports; that of one which only reads."""
_RUNS = 7
_TOLD = 8
"""How many of the slowest questions are told beside the figure."""


@dataclass(frozen=True, slots=True)
class Question:
    """A search, and the bare statement's condition that fetches a page by the same index."""

    name: str
    criteria: Criteria
    condition: str
    values: tuple[Any, ...] = ()


def questions(count: int) -> list[Question]:
    """Return one question per filter, the rare ones too."""
    early, late = times(count)
    equal = [
        ("member", "member", "DNK"),
        ("agency", "agency", "agency 2"),
        ("client", "actor_id", id_of(1, 3)),
        ("client", "actor_id", id_of(1, 190)),
        ("subject", "subject_id", id_of(2, 5)),
        ("subject", "subject_id", id_of(2, 39_000)),
        ("owner", "owner", "NOR"),
        ("agreement", "agreement", id_of(3, 4)),
        ("event", "event", "report.explained"),
        ("event", "event", "client.revoked"),
        ("event", "event", "agreement.signed"),
        ("outcome", "outcome", "refused"),
        ("level", "level", "RESTRICTED"),
        ("level", "level", "UNCLASSIFIED"),
    ]
    asked = [
        Question(f"{name} {value[-12:]}", Criteria(**{name: value}), f"{column} = $1", (value,))
        for name, column, value in equal
    ]
    reasons = [
        Question(f"{name} {value}", Criteria(**{name: value}), "reasons = $1", ("nationality",))
        for name, value in (
            ("reason", "nationality"),
            ("reason", "above-clearance"),
            ("text", "national"),
            ("text", "x"),
        )
    ]
    combined = [
        Question("event of a member", Criteria(member="NOR", event="report.posted"), "member = $1", ("NOR",)),
        Question("refused at a level", Criteria(level="SECRET", outcome="refused"), "member = $1", ("NOR",)),
        Question("reads of a client", Criteria(client=id_of(1, 1), owner="DNK"), "actor_id = $1", (id_of(1, 1),)),
    ]
    whole = [
        Question("all", Criteria(), "at_micros < $1", (2**62,)),
        Question("all until", Criteria(until=early), "at_micros < $1", (2**62,)),
        Question("all since", Criteria(since=late), "at_micros < $1", (2**62,)),
    ]
    return [*whole, *asked, *reasons, *combined]


def search_figure(backend: str, folder: Path, count: int) -> Result:
    """Return how long the first page takes in a log of `count` entries, at the slowest question."""
    place = folder / backend
    place.mkdir(parents=True)
    if backend == "sqlite":
        return asyncio.run(_searched(backend, f"sqlite+aiosqlite:///{place}/exchange.db", place, count))
    with private_cluster(fsync=True) as url:
        return asyncio.run(_searched(backend, url, place, count))


async def _searched(backend: str, url: str, folder: Path, count: int) -> Result:
    world = await open_world(url, folder)
    try:
        for member in AUDITORS:
            await world.enrol(f"{member} auditor", member, "auditor", level="TOP SECRET", compartments=("ATOMAL",))
        with timed(f"{backend}: {count:,} entries to search filled in"):
            await asyncio.to_thread(_fill, backend, url, folder.with_name("made"), count)
        with timed(f"{backend}: audit_search_ms"):
            return await _measured(backend, world, count)
    finally:
        await world.services.store.close()


def _fill(backend: str, url: str, made: Path, count: int) -> None:
    title = f"{count:,} log entries, {backend}"
    if backend == "sqlite":
        fill_sqlite(Path(url.partition("///")[2]), count, made, title=title)
    else:
        fill_postgres(url.replace("+asyncpg", ""), count, made, title=title)


async def _measured(backend: str, world: World, count: int) -> Result:
    ask, close = await _bare(backend, world)
    seen: list[tuple[float, float, str]] = []
    for question in questions(count):
        floor = await _median_ms(partial(ask, question))
        query = EntryQuery(question.criteria, limit=PAGE)
        for member in AUDITORS:
            name = f"{member} auditor"
            waited = await _median_ms(partial(_search, world, name, query))
            seen.append((waited, floor, f"{name}: {question.name}"))
    await close()
    for waited, _, what in sorted(seen, reverse=True)[:_TOLD]:
        say(f"  {waited:.0f} ms: {what}")
    waited, floor, what = max(seen)
    typical = median(each for each, _, _ in seen)
    note = (
        f"first page of {PAGE} of {count:,} entries: the slowest of {len(seen)} questions ({what}),"
        f" median {typical:.0f}; target <= 100"
    )
    return Result("audit_search_ms", backend, waited, "ms", floor, waited / floor, _RUNS, note)


async def _search(world: World, name: str, query: EntryQuery) -> object:
    return await search_entries(world.services, world.call(name), query)


async def _median_ms(act: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(_RUNS):
        begin = perf_counter()
        await act()
        taken.append((perf_counter() - begin) * 1_000)
    return median(taken)


async def _bare(
    backend: str, world: World
) -> tuple[Callable[[Question], Awaitable[object]], Callable[[], Awaitable[None]]]:
    statement = (
        "SELECT e.content FROM (SELECT id, at_micros FROM audit_search WHERE {} ORDER BY at_micros DESC LIMIT 100) s"
        " JOIN audit_entry e ON e.id = s.id"
    )
    if backend == "sqlite":
        connection = sqlite3.connect(world.url.partition("///")[2])

        async def ask(question: Question) -> object:
            sql = statement.format(question.condition.replace("$1", "?"))
            return connection.execute(sql, question.values).fetchall()

        async def close() -> None:
            connection.close()

        return ask, close
    opened = await asyncpg.connect(world.url.replace("+asyncpg", ""))

    async def ask_postgres(question: Question) -> object:
        return await opened.fetch(statement.format(question.condition), *question.values)

    return ask_postgres, opened.close
