"""Breaches of what parties promised, for those who sign for the two members that one concerns.

A breach tells that a report exists, or that none came: so it is shown to a signatory whose clearance covers the report,
as it was labelled when the breach was found and as it is labelled now, or all that the scope may hold. To anybody else
there is no such breach, and no number that counts it. That there is one that cannot be read is told to whom it claims
to concern and is cleared for its label; for all that the agreement may hold, where no label can be read. So it is with
one that the log does not bear out (`told_breaches`).
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from exchange.agreements import Agreement
from exchange.audit import EventName, Outcome
from exchange.crypto import OpeningError
from exchange.markings import Label
from exchange.members import Client, Role
from exchange.release import covers_label
from exchange.store import BreachKind, BreachRow, Parts, Unread, UnreadBreach
from exchange.usecases.agreements.agreements import last_text_of
from exchange.usecases.promises.told_breaches import as_told
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.entry_labels import label_of, label_told
from exchange.usecases.steps.facts import is_cleared_for
from exchange.usecases.steps.positions import open_position, seal_position
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.sealed_headers import known_class
from exchange.usecases.steps.unread import record_unread

_AT_A_TIME = 100
_CURSOR = "breach"


@dataclass(frozen=True, slots=True)
class _Reading:
    """Who reads, in which call, and what could not be read."""

    call: Call
    client: Client
    altered: list[UnreadBreach] = field(default_factory=list)


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
    reading = _Reading(call, client)
    rows, position = await _visible(services, reading, place=(agreement.id, after, limit))
    entry = draft(call, client, event, Outcome.PERMITTED, subject=named("agreement", agreement.id))
    receipt = await services.store.append(entry)
    await record_unread(services, Unread([each.row for each in reading.altered]), client)
    listed = ListedBreaches(agreement, tuple(rows), seal_position(services, client, position, of=_CURSOR))
    return Recorded(listed, receipt, sum(_is_told(services, reading, agreement, each) for each in reading.altered))


async def may_know(services: Services, call: Call, client: Client, row: BreachRow) -> bool:
    """Return whether a client may know of a breach, whatever its role; of one whose report's label is lost, nobody."""
    try:
        return await _may_know(services, call, client, row)
    except OpeningError:
        return False


async def _may_know(services: Services, call: Call, client: Client, row: BreachRow) -> bool:
    is_cleared = partial(is_cleared_for, client, catalogue=services.law.catalogue, now=call.now)
    if client.member not in {row.party, row.owed_to} or not is_cleared(label_of(row.label)):
        return False
    return is_cleared(await label_now(services, row, client.member))


async def label_now(services: Services, row: BreachRow, member: str) -> Label:
    """Return the label under which `member` is told of a breach now: of its report as it stands, or its own.

    Raises OpeningError where that report is not what its row says, or nothing tells what it is.
    """
    if row.kind is not BreachKind.ACKNOWLEDGEMENT:
        return label_of(row.label)
    report = (await services.store.report_for("", row.subject, parts=Parts.NONE)).report
    if report is None:
        return label_of(row.label)
    return label_told(services.law.catalogue, (await known_class(services, report)).facts, member)


async def _visible(
    services: Services, reading: _Reading, *, place: tuple[str, int, int]
) -> tuple[list[BreachRow], int]:
    agreement, after, limit = place
    found: list[BreachRow] = []
    while rows := await _page(services, agreement, after):
        for number, row in rows:
            after = number
            if isinstance(row, UnreadBreach):
                reading.altered.append(row)
            elif await _is_shown(services, reading, row):
                found.append(row)
            if len(found) == limit:
                return found, after
        # Each is a question to the database: others are served in between.
        await asyncio.sleep(0)
    return found, after


async def _is_shown(services: Services, reading: _Reading, row: BreachRow) -> bool:
    try:
        return await _may_know(services, reading.call, reading.client, row)
    except OpeningError:
        # What its report is labelled now, nothing says any more.
        reading.altered.append(UnreadBreach(row.id, frozenset({row.party, row.owed_to}), None))
        return False


def _is_told(services: Services, reading: _Reading, agreement: Agreement, altered: UnreadBreach) -> bool:
    """Return whether a reader is told that there is a breach that cannot be read."""
    clearance = reading.client.clearance
    if reading.client.member not in altered.members or not clearance.is_current(reading.call.now):
        return False
    highest = (
        Label(terms.policy, scope.ceiling, tuple(sorted(set(scope.compartments))))
        for terms in agreement.texts
        for scope in terms.scopes
    )
    labels = highest if altered.label is None else (altered.label,)
    return all(covers_label(clearance, label, services.law.catalogue) for label in labels)


async def _page(services: Services, agreement: str, after: int) -> list[tuple[int, BreachRow | UnreadBreach]]:
    async with services.store.unit_of_work() as unit:
        found = await unit.breaches().of_agreement(agreement, after=after, limit=_AT_A_TIME)
    # The log is asked once for all of them, whomever they concern: nobody tells by the time it takes whether there are.
    told = iter(await as_told(services, [row for _, row in found if isinstance(row, BreachRow)]))
    return [(number, next(told) if isinstance(row, BreachRow) else row) for number, row in found]
