"""What parties promised and did, as each of them may know it: a count tells of nothing that a list does not show."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest

from exchange import usecases
from exchange.agreements import Rhythm, ScopeRecord
from exchange.kernel import ForbiddenError, InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.reports import Downgrade, Precedence
from exchange.usecases import ClearanceChange
from tests.attacks.hidden import AGREEMENT_OF_TWO, open_api, random_id
from tests.support.lived import MakeLived
from tests.support.lowering import lower
from tests.support.world import AGREEMENT, NOW, World
from tests.usecases.test_amending import concluded

SCOPE = "cyber-threats"
OWING = AGREEMENT.replace(
    "obligations: []",
    """obligations:
  - {party: GBR, scope: cyber-threats, report_every: P7D}
  - {party: all, scope: cyber-threats, acknowledge: {FLASH: PT10M}}""",
)
FOR_ALL = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
GBR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def made_owing(world: World) -> None:
    await world.agree(OWING)
    world.clock.advance(MINUTE)


@pytest.fixture
async def owing(make_lived: MakeLived) -> World:
    return (await make_lived(made_owing))[0]


async def shown(world: World, name: str, since: datetime | None = None, **call) -> dict[str, ScopeRecord]:
    made = await usecases.show_compliance(world.services, world.call(name, **call), world.agreement_id, since)
    return {party.member: scope for party in made.value.parties for scope in party.scopes}


def acknowledged(record: ScopeRecord, precedence: str = "FLASH") -> tuple[int, int, int, int]:
    each = next(each for each in record.acknowledgements if each.precedence == precedence)
    return each.in_time, each.late, each.waiting, each.overdue


async def flash(world: World, **others) -> str:
    return await world.post(**{"precedence": Precedence.FLASH, "label": GBR_NOR, **others})


async def receive(world: World, name: str, report: str) -> None:
    await usecases.receive_report(world.services, world.call(name), report)


async def test_posts_shares_and_rhythm_are_counted(owing: World) -> None:
    agreed = NOW
    await owing.post(label=FOR_ALL)
    owing.clock.advance(8 * DAY)
    await owing.post(label=FOR_ALL)
    await owing.post("NOR contributor", label=FOR_ALL)

    records = await shown(owing, "DNK reader")

    assert [records[member].posts for member in ("GBR", "NOR", "DNK")] == [2, 1, 0]
    assert [records[member].share_percent for member in ("GBR", "NOR", "DNK")] == [67, 33, 0]
    assert records["GBR"].last_posted_at == agreed + MINUTE + 8 * DAY
    due = agreed + MINUTE + 15 * DAY
    assert records["GBR"].rhythm == Rhythm("P7D", in_time=1, late=1, missed=0, due=due, is_overdue=False)
    assert records["NOR"].rhythm is None


async def test_acknowledgements_are_counted_by_member_the_first_of_its_clients_and_with_the_defaults(
    owing: World,
) -> None:
    await owing.enrol("NOR other reader", "NOR", "reader")
    owing.clock.advance(MINUTE)
    prompt, late, none = [await flash(owing) for _ in range(3)]
    routine = await flash(owing, precedence=Precedence.ROUTINE)
    owing.clock.advance(10 * MINUTE)
    await receive(owing, "NOR reader", prompt)
    owing.clock.advance(timedelta(microseconds=1))
    await receive(owing, "NOR other reader", prompt)
    await receive(owing, "NOR reader", late)

    for_originator, for_itself = await shown(owing, "GBR reader"), await shown(owing, "NOR reader")

    assert acknowledged(for_originator["NOR"]) == acknowledged(for_itself["NOR"]) == (1, 1, 0, 1)
    assert acknowledged(for_itself["NOR"], "ROUTINE") == (0, 0, 1, 0)
    within = {each.precedence: each.within for each in for_itself["NOR"].acknowledgements}
    assert within == {"FLASH": "PT10M", "IMMEDIATE": "PT30M", "PRIORITY": "PT3H", "ROUTINE": "PT6H"}
    assert none
    assert routine


async def test_a_client_counts_what_it_may_read_and_nothing_else(owing: World) -> None:
    await owing.enrol("NOR junior", "NOR", "reader", level="CONFIDENTIAL")
    owing.clock.advance(MINUTE)
    baseline = {name: await shown(owing, name) for name in ("DNK reader", "NOR junior")}

    await flash(owing)
    await flash(owing, label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    await owing.post("NOR contributor", label=Label("NATO", "SECRET", releasable_to=("NOR",)))

    assert {name: await shown(owing, name) for name in ("DNK reader", "NOR junior")} == baseline
    assert (await shown(owing, "NOR reader"))["GBR"].posts == 1


async def test_what_two_parties_owe_each_other_is_not_told_to_a_third(owing: World) -> None:
    report = await flash(owing, label=FOR_ALL)
    await receive(owing, "NOR reader", report)

    records = await shown(owing, "DNK reader")

    assert records["GBR"].posts == 1
    assert acknowledged(records["NOR"]) == (0, 0, 0, 0)
    assert acknowledged(records["DNK"]) == (0, 0, 1, 0)
    assert acknowledged((await shown(owing, "GBR reader"))["DNK"]) == (0, 0, 1, 0)


async def test_party_owes_nothing_of_what_none_of_its_readers_may_read(owing: World) -> None:
    everyone = ("DNK", "GBR", "NOR")
    await flash(owing, label=Label("NATO", "SECRET", ("ATOMAL",), releasable_to=everyone))
    owing.clock.advance(DAY)

    records = await shown(owing, "GBR reader")

    assert (acknowledged(records["NOR"]), acknowledged(records["DNK"])) == ((0, 0, 0, 0), (0, 0, 0, 0))


async def test_reader_who_comes_later_makes_nothing_overdue_that_came_before(owing: World) -> None:
    high = Label("NATO", "SECRET", ("ATOMAL",), releasable_to=("GBR", "NOR"))
    await owing.enrol("GBR special", "GBR", "reader", compartments=("ATOMAL",))
    await flash(owing, label=high)
    owing.clock.advance(DAY)
    await owing.enrol("NOR special", "NOR", "reader", compartments=("ATOMAL",))
    owing.clock.advance(MINUTE)
    await flash(owing, label=high)

    assert acknowledged((await shown(owing, "GBR special"))["NOR"]) == (0, 0, 1, 0)


async def test_what_is_gone_is_counted_for_those_who_could_read_it_then_and_for_nobody_else(owing: World) -> None:
    await owing.post(label=GBR_NOR, valid_until=owing.clock.now + DAY)
    owing.clock.advance(2 * DAY)
    change = ClearanceChange("SECRET", (), None)
    await owing.enrol("NOR newcomer", "NOR", "reader")

    assert (await shown(owing, "NOR reader"))["GBR"].posts == 1
    assert (await shown(owing, "NOR newcomer"))["GBR"].posts == 0
    await usecases.change_clearance(owing.services, owing.call(None), owing.clients["NOR reader"].id, change)
    assert (await shown(owing, "NOR reader"))["GBR"].posts == 0


async def test_suspended_party_is_shown_and_owes_nothing_meanwhile(owing: World) -> None:
    await owing.post(label=FOR_ALL)
    owing.clock.advance(MINUTE)
    await usecases.suspend_agreement(owing.services, owing.call("GBR signatory"), owing.agreement_id)
    owing.clock.advance(30 * DAY)

    # Nobody reads them now; what it did until then it has done.
    assert (await shown(owing, "NOR reader"))["GBR"].posts == 1
    await usecases.resume_agreement(owing.services, owing.call("GBR signatory"), owing.agreement_id)
    owing.clock.advance(DAY)
    rhythm = (await shown(owing, "NOR reader"))["GBR"].rhythm
    assert rhythm is not None
    assert (rhythm.in_time, rhythm.late, rhythm.missed, rhythm.is_overdue) == (1, 0, 0, False)
    assert rhythm.due == owing.clock.now + 6 * DAY


async def stops(world: World, member: str, how: str) -> None:
    world.clock.advance(MINUTE)
    act = {"suspended": usecases.suspend_agreement, "left": usecases.withdraw_agreement}[how]
    await act(world.services, world.call(f"{member} signatory"), world.agreement_id)
    if how == "left":
        world.clock.advance(90 * DAY)


@pytest.mark.parametrize("how", ["suspended", "left"])
@pytest.mark.parametrize(("who", "by"), [("GBR", "NOR reader"), ("GBR", "GBR reader"), ("NOR", "NOR reader")])
async def test_figures_of_what_was_given_stand_when_somebody_takes_no_part_any_more(
    owing: World, who: str, by: str, how: str
) -> None:
    since = owing.clock.now
    if how == "left":
        # It owes until it has left; nothing it posts is late.
        await owing.agree(OWING.replace("P7D", "P99D"))
        owing.clock.advance(MINUTE)
    prompt, _ = await flash(owing), await flash(owing)
    await receive(owing, "NOR reader", prompt)
    owing.clock.advance(DAY)
    await flash(owing)
    before = await shown(owing, by, since)
    await stops(owing, who, how)
    owing.clock.advance(DAY)
    after = await shown(owing, by, since)

    for record in (before, after):
        assert (record["GBR"].posts, record["GBR"].share_percent) == (3, 100)
        assert (record["GBR"].rhythm.in_time, record["GBR"].rhythm.late, record["GBR"].rhythm.missed) == (3, 0, 0)
        assert acknowledged(record["NOR"])[:2] == (1, 0)
    # What could not be acknowledged in time any more was not missed.
    assert acknowledged(before["NOR"])[2:] == (1, 1)
    assert acknowledged(after["NOR"])[2:] == (0, 2 if how == "left" else 1)


async def test_what_came_while_a_party_took_no_part_is_not_counted_for_it(owing: World) -> None:
    since = owing.clock.now
    await flash(owing)
    owing.clock.advance(DAY)
    await stops(owing, "NOR", "suspended")
    owing.clock.advance(DAY)
    await flash(owing)
    await stops(owing, "GBR", "suspended")

    assert (await shown(owing, "NOR reader", since))["GBR"].posts == 1
    assert (await shown(owing, "GBR reader", since))["GBR"].posts == 2


@pytest.mark.parametrize("change", ["lowered", "raised", "cleared"])
async def test_no_figure_tells_of_what_was_never_to_be_read_before_its_originator_stopped(
    owing: World, change: str
) -> None:
    await owing.enrol("GBR desk", "GBR", "contributor", "reader")
    await owing.enrol("GBR releaser", "GBR", "releaser")
    low = await owing.enrol("NOR low", "NOR", "reader", level="RESTRICTED")
    secret, restricted = await flash(owing), await flash(owing, label=FOR_ALL)
    owing.clock.advance(MINUTE)
    counted = 1
    await stops(owing, "GBR", "suspended")
    owing.clock.advance(MINUTE)
    assert (await shown(owing, "NOR low"))["GBR"].posts == counted
    if change == "lowered":
        await lower(owing, secret, Downgrade(FOR_ALL, None))
    elif change == "cleared":
        change_to = ClearanceChange(level="SECRET")
        await usecases.change_clearance(owing.services, owing.call(None), low.id, change_to)
        counted = 0
    else:
        await usecases.resume_agreement(owing.services, owing.call("GBR signatory"), owing.agreement_id)
        raised = owing.posted(label=GBR_NOR)
        await usecases.amend_report(owing.services, owing.call("GBR desk"), restricted, raised, if_version=None)
        await stops(owing, "GBR", "suspended")
        counted = 0

    assert (await shown(owing, "NOR low"))["GBR"].posts == counted


@pytest.mark.parametrize("how", ["suspended", "left"])
async def test_party_that_takes_no_part_any_more_sheds_nothing_of_what_it_missed(owing: World, how: str) -> None:
    since = owing.clock.now
    prompt = await flash(owing)
    await flash(owing)
    await receive(owing, "NOR reader", prompt)
    owing.clock.advance(DAY)
    await stops(owing, "NOR", how)
    await flash(owing)
    owing.clock.advance(DAY)

    records = await shown(owing, "GBR reader", since)
    assert records["GBR"].posts == 3
    assert acknowledged(records["NOR"]) == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("keeps_precedence", "after", "overdue"), [(True, MINUTE, 1), (False, MINUTE, 0), (False, 11 * MINUTE, 1)]
)
async def test_amendment_excuses_nobody_whose_time_was_up(
    owing: World, after: timedelta, overdue: int, *, keeps_precedence: bool
) -> None:
    report, call = await flash(owing), owing.call("GBR contributor")
    owing.clock.advance(after)
    newer = owing.posted(label=GBR_NOR, precedence=Precedence.ROUTINE)
    await usecases.amend_report(owing.services, call, report, newer, keeps_precedence=keeps_precedence)
    owing.clock.advance(HOUR)

    norway = (await shown(owing, "GBR reader"))["NOR"]
    assert acknowledged(norway) == (0, 0, 0, overdue)
    assert acknowledged(norway, "ROUTINE") == (0, 0, 1 - overdue, 0)


async def test_period_is_as_long_as_it_is_asked_for_and_what_came_before_tells_when_the_next_was_due(
    owing: World,
) -> None:
    await owing.post(label=FOR_ALL)
    owing.clock.advance(6 * DAY)
    since = owing.clock.now
    owing.clock.advance(DAY)
    await owing.post(label=FOR_ALL)

    records = await shown(owing, "NOR reader", since)

    assert records["GBR"].posts == 1
    assert records["GBR"].rhythm is not None
    assert (records["GBR"].rhythm.in_time, records["GBR"].rhythm.late) == (1, 0)


@pytest.mark.parametrize("back", [-MINUTE, 367 * DAY])
async def test_period_that_has_not_begun_or_is_too_long_is_refused(owing: World, back: timedelta) -> None:
    since = owing.clock.now - back

    made = await owing.attempt(
        usecases.show_compliance(owing.services, owing.call("NOR reader"), owing.agreement_id, since)
    )

    assert isinstance(made.error, InvalidError)
    assert made.entry["decision"] == "refused"


async def test_it_is_on_the_record_before_it_is_told(owing: World) -> None:
    call = owing.call("NOR reader")

    made = await owing.attempt(usecases.show_compliance(owing.services, call, owing.agreement_id))

    entry = made.entry
    assert (entry["type"], entry["decision"]) == ("compliance.read", "permitted")
    assert entry["object"] == {"type": "agreement", "id": owing.agreement_id}
    assert made.value.receipt.entry == entry["id"]


async def test_foreign_and_absent_agreements_are_one_answer(owing: World) -> None:
    foreign = await owing.agree(AGREEMENT_OF_TWO, signatories=("GBR", "ESP"))
    made = [
        await owing.attempt(usecases.show_compliance(owing.services, owing.call("NOR reader"), each))
        for each in (foreign, random_id(), "malformed")
    ]

    assert {(type(each.error), str(each.error)) for each in made} == {
        (NotFoundError, "no such agreement, or none that you may see")
    }
    assert [each.entry["decision"] for each in made] == ["refused"] * 3


async def test_only_readers_are_told(owing: World) -> None:
    made = await owing.attempt(
        usecases.show_compliance(owing.services, owing.call("NOR signatory"), owing.agreement_id)
    )

    assert isinstance(made.error, ForbiddenError)
    assert made.entry["reasons"] == ["role-missing"]


async def test_purpose_is_asked_as_for_a_list(owing: World) -> None:
    await owing.post(label=FOR_ALL)

    assert (await shown(owing, "NOR reader", purpose="judicial"))["GBR"].posts == 0
    made = await owing.attempt(
        usecases.show_compliance(owing.services, owing.call("NOR reader", purpose="no-such"), owing.agreement_id)
    )
    assert isinstance(made.error, InvalidError)


async def test_policy_that_moves_meanwhile_is_asked_anew(owing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await owing.post(label=GBR_NOR)
    counted = type(owing.services.store.duties).posted
    rounds = []

    async def narrowed(self, asked, since):
        found = await counted(self, asked, since)
        if not rounds:
            low = ClearanceChange("RESTRICTED", (), None)
            await usecases.change_clearance(owing.services, owing.call(None), owing.clients["NOR reader"].id, low)
        rounds.append(found)
        return found

    monkeypatch.setattr(type(owing.services.store.duties), "posted", narrowed)

    assert (await shown(owing, "NOR reader"))["GBR"].posts == 0
    assert [len(found) for found in rounds] == [1, 0]


async def test_policy_that_never_rests_is_told_as_that_and_nothing_is_counted(
    owing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = type(owing.services.store.duties).posted
    reader, levels = owing.clients["NOR reader"].id, cycle(("RESTRICTED", "CONFIDENTIAL"))

    async def moved(self, asked, since):
        found = await counted(self, asked, since)
        await usecases.change_clearance(owing.services, owing.call(None), reader, ClearanceChange(next(levels)))
        return found

    monkeypatch.setattr(type(owing.services.store.duties), "posted", moved)
    made = await owing.attempt(shown(owing, "NOR reader"))

    assert isinstance(made.error, UnavailableError)
    assert "ask again" in made.error.message
    assert not [entry for entry in made.entries if entry["type"] == "compliance.read"]


async def test_agreement_that_has_ended_is_answered_and_counts_nothing_that_no_list_shows_any_more(
    owing: World,
) -> None:
    owing.clock.now = datetime(2030, 12, 31, 12, tzinfo=UTC)
    await owing.post(label=FOR_ALL)
    before = await shown(owing, "NOR reader")
    owing.clock.advance(DAY)
    after = await shown(owing, "NOR reader")

    assert (before["GBR"].posts, after["GBR"].posts) == (1, 0)
    assert before.keys() == after.keys()


async def test_replaced_services_count_the_same(owing: World) -> None:
    await flash(owing)
    async with owing.another_node() as services:
        other = replace(owing, services=services)

        assert await shown(other, "GBR reader") == await shown(owing, "GBR reader")


@pytest.mark.parametrize("asks_since", ["before it left", "after"])
async def test_who_has_left_is_told_nothing_of_what_the_others_do_since(owing: World, asks_since: str) -> None:
    since = owing.clock.now
    await owing.post(label=FOR_ALL)
    await stops(owing, "DNK", "left")
    left = owing.clock.now
    owing.clock.advance(DAY)
    if asks_since == "after":
        since = owing.clock.now

    async def told() -> usecases.Compliance:
        call = owing.call("DNK reader")
        return (await usecases.show_compliance(owing.services, call, owing.agreement_id, since)).value

    before = await told()
    await usecases.suspend_agreement(owing.services, owing.call("GBR signatory"), owing.agreement_id)
    owing.clock.advance(DAY)
    suspended = await told()
    await usecases.resume_agreement(owing.services, owing.call("GBR signatory"), owing.agreement_id)
    owing.clock.advance(DAY)

    assert before.parties
    assert before.parties == suspended.parties == (await told()).parties
    assert (before.now, before.since) == (left, min(since, left))


async def test_node_that_is_behind_the_time_of_the_agreement_says_so(populated: World) -> None:
    populated.clock.advance(-timedelta(hours=1))
    path = f"/v1/agreements/{populated.agreement_id}/compliance"
    async with open_api(populated) as api:
        answer = await api.as_client("GBR reader").get(path)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "ask again" in answer.json()["detail"]


@pytest.mark.parametrize("stops_too", [False, True])
async def test_who_comes_back_is_told_of_no_rhythm_that_was_not_owed_to_it(
    populated: World, *, stops_too: bool
) -> None:
    text = OWING.replace("P90D, shared_reports: recalled", "PT0S, shared_reports: kept")
    await populated.agree(text)
    await populated.post(label=FOR_ALL)
    await usecases.withdraw_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    for step in range(4):
        populated.clock.advance(6 * DAY)
        await populated.post(label=FOR_ALL)
        if step == 1:
            # Of this too it is told nothing.
            await stops(populated, "GBR", "suspended")
            populated.clock.advance(MINUTE)
            await usecases.resume_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    await concluded(populated, text.replace("P5Y", "P4Y"))
    populated.clock.advance(6 * DAY)
    await populated.post(label=FOR_ALL)

    rhythm = (await shown(populated, "DNK reader"))["GBR"].rhythm
    assert rhythm is not None
    assert (rhythm.late, rhythm.missed, rhythm.is_overdue) == (0, 0, False)
