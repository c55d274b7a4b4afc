"""What is recorded while something else is being changed is on record, whatever comes of that, and nobody waits for it."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from exchange import usecases
from exchange.audit import EventName, Outcome, Receipt
from exchange.custody import CustodyUnavailableError
from exchange.kernel import ConflictError, UnavailableError
from exchange.usecases import Services, personal_as_json
from exchange.usecases.steps.recording import TamperedError, draft
from exchange.usecases.steps.service_entries import service_draft
from tests.support.deriving import SECRET, ask, confirm, derive, grant
from tests.support.placing import place_entries
from tests.support.world import World
from tests.usecases.test_personal import revealed


async def between_two(world: World) -> tuple[str, str]:
    """Return a report, and the act that waits to let others derive from what was derived from it."""
    await world.enrol("GBR analyst", "GBR", "contributor", "reader")
    for name in ("NOR releaser", "NOR second releaser"):
        await world.enrol(name, "NOR", "releaser")
    root = await world.post(label=SECRET)
    await confirm(world, await grant(world, await ask(world, root)))
    derived = await derive(world, root, label=SECRET)
    asked = await grant(world, await ask(world, derived, "GBR analyst"), "NOR releaser")
    return root, str(asked.act)


async def test_altered_source_of_what_is_confirmed_is_on_record_at_once(deriving: World) -> None:
    root, waiting = await between_two(deriving)
    caller = deriving.call("NOR second releaser")
    act = (await usecases.show_pending_act(deriving.services, caller, waiting)).value.act
    deriving.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"none", root)
    async with asyncio.timeout(20):
        made = await deriving.attempt(usecases.confirm_act(deriving.services, caller, act.id, act.digest))

    assert isinstance(made.error, TamperedError)
    (entry,) = made.entries
    assert (entry["type"], entry["decision"], entry["detail"]) == ("key.opened", "failed", {"place": f"report {root}"})
    assert made.error.receipt is not None
    assert made.error.receipt.entry == entry["id"]


async def test_altered_class_that_an_act_is_about_is_told_by_a_new_process_at_once(deriving: World) -> None:
    _, waiting = await between_two(deriving)
    await place_entries(deriving)
    deriving.sql("UPDATE release_class SET facts = '{}'")
    async with deriving.another_node() as node, asyncio.timeout(20):
        shown = await deriving.attempt(usecases.show_pending_act(node, deriving.call("NOR second releaser"), waiting))

    assert shown.value.value.act.id == waiting
    assert {entry["type"] for entry in shown.entries} == {"key.opened", "act.read"}


ADDRESS = "198.51.100.77"


async def within(world: World, node: Services, *, is_lost: bool = False) -> Receipt:
    """Record within a unit that a client met something, and leave the unit, or lose what it does."""
    caller = replace(world.call("NOR reader"), source=ADDRESS)
    async with node.store.unit_of_work() as unit:
        await unit.record(draft(world.call(None), None, EventName.MEMBER_LISTED, Outcome.PERMITTED))
        receipt = await node.store.append(
            draft(caller, world.clients["NOR reader"], EventName.KEY_OPENED, Outcome.FAILED)
        )
        if is_lost:
            raise ConflictError("somebody else came first")
    return receipt


@pytest.mark.parametrize("is_lost", [False, True])
async def test_what_is_recorded_within_a_unit_stands_whether_or_not_the_unit_does(
    populated: World, is_lost: bool
) -> None:
    async with populated.another_node() as node, asyncio.timeout(20):
        made = await populated.attempt(within(populated, node, is_lost=is_lost))
    entries = {entry["type"]: entry for entry in made.entries}

    assert entries.keys() == {"key.opened"} | (set() if is_lost else {"member.listed"})
    # With a key of its own, which is durable too.
    (shown,) = await revealed(populated, entries["key.opened"])
    assert personal_as_json(shown)["source"] == ADDRESS


async def test_unit_is_not_left_as_if_all_were_well_where_what_was_put_aside_is_lost(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with populated.another_node() as node:
        monkeypatch.setattr(node.store, "_submitted", AsyncMock(side_effect=UnavailableError("no disk")))
        for is_lost in (False, True):
            made = await populated.attempt(within(populated, node, is_lost=is_lost))
            assert isinstance(made.error, UnavailableError)


async def test_of_what_was_put_aside_one_that_is_lost_takes_no_other_with_it(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with populated.another_node() as node:
        real, failing = node.store._submitted, iter([UnavailableError("no disk")])

        async def submitted(job: Any) -> Any:
            for fault in failing:
                raise fault
            return await real(job)

        monkeypatch.setattr(node.store, "_submitted", submitted)
        with suppress(UnavailableError):
            await twice(node)
        assert len([entry for entry in await populated.entries() if entry["type"] == "clock.right"]) == 1


async def twice(node: Services) -> None:
    async with node.store.unit_of_work():
        for _ in "ab":
            await record(node)


async def record(node: Services) -> None:
    with suppress(UnavailableError):
        await node.store.append(service_draft(node, EventName.CLOCK_RIGHT))


async def test_task_that_outlives_the_unit_it_began_in_records_by_itself(populated: World) -> None:
    services, over = populated.services, asyncio.Event()

    async def later() -> None:
        await over.wait()
        await record(services)

    async with services.store.unit_of_work():
        task = asyncio.create_task(later())

    async def let_go() -> None:
        over.set()
        await task

    made = await populated.attempt(let_go())

    assert [entry["type"] for entry in made.entries] == ["clock.right"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.PERMITTED])
async def test_without_custody_a_failure_is_put_aside_without_its_personal_data_and_nothing_else_is(
    populated: World, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    async def met(node: Services) -> None:
        async with node.store.unit_of_work():
            await node.store.append(draft(populated.call("NOR reader"), client, EventName.KEY_OPENED, outcome))

    client = populated.clients["NOR reader"]
    async with populated.another_node() as node:
        away = AsyncMock(side_effect=CustodyUnavailableError("custody is away"))
        monkeypatch.setattr(node.store._personal, "_custody", replace(node.store._personal._custody, wrap=away))
        made = await populated.attempt(met(node))

    if outcome is Outcome.PERMITTED:
        assert (type(made.error), made.entries) == (UnavailableError, [])
    else:
        assert [personal_as_json(each) for each in await revealed(populated, made.entry)] == [None]
