"""What the exchange knows of the caller, and the words it may use."""

from exchange.audit import EventName, Outcome, Receipt, Subject
from exchange.members import Client
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft


async def describe_caller(services: Services, call: Call) -> Recorded[Client]:
    """Return the calling client as enrolled."""
    event = EventName.CALLER_DESCRIBED
    client = await authenticate(services, call, event=event)
    subject = Subject("client", client.id, client.version)
    receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED, subject=subject))
    return Recorded(client, receipt)


async def describe_vocabulary(services: Services, call: Call) -> Recorded[dict[str, tuple[str, ...]]]:
    """Return per security policy the levels that the caller may originate, highest first: its clearance covers them."""
    event = EventName.VOCABULARY_READ
    client = await authenticate(services, call, event=event)
    catalogue = services.law.catalogue
    held = catalogue.clearance_rank(client.clearance.level)
    may_originate = {
        policy.id: tuple(
            level.name for level in reversed(policy.levels) if catalogue.protection[policy.id, level.name] <= held
        )
        for policy in catalogue.policies.values()
    }
    receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED))
    return Recorded(may_originate, receipt)


async def record_visit(services: Services, call: Call, *, route: str) -> Receipt:
    """Record that an enrolled client was given the page at `route`, which tells nothing of the exchange's content."""
    event = EventName.ROUTE_REQUESTED
    client = await authenticate(services, call, event=event)
    return await services.store.append(draft(call, client, event, Outcome.PERMITTED, detail={"route": route}))
