"""Connections that were refused before anybody could ask anything: on the record without a name, for there is none."""

from exchange.audit import Actor, EntryDraft, EventName, Outcome, Receipt
from exchange.kernel import new_id
from exchange.release import Reason
from exchange.usecases.steps.context import Services


async def record_refused_connections(services: Services, counts: dict[str, int], source: str) -> Receipt:
    """Record so many refused handshakes by what was wrong, the first of them from `source`; return the receipt."""
    now = services.clock()
    entry = EntryDraft(
        event=EventName.CONNECTION_REFUSED,
        outcome=Outcome.REFUSED,
        at=now,
        actor=Actor(kind="unknown"),
        request_id=new_id(now, services.randomness),
        source=source,
        reasons=(Reason.NOT_AUTHENTICATED.value,),
        detail={"codes": sorted(counts), "count": sum(counts.values())},
    )
    return await services.store.append(entry)
