"""Onward release: a reader asks to pass a report on, the originator's releaser consents, and may take it back.

A consent is narrow: one report, one member, named parts, purposes and a time. It becomes part of the report's release
class, so every door asks it like every other fact; nobody is above it. Above CONFIDENTIAL two persons give it.

Steps of a grant: (1) the releaser's own report, cleared for what goes on, and whose sources may go so far
(`derived_marking`); (2) above CONFIDENTIAL a second releaser; (3) the exchange signs the grant; (4) the report moves to
the class that holds it, its header sealed anew; (5) request, report and entry become durable together.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from exchange.agreements import OnwardRelease
from exchange.audit import Deed, DeedKind, Detail, EventName, Outcome, Receipt, deed_digest, fit_text
from exchange.kernel import Canonical, ConflictError, Fault, InvalidError, new_id, parse_rfc3339, rfc3339
from exchange.markings.families import NO_FOREIGNERS
from exchange.members import ONWARD_RELEASE, Client, PendingAct, Role
from exchange.release import Consent, Reason, View
from exchange.reports import Header, ReportAct, header_from_json, require_act
from exchange.store import UNDECIDED, ConsentState, OnwardRow, OnwardWish, Parts, UnitOfWork, Unread
from exchange.usecases.life.consent_requests import (
    ConsentKind,
    hold_as_read,
    in_state,
    is_above,
    is_decider,
    listed,
    own_request,
    refused,
    require_as_granted,
    require_few_undecided,
    withdrawn,
)
from exchange.usecases.life.report_moves import PAST_KEPT
from exchange.usecases.posting.derived_marking import consents_to_pass_on
from exchange.usecases.reading.pull_report import Granted, seek_permit
from exchange.usecases.reading.release_terms import consent_of, labels_of
from exchange.usecases.requests.answer_request import require_not_asked
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.judging import judged_draft, shown_draft
from exchange.usecases.steps.originating import OwnReport, loaded_report, opened_header, require_may_know_still
from exchange.usecases.steps.recording import on_record
from exchange.usecases.steps.requested_consents import request_digest, require_as_requested, require_same_request
from exchange.usecases.steps.sealing import reseal_header
from exchange.usecases.steps.second_person import ask, require_as_asked, require_not_waiting
from exchange.usecases.steps.unread import known_agreements

_SALT_BYTES = 16
_ENDS: Final = (EventName.ONWARD_REFUSED, EventName.ONWARD_WITHDRAWN, EventName.ONWARD_REVOKED)
_NO_END: Final = "taken back"
_CONTROLLED: Final = "originator-control"
_NOTHING_GOES_ON: Final = "the agreement lets nothing go on to others: no consent can"


@dataclass(frozen=True, slots=True)
class OnwardView:
    """A request and what became of it; `act` names the act that waits for a second person."""

    row: OnwardRow
    act: str | None = None
    is_requesters: bool = False

    @property
    def parts(self) -> tuple[int, ...]:
        """Return the parts asked for; to who asked, by the numbers it asked by: the report's own tell of others."""
        return self.row.wish.seen if self.is_requesters else self.row.wish.parts


@decided_anew("it could be asked for: ask again")
async def request_onward(services: Services, call: Call, report_id: str, wish: OnwardWish) -> Recorded[OnwardView]:
    """Ask the originator to release a report, or parts of it, to a member; parts by the numbers this reader sees.

    Raises NotFoundError for a report that the caller may not read, InvalidError with every fault of the wish,
    ConflictError where the agreement lets nothing go on, or too much that the caller asked for waits already.
    """
    event = EventName.ONWARD_REQUESTED
    granted = await seek_permit(services, call, report_id, parts=Parts.NONE, event=event)
    judged, client = granted.judged, granted.client
    attempt = replace(judged_draft(call, client, event, judged), outcome=Outcome.REFUSED)
    async with on_record(services, attempt):
        scope = judged.scope
        if scope is None or scope.onward_release is OnwardRelease.NEVER:
            raise ConflictError(_NOTHING_GOES_ON, code=_CONTROLLED)
        header = header_from_json(json.loads(granted.judged.header_json))
        meant = await _meant(services, call, granted, header, wish)
        async with services.store.unit_of_work() as unit:
            # Parts are asked for by numbers of the version that was read: of a newer one they would mean other parts.
            await hold_as_read(unit, judged.report, granted.row.state)
            originator = judged.facts.originator
            require_few_undecided(await unit.consents().undecided(client.id, client.member, originator), originator)
            row_id = new_id(call.now, services.randomness)
            row = OnwardRow(
                id=row_id,
                report=judged.report.id,
                originator=originator,
                requester=client.id,
                requester_member=client.member,
                wish=meant,
                state=ConsentState.ASKED,
                asked_at=call.now,
                entry="",
                salt=services.randomness(_SALT_BYTES).hex(),
            )
            asked = shown_draft(call, client, event, judged)
            receipt = await unit.record(replace(asked, detail={**asked.detail, **_requested_detail(row)}))
            row = replace(row, entry=receipt.entry)
            await unit.consents().add(row)
    return Recorded(OnwardView(row, is_requesters=True), receipt)


async def list_onward(services: Services, call: Call) -> Recorded[tuple[OnwardView, ...]]:
    """Return the requests that the caller has to do with: a reader's own; to a releaser, those about its member's."""
    client, found = await listed(services, call, KIND, event=EventName.ONWARD_LISTED)
    views = tuple(OnwardView(row, is_requesters=not is_decider(row, client)) for row in found.value)
    return Recorded(views, found.receipt, found.unopened)


@decided_anew("the request could be granted: grant it again")
async def grant_onward(
    services: Services, call: Call, request_id: str, conditions: str | None = None, *, until: datetime | None = None
) -> Recorded[OnwardView]:
    """Consent to a request; above CONFIDENTIAL ask a second releaser to, and nothing goes on before.

    `until` ends it earlier than was asked for. Raises NotFoundError for a request that is not about the caller's own
    reports, ConflictError for one that was decided, whose time is over, or whose report has changed or ended,
    InvalidError for an end that is past, or later than the one asked for.
    """
    event = EventName.ONWARD_GRANTED
    client, row, own = await own_request(services, call, request_id, KIND, event=event)
    async with on_record(services, own.entry(call, event, Outcome.REFUSED)):
        require_act(own.status(call), ReportAct.RELEASE)
        await _require_goes_on(services, call, own)
        header = await opened_header(services, call, own)
        needs_two = is_above(services, labels_of(header, row.wish))
        consents = await _sources_consents(services, call, own, header, wish=row.wish)
        said = _requested_detail(in_state(row, *UNDECIDED))
        await require_as_requested(services, EventName.ONWARD_REQUESTED, own, said, ends=_ENDS)
        async with services.store.unit_of_work() as unit:
            if not needs_two:
                # What was promised is asked before: an agreement that ends meanwhile lets nothing go on.
                await unit.reports().hold_order(own.state.policy_version)
            held = in_state(await unit.consents().one(row.id), *UNDECIDED)
            require_same_request(_requested_detail(held), said)
            await require_not_waiting(unit, ONWARD_RELEASE, request=row.id)
            asked = held.wish
            wish = replace(asked, until=_granted_until(asked, until, call))
            held = replace(held, wish=wish, conditions=None if conditions is None else fit_text(conditions))
            _require_grantable(call, own, held)
            if not needs_two:
                told = {"by": [str(client.id)], **consents}
                made, receipt = await _grant(services, unit, call, own, row=held, header=header, told=told)
                return Recorded(OnwardView(made), receipt)
            meant = _meant_by(held)
            act = await ask(services, unit, call, client, ONWARD_RELEASE, asked=meant, members=[client.member])
            waiting = replace(held, state=ConsentState.AWAITING, decided_by=client.id)
            # An earlier end is the act's: without its second person the request is for what it was for.
            await unit.consents().put(replace(waiting, wish=asked))
            detail = _detail(row) | {"act": act.id, "digest": act.digest}
            receipt = await unit.record(own.entry(call, EventName.ONWARD_GRANT_ASKED, Outcome.PERMITTED, detail=detail))
    return Recorded(OnwardView(waiting, act.id), receipt)


async def ready_grant(
    services: Services, call: Call, client: Client, act: PendingAct
) -> Callable[[UnitOfWork], Awaitable[Receipt]]:
    """Return what does the grant that `client`, a second releaser, confirms, as it was asked for.

    What the log says of its sources' consents is asked here, outside of any unit: posts wait for nobody's archive.
    """
    own = await loaded_report(services, call, client, act.asked["report"])
    async with services.store.unit_of_work() as unit:
        row = await _waiting(unit, act)
    await _require_goes_on(services, call, own)
    header = await opened_header(services, call, own)
    told = {"by": [str(act.requester), str(client.id)]}
    told |= await _sources_consents(services, call, own, header, wish=row.wish)

    async def carry_out(unit: UnitOfWork) -> Receipt:
        await unit.reports().hold_order(own.state.policy_version)
        held = await _waiting(unit, act)
        await require_may_know_still(services, unit, call, act.requester, own)
        _require_grantable(call, own, held)
        _, receipt = await _grant(services, unit, call, own, row=held, header=header, told=told)
        return receipt

    return carry_out


async def _waiting(unit: UnitOfWork, act: PendingAct) -> OnwardRow:
    """Return the request that `act` grants, as it would; ConflictError where it is another one, or waits no more."""
    row = in_state(await unit.consents().one(act.asked["request"]), ConsentState.AWAITING)
    row = replace(row, wish=replace(row.wish, until=_confirmed_until(row.wish, act)))
    require_as_asked(act, _meant_by(row))
    return row


async def refuse_onward(services: Services, call: Call, request_id: str, reason: str) -> Recorded[OnwardView]:
    """Refuse a request (releaser of the originator); the reason is told to who asked."""
    made = await refused(services, call, request_id, reason, KIND)
    return Recorded(OnwardView(made.value), made.receipt)


async def withdraw_onward(services: Services, call: Call, request_id: str) -> Recorded[OnwardView]:
    """Take back a request that the calling reader made, before anybody has decided it; raises as `withdrawn`."""
    made = await withdrawn(services, call, request_id, KIND)
    return Recorded(OnwardView(made.value, is_requesters=True), made.receipt)


async def revoke_onward(services: Services, call: Call, request_id: str) -> Recorded[OnwardView]:
    """Take a consent back (releaser of the originator): from the next request on it opens nothing, on any node."""
    event = EventName.ONWARD_REVOKED
    client, row, own = await own_request(services, call, request_id, KIND, event=event)
    async with on_record(services, own.entry(call, event, Outcome.REFUSED)):
        # What has ended has no header to open any more; what has only expired may lose its consents still.
        require_act(own.report.status, ReportAct.RELEASE)
        header = await opened_header(services, call, own)
        async with services.store.unit_of_work() as unit:
            await unit.reports().hold_order()
            held = await _to_be_revoked(unit, own, header, await unit.consents().one(row.id))
            revoked = replace(held, state=ConsentState.REVOKED, decided_at=call.now, decided_by=client.id)
            await unit.consents().put(revoked)
            await _reclass(services, unit, call, own, header)
            detail = {**_detail(row), **PAST_KEPT}
            receipt = await unit.record(own.entry(call, event, Outcome.PERMITTED, detail=detail))
    return Recorded(OnwardView(revoked), receipt)


async def _grant(  # noqa: PLR0913  what a grant rests on
    services: Services,
    unit: UnitOfWork,
    call: Call,
    own: OwnReport,
    *,
    row: OnwardRow,
    header: Header,
    told: Mapping[str, list[str]],
) -> tuple[OnwardRow, Receipt]:
    # INVARIANT: the order was held before: of this and an answer with the report one comes second.
    await require_not_asked(services, unit, own, row.wish.recipient)
    # (3) signed
    people = told["by"]
    note = services.store.attest(_deed(call, row, header, people))
    granted = replace(row, state=ConsentState.GRANTED, decided_at=call.now, decided_by=people[-1], note=note)
    await unit.consents().put(granted)
    # (4) in its class
    await _reclass(services, unit, call, own, header, given=consent_of(header, row.wish))
    # (5) on the record
    detail = {**_detail(row), **told, **PAST_KEPT, "deed": deed_digest(note)}
    receipt = await unit.record(own.entry(call, EventName.ONWARD_GRANTED, Outcome.PERMITTED, detail=detail))
    return granted, receipt


async def _reclass(  # noqa: PLR0913  a report, and what becomes of its consents
    services: Services, unit: UnitOfWork, call: Call, own: OwnReport, header: Header, *, given: Consent | None = None
) -> None:
    """Move a report to the class of the consents that hold now, `given` among them; what has ended stays behind.

    Call `hold_order` before, and before the request is held: a new version of the report holds them in that order too.
    """
    book = unit.reports()
    held = await book.require_same(own.report.id, version=own.report.version, class_id=own.report.class_id)
    require_act(held.stored_status, ReportAct.RELEASE)
    # INVARIANT: a row says what may end. What holds besides what is given now held before: the sealed class proves it.
    proven = {*own.facts.consents, *(() if given is None else (given,))}
    # One that cannot be read keeps no other from being taken back: what it gave ends with the class.
    rows = await unit.consents().granted(own.report.id, Unread())
    living = (consent_of(header, row.wish) for row in rows if row.wish.until is None or row.wish.until > call.now)
    consents = [consent for consent in living if consent in proven]
    new = await reseal_header(services, header, consents, under=own.facts.under)
    await book.move(new, header_only=True)


async def _meant(services: Services, call: Call, granted: Granted, header: Header, wish: OnwardWish) -> OnwardWish:
    """Return the wish with the report's own numbers of parts; InvalidError with every fault."""
    faults = []
    members, scope = await services.knowledge.member_codes(services.store, granted.row.state), granted.judged.scope
    if wish.recipient not in members or wish.recipient == header.originator:
        is_own = wish.recipient == header.originator
        told = "is the originator itself: name another member" if is_own else "is no member of the exchange"
        faults.append(Fault("/recipient", "unknown-member", told))
    for index, purpose in enumerate(wish.purposes):
        if purpose not in services.law.vocabulary.purposes:
            faults.append(
                Fault(f"/purposes/{index}", "unknown-purpose", "is not in the vocabulary: see /v1/vocabulary")
            )
        elif scope is not None and purpose not in scope.purposes and granted.client.member in scope.active_parties:
            # Who reads by consent alone does not learn what stands in an agreement that it is no party of.
            told = "is none that the scope allows: no consent adds one"
            faults.append(Fault(f"/purposes/{index}", Reason.PURPOSE_NOT_ALLOWED.value, told))
    if wish.until is not None and wish.until <= call.now:
        faults.append(Fault("/until", "expired", "lies in the past: name a later moment or leave it out"))
    permitted = granted.permit.labels
    visible = [part.number for part in header.parts if part.label in permitted]
    parts: list[int] = []
    for index, number in enumerate(wish.parts):
        if not 1 <= number <= len(visible):
            faults.append(Fault(f"/parts/{index}", "unknown-part", "the report has no such part for you"))
            continue
        parts.append(visible[number - 1])
    if not wish.parts and (granted.permit.view is not View.FULL or len(visible) != len(header.parts)):
        # Whoever reads a part of it is not told so: all of it is all that it reads.
        parts = visible
    faults += _indistinct(header, tuple(parts))
    faults += _barred(header, parts)
    if faults:
        raise InvalidError("the release cannot be asked for so", tuple(faults))
    purposes = tuple(sorted(set(wish.purposes)))
    return replace(
        wish,
        parts=tuple(sorted(set(parts))),
        seen=tuple(sorted(set(wish.parts))),
        purposes=purposes,
        reason=fit_text(wish.reason),
    )


def _require_grantable(call: Call, own: OwnReport, row: OnwardRow) -> None:
    require_act(own.status(call), ReportAct.RELEASE)
    if row.wish.until is not None and row.wish.until <= call.now:
        raise ConflictError("the time that was asked for is over: let it be asked again", code="request-ended")


async def _require_goes_on(services: Services, call: Call, own: OwnReport) -> None:
    """Raise ConflictError where a consent would give nobody anything, for the agreement gives, or lets go on, nothing.

    It may have been amended, suspended or left, or have ended, since the request was made.
    """
    facts = own.facts
    await known_agreements(services, own.state)
    scope = services.knowledge.scope(facts.agreement, facts.scope, call.now, facts.edition)
    if scope is None or not scope.in_force or facts.originator not in scope.active_parties - scope.came_back:
        told = "nobody is given the report now: the agreement is not in force, or your member takes no part in it"
        raise ConflictError(told, code=Reason.AGREEMENT_NOT_IN_FORCE.value)
    if scope.onward_release is OnwardRelease.NEVER:
        raise ConflictError(_NOTHING_GOES_ON, code=_CONTROLLED)


async def _sources_consents(
    services: Services, call: Call, own: OwnReport, header: Header, *, wish: OnwardWish
) -> dict[str, list[str]]:
    """Return what the entry says of the consents of those whose reports this one builds on; ConflictError without."""
    labels = labels_of(header, wish)
    found = await consents_to_pass_on(services, call, own.state, header, labels=labels, recipient=wish.recipient)
    if found is None:
        told = "the report builds on others, and not all of their originators have consented that it goes so far"
        raise ConflictError(told, code=_CONTROLLED)
    return {"consents": list(found)} if found else {}


def _granted_until(wish: OnwardWish, until: datetime | None, call: Call) -> datetime | None:
    """Return when a grant ends: as asked for, or earlier where its releaser says so."""
    if until is None:
        return wish.until
    if until <= call.now:
        fault = Fault("/until", "expired", "lies in the past: name a later moment or leave it out")
    elif wish.until is not None and until > wish.until:
        fault = Fault("/until", "too-long", f"was asked for until {rfc3339(wish.until)}: name no later moment")
    else:
        return until
    raise InvalidError("the release cannot be granted so", (fault,))


def _confirmed_until(wish: OnwardWish, act: PendingAct) -> datetime | None:
    """Return when a grant that was confirmed ends: as its act says, where that is no later than was asked for."""
    said = act.asked.get("until", _NO_END)
    until = None if said == _NO_END else parse_rfc3339(said)
    return wish.until if until is None or (wish.until is not None and until > wish.until) else until


def _indistinct(header: Header, parts: Sequence[int]) -> list[Fault]:
    # Decisions are made per label: two parts under one label go on together, or not at all.
    asked = {part.label for part in header.parts if part.number in parts}
    others = {part.label for part in header.parts if part.number not in parts}
    if not parts or asked.isdisjoint(others):
        return []
    return [Fault("/parts", "same-label", "another part has the same label: ask for both, or for its remarking")]


def _barred(header: Header, parts: Sequence[int]) -> list[Fault]:
    labels = [part.label for part in header.parts if not parts or part.number in parts]
    if not all(NO_FOREIGNERS in label.handling for label in labels):
        return []
    return [Fault("/parts", Reason.NATIONALITY.value, f"`{NO_FOREIGNERS}` goes on to nobody by any consent")]


def _meant_by(row: OnwardRow) -> dict[str, str]:
    """Return all that a grant of this request says, as its second person is shown it and confirms it."""
    wish = row.wish
    return {
        "request": row.id,
        "report": row.report,
        "recipient": wish.recipient,
        "parts": ", ".join(map(str, wish.parts)) or "all",
        "purposes": ", ".join(wish.purposes) or "any",
        "until": _NO_END if wish.until is None else rfc3339(wish.until),
        "conditions": row.conditions or "none",
    }


async def _to_be_revoked(unit: UnitOfWork, own: OwnReport, header: Header, held: OnwardRow | None) -> OnwardRow:
    """Return a consent that is granted, or that alone gives, whatever its row says, what the report is sealed with.

    What another one alike gives goes on by that one, which is to be taken back.
    """
    if held is not None and (consent := consent_of(header, held.wish)) in own.facts.consents:
        granted = await unit.consents().granted(own.report.id, Unread())
        if all(consent_of(header, each.wish) != consent for each in granted if each.id != held.id):
            return held
    held = in_state(held, ConsentState.GRANTED)
    require_as_granted(held, KIND)
    return held


def _detail(row: OnwardRow) -> Detail:
    return {"request": row.id, "recipient": row.wish.recipient}


def _requested_detail(row: OnwardRow) -> dict[str, str]:
    """Return what the entry of a request says; all that is asked for by digest: its numbers tell of other parts."""
    wish = row.wish
    said: dict[str, Canonical] = {
        "report": row.report,
        "requester": row.requester,
        "member": row.requester_member,
        "recipient": wish.recipient,
        "parts": list(wish.parts),
        "purposes": list(wish.purposes),
        "until": None if wish.until is None else rfc3339(wish.until),
        "reason": wish.reason,
    }
    return {"request": row.id, "recipient": wish.recipient, "asked": request_digest(row.salt, said)}


KIND: Final = ConsentKind(
    name="onward",
    deed=DeedKind.ONWARD_GRANT,
    act=ONWARD_RELEASE,
    askers=(Role.READER,),
    book=UnitOfWork.consents,
    detail=_detail,
    requested=EventName.ONWARD_REQUESTED,
    refused=EventName.ONWARD_REFUSED,
    withdrawn=EventName.ONWARD_WITHDRAWN,
)
"""What a request for onward release is among requests for consent."""


def _deed(call: Call, row: OnwardRow, header: Header, people: Sequence[str]) -> Deed:
    wish = row.wish
    return Deed(
        DeedKind.ONWARD_GRANT,
        {
            "request": row.id,
            "report": row.report,
            "version": header.version,
            "originator": row.originator,
            "recipient": wish.recipient,
            # By what they hold: the numbers of a report would tell its requester of parts that it does not see.
            "parts": [part.sha256 for part in header.parts if not wish.parts or part.number in wish.parts],
            "labels": [label.as_json() for label in labels_of(header, wish)],
            "purposes": list(wish.purposes),
            "until": None if wish.until is None else rfc3339(wish.until),
            "conditions": row.conditions,
            "granted_by": list(people),
            "granted_at": rfc3339(call.now),
        },
    )
