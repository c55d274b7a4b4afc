"""Pull one report: its header and the parts this client may read, in one transaction with its entry.

Steps: (1) one query loads caller, policy state, report and its first parts, if small; (2) the caller may act;
(3) decide; (4) open what the Permit names, with large or many parts loaded only now; (5) the entry is durable;
(6) only then the answer exists.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn, assert_never

from exchange.audit import EventName, Outcome
from exchange.crypto import OpeningError
from exchange.kernel import UnavailableError
from exchange.members import Client, Role
from exchange.release import Permit, Refusal
from exchange.store import Parts, PullRow
from exchange.usecases.reading.release_terms import ReleaseTerms, terms_of_release
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import Judged, judged_draft, report_not_found, shown_draft, shown_label
from exchange.usecases.steps.opening import is_whole, open_parts, show_headers
from exchange.usecases.steps.recording import record_tampering, refuse
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.steps.seeking import seek_report

LARGEST_INLINE_BYTES: Final = 1024 * 1024
"""More content than this, all parts together, is read part by part: a JSON string cannot be streamed."""

_PART_MARK = b'"sha256":"'
"""Stands once per part in a header; within a text the quotation marks would be escaped."""


@dataclass(frozen=True, slots=True)
class PulledReport:
    """The header as JSON bytes and the parts in the clear, by the numbers that the header shows.

    No parts are here where they are more than `LARGEST_INLINE_BYTES` together: nothing of them was opened.
    `released_under` are the terms of the originator's consents to its being given to the reader's member.
    """

    header_json: bytes
    parts: tuple[tuple[int, bytes], ...]
    released_under: tuple[ReleaseTerms, ...] = ()


@dataclass(frozen=True, slots=True)
class Granted:
    """A Permit, for whom, and the rows it was decided on."""

    client: Client
    row: PullRow
    judged: Judged
    permit: Permit

    def is_same_as(self, other: "Granted") -> bool:
        """Return whether both permit the same of the same version: what came between changed nothing of it."""
        report, before = self.judged.report, other.judged.report
        return self.permit == other.permit and (report.version, report.class_id) == (before.version, before.class_id)


async def pull_report(
    services: Services, call: Call, report_id: str, *, is_shown: bool = True
) -> Recorded[PulledReport]:
    """Return the report as this client may see it; where it is not shown, the record says that it was described alone.

    Raises NotFoundError for an absent or invisible report (the same in every respect), ForbiddenError where
    the caller lacks the reader's role, UnavailableError where log, store or custody cannot answer.
    """
    # (1) to (3): loaded, admitted, decided
    granted = await seek_permit(services, call, report_id, parts=Parts.FIRST, event=EventName.REPORT_READ)
    judged, permit = granted.judged, granted.permit
    # (4) only what the Permit names
    parts = await _opened(services, call, granted)
    kept = judged.release_class
    whole = {kept.id} if is_whole(kept, permit) else set()
    try:
        (header_json,) = await show_headers(
            services, [judged.header_json], [(judged.report, kept, permit)], call, granted.client, whole=whole
        )
    except UNOPENED as exc:
        await record_tampering(services, call, granted.client, f"report {judged.report.id}", exc)
    is_small = True
    if header_json.count(_PART_MARK) != len(parts):
        is_small = _size_bytes(header_json) <= LARGEST_INLINE_BYTES
        parts = await _opened(services, call, await _with_all_parts(services, call, granted)) if is_small else []
    if is_small and (header_json.count(_PART_MARK) != len(parts) or not _are_told(header_json, parts)):
        others = OpeningError("parts of the report are missing, or not those that its header tells of")
        await record_tampering(services, call, granted.client, f"report {judged.report.id}", others)
    terms = await terms_of_release(services, call, granted.client, judged, permit)
    if terms is None:
        return await _refuse_moved(services, call, granted)
    # (5) INVARIANT: no plaintext leaves before its entry is durable.
    if is_shown:
        size_bytes = sum(len(content) for _, content in parts)
        entry = shown_draft(call, granted.client, EventName.REPORT_READ, judged, size_bytes=size_bytes)
    else:
        entry = shown_draft(call, granted.client, EventName.REPORT_DESCRIBED, judged)
    receipt = await services.store.append(entry)
    if is_shown:
        services.register.note(services.law, judged.report.id, shown_label(judged), entry)
    # (6) the answer
    shown = tuple(enumerate((content for _, content in parts), start=1))
    return Recorded(PulledReport(header_json, shown, terms), receipt)


def _are_told(header_json: bytes, parts: Sequence[tuple[int, bytes]]) -> bool:
    # A part may have been sent more than once before its report was complete, each time sealed for the same place.
    return all(_PART_MARK + hashlib.sha256(content).hexdigest().encode() in header_json for _, content in parts)


def _size_bytes(header_json: bytes) -> int:
    return sum(part["size_bytes"] for part in json.loads(header_json)["parts"])


async def _opened(services: Services, call: Call, granted: Granted) -> list[tuple[int, bytes]]:
    report, kept = granted.judged.report, granted.judged.release_class
    try:
        return await open_parts(services, report, kept, granted.row.parts, permit=granted.permit)
    except UNOPENED as exc:
        await record_tampering(services, call, granted.client, f"report {report.id}", exc)


async def _with_all_parts(services: Services, call: Call, granted: Granted) -> Granted:
    """Return the same Permit with every part: what a caller may not have is never loaded, whatever its size."""
    event, report_id = EventName.REPORT_READ, granted.judged.report.id
    again = await seek_permit(services, call, report_id, parts=Parts.ALL, event=event)
    return again if again.is_same_as(granted) else await _refuse_moved(services, call, again)


async def _refuse_moved(services: Services, call: Call, granted: Granted) -> NoReturn:
    moved = UnavailableError("the policy or the report changed while the report was read: ask again")
    attempt = judged_draft(call, granted.client, EventName.REPORT_READ, granted.judged)
    await refuse(services, replace(attempt, outcome=Outcome.FAILED), moved)


async def seek_permit(
    services: Services, call: Call, report_id: str, *, parts: Parts | int, event: EventName
) -> Granted:
    """Return the Permit for one report, with the rows it rests on.

    Anything but a Permit is recorded under `event` and raised as the one NotFoundError.
    """
    sought = await seek_report(services, call, report_id, Role.READER, event=event, parts=parts)
    match sought.judged.decision:
        case Permit() as permit:
            return Granted(sought.client, sought.row, sought.judged, permit)
        case Refusal():
            attempt = judged_draft(call, sought.client, event, sought.judged)
            return await refuse(services, attempt, report_not_found())
        case other:
            assert_never(other)
