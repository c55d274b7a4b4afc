"""Rows that cannot be read, among many: on the record before what they are missing from is answered."""

from collections.abc import Collection, Iterable
from typing import Final

from exchange.agreements import Agreement
from exchange.audit import Detail, EntryDraft, EventName, Outcome
from exchange.members import Client
from exchange.store import PolicyState, Unread, UnreadRow
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.steps.authenticate import kept_to
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft

_MOST_NAMED: Final = 100
"""Places in one entry: what an entry may weigh."""


async def known_agreements(services: Services, state: PolicyState) -> dict[str, Agreement]:
    """Return every agreement by id, as of the policy version in `state`, without those that cannot be read.

    Nothing stands under these, as under none: what was posted there is refused. What is found so for the first time is
    on the record.
    """
    knowledge = services.knowledge
    agreements = await knowledge.agreements(services.store, state)
    # What was mended is told again where it is altered again.
    knowledge.told_unread &= knowledge.unread
    if untold := knowledge.unread - knowledge.told_unread:
        await services.store.append(unread_draft(services, untold))
        # INVARIANT: only now: where the log was away, whoever comes next records it.
        knowledge.told_unread |= untold
    return agreements


async def record_unread(services: Services, unread: Unread, client: Client | None, *, is_own: bool = False) -> int:
    """Record what could not be read for a list, and return how much of it claims to be of the caller's member.

    Whose a row is that cannot be read, it alone says: so its reader is told that it is there, and not which it is.
    The host, which sees everybody's, is told of each; so is whoever was shown what is its own (`is_own`) anyway.
    """
    rows = unread.taken()
    if not rows:
        return 0
    await services.store.append(unread_draft(services, rows, client))
    of = kept_to(client)
    return sum(is_own or of is None or of in row.members for row in rows)


def require_read(unread: Unread, members: Collection[str]) -> None:
    """Raise UnreadRowError where a row that claims to be of one of `members` could not be read.

    For what is true of these only as a whole; what cannot be read of others takes nothing from it.
    """
    for row in unread.rows:
        if not row.members.isdisjoint(members):
            raise UnreadRowError(row.place)


def unread_draft(services: Services, rows: Iterable[UnreadRow], client: Client | None = None) -> EntryDraft:
    """Return the entry about rows that cannot be read, in the service's own name; `client` is who met them."""
    places = sorted(row.place for row in rows)
    detail: Detail = {"place": places[0], "rows": places[:_MOST_NAMED], "count": len(places)}
    if client is not None:
        detail["client"] = client.id
    return service_draft(services, EventName.KEY_OPENED, Outcome.FAILED, detail=detail)
