"""Opening what a Permit names: the sealed header and the parts, and only those.

Every function takes the Permit. A ciphertext that does not open under the label, place and key that the
rows claim is never served: the failure is recorded and the call ends as unavailable.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from exchange.audit import EventName, Outcome
from exchange.crypto import OpeningError, decrypt_header, decrypt_part, header_context, part_context
from exchange.custody import Wrapped
from exchange.kernel import UnavailableError
from exchange.markings import Label
from exchange.members import Client
from exchange.release import Permit, View
from exchange.reports import Header, header_from_json, status_of, tear_line, visible_header
from exchange.store import ClassRow, PartRow, ReportRow
from exchange.usecases.context import Call, Services
from exchange.usecases.recording import draft
from exchange.usecases.sealing import shown_json


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """One part in the clear, on its way to a client that a Permit names."""

    number: int
    media_type: str
    name: str
    sha256: str
    content: bytes


async def open_headers(
    services: Services, rows: Sequence[tuple[ReportRow, ClassRow, Permit]], call: Call, client: Client
) -> list[bytes]:
    """Return, in order, the header of each report as JSON bytes, in the view its Permit gives."""
    contexts = [header_context(row.id, row.version, kept.digest) for row, kept, _ in rows]
    wrapped = [(wrapped_header_key(row), context) for (row, _, _), context in zip(rows, contexts, strict=True)]
    try:
        keys = await services.custodian.unwrap_many(wrapped)
        sealed = [
            decrypt_header(key, context, row.sealed_header)
            for key, context, (row, _, _) in zip(keys, contexts, rows, strict=True)
        ]
    except OpeningError as exc:
        await record_tampering(services, call, client, "header", exc)
    return [
        _shown_header(services, header_json, row=row, kept=kept, permit=permit, call=call)
        for header_json, (row, kept, permit) in zip(sealed, rows, strict=True)
    ]


async def open_parts(
    services: Services, report: ReportRow, kept: ClassRow, parts: Sequence[PartRow], *, permit: Permit
) -> list[tuple[int, bytes]]:
    """Return number and plaintext of each of `parts` that `permit` names; the others are never unwrapped.

    Raises OpeningError where a ciphertext, its key, its label and its place do not belong together.
    """
    opened = []
    for part in parts:
        label = kept.facts.part_labels[part.label_index]
        # INVARIANT: no key of a part outside the Permit is ever unwrapped.
        if label not in permit.labels:
            continue
        context = part_context(label.as_json(), report.id, part.number, report.version)
        key = await services.custodian.unwrap(wrapped_part_key(part), context)
        opened.append((part.number, decrypt_part(key, context, part.ciphertext)))
    return opened


async def open_sealed_header(services: Services, report: ReportRow, kept: ClassRow) -> Header:
    """Return the whole header of a report, for use cases that show less than it.

    Raises OpeningError where the sealed header, its key and its class do not belong together.
    """
    context = header_context(report.id, report.version, kept.digest)
    key = await services.custodian.unwrap(wrapped_header_key(report), context)
    return header_from_json(json.loads(decrypt_header(key, context, report.sealed_header)))


def is_whole(kept: ClassRow, permit: Permit) -> bool:
    """Return whether `permit` shows the full header with every part."""
    return permit.view is View.FULL and permit.labels.issuperset(kept.facts.part_labels)


def wrapped_header_key(report: ReportRow) -> Wrapped:
    """Return the report's wrapped data key, as custody takes it."""
    return Wrapped(report.key_id, report.key_version, report.wrap_suite, report.wrapped_key)


def wrapped_part_key(part: PartRow) -> Wrapped:
    """Return a part's wrapped data key, as custody takes it."""
    return Wrapped(part.key_id, part.key_version, part.wrap_suite, part.wrapped_key)


def _shown_header(
    services: Services, header_json: bytes, *, row: ReportRow, kept: ClassRow, permit: Permit, call: Call
) -> bytes:
    status = status_of(row.status, row.valid_until, call.now)
    if is_whole(kept, permit):
        # The sealed bytes are the answer: splice the one field that changes, parse nothing.
        return header_json[:-1] + b',"status":"' + status.value.encode() + b'"}'
    header = header_from_json(json.loads(header_json))
    return shown_json(services, shown_part_of(services, header, permit), status)


def shown_part_of(services: Services, header: Header, permit: Permit) -> Header:
    """Return what `permit` shows of `header`: itself with fewer parts, or its tear-line."""

    def join(labels: Sequence[Label]) -> Label:
        return services.law.catalogue.join(labels, originator=header.originator)

    if permit.view is View.FULL:
        return visible_header(header, permit.labels)
    return tear_line(header, permit.labels, join=join)


async def record_tampering(services: Services, call: Call, client: Client, place: str, cause: OpeningError) -> NoReturn:
    """Record that stored ciphertext did not open in its place, and raise: nothing of it was released."""
    failure = draft(call, client, EventName.KEY_OPENED, Outcome.FAILED, detail={"place": place})
    error = UnavailableError("stored ciphertext does not match its label or place: nothing was released")
    error.entry = await services.store.append(failure)
    raise error from cause
