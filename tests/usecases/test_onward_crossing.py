"""Grants of onward release whose second person, report or version does not come, or comes meanwhile; asked by who reads by one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.reports import PostedPart
from exchange.store import ConsentState
from exchange.usecases.consents import derivations, onward_release
from exchange.usecases.reading import release_terms
from tests.support import deriving
from tests.support.deriving import MIDDLE
from tests.support.lived import MakeLived
from tests.support.onward import LOW, ask, grant, listed_requests, read, with_releasers
from tests.support.world import AGREEMENT, World
from tests.usecases.test_amending import concluded

PART = Label("NATO", "UNCLASSIFIED", releasable_to=("GBR", "NOR"))


@pytest.fixture
async def asking(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def test_shorter_time_whose_second_person_did_not_come_binds_no_later_grant(asking: World) -> None:
    report, end = await asking.post(), asking.clock.now + timedelta(days=30)
    call, asked = asking.call("GBR releaser"), await ask(asking, report, until=end)
    short = asking.clock.now + timedelta(days=1)
    first = (await usecases.grant_onward(asking.services, call, asked, until=short)).value
    assert first.row.wish.until == short
    await usecases.refuse_act(asking.services, call, first.act or "")
    (view,) = await listed_requests(asking, "NOR reader")
    assert view.row.wish.until == end
    act = (await usecases.grant_onward(asking.services, call, asked, until=end - timedelta(days=1))).value.act or ""
    second = asking.call("GBR second releaser")
    seen = (await usecases.show_pending_act(asking.services, second, act)).value.act
    await usecases.confirm_act(asking.services, second, act, seen.digest)

    assert (await read(asking, report)).released_under[0].until == end - timedelta(days=1)


async def test_part_read_by_a_consent_says_that_it_has_terms_and_another_does_not(asking: World) -> None:
    parts = (PostedPart(None, "text/plain", "a.txt", b"a"), PostedPart(PART, "text/plain", "b.txt", b"b"))
    report, services = await asking.post(label=LOW, parts=parts), asking.services
    await grant(asking, await ask(asking, report, recipient="NOR", parts=(2,)))
    theirs = [await usecases.read_part(services, asking.call("NOR reader"), report, number) for number in (1, 2)]
    own = await usecases.read_part(services, asking.call("GBR reader"), report, 2)

    assert [read.value.has_terms for read in theirs] == [False, True]
    assert not own.value.has_terms


async def test_consent_is_taken_back_once_though_another_alike_goes_on(asking: World) -> None:
    report, call = await asking.post(label=LOW), asking.call("GBR releaser")
    first, second = [await ask(asking, report) for _ in range(2)]
    for each in (first, second):
        await grant(asking, each)
    await usecases.revoke_onward(asking.services, call, first)
    again = await asking.attempt(usecases.revoke_onward(asking.services, call, first))

    assert isinstance(again.error, ConflictError)
    assert [entry["decision"] for entry in again.entries if entry["type"] == "onward.revoked"] == ["refused"]
    assert (await read(asking, report)).released_under
    await usecases.revoke_onward(asking.services, call, second)
    with pytest.raises(NotFoundError):
        await read(asking, report)


async def test_altered_act_keeps_no_grant_from_being_asked_for(asking: World) -> None:
    report = await asking.post()
    request, other = await ask(asking, report), await ask(asking, report)
    act = (await grant(asking, request)).act or ""
    asking.unguard("pending_act")
    asking.sql("UPDATE pending_act SET digest = $1 WHERE id = $2", "another", act)

    assert (await grant(asking, other)).row.state is ConsentState.AWAITING
    states = {view.row.id: view.row.state for view in await listed_requests(asking, "NOR reader")}
    assert states == {request: ConsentState.ASKED, other: ConsentState.AWAITING}


async def test_act_about_a_report_that_was_recalled_meanwhile_ends(asking: World) -> None:
    report = await asking.post()
    act = (await grant(asking, await ask(asking, report))).act or ""
    await usecases.recall_report(asking.services, asking.call("GBR releaser"), report, "it was wrong")
    ended = await asking.attempt(usecases.refuse_act(asking.services, asking.call("GBR second releaser"), act, "no"))

    assert ended.value.value.act.refusal == "no"
    assert [entry["type"] for entry in ended.entries] == ["act.refused"]


@pytest.mark.parametrize(("how", "step"), [("granted", "_grant"), ("revoked", "_reclass")])
async def test_consent_and_new_version_that_cross_come_one_after_the_other(
    asking: World, monkeypatch: pytest.MonkeyPatch, how: str, step: str
) -> None:
    report = await asking.post(label=LOW)
    request = await ask(asking, report)
    if how == "revoked":
        await grant(asking, request)
    taken, is_held, goes_on = getattr(onward_release, step), asyncio.Event(), asyncio.Event()

    async def held(*arguments: Any, **others: Any) -> Any:
        is_held.set()
        await goes_on.wait()
        return await taken(*arguments, **others)

    monkeypatch.setattr(onward_release, step, held)
    act = usecases.grant_onward if how == "granted" else usecases.revoke_onward
    first = asyncio.create_task(act(asking.services, asking.call("GBR releaser"), request))
    await is_held.wait()
    amended = usecases.amend_report(
        asking.services, asking.call("GBR contributor"), report, asking.posted(label=LOW, content=b"newer")
    )
    second = asyncio.create_task(asking.attempt(amended))
    # Long enough for it to have come where it waits.
    await asyncio.sleep(0.3)
    goes_on.set()

    assert (await first).value.row.state.value == how
    assert isinstance((await second).error, ConflictError)


KEPT = AGREEMENT.replace("P90D, shared_reports: recalled", "PT0S, shared_reports: kept")


async def with_two_asked(world: World) -> tuple[str, str]:
    await with_releasers(world)
    await world.agree(KEPT)
    return await two_asked(world)


async def two_asked(world: World) -> tuple[str, str]:
    """Ask for two releases; return the one that nobody decided, and the act that the other waits for."""
    low, high = await world.post(label=LOW), await world.post()
    one, two = await ask(world, low), await ask(world, high)
    return one, (await grant(world, two)).act or ""


@pytest.mark.parametrize("how", ["goes on no more", "clause is gone", "suspended", "left", "ended"])
async def test_what_nobody_would_be_given_any_more_is_granted_by_nobody(make_lived: MakeLived, how: str) -> None:
    asking, (one, act) = await make_lived(with_two_asked)
    call = asking.call("GBR signatory")
    match how:
        case "suspended":
            await usecases.suspend_agreement(asking.services, call, asking.agreement_id)
        case "left":
            await usecases.withdraw_agreement(asking.services, call, asking.agreement_id)
        case "ended":
            # The act waits for its second person for seven days.
            asking.clock.now = datetime(2030, 12, 31, tzinfo=UTC)
            one, act = await two_asked(asking)
            asking.clock.now = datetime(2031, 1, 1, tzinfo=UTC)
        case "goes on no more":
            await concluded(asking, KEPT.replace("originator-consent", "never"))
        case _:
            await concluded(asking, KEPT.replace("name: cyber-threats", "name: other-threats"))
    second = asking.call("GBR second releaser")
    seen = (await usecases.show_pending_act(asking.services, second, act)).value.act
    confirming = usecases.confirm_act(asking.services, second, act, seen.digest)
    made = [await asking.attempt(attempt) for attempt in (grant(asking, one), confirming)]

    code = "originator-control" if how == "goes on no more" else "agreement-not-in-force"
    assert [each.error and each.error.code for each in made] == [code, code]
    assert {view.row.note for view in await listed_requests(asking, "NOR reader")} == {None}


@pytest.mark.parametrize("what", ["onward", "derivation"])
@pytest.mark.parametrize(("how", "code"), [("recalled", "recalled"), ("amended", "conflict")])
async def test_nothing_is_asked_about_what_has_ended_or_changed_while_it_was_asked_about(
    asking: World, monkeypatch: pytest.MonkeyPatch, what: str, how: str, code: str
) -> None:
    await asking.enrol("NOR analyst", "NOR", "contributor", "reader")
    report = await asking.post(label=MIDDLE)
    module, step = (onward_release, "_meant") if what == "onward" else (derivations, "_faults")
    found = getattr(module, step)

    async def meanwhile(*arguments: Any) -> Any:
        if how == "recalled":
            await usecases.recall_report(asking.services, asking.call("GBR releaser"), report, "it was wrong")
        else:
            newer = asking.posted(label=MIDDLE, content=b"newer")
            await usecases.amend_report(asking.services, asking.call("GBR contributor"), report, newer)
        return await found(*arguments)

    monkeypatch.setattr(module, step, meanwhile)
    asked = await asking.attempt((ask if what == "onward" else deriving.ask)(asking, report, "NOR analyst"))

    assert asked.error is not None
    assert asked.error.code == code
    table = {"onward": "onward_release", "derivation": "derivation_consent"}[what]
    assert asking.sql(f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize("how", ["revoked", "amended", "recalled"])
async def test_what_is_read_by_a_consent_that_ends_meanwhile_goes_to_nobody_without_its_terms(
    asking: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    report = await asking.post(label=LOW)
    request = await ask(asking, report)
    await grant(asking, request)
    found = release_terms.header_of

    async def meanwhile(*arguments: Any) -> Any:
        match how:
            case "revoked":
                await usecases.revoke_onward(asking.services, asking.call("GBR releaser"), request)
            case "amended":
                newer = asking.posted(label=LOW, content=b"newer")
                await usecases.amend_report(asking.services, asking.call("GBR contributor"), report, newer)
            case _:
                await usecases.recall_report(asking.services, asking.call("GBR releaser"), report, "it was wrong")
        return await found(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(release_terms, "header_of", meanwhile)
        reading = await asking.attempt(read(asking, report))

    assert isinstance(reading.error, UnavailableError)
    reads = [entry["decision"] for entry in reading.entries if entry["type"] == "report.read"]
    assert reads == ["failed"]
    assert isinstance((await asking.attempt(read(asking, report))).error, NotFoundError)


async def test_who_reads_by_consent_alone_does_not_learn_what_the_scope_is_for(asking: World) -> None:
    report = await asking.post(label=LOW)
    await grant(asking, await ask(asking, report))
    for purpose in ("defence", "judicial"):
        assert await ask(asking, report, "ESP reader", recipient="DNK", purposes=(purpose,))


async def test_who_reads_a_tear_line_is_told_what_became_of_its_request(asking: World) -> None:
    await asking.enrol("NOR low reader", "NOR", "reader", level="UNCLASSIFIED")
    part = PostedPart(PART, "text/plain", "b.txt", b"the finding")
    report = await asking.post(label=LOW, parts=(PostedPart(None, "text/plain", "a.txt", b"the source"), part))
    request = await ask(asking, report, "NOR low reader", parts=(1,))
    await usecases.refuse_onward(asking.services, asking.call("GBR releaser"), request, "not now")

    (told,) = await listed_requests(asking, "NOR low reader")
    assert (told.row.state, told.row.conditions) == (ConsentState.REFUSED, "not now")
