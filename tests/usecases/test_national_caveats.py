"""National caveats: asked for by one releaser, put in force by another, on every node at the next request; kept for ever."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotFoundError
from exchange.markings import Label
from exchange.release import Change, NationalText, Reason, View, load_law
from exchange.reports import PostedPart
from exchange.settings import read_policies
from exchange.usecases.members import national_caveats
from exchange.usecases.members.national_caveats import MOST_WAITING
from exchange.usecases.steps import second_person
from tests.support.lived import IN_ONE_WORLD, MakeLived
from tests.support.meanwhile import done_behind, posted_meanwhile
from tests.support.national import example, guard, no_court, not_on_to, not_to, shown
from tests.support.onward import LOW, ask, grant, with_releasers
from tests.support.put_back import kept_rows
from tests.support.world import POLICIES, World

# Sound as far as its examples go; about any other topic the sum leaves 64 bits.
ERRING = NationalText(
    guard(
        "gbr.errs",
        'context.purpose == "judicial" || (resource.topic != "cyber" && resource.level_rank + 9223372036854775807 > 0)',
    ),
    "examples:\n"
    + example("gbr.errs", forbids=True, reader="{purpose: judicial}", report="{topic: cyber}")
    + example("gbr.errs", forbids=False, report="{topic: cyber}"),
)


@pytest.fixture
async def ruling(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def propose(world: World, text: NationalText, name: str = "GBR releaser", services: Any = None) -> Any:
    return (await usecases.propose_caveats(services or world.services, world.call(name), text)).value


async def confirm(world: World, act: str, name: str = "GBR second releaser", services: Any = None) -> Any:
    services = services or world.services
    digest = (await usecases.show_pending_act(services, world.call(name), act)).value.act.digest
    return (await usecases.confirm_act(services, world.call(name), act, digest)).value


async def enforce(world: World, text: NationalText, member: str = "GBR", services: Any = None) -> Any:
    made = await propose(world, text, f"{member} releaser", services)
    await confirm(world, made.act, f"{member} second releaser", services)
    return made


async def withdraw(world: World) -> None:
    made = (await usecases.withdraw_caveats(world.services, world.call("GBR releaser"))).value
    await confirm(world, made.act)


async def can_read(world: World, report: str, name: str = "NOR reader", services: Any = None) -> bool:
    services = services or world.services
    listed = (await usecases.list_reports(services, world.call(name), usecases.ListQuery())).value.items
    is_listed = any(json.loads(item)["id"] == report for item in listed)
    try:
        await usecases.pull_report(services, world.call(name), report)
    except NotFoundError:
        assert not is_listed
        return False
    assert is_listed
    return True


async def sets(world: World, name: str = "GBR reader") -> list[Any]:
    return list((await usecases.list_caveats(world.services, world.call(name))).value)


async def test_caveat_holds_at_the_next_request_on_every_node_once_two_have_said_so(ruling: World) -> None:
    report = await ruling.post()
    async with ruling.another_node() as other:
        assert await can_read(ruling, report)
        assert await can_read(ruling, report, services=other)
        made = await propose(ruling, not_to("NOR"))

        assert await can_read(ruling, report)
        assert await can_read(ruling, report, services=other)
        await confirm(ruling, made.act)
        assert not await can_read(ruling, report)
        assert not await can_read(ruling, report, services=other)
        # Its own readers and everybody else are where they were.
        assert await can_read(ruling, report, "GBR reader", other)
        await withdraw(ruling)
        assert await can_read(ruling, report)
        assert await can_read(ruling, report, services=other)


async def test_caveat_against_passing_on_stops_who_reads_by_consent_and_nobody_else(ruling: World) -> None:
    text = not_on_to("ESP")
    report = await ruling.post(label=LOW)
    for recipient in ("ESP", "DNK"):
        await grant(ruling, await ask(ruling, report, recipient=recipient))
    async with ruling.another_node() as other:
        assert await can_read(ruling, report, "ESP reader", other)
        told = (await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), text)).value
        assert [(each.member, each.change) for each in told.changes] == [("ESP", Change.STOPPED)]
        await enforce(ruling, text)

        assert not await can_read(ruling, report, "ESP reader")
        assert not await can_read(ruling, report, "ESP reader", other)
        assert await can_read(ruling, report, "DNK reader", other)
        assert await can_read(ruling, report, "NOR reader", other)
        await withdraw(ruling)
        assert await can_read(ruling, report, "ESP reader", other)


async def test_caveat_is_asked_about_the_members_own_reports_alone(ruling: World) -> None:
    norwegian = await ruling.post("NOR contributor")
    british = await ruling.post()
    # An agency is named with its member: each of the two has one called so.
    stopped = "{member: GBR, agency: GBR/NCSC}"
    await enforce(ruling, shown([("nor.x", 'principal.agency == "GBR/NCSC"', stopped, "{agency: NOR/NCSC}")]), "NOR")

    assert not await can_read(ruling, norwegian, "GBR reader")
    assert await can_read(ruling, british, "GBR reader")
    assert await can_read(ruling, british, "NOR reader")
    assert await can_read(ruling, norwegian, "NOR reader")


async def test_refusal_names_the_caveat_in_the_log_and_nothing_to_the_reader(ruling: World) -> None:
    report = await ruling.post()
    await enforce(ruling, not_to("NOR"))
    refused = await ruling.attempt(usecases.pull_report(ruling.services, ruling.call("NOR reader"), report))
    absent = await ruling.attempt(
        usecases.pull_report(ruling.services, ruling.call("NOR reader"), "00000000-0000-7000-8000-000000000000")
    )

    assert isinstance(refused.error, NotFoundError)
    assert isinstance(absent.error, NotFoundError)
    assert (str(refused.error), refused.error.code) == (str(absent.error), absent.error.code)
    assert refused.entry["reasons"] == [Reason.NATIONAL_CAVEAT.value]
    assert refused.entry["policies"] == ["gbr.not-to-nor"]
    with pytest.raises(NotFoundError):
        await usecases.explain_report(ruling.services, ruling.call("NOR reader"), report)


async def test_permits_say_the_same_whether_the_originator_has_caveats_or_not(ruling: World) -> None:
    report = await ruling.post()
    before = await ruling.attempt(usecases.pull_report(ruling.services, ruling.call("NOR reader"), report))
    await enforce(ruling, not_to("DNK"))
    after = await ruling.attempt(usecases.pull_report(ruling.services, ruling.call("NOR reader"), report))

    # The reader's auditor sees this entry: that there are caveats, or that they changed, must not stand in it.
    assert after.entry["policies"] == before.entry["policies"]
    assert after.value.value.header_json == before.value.value.header_json


async def test_caveat_that_errs_refuses_its_members_reports_and_no_others(ruling: World) -> None:
    british, norwegian = await ruling.post(), await ruling.post("NOR contributor")
    await enforce(ruling, ERRING)
    refused = await ruling.attempt(usecases.pull_report(ruling.services, ruling.call("NOR reader"), british))

    assert isinstance(refused.error, NotFoundError)
    assert refused.entry["reasons"] == [Reason.RULE_FAILED.value]
    assert await can_read(ruling, norwegian, "GBR reader")


def alter(world: World, set_id: str, guards: str) -> None:
    """Write other guards into a set that is kept, as who owns the database could."""
    lifted = (
        "ALTER TABLE caveat_set DISABLE TRIGGER ALL"
        if world.url.startswith("postgresql")
        else "DROP TRIGGER caveat_set_no_update"
    )
    for change in ("UPDATE caveat_set SET guards = 'x'", "DELETE FROM caveat_set"):
        with pytest.raises(Exception, match="what was asked for stays"):
            world.sql(change)
    world.sql(lifted)
    world.sql("UPDATE caveat_set SET guards = $1 WHERE id = $2", guards, set_id)


async def test_what_was_altered_in_the_database_refuses_its_members_reports_and_no_others(ruling: World) -> None:
    british, norwegian = await ruling.post(), await ruling.post("NOR contributor")
    made = await enforce(ruling, not_to("DNK"))
    assert await can_read(ruling, british)
    alter(ruling, made.id, guard("gbr.not-to-dnk", "false"))

    async with ruling.another_node() as other:
        assert not await can_read(ruling, british, services=other)
        assert await can_read(ruling, norwegian, "GBR reader", other)
    told = [entry for entry in await ruling.entries() if entry["type"] == "key.opened"]
    assert [(entry["owner"], entry["detail"]["place"]) for entry in told] == [("GBR", f"caveats {made.id}")]


async def test_readers_who_come_upon_it_at_once_are_refused_alike(ruling: World) -> None:
    report = await ruling.post()
    made = await enforce(ruling, not_to("DNK"))
    alter(ruling, made.id, guard("gbr.not-to-dnk", "false"))

    async with ruling.another_node() as other:
        read = await asyncio.gather(*(can_read(ruling, report, services=other) for _ in range(4)))
    assert read == [False] * 4
    assert not other.knowledge.national.altered


async def test_column_that_is_no_text_takes_no_report_of_others_from_anybody(
    ruling: World, backend: str, subtests: pytest.Subtests
) -> None:
    british, norwegian = await ruling.post(), await ruling.post("NOR contributor")
    made = await enforce(ruling, not_to("DNK"))
    await enforce(ruling, no_court("NOR"), "NOR")
    ruling.unguard("caveat_set")
    put_back = kept_rows(ruling, {"caveat_set": ("id",)})
    for column in ("id", "member", "guards", "examples", "digest"):
        ruling.sql(
            f"UPDATE caveat_set SET {column} = {'x' if backend == 'sqlite' else ''}'ff' WHERE id = $1",
            made.id,
        )
        with subtests.test(column):
            async with ruling.another_node() as other:
                is_altered = not await can_read(ruling, british, services=other)

                assert await can_read(ruling, norwegian, "GBR reader", other)
            # What is of no member that there is refuses nobody's, until the jobs put the member's own in force again.
            assert is_altered is (column in {"guards", "examples", "digest"})
        put_back()


async def test_altered_proposal_cannot_be_confirmed(ruling: World) -> None:
    made = await propose(ruling, not_to("NOR"))
    alter(ruling, made.id, guard("gbr.not-to-nor", "false"))

    with pytest.raises(ConflictError) as refused:
        await confirm(ruling, made.act)
    assert refused.value.code == "request-altered"
    assert ruling.sql("SELECT in_force_at FROM caveat_set") == [(None,)]
    assert await sets(ruling) == []


async def test_one_person_cannot_put_caveats_in_force(ruling: World) -> None:
    await ruling.enrol("gbr RELEASER", "GBR", "releaser")
    made = await propose(ruling, not_to("NOR"))

    for name in ("GBR releaser", "gbr RELEASER"):
        with pytest.raises(ConflictError) as refused:
            await confirm(ruling, made.act, name)
        assert refused.value.code == "second-person-needed"
    for name in ("NOR releaser", "GBR contributor", "operator"):
        with pytest.raises((NotFoundError, ForbiddenError)):
            await confirm(ruling, made.act, name)


@pytest.mark.parametrize("name", ["GBR contributor", "GBR reader", "GBR signatory", "operator", "auditor"])
@IN_ONE_WORLD
async def test_only_releasers_ask(share_lived: MakeLived, name: str) -> None:
    ruling, _ = await share_lived(with_releasers)
    for act in (
        usecases.propose_caveats(ruling.services, ruling.call(name), no_court()),
        usecases.withdraw_caveats(ruling.services, ruling.call(name)),
        usecases.preview_caveats(ruling.services, ruling.call(name), no_court()),
    ):
        with pytest.raises(ForbiddenError):
            await act


async def test_own_clients_list_and_read_caveats_and_others_find_none(ruling: World) -> None:
    made = await enforce(ruling, not_to("NOR"))
    shown_to_own = await usecases.show_caveats(ruling.services, ruling.call("GBR reader"), made.id)

    assert shown_to_own.value.guards == not_to("NOR").guards
    assert [each.id for each in await sets(ruling)] == [made.id]
    for name in ("NOR releaser", "operator", "auditor", "DNK signatory"):
        assert await sets(ruling, name) == []
        foreign = await ruling.attempt(usecases.show_caveats(ruling.services, ruling.call(name), made.id))
        absent = await ruling.attempt(
            usecases.show_caveats(ruling.services, ruling.call(name), "00000000-0000-7000-8000-000000000000")
        )
        assert str(foreign.error) == str(absent.error)
        assert isinstance(foreign.error, NotFoundError)
        left = [
            {key: value for key, value in each.entry.items() if key in {"decision", "detail", "owner"}}
            for each in (foreign, absent)
        ]
        assert left[0] == left[1]


async def test_of_two_confirmed_for_one_place_the_first_holds_and_the_other_is_told(
    ruling: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        # Nobody who posts waits for custody.
        posted = posted_meanwhile(patched, second_person, "_sealed", ruling)
        one, other = await propose(ruling, not_to("NOR")), await propose(ruling, not_to("DNK"))
    done_behind(monkeypatch, national_caveats, "sealed_act", lambda: confirm(ruling, one.act))

    assert len(posted) == 2
    for late in (propose(ruling, no_court()), confirm(ruling, other.act)):
        with pytest.raises(ConflictError) as refused:
            await late
        assert refused.value.code == "caveats-overtaken"
    assert {each.id: each.number for each in await sets(ruling)} == {one.id: 1, other.id: None}
    # Nothing is lost of it: it is asked for anew.
    again = await enforce(ruling, not_to("DNK"))
    numbers = {each.id: each.number for each in await sets(ruling)}
    assert numbers == {one.id: 1, other.id: None, again.id: 2}


async def test_nothing_is_asked_for_that_would_change_nothing_nor_without_end(ruling: World) -> None:
    with pytest.raises(ConflictError) as nothing:
        await usecases.withdraw_caveats(ruling.services, ruling.call("GBR releaser"))
    await enforce(ruling, not_to("NOR"))
    with pytest.raises(ConflictError) as same:
        await propose(ruling, not_to("NOR"))
    for _ in range(MOST_WAITING):
        last = await propose(ruling, no_court())
    with pytest.raises(ConflictError) as many:
        await propose(ruling, no_court())
    await propose(ruling, no_court("NOR"), "NOR releaser")
    # What was refused or has lapsed waits no more.
    await usecases.refuse_act(ruling.services, ruling.call("GBR second releaser"), last.act)
    await propose(ruling, no_court())
    ruling.clock.advance(timedelta(days=8))
    await propose(ruling, no_court())

    assert [each.value.code for each in (nothing, same, many)] == [
        "caveats-in-force",
        "caveats-in-force",
        "too-many-waiting",
    ]


async def test_refused_and_lapsed_requests_hold_nothing(ruling: World) -> None:
    report = await ruling.post()
    one, other = await propose(ruling, not_to("NOR")), await propose(ruling, not_to("DNK"))
    await usecases.refuse_act(ruling.services, ruling.call("GBR second releaser"), one.act)
    ruling.clock.advance(timedelta(days=8))

    assert {each.id: each.act_state for each in await sets(ruling)} == {one.id: "ended", other.id: "expired"}
    with pytest.raises(ConflictError):
        await confirm(ruling, other.act)
    assert await can_read(ruling, report)


async def test_law_that_changed_since_is_asked_again_before_anything_holds(ruling: World) -> None:
    text = shown([("gbr.token", 'context.assurance == "token"', "{assurance: token}", "{}")])
    made = await propose(ruling, text)
    files = read_policies(POLICIES)
    # The files took its id: which of the two would be meant, nobody could say.
    files["guards/exchange.cedar"] += guard("gbr.token", "false")
    later = replace(ruling.services, law=load_law(files))

    with pytest.raises(InvalidError):
        await confirm(ruling, made.act, services=later)
    assert [each.number for each in await sets(ruling)] == [None]
    other = await propose(ruling, not_to("NOR"))
    await confirm(ruling, other.act, services=later)
    assert {each.id: each.number for each in await sets(ruling)} == {made.id: None, other.id: 1}


async def test_what_is_asked_for_is_fit_or_refused_with_every_fault(ruling: World) -> None:
    text = NationalText(guard("nor.x") + guard("gbr.y", 'resource.originator == "NOR"'), "examples: []")
    refused = await ruling.attempt(usecases.propose_caveats(ruling.services, ruling.call("GBR releaser"), text))

    assert isinstance(refused.error, InvalidError)
    assert {fault.code for fault in refused.error.faults} == {"bad-id", "names-an-originator"}
    assert refused.entry["type"] == "caveats.proposed"
    assert refused.entry["decision"] == "refused"
    assert await sets(ruling) == []


async def test_entries_name_the_set_and_hold_nothing_of_its_text(ruling: World) -> None:
    made = await propose(ruling, not_to("NOR"))
    confirmed = await ruling.attempt(confirm(ruling, made.act))
    activated = next(entry for entry in confirmed.entries if entry["type"] == "caveats.activated")

    assert activated["owner"] == "GBR"
    assert activated["object"] == {"type": "caveats", "id": made.id}
    assert activated["detail"]["digest"] == not_to("NOR").digest("GBR")
    assert activated["detail"]["number"] == 1
    told = json.dumps(await ruling.entries())
    assert "not-to-nor" not in told
    assert "forbid (" not in told


async def test_history_knows_which_caveats_held_when(ruling: World) -> None:
    await ruling.enrol("GBR auditor", "GBR", "auditor")
    report = await ruling.post()
    ruling.clock.advance(timedelta(hours=1))
    begun = ruling.clock.now
    await enforce(ruling, not_to("NOR"))
    ruling.clock.advance(timedelta(hours=1))
    ended = ruling.clock.now
    await withdraw(ruling)
    ruling.clock.advance(timedelta(hours=1))

    async def could(since: Any, until: Any = None) -> dict[str, Any]:
        ruling.sequence()
        told = await usecases.readers_on(ruling.services, ruling.call("GBR auditor"), report, since, until)
        return {each.member: each for each in told.value.could}

    step = timedelta(minutes=1)
    assert "NOR" in await could(begun - step)
    assert "NOR" not in await could(begun + step)
    assert "GBR" in await could(begun + step)
    assert "NOR" not in await could(begun, ended)
    after = await could(begun + step, ended + step)
    assert (after["NOR"].since, after["NOR"].view) == (ended, View.FULL)
    assert "NOR" in await could(ended + step)


async def test_preview_names_what_would_stop_and_keeps_nothing(ruling: World) -> None:
    lower = PostedPart(Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")), "text/plain", "x.txt", b"x")
    # Of another class, and told as the same.
    report, *_ = await ruling.post(), await ruling.post(parts=(lower,)), await ruling.post("NOR contributor")
    told = (await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), not_to("NOR"))).value

    assert told.guards == (("gbr.not-to-nor", "because"),)
    assert told.examples == 2
    (change,) = told.changes
    assert (change.member, change.change, change.reports) == ("NOR", Change.STOPPED, 2)
    assert change.marking == "NATO SECRET//REL TO GBR, NOR"
    # What was counted is remembered, and of one text alone; what was recalled since is counted no more.
    other = (await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), not_to("DNK"))).value
    assert other.changes == ()
    await usecases.recall_report(ruling.services, ruling.call("GBR releaser"), report, "it was wrong")
    (change,) = (
        await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), not_to("NOR"))
    ).value.changes
    assert change.reports == 1
    assert await sets(ruling) == []
    await enforce(ruling, not_to("NOR"))
    (opened,) = (await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), no_court())).value.changes
    assert (opened.member, opened.change, opened.reports) == ("NOR", Change.OPENED, 1)


async def test_preview_counts_nothing_that_time_alone_has_ended(ruling: World) -> None:
    report, over = await ruling.post(label=LOW), datetime(2031, 1, 1, tzinfo=UTC)
    text = shown([("gbr.own", 'principal.member != "GBR"', "{member: NOR}", "{member: GBR}")])
    await grant(ruling, await ask(ruling, report, until=over - timedelta(minutes=3)))
    told = []
    # A consent, and then the agreement; a count is remembered for longer than that.
    for minute in (-5, -2, 1):
        ruling.clock.now = over + timedelta(minutes=minute)
        told.append((await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), text)).value)

    assert [[each.member for each in made.changes] for made in told] == [["ESP", "NOR"], ["NOR"], []]


async def test_preview_says_nothing_about_clients_of_others(ruling: World) -> None:
    await ruling.post()
    text = shown(
        [
            (
                "gbr.one",
                'principal.nationality == "ESP" && principal.member == "NOR"',
                "{nationality: ESP, member: NOR}",
                "{}",
            )
        ]
    )
    without = (await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), text)).value
    await ruling.enrol("NOR spaniard", "NOR", "reader", nationality="ESP")

    told = (await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), text)).value
    assert told == without
    assert [(each.member, each.change) for each in told.changes] == [("NOR", Change.NARROWED)]
    # Whom the caveats in force speak of is asked about too.
    await enforce(ruling, text)
    opened = (await usecases.preview_caveats(ruling.services, ruling.call("GBR releaser"), no_court())).value
    assert [(each.member, each.change) for each in opened.changes] == [("NOR", Change.OPENED)]


async def test_gaps_and_amendments_tell_others_nothing_of_caveats(ruling: World) -> None:
    async def gaps(name: str) -> set[tuple[str, str]]:
        found = await usecases.search_gaps(
            ruling.services, ruling.call(name), usecases.GapQuestion(topic="cyber.apt", level="SECRET")
        )
        return {(gap.contributor, gap.reader) for gap in found.value}

    before = await gaps("NOR reader")
    own = await gaps("GBR reader")
    await enforce(ruling, not_to("NOR"))

    assert await gaps("NOR reader") == before
    assert await gaps("GBR reader") == own | {("GBR", "NOR")}


async def test_simulation_and_explanation_of_the_originator_show_its_own_caveats(ruling: World) -> None:
    report = await ruling.post()
    await enforce(ruling, not_to("NOR"))
    simulated = usecases.SimulatedReport(
        ruling.agreement_id, "cyber-threats", "intrep", "cyber.apt", ("EUR",), ruling.posted().label
    )
    told = (await usecases.simulate_release(ruling.services, ruling.call("GBR contributor"), simulated)).value

    outlook = {each.member: each for each in told.members}
    assert outlook["NOR"].agencies == ()
    assert outlook["NOR"].reasons == (Reason.NATIONAL_CAVEAT,)
    assert outlook["GBR"].agencies
    explained = await usecases.explain_report(ruling.services, ruling.call("GBR contributor"), report)
    assert explained.value.decision is not None
