"""Marking lower what derives from a report: by its originator's consent alone, narrow, for a time; on both databases."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest

from exchange import usecases
from exchange.audit import DeedKind, SignatureType, VerifierKey, deed_digest, read_deed
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.reports import Downgrade, PostedPart
from exchange.store import ConsentState, DerivationWish
from exchange.usecases.life.sweep_reports import sweep_reports
from exchange.usecases.posting import derived_marking
from tests.support.deriving import LOW, MIDDLE, SECRET, ask, confirm, derive, grant, is_refused, state_of
from tests.support.placing import place_entries
from tests.support.store import NODE_KEY
from tests.support.world import AGREEMENT, World

LOWEST = Label("NATO", "UNCLASSIFIED", releasable_to=("DNK", "GBR", "NOR"))
ABSENT = "01980000-0000-7000-8000-000000000000"
NODE = VerifierKey("test", SignatureType.ED25519, NODE_KEY.verifying_key)


# ── what a consent lets through ────────────────────────────────────────────────────────────────────────────────────────


async def test_derived_report_is_lower_than_its_source_by_the_originators_consent_alone(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    async with deriving.another_node() as other:
        assert await is_refused(deriving, source, services=other)
        request = await ask(deriving, source)
        assert await is_refused(deriving, source, services=other)
        made = await grant(deriving, request)
        assert (made.row.state, made.act) == (ConsentState.GRANTED, None)
        body = deriving.posted(label=LOW, references=(source,))
        posted = await deriving.attempt(usecases.post_report(other, deriving.call("NOR analyst"), body))

    assert posted.entry["detail"] == {"consents": [request]}
    # The source is where it was, and no lower.
    pulled = await usecases.pull_report(deriving.services, deriving.call("DNK reader"), posted.value.value.report_id)
    assert pulled.value.parts
    with pytest.raises(NotFoundError):
        await usecases.pull_report(deriving.services, deriving.call("DNK reader"), source)


async def test_consent_is_to_one_member_about_one_report_down_to_one_label(deriving: World) -> None:
    source, other = await deriving.post(label=MIDDLE), await deriving.post(label=MIDDLE)
    await grant(deriving, await ask(deriving, source))

    assert await is_refused(deriving, source, label=LOWEST)
    assert await is_refused(deriving, source, label=replace(LOW, releasable_to=("DNK", "ESP", "GBR", "NOR")))
    assert await is_refused(deriving, other)
    assert await is_refused(deriving, source, name="GBR contributor")
    assert await derive(deriving, source, label=replace(LOW, handling=("ORCON",)))


async def test_each_source_needs_its_own_consent(deriving: World) -> None:
    first, second = await deriving.post(label=MIDDLE), await deriving.post(label=MIDDLE)
    high_enough = await deriving.post(label=LOW)
    one = await ask(deriving, first)
    await grant(deriving, one)

    assert await is_refused(deriving, first, second, high_enough, place="/references/1")
    two = await ask(deriving, second)
    await grant(deriving, two)
    body = deriving.posted(label=LOW, references=(first, second, high_enough))
    made = await deriving.attempt(usecases.post_report(deriving.services, deriving.call("NOR analyst"), body))
    assert made.entry["detail"] == {"consents": [one, two]}


async def test_of_several_consents_one_that_covers_is_enough(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    await grant(deriving, await ask(deriving, source, lowest=replace(LOW, handling=("ORCON",))))
    assert await is_refused(deriving, source)
    await grant(deriving, await ask(deriving, source))

    assert await derive(deriving, source)


async def test_report_in_the_place_of_another_is_no_derivation(deriving: World) -> None:
    source = await deriving.post("NOR analyst", label=MIDDLE)
    await deriving.enrol("NOR releaser", "NOR", "releaser")
    await grant(deriving, await ask(deriving, source), "NOR releaser")

    assert await is_refused(deriving, supersedes=source, place="/supersedes")
    assert await derive(deriving, source)


async def test_nobody_consents_to_less_than_its_own_sources_allow(deriving: World) -> None:
    await deriving.enrol("NOR releaser", "NOR", "releaser")
    await deriving.enrol("GBR analyst", "GBR", "contributor", "reader")
    source = await deriving.post(label=MIDDLE)
    leave = await ask(deriving, source)
    await grant(deriving, leave)
    derived = await derive(deriving, source, label=replace(MIDDLE, releasable_to=("DNK", "GBR", "NOR")))
    # NOR may go down to RESTRICTED, and lets nobody go lower.
    lower = await ask(deriving, derived, "NOR analyst", lowest=LOWEST)
    with pytest.raises(ConflictError) as caught:
        await grant(deriving, lower, "NOR releaser")
    assert caught.value.code == "originator-control"
    deriving.sql("UPDATE derivation_consent SET state = 'granted' WHERE id = $1", lower)
    assert await is_refused(deriving, derived, label=LOWEST)
    # What its sources allow it passes on, as long as they do.
    onward = await ask(deriving, derived, "GBR analyst")
    await grant(deriving, onward, "NOR releaser")
    body = deriving.posted(label=LOW, references=(derived,))
    made = await deriving.attempt(usecases.post_report(deriving.services, deriving.call("GBR analyst"), body))
    assert made.entry["detail"] == {"consents": [onward, leave]}
    await usecases.revoke_derivation(deriving.services, deriving.call("GBR releaser"), leave)
    assert await is_refused(deriving, derived, name="GBR analyst")


async def test_each_way_to_a_source_is_asked_about_with_whom_it_passed(deriving: World) -> None:
    everybody = AGREEMENT.replace("contributors: [GBR, NOR]", "contributors: [GBR, NOR, DNK]")
    await deriving.agree(everybody)
    for name, member in (("DNK analyst", "DNK"), ("GBR analyst", "GBR")):
        await deriving.enrol(name, member, "contributor", "reader", "releaser")
    high = replace(MIDDLE, releasable_to=("DNK", "GBR", "NOR"))
    near = replace(LOW, releasable_to=("GBR", "NOR"))
    root = await deriving.post(label=high)
    once = await derive(deriving, root, label=high)
    other = await derive(deriving, once, label=high, name="DNK analyst")
    both = [await derive(deriving, *each, label=high) for each in ((root, other), (other, root))]

    async def leave(report: str, asker: str, giver: str, lowest: Label) -> str:
        request = await ask(deriving, report, asker, lowest=lowest)
        await grant(deriving, request, giver)
        return request

    wide = await leave(root, "NOR analyst", "GBR releaser", LOW)
    await leave(once, "DNK analyst", "NOR analyst", LOW)
    await leave(other, "NOR analyst", "DNK analyst", LOW)
    for report in both:
        await leave(report, "GBR analyst", "NOR analyst", near)
        assert await derive(deriving, report, label=near, name="GBR analyst")
    # From here on what comes of the root may be NOR's and GBR's, and DNK's no more: one way led through DNK.
    await usecases.revoke_derivation(deriving.services, deriving.call("GBR releaser"), wide)
    await leave(root, "NOR analyst", "GBR releaser", near)

    assert [await is_refused(deriving, each, label=near, name="GBR analyst") for each in both] == [True, True]


async def test_reports_that_refer_to_each_other_are_asked_about_once(
    deriving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deriving.enrol("NOR releaser", "NOR", "releaser")
    first = await deriving.post("NOR analyst", label=MIDDLE)
    second = await derive(deriving, first, label=MIDDLE)
    circle = deriving.posted(label=MIDDLE, references=(second,))
    await usecases.amend_report(deriving.services, deriving.call("NOR analyst"), first, circle)
    one, two = await ask(deriving, first), await ask(deriving, second)
    # Neither is granted before the other one, so that nobody grants them: as if both had been.
    monkeypatch.setattr(derived_marking, "is_on_record", AsyncMock(return_value=True))
    for request in (one, two):
        deriving.sql("UPDATE derivation_consent SET state = 'granted' WHERE id = $1", request)
    body = deriving.posted(label=LOW, references=(first,))
    made = await deriving.attempt(usecases.post_report(deriving.services, deriving.call("NOR analyst"), body))

    assert set(made.entry["detail"]["consents"]) == {one, two}


async def test_own_contributor_needs_its_own_releaser(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    assert await is_refused(deriving, source, name="GBR contributor")
    request = await ask(deriving, source, "GBR contributor")
    with pytest.raises(NotFoundError):
        await grant(deriving, request, "NOR analyst")
    with pytest.raises(ForbiddenError):
        await grant(deriving, request, "GBR contributor")
    await grant(deriving, request)

    assert await derive(deriving, source, name="GBR contributor")


# ── who gives it, and how it ends ──────────────────────────────────────────────────────────────────────────────────────


async def test_request_whose_second_person_refused_ends_and_one_taken_back_is_decided_still(deriving: World) -> None:
    source = await deriving.post()
    request = await ask(deriving, source)
    first = await grant(deriving, request)
    with pytest.raises(ConflictError, match="waits for a second person"):
        await grant(deriving, request)
    await usecases.refuse_act(deriving.services, deriving.call("GBR releaser"), str(first.act))
    assert await is_refused(deriving, source)
    await grant(deriving, request)
    deriving.clock.advance(timedelta(days=7))
    (view,) = (await usecases.list_derivations(deriving.services, deriving.call("NOR analyst"))).value
    assert (view.row.state, view.row.conditions) == (ConsentState.ASKED, None)
    second = await grant(deriving, request)
    call = deriving.call("GBR second releaser")
    ended = await deriving.attempt(usecases.refuse_act(deriving.services, call, str(second.act), "too low"))

    assert sorted(entry["type"] for entry in ended.entries) == ["act.refused", "derivation.refused"]
    for name in ("NOR analyst", "GBR releaser"):
        (view,) = (await usecases.list_derivations(deriving.services, deriving.call(name))).value
        assert (view.row.state, view.row.conditions) == (ConsentState.REFUSED, "too low")
        assert view.is_requesters == (name == "NOR analyst")
    with pytest.raises(ConflictError):
        await grant(deriving, request)
    assert await is_refused(deriving, source)


async def test_above_confidential_two_releasers_consent(deriving: World) -> None:
    source = await deriving.post()
    request = await ask(deriving, source)
    waiting = await grant(deriving, request)
    assert (waiting.row.state, waiting.row.note) == (ConsentState.AWAITING, None)
    act = (await usecases.show_pending_act(deriving.services, deriving.call("GBR releaser"), str(waiting.act))).value
    marking = "NATO RESTRICTED//REL TO NOR, DNK, GBR"
    told = {"request": request, "report": source, "for": "NOR", "lowest": marking, "until": "2026-07-01T12:00:00Z"}
    assert act.act.asked == told | {"conditions": "not the vessel"}
    for name in ("GBR releaser", "NOR analyst"):
        with pytest.raises((ConflictError, NotFoundError)):
            await confirm(deriving, waiting, name)
    assert await is_refused(deriving, source)
    made = await deriving.attempt(confirm(deriving, waiting))
    entry = next(entry for entry in made.entries if entry["type"] == "derivation.granted")
    by = [deriving.clients[name].id for name in ("GBR releaser", "GBR second releaser")]
    ((note,),) = deriving.sql("SELECT note FROM derivation_consent")
    said = {name: value for name, value in told.items() if name != "report"}
    assert entry["detail"] == said | {"by": by, "deed": deed_digest(note)}
    assert (entry["owner"], entry["object"]["id"]) == ("GBR", source)

    assert await derive(deriving, source)
    (view,) = (await usecases.list_derivations(deriving.services, deriving.call("NOR analyst"))).value
    deed = read_deed(view.row.note or b"", [NODE])
    assert (deed.kind, deed.content["granted_by"]) == (DeedKind.DERIVATION_GRANT, by)
    assert (deed.content["lowest"], deed.content["conditions"]) == (LOW.as_json(), "not the vessel")


async def test_first_releaser_whose_clearance_is_lowered_meanwhile_is_no_first_person_any_more(
    deriving: World,
) -> None:
    source = await deriving.post()
    waiting = await grant(deriving, await ask(deriving, source))
    first = deriving.clients["GBR releaser"].id
    low = usecases.ClearanceChange("RESTRICTED")
    await usecases.change_clearance(deriving.services, deriving.call(None), first, low)
    with pytest.raises(ConflictError) as refused:
        await confirm(deriving, waiting)

    assert refused.value.code == "requester-gone"
    assert await is_refused(deriving, source)


async def test_refused_while_it_waits_it_is_granted_by_nobody(deriving: World) -> None:
    source = await deriving.post()
    waiting = await grant(deriving, await ask(deriving, source))
    await usecases.refuse_derivation(deriving.services, deriving.call("GBR releaser"), waiting.row.id, "not after all")
    with pytest.raises(ConflictError):
        await confirm(deriving, waiting)

    assert await is_refused(deriving, source)


async def test_releaser_below_the_report_knows_nothing_of_what_is_asked(deriving: World) -> None:
    await deriving.enrol("GBR low releaser", "GBR", "releaser", level="RESTRICTED")
    request = await ask(deriving, await deriving.post())
    waiting = await grant(deriving, request)
    low = deriving.call("GBR low releaser")

    assert (await usecases.list_derivations(deriving.services, low)).value == ()
    assert (await usecases.list_pending_acts(deriving.services, low)).value == ()
    with pytest.raises(NotFoundError):
        await confirm(deriving, waiting, "GBR low releaser")
    for act in (usecases.grant_derivation, usecases.revoke_derivation):
        with pytest.raises(NotFoundError):
            await act(deriving.services, low, request)


async def test_revoked_consent_lets_nothing_through_on_any_node(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    request = await ask(deriving, source)
    await grant(deriving, request)
    async with deriving.another_node() as other:
        assert await derive(deriving, source, services=other)
        act = usecases.revoke_derivation(deriving.services, deriving.call("GBR releaser"), request)
        made = await deriving.attempt(act)
        assert (made.entry["type"], made.entry["detail"]) == ("derivation.revoked", {"request": request, "for": "NOR"})
        assert await is_refused(deriving, source, services=other)
    assert await state_of(deriving, request) == "revoked"
    with pytest.raises(ConflictError):
        await usecases.revoke_derivation(deriving.services, deriving.call("GBR releaser"), request)


async def test_revocation_that_races_a_post_makes_it_be_decided_again(deriving: World, monkeypatch: Any) -> None:
    source = await deriving.post(label=MIDDLE)
    request = await ask(deriving, source)
    await grant(deriving, request)
    store = deriving.services.store
    kept = store.post_report

    async def taken_back_meanwhile(*words: Any, **others: Any) -> Any:
        monkeypatch.setattr(store, "post_report", kept)
        await usecases.revoke_derivation(deriving.services, deriving.call("GBR releaser"), request)
        return await kept(*words, **others)

    monkeypatch.setattr(store, "post_report", taken_back_meanwhile)
    assert await is_refused(deriving, source)


async def test_so_much_waits_that_nobody_can_say_what_was_consented_to(deriving: World, monkeypatch: Any) -> None:
    """Else whoever derives would have all of it read."""
    source = await deriving.post(label=MIDDLE)
    await grant(deriving, await ask(deriving, source))
    monkeypatch.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)

    with pytest.raises(UnavailableError, match="too many entries wait"):
        await derive(deriving, source)


async def test_consent_ends_by_itself(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    await grant(deriving, await ask(deriving, source, until=deriving.clock.now + timedelta(hours=1)))
    assert await derive(deriving, source)
    late = await ask(deriving, source, until=deriving.clock.now + timedelta(hours=1))
    deriving.clock.advance(timedelta(hours=1))

    assert await is_refused(deriving, source)
    with pytest.raises(ConflictError):
        await grant(deriving, late)


async def test_new_version_of_the_source_ends_every_consent(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    granted, asked = await ask(deriving, source), await ask(deriving, source)
    await grant(deriving, granted)
    amended = deriving.posted(label=MIDDLE, content=b"more")
    await usecases.amend_report(deriving.services, deriving.call("GBR contributor"), source, amended)

    assert await is_refused(deriving, source)
    assert [await state_of(deriving, each) for each in (granted, asked)] == ["lapsed", "lapsed"]
    with pytest.raises(ConflictError):
        await grant(deriving, asked)
    # Amended by a node that knew of no such consent: the version alone tells.
    deriving.sql("UPDATE derivation_consent SET state = 'granted' WHERE id = $1", granted)
    deriving.sql("UPDATE derivation_consent SET state = 'asked' WHERE id = $1", asked)
    assert await is_refused(deriving, source)
    with pytest.raises(ConflictError):
        await grant(deriving, asked)


async def test_what_was_recalled_or_has_expired_is_consented_to_no_more(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    request = await ask(deriving, source, "GBR contributor")
    await grant(deriving, request)
    passing = await deriving.post(label=MIDDLE, valid_until=deriving.clock.now + timedelta(hours=1))
    asked = await ask(deriving, passing, "GBR contributor")
    await grant(deriving, await ask(deriving, passing, "GBR contributor"))
    await usecases.recall_report(deriving.services, deriving.call("GBR releaser"), source, "the source is at risk")
    deriving.clock.advance(timedelta(hours=1))

    assert await state_of(deriving, request, "GBR contributor") == "lapsed"
    assert await is_refused(deriving, source, name="GBR contributor")
    assert await is_refused(deriving, passing, name="GBR contributor")
    for ended in (source, passing):
        with pytest.raises(ConflictError):
            await ask(deriving, ended, "GBR contributor")
    with pytest.raises(ConflictError):
        await grant(deriving, asked)


# ── the later life of what was derived ─────────────────────────────────────────────────────────────────────────────────


async def test_derived_report_is_amended_and_lowered_while_the_consent_holds(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    report = await derive(deriving, source, label=MIDDLE)
    call, services = deriving.call("NOR analyst"), deriving.services
    with pytest.raises(InvalidError):
        await usecases.downgrade_report(services, call, report, Downgrade(LOW))
    request = await ask(deriving, source)
    await grant(deriving, request)
    made = await deriving.attempt(usecases.downgrade_report(services, call, report, Downgrade(LOW)))
    assert made.entry["detail"]["consents"] == [request]
    again = deriving.posted(label=LOW, references=(source,), content=b"more")
    made = await deriving.attempt(usecases.amend_report(services, call, report, again))
    assert made.entry["detail"]["consents"] == [request]
    await usecases.revoke_derivation(services, deriving.call("GBR releaser"), request)

    for act in (
        usecases.amend_report(services, call, report, again),
        usecases.downgrade_report(services, call, report, Downgrade(LOWEST)),
    ):
        with pytest.raises(InvalidError) as caught:
            await act
        assert [fault.code for fault in caught.value.faults] == ["below-source"]


async def test_derived_report_is_declassified_on_its_day_by_consent(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    day = date(2026, 6, 3)
    bound = await derive(deriving, source, label=MIDDLE, declassify_on=day)
    for other in [await deriving.post(label=MIDDLE, declassify_on=day) for _ in range(2)]:
        await grant(deriving, await ask(deriving, other))
    deriving.clock.advance(timedelta(days=3))
    # The consents about the others end with their level, and hold up none of one round.
    assert (await sweep_reports(deriving.services, deriving.clock.now)).declassified == 2
    await grant(deriving, await ask(deriving, source, lowest=replace(LOWEST, releasable_to=("GBR", "NOR"))))

    assert (await sweep_reports(deriving.services, deriving.clock.now)).declassified == 1
    pulled = await usecases.pull_report(deriving.services, deriving.call("GBR reader"), bound)
    assert b"NATO UNCLASSIFIED" in pulled.value.header_json


async def test_source_whose_header_was_altered_lets_nothing_through(deriving: World) -> None:
    source, other = await deriving.post(label=MIDDLE), await deriving.post(label=MIDDLE)
    await grant(deriving, await ask(deriving, source))
    request = await ask(deriving, source)
    ((sealed,),) = deriving.sql("SELECT sealed_header FROM report WHERE id = $1", other)
    deriving.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", sealed, source)
    body = deriving.posted(label=LOW, references=(source,))
    for act in (
        usecases.post_report(deriving.services, deriving.call("NOR analyst"), body),
        usecases.grant_derivation(deriving.services, deriving.call("GBR releaser"), request),
    ):
        made = await deriving.attempt(act)
        assert isinstance(made.error, UnavailableError)
        assert (made.entry["type"], made.entry["decision"]) == ("key.opened", "failed")


# ── asking ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_may_not_build_on_a_report_is_told_what_an_absent_one_tells(deriving: World) -> None:
    await deriving.enrol("NOR junior", "NOR", "contributor", "reader", level="RESTRICTED")
    await deriving.enrol("DNK analyst", "DNK", "contributor", "reader")
    parts = (PostedPart(None, "text/plain", "a.txt", b"a"), PostedPart(LOW, "text/plain", "b.txt", b"b"))
    torn = await deriving.post(label=SECRET, parts=parts)
    told = set()
    for name in ("NOR junior", "DNK analyst", "NOR contributor"):
        for report in (torn, ABSENT, "no-id"):
            wish = DerivationWish(LOW, deriving.clock.now + timedelta(days=1), "why")
            act = usecases.request_derivation(deriving.services, deriving.call(name), report, wish)
            made = await deriving.attempt(act)
            assert made.entry["decision"] == "refused"
            told.add((type(made.error), str(made.error)))

    assert told == {(NotFoundError, "no such report, or none that you may see")}
    assert deriving.sql("SELECT count(*) FROM derivation_consent") == [(0,)]


async def test_what_cannot_be_asked_for_is_refused_with_every_fault(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    wrong = Label("NATO", "RESTRICTEDLY", releasable_to=("GBR", "XXX"))
    with pytest.raises(InvalidError) as caught:
        await ask(deriving, source, lowest=wrong, until=deriving.clock.now)
    pointers = {fault.pointer for fault in caught.value.faults}
    assert {"/label/classification", "/label/releasable_to/1", "/until"} <= pointers
    for lowest in (MIDDLE, SECRET):
        with pytest.raises(InvalidError) as caught:
            await ask(deriving, source, lowest=lowest)
        assert [fault.code for fault in caught.value.faults] == ["not-lower"]


async def test_where_nothing_goes_on_no_consent_adds_a_recipient(
    deriving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deriving.agree(AGREEMENT.replace("onward_release: originator-consent", "onward_release: never"))
    source = await deriving.post(label=MIDDLE)
    with pytest.raises(InvalidError) as caught:
        await ask(deriving, source)
    assert [(f.pointer, f.code) for f in caught.value.faults] == [("/label/releasable_to/0", "originator-control")]
    within = replace(LOW, releasable_to=("GBR", "NOR"))
    request = await ask(deriving, source, lowest=within)
    await grant(deriving, request)
    assert await derive(deriving, source, label=within)
    # Consented to before the parties agreed so, it lets nobody else in either.
    wider = '{"policy":"NATO","classification":"RESTRICTED","compartments":[],"handling":[],"releasable_to":["DNK","GBR","NOR"]}'
    monkeypatch.setattr(derived_marking, "is_on_record", AsyncMock(return_value=True))
    deriving.sql("UPDATE derivation_consent SET lowest = $1 WHERE id = $2", wider, request)
    assert await is_refused(deriving, source)
    assert await derive(deriving, source, label=within)


@pytest.mark.parametrize(
    "forged",
    [
        "state = 'granted'",
        "until = until + 1000000",
        "lowest = replace(lowest, 'RESTRICTED', 'UNCLASSIFIED')",
        "version = 2, state = 'granted'",
    ],
)
async def test_row_alone_consents_to_nothing(deriving: World, forged: str) -> None:
    source = await deriving.post(label=MIDDLE)
    request = await ask(deriving, source)
    if not forged.startswith("state"):
        await grant(deriving, request)
    if "version" in forged:
        amended = deriving.posted(label=MIDDLE, content=b"more")
        await usecases.amend_report(deriving.services, deriving.call("GBR contributor"), source, amended)
    deriving.sql(f"UPDATE derivation_consent SET {forged}")

    assert await is_refused(deriving, source)


async def test_consent_that_was_taken_back_lets_nothing_through_whatever_its_row_says(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    request = await ask(deriving, source)
    await grant(deriving, request)
    await place_entries(deriving, is_searchable=True)
    assert await derive(deriving, source)
    await usecases.revoke_derivation(deriving.services, deriving.call("GBR releaser"), request)
    deriving.sql("UPDATE derivation_consent SET state = 'granted'")

    assert await is_refused(deriving, source)


async def test_what_a_client_asked_for_and_nobody_decided_is_bounded(
    deriving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.usecases.life.consent_requests.MOST_UNDECIDED", 2)
    report = await deriving.post(label=MIDDLE)
    first, _ = [await ask(deriving, report) for _ in range(2)]
    refused = await deriving.attempt(ask(deriving, report))
    assert isinstance(refused.error, ConflictError)
    assert (refused.error.code, refused.entry["decision"]) == ("too-many-waiting", "refused")
    await usecases.refuse_derivation(deriving.services, deriving.call("GBR releaser"), first, "not now")
    await ask(deriving, report)


async def test_request_is_decided_once_and_seen_by_its_two_sides_alone(deriving: World) -> None:
    await deriving.enrol("NOR colleague", "NOR", "contributor", "reader")
    await deriving.enrol("NOR second releaser", "NOR", "releaser")
    request = await ask(deriving, await deriving.post(label=MIDDLE))

    async def seen(name: str) -> list[str]:
        return [view.row.id for view in (await usecases.list_derivations(deriving.services, deriving.call(name))).value]

    shown = {name: await seen(name) for name in ("NOR analyst", "GBR releaser")}
    hidden = ("NOR colleague", "NOR second releaser", "GBR contributor", "DNK contributor")
    assert shown == {"NOR analyst": [request], "GBR releaser": [request]}
    assert [await seen(name) for name in hidden] == [[], [], [], []]
    releaser = deriving.call("GBR releaser")
    refused = await usecases.refuse_derivation(deriving.services, releaser, request, "the source would be known")
    assert (refused.value.row.state, refused.value.row.conditions) == (
        ConsentState.REFUSED,
        "the source would be known",
    )
    for act in (usecases.grant_derivation, usecases.revoke_derivation):
        with pytest.raises(ConflictError):
            await act(deriving.services, releaser, request)
    for name, wanted in (("NOR second releaser", request), ("GBR releaser", ABSENT), ("GBR releaser", "no-id")):
        with pytest.raises(NotFoundError) as caught:
            await usecases.grant_derivation(deriving.services, deriving.call(name), wanted)
        assert str(caught.value) == "no such request, or none that you may decide"
