"""A process's part of the log: every number is an entry, and what it signs is what is there, whatever was lost."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from sqlalchemy import text

from exchange.audit import Actor, Entry, EntryDraft, EventName, Outcome, hash_leaf, parse_entry
from exchange.audit.boot_checks import BootFinding
from exchange.kernel import UnavailableError
from exchange.store import Store
from exchange.store.writer.batch import AppendJob, Job, Result
from exchange.store.writer.node_record import BEATS_IN_DOUBT
from tests.support.boots import check_boots
from tests.support.store import NODE_KEY, draft, member, new_report, policy_version, rows_of

LOST = UnavailableError("the connection is gone")


async def entries(store: Store) -> list[Entry]:
    """Return all entries in the order of their numbers."""
    return sorted((parse_entry(content) for content in await store.entries(1000)), key=lambda each: each["node_seq"])


async def findings(store: Store) -> tuple[BootFinding, ...]:
    rows = await rows_of(
        store, "SELECT e.content FROM audit_outbox o JOIN audit_entry e ON e.id = o.entry_id ORDER BY o.id"
    )
    contents = [bytes(row[0]) for row in rows]
    told = ((place, parse_entry(content), hash_leaf(content)) for place, content in enumerate(contents))
    return check_boots(told, [NODE_KEY.verifying_key])


def plain(event: EventName = EventName.REPORT_READ, **fields: object) -> EntryDraft:
    """Return the draft of an entry that holds nothing personal: it waits for no key."""
    return draft(event, actor=Actor(kind="service"), source="local", **fields)


def void() -> EntryDraft:
    return plain(EventName.ENTRY_VOIDED, outcome=Outcome.FAILED)


async def settle(store: Store, **options: int) -> None:
    await store.node.settle_doubts(void, **options)


async def sign(store: Store, *, is_closing: bool = False) -> int:
    """Sign, and return up to which number."""
    receipt = await store.node.append_evidence(plain(EventName.NODE_HEARTBEAT), is_closing=is_closing)
    (entry,) = [each for each in await entries(store) if each["id"] == receipt.entry]
    return int(str(entry["detail"]["upto"]))


@pytest.fixture
def losing(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that has the next append lost `before` it is written, or its answer lost `after` that."""
    submit = store._database.submit

    def lose(when: str) -> None:
        async def losing_submit(job: Job) -> Result:
            if not isinstance(job, AppendJob):
                return await submit(job)
            monkeypatch.setattr(store._database, "submit", submit)
            if when == "after":
                await submit(job)
            raise LOST

        monkeypatch.setattr(store._database, "submit", losing_submit)

    return lose


async def test_evidence_covers_every_way_to_write_an_entry(store: Store) -> None:
    await store.append(plain())
    async with store.unit_of_work() as unit:
        await unit.add_member(member())
        await unit.record(draft(EventName.MEMBER_ADDED))
    version = await policy_version(store)
    await store.post_report(new_report(), draft(), policy_version=version, idempotency=None)
    await store.set_policy_digest("digest", draft(EventName.POLICY_CHANGED))

    assert await sign(store) == 4
    assert await sign(store, is_closing=True) == 5
    assert await findings(store) == ()
    assert [each["node_seq"] for each in await entries(store)] == [1, 2, 3, 4, 5, 6]


async def test_entry_that_was_lost_is_voided_in_its_place(store: Store, losing: Callable[[str], None]) -> None:
    losing("before")
    with pytest.raises(UnavailableError):
        await store.append(plain())
    await store.append(plain())
    before = await sign(store)
    await settle(store)

    assert before == 0
    assert [each["type"] for each in await entries(store)] == ["entry.voided", "report.read", "node.heartbeat"]
    assert await sign(store, is_closing=True) == 3
    assert await findings(store) == ()


async def test_entry_whose_answer_was_lost_is_what_it_is(store: Store, losing: Callable[[str], None]) -> None:
    losing("after")
    with pytest.raises(UnavailableError):
        await store.append(plain())
    await settle(store)

    assert [each["type"] for each in await entries(store)] == ["report.read"]
    assert await sign(store, is_closing=True) == 1
    assert await findings(store) == ()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_void_that_was_lost_itself_is_tried_again(store: Store, losing: Callable[[str], None], when: str) -> None:
    losing("before")
    with pytest.raises(UnavailableError):
        await store.append(plain())
    losing(when)
    with pytest.raises(UnavailableError):
        await settle(store)
    await settle(store)

    assert [each["type"] for each in await entries(store)] == ["entry.voided"]
    assert await sign(store, is_closing=True) == 1
    assert await findings(store) == ()


async def test_evidence_that_was_lost_is_followed_by_evidence_with_the_key(
    store: Store, losing: Callable[[str], None]
) -> None:
    losing("before")
    with pytest.raises(UnavailableError):
        await sign(store)
    await settle(store)
    await sign(store)
    await sign(store)

    signed = await entries(store)
    assert ["boot_key" in each.get("detail", {}) for each in signed] == [False, True, False]
    assert await findings(store) == ()


@pytest.mark.parametrize("end", [LOST, asyncio.CancelledError()], ids=["failed", "cancelled"])
async def test_unit_of_work_that_ends_without_a_commit_leaves_a_void(store: Store, end: BaseException) -> None:
    async def fail() -> None:
        async with store.unit_of_work() as unit:
            await unit.record(draft(EventName.MEMBER_LISTED))
            raise end

    with pytest.raises(type(end)):
        await fail()
    await settle(store)

    assert [each["type"] for each in await entries(store)] == ["entry.voided"]
    assert await sign(store) == 1


async def test_entries_lost_at_once_are_all_voided(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = store._database.submit

    async def away(_: Job) -> Result:
        raise LOST

    monkeypatch.setattr(store._database, "submit", away)
    await asyncio.gather(*(store.append(plain()) for _ in range(300)), return_exceptions=True)
    with pytest.raises(UnavailableError):
        await settle(store)
    monkeypatch.setattr(store._database, "submit", submit)
    await settle(store)

    assert await sign(store, is_closing=True) == 300
    assert await findings(store) == ()


async def test_entry_that_nobody_waits_for_is_settled_with_time(store: Store) -> None:
    asked = asyncio.create_task(store.append(plain()))
    await asyncio.sleep(0)
    asked.cancel()
    await store.append(plain())
    seen = []
    for _ in range(BEATS_IN_DOUBT + 1):
        seen.append(store._sealer._record.upto)
        await settle(store)

    assert set(seen) == {0}
    assert await sign(store) == 2
    assert [each["type"] for each in await entries(store)][:2] == ["report.read", "report.read"]


async def test_foreign_entry_in_the_place_of_one_is_never_signed_for(
    store: Store, backend: str, losing: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    octets = "BLOB" if backend == "sqlite" else "bytea"
    losing("before")
    with pytest.raises(UnavailableError):
        await store.append(plain())
    (lost,) = store._sealer.doubtful(beats=9)
    await rows_of(store, f"INSERT INTO audit_entry (id, content) VALUES ('{lost.entry}', CAST('x' AS {octets}))")
    with caplog.at_level(logging.ERROR):
        await settle(store)

    assert "another entry stands" in caplog.text
    assert store._sealer._record.upto == 0


async def test_nothing_is_sealed_after_the_end(store: Store) -> None:
    await sign(store, is_closing=True)

    assert store.node.is_closed
    with pytest.raises(UnavailableError, match="closed"):
        await store.append(plain())
    with pytest.raises(UnavailableError, match="closed"):
        await sign(store)


async def test_log_that_cannot_be_written_is_not_asked_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.store.writer.sealing.MOST_UNSETTLED", 2)

    async def away(_: Job) -> Result:
        raise LOST

    monkeypatch.setattr(store._database, "submit", away)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="gone"):
            await store.append(plain())
    with pytest.raises(UnavailableError, match="too many"):
        await store.append(plain())
    monkeypatch.undo()
    await settle(store)
    await store.append(plain())

    assert await sign(store) == 3


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_connection_that_goes_while_it_writes_leaves_a_void(store: Store) -> None:
    await store.append(plain())
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with store._engine.begin() as holder:
        await holder.execute(text("LOCK TABLE audit_entry IN EXCLUSIVE MODE"))
        asked = asyncio.create_task(store.append(plain()))
        while not (found := (await holder.execute(text(waiting))).all()):  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(0.01)
        await holder.execute(text(f"SELECT pg_terminate_backend({found[0][0]})"))
        with pytest.raises(UnavailableError):
            await asked
    await settle(store)

    assert [each["type"] for each in await entries(store)] == ["report.read", "entry.voided"]
    assert await sign(store, is_closing=True) == 2
    assert await findings(store) == ()
