"""What a subscriber may be told of a request for information at that moment: that there is one, and how urgent."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import assert_never

from exchange.audit import Actor, Detail, EntryDraft, EventName, Outcome
from exchange.kernel import new_id, to_micros
from exchange.members import Client
from exchange.release import Permit, Refusal
from exchange.store import PolicyState, RequestRow, StreamKind, UnitOfWork
from exchange.usecases.members.subscriptions import Message, waiting
from exchange.usecases.requests.judging_requests import decide_request, open_request, request_draft
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.facts import stated_purpose
from exchange.usecases.steps.unread import known_agreements


async def queue_request(
    services: Services, unit: UnitOfWork, call: Call, request_id: str, asked: Collection[str]
) -> None:
    """Queue a new request, in its own unit, for whoever of the members asked listens or subscribes.

    What each may know is open until it is told.
    """
    await unit.streams().add(StreamKind.REQUEST, request_id, asked, call.now)
    rows = [
        waiting(new_id(call.now, services.randomness), each, request_id, to_micros(call.now))
        for each in await unit.subscriptions().of_members(asked)
    ]
    await unit.subscriptions().queue(*rows)


async def told_request(  # noqa: PLR0913  who is told, by what, of which request, under which policy
    services: Services,
    call: Call,
    client: Client,
    request_id: str,
    *,
    state: PolicyState,
    by: Mapping[str, str],
) -> Message | None:
    """Return what may be told of a request now, its entry durable; None where nothing may.

    `by` says in the entry what it is told by.
    Of one that has ended nobody is told: whoever looks finds it as it stands.
    """
    await known_agreements(services, state)
    async with services.store.unit_of_work() as unit:
        row = await unit.requests().one(request_id)
    if row is None or row.ended is not None:
        return None
    decision = await decide_request(services, call, client, row, state)
    entry = _entry(services, call, client, by, row)
    match decision:
        case Permit():
            request = await open_request(services, call, client, row)
            # INVARIANT: no message leaves before its entry is durable.
            await services.store.append(replace(entry, policies=decision.policies))
            facts = {"request": row.id, "precedence": request.header.precedence.name}
            return Message("request.visible", row.asked_at, facts)
        case Refusal():
            reasons = tuple(reason.value for reason in decision.reasons)
            # INVARIANT: the asker's auditor learns of nobody's clearance whom it could have told without its asking.
            refused = replace(entry, outcome=Outcome.REFUSED, policies=decision.policies, reasons=reasons, owner=None)
            await services.store.append(refused)
            return None
        case other:
            assert_never(other)


def _entry(services: Services, call: Call, client: Client, by: Mapping[str, str], row: RequestRow) -> EntryDraft:
    """Return the entry of what the service tells, in its own name: the client has done nothing."""
    detail: Detail = {"client": client.id, **by}
    event = EventName.REQUEST_NOTIFIED
    entry = request_draft(call, client, event, Outcome.PERMITTED, row.id, row.facts, detail=detail)
    return replace(entry, actor=Actor(kind="service"), purpose=stated_purpose(services, call, client))
