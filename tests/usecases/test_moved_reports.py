"""Whoever owns the database moves a report to another release class: nobody learns, gets or does anything by that."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import EventName, Outcome
from exchange.kernel import InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.release import ClassFacts, class_as_json, class_digest, class_from_json
from exchange.reports import Downgrade, PostedReport
from exchange.store import DerivationWish, Parts
from exchange.usecases.life.sweep_reports import sweep_reports
from exchange.usecases.steps.recording import TamperedError, about_report, draft
from exchange.usecases.steps.seeking import judge
from tests.support.lived import MakeLived
from tests.support.onward import ask, grant, wish
from tests.support.placing import place_entries
from tests.support.world import World

HIDDEN = Label("NATO", "SECRET", releasable_to=("GBR",))
MIDDLE = Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
Reports = dict[str, str]


async def reported(world: World) -> Reports:
    """Post what GBR keeps for itself, what NOR reads, and one of NOR's own; place all entries."""
    for name in ("GBR releaser", "NOR releaser", "GBR auditor", "NOR auditor"):
        await world.enrol(name, name[:3], name.partition(" ")[2])
    await world.enrol("NOR analyst", "NOR", "contributor", "reader")
    told = {"hidden": await world.post(label=HIDDEN), "ended": await world.post(label=HIDDEN)}
    told |= {"read": await world.post(label=MIDDLE), "low": await world.post(label=LOW)}
    told["linked"] = await world.post(label=LOW)
    told["linking"] = await world.post(label=MIDDLE, references=(told["linked"],))
    raised = world.posted(label=HIDDEN)
    await usecases.amend_report(world.services, world.call("GBR contributor"), told["linked"], raised)
    told["own"] = await world.post("NOR analyst", label=MIDDLE)
    call = world.call("GBR releaser")
    await usecases.recall_report(world.services, call, told["ended"], "a source is at risk")
    await place_entries(world, is_searchable=True)
    return told


@pytest.fixture
async def lived(make_lived: MakeLived) -> tuple[World, Reports]:
    return await make_lived(reported)


def move(world: World, report: str, *, to: str) -> None:
    world.sql("UPDATE report SET class_id = (SELECT class_id FROM report WHERE id = $1) WHERE id = $2", to, report)


Act = Callable[[World, str], Awaitable[Any]]


def asked_to_derive(world: World, report: str) -> Awaitable[Any]:
    asked = DerivationWish(lowest=LOW, until=world.clock.now + timedelta(days=3), reason="police are to be warned")
    return usecases.request_derivation(world.services, world.call("NOR analyst"), report, asked)


def asked_to_pass_on(world: World, report: str) -> Awaitable[Any]:
    return usecases.request_onward(world.services, world.call("NOR reader"), report, wish())


READERS: dict[str, Act] = {
    "pull": lambda world, report: usecases.pull_report(world.services, world.call("NOR reader"), report),
    "part": lambda world, report: usecases.read_part(world.services, world.call("NOR reader"), report, 1),
    "explain": lambda world, report: usecases.explain_report(world.services, world.call("NOR reader"), report),
    "receive": lambda world, report: usecases.receive_report(world.services, world.call("NOR reader"), report),
    "onward": asked_to_pass_on,
    "derive": asked_to_derive,
}


def amended(world: World, report: str) -> Awaitable[Any]:
    body: PostedReport = world.posted(label=MIDDLE)
    return usecases.amend_report(world.services, world.call("NOR analyst"), report, body)


def lowered(world: World, report: str) -> Awaitable[Any]:
    return usecases.downgrade_report(world.services, world.call("NOR releaser"), report, Downgrade(LOW, ()))


OWNERS: dict[str, Act] = {
    "explain": lambda world, report: usecases.explain_report(world.services, world.call("NOR analyst"), report),
    "amend": amended,
    "downgrade": lowered,
    "recall": lambda world, report: usecases.recall_report(world.services, world.call("NOR releaser"), report, "ours"),
    "outlook": lambda world, report: usecases.preview_recall(world.services, world.call("NOR releaser"), report),
    "registry": lambda world, report: usecases.report_registry(world.services, world.call("NOR auditor"), report),
    "readers": lambda world, report: usecases.readers_on(
        world.services, world.call("NOR auditor"), report, world.clock.now
    ),
}


async def refused_as_absent(world: World, act: Act, report: str) -> None:
    """Check that who acts is answered as about nothing, and that no entry has the report as anybody's but GBR's."""
    made = await world.attempt(act(world, report))

    assert isinstance(made.error, NotFoundError), made
    (opened,) = [entry for entry in made.entries if entry["type"] == "key.opened"]
    assert (opened["actor"]["kind"], opened["decision"], opened["owner"]) == ("service", "failed", "GBR")
    others = [entry for entry in made.entries if entry is not opened]
    assert [(entry["decision"], entry.get("owner"), entry.get("label")) for entry in others] == [
        ("refused", None, None)
    ]


async def on_nodes_of_their_own(world: World, acts: dict[str, Act]) -> AsyncIterator[tuple[str, World, Act]]:
    """Give each act and the world as a process sees it that has met nothing yet."""
    for name, act in acts.items():
        async with world.another_node() as node:
            yield name, replace(world, services=node), act


async def test_report_moved_to_where_a_reader_looks_is_absent_for_it(
    lived: tuple[World, Reports], subtests: pytest.Subtests
) -> None:
    world, reports = lived
    move(world, reports["hidden"], to=reports["read"])
    async for name, seen, act in on_nodes_of_their_own(world, READERS):
        with subtests.test(name):
            await refused_as_absent(seen, act, reports["hidden"])


@pytest.mark.parametrize("which", ["hidden", "ended"])
async def test_report_moved_to_another_member_is_not_its_own(
    lived: tuple[World, Reports], subtests: pytest.Subtests, which: str
) -> None:
    world, reports = lived
    move(world, reports[which], to=reports["own"])
    async for name, seen, act in on_nodes_of_their_own(world, OWNERS):
        with subtests.test(name):
            await refused_as_absent(seen, act, reports[which])
            assert world.sql("SELECT count(*) FROM report WHERE sealed_header = $1", b"") == [(1,)]


async def test_who_may_read_a_report_that_was_moved_away_is_told_that_it_is_damaged(
    lived: tuple[World, Reports], subtests: pytest.Subtests
) -> None:
    world, reports = lived
    move(world, reports["read"], to=reports["hidden"])
    async for name, seen, act in on_nodes_of_their_own(world, READERS):
        with subtests.test(name):
            made = await seen.attempt(act(seen, reports["read"]))

            assert isinstance(made.error, UnavailableError)
            assert [entry["type"] for entry in made.entries] == ["key.opened"]


@pytest.mark.parametrize("damage", [None, "the header", "the end"])
async def test_originator_recalls_what_was_moved_away(lived: tuple[World, Reports], damage: str | None) -> None:
    world, reports = lived
    report, call = reports["hidden"], world.call("GBR releaser")
    move(world, report, to=reports["own"])
    if damage == "the header":
        world.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"\x00" * 64, report)
    elif damage == "the end":
        world.sql("UPDATE report SET valid_until = $1 WHERE id = $2", 1, report)

    outlook = await usecases.preview_recall(world.services, call, report)
    assert outlook.value.marking == "NATO SECRET//REL TO GBR"
    made = await world.attempt(usecases.recall_report(world.services, call, report, "ours"))
    assert made.value is not None, made
    opened, recalled = made.entries
    assert (opened["type"], opened["detail"]) == ("key.opened", {"place": f"report {report}"})
    assert (recalled["owner"], recalled["label"]["classification"]) == ("GBR", "SECRET")
    assert world.sql("SELECT length(sealed_header), status FROM report WHERE id = $1", report) == [(0, "recalled")]
    # Nothing is sealed any more: the log says whose it is.
    assert (await usecases.show_recall(world.services, call, report)).value.tombstone.report == report


async def test_originator_amends_what_was_moved_away_back_to_where_it_belongs(lived: tuple[World, Reports]) -> None:
    world, reports = lived
    report = reports["read"]
    move(world, report, to=reports["own"])
    call = world.call("GBR contributor")
    await usecases.amend_report(world.services, call, report, world.posted(label=MIDDLE))

    assert (await usecases.pull_report(world.services, world.call("NOR reader"), report)).value


async def test_what_was_moved_is_known_by_its_seal_and_not_by_the_level_that_the_log_knows(
    lived: tuple[World, Reports],
) -> None:
    """Of an amended report the log says the level: a class of that level, with less than it has, is not its own."""
    world, reports = lived
    lower = await world.post(label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")))
    move(world, reports["linked"], to=lower)
    outlook = await usecases.preview_recall(world.services, world.call("GBR releaser"), reports["linked"])

    assert outlook.value.marking == "NATO SECRET//REL TO GBR"


async def test_originator_recalls_what_is_damaged_where_it_stands(lived: tuple[World, Reports]) -> None:
    world, reports = lived
    world.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"\x00" * 64, reports["hidden"])
    call = world.call("GBR releaser")

    assert (await usecases.recall_report(world.services, call, reports["hidden"], "damaged")).value.tombstone


async def test_source_that_was_moved_lower_lets_nothing_be_marked_lower(lived: tuple[World, Reports]) -> None:
    world, reports = lived
    move(world, reports["hidden"], to=reports["low"])
    for name, error in (("GBR contributor", UnavailableError), ("NOR analyst", InvalidError)):
        body = world.posted(label=LOW, references=(reports["hidden"],))
        made = await world.attempt(usecases.post_report(world.services, world.call(name), body))

        assert isinstance(made.error, error)
        if isinstance(made.error, InvalidError):
            assert [fault.code for fault in made.error.faults] == ["unknown-report"]


async def test_source_that_ended_and_was_moved_lower_lets_nothing_be_marked_lower(
    lived: tuple[World, Reports],
) -> None:
    world, reports = lived
    move(world, reports["ended"], to=reports["low"])
    body = world.posted(label=LOW, references=(reports["ended"],))
    made = await world.attempt(usecases.post_report(world.services, world.call("GBR contributor"), body))

    assert isinstance(made.error, UnavailableError)


async def test_link_to_what_was_moved_is_hidden_as_before(lived: tuple[World, Reports]) -> None:
    world, reports = lived
    move(world, reports["linked"], to=reports["read"])
    pulled = await usecases.pull_report(world.services, world.call("NOR reader"), reports["linking"])

    assert json.loads(pulled.value.header_json)["references"] == []


async def test_report_that_was_moved_is_not_ended_as_another_members(lived: tuple[World, Reports]) -> None:
    world, reports = lived
    move(world, reports["hidden"], to=reports["own"])
    await sweep_reports(world.services, world.clock.now + timedelta(days=6 * 365))
    ended = {
        entry["object"]["id"]: entry["owner"] for entry in await world.entries() if entry["type"] == "report.ended"
    }

    assert reports["hidden"] not in ended
    assert ended[reports["own"]] == "NOR"


async def test_auditor_that_meets_damage_leaves_no_entry_in_the_name_of_whom_it_asked_about(
    lived: tuple[World, Reports],
) -> None:
    world, reports = lived
    world.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"\x00" * 64, reports["read"])
    asked = usecases.explain_to_auditor(
        world.services, world.call("GBR auditor"), reports["read"], world.clients["NOR reader"].id
    )
    made = await world.attempt(asked)

    assert isinstance(made.error, UnavailableError)
    assert [entry["actor"]["kind"] for entry in made.entries if entry["type"] == "key.opened"] == ["service"]


@pytest.mark.parametrize(("report", "is_kept"), [("hidden", False), ("read", True)])
async def test_what_was_opened_goes_no_further_without_a_permit(
    lived: tuple[World, Reports], report: str, is_kept: bool
) -> None:
    world, told = lived
    call = world.call("NOR reader")
    row = await world.services.store.report_for(call.thumbprint or "", told[report], parts=Parts.NONE)
    assert row.report is not None
    judged = await judge(world.services, call, world.clients["NOR reader"], row.report, row.state)

    assert bool(judged.header_json) is is_kept


async def test_who_is_not_cleared_any_more_learns_of_no_damage_to_its_members_reports(
    lived: tuple[World, Reports],
) -> None:
    world, reports = lived
    await world.enrol("GBR former releaser", "GBR", "releaser", until=world.clock.now)
    await world.enrol("GBR former auditor", "GBR", "auditor", until=world.clock.now)
    move(world, reports["hidden"], to=reports["own"])
    for act in (
        lambda world, report: usecases.preview_recall(world.services, world.call("GBR former releaser"), report),
        lambda world, report: usecases.report_registry(world.services, world.call("GBR former auditor"), report),
    ):
        await refused_as_absent(world, act, reports["hidden"])


async def test_entry_whose_label_nobody_can_read_clears_nobody(lived: tuple[World, Reports]) -> None:
    world, reports = lived
    report, call = reports["hidden"], world.call(None)
    told = about_report(report, 2, class_facts_of(world, report))
    told["label"] = {"classification": "SECRET"}  # of no policy
    await world.services.store.append(draft(call, None, EventName.REPORT_POSTED, Outcome.PERMITTED, **told))
    world.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"\x00" * 64, report)

    await refused_as_absent(
        world,
        lambda world, report: usecases.preview_recall(world.services, world.call("GBR releaser"), report),
        report,
    )
    # Nor is a reader told of it, of wherever it was moved to.
    move(world, report, to=reports["read"])
    await refused_as_absent(
        world,
        lambda world, report: usecases.pull_report(world.services, world.call("NOR reader"), report),
        report,
    )


async def test_who_is_not_cleared_for_what_a_report_became_learns_of_no_damage_to_it(
    lived: tuple[World, Reports],
) -> None:
    """Its label was lower before it was amended, and its entry has that one."""
    world, reports = lived
    await world.enrol("GBR junior releaser", "GBR", "releaser", level="RESTRICTED")
    move(world, reports["linked"], to=reports["low"])
    call = world.call("GBR junior releaser")

    await refused_as_absent(
        world, lambda world, report: usecases.preview_recall(world.services, call, report), reports["linked"]
    )


async def test_contributor_amends_what_was_moved_away_whatever_it_is_cleared_for(lived: tuple[World, Reports]) -> None:
    """It may post what it may not read."""
    world, reports = lived
    await world.enrol("GBR clerk", "GBR", "contributor", level="RESTRICTED")
    move(world, reports["hidden"], to=reports["own"])
    body = world.posted(label=HIDDEN)

    assert (await usecases.amend_report(world.services, world.call("GBR clerk"), reports["hidden"], body)).value


@pytest.mark.parametrize("act", ["amend", "downgrade"])
async def test_originator_makes_nothing_of_what_does_not_open(lived: tuple[World, Reports], act: str) -> None:
    world, reports = lived
    world.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"\x00" * 64, reports["own"])
    made = await world.attempt(OWNERS[act](world, reports["own"]))

    assert isinstance(made.error, TamperedError)
    assert (made.entry["type"], made.entry["detail"]) == ("key.opened", {"place": f"report {reports['own']}"})
    assert made.entry["member"] == "NOR"
    assert world.sql("SELECT version FROM report WHERE id = $1", reports["own"]) == [(1,)]


async def test_source_that_ended_and_was_moved_to_the_recipient_lets_nothing_go_on_to_it(
    lived: tuple[World, Reports],
) -> None:
    """What is a recipient's own goes back to it without a consent: so nothing may be made its own by its row."""
    world, reports = lived
    derived = await world.post("NOR analyst", label=LOW, references=(reports["low"],))
    request = await ask(world, derived, "GBR reader")
    facts = replace(class_facts_of(world, reports["low"]), originator="ESP")
    stored = json.dumps(class_as_json(facts))
    world.sql("INSERT INTO release_class VALUES (99, $1, $2)", class_digest(facts), stored)
    await usecases.recall_report(world.services, world.call("GBR releaser"), reports["low"], "a source is at risk")
    world.sql("UPDATE report SET class_id = 99 WHERE id = $1", reports["low"])
    made = await world.attempt(grant(world, request, "NOR releaser"))

    assert isinstance(made.error, TamperedError)
    assert "onward.granted" not in {entry["type"] for entry in made.entries}


def class_facts_of(world: World, report: str) -> ClassFacts:
    ((facts,),) = world.sql(
        "SELECT facts FROM release_class WHERE id = (SELECT class_id FROM report WHERE id = $1)", report
    )
    return class_from_json(json.loads(facts))
