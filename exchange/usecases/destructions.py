"""Destruction of what readers hold of a recalled report: asked of each who was given it, certified, followed up.

A client of which destruction is asked sees that much of the report: its id, the tombstone, and by when. The certificate
is a deed: the exchange signs what the reader said over its own connection.

INVARIANT: what was asked and cannot be read any more does not look as if nothing had been asked: to whom it would be
shown it is told that there is something.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from exchange.audit import Deed, DeedKind, EntryDraft, EventName, Outcome, Subject
from exchange.crypto import OpeningError
from exchange.kernel import ConflictError, is_uuid7, rfc3339
from exchange.members import Client, Role
from exchange.store import (
    DestructionRow,
    GivenTo,
    NoticeKind,
    NoticeRow,
    Parts,
    ReportBook,
    TombstoneRow,
    UnitOfWork,
    Unread,
    UnreadDestruction,
    UnreadRow,
)
from exchange.store.unread import UnreadRowError
from exchange.usecases.authenticate import authenticate, required_thumbprint
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.entry_labels import label_told
from exchange.usecases.facts import is_cleared_for
from exchange.usecases.given_to import given_to
from exchange.usecases.judging import ABSENT_ID, asked_for, report_not_found, sought_id
from exchange.usecases.log_words import recorded_label
from exchange.usecases.recording import draft, on_record
from exchange.usecases.sealed_headers import known_class, owner_of
from exchange.usecases.told_destructions import DUE_DAYS, borne_out, is_borne_out
from exchange.usecases.unread import record_unread

DESTROYING_ROLES = (Role.READER, Role.RELEASER)
_MOST_NAMED = 200
"""Clients that one entry names: it stays well below the largest entry."""


@dataclass(frozen=True, slots=True)
class AskedDestruction:
    """One destruction asked for, with the tombstone that proves the recall."""

    row: DestructionRow
    tombstone: TombstoneRow


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a reader certifies: how it was destroyed, and how many copies. `client` None means the caller's own."""

    method: str
    copies: int
    client: str | None = None


async def ask_destruction(services: Services, template: EntryDraft, report_id: str) -> tuple[DestructionRow, ...]:
    """Ask each client that was given a report to destroy it, those asked already left out; return all that are asked.

    `template` is the entry of the recall: what is asked for is recorded and told like it.
    """
    given = await given_to(services, report_id)
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        await book.hold_order()
        # Of two that ask at once, who recalls and the sweep, the second one sees whom the first one asked.
        await book.held(report_id)
        known, _ = await book.destructions(report=report_id)
        asked = await book.asked_to_destroy(report_id)
        new = [each for each in given if each.client not in asked]
        for start in range(0, len(new), _MOST_NAMED):
            known += await _asked(unit, book, template, new[start : start + _MOST_NAMED])
    return tuple(known)


async def list_destructions(services: Services, call: Call) -> Recorded[tuple[AskedDestruction, ...]]:
    """Return what the caller's member is still to destroy: a reader's own, all of its member to a releaser."""
    event = EventName.DESTRUCTION_LISTED
    client = await authenticate(services, call, *DESTROYING_ROLES, event=event)
    async with services.store.unit_of_work() as unit:
        known, altered = await unit.reports().destructions(member=client.member)
    # Between the units: however many there are, whoever writes does not wait for what is decided about each.
    rows = [row for row in known if await _is_for(services, call, client, row.report, row.given)]
    rows, forged = await borne_out(services, rows)
    rows = [row for row in rows if row.returned_at is None]
    unread = Unread([unread_destruction(each) for each in (*altered, *forged)])
    unopened = len([each for each in altered if await _is_for(services, call, client, each.report, each)])
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        stones = {row.report: await _stone(book, row.report) for row in rows}
        found = tuple(AskedDestruction(row, stone) for row in rows if (stone := stones[row.report]) is not None)
        ids = tuple(sorted(stones))
        receipt = await unit.record(draft(call, client, event, Outcome.PERMITTED, result_ids=ids))
    unread.rows += [UnreadRow(f"tombstone of report {report}") for report in ids if stones[report] is None]
    await record_unread(services, unread, client)
    return Recorded(found, receipt, unopened + len(forged) + len(rows) - len(found))


async def certify_destruction(
    services: Services, call: Call, report_id: str, certificate: Certificate
) -> Recorded[AskedDestruction]:
    """Return the signed certificate that a recalled report was destroyed.

    Raises NotFoundError where no destruction is asked of the client that is named, or the caller does not act for it;
    ConflictError where it was certified before, UnavailableError where what was asked cannot be read any more.
    """
    event = EventName.DESTRUCTION_CERTIFIED
    client = await authenticate(services, call, *DESTROYING_ROLES, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=asked_for(report_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        book = unit.reports()
        known = sought_id(report_id)
        row = await book.destruction(known, certificate.client or client.id)
        if row is None or not await _is_for(services, call, client, known, _holder(row)):
            raise report_not_found()
        if isinstance(row, UnreadDestruction) or not await is_borne_out(services, row):
            raise UnreadRowError(f"report {known}: destruction")
        stone = await book.tombstone(known)
        if stone is None:
            raise report_not_found()
        if row.returned_at is not None:
            raise ConflictError("this was certified before", code="certified-already")
        note = services.store.attest(_deed(call, client, row, certificate))
        detail: dict[str, str | int | list[str]] = {
            "client": row.given.client,
            "method": certificate.method,
            "copies": certificate.copies,
        }
        owner = await owner_of(services, known)
        subject = Subject("report", known)
        receipt = await unit.record(
            draft(call, client, event, Outcome.PERMITTED, subject=subject, owner=owner, detail=detail)
        )
        kept = replace(row, returned_at=call.now, returned_by=client.id, note=note, entry=receipt.entry)
        await book.certify(kept)
    return Recorded(AskedDestruction(kept, stone), receipt)


def unread_destruction(altered: UnreadDestruction) -> UnreadRow:
    """Return the row about a destruction that cannot be read, as it is recorded."""
    return UnreadRow(f"destruction of report {altered.report} by {altered.client}")


def _holder(row: DestructionRow | UnreadDestruction) -> GivenTo | UnreadDestruction:
    return row if isinstance(row, UnreadDestruction) else row.given


async def _stone(book: ReportBook, report_id: str) -> TombstoneRow | None:
    try:
        return await book.tombstone(report_id)
    except OpeningError:
        return None


async def _asked(
    unit: UnitOfWork, book: ReportBook, template: EntryDraft, given: Sequence[GivenTo]
) -> list[DestructionRow]:
    subject = template.subject or Subject("report", ABSENT_ID)
    detail: dict[str, str | int | list[str]] = {"of": [each.client for each in given]}
    receipt = await unit.record(replace(template, event=EventName.DESTRUCTION_ASKED, detail=detail))
    due_at = template.at + timedelta(days=DUE_DAYS)
    rows = [DestructionRow(subject.id, each, asked_at=template.at, due_at=due_at) for each in given]
    await book.ask_destruction(rows)
    told = [
        NoticeRow(
            each.client,
            each.member,
            NoticeKind.RECALLED,
            subject.id,
            version=subject.version or 1,
            at=template.at,
            entry=receipt.entry,
        )
        for each in given
    ]
    await book.tell(told)
    return rows


async def _is_for(
    services: Services, call: Call, client: Client, report_id: str, holder: GivenTo | UnreadDestruction
) -> bool:
    """Return whether a client sees that destruction is asked of who holds a report: of itself, or for a releaser."""
    if holder.client == client.id and Role.READER in client.roles:
        return True
    if holder.member != client.member or Role.RELEASER not in client.roles:
        return False
    if not is_uuid7(report_id):
        return True  # altered: that something was asked of its member is all that is left to tell
    # What a colleague was given may be above this releaser's own clearance: then it is absent for it.
    found = await services.store.report_for(required_thumbprint(call), report_id, parts=Parts.NONE)
    if found.report is None:
        return False
    try:
        kept = await known_class(services, found.report)
    except OpeningError:
        label = await recorded_label(services, report_id)
        return label is not None and is_cleared_for(client, label, services.law.catalogue, call.now)
    # By the label of what its member may have been given: the whole may go to others alone.
    told = label_told(services.law.catalogue, kept.facts, client.member)
    return is_cleared_for(client, told, services.law.catalogue, call.now)


def _deed(call: Call, client: Client, row: DestructionRow, certificate: Certificate) -> Deed:
    return Deed(
        DeedKind.DESTRUCTION,
        {
            "report": row.report,
            "client": row.given.client,
            "member": row.given.member,
            "agency": row.given.agency,
            "method": certificate.method,
            "copies": certificate.copies,
            "certified_by": client.id,
            "certified_at": rfc3339(call.now),
            "read_entry": row.given.entry,
        },
    )
