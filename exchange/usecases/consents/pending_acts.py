"""Acts that wait for a second person: list, show, confirm, refuse.

What a confirmation does is the affair of the use case that its kind belongs to; here is one row for each. Who has
nothing to do with an act finds none: absent and foreign are one answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from exchange.audit import Detail, EventName, Outcome, Receipt, Subject, fit_text
from exchange.kernel import ConflictError, ForbiddenError, NotFoundError, StalePolicyError, UnavailableError, is_uuid7
from exchange.members import (
    ACT_KINDS,
    ACTING_ROLES,
    DERIVED_MARKING,
    DOWNGRADE,
    ERASE_PERSONAL,
    NATIONAL_CAVEATS,
    ONWARD_RELEASE,
    OPEN_CRISIS,
    PROXY_POSTING,
    Client,
    PendingAct,
    may_see_act,
    require_may_refuse,
)
from exchange.store import Parts, UnitOfWork, Unread, UnreadRow
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.agreements.crises import carry_out_crisis, may_know_crisis, require_may_refuse_crisis
from exchange.usecases.auditors.erase_personal import carry_out_erasure
from exchange.usecases.consents.derivations import KIND as DERIVATION_REQUEST
from exchange.usecases.consents.derivations import ready_derivation
from exchange.usecases.consents.onward_release import KIND as ONWARD_REQUEST
from exchange.usecases.consents.onward_release import ready_grant
from exchange.usecases.life.consent_requests import end_with_act
from exchange.usecases.life.downgrade_report import ready_downgrade
from exchange.usecases.members.national_caveats import carry_out_caveats
from exchange.usecases.posting.proxies import carry_out_proxy, end_proxy
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.ended_acts import require_not_ended
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.originating import may_know_report
from exchange.usecases.steps.recording import NOT_AS_PUT, draft, named, on_record
from exchange.usecases.steps.sealed_headers import UNOPENED, known_class
from exchange.usecases.steps.second_person import confirmed_by, require_confirmable
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away
from exchange.usecases.steps.unread import record_unread

CarryOut = Callable[[Services, UnitOfWork, Call, Client, PendingAct], Awaitable[Receipt]]
"""Does what was confirmed and records it, in the unit in which it was confirmed; the receipt is of that entry."""

CARRY_OUT: Mapping[str, CarryOut] = MappingProxyType(
    {
        ERASE_PERSONAL.name: carry_out_erasure,
        NATIONAL_CAVEATS.name: carry_out_caveats,
        PROXY_POSTING.name: carry_out_proxy,
        OPEN_CRISIS.name: carry_out_crisis,
    }
)
"""One row for each of `ACT_KINDS` that stands not in `MAKE_READY`: what can be asked for can be done."""

Ready = Callable[[UnitOfWork], Awaitable[Receipt]]
"""Does what was confirmed, as a `CarryOut`."""

MAKE_READY: Mapping[str, Callable[[Services, Call, Client, PendingAct], Awaitable[Ready]]] = MappingProxyType(
    {DERIVED_MARKING.name: ready_derivation, DOWNGRADE.name: ready_downgrade, ONWARD_RELEASE.name: ready_grant}
)
"""The kinds that take their time before the unit that they are done in: parts are sealed anew, or the log is asked."""

End = Callable[[Services, UnitOfWork, Call, Client, PendingAct], Awaitable[None]]
"""Ends what waited for an act that was refused or taken back, in the unit in which it was."""

ON_END: Mapping[str, End] = MappingProxyType(
    {
        ONWARD_RELEASE.name: partial(end_with_act, kind=ONWARD_REQUEST),
        DERIVED_MARKING.name: partial(end_with_act, kind=DERIVATION_REQUEST),
        PROXY_POSTING.name: end_proxy,
    }
)
"""The kinds of which something is kept besides the act, that waits with it."""

MayKnow = Callable[[Services, Call, Client, PendingAct], Awaitable[bool]]
"""Whether a client that an act concerns may know what it is about."""


async def _may_know_its_report(services: Services, call: Call, client: Client, act: PendingAct) -> bool:
    report_id = act.said("report")
    return await may_know_report(services, call, client, sought_id(report_id))


MAY_KNOW: Mapping[str, MayKnow] = MappingProxyType(
    {
        ONWARD_RELEASE.name: _may_know_its_report,
        DERIVED_MARKING.name: _may_know_its_report,
        DOWNGRADE.name: _may_know_its_report,
        OPEN_CRISIS.name: may_know_crisis,
    }
)
"""The kinds that are about what not every client of their members may know of."""


@dataclass(frozen=True, slots=True)
class PendingActView:
    """An act as one client sees it: whether it is that client's to confirm, as far as roles and persons go."""

    act: PendingAct
    may_confirm: bool


async def list_pending_acts(services: Services, call: Call) -> Recorded[tuple[PendingActView, ...]]:
    """Return every act that waits and that the caller has to do with: to confirm, or asked for at its own member."""
    event = EventName.ACT_LISTED
    client = await authenticate(services, call, *ACTING_ROLES, event=event)
    unread = Unread()
    async with services.store.unit_of_work() as unit:
        waiting = await unit.acts().open(unread)
    # Behind the unit: however many there are, whoever writes does not wait for them.
    acts = [act for act in waiting if await _is_visible(services, call, client, act, unread)]
    views = tuple(_view(act, client) for act in acts)
    ids = tuple(view.act.id for view in views)
    receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED, result_ids=ids))
    return Recorded(views, receipt, await record_unread(services, unread, client))


async def show_pending_act(services: Services, call: Call, act_id: str) -> Recorded[PendingActView]:
    """Return an act that was asked for: nobody confirms what it has not seen."""
    event = EventName.ACT_READ
    client = await authenticate(services, call, *ACTING_ROLES, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("act", act_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        act = await _visible_act(services, unit, call, client, act_id)
        receipt = await _record(services, unit, call, client, event, act)
    return Recorded(_view(act, client), receipt)


@decided_anew("the act could be done: confirm again")
async def confirm_act(services: Services, call: Call, act_id: str, digest: str) -> Recorded[PendingActView]:
    """Confirm, as the second person, the act whose digest the caller has seen; it is done at once.

    Raises NotFoundError for one that the caller has nothing to do with, ConflictError and ForbiddenError as
    `require_second_person`, and what the act itself may raise.
    """
    event = EventName.ACT_CONFIRMED
    client = await authenticate(services, call, *ACTING_ROLES, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("act", act_id))
    async with on_record(services, attempt):
        ready = await _made_ready(services, call, client, act_id, digest)
        async with services.store.unit_of_work() as unit:
            act = await _visible_act(services, unit, call, client, act_id)
            confirmed = await confirmed_by(services, unit, call, act, client, digest=digest)
            if ready is not None:
                await ready(unit)
            elif act.kind in MAKE_READY:
                raise StalePolicyError("the act came into sight meanwhile: look at it again")
            else:
                await CARRY_OUT[act.kind](services, unit, call, client, confirmed)
            receipt = await _record(services, unit, call, client, event, confirmed)
    if act.kind == ERASE_PERSONAL.name:
        await services.store.scrub_destroyed_keys()
    return Recorded(PendingActView(confirmed, may_confirm=False), receipt)


async def refuse_act(
    services: Services, call: Call, act_id: str, reason: str | None = None
) -> Recorded[PendingActView]:
    """End an act without its being done: taken back by who asked, or refused by one who might confirm it.

    What was asked for ends with it; why is told to whom that is told.

    Raises NotFoundError for one that the caller has nothing to do with, ConflictError for one that waits no longer.
    """
    event = EventName.ACT_REFUSED
    client = await authenticate(services, call, *ACTING_ROLES, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("act", act_id))

    async def end(*, is_again: bool) -> Recorded[PendingActView]:
        async with services.store.unit_of_work() as unit:
            act = await _visible_act(services, unit, call, client, act_id)
            _require_may_refuse(services, act, client, call, is_again=is_again)
            if act.kind == OPEN_CRISIS.name and client.id != act.requester:
                await require_may_refuse_crisis(services, client, act)
            why = None if reason is None else fit_text(reason)
            is_there = act.refuser is not None
            ended = (
                replace(act, refuser=client.id, refusal=why) if is_there else await unit.acts().end(act, client, why)
            )
            if act.kind in ON_END:
                await ON_END[act.kind](services, unit, call, client, ended)
            receipt = await _record(services, unit, call, client, event, ended)
        return Recorded(PendingActView(ended, may_confirm=False), receipt)

    return await taken_away(services, attempt, end)


def _require_may_refuse(services: Services, act: PendingAct, client: Client, call: Call, *, is_again: bool) -> None:
    try:
        require_may_refuse(act, client, now=call.now)
    except ConflictError as refusal:
        try:
            require_may_refuse(replace(act, approver=None, refuser=None), client, now=call.now)
        except (ConflictError, ForbiddenError):
            raise refusal from None
        if not is_again:
            # In doubt it is confirmed by nobody either; and what was done is not to be told as refused.
            raise SaidByRowError(refusal, partial(_is_told_ended, services, act), in_doubt=True) from None


async def _is_told_ended(services: Services, act: PendingAct) -> bool:
    try:
        await require_not_ended(services, act)
    except ConflictError:
        return True
    return False


async def _made_ready(services: Services, call: Call, client: Client, act_id: str, digest: str) -> Ready | None:
    """Return what does an act of a kind that is made ready first; None for all others, and for one that is absent."""
    async with services.store.unit_of_work() as unit:
        act = await unit.acts().one(sought_id(act_id))
        if act is None or act.kind not in MAKE_READY or not await _may_see(services, call, client, act):
            return None
        await require_confirmable(services, unit, call, act, client, digest=digest)
    return await MAKE_READY[act.kind](services, call, client, act)


def _view(act: PendingAct, client: Client) -> PendingActView:
    kind = ACT_KINDS[act.kind]
    return PendingActView(act, client.id != act.requester and not client.roles.isdisjoint(kind.confirmed_by))


async def _is_visible(services: Services, call: Call, client: Client, act: PendingAct, unread: Unread) -> bool:
    try:
        return await _may_see(services, call, client, act)
    except UnreadRowError as exc:
        # What it is about cannot be read: that takes no other from the list.
        unread.rows.append(UnreadRow(exc.place, act.members))
    except ConflictError:
        pass  # what was altered since it was asked for belongs to nobody any more; who names it is told
    return False


async def _may_see(services: Services, call: Call, client: Client, act: PendingAct) -> bool:
    may_know = MAY_KNOW.get(act.kind)
    return may_see_act(act, client) and (may_know is None or await may_know(services, call, client, act))


async def _visible_act(services: Services, unit: UnitOfWork, call: Call, client: Client, act_id: str) -> PendingAct:
    act = await unit.acts().one(sought_id(act_id))
    if act is None or not await _may_see(services, call, client, act):
        raise NotFoundError("no such act, or none that you have to do with")
    return act


async def _record(  # noqa: PLR0913, PLR0917  who did what about which act
    services: Services, unit: UnitOfWork, call: Call, client: Client, event: EventName, act: PendingAct
) -> Receipt:
    detail: Detail = {
        "kind": act.kind,
        "digest": act.digest,
        "requester": act.requester,
        "members": sorted(act.members),
    }
    # Whose auditor sees it besides the caller's; between several members each sees what its own people did.
    owner = next(iter(act.members)) if len(act.members) == 1 else None
    label = await _label_of(services, act)
    subject = Subject("act", act.id)
    return await unit.record(
        draft(call, client, event, Outcome.PERMITTED, subject=subject, owner=owner, label=label, detail=detail)
    )


async def _label_of(services: Services, act: PendingAct) -> dict[str, str | list[str]] | None:
    """Return the label of the report that an act is about: who may not know of that knows of neither."""
    report_id = act.asked.get("report", "")
    if not is_uuid7(report_id):
        return None
    report = (await services.store.report_for("", report_id, parts=Parts.NONE)).report
    if report is None:
        return None
    try:
        return (await known_class(services, report)).facts.label.as_json()
    except UNOPENED as exc:
        raise UnavailableError(NOT_AS_PUT) from exc
