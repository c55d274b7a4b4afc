"""Marking lower what derives from a report: its author asks, the source's originator consents, and may take it back.

A consent is narrow: one version of one report, one member, a lowest label, an end. It is asked about whenever a report
would be marked lower than what it builds on (`derived_marking`), and lifts nothing else. An originator's own
contributors need it like anybody's: what lowers a report is the releaser's (ADR 0030).

Steps of a grant: (1) the releaser's own report, cleared for it; (2) where it stands above CONFIDENTIAL a second
releaser; (3) the exchange signs the grant; (4) request and entry become durable together.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from exchange.audit import Deed, DeedKind, Detail, EntryDraft, EventName, Outcome, Receipt, deed_digest, fit_text
from exchange.kernel import ConflictError, Fault, InvalidError, new_id, rfc3339
from exchange.members import DERIVED_MARKING, Client, PendingAct, Role
from exchange.release import added_recipients
from exchange.reports import ReportAct, may_be_done, require_act, status_of
from exchange.store import UNDECIDED, ConsentState, DerivationRow, DerivationWish, UnitOfWork
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.life.consent_requests import (
    ConsentKind,
    hold_as_read,
    in_state,
    is_above,
    is_as_granted,
    listed,
    own_request,
    refused,
    require_as_granted,
    require_few_undecided,
    withdrawn,
)
from exchange.usecases.posting.derived_marking import Source, consent_detail, do_sources_allow, is_on_record
from exchange.usecases.posting.life_checks import label_faults
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.judging import Judged, judged_draft, report_not_found
from exchange.usecases.steps.originating import OwnReport, loaded_report, may_know, require_may_know_still
from exchange.usecases.steps.recording import about_report, draft, on_record, refuse
from exchange.usecases.steps.requested_consents import require_as_requested, require_same_request
from exchange.usecases.steps.second_person import add_act, require_as_asked, require_not_waiting, sealed_act
from exchange.usecases.steps.seeking import Sought, seek_report
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away

DERIVING_ROLES = (Role.CONTRIBUTOR, Role.RELEASER)

_ENDS: Final = (EventName.DERIVATION_REFUSED, EventName.DERIVATION_WITHDRAWN, EventName.DERIVATION_REVOKED)


@dataclass(frozen=True, slots=True)
class DerivationView:
    """A request and what became of it; `act` names the act that waits for a second person."""

    row: DerivationRow
    act: str | None = None
    is_requesters: bool = False


@decided_anew("it could be asked for: ask again")
async def request_derivation(
    services: Services, call: Call, report_id: str, wish: DerivationWish
) -> Recorded[DerivationView]:
    """Ask the originator of a report that what the caller's member derives from it may be marked as low as `wish` says.

    Raises NotFoundError for a report that the caller may not build on, InvalidError with every fault of the wish,
    ConflictError for one of its own that is recalled or has expired, and where too much that the caller asked for
    waits already.
    """
    event = EventName.DERIVATION_REQUESTED
    sought = await _seek_source(services, call, report_id, event)
    client, judged = sought.client, sought.judged
    report = judged.report
    async with on_record(services, _asked(call, sought, Outcome.REFUSED)):
        require_act(status_of(report.status, report.valid_until, call.now), ReportAct.RELEASE)
        if faults := await _faults(services, call, sought, wish):
            raise InvalidError("the marking cannot be asked for so", tuple(faults))
        async with services.store.unit_of_work() as unit:
            await hold_as_read(unit, report, sought.row.state)
            originator = judged.facts.originator
            require_few_undecided(await unit.derivations().undecided(client.id, client.member, originator), originator)
            row_id = new_id(call.now, services.randomness)
            detail: Detail = {"request": row_id, **consent_detail(services, wish, client.member)}
            receipt = await unit.record(_asked(call, sought, Outcome.PERMITTED, detail))
            row = DerivationRow(
                id=row_id,
                report=report.id,
                version=report.version,
                originator=originator,
                requester=client.id,
                requester_member=client.member,
                wish=replace(wish, reason=fit_text(wish.reason)),
                state=ConsentState.ASKED,
                asked_at=call.now,
                entry=receipt.entry,
            )
            await unit.derivations().add(row)
    return Recorded(DerivationView(row, is_requesters=True), receipt)


async def list_derivations(services: Services, call: Call) -> Recorded[tuple[DerivationView, ...]]:
    """Return the requests that the caller has to do with: its own; to a releaser, those about its member's reports."""
    client, found = await listed(services, call, KIND, event=EventName.DERIVATION_LISTED)
    views = tuple(DerivationView(row, is_requesters=row.originator != client.member) for row in found.value)
    return Recorded(views, found.receipt, found.unopened)


@decided_anew("the request could be granted: grant it again")
async def grant_derivation(
    services: Services, call: Call, request_id: str, conditions: str | None = None
) -> Recorded[DerivationView]:
    """Consent to a request; about a report above CONFIDENTIAL ask a second releaser to, and nothing holds before.

    Raises NotFoundError for a request that is not about the caller's own reports, ConflictError for one that was
    decided, whose time is over, or whose report has changed or ended.
    """
    event = EventName.DERIVATION_GRANTED
    client, row, own = await own_request(services, call, request_id, KIND, event=event)
    attempt = own.entry(call, event, Outcome.REFUSED)
    async with on_record(services, attempt):
        await _require_grantable(services, call, own, row)
        said = _requested_detail(services, in_state(row, *UNDECIDED))
        await require_as_requested(services, EventName.DERIVATION_REQUESTED, own, said, ends=_ENDS)
        fitted, act = None if conditions is None else fit_text(conditions), None
        if is_above(services, (own.facts.label,)):
            # Before the unit that posts wait for: custody may be slow.
            asked = _meant_by(services, replace(row, conditions=fitted))
            act = await sealed_act(services, call, client, DERIVED_MARKING, asked=asked, members=[client.member])
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        # What the report itself builds on was asked about before: a consent that is taken back meanwhile gives nothing.
        await unit.reports().hold_order(own.state.policy_version)
        held = in_state(await unit.derivations().one(row.id), *UNDECIDED)
        require_same_request(_requested_detail(services, held), said)
        await require_not_waiting(unit, DERIVED_MARKING, request=row.id)
        held = replace(held, conditions=fitted)
        if act is None:
            made, receipt = await _grant(services, unit, call, own, row=held, people=[str(client.id)])
            return Recorded(DerivationView(made), receipt)
        require_as_asked(act, _meant_by(services, held))
        await add_act(unit, call, client, act)
        waiting = replace(held, state=ConsentState.AWAITING, decided_by=client.id)
        await unit.derivations().put(waiting)
        detail = _detail(row) | {"act": act.id, "digest": act.digest}
        receipt = await unit.record(own.entry(call, EventName.DERIVATION_GRANT_ASKED, Outcome.PERMITTED, detail=detail))
    return Recorded(DerivationView(waiting, act.id), receipt)


async def ready_derivation(
    services: Services, call: Call, client: Client, act: PendingAct
) -> Callable[[UnitOfWork], Awaitable[Receipt]]:
    """Return what does the grant that `client`, a second releaser, confirms, as it was asked for.

    What the log says of its sources' consents is asked here, outside of any unit: posts wait for nobody's archive.
    """
    own = await loaded_report(services, call, client, act.asked["report"])
    async with services.store.unit_of_work() as unit:
        row = await _waiting(services, unit, act)
    await _require_grantable(services, call, own, row)

    async def carry_out(unit: UnitOfWork) -> Receipt:
        await unit.reports().hold_order(own.state.policy_version)
        held = await _waiting(services, unit, act)
        await require_may_know_still(services, unit, call, act.requester, own)
        people = [str(act.requester), str(client.id)]
        _, receipt = await _grant(services, unit, call, own, row=held, people=people)
        return receipt

    return carry_out


async def _waiting(services: Services, unit: UnitOfWork, act: PendingAct) -> DerivationRow:
    """Return the request that `act` grants; ConflictError where it is another one, or waits no more."""
    row = in_state(await unit.derivations().one(act.asked["request"]), ConsentState.AWAITING)
    require_as_asked(act, _meant_by(services, row))
    return row


async def refuse_derivation(services: Services, call: Call, request_id: str, reason: str) -> Recorded[DerivationView]:
    """Refuse a request (releaser of the originator); the reason is told to who asked."""
    made = await refused(services, call, request_id, reason, KIND)
    return Recorded(DerivationView(made.value), made.receipt)


async def withdraw_derivation(services: Services, call: Call, request_id: str) -> Recorded[DerivationView]:
    """Take back a request that the caller made, before anybody has decided it; raises as `withdrawn`."""
    made = await withdrawn(services, call, request_id, KIND)
    return Recorded(DerivationView(made.value, is_requesters=True), made.receipt)


async def revoke_derivation(services: Services, call: Call, request_id: str) -> Recorded[DerivationView]:
    """Take a consent back (releaser of the originator): from the next request on nothing rests on it, on any node."""
    event = EventName.DERIVATION_REVOKED
    client, row, own = await own_request(services, call, request_id, KIND, event=event)

    async def revoke(*, is_again: bool) -> Recorded[DerivationView]:
        async with services.store.unit_of_work() as unit:
            # Before the request, as a new version of the report does: it moves the policy.
            await unit.reports().hold_order()
            held = _to_be_revoked(services, own, await unit.derivations().one(row.id), is_again=is_again)
            revoked = replace(held, state=ConsentState.REVOKED, decided_at=call.now, decided_by=client.id)
            await unit.derivations().put(revoked)
            receipt = await unit.record(own.entry(call, event, Outcome.PERMITTED, detail=_detail(row)))
        return Recorded(DerivationView(revoked), receipt)

    return await taken_away(services, own.entry(call, event, Outcome.REFUSED), revoke)


def _to_be_revoked(services: Services, own: OwnReport, held: DerivationRow | None, *, is_again: bool) -> DerivationRow:
    """Return a consent that is granted; `is_again` one that the log alone says is: its row could be put back."""
    try:
        require_as_granted(granted := in_state(held, ConsentState.GRANTED), KIND)
    except (ConflictError, UnreadRowError) as refusal:
        may_go_on = may_be_done(ReportAct.RELEASE, own.report.status)
        if held is None or held.version != own.version or not may_go_on:
            raise
        if not is_again:
            # In doubt nothing was granted by what nobody signed, nor about this report.
            is_told, in_doubt = partial(_is_told_over, services, held), not is_as_granted(held, KIND)
            raise SaidByRowError(refusal, is_told, in_doubt=in_doubt) from None
        return held
    return granted


async def _is_told_over(services: Services, held: DerivationRow) -> bool:
    return not await is_on_record(services, held)


async def _grant(  # noqa: PLR0913  what a grant rests on
    services: Services, unit: UnitOfWork, call: Call, own: OwnReport, *, row: DerivationRow, people: list[str]
) -> tuple[DerivationRow, Receipt]:
    # (3) signed
    note = services.store.attest(_deed(call, row, people))
    granted = replace(row, state=ConsentState.GRANTED, decided_at=call.now, decided_by=people[-1], note=note)
    await unit.derivations().put(granted)
    # (4) on the record
    detail: Detail = {"request": row.id, **consent_detail(services, row.wish, row.requester_member), "by": people}
    detail["deed"] = deed_digest(note)
    receipt = await unit.record(own.entry(call, EventName.DERIVATION_GRANTED, Outcome.PERMITTED, detail=detail))
    return granted, receipt


async def _seek_source(services: Services, call: Call, report_id: str, event: EventName) -> Sought:
    """Return a report that the caller may build on; absent, invisible and seen in part are one answer."""
    sought = await seek_report(services, call, report_id, *DERIVING_ROLES, event=event)
    if not _may_build_on(services, call, sought.client, sought.judged):
        refusal = replace(judged_draft(call, sought.client, event, sought.judged), outcome=Outcome.REFUSED)
        return await refuse(services, refusal, report_not_found())
    return sought


def _may_build_on(services: Services, call: Call, client: Client, judged: Judged) -> bool:
    if judged.facts.originator == client.member:
        return may_know(services, call, client, judged.release_class)
    return judged.is_full_view


async def _faults(services: Services, call: Call, sought: Sought, wish: DerivationWish) -> list[Fault]:
    catalogue, judged, member = services.law.catalogue, sought.judged, sought.client.member
    members = await services.knowledge.member_codes(services.store, sought.row.state)
    faults = list(label_faults(services, "/label", wish.lowest, members))
    for index, code in added_recipients(wish.lowest, source=judged.facts, scope=judged.scope, member=member):
        text = f"the agreement lets nothing go on to others, and the report is not for `{code}`: no consent can"
        faults.append(Fault(f"/label/releasable_to/{index}", "originator-control", text))
    if not faults and catalogue.dominates(wish.lowest, judged.facts.label, originator=member):
        faults.append(Fault("/label", "not-lower", "is not lower than the report's label: no consent is needed"))
    if wish.until <= call.now:
        faults.append(Fault("/until", "past", "this time is over: name one to come"))
    return faults


async def _require_grantable(services: Services, call: Call, own: OwnReport, row: DerivationRow) -> None:
    require_act(own.status(call), ReportAct.RELEASE)
    if row.version != own.report.version:
        raise ConflictError("the report has changed since it was asked about", code="request-ended")
    if row.wish.until <= call.now:
        raise ConflictError("the time that was asked for is over: let it be asked again", code="request-ended")
    source, lowest, member = Source(own.report, own.kept), row.wish.lowest, row.requester_member
    if not await do_sources_allow(services, call, own.state, source=source, label=lowest, member=member):
        told = "the report itself builds on others, and not all of their originators have consented to so low a marking"
        raise ConflictError(told, code="originator-control")


def _asked(call: Call, sought: Sought, outcome: Outcome, detail: Detail | None = None) -> EntryDraft:
    judged = sought.judged
    return draft(
        call,
        sought.client,
        EventName.DERIVATION_REQUESTED,
        outcome,
        **about_report(judged.report.id, judged.report.version, judged.facts),
        purpose=judged.reader.purpose,
        detail=detail or {},
    )


def _detail(row: DerivationRow) -> Detail:
    return {"request": row.id, "for": row.requester_member}


KIND: Final = ConsentKind(
    name="derivation",
    deed=DeedKind.DERIVATION_GRANT,
    act=DERIVED_MARKING,
    askers=DERIVING_ROLES,
    book=UnitOfWork.derivations,
    detail=_detail,
    requested=EventName.DERIVATION_REQUESTED,
    refused=EventName.DERIVATION_REFUSED,
    withdrawn=EventName.DERIVATION_WITHDRAWN,
)
"""What a request to mark lower is among requests for consent."""


def _requested_detail(services: Services, row: DerivationRow) -> dict[str, str]:
    """Return what the entry of a request says."""
    return {"request": row.id, **consent_detail(services, row.wish, row.requester_member)}


def _meant_by(services: Services, row: DerivationRow) -> dict[str, str]:
    """Return all that a grant of this request says, as its second person is shown it and confirms it."""
    said = {"request": row.id, "report": row.report, "conditions": row.conditions or "none"}
    return said | consent_detail(services, row.wish, row.requester_member)


def _deed(call: Call, row: DerivationRow, people: Sequence[str]) -> Deed:
    return Deed(
        DeedKind.DERIVATION_GRANT,
        {
            "request": row.id,
            "report": row.report,
            "version": row.version,
            "originator": row.originator,
            "for": row.requester_member,
            "lowest": row.wish.lowest.as_json(),
            "until": rfc3339(row.wish.until),
            "conditions": row.conditions,
            "granted_by": list(people),
            "granted_at": rfc3339(call.now),
        },
    )
