"""What a stream tells besides headers: requests that ask the reader's member, breaches that concern it.

As a message of a webhook, each is decided at the moment of telling and recorded before that, and holds an id and what
one needs to ask further. What the reader may not know of then is passed over, and moves no place of its client.
"""

import json
from dataclasses import dataclass
from typing import assert_never

from exchange.members import Client
from exchange.store import StreamKind
from exchange.usecases.members.subscriptions import Message
from exchange.usecases.promises.telling_breaches import told_breach
from exchange.usecases.requests.telling_requests import told_request
from exchange.usecases.steps.authenticate import required_thumbprint
from exchange.usecases.steps.context import Call, Services


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """What is told at one place in the sequence of reports."""

    seq: int
    kind: StreamKind
    facts_json: bytes


async def told_events(services: Services, call: Call, client: Client, after: int, to: int) -> list[ToldEvent]:
    """Return what the reader may be told of behind `after` up to `to`, in order; the entries are durable."""
    found = []
    for seq, kind, subject in await services.store.pulse.events_behind(client.member, after, to):
        message = await _message(services, call, kind, subject)
        if message is not None:
            written = json.dumps(message.facts, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
            found.append(ToldEvent(seq, kind, written.encode()))
    return found


async def _message(services: Services, call: Call, kind: StreamKind, subject: str) -> Message | None:
    by = {"stream": call.request_id}
    match kind:
        case StreamKind.REQUEST:
            row = await services.store.caller(required_thumbprint(call))
            if row.client is None:
                return None
            return await told_request(services, call, row.client, subject, state=row.state, by=by)
        case StreamKind.BREACH:
            return await told_breach(services, call, subject, by=by)
        case other:
            assert_never(other)
