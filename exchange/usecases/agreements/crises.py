"""Crises: two signatories whom the agreement names, of different members, open what its crisis clause allows.

Steps: (1) one of them asks, with a reason; (2) the other one confirms, as the second person of every act; (3) from that
moment on, on every node, reports of the clause's scope that are posted go further, as far as the signed text says;
(4) the crisis ends by itself, or before that by any of the signatories named.
"""

from dataclasses import dataclass, replace
from functools import partial

from exchange.agreements import (
    Agreement,
    Crisis,
    CrisisClause,
    as_it_was,
    asked_length,
    crisis_end,
    is_party,
    moved_by,
    open_crises,
    require_named,
    require_openable,
    text_of,
    unfinished_crises,
)
from exchange.audit import Detail, EventName, Outcome, Receipt, fit_text
from exchange.kernel import ConflictError, Fault, ForbiddenError, InvalidError, NotFoundError, new_id, rfc3339
from exchange.members import OPEN_CRISIS, Client, PendingAct, Role
from exchange.store import CrisisOpeners, UnitOfWork, Unread, UnreadRow
from exchange.usecases.agreements.agreements import record_agreement, record_look, sees_all_of, visible_agreement
from exchange.usecases.steps.authenticate import admit_or_host, authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.second_person import ask, requester_of
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away
from exchange.usecases.steps.told_entries import is_any_naming
from exchange.usecases.steps.unread import record_unread


@dataclass(frozen=True, slots=True)
class CrisisWish:
    """What is asked for: which clause, why, and for how many hours (None: as long as the clause allows)."""

    clause: str
    reason: str
    hours: int | None = None


@dataclass(frozen=True, slots=True)
class CrisisView:
    """One use of a clause, and the clause as the text had it then."""

    crisis: Crisis
    clause: CrisisClause
    is_open: bool


@dataclass(frozen=True, slots=True)
class CrisesView:
    """What an agreement's crisis clauses are, and every use of them, the newest first."""

    agreement: Agreement
    uses: tuple[CrisisView, ...]


async def ask_for_crisis(services: Services, call: Call, agreement_id: str, wish: CrisisWish) -> Recorded[PendingAct]:
    """Ask another named signatory, of another member, to open a crisis with the caller.

    Raises NotFoundError for an agreement that the caller is no party of, InvalidError with every fault of the wish,
    ForbiddenError for one whom the text does not name, ConflictError where no crisis can be opened now.
    """
    event = EventName.CRISIS_ASKED
    client = await authenticate(services, call, Role.SIGNATORY, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        agreement = await visible_agreement(unit, client, agreement_id, for_update=True)
        clause = _named_clause(agreement, wish.clause)
        _require_may_open(agreement, clause, client, call)
        asked = {
            "agreement": agreement.id,
            "text": text_of(agreement).digest,
            "clause": clause.name,
            "scope": clause.scope,
            "lasts": asked_length(clause, wish.hours),
            "reason": fit_text(wish.reason),
            **_opened_by(clause),
        }
        members = {str(each.member) for each in clause.signatories}
        act = await ask(services, unit, call, client, OPEN_CRISIS, asked=asked, members=members)
        told: Detail = {**asked, "act": act.id, "digest": act.digest}
        receipt = await record_agreement(unit, call, client, event, agreement, told=told)
    return Recorded(act, receipt)


async def carry_out_crisis(
    services: Services, unit: UnitOfWork, call: Call, client: Client, act: PendingAct
) -> Receipt:
    """Do what a second signatory has confirmed: the crisis is open from this unit's end on."""
    asked = act.asked
    agreement = await visible_agreement(unit, client, asked["agreement"], for_update=True)
    clause = agreement.terms.crisis_clause(asked["clause"])
    if clause is None or text_of(agreement).digest != asked["text"]:
        raise ConflictError("the agreement was amended since this was asked for: ask again", code="text-differs")
    first = await requester_of(unit, act)
    # Both, as the text names them now: one may have been enrolled anew, or its member have suspended its part.
    _require_may_open(agreement, clause, client, call)
    try:
        _require_may_open(agreement, clause, first, call)
    except (ConflictError, ForbiddenError) as exc:
        # No fault of who confirms, nor its to mend: it is told none of the words that are meant for who asked.
        raise ConflictError("who asked may no longer ask: ask again", code="requester-gone") from exc
    crisis = Crisis(
        id=new_id(call.now, services.randomness),
        clause=clause.name,
        edition=agreement.edition,
        reason=asked["reason"],
        opened_at=call.now,
        until=moved_by(call.now, asked["lasts"]),
        opened_by=(first.member, client.member),
    )
    await unit.crises().add(agreement.id, crisis, CrisisOpeners(first, client, act.id))
    told = _told(crisis, clause) | {"reason": crisis.reason, "act": act.id, "by": [str(first.id), str(client.id)]}
    return await record_agreement(unit, call, client, EventName.CRISIS_DECLARED, agreement, told=told)


async def end_crisis(services: Services, call: Call, agreement_id: str, crisis_id: str) -> Recorded[CrisisView]:
    """End an open crisis before its time (any signatory whom its clause names): from the next request on.

    Raises NotFoundError for an absent agreement or crisis and any that is not the caller's, ConflictError for one that
    is over.
    """
    event = EventName.CRISIS_ENDED
    client = await authenticate(services, call, Role.SIGNATORY, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))

    async def end(*, is_again: bool) -> Recorded[CrisisView]:
        async with services.store.unit_of_work() as unit:
            agreement = await visible_agreement(unit, client, agreement_id, for_update=True)
            found = [each for each in agreement.crises if each.id == crisis_id]
            if not any(_is_of_its_time(agreement, client, each) for each in found):
                raise NotFoundError("no such crisis of this agreement, or none that you may see")
            # A party that has left has no say in what the others do, though the text names its people still; nor is it
            # told whether they ended it.
            if not is_party(agreement, client.member, call.now):
                raise ConflictError("your member has left the agreement", code="not-a-party")
            crisis, clause = _to_be_ended(services, agreement, crisis_id, call, is_again=is_again)
            require_named(clause, client)
            # It may have been opened by a node whose clock is ahead: no crisis ends before it began.
            ends = [max(call.now, crisis.opened_at), *(each.ended_at for each in found if each.ended_at is not None)]
            await unit.crises().end(crisis.id, client, min(ends))
            receipt = await record_agreement(unit, call, client, event, agreement, told=_told(crisis, clause))
            after = await visible_agreement(unit, client, agreement_id)
        return Recorded(next(view for view in _views(after, call) if view.crisis.id == crisis_id), receipt)

    return await taken_away(services, attempt, end)


def _to_be_ended(
    services: Services, agreement: Agreement, crisis_id: str, call: Call, *, is_again: bool
) -> tuple[Crisis, CrisisClause]:
    """Return a crisis that is not over, or `is_again` that was ended before its time; with its clause."""
    if (found := _unfinished(agreement, crisis_id, call)) is not None:
        return found
    refusal = ConflictError("the crisis is over", code="crisis-over")
    lasting = replace(agreement, crises=tuple(replace(each, ended_at=None) for each in agreement.crises))
    if (ended := _unfinished(lasting, crisis_id, call)) is None:
        raise refusal
    if not is_again:
        said = {"subject": agreement.id, "field": "crisis", "of": crisis_id}
        raise SaidByRowError(refusal, partial(is_any_naming, services, EventName.CRISIS_ENDED, **said))
    return ended


def _unfinished(agreement: Agreement, crisis_id: str, call: Call) -> tuple[Crisis, CrisisClause] | None:
    return next((each for each in unfinished_crises(agreement, call.now) if each[0].id == crisis_id), None)


async def list_crises(services: Services, call: Call, agreement_id: str) -> Recorded[CrisesView]:
    """Return every use of an agreement's crisis clauses, to whoever sees the agreement.

    A party sees those of its own time: under texts that name it, and before it left. When one was that cannot be read,
    nothing says: of it who was there all the time is told.
    """
    event = EventName.CRISIS_LISTED
    client, unread = await admit_or_host(services, call, event=event), Unread()
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        agreement = await visible_agreement(unit, client, agreement_id, crises_unread=unread)
        receipt = await record_look(unit, call, client, event, agreement)
    views = _views(_as_known_to(client, agreement, call), call)
    shown = {view.crisis.id for view in views}
    unread.rows += [UnreadRow(f"crisis {each.id}") for each in agreement.crises if each.id not in shown]
    uses = tuple(view for view in views if _is_of_its_time(agreement, client, view.crisis))
    unopened = await record_unread(services, unread, client, is_own=True)
    return Recorded(CrisesView(agreement, uses), receipt, unopened if sees_all_of(client, agreement, call.now) else 0)


async def may_know_crisis(services: Services, call: Call, client: Client, act: PendingAct) -> bool:
    """Return whether `client` may know of an act that opens a crisis: that its member is a party and has not left."""
    agreement = await _agreement_of(services, act)
    return agreement is not None and is_party(agreement, client.member, call.now)


async def require_may_refuse_crisis(services: Services, client: Client, act: PendingAct) -> None:
    """Raise ForbiddenError unless the text names the person behind `client` for the crisis that `act` would open.

    Where the text has no such clause any more nobody can confirm, and whoever sees the act may end it.
    """
    agreement = await _agreement_of(services, act)
    clause = None if agreement is None else agreement.terms.crisis_clause(act.said("clause"))
    if clause is not None:
        require_named(clause, client)


async def _agreement_of(services: Services, act: PendingAct) -> Agreement | None:
    agreement_id = act.said("agreement")
    return await services.store.agreement(sought_id(agreement_id))


def _named_clause(agreement: Agreement, name: str) -> CrisisClause:
    clause = agreement.terms.crisis_clause(name)
    if clause is None:
        known = ", ".join(f"`{each.name}`" for each in agreement.terms.crisis) or "none"
        fault = Fault("/clause", "unknown-clause", f"the agreement has no such crisis clause: it has {known}")
        raise InvalidError("the crisis cannot be opened so", (fault,))
    return clause


def _require_may_open(agreement: Agreement, clause: CrisisClause, client: Client, call: Call) -> None:
    require_named(clause, client)
    require_openable(agreement, clause, client.member, call.now)


def _as_known_to(client: Client | None, agreement: Agreement, call: Call) -> Agreement:
    """Return `agreement` with its crises as the caller may know them: to who has left, as they were when it left."""
    party = None if client is None else agreement.party(client.member)
    if party is None or party.leaves_at is None or party.leaves_at > call.now:
        return agreement
    # INVARIANT: nor when the others, once it is out, ended what was opened before.
    return as_it_was(agreement, party.leaves_at)


def _is_of_its_time(agreement: Agreement, client: Client | None, crisis: Crisis) -> bool:
    party = None if client is None else agreement.party(client.member)
    if party is None:
        return True
    is_there_still = party.leaves_at is None or crisis.opened_at < party.leaves_at
    is_there = is_there_still and not agreement.was_away(party.member, crisis.opened_at)
    return is_there and crisis.edition in agreement.editions_of(party.member)


def _views(agreement: Agreement, call: Call) -> tuple[CrisisView, ...]:
    still_open = {crisis.id for crisis, _ in open_crises(agreement, call.now)}
    found = []
    for crisis in reversed(agreement.crises):
        # None only where somebody changed the row: such a crisis opens nothing either.
        texts = agreement.texts[crisis.edition - 1 : crisis.edition]
        clause = texts[0].crisis_clause(crisis.clause) if texts else None
        if clause is not None:
            found.append(CrisisView(crisis, clause, crisis.id in still_open))
    return tuple(found)


def _opened_by(clause: CrisisClause) -> dict[str, str]:
    """Return what a clause opens, as it says it: a second person is shown that with what was asked for."""
    older = clause.older_reports.value if clause.reaches_older else ""
    told = {"ceiling": clause.ceiling or "", "readers": ", ".join(clause.readers), "older_reports": older}
    return {name: words for name, words in told.items() if words}


def _told(crisis: Crisis, clause: CrisisClause) -> Detail:
    return {
        "crisis": crisis.id,
        "clause": clause.name,
        "scope": clause.scope,
        "ceiling": clause.ceiling or "",
        "readers": list(clause.readers),
        "until": rfc3339(crisis_end(crisis, clause)),
    }
