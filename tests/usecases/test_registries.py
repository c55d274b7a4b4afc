"""Who received what, and who could have read a report on a day: from the log and from history, within the slice."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.agreements import PartyState
from exchange.crypto import OpeningError
from exchange.kernel import InvalidError, MalformedError, NotFoundError, UnavailableError, new_id
from exchange.markings import Label
from exchange.members import Standing
from exchange.release import View
from exchange.reports import Downgrade, PostedPart, ReportStatus
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases import ClearanceChange, Leaf, ListQuery, ReadersOn
from exchange.usecases.steps import sealed_headers
from tests.support.lived import MakeLived
from tests.support.lowering import lower
from tests.support.placing import place_entries
from tests.support.world import NOW, World, certificate_of, thumbprint_of

TO_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
TO_ALL = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
ABSENT = new_id(NOW, bytes)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def with_auditors(world: World) -> None:
    for member in ("GBR", "NOR"):
        await world.enrol(f"{member} auditor", member, "auditor", level="TOP SECRET")
    await world.enrol("low auditor", "GBR", "auditor", level="RESTRICTED")


@pytest.fixture
async def world(make_lived: MakeLived) -> World:
    return (await make_lived(with_auditors))[0]


def later(world: World, step: timedelta = HOUR) -> datetime:
    """Let time pass and return the moment reached."""
    world.clock.advance(step)
    return world.clock.now


async def pull(world: World, name: str, report: str) -> None:
    await world.attempt(usecases.pull_report(world.services, world.call(name), report))


# ── registries ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_registry_of_a_report_has_a_line_for_each_access_oldest_first(world: World) -> None:
    report = await world.post(label=TO_NOR)
    for name in ("NOR reader", "GBR reader", "DNK reader", "NOR reader"):
        later(world)
        await pull(world, name, report)
    await usecases.read_part(world.services, world.call("NOR reader"), report, 1)
    await usecases.list_reports(world.services, world.call("NOR reader"), ListQuery())
    world.sequence()
    for name in ("GBR auditor", "auditor"):
        made = await world.attempt(usecases.report_registry(world.services, world.call(name), report))
        registry = made.value.value
        told = [(line.view.fields["type"], line.view.fields["member"]) for line in registry.lines]

        assert told == [
            ("report.posted", "GBR"),
            ("report.distributed", "GBR"),
            ("report.read", "NOR"),
            ("report.read", "GBR"),
            ("report.read", "NOR"),
            ("report.part_read", "NOR"),
        ]
        assert (registry.report.id, registry.facts.originator, registry.status) == (report, "GBR", ReportStatus.CURRENT)
        assert (made.entry["type"], made.entry["detail"]) == ("audit.read", {"view": "registry"})
        assert (made.entry["owner"], made.entry["object"]) == ("GBR", {"type": "report", "id": report, "version": 1})
        assert made.entry["result_ids"] == [line.receipt.entry for line in registry.lines]


async def test_registry_goes_on_behind_its_last_line(world: World) -> None:
    report = await world.post(label=TO_NOR)
    for _ in range(4):
        later(world)
        await pull(world, "NOR reader", report)
    world.sequence()
    call = world.call("GBR auditor")
    whole = (await usecases.report_registry(world.services, call, report)).value
    lines, leaf = [], Leaf(limit=2)
    for _ in range(3):
        page = (await usecases.report_registry(world.services, call, report, leaf)).value
        lines += page.lines
        leaf = Leaf(page.next, 2)
    await pull(world, "NOR reader", report)
    world.sequence()
    more = (await usecases.report_registry(world.services, call, report, leaf)).value

    assert tuple(lines) == whole.lines
    assert len(more.lines) == 1
    made = await world.attempt(
        usecases.report_registry(world.services, world.call("auditor"), report, Leaf(whole.next))
    )
    assert isinstance(made.error, MalformedError)
    assert made.entry["decision"] == "refused"


@pytest.mark.parametrize("act", [usecases.report_registry, lambda *given: usecases.readers_on(*given, NOW)])
async def test_report_of_others_is_absent_and_so_is_one_above_the_clearance(
    world: World, act: Callable[..., Awaitable[Any]]
) -> None:
    report = await world.post(label=TO_NOR)
    entries, errors = [], set()
    for name, asked in (
        ("NOR auditor", report),
        ("NOR auditor", ABSENT),
        ("NOR auditor", "no id"),
        ("low auditor", report),
    ):
        made = await world.attempt(act(world.services, world.call(name), asked))
        assert isinstance(made.error, NotFoundError)
        errors.add(made.error.message)
        entries.append({key for key in made.entry if key != "object"})

    assert len(errors) == 1
    assert all(keys == entries[0] for keys in entries)


async def test_registry_of_a_client_has_what_it_was_given(world: World) -> None:
    first = await world.post(label=TO_NOR)
    await world.post(label=TO_ALL)
    later(world)
    await pull(world, "NOR reader", first)
    await pull(world, "NOR reader", ABSENT)
    await usecases.list_reports(world.services, world.call("NOR reader"), ListQuery())
    world.sequence()
    reader = world.clients["NOR reader"]
    for name in ("NOR auditor", "auditor"):
        made = await world.attempt(usecases.client_registry(world.services, world.call(name), reader.id))
        registry = made.value.value

        assert [line.view.fields["type"] for line in registry.lines] == ["report.read", "report.listed"]
        assert registry.client == reader
        assert (made.entry["object"]["id"], made.entry["owner"]) == (reader.id, "NOR")
    await usecases.change_standing(world.services, world.call(None), reader.id, Standing.REVOKED)
    again = (await usecases.client_registry(world.services, world.call("NOR auditor"), reader.id)).value
    assert (len(again.lines), again.client.standing) == (2, Standing.REVOKED)


async def test_client_of_others_is_absent(world: World) -> None:
    for asked in (world.clients["GBR reader"].id, ABSENT, "no id"):
        made = await world.attempt(usecases.client_registry(world.services, world.call("NOR auditor"), asked))

        assert isinstance(made.error, NotFoundError)
        assert made.entry["decision"] == "refused"


async def test_class_that_was_tampered_with_is_recorded_and_not_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await world.post(label=TO_NOR)

    async def altered(*_: object) -> None:
        raise OpeningError("not what its digest names")

    monkeypatch.setattr(sealed_headers, "class_of", altered)
    made = await world.attempt(usecases.report_registry(world.services, world.call("GBR auditor"), report))

    assert isinstance(made.error, UnavailableError)
    assert made.entry["type"] == "key.opened"


# ── readers on a day ──────────────────────────────────────────────────────────────────────────────────────────────


async def readers(
    world: World, report: str, since: datetime, until: datetime | None = None, name: str = "auditor"
) -> ReadersOn:
    world.sequence()
    return (await usecases.readers_on(world.services, world.call(name), report, since, until)).value


def names(world: World, answer: ReadersOn) -> set[str]:
    by_id = {client.id: name for name, client in world.clients.items()}
    return {by_id[each.client] for each in answer.could}


async def test_who_could_read_is_who_a_pull_would_have_permitted(world: World) -> None:
    await world.enrol("GBR junior", "GBR", "reader", level="RESTRICTED")
    report = await world.post(label=TO_NOR)
    at = later(world)
    permitted = set()
    for name in world.clients:
        made = await world.attempt(usecases.pull_report(world.services, world.call(name), report))
        permitted |= {name} if made.error is None else set()
    answer = await readers(world, report, at)

    assert names(world, answer) == permitted == {"GBR reader", "NOR reader"}
    assert {each.view for each in answer.could} == {View.FULL}
    by_id = {client.id: name for name, client in world.clients.items()}
    assert {by_id[each.client] for each in answer.did} == permitted


async def test_answer_is_of_then_and_not_of_now(world: World) -> None:
    report = await world.post(label=TO_NOR)
    before = later(world)
    reader = world.clients["NOR reader"]
    steps = [
        lambda: usecases.change_clearance(world.services, world.call(None), reader.id, ClearanceChange("RESTRICTED")),
        lambda: usecases.change_clearance(world.services, world.call(None), reader.id, ClearanceChange("SECRET")),
        lambda: usecases.suspend_member(world.services, world.call(None), "NOR"),
        lambda: usecases.resume_member(world.services, world.call(None), "NOR"),
        lambda: usecases.suspend_agreement(world.services, world.call("NOR signatory"), world.agreement_id),
        lambda: usecases.resume_agreement(world.services, world.call("NOR signatory"), world.agreement_id),
        lambda: usecases.remove_certificate(world.services, world.call(None), reader.id, thumbprint_of("NOR reader")),
        lambda: usecases.add_certificate(world.services, world.call(None), reader.id, certificate_of("NOR second")),
        lambda: usecases.change_standing(world.services, world.call(None), reader.id, Standing.REVOKED),
    ]
    moments = []
    for step in steps:
        later(world)
        await step()
        moments.append(later(world))

    assert "NOR reader" in names(world, await readers(world, report, before))
    could = ["NOR reader" in names(world, await readers(world, report, moment)) for moment in moments]
    assert could == [False, True] * 4 + [False]
    assert world.services.store
    # A period is what held at any moment of it.
    assert "NOR reader" in names(world, await readers(world, report, moments[0] - HOUR / 2, moments[1]))
    assert "NOR reader" not in names(world, await readers(world, report, moments[8], world.clock.now))


async def test_later_newcomers_could_not_have_read_it_then(world: World) -> None:
    report = await world.post(label=TO_NOR)
    before = later(world)
    later(world)
    await world.enrol("NOR newcomer", "NOR", "reader")
    after = later(world)

    assert "NOR newcomer" not in names(world, await readers(world, report, before))
    assert "NOR newcomer" in names(world, await readers(world, report, after))
    day = await readers(world, report, NOW.replace(hour=0), NOW.replace(hour=0) + DAY)
    assert "NOR newcomer" in names(world, day)
    assert {each.since for each in day.could} == {NOW, NOW + 2 * HOUR}


async def test_calendar_of_the_agreement_counts(world: World) -> None:
    report = await world.post(label=TO_NOR)
    world.clock.now = NOW.replace(year=2031, month=6)
    last_day = NOW.replace(year=2030, month=12, day=31)

    assert names(world, await readers(world, report, last_day)) == set()  # certificates have ended
    world.sql("UPDATE client_certificate SET not_after = not_after * 2")
    assert "NOR reader" in names(world, await readers(world, report, last_day))
    assert names(world, await readers(world, report, last_day + DAY)) == set()
    assert "NOR reader" in names(world, await readers(world, report, last_day, last_day + 3 * DAY))
    before = last_day - 5 * DAY
    assert {each.since for each in (await readers(world, report, before, last_day)).could} == {before}


async def test_report_is_read_neither_before_it_was_posted_nor_after_it_expired(world: World) -> None:
    later(world, DAY)
    report = await world.post(label=TO_NOR, valid_until=world.clock.now + DAY)
    posted = world.clock.now
    later(world, 3 * DAY)

    assert (await readers(world, report, posted - HOUR)).could == ()
    assert (await readers(world, report, posted - DAY, posted)).could == ()
    assert names(world, await readers(world, report, posted)) != set()
    assert (await readers(world, report, posted + DAY)).could == ()


async def test_recalled_report_could_be_read_until_it_was_recalled(world: World) -> None:
    await world.enrol("GBR releaser", "GBR", "releaser")
    report = await world.post(label=TO_NOR)
    before = later(world)
    recalled = later(world)
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "a source is at risk")
    after = later(world)
    # What it was, the log alone says by now.
    await place_entries(world, is_searchable=True)

    assert names(world, await readers(world, report, before)) == {"GBR reader", "NOR reader"}
    assert names(world, await readers(world, report, before, after)) == {"GBR reader", "NOR reader"}
    assert [(await readers(world, report, moment)).could for moment in (recalled, after)] == [(), ()]


async def test_of_a_report_of_which_nothing_says_when_it_ended_no_reader_is_told(world: World) -> None:
    report = await world.post(label=TO_NOR)
    world.sql("UPDATE report SET status = 'recalled'")

    with pytest.raises(UnreadRowError, match="a row does not hold what was put there"):
        await readers(world, report, later(world))


async def test_report_that_moved_was_what_it_was(world: World) -> None:
    """Each move alters who may read it: on a day before, who could read what it was before."""
    await world.enrol("GBR releaser", "GBR", "releaser")
    report = await world.post(label=TO_NOR, valid_until=NOW + 30 * DAY)
    moments = [later(world)]
    for label in (replace(TO_ALL, classification="CONFIDENTIAL"), TO_ALL):
        later(world)
        await lower(world, report, Downgrade(label))
        moments.append(later(world))

    found = [names(world, await readers(world, report, moment)) for moment in moments]
    assert found == [{"GBR reader", "NOR reader"}, *2 * [{"GBR reader", "NOR reader", "DNK reader"}]]
    whole = await readers(world, report, moments[0], moments[2])
    since = {each.client: each.since for each in whole.could}
    assert since[world.clients["DNK reader"].id] == moments[0] + HOUR
    assert since[world.clients["NOR reader"].id] == moments[0]


@pytest.mark.parametrize(
    ("label", "below"), [(TO_NOR, "low auditor"), (replace(TO_NOR, compartments=("ATOMAL",)), "GBR auditor")]
)
async def test_nothing_is_told_of_a_report_from_while_it_stood_above_the_auditor(
    world: World, label: Label, below: str
) -> None:
    """Who could read it then told what it had been: its entries from then are in no such auditor's slice."""
    for name, role in (("NOR special", "reader"), ("GBR special", "auditor"), ("GBR releaser", "releaser")):
        await world.enrol(name, name[:3], role, level="TOP SECRET", compartments=("ATOMAL",))
    await world.enrol("GBR second releaser", "GBR", "releaser", level="TOP SECRET", compartments=("ATOMAL",))
    report = await world.post(label=label)
    await pull(world, "NOR special", report)
    above = later(world)
    await lower(world, report, Downgrade(TO_ALL))
    since = world.clock.now
    end = later(world)
    low, whole = [await readers(world, report, NOW, end, name) for name in (below, "GBR special")]

    assert (await readers(world, report, NOW, above, below)).could == ()
    assert names(world, low) == names(world, whole)
    assert {each.since for each in low.could} == {since}
    assert NOW in {each.since for each in whole.could}
    assert (len(low.did), len(whole.did)) == (0, 1)


async def test_tear_line_is_told_from_the_whole(world: World) -> None:
    await world.enrol("NOR junior", "NOR", "reader", level="RESTRICTED", purposes=("law-enforcement", "defence"))
    low = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
    parts = (PostedPart(None, "text/plain", "a.txt", b"high"), PostedPart(low, "text/plain", "b.txt", b"low"))
    report = await world.post(label=TO_NOR, parts=parts)
    at = later(world)
    junior = world.clients["NOR junior"]
    found = {each.client: each.view for each in (await readers(world, report, at)).could}
    later(world)
    await usecases.change_clearance(world.services, world.call(None), junior.id, ClearanceChange("SECRET"))
    end = later(world)
    whole = {each.client: each.view for each in (await readers(world, report, at, end)).could}

    assert found[junior.id] is View.TEAR_LINE
    assert found[world.clients["NOR reader"].id] is View.FULL
    assert whole[junior.id] is View.FULL


async def test_who_did_is_told_once_with_how_often(world: World) -> None:
    report = await world.post(label=TO_NOR)
    since = later(world)
    for _ in range(3):
        await pull(world, "NOR reader", report)
        last = world.clock.now
        later(world)
    await pull(world, "DNK reader", report)
    (did,) = (await readers(world, report, since, world.clock.now, "GBR auditor")).did
    before = await readers(world, report, since - HOUR, since)

    assert (did.client, did.member, did.agency) == (world.clients["NOR reader"].id, "NOR", "NCSC")
    assert (did.count, did.first, did.last) == (3, since, last)
    assert before.did == ()


async def test_law_of_then_is_named_beside_the_one_that_was_asked(world: World) -> None:
    report = await world.post(label=TO_NOR)
    first = later(world)
    digest = world.services.law.digest
    same = await readers(world, report, first)
    later(world)
    other = replace(world.services, law=replace(world.services.law, digest="0" * 64))
    await usecases.put_law_in_force(other)
    between = later(world) - HOUR / 2
    await usecases.put_law_in_force(world.services)
    later(world)

    assert (same.laws, same.law) == ((digest,), digest)
    assert (await readers(world, report, between)).laws == ("0" * 64,)
    assert (await readers(world, report, first, world.clock.now)).laws == (digest, "0" * 64)
    assert (await readers(world, report, NOW - DAY)).laws == ()


async def test_entry_about_the_question_says_for_which_time(world: World) -> None:
    report = await world.post(label=TO_NOR)
    world.sequence()
    made = await world.attempt(
        usecases.readers_on(world.services, world.call("GBR auditor"), report, NOW.replace(hour=0), NOW + DAY)
    )

    assert made.entry["detail"] == {
        "view": "readers",
        "since": "2026-06-01T00:00:00Z",
        "until": "2026-06-01T12:00:00.000001Z",
    }
    assert made.value.value.shows_clients == "GBR"
    assert (made.entry["owner"], made.entry["label"]["classification"]) == ("GBR", "SECRET")


async def test_time_that_has_not_come_is_a_fault(world: World) -> None:
    report = await world.post(label=TO_NOR)
    made = await world.attempt(
        usecases.readers_on(world.services, world.call("GBR auditor"), report, NOW + timedelta(seconds=1))
    )

    assert isinstance(made.error, InvalidError)
    assert [fault.code for fault in made.error.faults] == ["not-yet"]
    assert made.entry["decision"] == "refused"


async def test_party_that_has_not_signed_yet_could_not_read(populated: World) -> None:
    world = populated
    main = world.agreement_id
    late = await world.agree(signatories=("GBR",))
    world.agreement_id = main
    agreement = await world.services.store.agreement(late)
    assert agreement is not None
    assert agreement.parties[1].state is PartyState.PENDING
    history = await world.services.store.history.period(late, NOW - DAY, NOW + DAY)

    assert [span.value.version for span in history.agreements] == [1, 2]
    assert not history.agreements[0].holds(NOW) or history.agreements[0].until is None
