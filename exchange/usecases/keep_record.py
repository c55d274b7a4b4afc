"""The service's own deeds on the record, the law it puts in force, and a plain read of the record for the host."""

from collections.abc import Mapping

from exchange.audit import Actor, EntryDraft, EventName, Outcome, Receipt, Subject, parse_entry
from exchange.kernel import ForbiddenError, new_id
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.recording import draft, refuse

_ID_RANDOMNESS_BYTES = 10


async def record_service(services: Services, event: EventName) -> Receipt:
    """Record that this process started, stopped, or did something else nobody asked it for."""
    return await services.store.append(_service_draft(services, event))


async def put_law_in_force(services: Services) -> None:
    """Make the law this process loaded the one in force; a change is an entry and a new policy version."""
    subject = Subject("policy", services.law.digest)
    entry = _service_draft(services, EventName.POLICY_CHANGED, subject=subject)
    await services.store.set_policy_digest(services.law.digest, entry)


async def read_entries(
    services: Services, call: Call, *, limit: int = 1000
) -> Recorded[tuple[Mapping[str, object], ...]]:
    """Return the oldest `limit` entries, parsed, to the operator at the host; reading them is an entry too."""
    if not call.is_host:
        error = ForbiddenError("entries are read at the host, until auditors have their routes")
        return await refuse(services, draft(call, None, EventName.AUDIT_READ, Outcome.REFUSED), error)
    receipt = await services.store.append(draft(call, None, EventName.AUDIT_READ, Outcome.PERMITTED))
    contents = await services.store.entries(limit=limit)
    return Recorded(tuple(parse_entry(content) for content in contents), receipt)


def _service_draft(services: Services, event: EventName, *, subject: Subject | None = None) -> EntryDraft:
    now = services.clock()
    return EntryDraft(
        event=event,
        outcome=Outcome.PERMITTED,
        at=now,
        actor=Actor(kind="service"),
        request_id=new_id(now, services.randomness(_ID_RANDOMNESS_BYTES)),
        source="local",
        subject=subject,
    )
