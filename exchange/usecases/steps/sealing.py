"""Sealing a report for the store: its header, and a fresh key for each part, each bound to its place and label."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from functools import cache

import orjson

from exchange.crypto import (
    DATA_KEY_BYTES,
    PART_SUITE,
    PartEncryptor,
    Suite,
    encrypt_part,
    header_context,
    part_context,
    require_suite,
)
from exchange.custody import Wrapped
from exchange.kernel import first_moment
from exchange.markings import Label, render_marking
from exchange.release import ClassFacts, Consent, PostedUnder, class_digest, class_facts
from exchange.reports import Header, PartHeader, PostedReport, ReportStatus, header_as_json, whole_contents
from exchange.store import NewPart, NewReport, PartRow, ReportRow, Sealed
from exchange.usecases.steps.context import Services

STATUS_AT_END = {status.value: f',"status":"{status.value}"}}'.encode() for status in ReportStatus}
"""What takes the place of the last brace of a sealed header, by the status's name."""


Content = bytes | AsyncIterator[bytes]
"""What a part holds, in the clear: whole, or in pieces where it is too large to be in memory."""


async def seal_report(services: Services, header: Header, posted: PostedReport, header_json: bytes) -> NewReport:
    """Return the report as the store keeps it: nothing in it but what decisions need is readable.

    `header_json` is the header's `stored_json`. It is of the agreement's edition as last loaded, and of the crises
    that are open as the report is posted: were there others by now, the policy would have moved.
    """
    parts = whole_contents(posted)
    under = services.knowledge.posted_under(header.agreement, header.scope, header.posted_at)
    return await reseal_report(services, header, parts, under=under, header_json=header_json)


async def reseal_report(
    services: Services,
    header: Header,
    contents: Sequence[Content],
    *,
    under: PostedUnder,
    header_json: bytes | None = None,
) -> NewReport:
    """Return a report, or its next version, sealed with fresh keys: `contents` are its parts in the clear, in order.

    `under` is what stood when it was first posted.
    """
    facts = class_facts(header, under=under)
    plain = stored_json(services, header) if header_json is None else header_json
    report = await _with_header(services, header, facts, plain)
    parts = [
        await _seal_part(services, header, facts, part, content)
        for part, content in zip(header.parts, contents, strict=True)
    ]
    return replace(report, parts=tuple(parts))


async def reseal_header(
    services: Services, header: Header, consents: Iterable[Consent], *, under: PostedUnder
) -> NewReport:
    """Return a report whose header is sealed for the class that holds these consents; its parts stay as they are.

    `under` is what stood when it was first posted.
    """
    facts = class_facts(header, consents, under=under)
    return await _with_header(services, header, facts, stored_json(services, header))


async def _with_header(services: Services, header: Header, facts: ClassFacts, plain: bytes) -> NewReport:
    """Return a report without its parts, its header sealed for the class of these facts."""
    digest = class_digest(facts)
    context = header_context(header.id, header.version, digest)
    sealed = await services.custodian.seal_header(header.agreement, plain, context)
    return NewReport(
        id=header.id,
        version=header.version,
        facts=facts,
        digest=digest,
        precedence=header.precedence,
        posted_at=header.posted_at,
        valid_until=header.valid_until,
        supersedes=header.supersedes,
        header=as_stored(sealed),
        parts=(),
        declassify_on=None if header.declassify_on is None else first_moment(header.declassify_on),
    )


def stored_json(services: Services, header: Header) -> bytes:
    """Return the whole header as it is sealed: the contract's JSON without `status`, which changes."""
    return orjson.dumps(_as_json(services, header, None))


def with_status(header_json: bytes, status: ReportStatus) -> bytes:
    """Return a header as answers show it whole: the sealed bytes, with the one field that changes at the end."""
    return header_json[:-1] + STATUS_AT_END[status.value]


def shown_json(services: Services, header: Header, status: ReportStatus) -> bytes:
    """Return `header` as answers show it: the sealed bytes, with the status at the end."""
    return orjson.dumps(_as_json(services, header, status))


def _as_json(services: Services, header: Header, status: ReportStatus | None) -> dict[str, object]:
    @cache
    def marking(label: Label) -> str:
        return render_marking(label, services.law.catalogue, originator=header.originator)

    return header_as_json(header, status=status, marking=marking)


async def new_part_key(services: Services, header: Header, part: PartHeader) -> tuple[bytes, bytes, Sealed]:
    """Return a new key for a part, the context that binds it to its label and place, and the key as it is wrapped."""
    context = part_context(part.label.as_json(), header.id, part.number, header.version)
    key = services.randomness(DATA_KEY_BYTES)
    return key, context, as_stored(await services.custodian.wrap(header.agreement, key, context))


async def part_key(services: Services, report: ReportRow, label: Label, part: PartRow) -> tuple[bytes, bytes]:
    """Return the key of a part that stands under `label`, and its context, to whoever may open it (`opening`).

    Raises as custody, where key, label and place do not belong together, and CryptoError for another suite.
    """
    context = part_context(label.as_json(), report.id, part.number, report.version)
    wrapped = Wrapped(part.key_id, part.key_version, part.wrap_suite, part.wrapped_key)
    key = await services.custodian.unwrap(wrapped, context)
    require_suite(part.suite, Suite.PART)
    return key, context


async def _seal_part(
    services: Services, header: Header, facts: ClassFacts, part: PartHeader, content: Content
) -> NewPart:
    key, context, wrapped = await new_part_key(services, header, part)
    ciphertext, location = b"", None
    if isinstance(content, bytes):
        ciphertext = encrypt_part(key, context, content)
    else:
        location = await services.store.large_parts.receive(_sealed_pieces(PartEncryptor(key, context), content))
    index = facts.part_labels.index(part.label)
    return NewPart(part.number, index, part.size_bytes, wrapped, PART_SUITE, ciphertext, location)


async def _sealed_pieces(encryptor: PartEncryptor, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in content:
        if sealed := bytes(encryptor.update(piece)):
            yield sealed
    yield encryptor.finish()


def as_stored(wrapped: Wrapped) -> Sealed:
    """Return what custody sealed as the store keeps it."""
    return Sealed(wrapped.key_id, wrapped.key_version, wrapped.suite, wrapped.blob)


def as_wrapped(sealed: Sealed) -> Wrapped:
    """Return what the store keeps as custody opens it."""
    return Wrapped(sealed.key_id, sealed.key_version, sealed.suite, sealed.blob)
