"""Breaches of what parties promised, for those who sign for the two members that one concerns.

A breach tells that a report exists, or that none came: so it is shown to a signatory whose clearance covers the report,
as it was labelled when the breach was found and as it is labelled now, or all that the scope may hold. To anybody else
there is no such breach, and no number that counts it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from exchange.agreements import Agreement
from exchange.audit import EventName, Outcome
from exchange.markings import Label
from exchange.members import Client, Role
from exchange.release import covers_label
from exchange.store import BreachKind, BreachRow
from exchange.usecases.agreements import last_text_of
from exchange.usecases.auditing import label_of
from exchange.usecases.authenticate import authenticate
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.positions import open_position, seal_position
from exchange.usecases.recording import draft, named, on_record

_AT_A_TIME = 100
_CURSOR = "breach"


@dataclass(frozen=True, slots=True)
class ListedBreaches:
    """Breaches, the first found first, and the cursor to resume from, which is always there."""

    agreement: Agreement
    rows: tuple[BreachRow, ...]
    next: str


async def list_breaches(
    services: Services, call: Call, agreement_id: str, *, cursor: str | None = None, limit: int = 100
) -> Recorded[ListedBreaches]:
    """Return breaches of an agreement by or towards the caller's member, as far as the caller is cleared for them.

    Raises NotFoundError alike for an absent agreement and a foreign one, MalformedError for a cursor of somebody else.
    """
    event = EventName.BREACH_LISTED
    client = await authenticate(services, call, Role.SIGNATORY, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        after = open_position(services, client, cursor, of=_CURSOR)
        agreement = await last_text_of(unit, client, agreement_id)
    # Behind the unit: however many are passed over, whoever writes does not wait for them.
    rows, position = await _visible(services, call, client, place=(agreement.id, after, limit))
    entry = draft(call, client, event, Outcome.PERMITTED, subject=named("agreement", agreement.id))
    receipt = await services.store.append(entry)
    return Recorded(
        ListedBreaches(agreement, tuple(rows), seal_position(services, client, position, of=_CURSOR)), receipt
    )


async def may_know(services: Services, call: Call, client: Client, row: BreachRow) -> bool:
    """Return whether a client may know of a breach, whatever its role."""
    if client.member not in {row.party, row.owed_to} or not client.clearance.is_current(call.now):
        return False
    found: Mapping[str, str | list[str]] = row.label
    if not covers_label(client.clearance, label_of(found), services.law.catalogue):
        return False
    return covers_label(client.clearance, await label_now(services, row), services.law.catalogue)


async def label_now(services: Services, row: BreachRow) -> Label:
    """Return the label under which a breach is told now: of the report that it is about as it stands, or its own."""
    found: Mapping[str, str | list[str]] = row.label
    report = await services.store.report_record(row.subject) if row.kind is BreachKind.ACKNOWLEDGEMENT else None
    if report is None:
        return label_of(found)
    return (await services.knowledge.release_class(services.store, report.class_id)).facts.label


async def _visible(
    services: Services, call: Call, client: Client, *, place: tuple[str, int, int]
) -> tuple[list[BreachRow], int]:
    agreement, after, limit = place
    found: list[BreachRow] = []
    while rows := await _page(services, agreement, after):
        for row in rows:
            after = row.number or after
            if await may_know(services, call, client, row):
                found.append(row)
            if len(found) == limit:
                return found, after
        # Each is a question to the database: others are served in between.
        await asyncio.sleep(0)
    return found, after


async def _page(services: Services, agreement: str, after: int) -> list[BreachRow]:
    async with services.store.unit_of_work() as unit:
        return await unit.breaches().of_agreement(agreement, after=after, limit=_AT_A_TIME)
