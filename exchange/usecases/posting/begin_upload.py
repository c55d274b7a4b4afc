"""Begin a report whose parts come later: checked like a post, sealed, and known to nobody but who began it.

Steps: (1) the caller may contribute; (2) what is declared is within the limits; (3) it may be posted, as things stand:
asked again when it is completed; (4) the declaration, and the contents that came along, are sealed; (5) all of it
durable together, if the policy still holds and the client has not too many of them open.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import datetime

from exchange.audit import EntryDraft, EventName, Outcome, Receipt
from exchange.crypto import PART_SUITE, digest_context, encrypt_part, upload_context
from exchange.kernel import (
    ConflictError,
    ExchangeError,
    Fault,
    InvalidError,
    LimitExceededError,
    TooLargeError,
    UnavailableError,
    to_micros,
)
from exchange.members import Client, Role
from exchange.reports import Awaited, Header, PartHeader, PostedReport, is_read_whole, media_type_fault
from exchange.store import (
    CallerRow,
    Idempotency,
    NewPart,
    NewUpload,
    ReceivedPart,
    Sealed,
    UnitOfWork,
    Unread,
    UploadRow,
)
from exchange.usecases.posting.places import taking_place
from exchange.usecases.posting.postable import idempotency_of, postable
from exchange.usecases.posting.uploads import (
    UploadView,
    opened_declaration,
    own_upload,
    upload_entry,
    view_now,
    view_of,
)
from exchange.usecases.steps.authenticate import admit
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_as_of
from exchange.usecases.steps.judging import require_same_law
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.steps.sealing import as_stored, new_part_key, stored_json

_EVENT = EventName.UPLOAD_BEGUN
_COME_BACK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class _Begun:
    """What becomes durable together."""

    upload: NewUpload
    parts: list[ReceivedPart]
    key: Idempotency | None
    entry: EntryDraft


async def begin_upload(
    services: Services,
    call: Call,
    posted: PostedReport,
    *,
    idempotency_key: str | None = None,
    seen: CallerRow | None = None,
) -> Recorded[UploadView]:
    """Begin a report of the caller's member; raises as `post_report`.

    TooLargeError where more is declared than is taken, LimitExceededError where the client has too many open.
    """

    def begin(row: CallerRow) -> Awaitable[Recorded[UploadView]]:
        return _begun(services, call, posted, idempotency_key, row=row)

    return await decided_as_of(services, call, seen, begin, "the report could be begun: post again")


async def _begun(
    services: Services, call: Call, posted: PostedReport, idempotency_key: str | None, *, row: CallerRow
) -> Recorded[UploadView]:
    # (1) who
    client = await admit(services, call, row.client, Role.CONTRIBUTOR, event=_EVENT)
    require_same_law(services, row.state)
    # (2) how much
    async with on_record(services, draft(call, client, _EVENT, Outcome.REFUSED)):
        _require_limits(services, posted)
    # (3) may it be posted
    may = await postable(services, call, client, posted, row.state, event=_EVENT)
    # As it was declared: what else it will build on is looked up again when it is completed.
    header = replace(may.header, references=posted.references)
    # (4) sealed
    new = _Begun(
        await _sealed(services, client, header, call.now),
        parts=[
            await _received(services, header, part, given.content)
            for part, given in zip(header.parts, posted.parts, strict=True)
            if not isinstance(given.content, Awaited)
        ],
        key=idempotency_of(services, client, header, posted, idempotency_key, is_whole=False),
        entry=upload_entry(call, client, header, _EVENT, Outcome.PERMITTED, detail={"parts": len(header.parts)}),
    )
    # (5) durable
    taking = taking_place(services, call, client, header.supersedes)
    async with on_record(services, replace(new.entry, subject=None)), taking:
        new = await _put_away(services, new)
        try:
            kept = await _durable(services, client, new, header, policy_version=row.state.policy_version)
        except UnavailableError:
            # Nobody knows whether it is durable; where it is not, it is cleared away in time.
            raise
        except ExchangeError:
            await _discard(services, new)
            raise
    match kept:
        case str() as known:
            await _discard(services, new)
            return await _replayed(services, call, known)
        case receipt:
            received = {part.part.number: _came(header, part.part.number) for part in new.parts}
            return Recorded(view_of(services, _as_row(new.upload), header, received), receipt)


async def _durable(
    services: Services, client: Client, new: _Begun, header: Header, *, policy_version: int
) -> Receipt | str:
    """Return the receipt of an upload that is begun, or the id of one that was begun with the same key before."""
    strange = await _strange(services, client)
    async with services.store.unit_of_work() as unit:
        await unit.reports().hold_order(policy_version)
        known = None if new.key is None else await unit.uploads().known_key(new.key)
        if known is not None:
            return known
        if header.supersedes is not None:
            # Told before gigabytes come; whether it is still so, completing it asks again.
            await unit.reports().require_free_place(header.supersedes)
        return await _kept(services, unit, client, new, strange)


def _require_limits(services: Services, posted: PostedReport) -> None:
    limits = services.uploads
    sizes = [
        part.content.size_bytes if isinstance(part.content, Awaited) else len(part.content) for part in posted.parts
    ]
    if sum(sizes) > limits.most_bytes:
        raise TooLargeError(f"the parts have {sum(sizes)} bytes together: a report may have {limits.most_bytes}")
    faults = [
        Fault(f"/parts/{index}/size_bytes", "too-large-to-check", _told(limits.most_read_whole_bytes))
        for index, (part, size) in enumerate(zip(posted.parts, sizes, strict=True))
        if size > limits.most_read_whole_bytes
        and media_type_fault(part.media_type) is None
        and is_read_whole(part.media_type)
    ]
    if faults:
        raise InvalidError("the report cannot be posted so", tuple(faults))


def _told(most_bytes: int) -> str:
    return f"JSON is read whole to be checked, up to {most_bytes} bytes: split it, or declare what it is packed in"


async def _sealed(services: Services, client: Client, header: Header, now: datetime) -> NewUpload:
    context = upload_context(header.id, client.id)
    sealed = await services.custodian.seal_header(header.agreement, stored_json(services, header), context)
    return NewUpload(
        id=header.id,
        client=client.id,
        originator=header.originator,
        agreement=header.agreement,
        begun_at=now,
        due_at=now + services.uploads.given_up_after,
        declaration=as_stored(sealed),
    )


async def _received(services: Services, header: Header, part: PartHeader, content: bytes) -> ReceivedPart:
    key, context, wrapped = await new_part_key(services, header, part)
    new = NewPart(part.number, 0, part.size_bytes, wrapped, PART_SUITE, encrypt_part(key, context, content))
    return ReceivedPart(new, await seal_digest(services, header, part.number, wrapped, sha256=part.sha256))


async def seal_digest(services: Services, header: Header, number: int, key: Sealed, *, sha256: str) -> Sealed:
    """Return the digest of a received content, sealed beside the `key` of that content."""
    context = digest_context(header.id, number, key.blob)
    return as_stored(await services.custodian.seal_header(header.agreement, sha256.encode(), context))


async def _put_away(services: Services, new: _Begun) -> _Begun:
    away = await services.store.large_parts.put_parts_away([each.part for each in new.parts])
    return replace(new, parts=[replace(each, part=part) for each, part in zip(new.parts, away, strict=True)])


async def _discard(services: Services, new: _Begun) -> None:
    await services.store.large_parts.discard_parts([each.part for each in new.parts])


async def _strange(services: Services, client: Client) -> int:
    """Return how many open uploads that rows say are a client's are not, where all of them reach its limit.

    Those that somebody wrote it is not shown, nor could give up. They are tried behind no unit: nobody waits to write.
    """
    unread = Unread()
    rows = await services.store.uploads.open_of(client.id, services.clock(), unread)
    strange = len(unread.rows)
    if len(rows) + strange < services.uploads.open_per_client:
        return 0
    for row in rows:
        try:
            await opened_declaration(services, row.upload)
        except UNOPENED:
            strange += 1
    return strange


async def _require_room(services: Services, unit: UnitOfWork, client: Client, strange: int) -> None:
    most = services.uploads.open_per_client
    if await unit.uploads().open_of(client.id) - strange >= most:
        how = "`exchange report uploads`, `GET /v1/uploads`"
        told = f"{most} reports of this client are not complete: complete or give up one ({how})"
        raise LimitExceededError(told, retry_after_seconds=_COME_BACK_SECONDS)


async def _kept(services: Services, unit: UnitOfWork, client: Client, new: _Begun, strange: int) -> Receipt:
    await _require_room(services, unit, client, strange)
    receipt = await unit.record(new.entry)
    book = unit.uploads()
    await book.add(new.upload)
    for part in new.parts:
        await book.put_part(new.upload.id, part)
    if new.key is not None:
        await book.keep_key(new.key, new.upload.id)
    return receipt


async def _replayed(services: Services, call: Call, upload_id: str) -> Recorded[UploadView]:
    """Return where an upload stands that was begun with the same key before: what has come need not come again."""
    try:
        own = await own_upload(services, call, upload_id, event=_EVENT)
    except ConflictError as exc:
        # Whoever lost the last answer finds its report by this: the key and the upload are its own.
        about = f"report `{upload_id}` was begun with this Idempotency-Key"
        told = ConflictError(f"{about}: {exc.message}; another report needs another key", code=exc.code)
        told.receipt = exc.receipt
        raise told from exc
    view = await view_now(services, call, own)
    receipt = await services.store.append(own.entry(call, _EVENT, Outcome.PERMITTED, detail={"replayed": "yes"}))
    return Recorded(replace(view, is_replayed=True), receipt)


def _came(header: Header, number: int) -> Awaited:
    part = next(each for each in header.parts if each.number == number)
    return Awaited(part.size_bytes, part.sha256)


def _as_row(new: NewUpload) -> UploadRow:
    sealed = new.declaration
    return UploadRow(
        new.id,
        new.client,
        new.originator,
        new.agreement,
        to_micros(new.begun_at),
        to_micros(new.due_at),
        0,
        None,
        sealed.key_id,
        sealed.key_version,
        sealed.suite,
        sealed.blob,
    )
