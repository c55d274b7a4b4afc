"""Requests for information: who reads one, who learns of which answer, and what ends it; on both databases."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import (
    ConflictError,
    ExchangeError,
    ForbiddenError,
    InvalidError,
    MalformedError,
    NotFoundError,
    UnavailableError,
)
from exchange.markings import Label
from exchange.members import Standing
from exchange.reports import Downgrade, PostedPart, RequestState
from exchange.store import OnwardWish
from exchange.usecases import ClearanceChange, RequestView
from exchange.usecases.consents import onward_release
from tests.support.lived import IN_ONE_WORLD
from tests.support.meanwhile import done_behind
from tests.support.world import AGREEMENT, NOW, World
from tests.usecases.test_amending import concluded

TO_BOTH = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
TO_GBR = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
SHARED = AGREEMENT.replace("    retention: P5Y", "    retention: P5Y\n    answers: asked").replace(
    "contributors: [GBR, NOR]", "contributors: [GBR, NOR, DNK]"
)
THREE = AGREEMENT.replace("contributors: [GBR, NOR]", "contributors: [GBR, NOR, DNK]")


async def ask(world: World, name: str = "GBR reader", **changes: Any) -> str:
    made = await usecases.request_information(world.services, world.call(name), world.wanted(**changes))
    return made.value.row.id


async def ask_both(world: World, text: str = THREE) -> str:
    await world.agree(text)
    return await ask(world, label=TO_BOTH, asked=("NOR", "DNK"))


async def show(world: World, request: str, name: str = "NOR reader", services: Any = None) -> RequestView:
    return (await usecases.show_request(services or world.services, world.call(name), request)).value


async def listed(world: World, name: str, services: Any = None) -> list[str]:
    found = await usecases.list_requests(services or world.services, world.call(name))
    return [view.row.id for view in found.value.items]


async def answer(world: World, request: str, report: str, name: str = "NOR contributor") -> RequestView:
    world.clock.advance(timedelta(seconds=1))
    return (await usecases.answer_request(world.services, world.call(name), request, report)).value


async def is_hidden(world: World, request: str, name: str, services: Any = None) -> bool:
    try:
        await show(world, request, name, services)
    except NotFoundError:
        return request not in await listed(world, name, services)
    return False


def known(view: RequestView) -> list[str]:
    return [each.report for each in view.answers]


async def test_asked_member_reads_what_it_is_asked_and_nobody_else_does(populated: World) -> None:
    made = await populated.attempt(
        usecases.request_information(populated.services, populated.call("GBR reader"), populated.wanted())
    )
    request = made.value.value.row.id

    assert (made.entry["type"], made.entry["owner"], made.entry["object"]["id"]) == ("request.made", "GBR", request)
    assert made.entry["detail"]["asked"] == ["NOR"]
    for name in ("GBR reader", "NOR reader", "NOR contributor"):
        seen = await show(populated, request, name)
        assert (seen.request.text, seen.state, seen.asked) == ("Canary question 4711", RequestState.OPEN, ("NOR",))
        assert await listed(populated, name) == [request]
    # The asker's own contributor does not read; DNK reads in the scope and is not asked; ESP is no party.
    for name in ("GBR contributor", "DNK reader", "DNK contributor", "ESP reader"):
        assert await is_hidden(populated, request, name)


async def test_reading_is_on_the_record_and_a_refusal_says_why_to_the_log_alone(populated: World) -> None:
    request = await ask(populated)
    read = await populated.attempt(usecases.show_request(populated.services, populated.call("NOR reader"), request))
    refused = await populated.attempt(usecases.show_request(populated.services, populated.call("DNK reader"), request))

    assert (read.entry["type"], read.entry["decision"], read.entry["owner"]) == ("request.read", "permitted", "GBR")
    assert (refused.entry["decision"], refused.entry["reasons"]) == ("refused", ["not-a-party", "not-releasable"])
    absent = await populated.attempt(
        usecases.show_request(populated.services, populated.call("DNK reader"), "no id at all")
    )
    assert (str(absent.error), absent.entry["object"]["id"]) == (str(refused.error), "malformed")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scope": "none"}, "unknown-scope"),
        ({"label": Label("NATO", "TOP SECRET", releasable_to=("GBR", "NOR"))}, "above-ceiling"),
        ({"label": Label("NATO", "SECRET", releasable_to=("GBR",))}, "not-releasable"),
        ({"asked": ("DNK",)}, "not-a-party"),
        ({"deadline": NOW}, "in-the-past"),
    ],
)
@IN_ONE_WORLD
async def test_request_with_a_fault_is_refused_and_nothing_is_kept(unchanged: World, changes, code) -> None:
    attempt = await unchanged.attempt(ask(unchanged, **changes))

    assert isinstance(attempt.error, InvalidError)
    assert attempt.entry["detail"]["codes"] == [code]
    assert unchanged.sql("SELECT id FROM information_request") == []


async def test_request_without_a_scope_is_told_its_other_faults_too(populated: World) -> None:
    wanted = populated.wanted(scope="none", kind="rumour", asked=("FIN",), deadline=NOW)
    with pytest.raises(InvalidError) as refused:
        await usecases.request_information(populated.services, populated.call("GBR reader"), wanted)

    assert [fault.pointer for fault in refused.value.faults] == ["/scope", "/kind", "/deadline"]


async def test_only_a_reader_of_the_scope_asks_under_an_agreement_in_force(populated: World) -> None:
    with pytest.raises(NotFoundError):
        await ask(populated, "ESP reader")
    await populated.agree(AGREEMENT.replace("readers: [GBR, NOR, DNK]", "readers: [NOR, DNK]"))
    with pytest.raises(InvalidError):
        await ask(populated)
    await usecases.suspend_agreement(populated.services, populated.call("NOR signatory"), populated.agreement_id)
    await usecases.suspend_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    with pytest.raises(ConflictError):
        await ask(populated, "NOR reader")


async def test_nothing_that_is_asked_stands_in_the_database_or_the_log_in_the_clear(populated: World) -> None:
    await ask(populated)
    kept = repr(populated.sql("SELECT * FROM information_request")) + repr(await populated.entries())

    assert "Canary" not in kept


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("deadline_at", "deadline_at + 1"),
        ("facts", "replace(facts, 'SECRET', 'RESTRICTED')"),
        ("key_version", "key_version + 1"),
    ],
)
async def test_altered_row_is_not_opened(populated: World, column: str, value: str) -> None:
    request = await ask(populated)
    populated.sql(f"UPDATE information_request SET {column} = {value}")

    attempt = await populated.attempt(show(populated, request))

    assert isinstance(attempt.error, UnavailableError)
    assert (attempt.entry["type"], attempt.entry["decision"]) == ("key.opened", "failed")


async def test_member_put_into_the_rows_behind_the_exchange_reads_nothing(populated: World) -> None:
    await populated.agree(THREE)
    request = await ask(populated, label=TO_BOTH)
    populated.sql("INSERT INTO information_request_member SELECT number, 'DNK' FROM information_request")

    with pytest.raises(UnavailableError):
        await show(populated, request, "DNK reader")


@pytest.mark.parametrize(
    "narrow",
    [
        lambda w: usecases.change_clearance(
            w.services, w.call(None), w.clients["NOR reader"].id, ClearanceChange("RESTRICTED")
        ),
        lambda w: usecases.change_standing(w.services, w.call(None), w.clients["NOR reader"].id, Standing.REVOKED),
        lambda w: usecases.suspend_agreement(w.services, w.call("NOR signatory"), w.agreement_id),
        lambda w: usecases.suspend_agreement(w.services, w.call("GBR signatory"), w.agreement_id),
        lambda w: usecases.withdraw_request(w.services, w.call("GBR reader"), w.request),
    ],
    ids=["clearance", "revoked", "own suspension", "asker's suspension", "withdrawn"],
)
async def test_narrowing_holds_from_the_next_request_on_another_node(populated: World, narrow) -> None:
    populated.request = await ask(populated)  # type: ignore[attr-defined]
    async with populated.another_node() as other:
        assert (await show(populated, populated.request, services=other)).request.text
        await narrow(populated)

        with pytest.raises((NotFoundError, ForbiddenError)):
            await show(populated, populated.request, services=other)


async def test_answer_links_back_for_the_asker_and_for_whoever_gave_it(populated: World) -> None:
    request = await ask(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)
    linked = await populated.attempt(
        usecases.answer_request(populated.services, populated.call("NOR contributor"), request, report)
    )

    assert (linked.entry["type"], linked.entry["owner"]) == ("request.answered", "NOR")
    assert linked.entry["detail"] == {"request": request, "late": 0}
    for name in ("GBR reader", "NOR reader", "NOR contributor"):
        seen = await show(populated, request, name)
        assert (known(seen), seen.state) == ([report], RequestState.ANSWERED)


@pytest.mark.parametrize(("asked", "given"), [("SECRET", "RESTRICTED"), ("RESTRICTED", "SECRET")])
async def test_answer_is_on_record_under_the_higher_label_of_the_two(populated: World, asked: str, given: str) -> None:
    request = await ask(populated, label=replace(TO_GBR, classification=asked))
    report = await populated.post("NOR contributor", label=replace(TO_GBR, classification=given))
    made = await populated.attempt(answer(populated, request, report))

    # The entry names both: an auditor who is not cleared for the one would learn of it by the other.
    assert made.entry["label"] == replace(TO_GBR, classification="SECRET").as_json()


async def test_asked_member_learns_of_no_other_answer_nor_that_there_is_one(populated: World) -> None:
    request = await ask_both(populated)
    before = await show(populated, request, "DNK reader")
    report = await populated.post("NOR contributor", label=TO_GBR)
    await answer(populated, request, report)
    other = await populated.post("DNK contributor", label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR")))

    seen = await show(populated, request, "DNK reader")
    assert replace(seen, row=before.row) == before
    assert (seen.state, seen.asked) == (RequestState.OPEN, ("DNK",))
    await answer(populated, request, other, "DNK contributor")
    assert known(await show(populated, request, "DNK reader")) == [other]
    assert known(await show(populated, request, "NOR reader")) == [report]
    assert known(await show(populated, request, "GBR reader")) == [report, other]
    assert (await show(populated, request, "GBR reader")).asked == ("DNK", "NOR")


async def test_asker_sees_only_answers_that_it_may_read(populated: World) -> None:
    await populated.enrol("GBR junior", "GBR", "reader", level="RESTRICTED")
    request = await ask(populated, label=TO_GBR)
    await answer(populated, request, await populated.post("NOR contributor"))

    junior = await show(populated, request, "GBR junior")
    assert (known(junior), junior.state) == ([], RequestState.OPEN)
    assert (await show(populated, request, "GBR reader")).state is RequestState.ANSWERED


async def test_recalled_answer_is_none(populated: World) -> None:
    await populated.enrol("NOR releaser", "NOR", "releaser")
    request = await ask(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)
    await answer(populated, request, report)
    await usecases.recall_report(populated.services, populated.call("NOR releaser"), report, "source at risk")

    # To who gave it neither: it would take for answered what waits for an answer still.
    for name in ("GBR reader", "NOR contributor"):
        seen = await show(populated, request, name)
        assert (known(seen), seen.state) == ([], RequestState.OPEN)


async def test_answer_that_was_altered_takes_no_list_from_who_gave_it(populated: World) -> None:
    request = await ask(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)
    await answer(populated, request, report)
    populated.sql("UPDATE report SET status = 'x'")
    attempt = await populated.attempt(listed(populated, "NOR contributor"))

    assert attempt.value == [request]
    assert known(await show(populated, request, "NOR contributor")) == []
    assert f"report {report}" in [each["detail"]["place"] for each in attempt.entries if each["type"] == "key.opened"]


@pytest.mark.parametrize(
    "parts",
    [
        {"label": TO_BOTH},
        {"label": TO_GBR, "parts": (PostedPart(TO_BOTH, "text/plain", "wide.txt", b"tear-line"),)},
    ],
)
async def test_answer_that_others_could_read_is_refused(populated: World, parts) -> None:
    request = await ask_both(populated)
    report = await populated.post("NOR contributor", **parts)

    attempt = await populated.attempt(answer(populated, request, report))

    assert isinstance(attempt.error, InvalidError)
    assert attempt.entry["reasons"] == ["not-releasable"]
    assert known(await show(populated, request, "GBR reader")) == []


async def test_where_the_scope_says_so_the_asked_see_each_others_answers(populated: World) -> None:
    request = await ask_both(populated, SHARED)
    report = await populated.post("NOR contributor", label=TO_BOTH)
    narrow = await populated.post("NOR contributor", label=TO_GBR)
    await answer(populated, request, report)
    await answer(populated, request, narrow)

    # By the label of each, still.
    assert known(await show(populated, request, "DNK reader")) == [report]
    assert (await show(populated, request, "DNK reader")).state is RequestState.ANSWERED
    assert known(await show(populated, request, "GBR reader")) == [report, narrow]


async def test_amended_text_that_keeps_answers_to_the_asker_hides_the_links_again(populated: World) -> None:
    request = await ask_both(populated, SHARED)
    report = await populated.post("NOR contributor", label=TO_BOTH)
    await answer(populated, request, report)
    assert known(await show(populated, request, "DNK reader")) == [report]
    await concluded(populated, THREE)

    # DNK reads the report itself, as its label says, and learns no more that it is an answer.
    await usecases.pull_report(populated.services, populated.call("DNK reader"), report)
    seen = await show(populated, request, "DNK reader")
    assert (known(seen), seen.state) == ([], RequestState.OPEN)
    assert known(await show(populated, request, "GBR reader")) == [report]


async def test_answer_cannot_be_widened_afterwards_to_who_was_asked(populated: World) -> None:
    await populated.enrol("NOR releaser", "NOR", "releaser")
    request = await ask_both(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)
    await answer(populated, request, report)
    wide = Downgrade(Label("NATO", "UNCLASSIFIED", releasable_to=("DNK", "GBR", "NOR")))
    lower = Downgrade(Label("NATO", "UNCLASSIFIED", releasable_to=("GBR", "NOR")))

    with pytest.raises(InvalidError):
        await usecases.downgrade_report(populated.services, populated.call("NOR releaser"), report, wide)
    wish = OnwardWish("DNK", (), (), None, "they were asked too")
    asked = await usecases.request_onward(populated.services, populated.call("GBR reader"), report, wish)
    with pytest.raises(ConflictError):
        await usecases.grant_onward(populated.services, populated.call("NOR releaser"), asked.value.row.id)
    with pytest.raises(NotFoundError):
        await usecases.pull_report(populated.services, populated.call("DNK reader"), report)
    await usecases.downgrade_report(populated.services, populated.call("NOR releaser"), report, lower)
    assert known(await show(populated, request, "GBR reader")) == [report]


async def test_report_that_was_passed_on_to_others_is_no_answer(populated: World) -> None:
    await populated.enrol("NOR releaser", "NOR", "releaser")
    request = await ask_both(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)
    wish = OnwardWish("DNK", (), (), None, "theirs is the operation")
    asked = await usecases.request_onward(populated.services, populated.call("GBR reader"), report, wish)
    await usecases.grant_onward(populated.services, populated.call("NOR releaser"), asked.value.row.id)

    with pytest.raises(InvalidError):
        await answer(populated, request, report)


async def test_while_custody_is_away_another_s_report_is_as_absent_as_ever(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, foreign = await ask(populated), await populated.post(label=TO_GBR)

    async def away(*_: object) -> None:
        raise UnavailableError("custody is away")

    monkeypatch.setattr(populated.services.custodian, "open_headers", away)
    for report in (foreign, "0" * 36):
        with pytest.raises(InvalidError) as refused:
            await answer(populated, request, report)
        assert [fault.code for fault in refused.value.faults] == ["unknown-report"]
    own = await populated.post("NOR contributor", label=TO_GBR)
    with pytest.raises(UnavailableError, match="custody is away"):
        await answer(populated, request, own)


async def test_only_an_own_current_report_under_the_same_clause_answers(populated: World) -> None:
    first = populated.agreement_id
    request = await ask(populated)
    foreign = await populated.post(label=TO_GBR)
    own = await populated.post("NOR contributor", label=Label("NATO", "RESTRICTED", releasable_to=("NOR",)))
    gone = await populated.post("NOR contributor", label=TO_GBR, valid_until=NOW + timedelta(hours=1))
    await populated.agree(THREE)
    elsewhere = await populated.post("NOR contributor", label=TO_GBR)
    populated.agreement_id = first
    told = {}
    populated.clock.advance(timedelta(hours=2))
    for report in (foreign, "0" * 36, own, gone, elsewhere):
        with pytest.raises(InvalidError) as refused:
            await answer(populated, request, report)
        told[report] = [(fault.code, fault.message) for fault in refused.value.faults]

    assert told[foreign] == told["0" * 36]
    assert [code for code, _ in told[foreign]] == ["unknown-report"]
    assert [told[report][0][0] for report in (own, gone, elsewhere)] == ["not-releasable", "expired", "unknown-scope"]


async def test_only_the_asked_answer_and_each_report_once(populated: World) -> None:
    request = await ask(populated)
    await populated.enrol("GBR all", "GBR", "contributor", "reader")
    with pytest.raises(NotFoundError):
        await answer(populated, request, await populated.post(label=TO_GBR), "GBR all")
    report = await populated.post("NOR contributor", label=TO_GBR)
    await answer(populated, request, report)
    with pytest.raises(ConflictError, match="already"):
        await answer(populated, request, report)


async def test_deadline_passes_by_itself_and_late_answers_are_said_to_be_late(populated: World) -> None:
    request = await ask(populated)
    populated.clock.advance(timedelta(days=2))
    assert (await show(populated, request)).state is RequestState.OVERDUE
    report = await populated.post("NOR contributor", label=TO_GBR)
    linked = await populated.attempt(answer(populated, request, report))

    assert linked.entry["detail"]["late"] == 1
    assert (await show(populated, request)).state is RequestState.ANSWERED


async def test_closed_request_stays_to_be_read_and_is_answered_no_more(populated: World) -> None:
    request = await ask(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)
    closed = await populated.attempt(usecases.close_request(populated.services, populated.call("GBR reader"), request))

    assert (closed.value.value.state, closed.entry["type"]) == (RequestState.CLOSED, "request.closed")
    assert (await show(populated, request)).state is RequestState.CLOSED
    with pytest.raises(ConflictError):
        await answer(populated, request, report)
    with pytest.raises(ConflictError):
        await usecases.close_request(populated.services, populated.call("GBR reader"), request)


async def test_who_was_no_party_meanwhile_reads_no_request_from_before(populated: World) -> None:
    request = await ask_both(populated)
    await concluded(populated, AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR]"))
    assert await is_hidden(populated, request, "DNK contributor")
    await concluded(populated, THREE)

    assert await is_hidden(populated, request, "DNK contributor")
    assert await is_hidden(populated, request, "DNK reader")
    await concluded(populated, f"{THREE}older_reports: included\n")
    assert await listed(populated, "DNK contributor") == [request]


async def test_withdrawn_request_is_the_askers_alone_to_look_back_at(populated: World) -> None:
    request = await ask(populated)
    await usecases.close_request(populated.services, populated.call("GBR reader"), request)
    gone = await populated.attempt(usecases.withdraw_request(populated.services, populated.call("GBR reader"), request))

    assert gone.entry["type"] == "request.withdrawn"
    assert (await show(populated, request, "GBR reader")).state is RequestState.WITHDRAWN
    for name in ("NOR reader", "NOR contributor"):
        assert await is_hidden(populated, request, name)
    with pytest.raises(NotFoundError):
        await answer(populated, request, await populated.post("NOR contributor", label=TO_GBR))
    with pytest.raises(ConflictError):
        await usecases.withdraw_request(populated.services, populated.call("GBR reader"), request)


@pytest.mark.parametrize("end", [usecases.close_request, usecases.withdraw_request])
async def test_only_the_asker_ends_its_request(populated: World, end) -> None:
    request = await ask(populated)
    attempt = await populated.attempt(end(populated.services, populated.call("NOR reader"), request))

    assert isinstance(attempt.error, NotFoundError)
    assert attempt.entry["decision"] == "refused"
    assert (await show(populated, request)).state is RequestState.OPEN


async def test_list_goes_on_from_its_cursor_past_what_is_hidden(populated: World, monkeypatch) -> None:
    monkeypatch.setitem(usecases.list_requests.__globals__, "_AT_ONCE", 2)
    high = Label("NATO", "SECRET", ("ATOMAL",), releasable_to=("GBR", "NOR"))
    made = [await ask(populated, label=label) for label in (TO_GBR, high, high, high, TO_GBR, TO_GBR)]
    call = populated.call("NOR reader")

    first = (await usecases.list_requests(populated.services, call, limit=1)).value
    second = (await usecases.list_requests(populated.services, call, cursor=first.next, limit=10)).value
    third = (await usecases.list_requests(populated.services, call, cursor=second.next)).value

    assert [view.row.id for view in (*first.items, *second.items)] == [made[0], made[4], made[5]]
    assert third.items == ()
    # Another's cursor, and the one of another list.
    with pytest.raises(MalformedError):
        await usecases.list_requests(populated.services, populated.call("GBR reader"), cursor=first.next)
    reports = await usecases.list_reports(populated.services, call, usecases.ListQuery())
    with pytest.raises(MalformedError):
        await usecases.list_requests(populated.services, call, cursor=reports.value.next)


async def test_what_a_list_passed_over_is_not_passed_over_again(populated: World, monkeypatch) -> None:
    looked_at: list[str] = []
    decide = usecases.list_requests.__globals__["decide_request"]

    async def counted(services: Any, call: Any, client: Any, row: Any, state: Any) -> Any:
        looked_at.append(row.id)
        return await decide(services, call, client, row, state)

    monkeypatch.setitem(usecases.list_requests.__globals__, "decide_request", counted)
    high = Label("NATO", "SECRET", ("ATOMAL",), releasable_to=("GBR", "NOR"))
    hidden = [await ask(populated, label=high) for _ in range(2)]
    call = populated.call("NOR reader")
    first = (await usecases.list_requests(populated.services, call)).value
    shown = await ask(populated, label=TO_GBR)
    second = (await usecases.list_requests(populated.services, call, cursor=first.next)).value

    assert first.items == ()
    assert [view.row.id for view in second.items] == [shown]
    assert looked_at == [*hidden, shown]
    # Nor does it cost anything what others ask among themselves.
    assert await listed(populated, "DNK reader") == []
    assert looked_at == [*hidden, shown]


async def test_what_a_client_asked_and_did_not_end_is_bounded(populated: World, monkeypatch) -> None:
    monkeypatch.setattr(import_module("exchange.usecases.requests.information_requests"), "MOST_OPEN", 2)
    await populated.enrol("GBR second reader", "GBR", "reader")
    first, second = [await ask(populated, label=TO_GBR) for _ in range(2)]
    refused = await populated.attempt(ask(populated))
    assert isinstance(refused.error, ConflictError)
    assert (refused.error.code, refused.entry["decision"]) == ("too-many-waiting", "refused")
    await ask(populated, "GBR second reader")
    # To end one makes room, and not at once, and so does its deadline; an answer does not: it may be above who asked.
    await usecases.withdraw_request(populated.services, populated.call("GBR reader"), second)
    await answer(populated, first, await populated.post("NOR contributor", label=TO_GBR))
    assert (await populated.attempt(ask(populated))).error is not None
    populated.clock.advance(timedelta(days=1, seconds=1))
    await ask(populated)
    assert (await populated.attempt(ask(populated))).error is not None
    populated.clock.advance(timedelta(days=7))
    await ask(populated, deadline=populated.clock.now + timedelta(days=1))


async def test_answers_of_one_member_are_bounded(populated: World, monkeypatch) -> None:
    monkeypatch.setattr(import_module("exchange.usecases.requests.answer_request"), "MOST_ANSWERS", 1)
    request = await ask(populated)
    await answer(populated, request, await populated.post("NOR contributor", label=TO_GBR))

    with pytest.raises(ConflictError, match="1 answers"):
        await answer(populated, request, await populated.post("NOR contributor", label=TO_GBR))


async def test_contributor_dropped_by_an_amended_text_sees_the_request_no_more(populated: World) -> None:
    request = await ask_both(populated)
    assert (await show(populated, request, "DNK reader")).request.text
    await concluded(populated, AGREEMENT)

    assert await is_hidden(populated, request, "DNK reader")
    assert (await show(populated, request, "NOR reader")).request.text


async def test_answer_that_is_given_while_its_report_is_passed_on_does_not_reach_who_was_asked(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populated.enrol("NOR releaser", "NOR", "releaser")
    request = await ask_both(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)
    wish = OnwardWish("DNK", (), (), None, "they were asked too")
    asked = await usecases.request_onward(populated.services, populated.call("GBR reader"), report, wish)
    looked, answers = onward_release.require_not_asked, list[asyncio.Task[RequestView]]()

    async def answered_meanwhile(*arguments: Any) -> None:
        await looked(*arguments)
        answers.append(asyncio.create_task(answer(populated, request, report)))
        # Whoever has to wait for the grant is still waiting after this; who need not has its answer in.
        await asyncio.wait(answers, timeout=1)

    monkeypatch.setattr(onward_release, "require_not_asked", answered_meanwhile)
    grant = usecases.grant_onward(populated.services, populated.call("NOR releaser"), asked.value.row.id)
    (granted,) = await asyncio.gather(grant, return_exceptions=True)
    (given,) = await asyncio.gather(*answers, return_exceptions=True)

    # Whichever came first, the other one is told so.
    assert [isinstance(each, ExchangeError) for each in (granted, given)].count(True) == 1
    assert (known(await show(populated, request, "GBR reader")) == [report]) is not isinstance(given, ExchangeError)


async def test_answer_goes_on_to_who_was_not_asked(populated: World) -> None:
    await populated.enrol("NOR releaser", "NOR", "releaser")
    request = await ask_both(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)
    await answer(populated, request, report)
    wish = OnwardWish("ESP", (), (), None, "theirs is the operation")
    asked = await usecases.request_onward(populated.services, populated.call("GBR reader"), report, wish)
    await usecases.grant_onward(populated.services, populated.call("NOR releaser"), asked.value.row.id)

    assert (await usecases.pull_report(populated.services, populated.call("ESP reader"), report)).value.parts


async def test_request_that_is_gone_when_its_answer_comes_is_absent(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await ask(populated)
    report = await populated.post("NOR contributor", label=TO_GBR)

    async def remove() -> None:
        populated.unguard("information_request")
        populated.sql("DELETE FROM information_request")

    done_behind(monkeypatch, import_module("exchange.usecases.requests.answer_request"), "_own", remove)
    act = usecases.answer_request(populated.services, populated.call("NOR contributor"), request, report)
    made = await populated.attempt(act)

    assert isinstance(made.error, NotFoundError)
    assert (made.entry["type"], made.entry["decision"]) == ("request.answered", "refused")
