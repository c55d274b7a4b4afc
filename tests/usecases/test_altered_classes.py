"""Release classes whose rows were altered: what is sealed tells what they were, and what it does not tell shows nobody."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from exchange import usecases
from exchange.kernel import ExchangeError
from exchange.release import ClassFacts, Consent, class_as_json, class_from_json
from tests.support import onward
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.world import World
from tests.usecases.test_amending import RAISED, concluded

Reports = tuple[World, dict[str, str]]
Change = Callable[[ClassFacts], ClassFacts]


async def reported(world: World) -> dict[str, str]:
    """Have a report of the second text of an agreement, and one that was released to ESP as well."""
    await onward.with_releasers(world)
    await concluded(world, RAISED)
    told = {"plain": await world.post(label=onward.LOW)}
    told["released"] = await world.post(label=onward.LOW)
    await onward.grant(world, await onward.ask(world, told["released"]))
    await place_entries(world, is_searchable=True)
    return told


@pytest.fixture
async def classed(make_lived: MakeLived) -> Reports:
    return await make_lived(reported)


def change_class(world: World, report: str, change: Change) -> None:
    """Alter the facts of a report's class, and leave its digest."""
    which = "id = (SELECT class_id FROM report WHERE id = {})"
    ((stored,),) = world.sql(f"SELECT facts FROM release_class WHERE {which.format('$1')}", report)
    facts = change(class_from_json(json.loads(stored)))
    written = json.dumps(class_as_json(facts))
    world.sql(f"UPDATE release_class SET facts = $1 WHERE {which.format('$2')}", written, report)


def other_edition(facts: ClassFacts) -> ClassFacts:
    assert facts.edition == 2
    return replace(facts, edition=1)


def invented_consent(facts: ClassFacts) -> ClassFacts:
    return replace(facts, consents=(Consent.over([facts.label], member="ESP"),))


async def reads(act: Awaitable[object]) -> bool:
    try:
        await act
    except ExchangeError:
        return False
    return True


@pytest.mark.parametrize("change", [other_edition, invented_consent])
async def test_seal_tells_under_which_text_and_with_which_consents_a_report_is(
    classed: Reports, change: Change
) -> None:
    world, reports = classed
    change_class(world, reports["plain"], change)
    async with world.another_node() as node:
        read = {
            name: await reads(usecases.pull_report(node, world.call(name), reports["plain"]))
            for name in ("NOR reader", "ESP reader")
        }

    assert read == {"NOR reader": True, "ESP reader": False}
    failed = [entry["detail"] for entry in await world.entries() if entry["type"] == "key.opened"]
    assert {"place": "release class", "done": "what is sealed tells what it was"} in failed


async def test_class_whose_consents_are_gone_is_not_guessed(classed: Reports) -> None:
    """A header does not tell them: of the class nothing is shown, to whom they let in and to nobody else."""
    world, reports = classed
    change_class(world, reports["released"], lambda facts: replace(facts, consents=()))
    async with world.another_node() as node:
        read = [
            await reads(usecases.pull_report(node, world.call(name), reports["released"]))
            for name in ("NOR reader", "ESP reader")
        ]
        other = await reads(usecases.pull_report(node, world.call("NOR reader"), reports["plain"]))

    assert (read, other) == ([False, False], True)
    failed = [entry["detail"] for entry in await world.entries() if entry["type"] == "key.opened"]
    assert {"place": "release class", "done": "nothing of it is shown"} in failed
