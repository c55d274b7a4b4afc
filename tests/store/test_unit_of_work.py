"""A change and its audit entry become durable together, or neither does."""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from exchange.audit import EventName, Receipt
from exchange.kernel import CanonicalError, UnavailableError
from exchange.store import Store, UnitOfWork, UnrecordedChangeError
from exchange.store.database import engine
from tests.support.store import (
    agreement,
    certificate,
    client,
    draft,
    enrol,
    member,
    open_store,
    policy_version,
    rows_of,
)

THUMBPRINT = "a" * 64


async def write_all(unit: UnitOfWork) -> None:
    await unit.add_member(member())
    await unit.add_client(client(), certificate(THUMBPRINT))
    await unit.add_agreement(agreement(), None)


async def counts(store: Store) -> list[int]:
    tables = ["member", "client", "client_certificate", "agreement", "agreement_party", "audit_entry", "audit_outbox"]
    return [(await rows_of(store, f"SELECT count(*) FROM {name}"))[0][0] for name in tables]


async def test_recorded_change_is_kept_with_its_entry(store: Store) -> None:
    async with store.unit_of_work() as unit:
        await write_all(unit)
        receipt = await unit.record(draft(EventName.MEMBER_ADDED))

    assert await counts(store) == [1, 1, 1, 1, 2, 1, 1]
    assert await rows_of(store, "SELECT id FROM audit_entry") == [(receipt.entry,)]
    (content,) = await store.entries(1)
    assert receipt == Receipt.of(receipt.entry, hashlib.sha256(b"\0" + content).digest())


@pytest.mark.parametrize("write", ["add_member", "put_policy_digest", "remove_certificate"])
async def test_change_without_an_entry_is_refused_and_rolled_back(store: Store, write: str) -> None:
    enrolled = client()
    await enrol(store, enrolled, THUMBPRINT)
    before = await counts(store), await store.caller(THUMBPRINT)
    arguments = {
        "add_member": (member("NOR"),),
        "put_policy_digest": ("other",),
        "remove_certificate": (enrolled.id, THUMBPRINT),
    }

    with pytest.raises(UnrecordedChangeError, match="record it in the same unit"):
        async with store.unit_of_work() as unit:  # what ends the unit is under test
            await getattr(unit, write)(*arguments[write])
    assert (await counts(store), await store.caller(THUMBPRINT)) == before


async def test_failure_after_the_entry_leaves_neither(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_after_recording(store)

    assert await counts(store) == [0] * 7


async def fail_after_recording(store: Store) -> None:
    async with store.unit_of_work() as unit:
        await write_all(unit)
        await unit.record(draft())
        raise ZeroDivisionError


async def test_entry_that_cannot_be_sealed_takes_the_change_with_it(store: Store) -> None:
    with pytest.raises(CanonicalError):
        await record_too_much(store)

    assert await counts(store) == [0] * 7


async def record_too_much(store: Store) -> None:
    async with store.unit_of_work() as unit:
        await write_all(unit)
        await unit.record(draft(detail={"many": ["x" * 200] * 500}))


async def test_reading_alone_needs_no_entry_and_changes_nothing(store: Store) -> None:
    before = await policy_version(store)
    async with store.unit_of_work() as unit:
        assert await unit.members() == []

    assert await policy_version(store) == before


async def test_entry_alone_is_kept_and_moves_no_policy(store: Store) -> None:
    before = await policy_version(store)
    async with store.unit_of_work() as unit:
        await unit.record(draft(EventName.MEMBER_LISTED))

    assert len(await store.entries(10)) == 1
    assert await policy_version(store) == before


async def test_every_change_that_can_alter_a_decision_moves_the_policy_once(store: Store) -> None:
    enrolled, agreed = client(), agreement()
    steps = [
        lambda unit: unit.add_member(member()),
        lambda unit: unit.add_client(enrolled, certificate(THUMBPRINT)),
        lambda unit: unit.put_client(client(enrolled.id, 2)),
        lambda unit: unit.put_member(member(version=2)),
        lambda unit: unit.add_agreement(agreed, None),
        lambda unit: unit.put_agreement(agreement(agreed.id, 2)),
        lambda unit: unit.put_policy_digest("digest"),
        lambda unit: unit.add_certificate(enrolled.id, certificate("b" * 64)),
        lambda unit: unit.remove_certificate(enrolled.id, "b" * 64),
        lambda unit: unit.destroy_personal_keys(enrolled.id, "2026-01"),
    ]
    for step in steps:
        before = await policy_version(store)
        async with store.unit_of_work() as unit:
            await step(unit)
            await unit.record(draft())
        assert await policy_version(store) == before + 1


@pytest.mark.parametrize(
    ("book", "noted", "moves_policy"),
    [
        *((name, "_note_law", True) for name in ("held_certificates", "mending", "crises")),
        *((name, "_note_law", True) for name in ("signatory_keys", "amendments", "derivations", "proxies", "caveats")),
        *((name, "_note_write", False) for name in ("derivations", "proxies", "caveats")),
        *((name, "_note_write", False) for name in ("reports", "consents", "breaches", "requests", "uploads")),
        *((name, "_note_write", False) for name in ("kept_keys", "consultations", "reviews")),
    ],
)
def test_what_is_written_by_a_book_needs_an_entry_too(book: str, noted: str, moves_policy: bool) -> None:
    unit = UnitOfWork(Mock(), Mock(), Mock(), datetime.now(UTC))
    getattr(getattr(unit, book)(), noted)()

    assert (unit._has_written, unit._moves_policy) == (True, moves_policy)


async def test_policy_digest_is_recorded_when_it_changes_and_only_then(store: Store) -> None:
    first = await store.set_policy_digest("digest", draft(EventName.POLICY_CHANGED))
    again = await store.set_policy_digest("digest", draft(EventName.POLICY_CHANGED))

    assert first is not None
    assert again is None
    assert (await store.caller("nobody")).state.policy_digest == "digest"
    assert len(await store.entries(10)) == 1


async def test_many_changes_at_once_all_get_their_turn(store: Store) -> None:
    async def change(number: int) -> None:
        async with store.unit_of_work() as unit:
            await unit.add_member(member(f"M{number:02}"))
            await unit.record(draft(EventName.MEMBER_ADDED))

    await asyncio.gather(*(change(number) for number in range(20)))

    assert len(await store.members()) == len(await store.entries(100)) == 20


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_change_looks_every_millisecond_whether_the_lock_is_free(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    with closing(sqlite3.connect(store_url.partition("///")[2], isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            # Free for this one look: who sleeps longer, as SQLite itself does, misses it.
            if len(slept) == 40:
                holder.execute("ROLLBACK")

        monkeypatch.setattr(engine, "asyncio", SimpleNamespace(sleep=sleep), raising=False)
        async with store.unit_of_work() as unit:
            await unit.record(draft())

    assert slept == [0.001] * 40


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_change_whose_turn_does_not_come_is_told_so_and_the_next_one_gets_it(store_url: str) -> None:
    store = await open_store(store_url, wait_seconds=0.05)
    async with store.unit_of_work() as first:
        with pytest.raises(UnavailableError, match="others are changing it"):
            async with store.unit_of_work():
                pytest.fail("two at once")
        await first.record(draft())

    async with store.unit_of_work() as unit:
        await unit.record(draft())
    assert len(await store.entries(10)) == 2
    await store.close()
