"""Who has left an agreement as the log tells it: what a leaving destroys is gone for good, and a row alone says little.

INVARIANT: where the log cannot be asked, or tells of no such notice, nobody has left.
"""

from dataclasses import replace
from datetime import datetime

from exchange.agreements import Agreement, Party, PartyState
from exchange.audit import EventName
from exchange.kernel import rfc3339
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import is_too_much_waiting, told_until_now


async def with_told_leavings(services: Services, agreement: Agreement) -> Agreement:
    """Return `agreement` without the notices, absences and departures that no entry tells of; they recall nothing."""
    has_left = any(map(_may_have_left, agreement.parties))
    if not has_left and not agreement.absences and not agreement.departures:
        return agreement
    told = await _leavings_told(services, agreement.id)
    members = {member for member, _ in told}
    return replace(
        agreement,
        parties=tuple(_as_told(party, told) for party in agreement.parties),
        absences=tuple(each for each in agreement.absences if (each.member, rfc3339(each.left_at)) in told),
        departures=tuple(each for each in agreement.departures if each.member in members),
    )


def _may_have_left(party: Party) -> bool:
    return party.leaves_at is not None or party.state is PartyState.WITHDRAWN


def _as_told(party: Party, told: frozenset[tuple[str, str]]) -> Party:
    if not _may_have_left(party) or (party.member, _written(party.leaves_at)) in told:
        return party
    state = PartyState.SIGNED if party.state is PartyState.WITHDRAWN else party.state
    return replace(party, state=state, leaves_at=None)


def _written(moment: datetime | None) -> str:
    return "" if moment is None else rfc3339(moment)


async def _leavings_told(services: Services, agreement_id: str) -> frozenset[tuple[str, str]]:
    """Return which members the log has leave the agreement, and when."""
    if await is_too_much_waiting(services):
        return frozenset()
    found = set()
    async for entry in told_until_now(services, EventName.AGREEMENT_WITHDRAWN, subject=agreement_id):
        detail = entry.get("detail", {})
        found.add((str(detail.get("on_behalf_of", entry.get("member"))), str(detail.get("leaves_at"))))
    return frozenset(found)
