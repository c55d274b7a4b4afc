"""Opening what a Permit names: the sealed header and the parts, and only those.

Every function takes the Permit. A ciphertext that does not open under the label, place and key that the
rows claim is never served: whoever asked for it records that, and goes on without it or ends as unavailable.
"""

import json
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from exchange.crypto import OpeningError, PartDecryptor, decrypt_part, header_context
from exchange.markings import Label
from exchange.members import Client
from exchange.release import Permit, View
from exchange.reports import Header, header_from_json, status_of, tear_line, visible_header
from exchange.store import ClassRow, PartRow, ReportRow
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.sealed_headers import require_end_as_sealed, sealed_header_json
from exchange.usecases.steps.sealing import STATUS_AT_END, part_key, shown_json, with_status
from exchange.usecases.steps.seeking import judge_linked

PermittedRow = tuple[ReportRow, ClassRow, Permit]
"""A report, its class, and what of it may be shown."""

_NO_LINKS = b'"supersedes":null,"references":[],'
"""Stands in a header that links to nothing. Inside a string the quotation marks would be escaped: these bytes can only
be the fields themselves, side by side as they are sealed."""

_ENDLESS = b'"valid_until":null,"declassify_on":null,' + _NO_LINKS
"""Stands in a header that neither ends nor links to anything: one look tells both."""


async def open_headers(
    services: Services, rows: Sequence[PermittedRow], call: Call, client: Client, *, whole: AbstractSet[int]
) -> list[bytes]:
    """Return, in order, the header of each report as JSON bytes, in the view its Permit gives.

    `whole` are the ids of the classes of which `is_whole` holds for the Permits given. Raises one of `UNOPENED`,
    unrecorded, where one of them does not open where it stands.
    """
    sealed = [(row, header_context(row.id, row.version, kept.digest)) for row, kept, _ in rows]
    opened = await services.custodian.open_headers(sealed)
    return await show_headers(services, opened, rows, call, client, whole=whole)


async def show_headers(  # noqa: PLR0913  what was opened, and for whom
    services: Services,
    opened: Sequence[bytes],
    rows: Sequence[PermittedRow],
    call: Call,
    client: Client,
    *,
    whole: AbstractSet[int],
) -> list[bytes]:
    """Return what `open_headers` does, of headers that are opened already; raises OpeningError for an altered end."""
    shown = []
    for header_json, (row, kept, permit) in zip(opened, rows, strict=True):
        if row.valid_until_micros is None and kept.id in whole and _ENDLESS in header_json:
            # Where nothing ends, the status is the stored one. Nothing is parsed: a list comes here hundreds of times.
            shown.append(header_json[:-1] + STATUS_AT_END[row.status_name])
            continue
        require_end_as_sealed(row, header_json)
        if kept.id not in whole or _NO_LINKS not in header_json:
            shown.append(await _shown_header(services, call, client, header_json, opened=(row, kept, permit)))
        else:
            shown.append(with_status(header_json, status_of(row.status_name, row.valid_until, call.now)))
    return shown


async def open_parts(
    services: Services, report: ReportRow, kept: ClassRow, parts: Sequence[PartRow], *, permit: Permit
) -> list[tuple[int, bytes]]:
    """Return number and plaintext of each of `parts` that `permit` names; the others are never unwrapped.

    Raises one of `UNOPENED` where a ciphertext, its key, its label and its place do not belong together.
    """
    opened = []
    for part in parts:
        unwrapped = await _unwrapped(services, report, kept, part, permit=permit)
        if unwrapped is None:
            continue
        ciphertext = await services.store.large_parts.ciphertext(part)
        opened.append((part.number, decrypt_part(*unwrapped, ciphertext)))
    return opened


async def open_part_pieces(
    services: Services, report: ReportRow, kept: ClassRow, part: PartRow, *, permit: Permit
) -> AsyncIterator[bytes]:
    """Yield the plaintext of a part that `permit` names, in order and piece by piece; of another one nothing.

    Raises as `open_parts`, perhaps after some of it: each piece is what was sealed at its place, and whether the end is
    missing is known at the end.
    """
    unwrapped = await _unwrapped(services, report, kept, part, permit=permit)
    if unwrapped is None:
        return
    async for piece in decrypted_pieces(*unwrapped, services.store.large_parts.ciphertext_pieces(part)):
        yield piece


async def decrypted_pieces(key: bytes, context: bytes, ciphertext: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what `ciphertext` opens to; OpeningError at the first octet that does not belong."""
    decryptor = PartDecryptor(key, context)
    async for sealed in ciphertext:
        if piece := decryptor.update(sealed):
            yield piece
    if piece := decryptor.finish():
        yield piece


async def _unwrapped(
    services: Services, report: ReportRow, kept: ClassRow, part: PartRow, *, permit: Permit
) -> tuple[bytes, bytes] | None:
    """Return the key and context of a part; None where `permit` does not name it."""
    label = _part_label(kept, part)
    # INVARIANT: no key of a part outside the Permit is ever unwrapped.
    if label not in permit.labels:
        return None
    return await part_key(services, report, label, part)


async def open_sealed_header(services: Services, report: ReportRow, kept: ClassRow) -> Header:
    """Return the whole header of a report, for use cases that show less than it.

    Raises one of `UNOPENED` where the sealed header, its key and its class do not belong together.
    """
    header_json = await sealed_header_json(services, report, kept)
    return header_from_json(json.loads(header_json))


def is_whole(kept: ClassRow, permit: Permit) -> bool:
    """Return whether `permit` shows the full header with every part."""
    return permit.view is View.FULL and permit.labels.issuperset(kept.facts.part_labels)


def _part_label(kept: ClassRow, part: PartRow) -> Label:
    message = "a part has a label that its class does not know"
    try:
        if 0 <= part.label_index < len(kept.facts.part_labels):
            return kept.facts.part_labels[part.label_index]
    except TypeError as exc:
        raise OpeningError(message) from exc
    raise OpeningError(message)


async def _shown_header(
    services: Services, call: Call, client: Client, header_json: bytes, *, opened: PermittedRow
) -> bytes:
    row, _, permit = opened
    status = status_of(row.status_name, row.valid_until, call.now)
    header = shown_part_of(services, header_from_json(json.loads(header_json)), permit)
    return shown_json(services, await _with_visible_links(services, call, client, header), status)


async def _with_visible_links(services: Services, call: Call, client: Client, header: Header) -> Header:
    """Return `header` without the ids of reports that `client` may not see: for it they do not exist."""
    linked = {*header.references, *(() if header.supersedes is None else (header.supersedes,))}
    judged = {report_id: await judge_linked(services, call, client, report_id) for report_id in sorted(linked)}
    visible = {report_id for report_id, each in judged.items() if each is not None and each.is_full_view}
    return replace(
        header,
        supersedes=header.supersedes if header.supersedes in visible else None,
        references=tuple(report_id for report_id in header.references if report_id in visible),
    )


def shown_part_of(services: Services, header: Header, permit: Permit) -> Header:
    """Return what `permit` shows of `header`: itself with fewer parts, or its tear-line."""

    def join(labels: Sequence[Label]) -> Label:
        return services.law.catalogue.join(labels, originator=header.originator)

    if permit.view is View.FULL:
        return visible_header(header, permit.labels)
    return tear_line(header, permit.labels, join=join)
