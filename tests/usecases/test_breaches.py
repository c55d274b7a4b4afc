"""Breaches: found once by any number of nodes, told to the two whom each concerns, and to nobody who is not cleared."""

import asyncio
import importlib
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.agreements import MatterKind
from exchange.audit import Criteria
from exchange.kernel import ForbiddenError, InvalidError, MalformedError, NotFoundError, UnavailableError, to_micros
from exchange.markings import Label
from exchange.reports import Downgrade, PostedPart, Precedence
from exchange.store import BreachKind, BreachRow, Countable, OnwardWish
from exchange.store.reads.duty_reader import DutyReader
from exchange.usecases import DutyWatch, NewMatter
from exchange.usecases.telling.notify_subscribers import Notifier, Reach
from tests.attacks.hidden import random_id
from tests.support.lived import MakeLived
from tests.support.meanwhile import posted_meanwhile
from tests.support.world import AGREEMENT, NOW, Entry, World

OWING = AGREEMENT.replace(
    "obligations: []",
    """obligations:
  - {party: GBR, scope: cyber-threats, report_every: P1D}
  - {party: all, scope: cyber-threats, acknowledge: {FLASH: PT10M}}""",
)
GBR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
MINUTE, DAY, INSTANT = timedelta(minutes=1), timedelta(days=1), timedelta(microseconds=1)


OPEN = OWING.replace("compartments: [ATOMAL]", "compartments: []")


async def made_owing(world: World) -> None:
    await world.agree(OWING)
    world.clock.advance(MINUTE)


@pytest.fixture
async def owing(make_lived: MakeLived) -> World:
    return (await make_lived(made_owing))[0]


async def found(world: World) -> list[Entry]:
    return [entry for entry in await world.entries() if entry["type"] == "duty.breached"]


async def listed(world: World, name: str, **asked) -> tuple[BreachRow, ...]:
    made = await usecases.list_breaches(world.services, world.call(name), world.agreement_id, **asked)
    return made.value.rows


async def flash(world: World, **others) -> str:
    return await world.post(**{"precedence": Precedence.FLASH, "label": GBR_NOR, **others})


async def test_deadline_that_passes_is_a_breach_a_moment_later_and_once(owing: World) -> None:
    report = await flash(owing)
    watch = DutyWatch(owing.services)
    due = owing.clock.now + 10 * MINUTE
    owing.clock.now = due
    await watch.round()
    assert await found(owing) == []

    owing.clock.advance(INSTANT)
    await watch.round()
    await watch.round()
    await DutyWatch(owing.services).round()

    (entry,) = await found(owing)
    assert entry["object"] == {"type": "agreement", "id": owing.agreement_id}
    assert entry["actor"] == {"kind": "service"}
    assert entry["label"] == GBR_NOR.as_json()
    told = {name: entry["detail"][name] for name in ("kind", "party", "owed_to", "report", "parties")}
    assert told == {
        "kind": "acknowledgement", "party": "NOR", "owed_to": "GBR", "report": report, "parties": ["GBR", "NOR"],
    }  # fmt: skip
    (row,) = await listed(owing, "NOR signatory")
    assert (row.kind, row.subject, row.due_at) == (BreachKind.ACKNOWLEDGEMENT, report, due)
    assert await listed(owing, "GBR signatory") == (row,)
    assert await listed(owing, "DNK signatory") == ()


async def test_acknowledged_in_time_is_no_breach_and_late_is_one(owing: World) -> None:
    prompt, late, lowered, eased = [await flash(owing) for _ in range(4)]
    routine = owing.posted(label=GBR_NOR, precedence=Precedence.ROUTINE)
    await usecases.amend_report(owing.services, owing.call("GBR contributor"), eased, routine)
    # Of when it was less urgent no row alone accuses anybody.
    owing.unguard("report_past")
    owing.sql("UPDATE report_past SET until_at = until_at + 1800000000")
    owing.clock.advance(10 * MINUTE)
    await usecases.receive_report(owing.services, owing.call("NOR reader"), prompt)
    owing.clock.advance(INSTANT)
    await usecases.receive_report(owing.services, owing.call("NOR reader"), late)
    # Nor is who has not acknowledged it by then excused, where it is made less urgent before anybody looked.
    await usecases.amend_report(owing.services, owing.call("GBR contributor"), lowered, routine)

    await DutyWatch(owing.services).round()

    assert {entry["detail"]["report"] for entry in await found(owing)} == {late, lowered}


async def test_report_that_was_less_urgent_when_it_came_is_made_no_breach_by_an_amendment(owing: World) -> None:
    report = await flash(owing, precedence=Precedence.ROUTINE)
    owing.clock.advance(11 * MINUTE)
    urgent = owing.posted(label=GBR_NOR, precedence=Precedence.FLASH)
    with pytest.raises(InvalidError, match="more urgent"):
        await usecases.amend_report(owing.services, owing.call("GBR contributor"), report, urgent)

    await DutyWatch(owing.services).round()

    assert await found(owing) == []


ALTERED = ["posted_class = 4711", "posted_at = 9000000000000000000", "valid_until = 9000000000000000000"]


@pytest.mark.parametrize("change", ALTERED)
async def test_report_that_was_altered_hides_no_breach_of_another(owing: World, change: str) -> None:
    altered, other = await flash(owing), await flash(owing)
    owing.sql(f"UPDATE report SET {change} WHERE id = $1", altered)
    owing.clock.advance(11 * MINUTE)
    await DutyWatch(owing.services).round()

    assert [entry["detail"]["report"] for entry in await found(owing)] == [other]


async def test_altered_class_hides_no_breach_of_a_report_of_another(owing: World) -> None:
    altered, other = await flash(owing), await flash(owing, topic="cyber.vulnerability")
    owing.sql(
        "UPDATE release_class SET facts = '{}', digest = '0' WHERE id = (SELECT class_id FROM report WHERE id = $1)",
        altered,
    )
    owing.clock.advance(11 * MINUTE)
    async with owing.another_node() as services:
        await DutyWatch(services).round()

    assert [entry["detail"]["report"] for entry in await found(owing)] == [other]


async def test_agreement_that_was_altered_hides_no_breach_of_another(owing: World) -> None:
    first = owing.agreement_id
    await flash(owing)
    other = await owing.agree(OWING)
    await flash(owing)
    owing.clock.advance(11 * MINUTE)
    owing.sql("UPDATE agreement SET terms = '{' WHERE id = $1 AND superseded_at IS NOT NULL", first)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="is not looked at"):
            await DutyWatch(owing.services).round()

    assert [entry["object"]["id"] for entry in await found(owing)] == [other]


@pytest.mark.parametrize("due_at", [9 * 10**18, -(10**18), to_micros(NOW) * 2])
async def test_silence_whose_time_was_altered_hides_no_other_breach(owing: World, due_at: int) -> None:
    owing.clock.advance(DAY)
    await DutyWatch(owing.services).round()
    owing.sql("UPDATE duty_breach SET due_at = $1 WHERE owed_to = 'NOR'", due_at)
    await flash(owing)
    owing.clock.advance(DAY + MINUTE)
    await DutyWatch(owing.services).round()

    told = [(entry["detail"]["kind"], entry["detail"]["owed_to"]) for entry in await found(owing)]
    assert [sorted(told[:2]), sorted(told[2:])] == [
        [("report", "DNK"), ("report", "NOR")],
        [("acknowledgement", "GBR"), ("report", "NOR")],
    ]


@pytest.mark.parametrize("column", ["due_at", "found_at"])
async def test_altered_breach_hides_no_other_from_lists_and_subscribers(owing: World, column: str) -> None:
    await usecases.add_subscription(owing.services, owing.call("GBR reader"), "https://gbr.example/x")
    reports = [await flash(owing), await flash(owing)]
    owing.clock.advance(11 * MINUTE)
    await DutyWatch(owing.services).round()
    owing.sql(f"UPDATE duty_breach SET {column} = {9 * 10**18} WHERE subject = $1", reports[0])
    desk = Desk()
    while await Notifier(owing.services, desk, Reach()).round():
        pass

    assert [row.subject for row in await listed(owing, "NOR signatory")] == reports[1:]
    assert len([body for body in desk.bodies if b"duty.breached" in body]) == 1


async def test_store_that_is_away_is_told_of_as_such(owing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise UnavailableError("the store went away")

    await flash(owing)
    monkeypatch.setattr(DutyReader, "posted", away)

    with pytest.raises(UnavailableError, match="went away"):
        await DutyWatch(owing.services).round()


async def test_what_is_counted_may_be_of_very_many_classes(owing: World) -> None:
    report = await flash(owing)
    ((class_id,),) = owing.sql("SELECT class_id FROM report")
    many = Countable([*range(10**6, 10**6 + 40_000), class_id], NOW, NOW)
    duties = owing.services.store.duties
    await usecases.receive_report(owing.services, owing.call("NOR reader"), report)
    before = owing.clock.now + MINUTE

    assert [each.id for each in await duties.posted(many, NOW)] == [report]
    assert list(await duties.last_before(many, before)) == [class_id]
    assert [each for each, _, _ in await duties.acknowledged(many, NOW)] == [report]


async def test_many_nodes_find_one_breach_once(owing: World) -> None:
    await flash(owing)
    owing.clock.advance(DAY + MINUTE)
    async with owing.another_node() as other:
        watches = [DutyWatch(services) for services in (owing.services, other, owing.services, other)]
        results = await asyncio.gather(*(watch.round() for watch in watches), return_exceptions=True)

    # SQLite has one writer: who came second may have been told to come again, and finds nothing new then.
    assert {type(result) for result in results} <= {bool, UnavailableError}
    await DutyWatch(owing.services).round()
    kinds = sorted((entry["detail"]["kind"], entry["detail"]["owed_to"]) for entry in await found(owing))
    assert kinds == [("acknowledgement", "GBR"), ("report", "DNK"), ("report", "NOR")]


async def test_silence_is_a_breach_towards_each_who_could_read_nothing_and_once_until_a_report_comes(
    owing: World,
) -> None:
    await owing.agree(OPEN)
    owing.clock.advance(MINUTE)
    await owing.post(label=GBR_NOR)
    watch = DutyWatch(owing.services)
    owing.clock.advance(DAY)
    await watch.round()
    # DNK was sent nothing since the agreement came into force, a minute earlier.
    assert [(row.party, row.owed_to) for row in await listed(owing, "DNK signatory")] == [("GBR", "DNK")]
    # What came to NOR came in time; that it acknowledged nothing within six hours is another matter.
    assert [row.kind for row in await listed(owing, "NOR signatory")] == [BreachKind.ACKNOWLEDGEMENT]
    owing.clock.advance(INSTANT)
    await watch.round()
    owing.clock.advance(9 * DAY)
    await watch.round()

    silences = [row for row in await listed(owing, "NOR signatory") if row.kind is BreachKind.REPORT]
    assert [(row.party, row.owed_to) for row in silences] == [("GBR", "NOR")]
    await owing.post(label=GBR_NOR)
    owing.clock.advance(DAY + INSTANT)
    await watch.round()
    again = [row for row in await listed(owing, "NOR signatory") if row.kind is BreachKind.REPORT]
    assert [row.due_at for row in again] == [silences[0].due_at, owing.clock.now - INSTANT]
    assert len([row for row in await listed(owing, "DNK signatory") if row.kind is BreachKind.REPORT]) == 1


async def test_who_reads_less_than_before_makes_no_second_breach_of_one_silence(owing: World) -> None:
    await owing.agree(OPEN)
    await owing.post(label=GBR_NOR)
    owing.clock.advance(2 * DAY)
    await DutyWatch(owing.services).round()
    before = await listed(owing, "NOR signatory")
    low = usecases.ClearanceChange("RESTRICTED", (), None)
    await usecases.change_clearance(owing.services, owing.call(None), owing.clients["NOR reader"].id, low)

    await DutyWatch(owing.services).round()

    assert await listed(owing, "NOR signatory") == before


async def test_nobody_owes_what_its_readers_may_not_read_or_what_was_due_long_ago(owing: World) -> None:
    await flash(owing, label=Label("NATO", "SECRET", ("ATOMAL",), releasable_to=("GBR", "NOR")))
    await flash(owing, label=Label("NATO", "SECRET"))
    await flash(owing)
    owing.clock.advance(8 * DAY)

    await DutyWatch(owing.services).round()

    assert {entry["detail"]["kind"] for entry in await found(owing)} == {"report"}


@pytest.mark.parametrize("how", ["lowered", "released onward"])
async def test_nobody_owes_what_its_readers_could_not_read_when_it_was_posted(owing: World, how: str) -> None:
    await owing.enrol("GBR releaser", "GBR", "releaser")
    await owing.enrol("DNK second reader", "DNK", "reader")
    report = await flash(owing, label=Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR")))
    owing.clock.advance(30 * MINUTE)
    releaser, services = owing.call("GBR releaser"), owing.services
    if how == "lowered":
        wider = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
        await usecases.downgrade_report(services, releaser, report, Downgrade(wider))
    else:
        wish = OnwardWish("DNK", (), (), None, "theirs is the operation")
        asked = await usecases.request_onward(services, owing.call("NOR reader"), report, wish)
        await usecases.grant_onward(services, releaser, asked.value.row.id)
    assert (await usecases.pull_report(services, owing.call("DNK reader"), report)).value.parts

    await DutyWatch(services).round()

    # Norway could, and did not.
    breaches = [entry["detail"] for entry in await found(owing)]
    assert [(each["kind"], each["party"]) for each in breaches] == [("acknowledgement", "NOR")]
    counted = (await usecases.show_compliance(services, owing.call("GBR reader"), owing.agreement_id)).value
    overdue = {
        party.member: sum(each.overdue for scope in party.scopes for each in scope.acknowledgements)
        for party in counted.parties
    }
    assert overdue == {"DNK": 0, "GBR": 0, "NOR": 1}
    own = (await usecases.show_compliance(services, owing.call("DNK reader"), owing.agreement_id)).value
    owes = next(party for party in own.parties if party.member == "DNK")
    assert [each.overdue for scope in owes.scopes for each in scope.acknowledgements] == [0, 0, 0, 0]


async def test_suspended_agreement_is_not_looked_at(owing: World) -> None:
    await flash(owing)
    for member in ("GBR", "NOR"):
        await usecases.suspend_agreement(owing.services, owing.call(f"{member} signatory"), owing.agreement_id)
    owing.clock.advance(DAY + MINUTE)

    await DutyWatch(owing.services).round()

    assert await found(owing) == []


@pytest.mark.parametrize("who", ["NOR", "GBR"])
async def test_party_that_suspends_sheds_nothing_that_had_fallen_due(owing: World, who: str) -> None:
    """Alone, so that the agreement goes on for the others, and with it that nobody is bound any more."""
    report = await flash(owing)
    owing.clock.advance(DAY - 5 * MINUTE)
    late = await flash(owing)
    other = await flash(owing)
    await usecases.receive_report(owing.services, owing.call("NOR reader"), other)
    owing.clock.advance(10 * MINUTE + INSTANT)
    for member in (who, "DNK"):
        await usecases.suspend_agreement(owing.services, owing.call(f"{member} signatory"), owing.agreement_id)
        await DutyWatch(owing.services).round()
        owing.clock.advance(MINUTE)
    await DutyWatch(owing.services).round()

    told = {(entry["detail"]["kind"], entry["detail"].get("report")) for entry in await found(owing)}
    # Denmark was never posted anything.
    assert told == {("acknowledgement", report), ("acknowledgement", late), ("report", None)}


@pytest.mark.parametrize("rounds", [1, 2])
async def test_party_that_suspends_sheds_no_silence_and_owes_none_from_then_on(owing: World, rounds: int) -> None:
    owing.clock.advance(DAY)
    await usecases.suspend_agreement(owing.services, owing.call("GBR signatory"), owing.agreement_id)
    for _ in range(rounds):
        owing.clock.advance(MINUTE)
        await DutyWatch(owing.services).round()
    told = [(entry["detail"]["kind"], entry["detail"]["owed_to"]) for entry in await found(owing)]
    assert sorted(told) == [("report", "DNK"), ("report", "NOR")]

    owing.clock.advance(3 * DAY)
    await usecases.resume_agreement(owing.services, owing.call("GBR signatory"), owing.agreement_id)
    owing.clock.advance(DAY - MINUTE)
    await DutyWatch(owing.services).round()
    assert len(await found(owing)) == len(told)


async def test_what_was_due_in_the_last_minute_of_an_agreement_is_found_after_it(populated: World) -> None:
    ending = OWING.replace("until: 2030-12-31", "until: 2026-06-01").replace("recalled}", "kept}")
    await populated.agree(ending)
    watch, end = DutyWatch(populated.services), NOW.replace(hour=0) + DAY
    populated.clock.now = end - 10 * MINUTE - INSTANT
    in_time = await flash(populated)
    populated.clock.advance(-MINUTE)
    late = await flash(populated)
    populated.clock.now = end - MINUTE - INSTANT
    await watch.round()
    assert await found(populated) == []
    populated.clock.now = end + MINUTE
    for each in (watch, watch, DutyWatch(populated.services)):
        await each.round()

    # Of what was due with the agreement's last moment nothing was owed any more after it.
    assert [entry["detail"]["report"] for entry in await found(populated)] == [late] != [in_time]
    (row,) = await listed(populated, "GBR signatory")
    assert (row.due_at, row.found_at) == (end - MINUTE - INSTANT, populated.clock.now)
    populated.clock.advance(9 * DAY)
    await watch.round()
    assert len(await found(populated)) == 1


async def test_breach_is_shown_to_those_who_are_cleared_for_what_it_tells_of(owing: World) -> None:
    await owing.enrol("NOR low signatory", "NOR", "signatory", level="RESTRICTED")
    await owing.enrol("NOR special signatory", "NOR", "signatory", compartments=("ATOMAL",))
    await flash(owing)
    await flash(owing, label=Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")))
    owing.clock.advance(DAY + MINUTE)
    await DutyWatch(owing.services).round()

    low = await listed(owing, "NOR low signatory")

    cleared = await listed(owing, "NOR special signatory")

    assert [row.label["classification"] for row in low] == ["RESTRICTED"]
    assert len(await listed(owing, "NOR signatory")) == 2
    # A silence tells of all that the scope may hold, its compartments too.
    assert [row.kind for row in cleared] == [BreachKind.ACKNOWLEDGEMENT] * 2 + [BreachKind.REPORT]


async def test_who_is_shown_parts_alone_is_told_of_its_breach_by_their_label(owing: World) -> None:
    await owing.enrol("DNK low signatory", "DNK", "signatory", level="RESTRICTED")
    await owing.enrol("GBR low signatory", "GBR", "signatory", level="RESTRICTED")
    low = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    parts = (PostedPart(None, "text/plain", "a.txt", b"all"), PostedPart(low, "text/plain", "b.txt", b"some"))
    await flash(owing, parts=parts)
    owing.clock.advance(10 * MINUTE + INSTANT)
    await DutyWatch(owing.services).round()

    told = {entry["detail"]["party"]: entry["label"] for entry in await found(owing)}
    assert told == {"NOR": GBR_NOR.as_json(), "DNK": low.as_json()}
    assert [row.label for row in await listed(owing, "DNK low signatory")] == [low.as_json()]
    # The originator's are to be cleared for the whole.
    assert await listed(owing, "GBR low signatory") == ()
    assert len(await listed(owing, "GBR signatory")) == 2


async def test_nobody_waits_to_write_while_breaches_are_passed_over(
    owing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await flash(owing)
    owing.clock.advance(11 * MINUTE)
    await DutyWatch(owing.services).round()
    written = posted_meanwhile(
        monkeypatch, importlib.import_module("exchange.usecases.promises.list_breaches"), "_may_know", owing
    )
    assert len(await listed(owing, "NOR signatory")) == 1
    assert len(written) == 1


@pytest.mark.parametrize(
    ("raised", "still_knows"),
    [
        (Label("NATO", "SECRET", releasable_to=("GBR", "NOR")), False),
        (Label("NATO", "RESTRICTED", ("ATOMAL",), releasable_to=("GBR", "NOR")), False),
        (Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"), handling=("ORCON",)), True),
    ],
    ids=["level", "compartment", "caveat"],
)
async def test_breach_is_told_under_the_label_that_its_report_has_now(
    owing: World, raised: Label, still_knows: bool
) -> None:
    low = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
    await owing.enrol("NOR low signatory", "NOR", "signatory", level="RESTRICTED")
    await owing.enrol("NOR low reader", "NOR", "reader", level="RESTRICTED")
    for name in ("NOR low reader", "NOR reader"):
        await usecases.add_subscription(owing.services, owing.call(name), f"https://{name.replace(' ', '-')}.example/x")
    report = await flash(owing, label=low)
    owing.clock.advance(10 * MINUTE + INSTANT)
    await DutyWatch(owing.services).round()
    (row,) = await listed(owing, "NOR low signatory")
    open_matter = usecases.open_consultation
    asked = NewMatter(MatterKind.CONSULTATION, "why?", ("NOR",), row.id)
    await open_matter(owing.services, owing.call("GBR signatory"), owing.agreement_id, asked)

    amended = owing.posted(label=raised, precedence=Precedence.FLASH)
    await usecases.amend_report(owing.services, owing.call("GBR contributor"), report, amended)

    assert await listed(owing, "NOR low signatory") == (row,) * still_knows
    call = owing.call("NOR low signatory")
    (matter,) = (await usecases.list_consultations(owing.services, call, owing.agreement_id)).value
    assert matter.breach == (row.id if still_knows else None)
    back = NewMatter(MatterKind.CONSULTATION, "why not?", ("GBR",), row.id)
    about = await owing.attempt(open_matter(owing.services, call, owing.agreement_id, back))
    assert (about.error is None) is still_knows
    while await Notifier(owing.services, Desk(), Reach()).round():
        pass
    notified = [entry for entry in await owing.entries() if entry["type"] == "breach.notified"]
    low_reader = owing.clients["NOR low reader"].id
    assert (low_reader in {entry["detail"]["client"] for entry in notified}) is still_knows
    assert all(entry["label"] == raised.as_json() for entry in notified)


async def test_auditors_of_the_two_find_it_and_a_thirds_do_not(owing: World) -> None:
    for member in ("NOR", "DNK"):
        await owing.enrol(f"{member} auditor", member, "auditor")
    await flash(owing)
    owing.clock.advance(10 * MINUTE + INSTANT)
    await DutyWatch(owing.services).round()
    owing.sequence()
    query = usecases.EntryQuery(Criteria(event="duty.breached"))

    seen = {
        member: (await usecases.search_entries(owing.services, owing.call(f"{member} auditor"), query)).value.items
        for member in ("NOR", "DNK")
    }

    assert [len(seen[member]) for member in ("NOR", "DNK")] == [1, 0]


async def test_pages_join_and_cursors_are_their_own_clients(owing: World) -> None:
    for _ in range(3):
        await flash(owing)
    owing.clock.advance(10 * MINUTE + INSTANT)
    await DutyWatch(owing.services).round()
    call = owing.call("GBR signatory")

    made = await owing.attempt(usecases.list_breaches(owing.services, call, owing.agreement_id, limit=2))
    first = made.value.value
    rest = (await usecases.list_breaches(owing.services, call, owing.agreement_id, cursor=first.next)).value

    assert (len(first.rows), len(rest.rows)) == (2, 1)
    assert (made.entry["type"], made.entry["decision"]) == ("breach.listed", "permitted")
    assert {row.id for row in first.rows}.isdisjoint({row.id for row in rest.rows})
    foreign = await owing.attempt(
        usecases.list_breaches(owing.services, owing.call("NOR signatory"), owing.agreement_id, cursor=first.next)
    )
    assert isinstance(foreign.error, MalformedError)


async def test_foreign_and_absent_agreements_are_one_answer_and_only_signatories_ask(owing: World) -> None:
    foreign = await owing.attempt(
        usecases.list_breaches(owing.services, owing.call("ESP signatory"), owing.agreement_id)
    )
    absent = await owing.attempt(usecases.list_breaches(owing.services, owing.call("ESP signatory"), random_id()))
    reader = await owing.attempt(usecases.list_breaches(owing.services, owing.call("NOR reader"), owing.agreement_id))

    assert isinstance(foreign.error, NotFoundError)
    assert str(foreign.error) == str(absent.error)
    assert isinstance(reader.error, ForbiddenError)
    assert {each.entry["type"] for each in (foreign, absent, reader)} == {"breach.listed"}


class Desk:
    """Takes every message."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def post(self, hook, headers, body) -> None:
        self.bodies.append(body)


async def test_subscribers_of_the_two_are_told_as_far_as_they_may_know_at_that_moment(owing: World) -> None:
    await owing.enrol("NOR junior", "NOR", "reader", level="CONFIDENTIAL")
    for name in ("NOR reader", "NOR junior", "DNK reader", "GBR reader"):
        await usecases.add_subscription(owing.services, owing.call(name), f"https://{name.replace(' ', '-')}.example/x")
    report = await flash(owing)
    owing.clock.advance(10 * MINUTE + INSTANT)
    await DutyWatch(owing.services).round()
    low = usecases.ClearanceChange("RESTRICTED", (), None)
    await usecases.change_clearance(owing.services, owing.call(None), owing.clients["GBR reader"].id, low)
    desk = Desk()

    while await Notifier(owing.services, desk, Reach()).round():
        pass

    told = [body for body in desk.bodies if b"duty.breached" in body]
    assert len(told) == 1
    assert b'"party":"NOR"' in told[0]
    assert report.encode() not in told[0]
    notified = [entry for entry in await owing.entries() if entry["type"] == "breach.notified"]
    assert [entry["detail"]["client"] for entry in notified] == [owing.clients["NOR reader"].id]
