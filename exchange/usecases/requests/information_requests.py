"""Requests for information: a reader asks contributors of a scope, sees what came of it, and ends it.

Steps of asking: (1) the caller reads; (2) its member reads in a scope of an agreement in force; (3) the request lies
inside that scope and is well formed; (4) all of it is sealed, bound to what decides about it; (5) request, entry and
what subscribers are to be told become durable together, if the policy they were decided under still holds.

No clearance is asked of who asks: asking shows nothing (ADR 0009).
"""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from exchange.agreements import Agreement, Scope
from exchange.audit import Detail, EventName, Outcome
from exchange.crypto import request_context
from exchange.kernel import ConflictError, Fault, InvalidError, new_id, rfc3339
from exchange.markings import render_marking
from exchange.members import Client, Role
from exchange.release import Permit, PostedUnder, Reason, class_digest, class_facts
from exchange.reports import (
    InformationRequest,
    PostedRequest,
    PostingRules,
    RequestState,
    compose_request,
    request_as_json,
)
from exchange.store import NewRequest, PolicyState, RequestRow, Sealed, UnitOfWork, Unread
from exchange.usecases.posting.post_checks import posting_rules, require_in_force, rules_of_no_scope
from exchange.usecases.requests.judging_requests import (
    REQUEST_ROLES,
    RequestView,
    SoughtRequest,
    admit_to_requests,
    decide_request,
    marking_of,
    request_draft,
    request_not_found,
    seek_request,
    told_answers,
    view_of,
)
from exchange.usecases.requests.telling_requests import queue_request
from exchange.usecases.steps.collecting import Collected
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.facts import stated_purpose
from exchange.usecases.steps.judging import ABSENT_ID
from exchange.usecases.steps.positions import open_position, seal_position
from exchange.usecases.steps.recording import TamperedError, draft, on_record
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away
from exchange.usecases.steps.told_entries import is_told
from exchange.usecases.steps.unread import record_unread

_ORDER = "request"

_DAY: Final = timedelta(days=1)

_AT_ONCE = 100
"""Rows looked at for a page in one query; those that the caller may not see are passed over."""

MOST_OPEN = 200
"""Of one client: whoever lists requests passes over all those that it may not see."""

_ENDABLE: Final = {
    RequestState.CLOSED: (None,),
    RequestState.WITHDRAWN: (None, RequestState.CLOSED),
}
"""What may be ended how: what was closed may still be withdrawn."""

_ENDS: Final = {
    RequestState.CLOSED: (EventName.REQUEST_CLOSED, EventName.REQUEST_WITHDRAWN),
    RequestState.WITHDRAWN: (EventName.REQUEST_WITHDRAWN,),
}
"""The entries by which one has ended so, or further."""


@dataclass(frozen=True, slots=True)
class ListedRequests:
    """Requests, oldest first, and the cursor to resume from (always present)."""

    items: tuple[RequestView, ...]
    next: str


@decided_anew("the request could be made: ask again")
async def request_information(services: Services, call: Call, posted: PostedRequest) -> Recorded[RequestView]:
    """Ask contributors of a scope for information.

    Raises NotFoundError for an agreement that the caller does not see, ConflictError where it is not in force or too
    much that the caller asked for waits already, InvalidError with every fault of the request.
    """
    # (1) who
    client, state = await admit_to_requests(services, call, Role.READER, event=EventName.REQUEST_MADE)
    async with on_record(services, draft(call, client, EventName.REQUEST_MADE, Outcome.REFUSED)):
        return await _request(services, call, client, posted, state)


async def list_requests(
    services: Services, call: Call, *, cursor: str | None = None, limit: int = 100
) -> Recorded[ListedRequests]:
    """Return the requests that the caller's member made or is asked by, as far as the caller may read them."""
    event = EventName.REQUEST_LISTED
    client, state = await admit_to_requests(services, call, *REQUEST_ROLES, event=event)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
        after = open_position(services, client, cursor, of=_ORDER)
    unread, altered = Unread(), 0
    found, position = await _page(services, call, client, state, unread, after=after, limit=limit)
    views, told = [], await told_answers(services, client, found)
    for row in found:
        try:
            views.append(await view_of(services, call, SoughtRequest(client, state, row), told))
        except TamperedError:
            # It is on record; who may read it by what decides about it is told that there is one.
            altered += 1
    entry = draft(
        call,
        client,
        event,
        Outcome.PERMITTED,
        purpose=stated_purpose(services, call, client),
        result_ids=tuple(view.row.id for view in views),
    )
    receipt = await services.store.append(entry)
    cursor = seal_position(services, client, position, of=_ORDER)
    unopened = await record_unread(services, unread, client) + altered
    return Recorded(ListedRequests(tuple(views), cursor), receipt, unopened)


async def show_request(services: Services, call: Call, request_id: str) -> Recorded[RequestView]:
    """Return a request with its text; NotFoundError alike for absent and invisible."""
    event = EventName.REQUEST_READ
    sought = await seek_request(services, call, request_id, *REQUEST_ROLES, event=event)
    view = await view_of(services, call, sought)
    # INVARIANT: no text leaves before its entry is durable.
    return Recorded(view, await services.store.append(sought.entry(call, event, Outcome.PERMITTED)))


async def close_request(services: Services, call: Call, request_id: str) -> Recorded[RequestView]:
    """Close a request (a reader of the member that asked): it is answered no more and stays to be read."""
    return await _end(services, call, request_id, RequestState.CLOSED, event=EventName.REQUEST_CLOSED)


async def withdraw_request(services: Services, call: Call, request_id: str) -> Recorded[RequestView]:
    """Withdraw a request (a reader of the member that asked): from now on who was asked sees nothing of it."""
    return await _end(services, call, request_id, RequestState.WITHDRAWN, event=EventName.REQUEST_WITHDRAWN)


async def _request(
    services: Services, call: Call, client: Client, posted: PostedRequest, state: PolicyState
) -> Recorded[RequestView]:
    # (2) under what
    agreement = require_in_force(services.knowledge.agreement(posted.agreement), client, call)
    # (3) well formed
    members = await services.knowledge.member_codes(services.store, state)
    request_id = new_id(call.now, services.randomness)
    rules = _rules(services, call, client, posted, agreement, members)
    request = compose_request(posted, request_id=request_id, asker=client.member, now=call.now, rules=rules)
    # (4) sealed
    facts = class_facts(request.header, under=PostedUnder(agreement.edition))
    sealed = await _sealed(services, request, class_digest(facts))
    # (5) durable
    told: Detail = {"asked": list(request.asked), "deadline": rfc3339(request.deadline)}
    event = EventName.REQUEST_MADE
    entry = request_draft(call, client, event, Outcome.PERMITTED, request.header.id, facts, detail=told)
    async with services.store.unit_of_work() as unit:
        await unit.reports().hold_order(state.policy_version)
        await _require_few_open(unit, call, client)
        receipt = await unit.record(entry)
        new = NewRequest(
            id=request.header.id,
            client=client.id,
            facts=facts,
            asked=request.asked,
            sealed=sealed,
            asked_at=call.now,
            deadline=request.deadline,
            entry=receipt.entry,
        )
        row = await unit.requests().add(new)
        await queue_request(services, unit, call, row.id, request.asked)
    return Recorded(
        RequestView(row, request, marking_of(services, request), RequestState.OPEN, request.asked, ()), receipt
    )


async def _end(
    services: Services, call: Call, request_id: str, state: RequestState, *, event: EventName
) -> Recorded[RequestView]:
    sought = await seek_request(services, call, request_id, Role.READER, event=event)

    async def end(*, is_again: bool) -> Recorded[RequestView]:
        if not sought.is_own:
            raise request_not_found()
        view = await view_of(services, call, sought)
        async with services.store.unit_of_work() as unit:
            held = await unit.requests().one(request_id)
            refusal = ConflictError("the request has ended: this cannot be done to it now", code="request-ended")
            if held is None:
                raise refusal
            is_ended = held.ended not in _ENDABLE[state]
            if is_ended and not is_again:
                raise SaidByRowError(refusal, partial(is_told, services, *_ENDS[state], subject=request_id))
            receipt = await unit.record(sought.entry(call, event, Outcome.PERMITTED))
            if not is_ended:
                await unit.requests().end(request_id, state, call.now)
        return Recorded(replace(view, state=held.ended or state if is_ended else state), receipt)

    return await taken_away(services, sought.entry(call, event, Outcome.REFUSED), end)


async def _page(  # noqa: PLR0913  one call's surroundings, and the place in the list
    services: Services, call: Call, client: Client, state: PolicyState, unread: Unread, *, after: int, limit: int
) -> tuple[list[RequestRow], int]:
    """Return a page, and behind which row the next one begins: what was passed over is not passed over again."""
    found: list[RequestRow] = []
    while len(found) < limit:
        async with services.store.unit_of_work() as unit:
            rows, last = await unit.requests().of_member(client.member, after=after, limit=_AT_ONCE, unread=unread)
        decisions = [await decide_request(services, call, client, row, state) for row in rows]
        found += [row for row, decision in zip(rows, decisions, strict=True) if isinstance(decision, Permit)]
        after = last or (rows[-1].number if rows else after)
        if not last:
            break
        # Rules and guards of a hundred requests take some 10 ms: others are served in between.
        await asyncio.sleep(0)
    if len(found) >= limit:
        after = found[limit - 1].number
    return found[:limit], after


async def _require_few_open(unit: UnitOfWork, call: Call, client: Client) -> None:
    """Raise ConflictError where too much that the client asked for lies before others already."""
    kept = await unit.requests().kept_open(client.member, client.id, since=call.now - _DAY, now=call.now)
    if kept >= MOST_OPEN:
        message = f"{MOST_OPEN} requests of yours are open, or were made within a day: close or withdraw some, and wait"
        raise ConflictError(message, code="too-many-waiting")


def _rules(  # noqa: PLR0913, PLR0917  who asks under what
    services: Services, call: Call, client: Client, posted: PostedRequest, agreement: Agreement, members: frozenset[str]
) -> PostingRules:
    """Return what a request is checked against; InvalidError, with every other fault, where it names no clause."""
    found: list[Fault] = []
    scope = Collected(found).value(lambda: _require_reader(agreement, client, posted.scope), None)
    if scope is not None:
        return posting_rules(services.law, agreement, client.member, members, scope=scope)
    rules, others = rules_of_no_scope(services.law, agreement, client.member, members, posted), list[Fault]()
    Collected(others).value(
        lambda: compose_request(posted, request_id=ABSENT_ID, asker=client.member, now=call.now, rules=rules), None
    )
    # Whom it may ask is the clause's to say.
    found += [fault for fault in others if not fault.pointer.startswith("/asked")]
    raise InvalidError("the request cannot be made so", tuple(found))


def _require_reader(agreement: Agreement, client: Client, name: str) -> Scope:
    scope = agreement.terms.scope(name)
    if scope is None:
        fault = Fault("/scope", "unknown-scope", "no such scope in the agreement")
        raise InvalidError("the request cannot be made so", (fault,))
    if client.member not in scope.readers:
        fault = Fault("/scope", Reason.NOT_A_PARTY.value, f"your member is no reader of the scope `{scope.name}`")
        raise InvalidError("the request cannot be made so", (fault,))
    return scope


async def _sealed(services: Services, request: InformationRequest, digest: str) -> Sealed:
    marking = partial(render_marking, catalogue=services.law.catalogue, originator=request.header.originator)
    plain = json.dumps(request_as_json(request, marking=marking), ensure_ascii=False, separators=(",", ":")).encode()
    context = request_context(request.header.id, digest)
    kept = await services.custodian.seal_header(request.header.agreement, plain, context)
    return Sealed(kept.key_id, kept.key_version, kept.suite, kept.blob)
