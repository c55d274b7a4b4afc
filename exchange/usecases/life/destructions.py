"""Destruction of what readers hold of a recalled report: asked of each who was given it, certified, followed up.

A client of which destruction is asked sees that much of the report: its id, the tombstone, and by when. The certificate
is a deed: the exchange signs what the reader said over its own connection.

INVARIANT: what was asked and cannot be read any more does not look as if nothing had been asked: to whom it would be
shown it is told that there is something.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from exchange.audit import Deed, DeedKind, Detail, EntryDraft, EventName, Outcome, Subject, fit_text
from exchange.kernel import ConflictError, is_uuid7, rfc3339
from exchange.members import Client, Role
from exchange.store import (
    DestructionRow,
    GivenTo,
    NoticeKind,
    NoticeRow,
    TombstoneRow,
    UnitOfWork,
    Unread,
    UnreadDestruction,
    UnreadRow,
)
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.life.told_destructions import DUE_DAYS, borne_out, never_asked
from exchange.usecases.life.tombstones import told_tombstones
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.given_to import given_to
from exchange.usecases.steps.judging import ABSENT_ID, asked_for, report_not_found, sought_id
from exchange.usecases.steps.originating import is_cleared_still
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.sealed_headers import owner_of
from exchange.usecases.steps.unread import record_unread

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
        before = await unit.reports().asked_to_destroy(report_id)
    # The rows before the log: of what is in one of them by then, its entry is there.
    doubted = await never_asked(services, report_id, before)
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        await book.hold_order()
        # Of two that ask at once, who recalls and the sweep, the second one sees whom the first one asked.
        await book.held(report_id)
        asked = await book.asked_to_destroy(report_id)
        forged = {each for each in doubted if asked.get(each) == before[each]}
        known = [each for each in (await book.destructions(report=report_id))[0] if each.given.client not in forged]
        new = [each for each in given if each.client not in asked.keys() - forged]
        known += await ask_each(unit, template, new, forged)
    return tuple(known)


async def ask_each(
    unit: UnitOfWork, template: EntryDraft, given: Sequence[GivenTo], forged: Collection[str]
) -> list[DestructionRow]:
    """Ask each of these clients, of whom nothing was asked, within `unit`, whose order is held; see `ask_destruction`.

    Of those in `forged` a row says that it was, and no entry does.
    """
    rows: list[DestructionRow] = []
    for start in range(0, len(given), _MOST_NAMED):
        rows += await _asked(unit, template, given[start : start + _MOST_NAMED], forged)
    return rows


async def list_destructions(services: Services, call: Call) -> Recorded[tuple[AskedDestruction, ...]]:
    """Return what the caller's member is still to destroy: a reader's own, all of its member to a releaser."""
    event = EventName.DESTRUCTION_LISTED
    client = await authenticate(services, call, *DESTROYING_ROLES, event=event)
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        known, altered = await book.destructions(member=client.member)
        kept = await book.tombstones(sorted({row.report for row in known}))
    # Behind the unit: however many there are, whoever writes does not wait for what is decided about each.
    rows = [row for row in known if await _is_for(services, call, client, row.report, row.given)]
    rows, forged = await borne_out(services, rows)
    rows = [row for row in rows if row.returned_at is None]
    unread = Unread([unread_destruction(each) for each in (*altered, *forged)])
    unopened = len([each for each in altered if await _is_for(services, call, client, each.report, each)])
    reports = sorted({row.report for row in rows})
    stones = await told_tombstones(services, kept, reports)
    unread.rows += [unread_tombstone(each) for each in reports if each not in kept or kept[each] != stones.get(each)]
    found = tuple(AskedDestruction(row, stones[row.report]) for row in rows if row.report in stones)
    entry = draft(call, client, event, Outcome.PERMITTED, result_ids=tuple(reports))
    receipt = await services.store.append(entry)
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
    known, holder = sought_id(report_id), certificate.client or client.id
    async with on_record(services, attempt):
        # On SQLite nobody writes while one reads in a unit, and what the log says may be away.
        asked = await _open_destruction(services, call, client, known, holder)
        certificate = replace(certificate, method=fit_text(certificate.method))
        note = services.store.attest(_deed(call, client, asked.row, certificate))
        detail: Detail = {
            "client": holder,
            "method": certificate.method,
            "copies": certificate.copies,
        }
        owner = await owner_of(services, known)
        subject = Subject("report", known)
        entry = draft(call, client, event, Outcome.PERMITTED, subject=subject, owner=owner, detail=detail)
        async with services.store.unit_of_work() as unit:
            book = unit.reports()
            if await book.destruction(known, holder) != asked.row:
                raise ConflictError("this was certified meanwhile", code="certified-already")
            receipt = await unit.record(entry)
            kept = replace(asked.row, returned_at=call.now, returned_by=client.id, note=note, entry=receipt.entry)
            await book.certify(kept)
    return Recorded(replace(asked, row=kept), receipt)


def unread_destruction(altered: UnreadDestruction) -> UnreadRow:
    """Return the row about a destruction that cannot be read, as it is recorded."""
    return UnreadRow(f"destruction of report {altered.report} by {altered.client}")


def unread_tombstone(report: str) -> UnreadRow:
    """Return the row about a tombstone that cannot be read, or is gone, as it is recorded."""
    return UnreadRow(f"tombstone of report {report}")


def _holder(row: DestructionRow | UnreadDestruction) -> GivenTo | UnreadDestruction:
    return row if isinstance(row, UnreadDestruction) else row.given


async def _open_destruction(
    services: Services, call: Call, client: Client, report: str, holder: str
) -> AskedDestruction:
    """Return what the holder of a report is still to destroy; raises as `certify_destruction`."""
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        row, kept = await book.destruction(report, holder), await book.tombstones([report])
    if row is None or not await _is_for(services, call, client, report, _holder(row)):
        raise report_not_found()
    rows = [] if isinstance(row, UnreadDestruction) else (await borne_out(services, [row]))[0]
    if not rows:
        raise UnreadRowError(f"report {report}: destruction")
    stones = await told_tombstones(services, kept, [report])
    if report not in stones:
        raise UnreadRowError(f"report {report}: tombstone")
    if rows[0].returned_at is not None:
        raise ConflictError("this was certified before", code="certified-already")
    return AskedDestruction(rows[0], stones[report])


async def _asked(
    unit: UnitOfWork, template: EntryDraft, given: Sequence[GivenTo], forged: Collection[str]
) -> list[DestructionRow]:
    book = unit.reports()
    subject = template.subject or Subject("report", ABSENT_ID)
    detail: Detail = {"of": [each.client for each in given]}
    receipt = await unit.record(replace(template, event=EventName.DESTRUCTION_ASKED, detail=detail))
    due_at = template.at + timedelta(days=DUE_DAYS)
    rows = [DestructionRow(subject.id, each, asked_at=template.at, due_at=due_at) for each in given]
    await book.ask_destruction(rows, forged)
    kind, version, at = NoticeKind.RECALLED, subject.version or 1, template.at
    told = [NoticeRow.of(each, kind, subject.id, version=version, at=at, entry=receipt.entry) for each in given]
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
    return await is_cleared_still(services, call, client, report_id)


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
