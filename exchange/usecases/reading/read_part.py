"""Read the bytes of one part: the same decision as a pull, for one number.

Steps: (1) the Permit, without a part; (2) which part the number means to this reader, for whom the parts it may
read are numbered from 1; (3) that part, under the same Permit; (4) open it; (5) which octets of it are asked for;
(6) the entry is durable, and says no more than leaves; (7) answer.

What is larger than `STREAMED_FROM_BYTES` is never in memory whole. It is opened to its end before anything of it is
shown, and a second time while it is: whoever is shown some of it is shown all of it, unless it is changed meanwhile,
or may not be read any more: that is asked again before a piece is shown, once a second at most.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import EntryDraft, EventName, Outcome
from exchange.crypto import OpeningError
from exchange.kernel import ExchangeError, UnavailableError
from exchange.reports import PartHeader, header_from_json
from exchange.store import Parts
from exchange.usecases.reading.pull_report import Granted, seek_permit
from exchange.usecases.reading.release_terms import has_terms
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import judged_draft, report_not_found, shown_draft, shown_label
from exchange.usecases.steps.opening import open_part_pieces, open_parts
from exchange.usecases.steps.recording import record_tampering, refuse
from exchange.usecases.steps.sealed_headers import UNOPENED

_LARGEST_NUMBER = 10_000
"""No report has more parts; a larger number in a path is answered like an absent one."""


STREAMED_FROM_BYTES: Final = 1024 * 1024

_ASKED_AGAIN: Final = timedelta(seconds=1)
"""How long a right that is lost may still be read by: as long as a client that is revoked may still send."""

_EVENT: Final = EventName.REPORT_PART_READ

Pieces = Callable[[int, int], AsyncIterator[bytes]]
"""Gives the octets from one place up to, not including, another."""

Span = tuple[int, int]
"""From one octet up to, not including, another."""


@dataclass(frozen=True, slots=True)
class WantedOctets:
    """Which octets of a part are asked for: `span` of its size, None for all; none are shown where not `is_shown`."""

    span: Callable[[int], Span | None]
    is_shown: bool = True


ALL_OCTETS: Final = WantedOctets(lambda _: None)


@dataclass(frozen=True, slots=True)
class ReadPart:
    """One part in the clear with what its header says of it; `content` is None where `pieces` give it.

    `span` is from which octet up to which one it was asked for; None means all. Where it `has_terms`, the originator
    consented to its being given, on terms that the pulled report has.
    """

    part: PartHeader
    content: bytes | None
    pieces: Pieces | None = None
    span: Span | None = None
    has_terms: bool = False


async def read_part(
    services: Services, call: Call, report_id: str, number: int, wanted: WantedOctets = ALL_OCTETS
) -> Recorded[ReadPart]:
    """Return part `number` of a report, of which the octets `wanted` are on record as read.

    Raises NotFoundError alike for an absent report, an invisible one, an absent part and a withheld one; and what
    `wanted` raises of a part that is not as long.
    """
    event = _EVENT
    asked = number if 1 <= number <= _LARGEST_NUMBER else 0
    # (1) the Permit
    granted = await seek_permit(services, call, report_id, parts=Parts.NONE, event=event)
    entry = replace(judged_draft(call, granted.client, event, granted.judged), detail={"part": asked})
    # (2) the number, as this reader counts
    part = _part_meant(granted, asked)
    if part is None:
        # A withheld part and an absent one are the same to the reader; the log knows which was asked for.
        withheld = replace(entry, outcome=Outcome.REFUSED, policies=(), detail={"part": asked, "finding": "withheld"})
        return await refuse(services, withheld, report_not_found())
    # The log holds the part's own number, whatever this reader calls it.
    entry = replace(entry, detail={"part": part.number, "asked": asked})
    # (3) under the same Permit, or not at all
    asked_at = services.clock()
    again = await seek_permit(services, call, report_id, parts=part.number, event=event)
    if not again.is_same_as(granted):
        moved = UnavailableError("the policy or the report changed while the part was read: ask again")
        return await refuse(services, replace(entry, outcome=Outcome.FAILED), moved)
    # (4) only this part
    is_streamed = part.size_bytes > STREAMED_FROM_BYTES
    content = None if is_streamed else await _open(services, call, again, part)
    size = await _opened_size(services, call, again, part) if content is None else len(content)
    # (5) which of it
    try:
        span = wanted.span(size)
    except ExchangeError as exc:
        none = replace(entry, outcome=Outcome.REFUSED, policies=(), detail={**entry.detail, "codes": [exc.code]})
        return await refuse(services, none, exc)
    # (6) INVARIANT: no plaintext leaves before its entry is durable.
    read = shown_draft(call, granted.client, event, granted.judged)
    entry = replace(read, detail={**read.detail, **entry.detail})
    told = _as_read(entry, size, span) if wanted.is_shown else replace(entry, event=EventName.REPORT_DESCRIBED)
    receipt = await services.store.append(told)
    if wanted.is_shown:
        services.register.note(services.law, again.judged.report.id, shown_label(again.judged), entry)
    # (7) the answer
    shown = replace(part, number=asked, size_bytes=size)
    pieces = _pieces(services, call, again, part, asked_at) if is_streamed else None
    return Recorded(ReadPart(shown, content, pieces, span, has_terms(again.judged, part.label)), receipt)


def _as_read(entry: EntryDraft, size: int, span: Span | None) -> EntryDraft:
    if span is None:
        return replace(entry, size_bytes=size)
    start, stop = span
    return replace(entry, size_bytes=stop - start, detail={**entry.detail, "octets": f"{start}-{stop - 1}/{size}"})


def _part_meant(granted: Granted, asked: int) -> PartHeader | None:
    header = header_from_json(json.loads(granted.judged.header_json))
    visible = [part for part in header.parts if part.label in granted.permit.labels]
    return visible[asked - 1] if 1 <= asked <= len(visible) else None


async def _open(services: Services, call: Call, granted: Granted, part: PartHeader) -> bytes:
    judged = granted.judged
    report, kept = judged.report, judged.release_class
    try:
        opened = dict(await open_parts(services, report, kept, granted.row.parts, permit=granted.permit))
        if part.number not in opened:
            raise OpeningError("a part of the report is missing")
        _require_told(part, hashlib.sha256(opened[part.number]))
    except UNOPENED as exc:
        return await record_tampering(services, call, granted.client, f"report {report.id}", exc)
    return opened[part.number]


async def _opened_size(services: Services, call: Call, granted: Granted, part: PartHeader) -> int:
    """Return how many octets the part has, once it is known to open to its end, to what its header tells of."""
    size, digest = 0, hashlib.sha256()
    async for piece in _opened_pieces(services, call, granted, part.number):
        size += len(piece)
        digest.update(piece)
    try:
        _require_told(part, digest)
    except OpeningError as exc:
        return await record_tampering(services, call, granted.client, f"report {granted.judged.report.id}", exc)
    return size


def _require_told(part: PartHeader, digest: "hashlib._Hash") -> None:
    # A part may have been sent more than once before its report was complete, each time sealed for the same place.
    if digest.hexdigest() != part.sha256:
        raise OpeningError("a part is not the one that its header tells of")


def _pieces(services: Services, call: Call, granted: Granted, part: PartHeader, asked_at: datetime) -> Pieces:
    """Return what gives the octets of a part that was known to be permitted at `asked_at`.

    To open it to its end may have taken long since: the first piece is asked about too.
    """

    async def between(start: int, stop: int) -> AsyncIterator[bytes]:
        position, known_at = 0, asked_at
        async for piece in _opened_pieces(services, call, granted, part.number):
            wanted = piece[max(start - position, 0) : max(stop - position, 0)]
            position += len(piece)
            if wanted:
                known_at = await _require_still(services, call, granted, part, known_at)
                yield wanted
            if position >= stop:
                return

    return between


async def _require_still(
    services: Services, call: Call, granted: Granted, part: PartHeader, asked_at: datetime
) -> datetime:
    """Return when it was last known that the part may be read; raise, and record, where it may not any more.

    A reader that takes a large part slowly takes hours for it: what was permitted when it began is not enough.
    """
    now = services.clock()
    if now - asked_at < _ASKED_AGAIN:
        return asked_at
    call = replace(call, now=now)
    again = await seek_permit(services, call, granted.judged.report.id, parts=Parts.NONE, event=_EVENT)
    # A consent that somebody else was given makes another class of it, and takes nothing from this reader.
    if again.judged.report.version != granted.judged.report.version or part.label not in again.permit.labels:
        moved = UnavailableError("the policy or the report changed while the part was read: ask again")
        failed = replace(judged_draft(call, again.client, _EVENT, again.judged), outcome=Outcome.FAILED)
        await refuse(services, failed, moved)
    return now


async def _opened_pieces(services: Services, call: Call, granted: Granted, number: int) -> AsyncIterator[bytes]:
    judged = granted.judged
    report, kept = judged.report, judged.release_class
    try:
        part = next((row for row in granted.row.parts if row.number == number), None)
        if part is None:
            raise OpeningError("a part of the report is missing")
        async for piece in open_part_pieces(services, report, kept, part, permit=granted.permit):
            yield piece
    except UNOPENED as exc:
        await record_tampering(services, call, granted.client, f"report {report.id}", exc)
