"""What the database's owner writes beside the log's entries: told as damage to the log, and nothing else stands still."""

import itertools
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError
from exchange.usecases import check_readiness
from exchange.usecases.log.ask_witness import AskedState
from exchange.usecases.log.read_log import WhichCheckpoint, prove_entry, read_checkpoint
from exchange.usecases.log.sequence_log import Step
from exchange.usecases.log.sweep_log import Sweep
from exchange.usecases.log.witnesses import set_quorum
from tests.support.alerted_world import AlertedWorld
from tests.support.put_back import kept_rows
from tests.support.witnessed_world import Watched
from tests.support.world import World
from tests.usecases import test_alerts

alerted = test_alerts.alerted

NO_TEXT = ["x'7bff'", "CAST(x'7bff' AS TEXT)"]
"""What SQLite keeps where a text belongs, and no driver makes a text of."""


async def of_code(act: Awaitable[Any]) -> str:
    """Return under which code what fails is told as unavailable."""
    with pytest.raises(UnavailableError) as fault:
        await act
    return fault.value.code


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", NO_TEXT)
async def test_log_whose_name_is_no_text_is_shown_so_and_frozen(watched: Watched, value: str) -> None:
    watched.world.unguard("log_state")
    watched.world.sql(f"UPDATE log_state SET origin = {value}")

    assert (await watched.view()).origin == "{\\xff"
    await usecases.describe_caller(watched.world.services, watched.world.call("GBR reader"))
    assert await watched.opened.step() is Step.FROZEN


@pytest.mark.each_on_both
@pytest.mark.parametrize("value", ["'x'", *NO_TEXT])
async def test_keys_that_are_none_are_told_as_damage_to_the_log(watched: Watched, backend: str, value: str) -> None:
    if backend == "postgresql" and value in NO_TEXT:
        pytest.skip("PostgreSQL keeps the types of its columns")
    await watched.enrol("nor")
    await set_quorum(watched.world.services, watched.world.call(None), 1)
    await watched.opened.keep()
    await watched.ask("nor")
    watched.world.unguard("log_state")
    watched.world.sql(f"UPDATE log_state SET keys = {value}")

    assert await of_code(watched.view()) == "log-damaged"
    call = watched.world.call("auditor")
    assert await of_code(read_checkpoint(watched.world.services, call, WhichCheckpoint.WITNESSED)) == "log-damaged"
    witnessing = replace(watched.world.services.witnessing, quorum_seconds=60)
    ready = await check_readiness(replace(watched.world.services, witnessing=witnessing))
    assert [each.name for each in ready.checks if not each.is_working] == ["witnesses"]


async def newest(world: World) -> None:
    await read_checkpoint(world.services, world.call("auditor"))


async def kept(world: World) -> None:
    await read_checkpoint(world.services, world.call("auditor"), WhichCheckpoint.KEPT)


async def proven(world: World) -> None:
    ((entry,),) = world.sql("SELECT entry_id FROM log_leaf WHERE position = 1")
    await prove_entry(world.services, world.call("auditor"), entry)


SHOWING: dict[str, tuple[str, Callable[[World], Awaitable[None]]]] = {
    "newest": ("log_state", newest),
    "kept": ("log_checkpoint", kept),
    "proven": ("log_state", proven),
}


async def test_checkpoint_that_is_none_is_not_the_caller_s_fault(watched: Watched, subtests: pytest.Subtests) -> None:
    world, keys = watched.world, {"log_state": ("log",), "log_checkpoint": ("log", "size")}
    for table in keys:
        world.unguard(table)
    put_back = kept_rows(world, keys)
    for (name, (table, shown)), note in itertools.product(SHOWING.items(), ("x", "a note\n\n— x AAAAAAA=\n")):
        await shown(world)
        world.sql(f"UPDATE {table} SET note = $1", note.encode())
        with subtests.test(name, note=note):
            assert await of_code(shown(world)) == "log-damaged"
        put_back()


async def test_witnesses_are_not_shown_by_a_checkpoint_that_is_none(watched: Watched) -> None:
    await watched.enrol("nor")
    watched.world.unguard("log_checkpoint")
    watched.world.sql("UPDATE log_checkpoint SET note = $1", b"x")

    assert await of_code(watched.view()) == "log-damaged"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", NO_TEXT)
async def test_name_of_the_log_that_is_no_text_keeps_no_alert_from_being_raised(
    alerted: AlertedWorld, value: str
) -> None:
    alerted.world.unguard("log_state")
    alerted.world.sql(f"UPDATE log_state SET origin = {value}, frozen_why = {value}")
    await alerted.watch.look()

    assert await alerted.rules_told() == ["frozen"]


@pytest.mark.each_on_both
@pytest.mark.parametrize("size", ["9223372036854775807", "'x'", *NO_TEXT])
async def test_size_that_no_checkpoint_has_silences_no_witness(watched: Watched, backend: str, size: str) -> None:
    if backend == "postgresql" and not size.isdecimal():
        pytest.skip("PostgreSQL keeps the types of its columns")
    await watched.enrol("nor")
    await watched.ask("nor")
    said = await watched.opened.grow()
    await watched.ask("nor")
    for table in ("log_cosignature", "log_checkpoint"):
        watched.world.unguard(table)
    before = f"size < {said.size}"
    watched.world.sql(f"UPDATE log_cosignature SET size = {size} WHERE {before}")

    assert [each.size for each in (await watched.view()).witnesses] == [said.size]
    kept = await watched.opened.grow()
    assert (await watched.ask("nor")).state is AskedState.COSIGNED
    assert [each.size for each in (await watched.view()).witnesses] == [kept.size]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", NO_TEXT)
async def test_entry_whose_id_is_no_text_keeps_no_other_from_being_put_back(watched: Watched, value: str) -> None:
    """The loop of the sequencer ended at it, and with that whatever else its process does, again and again."""
    world, tree = watched.world, watched.opened.tree
    await usecases.describe_caller(world.services, world.call("GBR reader"))
    world.unguard()
    world.sql("DELETE FROM audit_outbox")
    world.sql(f"UPDATE audit_entry SET id = {value} WHERE id = (SELECT min(entry_id) FROM log_leaf)")

    made = await world.attempt(Sweep(tree, world.services.store.append, world.clock, os.urandom).chunk())

    assert [entry["type"] for entry in made.entries] == ["entry.swept"]


NO_PLACES = ("log = 7", "position = -1", "position = 1000000", "position = 9223372036854775807", "position = 'x'")


async def test_entry_in_no_place_is_not_the_caller_s_fault(
    watched: Watched, backend: str, subtests: pytest.Subtests
) -> None:
    world = watched.world
    ((entry, size),) = world.sql("SELECT entry_id, (SELECT max(size) FROM log_state) FROM log_leaf WHERE position = 1")
    world.unguard("log_leaf")
    put_back = kept_rows(world, {"log_leaf": ("entry_id",)})
    for place in NO_PLACES:
        if backend == "postgresql" and "'" in place:
            continue  # it keeps the types of its columns
        world.sql(f"UPDATE log_leaf SET {place} WHERE position = 1")
        with subtests.test(place):
            for asked in (None, size):
                proof = prove_entry(world.services, world.call("auditor"), entry, asked)
                assert await of_code(proof) == "log-damaged"
        put_back()
