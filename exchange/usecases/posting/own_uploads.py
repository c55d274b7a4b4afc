"""A client's own open uploads, for whoever lost their ids: listed, and given up before their time.

INVARIANT: nobody else's are told of, nor how many there are. What was declared is not shown again, but for its scope
and sizes: no clearance is asked of who posts (ADR 0009), so what it posted is nothing for it to read.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from exchange.audit import EventName, Outcome
from exchange.members import Role
from exchange.store import OpenUploadRow, Unread
from exchange.usecases.posting.uploads import (
    abandoned_entry,
    ended_as,
    has_begun,
    opened_declaration,
    own_upload_row,
    require_begun,
)
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, note_tampering, on_record
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.steps.unread import record_unread


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload that is open. `scope`, `parts` and `size_bytes` are None where its declaration was damaged."""

    id: str
    agreement: str
    scope: str | None
    begun_at: datetime
    due_at: datetime
    parts: int | None
    size_bytes: int | None
    parts_received: int
    received_bytes: int


async def list_uploads(services: Services, call: Call) -> Recorded[tuple[OpenUpload, ...]]:
    """Return what the caller began and has not completed, the oldest first; as many as it may have open at most.

    Raises ForbiddenError without the contributor's role.
    """
    event = EventName.UPLOAD_LISTED
    client = await authenticate(services, call, Role.CONTRIBUTOR, event=event)
    unread = Unread()
    rows = await services.store.uploads.open_of(client.id, call.now, unread)
    listed = []
    for row in rows:
        try:
            listed.append(await _opened(services, row))
        except UNOPENED:
            if not await has_begun(services, client, row.upload):
                continue
            # It can still be given up, and the others be sent.
            await note_tampering(services, call, client, f"upload {row.upload.id}")
            listed.append(_shown(row))
    # Their ids stand in the entries of their beginning, under their labels.
    open_ones = len(listed) + len(unread.rows)
    receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED, detail={"open": open_ones}))
    # They name this client: whose else they may be is not asked.
    unopened = await record_unread(services, unread, client, is_own=True)
    return Recorded(tuple(listed), receipt, unopened)


async def give_up_upload(services: Services, call: Call, upload_id: str) -> Recorded[str]:
    """Give up a report that the caller began: keys destroyed, the rest swept; return its id.

    Raises NotFoundError alike for an absent upload and another client's, ConflictError for one that has ended.
    """
    event = EventName.UPLOAD_ABANDONED
    client, _, row = await own_upload_row(services, call, upload_id, event=event)
    declared = None
    try:
        declared = await opened_declaration(services, row)
    except UNOPENED:
        await require_begun(services, call, client, row, event=event)
    entry = abandoned_entry(call, client, row, declared)
    refused = replace(entry, outcome=Outcome.REFUSED, detail={})
    async with on_record(services, refused), services.store.unit_of_work() as unit:
        book = unit.uploads()
        _, ended = await book.hold(row.id)
        if ended is not None:
            raise ended_as(ended)
        receipt = await unit.record(entry)
        await book.abandon(row.id)
    return Recorded(row.id, receipt)


async def _opened(services: Services, row: OpenUploadRow) -> OpenUpload:
    declared = await opened_declaration(services, row.upload)
    sizes = [part.size_bytes for part in declared.parts]
    return _shown(row, scope=declared.scope, parts=len(sizes), size_bytes=sum(sizes))


def _shown(
    row: OpenUploadRow, *, scope: str | None = None, parts: int | None = None, size_bytes: int | None = None
) -> OpenUpload:
    upload = row.upload
    return OpenUpload(
        upload.id,
        upload.agreement,
        scope,
        upload.begun_at,
        upload.due_at,
        parts,
        size_bytes,
        row.parts_received,
        row.received_bytes,
    )
