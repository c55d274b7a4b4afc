"""Reads that run together: everybody gets their own rows, nobody an older moment's, and nobody's fault is another's."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from exchange.kernel import UnavailableError
from exchange.store import Parts, PullRow, Store
from exchange.store.database.dialect import Parameters, Row, Statement
from exchange.store.writer.shared_reads import ASKERS_AT_MOST, RUNS_AT_ONCE, SharedReads
from tests.support.store import class_facts, client, draft, enrol, new_part, new_report, open_store, policy_version

ALONE = Statement("alone", ("name",), {})
SHARED = Statement("shared", ("name",), {})


class Gated:
    """A database whose runs end when they are told to; `asked` are all of them, each as names."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.fault: Exception | None = None
        self.bad: str | None = None

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        (given,) = arguments
        names = [given] if sql == "alone" else list(given)
        self.asked.append(names)
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        if self.bad in names:
            raise asyncpg.DataError("what cannot be asked")
        # In no order: only the last column says whose a row is.
        rows = [(name, part, number) for part in (1, 2) for number, name in reversed([*enumerate(names, 1)])]
        return [row[:-1] for row in rows] if sql == "alone" else rows


def ask(reads: SharedReads, name: str) -> "asyncio.Task[Sequence[Row]]":
    parameters: Parameters = {"name": name}
    return asyncio.ensure_future(reads.fetch(ALONE, SHARED, parameters))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_while_others_wait_is_asked_for_with_them() -> None:
    database = Gated()
    reads = SharedReads(database.fetch)
    first = []
    for number in range(RUNS_AT_ONCE):
        first.append(ask(reads, f"first-{number}"))
        await turns()
    later = [ask(reads, f"later-{number}") for number in range(3 * ASKERS_AT_MOST)]
    await turns()

    assert database.asked == [[f"first-{number}"] for number in range(RUNS_AT_ONCE)]
    assert reads.waiting == 3 * ASKERS_AT_MOST
    database.gate.set()
    rows = await asyncio.gather(*first, *later)
    assert [[row[0] for row in each] for each in rows[len(first) :]] == [
        [f"later-{number}"] * 2 for number in range(96)
    ]
    assert [[row[1] for row in each] for each in rows] == [[1, 2]] * len(rows)
    assert [len(names) for names in database.asked] == [1, 1, 32, 32, 32]
    assert reads.waiting == 0


async def test_one_turn_of_the_loop_is_one_run() -> None:
    database = Gated()
    database.gate.set()
    reads = SharedReads(database.fetch)

    await asyncio.gather(*(ask(reads, str(number)) for number in range(8)))

    assert [len(names) for names in database.asked] == [8]


async def test_run_that_began_before_is_not_joined() -> None:
    database = Gated()
    reads = SharedReads(database.fetch)
    asked = []
    for number in range(RUNS_AT_ONCE + 1):
        asked.append(ask(reads, str(number)))
        await turns()
    database.gate.set()
    await asyncio.gather(*asked)

    assert database.asked[-1] == [str(RUNS_AT_ONCE)]


async def test_who_has_gone_is_not_asked_for_and_takes_nobody_along() -> None:
    database = Gated()
    reads = SharedReads(database.fetch)
    held = []
    for number in range(RUNS_AT_ONCE):
        held.append(ask(reads, f"held-{number}"))
        await turns()
    gone, stays = ask(reads, "gone"), ask(reads, "stays")
    await turns()
    gone.cancel()
    held[0].cancel()
    await turns()
    database.gate.set()

    assert [row[0] for row in await stays] == ["stays", "stays"]
    assert [row[0] for row in await held[1]] == ["held-1"] * 2
    assert "gone" not in {name for names in database.asked for name in names}
    assert gone.cancelled()
    assert held[0].cancelled()


async def test_failure_is_an_error_of_each_ones_own_and_the_next_run_is_another() -> None:
    database = Gated()
    database.gate.set()
    database.fault = ConnectionResetError("gone")
    reads = SharedReads(database.fetch)

    errors = await asyncio.gather(*(ask(reads, str(number)) for number in range(3)), return_exceptions=True)
    database.fault = None

    assert [type(error) for error in errors] == [UnavailableError] * 3
    assert len({id(error) for error in errors}) == 3
    assert [len(names) for names in database.asked] == [3]
    assert len(await ask(reads, "again")) == 2


async def test_what_cannot_be_asked_harms_nobody_else() -> None:
    database = Gated()
    database.gate.set()
    database.bad = "bad"
    reads = SharedReads(database.fetch)

    answers = await asyncio.gather(*(ask(reads, name) for name in ("a", "bad", "c")), return_exceptions=True)

    assert isinstance(answers[1], UnavailableError)
    assert [[row[0] for row in each] for each in (answers[0], answers[2])] == [["a", "a"], ["c", "c"]]  # type: ignore[union-attr]  # rows


async def test_run_that_is_ended_ends_those_who_wait_for_it() -> None:
    reads = SharedReads(Gated().fetch)
    asked = [ask(reads, name) for name in "ab"]
    await turns()
    for task in reads._tasks:
        task.cancel()

    assert [type(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == [
        asyncio.CancelledError
    ] * 2


async def world(store: Store) -> tuple[list[str], list[str]]:
    """Enrol clients and post reports of none to five parts; return thumbprints and ids, some of them nobody's."""
    thumbprints = [f"{number:064x}" for number in range(6)]
    for thumbprint in thumbprints[:4]:
        await enrol(store, client(), thumbprint)
    version = await policy_version(store)
    reports = [
        new_report(class_facts(number), parts=tuple(new_part(part, b"%d" % part * 9) for part in range(1, number + 1)))
        for number in range(6)
    ]
    for report in reports:
        await store.post_report(report, draft(), policy_version=version, idempotency=None)
    return thumbprints, [*(report.id for report in reports), "019f95f3-8e89-711e-8a37-4dd90c163e50", "no id"]


async def test_everybody_gets_what_they_would_get_alone(store_url: str) -> None:
    store = await open_store(store_url)
    try:
        thumbprints, ids = await world(store)
        asked = [(thumb, each, parts) for thumb in thumbprints for each in ids for parts in (Parts.NONE, Parts.FIRST)]
        alone: dict[tuple[str, str, Parts], PullRow] = {}
        for thumb, each, parts in asked:
            alone[thumb, each, parts] = await store.report_for(thumb, each, parts=parts)
        callers = {thumb: await store.caller(thumb) for thumb in thumbprints}
        chance = random.Random(7)

        for _ in range(5):
            chance.shuffle(asked)
            together = await asyncio.gather(
                *(store.report_for(thumb, each, parts=parts) for thumb, each, parts in asked)
            )
            assert dict(zip(asked, together, strict=True)) == alone
        assert dict(zip(thumbprints, await asyncio.gather(*map(store.caller, thumbprints)), strict=True)) == callers
    finally:
        await store.close()


async def test_change_holds_for_whoever_asks_after_it(store: Store) -> None:
    thumbprints, ids = await world(store)
    busy = [asyncio.ensure_future(store.report_for(thumbprints[0], ids[1], parts=Parts.NONE)) for _ in range(40)]
    await turns()
    before = await store.caller(thumbprints[0])
    assert before.client is not None
    await enrol(store, client(), thumbprints[4])

    later = await asyncio.gather(*(store.caller(thumbprints[4]) for _ in range(8)))

    assert all(row.client is not None for row in later)
    assert all(row.state.policy_version > before.state.policy_version for row in later)
    await asyncio.gather(*busy)


@pytest.mark.parametrize("bad", ["\x00", "\ud800"])
async def test_text_that_the_database_does_not_take_harms_nobody_else(store: Store, bad: str) -> None:
    thumbprints, ids = await world(store)
    asked = [store.report_for(thumbprints[0], each, parts=Parts.NONE) for each in (ids[1], bad, ids[2])]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [row.report.id for row in (answers[0], answers[2])] == [ids[1], ids[2]]  # type: ignore[union-attr]  # rows of reports
