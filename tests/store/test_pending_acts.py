"""Acts that wait for a second person, several at a time: what is read and written of one is of no other."""

from datetime import timedelta
from typing import Any

import pytest

from exchange.members import Client, PendingAct
from exchange.store import Store, UnrecordedChangeError
from exchange.store.rows.unread import Unread
from tests.support.store import NOW, client, draft, fresh_id, rows_of


def act(requester: Client, **fields: Any) -> PendingAct:
    given = {
        "id": fresh_id(),
        "kind": "erase-personal",
        "payload": "{}",
        "digest": "0" * 64,
        "requester": requester.id,
        "requested_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    }
    return PendingAct(**{**given, **fields})


async def asked(store: Store, *acts: PendingAct) -> None:
    async with store.unit_of_work() as unit:
        for each in acts:
            await unit.acts().add(each)
        await unit.record(draft())


async def test_one_act_is_approved_and_another_ended_and_a_third_is_neither(store: Store) -> None:
    requester, second = client(), client()
    approved, ended, waiting = (act(requester) for _ in range(3))
    await asked(store, approved, ended, waiting)
    async with store.unit_of_work() as unit:
        await unit.acts().approve(approved, second)
        await unit.acts().end(ended, second, "no")
        await unit.record(draft())

    async with store.unit_of_work() as unit:
        found = [await unit.acts().one(each.id) for each in (approved, ended, waiting)]
    assert [each and (each.id, each.approver, each.refuser, each.refusal) for each in found] == [
        (approved.id, second.id, None, None),
        (ended.id, None, second.id, "no"),
        (waiting.id, None, None, None),
    ]


@pytest.mark.parametrize("decide", ["approve", "end"])
async def test_nothing_is_decided_without_an_entry(store: Store, decide: str) -> None:
    waiting = act(client())
    await asked(store, waiting)
    with pytest.raises(UnrecordedChangeError):
        async with store.unit_of_work() as unit:
            await getattr(unit.acts(), decide)(waiting, client())

    async with store.unit_of_work() as unit:
        assert await unit.acts().one(waiting.id) == waiting


async def test_act_is_found_under_its_own_kind_alone(store: Store) -> None:
    erasing, other = act(client()), act(client(), kind="another-kind")
    await asked(store, erasing, other)

    async with store.unit_of_work() as unit:
        assert await unit.acts().one(erasing.id, "erase-personal") == erasing
        assert await unit.acts().one(other.id, "erase-personal") is None
        assert await unit.acts().one(fresh_id()) is None


async def test_what_waits_is_listed_and_counted_by_who_asked_until_it_is_over(store: Store) -> None:
    requester, other, second = client(), client(), client()
    lapsed, approved, ended = act(requester, expires_at=NOW), act(requester), act(requester)
    ids = sorted((fresh_id() for _ in range(4)), reverse=True)
    waiting = [act(requester, id=each) for each in ids]
    others = act(other)
    await asked(store, lapsed, approved, ended, *waiting, others)
    async with store.unit_of_work() as unit:
        before = await unit.acts().count_open(requester)
        await unit.acts().approve(approved, second)
        await unit.acts().end(ended, second)
        await unit.record(draft())

    async with store.unit_of_work() as unit:
        listed = [each.id for each in await unit.acts().open(Unread())]
        counts = [await unit.acts().count_open(each) for each in (requester, other, second)]
    assert listed == sorted([*ids, others.id])
    assert (before, counts) == (6, [4, 1, 0])


async def test_keys_of_one_subject_and_period_are_destroyed_and_no_others(store: Store) -> None:
    columns = "kid, subject, period, boot, key_id, key_version, wrap_suite, wrapped_key, created_at, destroyed_at"
    for kid, subject, period, destroyed in (
        ("a", "one", "2026-06", "NULL"),
        ("b", "one", "2026-06", "NULL"),
        ("c", "one", "2026-06", "5"),
        ("d", "one", "2026-05", "NULL"),
        ("e", "two", "2026-06", "NULL"),
    ):
        of = f"'{kid}', '{subject}', '{period}', 'boot', 'key', 1, 'suite', 'wrapped', 1, {destroyed}"
        await rows_of(store, f"INSERT INTO personal_key ({columns}) VALUES ({of})")
    async with store.unit_of_work() as unit:
        counted = await unit.count_personal_keys("one", "2026-06")
        destroyed_now = await unit.destroy_personal_keys("one", "2026-06")
        left = await unit.count_personal_keys("one", "2026-06")
        await unit.record(draft())

    assert (counted, destroyed_now, left) == (2, 2, 0)
    living = "SELECT kid FROM personal_key WHERE destroyed_at IS NULL AND boot = 'boot' ORDER BY kid"
    assert [row[0] for row in await rows_of(store, living)] == ["d", "e"]
    assert [row[0] for row in await rows_of(store, "SELECT kid FROM personal_key WHERE destroyed_at = 5")] == ["c"]
