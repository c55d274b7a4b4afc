"""Onward release: asked for, granted by one or two, narrow, signed, revocable at the next request; on both databases."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import DeedKind, EventName, Outcome, SignatureType, VerifierKey, deed_digest, read_deed
from exchange.kernel import ConflictError, InvalidError, NotFoundError
from exchange.markings import Label
from exchange.members import Role
from exchange.reports import Downgrade, PostedPart
from exchange.store import ConsentState
from exchange.usecases.consents import onward_release
from exchange.usecases.consents.onward_release import _reclass
from exchange.usecases.steps.opening import open_sealed_header
from exchange.usecases.steps.originating import own_report
from exchange.usecases.steps.recording import TamperedError
from tests.support.lived import MakeLived
from tests.support.onward import LOW, ask, grant, listed_requests, read, wish, with_releasers
from tests.support.store import NODE_KEY
from tests.support.world import AGREEMENT, World

LOWER = Label("NATO", "UNCLASSIFIED", releasable_to=("GBR", "NOR"))
NODE = VerifierKey("test", SignatureType.ED25519, NODE_KEY.verifying_key)


@pytest.fixture
async def asking(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def listed(world: World, name: str, services: Any = None) -> list[bytes]:
    call = world.call(name)
    return (await usecases.list_reports(services or world.services, call, usecases.ListQuery())).value.items


async def test_what_a_client_asked_for_and_nobody_decided_is_bounded(
    asking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.usecases.life.consent_requests.MOST_UNDECIDED", 2)
    await asking.enrol("NOR second reader", "NOR", "reader")
    report = await asking.post(label=LOW)
    first, _ = [await ask(asking, report) for _ in range(2)]
    refused = await asking.attempt(ask(asking, report))
    assert isinstance(refused.error, ConflictError)
    assert (refused.error.code, refused.entry["decision"]) == ("too-many-waiting", "refused")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("exchange.usecases.life.consent_requests.MOST_UNDECIDED_OF_MEMBER", 2)
        assert isinstance((await asking.attempt(ask(asking, report, "NOR second reader"))).error, ConflictError)
    await ask(asking, report, "NOR second reader")
    # What is decided makes room.
    await usecases.refuse_onward(asking.services, asking.call("GBR releaser"), first, "not now")
    await ask(asking, report)


async def is_hidden(world: World, report: str, name: str = "ESP reader", services: Any = None) -> bool:
    try:
        await read(world, report, name, services)
    except NotFoundError:
        return await listed(world, name, services) == []
    return False


async def test_third_reads_what_the_originator_released_to_it_and_only_then(asking: World) -> None:
    report = await asking.post(label=LOW, content=b"passed on")
    async with asking.another_node() as other:
        assert await is_hidden(asking, report, services=other)
        request = await ask(asking, report)
        assert await is_hidden(asking, report, services=other)
        made = await grant(asking, request)

        assert made.row.state is ConsentState.GRANTED
        assert (await read(asking, report, services=other)).parts == ((1, b"passed on"),)
        assert len(await listed(asking, "ESP reader", other)) == 1
        told = await usecases.explain_report(other, asking.call("ESP reader"), report)
        assert any("signed consent" in rule.sentence for rule in told.value.rules)
        # Nobody else has gained anything, and nobody has lost.
        assert await is_hidden(asking, report, "DNK reader", other)
        assert (await read(asking, report, "NOR reader", other)).parts == ((1, b"passed on"),)


async def test_revoked_consent_opens_nothing_at_the_next_request_on_any_node(asking: World) -> None:
    report = await asking.post(label=LOW)
    request = await ask(asking, report)
    await grant(asking, request)
    async with asking.another_node() as other:
        await read(asking, report, services=other)
        await listed(asking, "ESP reader", other)
        revoked = await usecases.revoke_onward(asking.services, asking.call("GBR releaser"), request)

        assert revoked.value.row.state is ConsentState.REVOKED
        assert await is_hidden(asking, report, services=other)
        assert await is_hidden(asking, report)
    with pytest.raises(ConflictError):
        await usecases.revoke_onward(asking.services, asking.call("GBR releaser"), request)


async def test_consent_ends_by_itself_and_for_other_purposes_there_is_none(asking: World) -> None:
    await asking.enrol("ESP police", "ESP", "reader", purposes=("defence", "law-enforcement"))
    report = await asking.post(label=LOW)
    until = asking.clock.now + timedelta(days=2)
    await grant(asking, await ask(asking, report, purposes=("law-enforcement",), until=until))
    police = asking.call("ESP police", purpose="law-enforcement")

    assert await is_hidden(asking, report, "ESP police")
    assert (await usecases.pull_report(asking.services, police, report)).value.parts
    asking.clock.advance(timedelta(days=2))
    later = asking.call("ESP police", purpose="law-enforcement")
    with pytest.raises(NotFoundError):
        await usecases.pull_report(asking.services, later, report)
    assert (await usecases.list_reports(asking.services, later, usecases.ListQuery())).value.items == []


async def test_releaser_grants_for_less_time_than_was_asked_for_and_for_no_more(asking: World) -> None:
    report, now = await asking.post(label=LOW), asking.clock.now
    asked = await ask(asking, report, until=now + timedelta(days=2))
    call = asking.call("GBR releaser")
    for until, code in ((now, "expired"), (now + timedelta(days=3), "too-long")):
        with pytest.raises(InvalidError) as refused:
            await usecases.grant_onward(asking.services, call, asked, until=until)
        assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/until", code)]
    assert await is_hidden(asking, report)
    end = now + timedelta(hours=1)
    made = (await usecases.grant_onward(asking.services, call, asked, until=end)).value.row

    assert read_deed(made.note or b"", [NODE]).content["until"] == "2026-06-01T13:00:00Z"
    assert (await read(asking, report)).released_under[0].until == end
    (seen,) = (await usecases.list_onward(asking.services, asking.call("NOR reader"))).value
    assert seen.row.wish.until == end
    asking.clock.now = end
    assert await is_hidden(asking, report)


async def test_what_is_over_when_it_is_decided_is_granted_by_nobody(asking: World) -> None:
    now = asking.clock.now
    low, high = await asking.post(label=LOW), await asking.post()
    ended = await asking.post(label=LOW, valid_until=now + timedelta(hours=2))
    late = [await ask(asking, report, until=now + timedelta(hours=1)) for report in (low, high)]
    call = asking.call("GBR releaser")
    act = (await usecases.grant_onward(asking.services, call, late[1])).value.act or ""
    endless = await ask(asking, ended)
    asking.clock.now = now + timedelta(hours=2)
    call, second = asking.call("GBR releaser"), asking.call("GBR second releaser")
    seen = (await usecases.show_pending_act(asking.services, second, act)).value.act
    codes = []
    for attempt in (
        usecases.grant_onward(asking.services, call, late[0]),
        usecases.confirm_act(asking.services, second, act, seen.digest),
        usecases.grant_onward(asking.services, call, endless),
    ):
        with pytest.raises(ConflictError) as refused:
            await attempt
        codes.append(refused.value.code)

    assert codes == ["request-ended", "request-ended", "expired"]
    known = (await usecases.list_onward(asking.services, asking.call("NOR reader"))).value
    assert sorted(view.row.state.value for view in known) == ["asked", "asked", "awaiting-second-person"]
    assert {view.row.note for view in known} == {None}


async def test_recalled_report_is_released_and_taken_back_no_more_and_nobody_tampered_with_it(asking: World) -> None:
    report = await asking.post(label=LOW)
    granted, waiting = await ask(asking, report), await ask(asking, report)
    await grant(asking, granted)
    call = asking.call("GBR releaser")
    await usecases.recall_report(asking.services, call, report, "it was wrong")
    made = [
        await asking.attempt(act(asking.services, call, request))
        for act, request in ((usecases.grant_onward, waiting), (usecases.revoke_onward, granted))
    ]

    assert [(type(each.error), each.error and each.error.code) for each in made] == [(ConflictError, "recalled")] * 2
    assert [each.entry["type"] for each in made] == ["onward.granted", "onward.revoked"]
    for name in ("GBR releaser", "NOR reader"):
        assert {view.row.state for view in await listed_requests(asking, name)} == {ConsentState.LAPSED}


async def test_second_releaser_confirms_the_time_that_the_first_one_named(asking: World) -> None:
    report, end = await asking.post(), asking.clock.now + timedelta(hours=1)
    call, asked = asking.call("GBR releaser"), await ask(asking, report)
    act = (await usecases.grant_onward(asking.services, call, asked, until=end)).value.act or ""
    second = asking.call("GBR second releaser")
    seen = (await usecases.show_pending_act(asking.services, second, act)).value.act
    await usecases.confirm_act(asking.services, second, act, seen.digest)

    assert seen.asked["until"] == "2026-06-01T13:00:00Z"
    assert (await read(asking, report)).parts
    asking.clock.now = end
    assert await is_hidden(asking, report)


async def test_list_of_a_recipient_forgets_a_consent_in_the_moment_it_ends(asking: World) -> None:
    report = await asking.post(label=LOW)
    await grant(asking, await ask(asking, report, until=asking.clock.now + timedelta(hours=1)))
    assert len(await listed(asking, "ESP reader")) == 1
    asking.clock.advance(timedelta(hours=1))

    assert await listed(asking, "ESP reader") == []


async def test_parts_alone_go_on_as_a_tear_line(asking: World) -> None:
    parts = (
        PostedPart(None, "text/plain", "a.txt", b"the source"),
        PostedPart(LOWER, "text/plain", "b.txt", b"the finding"),
    )
    report = await asking.post(label=LOW, parts=parts)
    await grant(asking, await ask(asking, report, parts=(2,)))
    pulled = await read(asking, report)

    assert pulled.parts == ((1, b"the finding"),)
    assert b"the source" not in pulled.header_json
    assert b'"subject":null' in pulled.header_json


async def test_who_is_given_one_part_under_the_reports_own_label_learns_of_no_other(asking: World) -> None:
    parts = (
        PostedPart(None, "text/plain", "a.txt", b"the source"),
        PostedPart(LOWER, "text/plain", "b.txt", b"the finding"),
    )
    report = await asking.post(label=LOW, parts=parts)
    await grant(asking, await ask(asking, report, parts=(1,)))
    pulled, (item,) = await read(asking, report), await listed(asking, "ESP reader")

    assert pulled.parts == ((1, b"the source"),)
    for header in (json.loads(pulled.header_json), json.loads(item)):
        assert header["subject"] is not None
        assert [part["name"] for part in header["parts"]] == ["a.txt"]


async def test_above_confidential_two_releasers_consent(asking: World) -> None:
    report = await asking.post()
    request = await ask(asking, report)
    waiting = await grant(asking, request)
    assert (waiting.row.state, waiting.row.note) == (ConsentState.AWAITING, None)
    assert await is_hidden(asking, report)
    act = waiting.act or ""
    seen = (await usecases.show_pending_act(asking.services, asking.call("GBR second releaser"), act)).value.act
    # Nor is it known to a releaser that may not know of the report.
    await asking.enrol("GBR low releaser", "GBR", "releaser", level="RESTRICTED")
    low = asking.call("GBR low releaser")
    assert (await usecases.list_pending_acts(asking.services, low)).value == ()
    with pytest.raises(NotFoundError):
        await usecases.show_pending_act(asking.services, low, act)
    for name in ("GBR releaser", "NOR releaser"):
        with pytest.raises((ConflictError, NotFoundError)):
            await usecases.confirm_act(asking.services, asking.call(name), act, seen.digest)
    assert await is_hidden(asking, report)
    await usecases.confirm_act(asking.services, asking.call("GBR second releaser"), act, seen.digest)

    assert (await read(asking, report)).parts
    (row,) = (await usecases.list_onward(asking.services, asking.call("NOR reader"))).value
    deed = read_deed(row.row.note or b"", [NODE])
    assert deed.content["granted_by"] == [asking.clients[n].id for n in ("GBR releaser", "GBR second releaser")]


async def test_first_releaser_whose_clearance_is_lowered_meanwhile_is_no_first_person_any_more(asking: World) -> None:
    report = await asking.post()
    request = await ask(asking, report)
    act = (await grant(asking, request)).act or ""
    first = asking.clients["GBR releaser"].id
    low = usecases.ClearanceChange("RESTRICTED")
    await usecases.change_clearance(asking.services, asking.call(None), first, low)
    second = asking.call("GBR second releaser")
    seen = (await usecases.show_pending_act(asking.services, second, act)).value.act
    with pytest.raises(ConflictError) as refused:
        await usecases.confirm_act(asking.services, second, act, seen.digest)

    assert refused.value.code == "requester-gone"
    assert await is_hidden(asking, report)


@pytest.mark.parametrize("how", ["taken back", "too old"])
async def test_grant_whose_second_person_did_not_come_is_asked_for_again(asking: World, how: str) -> None:
    report = await asking.post()
    request = await ask(asking, report)
    first = await grant(asking, request)
    with pytest.raises(ConflictError, match="waits for a second person"):
        await grant(asking, request)
    if how == "taken back":
        await usecases.refuse_act(asking.services, asking.call("GBR releaser"), first.act or "")
    else:
        asking.clock.advance(timedelta(days=7))
    for view in [each for name in ("GBR releaser", "NOR reader") for each in await listed_requests(asking, name)]:
        assert (view.row.state, view.row.decided_by, view.row.conditions) == (ConsentState.ASKED, None, None)
    act = (await grant(asking, request)).act or ""
    seen = (await usecases.show_pending_act(asking.services, asking.call("GBR second releaser"), act)).value.act
    await usecases.confirm_act(asking.services, asking.call("GBR second releaser"), act, seen.digest)

    assert act != first.act
    assert (await read(asking, report)).parts


async def test_request_whose_second_person_refused_ends_with_who_and_why(asking: World) -> None:
    request = await ask(asking, await asking.post())
    act = (await grant(asking, request)).act or ""
    second = asking.call("GBR second releaser")
    ended = await asking.attempt(usecases.refuse_act(asking.services, second, act, "the source would be known"))
    assert ended.value.value.act.refusal == "the source would be known"
    types = sorted((entry["type"], entry["decision"]) for entry in ended.entries)
    assert types == [("act.refused", "permitted"), ("onward.refused", "permitted")]

    for name, is_requesters in (("GBR releaser", False), ("NOR reader", True)):
        (view,) = await listed_requests(asking, name)
        assert (view.row.state, view.row.conditions) == (ConsentState.REFUSED, "the source would be known")
        assert (view.row.decided_by, view.is_requesters) == (asking.clients["GBR second releaser"].id, is_requesters)
    shown = (await usecases.show_pending_act(asking.services, asking.call("GBR releaser"), act)).value.act
    assert (shown.refuser, shown.refusal) == (asking.clients["GBR second releaser"].id, "the source would be known")
    with pytest.raises(ConflictError):
        await grant(asking, request)


async def test_grant_is_a_signed_deed_and_stands_in_the_log(asking: World) -> None:
    report = await asking.post(label=LOW)
    request = await ask(asking, report)
    act = usecases.grant_onward(asking.services, asking.call("GBR releaser"), request, "not to be quoted")
    made = await asking.attempt(act)
    deed = read_deed(made.value.value.row.note or b"", [NODE])

    assert (deed.kind, deed.content["recipient"], deed.content["conditions"]) == (
        DeedKind.ONWARD_GRANT,
        "ESP",
        "not to be quoted",
    )
    assert (made.entry["type"], made.entry["owner"]) == ("onward.granted", "GBR")
    assert made.entry["detail"] == {
        "request": request,
        "recipient": "ESP",
        "by": [asking.clients["GBR releaser"].id],
        "past": "kept",
        "deed": deed_digest(made.value.value.row.note or b""),
    }


async def test_refusal_tells_why_and_decides_once(asking: World) -> None:
    request = await ask(asking, await asking.post(label=LOW))
    refused = await usecases.refuse_onward(asking.services, asking.call("GBR releaser"), request, "the source")
    assert (refused.value.row.state, refused.value.row.conditions) == (ConsentState.REFUSED, "the source")

    with pytest.raises(ConflictError):
        await grant(asking, request)


@pytest.mark.parametrize("name", ["NOR releaser", "GBR junior releaser"])
async def test_nobody_but_the_originators_cleared_releaser_decides(asking: World, name: str) -> None:
    await asking.enrol("GBR junior releaser", "GBR", "releaser", level="UNCLASSIFIED")
    request = await ask(asking, await asking.post(label=LOW))
    for act in (
        usecases.grant_onward(asking.services, asking.call(name), request),
        usecases.refuse_onward(asking.services, asking.call(name), request, "no"),
        usecases.revoke_onward(asking.services, asking.call(name), request),
    ):
        with pytest.raises(NotFoundError) as caught:
            await act
        # In the words of one that is absent: in others they would tell that something was asked about such a report.
        assert str(caught.value) == "no such request, or none that you may decide"


async def test_wish_that_cannot_be_granted_is_refused(asking: World, subtests: pytest.Subtests) -> None:
    report = await asking.post(label=LOW)
    changed: list[tuple[dict[str, Any], str, str]] = [
        ({"recipient": "GBR"}, "unknown-member", "is the originator itself"),
        ({"recipient": "FRA"}, "unknown-member", "is no member of the exchange"),
        ({"purposes": ("gossip",)}, "unknown-purpose", "vocabulary"),
        ({"purposes": ("defence", "judicial")}, "purpose-not-allowed", "scope"),
        ({"parts": (2,)}, "unknown-part", ""),
        ({"until": asking.clock.now}, "expired", "past"),
    ]
    for changes, code, words in changed:
        with subtests.test(**changes):
            with pytest.raises(InvalidError) as refused:
                await ask(asking, report, **changes)

            assert [(fault.code, words in fault.message) for fault in refused.value.faults] == [(code, True)]


async def test_reader_by_consent_is_told_its_conditions_and_nobody_else_is(asking: World) -> None:
    report, other = await asking.post(label=LOW), await asking.post(label=LOW)
    until = asking.clock.now + timedelta(days=2)
    for about, said in ((report, "not to be quoted"), (report, None), (other, "never to be told")):
        call, request = asking.call("GBR releaser"), await ask(asking, about, purposes=("defence",), until=until)
        await usecases.grant_onward(asking.services, call, request, said)
        asking.clock.advance(timedelta(seconds=1))
    await grant(asking, await ask(asking, report, recipient="DNK"))
    await grant(asking, await ask(asking, report, purposes=("law-enforcement",)))
    told = (await read(asking, report)).released_under

    assert [(terms.conditions, terms.purposes, terms.until) for terms in told] == [
        ("not to be quoted", ("defence",), until),
        (None, ("defence",), until),
    ]
    assert (await read(asking, report, "NOR reader")).released_under == ()
    asking.clock.advance(timedelta(days=2))
    assert await is_hidden(asking, report)


async def test_conditions_that_were_altered_are_told_to_nobody_and_neither_is_the_report(asking: World) -> None:
    report = await asking.post(label=LOW)
    await grant(asking, await ask(asking, report))
    asking.sql("UPDATE onward_release SET conditions = NULL")
    attempt = await asking.attempt(read(asking, report))

    assert isinstance(attempt.error, TamperedError)
    assert (attempt.entry["type"], attempt.entry["decision"]) == ("key.opened", "failed")


async def test_conditions_of_parts_that_a_reader_does_not_get_are_not_told(asking: World) -> None:
    parts = (PostedPart(None, "text/plain", "a.txt", b"a"), PostedPart(LOWER, "text/plain", "b.txt", b"b"))
    report = await asking.post(label=LOW, parts=parts)
    await asking.enrol("ESP clerk", "ESP", "reader", level="UNCLASSIFIED")
    for asked, said in (((1,), "burn after reading"), ((2,), "not to be quoted")):
        request = await ask(asking, report, parts=asked)
        await usecases.grant_onward(asking.services, asking.call("GBR releaser"), request, said)
        asking.clock.advance(timedelta(seconds=1))
    clerk, reader = await read(asking, report, "ESP clerk"), await read(asking, report)

    assert [terms.conditions for terms in clerk.released_under] == ["not to be quoted"]
    assert [terms.conditions for terms in reader.released_under] == ["burn after reading", "not to be quoted"]


async def test_second_releaser_confirms_all_that_a_grant_says(asking: World) -> None:
    parts = (PostedPart(None, "text/plain", "a.txt", b"a"), PostedPart(LOWER, "text/plain", "b.txt", b"b"))
    report, until = await asking.post(parts=parts), asking.clock.now + timedelta(days=2)
    request = await ask(asking, report, parts=(1,), purposes=("defence", "law-enforcement"), until=until)
    waiting = await grant(asking, request)
    second = asking.call("GBR second releaser")
    act = (await usecases.show_pending_act(asking.services, second, str(waiting.act))).value.act
    wider = "UPDATE onward_release SET asked = replace(asked, '\"parts\": [1]', '\"parts\": []')"
    asking.sql(wider)
    with pytest.raises(ConflictError) as refused:
        await usecases.confirm_act(asking.services, second, act.id, act.digest)

    assert act.asked == {
        "request": request,
        "report": report,
        "recipient": "ESP",
        "parts": "1",
        "purposes": "defence, law-enforcement",
        "until": "2026-06-03T12:00:00Z",
        "conditions": "not to be quoted",
    }
    assert refused.value.code == "request-altered"
    assert await is_hidden(asking, report)


async def test_part_under_the_same_label_as_another_does_not_go_alone(asking: World) -> None:
    parts = tuple(PostedPart(None, "text/plain", f"{name}.txt", name.encode()) for name in ("a", "b"))
    report = await asking.post(label=LOW, parts=parts)
    with pytest.raises(InvalidError) as refused:
        await ask(asking, report, parts=(1,))

    assert [fault.code for fault in refused.value.faults] == ["same-label"]


@pytest.mark.parametrize("asked", [(), (1,)])
async def test_who_reads_a_part_asks_for_that_part_and_not_for_the_whole(asking: World, asked: tuple[int, ...]) -> None:
    await asking.enrol("NOR junior", "NOR", "reader", level="UNCLASSIFIED")
    parts = (
        PostedPart(None, "text/plain", "a.txt", b"a"),
        PostedPart(LOWER, "text/plain", "b.txt", b"b"),
    )
    report = await asking.post(label=LOW, parts=parts)
    await grant(asking, await ask(asking, report, "NOR junior", parts=asked))

    assert (await read(asking, report)).parts == ((1, b"b"),)


async def test_invisible_report_cannot_be_asked_for(asking: World) -> None:
    report = await asking.post(label=LOW)
    with pytest.raises(NotFoundError):
        await ask(asking, report, "DNK reader")


async def test_agreement_that_lets_nothing_go_on_is_stronger_than_anybody(asking: World) -> None:
    await asking.agree(AGREEMENT.replace("originator-consent", "never"))
    report = await asking.post(label=LOW)
    with pytest.raises(ConflictError) as refused:
        await ask(asking, report)

    assert refused.value.code == "originator-control"


async def test_version_that_comes_while_the_one_before_is_asked_for_is_not_released_in_its_place(
    asking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    weather = PostedPart(LOWER, "text/plain", "weather.txt", b"wind from the north")
    source = PostedPart(None, "text/plain", "source.txt", b"who said it")
    report = await asking.post(label=LOW, parts=(weather, source))
    meant = onward_release._meant

    async def overtaken(*arguments: Any) -> Any:
        found = await meant(*arguments)
        # Now the first part is the source, under one label with the second.
        newer = asking.posted(label=LOW, parts=(source, replace(weather, label=None)))
        await usecases.amend_report(asking.services, asking.call("GBR contributor"), report, newer)
        return found

    monkeypatch.setattr(onward_release, "_meant", overtaken)
    made = await asking.attempt(
        usecases.request_onward(asking.services, asking.call("NOR reader"), report, wish(parts=(1,)))
    )

    assert isinstance(made.error, ConflictError)
    assert [entry["decision"] for entry in made.entries if entry["type"] == "onward.requested"] == ["refused"]
    assert (await usecases.list_onward(asking.services, asking.call("GBR releaser"))).value == ()


async def test_new_version_ends_every_consent(asking: World) -> None:
    report = await asking.post(label=LOW)
    request = await ask(asking, report)
    await grant(asking, request)
    downgraded = usecases.downgrade_report(
        asking.services,
        asking.call("GBR releaser"),
        report,
        Downgrade(Label("NATO", "UNCLASSIFIED", (), ("GBR", "NOR"))),
    )
    await downgraded

    assert await is_hidden(asking, report)
    (row,) = (await usecases.list_onward(asking.services, asking.call("NOR reader"))).value
    assert row.row.state is ConsentState.LAPSED


async def test_what_no_consent_lifts_cannot_be_asked_for(asking: World) -> None:
    report = await asking.post(label=Label("NATO", "RESTRICTED", handling=("NOFORN",)))
    with pytest.raises(InvalidError) as refused:
        await ask(asking, report, "GBR reader", recipient="NOR")

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/parts", "nationality")]


async def test_consent_for_a_court_lets_a_reader_use_what_h1_keeps_out(asking: World) -> None:
    await asking.agree(AGREEMENT.replace("[defence, law-enforcement]", "[defence, judicial]"))
    await asking.enrol("NOR prosecutor", "NOR", "reader", purposes=("defence", "judicial"))
    report = await asking.post(label=Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"), handling=("H1",)))

    async def in_court() -> object:
        return await usecases.pull_report(asking.services, asking.call("NOR prosecutor", purpose="judicial"), report)

    with pytest.raises(NotFoundError):
        await in_court()
    await grant(asking, await ask(asking, report, recipient="NOR", purposes=("judicial",)))

    assert await in_court()


async def test_consent_written_into_the_database_opens_nothing(asking: World) -> None:
    report = await asking.post(label=LOW)
    request = await ask(asking, report)
    asking.sql("UPDATE onward_release SET state = 'granted'")

    assert await is_hidden(asking, report)
    assert request


async def test_consent_written_into_the_database_is_not_taken_up_by_the_next_act_either(asking: World) -> None:
    report = await asking.post(label=LOW)
    await ask(asking, report)
    for_police = await ask(asking, report, recipient="DNK", purposes=("law-enforcement",))
    await grant(asking, for_police)
    asking.sql("UPDATE onward_release SET state = 'granted'")
    asking.sql("UPDATE onward_release SET asked = replace(asked, '[\"law-enforcement\"]', '[]')")
    last = await ask(asking, report, recipient="NOR")
    await grant(asking, last)
    hidden = [await is_hidden(asking, report), await is_hidden(asking, report, "DNK reader")]
    await usecases.revoke_onward(asking.services, asking.call("GBR releaser"), last)

    assert hidden == [True, True]
    assert await is_hidden(asking, report)
    assert await is_hidden(asking, report, "DNK reader")


async def test_recipient_sees_no_request_and_each_side_its_own(asking: World) -> None:
    await ask(asking, await asking.post(label=LOW))
    seen = {
        name: len((await usecases.list_onward(asking.services, asking.call(name))).value)
        for name in ("NOR reader", "GBR releaser", "ESP reader", "NOR releaser", "DNK reader")
    }

    assert seen == {"NOR reader": 1, "GBR releaser": 1, "ESP reader": 0, "NOR releaser": 0, "DNK reader": 0}


async def test_report_that_moves_stays_under_the_edition_it_was_posted_under(asking: World) -> None:
    report = await asking.post(label=LOW)
    request = await ask(asking, report)
    services, call = asking.services, asking.call("GBR releaser")
    own = await own_report(services, call, report, Role.RELEASER, event=EventName.ONWARD_GRANTED)
    of_third = replace(own, kept=replace(own.kept, facts=replace(own.facts, edition=3)))
    header = await open_sealed_header(services, own.report, own.kept)
    async with services.store.unit_of_work() as unit:
        await _reclass(services, unit, call, of_third, header)
        await unit.record(own.entry(call, EventName.ONWARD_GRANTED, Outcome.PERMITTED))
    ((facts,),) = asking.sql("SELECT c.facts FROM release_class c JOIN report r ON r.class_id = c.id")

    assert json.loads(facts)["edition"] == 3
    assert request
