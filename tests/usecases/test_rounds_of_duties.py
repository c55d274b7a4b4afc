"""Rounds that look for breaches: where they begin, how much one does, and that a text's change sheds no promise."""

import importlib
from collections.abc import Awaitable, Callable
from typing import NoReturn

import pytest

from exchange import usecases
from exchange.kernel import rfc3339
from exchange.markings import Label
from exchange.usecases import DutyWatch
from tests.support.lived import MakeLived
from tests.support.world import World
from tests.usecases.test_amending import concluded
from tests.usecases.test_breaches import DAY, MINUTE, OWING, flash, found, made_owing

find_breaches = importlib.import_module("exchange.usecases.promises.find_breaches")


@pytest.fixture
async def owing(make_lived: MakeLived) -> World:
    return (await make_lived(made_owing))[0]


async def test_amendment_that_leaves_a_rhythm_as_it_was_takes_back_nothing_of_a_silence(owing: World) -> None:
    owing.clock.advance(DAY - 10 * MINUTE)
    await concluded(owing, OWING.replace("PT10M", "PT20M"))
    owing.clock.advance(11 * MINUTE)
    await DutyWatch(owing.services).round()

    told = [(entry["detail"]["kind"], entry["detail"]["owed_to"]) for entry in await found(owing)]
    assert sorted(told) == [("report", "DNK"), ("report", "NOR")]


async def test_more_breaches_than_one_round_puts_on_the_record_are_each_there_once_in_the_end(
    owing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_breaches, "_AT_ONCE", 2)
    reports = [await flash(owing) for _ in range(5)]
    owing.clock.advance(11 * MINUTE)
    watch = DutyWatch(owing.services)

    assert [await watch.round() for _ in range(4)] == [True, True, False, False]
    assert sorted(entry["detail"]["report"] for entry in await found(owing)) == sorted(reports)


async def test_agreement_that_binds_nobody_is_not_read_again_until_it_does(
    owing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, parties = DutyWatch(owing.services), [owing.call(f"{member} signatory") for member in ("GBR", "NOR")]
    for party in parties:
        await usecases.suspend_agreement(owing.services, party, owing.agreement_id)
    owing.clock.advance(DAY)
    await watch.round()
    owing.clock.advance(DAY)

    def read(*_: object) -> NoReturn:
        pytest.fail("an agreement that binds nobody was read again")

    with monkeypatch.context() as patched:
        patched.setattr(find_breaches, "versions_of", read)
        assert await watch.round() is False
    for member in ("GBR", "NOR"):
        await usecases.resume_agreement(owing.services, owing.call(f"{member} signatory"), owing.agreement_id)
    report = await flash(owing)
    owing.clock.advance(11 * MINUTE)
    await watch.round()

    assert [entry["detail"].get("report") for entry in await found(owing)] == [report]


async def test_nobody_is_accused_of_silence_towards_who_was_no_reader_then(owing: World) -> None:
    for_all = Label("NATO", "RESTRICTED", releasable_to=("DNK", "ESP", "GBR", "NOR"))
    acceded = OWING.replace("parties: [GBR, NOR, DNK]", "parties: [GBR, NOR, DNK, ESP]")
    acceded = acceded.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR, DNK, ESP]")
    watch = DutyWatch(owing.services)
    for step in range(3):
        await owing.post(label=for_all)
        if step == 1:
            # One of them stops, and one comes to whom what is there already is not given.
            await concluded(owing, acceded, ("GBR", "NOR", "DNK", "ESP"))
            await usecases.suspend_agreement(owing.services, owing.call("DNK signatory"), owing.agreement_id)
        owing.clock.advance(DAY - MINUTE)
        await watch.round()
    assert [entry for entry in await found(owing) if entry["detail"]["kind"] == "report"] == []

    owing.clock.advance(2 * MINUTE)
    await watch.round()
    silences = [entry["detail"] for entry in await found(owing) if entry["detail"]["kind"] == "report"]
    assert sorted(each["owed_to"] for each in silences) == ["ESP", "NOR"]


async def test_draft_that_binds_nobody_yet_keeps_no_breach_from_being_found(owing: World) -> None:
    report = await flash(owing)
    await usecases.propose_agreement(owing.services, owing.call(None), OWING.replace("North Sea", "Nordic"))
    owing.clock.advance(11 * MINUTE)

    assert await DutyWatch(owing.services).round() is False
    assert [entry["detail"]["report"] for entry in await found(owing)] == [report]


async def test_what_fell_due_while_no_node_looked_is_found_though_the_agreement_came_and_went(
    populated: World,
) -> None:
    brief = OWING.replace("from: 2026-01-01, until: 2030-12-31", "from: 2026-06-02, until: 2026-06-02")
    await populated.agree(brief.replace("recalled}", "kept}"))
    watch = DutyWatch(populated.services)
    await watch.round()
    populated.clock.now = populated.clock.now.replace(hour=1) + DAY
    report = await flash(populated)
    populated.clock.advance(2 * DAY)
    await watch.round()

    assert report in [entry["detail"].get("report") for entry in await found(populated)]


async def lowered(world: World, _: str) -> None:
    low = usecases.ClearanceChange("RESTRICTED", (), None)
    await usecases.change_clearance(world.services, world.call(None), world.clients["NOR reader"].id, low)


async def marked_anew(world: World, report: str) -> None:
    narrow = world.posted(label=Label("NATO", "SECRET", releasable_to=("DNK", "GBR")))
    await usecases.amend_report(world.services, world.call("GBR contributor"), report, narrow)


async def lost(world: World, report: str) -> None:
    altered = (
        "UPDATE release_class SET facts = '{}', digest = '0' WHERE id = (SELECT class_id FROM report WHERE id = $1)"
    )
    world.sql(altered, report)


@pytest.mark.parametrize("what_was_given", [lowered, marked_anew, lost])
async def test_what_came_in_time_is_no_silence_though_nobody_may_read_it_any_more(
    owing: World, what_was_given: Callable[[World, str], Awaitable[None]]
) -> None:
    owing.clock.advance(DAY - 2 * MINUTE)
    report = await owing.post(label=Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR")))
    owing.clock.advance(MINUTE)
    await what_was_given(owing, report)
    due = owing.clock.now + DAY - MINUTE
    silences = []
    for moment in (due - DAY + 3 * MINUTE, due, due + MINUTE):
        owing.clock.now = moment
        async with owing.another_node() as node:
            await DutyWatch(node).round()
        told = [entry["detail"] for entry in await found(owing) if entry["detail"]["kind"] == "report"]
        silences.append([each["due"] for each in told if each["owed_to"] == "NOR"])

    assert silences == [[], [], [rfc3339(due)]]
