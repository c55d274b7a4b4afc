"""Opening what custody sealed, whatever it is, and sealing it again under the newest version for the same place."""

import json
from typing import assert_never

from exchange.crypto import (
    CryptoError,
    OpeningError,
    digest_context,
    header_context,
    part_context,
    personal_context,
    request_context,
    upload_context,
    webhook_context,
)
from exchange.custody import Custodian, KeyMissingError
from exchange.kernel import MalformedError
from exchange.release import class_digest, class_from_json
from exchange.reports import header_from_json
from exchange.store import KeptKind, KeptRow, Sealed, SealedDeclaration
from exchange.usecases.steps.sealing import as_stored, as_wrapped

UNRENEWED = (CryptoError, KeyMissingError, MalformedError, ValueError)
"""What is raised where what is sealed in a row, its key and its place do not belong together."""


async def renewed_seals(custodian: Custodian, row: KeptRow) -> tuple[Sealed, ...]:
    """Return what is sealed in `row`, in order, under the newest version; raises one of `UNRENEWED`.

    INVARIANT: it is bound to what the row's readers bind it to; what they would not open is not made openable.
    """
    old, place = row.seals[0], str(row.place[0])
    match row.kind:
        case KeptKind.REPORT_HEADER:
            return (await _header(custodian, old, header_context(place, *row.bound)),)
        case KeptKind.REPORT_PART:
            return (await _key(custodian, old, _context_of_part(row)),)
        case KeptKind.UPLOAD:
            return (await _header(custodian, old, upload_context(place, row.bound[0])),)
        case KeptKind.UPLOAD_PART:
            return await _received(custodian, row)
        case KeptKind.REQUEST:
            digest = class_digest(class_from_json(json.loads(row.bound[0])))
            return (await _header(custodian, old, request_context(place, digest)),)
        case KeptKind.SUBSCRIPTION:
            return (await _key(custodian, old, webhook_context(place, *row.bound)),)
        case KeptKind.PERSONAL_KEY:
            return (await _key(custodian, old, personal_context(place, *row.bound)),)
        case other:
            assert_never(other)


async def _received(custodian: Custodian, row: KeptRow) -> tuple[Sealed, ...]:
    """Return key and digest of a received part: the digest is bound to the wrapped key, so both are new."""
    upload, number = str(row.place[0]), int(row.place[1])
    old_key, old_digest = row.seals
    declared = SealedDeclaration(*row.bound)
    (plain,) = await custodian.open_headers([(declared, upload_context(upload, declared.client))])
    header = header_from_json(json.loads(plain))
    labels = [part.label for part in header.parts if part.number == number]
    if not labels:
        raise OpeningError("a part has come that was not declared")
    context = part_context(labels[0].as_json(), upload, number, header.version)
    key = await _key(custodian, old_key, context)
    digest = await opened_header(custodian, old_digest, digest_context(upload, number, old_key.blob))
    return key, as_stored(
        await custodian.seal_header(_name(old_digest), digest, digest_context(upload, number, key.blob))
    )


def _context_of_part(row: KeptRow) -> bytes:
    version, facts, index = row.bound
    labels = class_from_json(json.loads(facts)).part_labels
    if not 0 <= index < len(labels):
        raise OpeningError("a part has a label that its class does not know")
    return part_context(labels[index].as_json(), str(row.place[0]), int(row.place[1]), version)


async def _key(custodian: Custodian, old: Sealed, context: bytes) -> Sealed:
    key = await custodian.unwrap(as_wrapped(old), context)
    return as_stored(await custodian.wrap(_name(old), key, context))


async def _header(custodian: Custodian, old: Sealed, context: bytes) -> Sealed:
    plain = await opened_header(custodian, old, context)
    return as_stored(await custodian.seal_header(_name(old), plain, context))


async def opened_header(custodian: Custodian, sealed: Sealed, context: bytes) -> bytes:
    """Return in the clear what was sealed as a header; raises as custody does."""
    row = SealedDeclaration("", sealed.key_id, sealed.key_version, sealed.suite, sealed.blob)
    (plain,) = await custodian.open_headers([(row, context)])
    return plain


def _name(old: Sealed) -> str:
    # It opened under this key: the name behind the custodian's own is the one it was sealed under.
    return old.key_id.partition("/")[2]
