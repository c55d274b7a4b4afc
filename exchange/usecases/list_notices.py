"""List notices: what a reader is told of reports that it was given: amended, raised, lowered, declassified, recalled.

A notice names a report that its reader had, and nothing that is in it; whether the reader may still have it is decided
when it pulls. Kept with the act that it tells of, in one transaction: none is lost, and none tells of what was not.
"""

from dataclasses import dataclass

from exchange.audit import EventName, Outcome
from exchange.members import Role
from exchange.store import NoticeRow
from exchange.usecases.authenticate import authenticate
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.positions import open_position, seal_position
from exchange.usecases.recording import draft, on_record

_ORDER = "notice"


@dataclass(frozen=True, slots=True)
class ListedNotices:
    """A page of notices, oldest first, and the cursor behind it: more will follow."""

    items: tuple[NoticeRow, ...]
    next: str


async def list_notices(
    services: Services, call: Call, cursor: str | None = None, *, limit: int = 100
) -> Recorded[ListedNotices]:
    """Return what the calling reader is told of reports, in the order in which it happened. `limit` is 1..500.

    Raises ForbiddenError without the reader's role, MalformedError for a cursor that was not given to this client.
    """
    event = EventName.NOTICE_LISTED
    client = await authenticate(services, call, Role.READER, event=event)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
        after = open_position(services, client, cursor, of=_ORDER)
    async with services.store.unit_of_work() as unit:
        items = tuple(await unit.reports().notices(client.id, after=after, limit=limit))
        ids = tuple(dict.fromkeys(row.report for row in items))
        receipt = await unit.record(draft(call, client, event, Outcome.PERMITTED, result_ids=ids))
    last = after if not items else items[-1].number or after
    return Recorded(ListedNotices(items, seal_position(services, client, last, of=_ORDER)), receipt)
