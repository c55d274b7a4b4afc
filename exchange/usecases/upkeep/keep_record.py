"""The law that the service puts in force, on the record, and a plain read of the record for the host."""

from collections.abc import Mapping

from exchange.audit import EventName, Outcome, Subject, parse_entry
from exchange.kernel import ForbiddenError
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, refuse
from exchange.usecases.steps.service_entries import service_draft


async def put_law_in_force(services: Services) -> None:
    """Make the law this process loaded the one in force; a change is an entry and a new policy version."""
    subject = Subject("policy", services.law.digest)
    entry = service_draft(services, EventName.POLICY_CHANGED, subject=subject)
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
