"""Reports that are not whole yet, as the one client sees them that makes them; for everybody else there are none.

INVARIANT: an upload is known to the client that began it, while that is a contributor; whoever else names its id is
answered as if nothing were there, at the same cost.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn

from exchange.audit import Detail, EntryDraft, EventName, Outcome, Subject
from exchange.crypto import OpeningError, digest_context, upload_context
from exchange.kernel import ConflictError, NotFoundError
from exchange.markings import render_marking
from exchange.members import Client, Role
from exchange.reports import Awaited, Header, PartHeader, header_from_json, with_received
from exchange.store import PolicyState, UnitOfWork, UploadEnd, UploadPartRow, UploadRow
from exchange.store.rows.unread import UNREADABLE, read_alone
from exchange.usecases.steps.authenticate import admit, required_thumbprint
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.judging import asked_for, report_not_found, require_same_law, sought_id
from exchange.usecases.steps.recording import about_report, draft, on_record, record_tampering, refuse
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.told_entries import all_told_until_now, require_readable, told_until_now


@dataclass(frozen=True, slots=True)
class OwnUpload:
    """An upload of the calling client, as it was loaded, with what was declared."""

    client: Client
    state: PolicyState
    row: UploadRow
    declared: Header

    def entry(
        self,
        call: Call,
        event: EventName,
        outcome: Outcome,
        *,
        size_bytes: int | None = None,
        detail: Detail | None = None,
    ) -> EntryDraft:
        """Return the entry about an act on this upload."""
        return upload_entry(call, self.client, self.declared, event, outcome, size_bytes=size_bytes, detail=detail)


@dataclass(frozen=True, slots=True)
class UploadPartView:
    """A declared part: what is said of it, with its digest once that is known, and whether it has come."""

    header: PartHeader
    marking: str
    is_received: bool


@dataclass(frozen=True, slots=True)
class UploadView:
    """An upload as its client sees it. `is_replayed`: begun before with the same idempotency key."""

    declared: Header
    begun_at: datetime
    due_at: datetime
    parts: tuple[UploadPartView, ...]
    is_replayed: bool = False


async def own_upload(services: Services, call: Call, upload_id: str, *, event: EventName) -> OwnUpload:
    """Return an upload that the caller itself began, and that is open.

    Raises ForbiddenError without the contributor's role, NotFoundError alike for absent and foreign, ConflictError for
    one that has ended, each recorded under `event`.
    """
    client, state, row = await own_upload_row(services, call, upload_id, event=event)
    return OwnUpload(client, state, row, await _declared(services, call, client, row, event=event))


async def own_upload_row(
    services: Services, call: Call, upload_id: str, *, event: EventName
) -> tuple[Client, PolicyState, UploadRow]:
    """Return the calling client and an open upload of its own, whatever was declared; raises as `own_upload`."""
    asked = sought_id(upload_id)
    standing = await services.store.caller(required_thumbprint(call))
    row = await services.store.uploads.one(asked)
    client = await admit(services, call, standing.client, Role.CONTRIBUTOR, event=event, subject=asked_for(upload_id))
    require_same_law(services, standing.state)
    if row is None or row.client != client.id:
        await _absent(services, call, client, row, upload_id, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=asked_for(row.id))
    async with on_record(services, attempt):
        error = read_alone(row, lambda found: ended_error(found, call.now), f"upload {row.id}")
    if error is not None:
        if row.ended is UploadEnd.COMPLETED:
            await _require_completed(services, call, client, row)
        told: Detail = {"codes": [error.code]}
        ended = draft(
            call, client, event, Outcome.REFUSED, subject=asked_for(row.id), owner=row.originator, detail=told
        )
        await refuse(services, replace(ended, agreement=row.agreement), error)
    return client, standing.state, row


async def _require_completed(services: Services, call: Call, client: Client, row: UploadRow) -> None:
    # INVARIANT: nobody is told by a row alone that its report is posted: it would be sent to nobody, and never again.
    await require_readable(services, "whether it was completed")
    async for _ in all_told_until_now(services, EventName.UPLOAD_COMPLETED, subject=row.id):
        return
    error = OpeningError("the row of an upload says that it was completed, and the log does not")
    await record_tampering(services, call, client, f"upload {row.id}", error)


async def hold_open(unit: UnitOfWork, own: OwnUpload) -> int:
    """Hold the order of reports and the upload to the end of the unit, and return the upload's revision.

    Raises StalePolicyError where the policy moved since the upload was loaded, ConflictError where it has ended.
    """
    await unit.reports().hold_order(own.state.policy_version)
    revision, ended = await unit.uploads().hold(own.row.id)
    if ended is not None:
        raise ended_as(ended)
    return revision


def ended_error(row: UploadRow, now: datetime) -> ConflictError | None:
    """Return what is to be said of an upload that is not open any more, None while it is.

    Raises one of `UNREADABLE` where its row was altered.
    """
    row.require_readable()
    if row.ended is not None:
        return ended_as(row.ended)
    return ended_as(UploadEnd.ABANDONED) if row.due_at <= now else None


def ended_as(end: UploadEnd) -> ConflictError:
    """Return what is to be said of an upload that ended so."""
    if end is UploadEnd.COMPLETED:
        return ConflictError("the report is complete: nothing is sent to it any more", code="already-complete")
    return ConflictError(
        "the report is given up, as its client asked or its time was over: post it anew", code="given-up"
    )


def upload_entry(  # noqa: PLR0913  what the entry says
    call: Call,
    client: Client | None,
    declared: Header,
    event: EventName,
    outcome: Outcome,
    *,
    size_bytes: int | None = None,
    detail: Detail | None = None,
) -> EntryDraft:
    """Return the entry about an act on a report that is not whole."""
    return draft(
        call,
        client,
        event,
        outcome,
        **about_report(declared.id, declared.version, declared),
        size_bytes=size_bytes,
        detail=detail or {},
    )


def abandoned_entry(call: Call, client: Client | None, row: UploadRow, declared: Header | None) -> EntryDraft:
    """Return the entry about an upload that is given up; without `declared`, which did not open, no label is known."""
    event, detail = EventName.UPLOAD_ABANDONED, Detail(client=row.client)
    if declared is not None:
        return upload_entry(call, client, declared, event, Outcome.PERMITTED, detail=detail)
    subject = Subject("report", row.id, 1)
    entry = draft(call, client, event, Outcome.PERMITTED, subject=subject, owner=row.originator, detail=detail)
    return replace(entry, agreement=row.agreement)


async def received_parts(
    services: Services, call: Call, own: OwnUpload, rows: Sequence[UploadPartRow]
) -> dict[int, Awaited]:
    """Return size and digest of what has come, by number; what was altered is recorded and shows nothing."""
    upload_id, sizes = own.declared.id, {part.number: part.size_bytes for part in own.declared.parts}
    try:
        if any(sizes.get(row.number) != row.size_bytes for row in rows):
            raise OpeningError("a part that has come is none that was declared")
        sealed = [(row, digest_context(upload_id, row.number, row.wrapped_key)) for row in rows]
        digests = await services.custodian.open_headers(sealed)
    except UNOPENED as exc:
        return await record_tampering(services, call, own.client, f"upload {upload_id}", exc)
    return {row.number: Awaited(row.size_bytes, digest.decode()) for row, digest in zip(rows, digests, strict=True)}


async def view_now(services: Services, call: Call, own: OwnUpload) -> UploadView:
    """Return an upload as its client sees it, with what has come by now."""
    received = await received_parts(services, call, own, await services.store.uploads.parts(own.row.id))
    return view_of(services, own.row, own.declared, received)


def view_of(services: Services, row: UploadRow, declared: Header, received: Mapping[int, Awaited]) -> UploadView:
    """Return an upload as its client sees it."""
    known = with_received(declared, received)
    parts = tuple(
        UploadPartView(
            part,
            render_marking(part.label, services.law.catalogue, originator=declared.originator),
            part.number in received,
        )
        for part in known.parts
    )
    return UploadView(known, row.begun_at, row.due_at, parts)


async def _absent(  # noqa: PLR0913  one call's surroundings, and what was asked for
    services: Services, call: Call, client: Client, row: UploadRow | None, upload_id: str, *, event: EventName
) -> NoReturn:
    absent = draft(call, client, event, Outcome.REFUSED, subject=asked_for(upload_id), detail={"finding": "absent"})
    if row is not None:
        # What cannot be read is nobody's, and absent as well.
        with suppress(*UNREADABLE):
            row.require_readable()
            # Its originator sees who tried; the caller, and its own auditor, are told nothing.
            absent = replace(absent, owner=row.originator)
    await refuse(services, absent, report_not_found())


async def _declared(services: Services, call: Call, client: Client, row: UploadRow, *, event: EventName) -> Header:
    try:
        return await opened_declaration(services, row)
    except UNOPENED as exc:
        await require_begun(services, call, client, row, event=event)
        await record_tampering(services, call, client, f"upload {row.id}", exc)


async def require_begun(services: Services, call: Call, client: Client, row: UploadRow, *, event: EventName) -> None:
    """Refuse, as if it were absent, what did not open, where the log does not say that `client` began it.

    Raises as `own_upload`.
    """
    if not await has_begun(services, client, row):
        await _absent(services, call, client, None, row.id, event=event)


async def has_begun(services: Services, client: Client, row: UploadRow) -> bool:
    """Return whether the log says that `client` began an upload that does not open; what is not so is on the record.

    Whose it is, its row alone cannot say any more: it may have been moved to who asks (ADR 0054).
    """
    async for entry in told_until_now(services, EventName.UPLOAD_BEGUN, subject=row.id):
        if entry["actor"].get("id") == client.id:
            return True
    failed = service_draft(services, EventName.KEY_OPENED, Outcome.FAILED)
    # In the service's own name: its member's auditor is told no more than the client.
    await services.store.append(replace(failed, detail={"place": f"upload {row.id}", "client": client.id}))
    return False


async def opened_declaration(services: Services, row: UploadRow) -> Header:
    """Return what was declared of an upload; raises one of `UNOPENED` where the row does not say it."""
    (sealed,) = await services.custodian.open_headers([(row, upload_context(row.id, row.client))])
    declared = header_from_json(json.loads(sealed))
    if (declared.id, declared.originator, declared.agreement) != (row.id, row.originator, row.agreement):
        raise OpeningError("the row of an upload does not say what was declared")
    return declared


def require_part(declared: Header, number: int) -> PartHeader:
    """Return what was declared of a part; NotFoundError where there is none of this number."""
    for part in declared.parts:
        if part.number == number:
            return part
    raise NotFoundError("no such part was declared")
