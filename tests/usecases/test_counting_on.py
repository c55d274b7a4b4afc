"""A count that takes longer than one request goes on with the next one, and tells nothing before it has ended."""

import json
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest

from exchange import usecases
from exchange.markings import Label
from exchange.release import DecisionCache
from exchange.reports import Precedence
from exchange.usecases.agreements import amending
from exchange.usecases.steps import slices
from exchange.usecases.steps.slices import NotCountedYetError
from exchange.usecases.steps.tallies import Tallies, TallyKey
from tests.attacks.hidden import open_api
from tests.support.lived import MakeLived
from tests.support.national import not_to
from tests.support.world import World
from tests.usecases.test_compliance import OWING, SCOPE

module_of_compliance = import_module("exchange.usecases.promises.show_compliance")
module_of_preview = import_module("exchange.usecases.members.preview_caveats")
TOPICS = ("cyber.apt", "cyber.crime", "cyber.vulnerability")
WITHOUT_NOR = OWING.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, DNK]")
GBR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))


async def posted(world: World) -> str:
    """Post three reports of GBR, each of a class of its own, and one of NOR."""
    main = await world.agree(OWING)
    for topic in TOPICS:
        await world.post(topic=topic, label=GBR_NOR, precedence=Precedence.FLASH)
    await world.post("NOR contributor", label=GBR_NOR)
    return main


@pytest.fixture
def without_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let each request decide about one class, and remember nothing but the tally."""
    clock = [0.0]

    def ticks() -> float:
        clock[0] += 1.0
        return clock[0]

    monkeypatch.setattr(slices, "monotonic", ticks)
    for module in (module_of_compliance, amending, module_of_preview):
        monkeypatch.setattr(module, "monotonic", ticks)
        monkeypatch.setattr(module, "MOST_SECONDS", 1.5)
    monkeypatch.setattr(module_of_preview, "_LABELS_AT_ONCE", 1)
    monkeypatch.setattr(slices, "LABELS_AT_ONCE", 1)
    return clock


async def test_count_goes_on_where_it_stopped_and_ends_with_every_figure(
    make_lived: MakeLived, without_time: list[float]
) -> None:
    world, main = await make_lived(posted)
    async with world.another_node() as node:
        node.knowledge.decisions = DecisionCache(capacity=1)
        told = []
        for _ in range(40):
            made = await world.attempt(usecases.show_compliance(node, world.call("GBR reader"), main))
            if made.error is None:
                break
            assert isinstance(made.error, NotCountedYetError)
            assert made.entries == []
            told.append(made.error.message)
    parties = {party.member: party.scopes[0] for party in made.value.value.parties}

    assert {name: record.posts for name, record in parties.items()} == {"GBR": 3, "NOR": 1, "DNK": 0}
    flash = next(each for each in parties["NOR"].acknowledgements if each.precedence == "FLASH")
    assert (flash.waiting, parties["GBR"].scope) == (3, SCOPE)
    # In words, in the order of what is counted, and by no number.
    whats = [message.partition(": ")[2].partition(" not counted yet")[0] for message in told]
    acknowledgements = {f"the acknowledgements of {each} are" for each in ("NOR", "DNK", "GBR")}
    assert whats[:3] == ["what you may read is"] * 3
    assert set(whats) == {"what you may read is", *acknowledgements}


async def test_who_asks_too_much_at_once_is_told_to_ask_again(make_lived: MakeLived, without_time: list[float]) -> None:
    world, main = await make_lived(posted)
    async with open_api(world) as api:
        answer = await api.as_client("NOR reader").get(f"/v1/agreements/{main}/compliance")

    assert (answer.status_code, answer.json()["code"]) == (503, "not-counted-yet")
    assert answer.headers["retry-after"]
    assert "parties" not in json.dumps(answer.json())


async def test_what_a_text_would_do_is_counted_on_and_said_in_words_until_then(
    make_lived: MakeLived, without_time: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, main = await make_lived(posted)
    call = world.call("GBR signatory")
    first = (await usecases.propose_amendment(world.services, call, main, WITHOUT_NOR)).value.changes
    told = []
    for _ in range(10):
        (view,) = (await usecases.list_amendments(world.services, call, main)).value
        told.append(view.changes)
        if "not counted yet" not in view.changes[-1]:
            break
    async with world.another_node() as node:
        monkeypatch.setattr(amending, "MOST_SECONDS", 1e6)
        (whole,) = (await usecases.list_amendments(node, call, main)).value

    assert first[-1].startswith("there is very much to count: what a text would do to reports is not counted yet")
    assert len(told) == len(TOPICS) + 1
    assert told[-1] == whole.changes
    assert "0 current reports become readable to NOR, 3 are lost" in told[-1]


async def test_what_caveats_would_change_is_counted_on(make_lived: MakeLived, without_time: list[float]) -> None:
    world, _ = await make_lived(posted)
    await world.enrol("GBR releaser", "GBR", "releaser")
    errors, call = [], world.call("GBR releaser")
    for _ in range(10):
        made = await world.attempt(usecases.preview_caveats(world.services, call, not_to("NOR")))
        if made.error is None:
            break
        errors.append(made.error)

    assert [type(each) for each in errors] == [NotCountedYetError] * 2
    assert sorted((each.member, each.reports, each.topic) for each in made.value.value.changes) == [
        ("NOR", 1, topic) for topic in TOPICS
    ]
    # As long as somebody goes on with it: what nobody asked for in ten minutes is counted anew.
    world.clock.advance(timedelta(minutes=9))
    assert await preview(world)
    world.clock.advance(timedelta(minutes=9))
    assert await preview(world)
    world.clock.advance(timedelta(minutes=11))
    assert not await preview(world)


async def preview(world: World) -> bool:
    """Return whether what the caveats would change is counted in one request."""
    asked = usecases.preview_caveats(world.services, world.call("GBR releaser"), not_to("NOR"))
    return (await world.attempt(asked)).error is None


async def test_what_was_decided_is_not_believed_after_a_change(
    make_lived: MakeLived, without_time: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, main = await make_lived(posted)
    async with world.another_node() as node:
        made = await world.attempt(usecases.show_compliance(node, world.call("NOR reader"), main))
        low = usecases.ClearanceChange("RESTRICTED", (), None)
        await usecases.change_clearance(node, world.call(None), world.clients["NOR reader"].id, low)
        monkeypatch.setattr(module_of_compliance, "MOST_SECONDS", 1e6)
        again = await usecases.show_compliance(node, world.call("NOR reader"), main)

    assert isinstance(made.error, NotCountedYetError)
    assert {party.member: party.scopes[0].posts for party in again.value.parties} == {"GBR": 0, "NOR": 0, "DNK": 0}


def test_many_counts_of_one_member_end_no_other_members() -> None:
    tallies, now = Tallies(), datetime(2026, 7, 1, tzinfo=UTC)
    counted = TallyKey("GBR", "reader", 1, "mutual-tls", "main", 1)
    begun = tallies.of(counted, now)
    for client in map(str, range(100)):
        tallies.of(counted._replace(member="NOR", client=client), now)

    assert tallies.of(counted, now) is begun
