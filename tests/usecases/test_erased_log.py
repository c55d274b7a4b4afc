"""Personal data that is gone from a log as it lies in a database: erased by two persons, or by its owner alone."""

import dataclasses
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exchange import usecases
from exchange.audit.verify import Step, Verification
from exchange.custody import create_log_key
from exchange.usecases import WantedErasure
from tests.support.log import ORIGIN, Log, LogClock
from tests.support.verified_log import verified
from tests.support.world import World

PERIOD = "2026-06"


@pytest.fixture
async def log(populated: World, tmp_path: Path) -> AsyncIterator[Log]:
    """The log of a world in which clients act."""
    folder = tmp_path / "log"
    folder.mkdir()
    key = create_log_key(folder / "log.key", ORIGIN, os.urandom)
    made = Log(populated.url, folder, populated.services.store, key, LogClock(populated.clock()))
    yield made
    for tree in made.trees:
        await tree.close()


async def act(world: World, name: str = "NOR reader") -> None:
    await usecases.describe_caller(world.services, world.call(name))


async def erase(world: World, name: str = "NOR reader") -> None:
    wanted = WantedErasure(world.clients[name].id, PERIOD, "asked for")
    asked = await usecases.request_erasure(world.services, world.call("operator"), wanted)
    await usecases.approve_erasure(world.services, world.call("auditor"), asked.value.act.id)


def destroy(world: World, name: str = "NOR reader") -> None:
    """Do as the database's owner can, without asking anybody."""
    subject = world.clients[name].id
    living = "subject = $2 AND destroyed_at IS NULL"
    world.sql(f"UPDATE personal_key SET wrapped_key = $1, destroyed_at = 1 WHERE {living}", b"", subject)


async def found(log: Log) -> Verification:
    await log.drain()
    return await verified(log, node_keys=())


def erasures(verification: Verification) -> list[tuple[Step, str]]:
    return [(each.step, each.why) for each in verification.findings]


async def test_log_verifies_after_an_erasure_and_says_erased(populated: World, log: Log) -> None:
    await act(populated)
    before = await found(log)
    await erase(populated)
    await act(populated)

    after = await found(log)

    assert (before.findings, after.findings) == ((), ())
    assert not any("erased" in note for note in before.notes)
    assert [note for note in after.notes if "erased" in note] == ["personal data of 1 entry is erased"]


async def test_erasure_while_the_log_is_verified_is_found_by_the_next_look(populated: World, log: Log) -> None:
    await act(populated)
    await log.drain()
    left = [lambda: erase(populated)]

    async def erase_once() -> None:
        while left:
            await left.pop()()

    meanwhile = await verified(log, node_keys=(), meanwhile=erase_once)

    assert (meanwhile.findings, (await found(log)).findings) == ((), ())


async def test_key_that_one_alone_destroyed_is_noticed(populated: World, log: Log) -> None:
    await act(populated)
    destroy(populated)

    ((step, why),) = erasures(await found(log))

    assert step is Step.ERASURE
    assert "no erasure that two persons approved" in why


async def test_approved_erasure_covers_no_key_that_went_later(populated: World, log: Log) -> None:
    await act(populated)
    await erase(populated)
    await act(populated)
    destroy(populated)

    ((step, why),) = erasures(await found(log))

    assert step is Step.ERASURE
    assert "more are gone than approved erasures destroyed" in why


async def test_every_erasure_of_one_person_is_counted(populated: World, log: Log) -> None:
    for _ in range(2):
        await act(populated)
        async with populated.another_node() as node:
            await usecases.describe_caller(node, dataclasses.replace(populated.call("NOR reader")))
        await erase(populated)

    verification = await found(log)

    assert verification.findings == ()
    assert "personal data of 4 entries is erased" in verification.notes


async def test_erased_key_that_was_put_back_is_noticed(populated: World, log: Log) -> None:
    await act(populated)
    subject = populated.clients["NOR reader"].id
    ((kept,),) = populated.sql("SELECT wrapped_key FROM personal_key WHERE subject = $1", subject)
    await erase(populated)
    assert erasures(await found(log)) == []
    populated.unguard("personal_key")
    back = "UPDATE personal_key SET wrapped_key = $1, destroyed_at = NULL WHERE subject = $2"
    populated.sql(back, bytes(kept), subject)

    assert erasures(await found(log)) == [(Step.ROWS, "1 keys were erased by two persons, and 0 are gone")]
