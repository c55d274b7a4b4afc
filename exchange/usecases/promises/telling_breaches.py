"""What a subscriber may be told of a breach at the moment of telling: that there is one, and where to ask."""

from collections.abc import Mapping
from dataclasses import replace

from exchange.audit import Actor, EntryDraft, EventName, Outcome, Subject
from exchange.kernel import rfc3339
from exchange.members import Client, Role
from exchange.release import Permit
from exchange.store import BreachKind, BreachRow, Parts, Unread, UnreadBreach
from exchange.usecases.members.subscriptions import Message
from exchange.usecases.promises.list_breaches import label_now, may_know
from exchange.usecases.promises.told_breaches import as_told
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.recording import TamperedError, draft
from exchange.usecases.steps.seeking import judge
from exchange.usecases.steps.unread import record_unread


async def told_breach(services: Services, call: Call, breach_id: str, *, by: Mapping[str, str]) -> Message | None:
    """Return what may be told of a breach now, its entry durable; None where nothing may.

    `by` says in the entry what it is told by.
    """
    row = await services.store.duties.breach(breach_id)
    if row is None or call.thumbprint is None:
        return None
    client = (await services.store.caller(call.thumbprint)).client
    if client is None or not client.is_active or Role.READER not in client.roles:
        return None
    if not await may_know(services, call, client, row) or not await _may_read(services, call, client, row):
        return None
    (told,) = await as_told(services, [row])
    if isinstance(told, UnreadBreach):
        await record_unread(services, Unread([told.row]), client)
        return None
    # INVARIANT: no message leaves before its entry is durable.
    entry = _entry(call, client, row, by)
    await services.store.append(replace(entry, label=(await label_now(services, row, client.member)).as_json()))
    return Message("duty.breached", row.found_at, _facts(row))


def _entry(call: Call, client: Client, row: BreachRow, by: Mapping[str, str]) -> EntryDraft:
    """Return the entry of what the service tells, in its own name: the client has done nothing."""
    entry = draft(
        call,
        client,
        EventName.BREACH_NOTIFIED,
        Outcome.PERMITTED,
        subject=Subject("breach", row.id),
        label=row.label,
        agreement=row.agreement,
        scope=row.scope,
        detail={"client": client.id, **by},
    )
    return replace(entry, actor=Actor(kind="service"))


def _facts(row: BreachRow) -> dict[str, str]:
    return {
        "breach": row.id,
        "agreement": row.agreement,
        "scope": row.scope,
        "kind": row.kind.value,
        "party": row.party,
        "owed_to": row.owed_to,
        "due": rfc3339(row.due_at),
    }


async def _may_read(services: Services, call: Call, client: Client, row: BreachRow) -> bool:
    """Return whether a client may read the report that a breach is about, where it is about one."""
    if row.kind is BreachKind.REPORT:
        return True
    read = await services.store.report_for(call.thumbprint or "", row.subject, parts=Parts.NONE)
    if read.client is None or read.report is None or read.client != client:
        return False
    try:
        judged = await judge(services, call, client, read.report, read.state, is_asked=False)
    except TamperedError:
        return False  # on record: it takes nothing from what else is told
    return isinstance(judged.decision, Permit)
