"""The keys of personal data that one process has made: durable before use, one for all who wait, forgotten once gone."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from exchange.audit import Guard
from exchange.kernel import UnavailableError
from exchange.store import PersonalCustody
from exchange.store.books import personal_keys
from exchange.store.books.personal_keys import PersonalKeys, Place
from exchange.store.database.dialect import Parameters, Row, Value
from tests.support.store import NOW, draft, wrap_nothing

FROM_AFAR = draft(source="192.0.2.7")


@dataclass
class Database:
    """Rows that become durable once `is_up` lets them, and keys that were destroyed."""

    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    rows: list[tuple[Value, ...]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)

    async def keep(self, row: tuple[Value, ...]) -> None:
        await self.is_up.wait()
        if self.faults:
            raise self.faults.pop()
        self.rows.append(row)

    async def fetch(self, _: Parameters) -> Sequence[Row]:
        found = [(kid,) for kid in self.destroyed]
        await self.is_up.wait()
        return found


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def keys(database: Database) -> PersonalKeys:
    custody = PersonalCustody(wrap_nothing, bytes(32))
    return PersonalKeys(custody, database.fetch, database.keep, boot="boot", clock=lambda: NOW, randomness=os.urandom)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def kid_of(guard: Guard | None) -> str:
    assert guard is not None
    assert guard.key is not None
    return guard.key.kid


async def test_nobody_uses_a_key_before_it_is_durable(keys: PersonalKeys, database: Database) -> None:
    asked = [asyncio.create_task(keys.guard(FROM_AFAR))]
    await settled()
    asked.append(asyncio.create_task(keys.guard(FROM_AFAR)))
    await settled()
    assert not any(each.done() for each in asked)

    database.is_up.set()
    # One key for all who waited, and whoever comes later.
    kids = {kid_of(await each) for each in asked} | {kid_of(await keys.guard(FROM_AFAR))}
    assert kids == {str(row[0]) for row in database.rows}


async def test_nobody_uses_a_key_that_is_put_aside_before_it_is_durable(keys: PersonalKeys, database: Database) -> None:
    guard, keep = await keys.guard_to_keep(FROM_AFAR)
    keeping = asyncio.ensure_future(keep())
    await settled()
    place = keys.place_of(FROM_AFAR)
    assert place is not None
    assert await keys.held(place) is None

    database.is_up.set()
    await keeping
    assert await keys.held(place) is guard


async def test_who_goes_away_takes_the_key_from_nobody_who_waits_for_it(keys: PersonalKeys, database: Database) -> None:
    first, second = [asyncio.create_task(keys.guard(FROM_AFAR)) for _ in range(2)]
    await settled()
    first.cancel()
    await settled()
    database.is_up.set()

    assert kid_of(await second) == database.rows[0][0]


async def test_key_that_could_not_be_kept_is_made_anew(keys: PersonalKeys, database: Database) -> None:
    database.is_up.set()
    database.faults.append(UnavailableError("no disk"))
    with pytest.raises(UnavailableError, match="no disk"):
        await keys.guard(FROM_AFAR)
    assert database.rows == []

    assert kid_of(await keys.guard(FROM_AFAR)) == database.rows[0][0]


async def test_key_that_is_destroyed_while_it_is_asked_which_are_is_forgotten_next(
    keys: PersonalKeys, database: Database
) -> None:
    database.is_up.set()
    kid = kid_of(await keys.guard(FROM_AFAR))
    database.is_up.clear()
    keys.see(1)
    asking = asyncio.create_task(keys.guard(FROM_AFAR))
    await settled()
    # An erasure that the answer on its way does not know.
    database.destroyed.append(kid)
    keys.see(2)
    database.is_up.set()
    await asking

    assert kid_of(await keys.guard(FROM_AFAR)) != kid


async def test_only_so_many_keys_are_remembered(
    keys: PersonalKeys, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_keys, "_MOST_GUARDS", 2)
    places = [Place(subject, "2026-03") for subject in ("one", "two", "three")]
    for place in places:
        keys.remember(place, (await keys.new_key(place)).guard)

    assert [await keys.held(place) is not None for place in places] == [False, False, True]
