"""What a ciphertext is bound to: change the label, the report, the number or the version, and it does not open."""

import hashlib
from collections.abc import Mapping
from typing import Final

from exchange.crypto.errors import CryptoError, OpeningError
from exchange.kernel import Canonical, CanonicalError, canonical_bytes

CONTEXT_BYTES: Final = 32


def part_context(label_json: Mapping[str, str | list[str]], report_id: str, part_number: int, version: int) -> bytes:
    """Return the 32-byte context of a part's body and of its data key.

    `label_json` is the part's effective label in the JSON form of the contract. Raises OpeningError for a number that
    no part can have: SQLite keeps anything in its place, if somebody puts it there.
    """
    place: Canonical = {"is": "part", "label": label_json, "part": part_number, "report": report_id, "version": version}
    try:
        return hashlib.sha256(canonical_bytes(place)).digest()
    except CanonicalError as exc:
        raise OpeningError("the place of a part is none that one was ever sealed for") from exc


def header_context(report_id: str, version: int, class_digest: str) -> bytes:
    """Return what a report's sealed header is bound to.

    `class_digest` is the hex digest of the release class: it binds label, agreement, scope and originator.
    Not hashed, because a list opens hundreds of headers and the cipher takes any length. Raises OpeningError for a
    version that is no number: SQLite keeps anything in its place, if somebody puts it there.
    """
    # INVARIANT: no two places share bytes: neither a hex digest nor a number holds a slash, and the id is the rest.
    try:
        return f"exchange header/{class_digest}/{version:d}/{report_id}".encode()
    except (ValueError, TypeError) as exc:
        raise OpeningError("the version of a report is no number") from exc


def request_context(request_id: str, class_digest: str) -> bytes:
    """Return what a sealed request for information is bound to; `class_digest` as for a header."""
    # No header's context: the second word differs.
    return f"exchange request/{class_digest}/{request_id}".encode()


def upload_context(upload_id: str, client_id: str) -> bytes:
    """Return what the sealed declaration of an upload is bound to: which report it will be, and who makes it."""
    # No header's context: the second word differs.
    return f"exchange upload/{client_id}/{upload_id}".encode()


def digest_context(upload_id: str, part_number: int, wrapped_key: bytes) -> bytes:
    """Return what the sealed digest of a received part is bound to; `wrapped_key` is that of the content's key."""
    key = hashlib.sha256(wrapped_key).hexdigest()
    return f"exchange upload-digest/{key}/{part_number:d}/{upload_id}".encode()


def personal_context(kid: str, subject: str, period: str, boot: str) -> bytes:
    """Return the 32-byte context of a key for personal data: whose it is, of which period and process start.

    Raises OpeningError for what is no text: SQLite keeps anything in its place, if somebody puts it there.
    """
    place: Canonical = {"boot": boot, "is": "personal", "kid": kid, "period": period, "subject": subject}
    return _context_of(place, "key")


def webhook_context(subscription_id: str, client_id: str, url: str) -> bytes:
    """Return the 32-byte context of a subscription's secret: whose it is, and where it signs for.

    Raises OpeningError for what is no text, as `personal_context`.
    """
    place: Canonical = {"client": client_id, "is": "webhook", "subscription": subscription_id, "url": url}
    return _context_of(place, "secret")


def _context_of(place: Canonical, what: str) -> bytes:
    try:
        return hashlib.sha256(canonical_bytes(place)).digest()
    except CanonicalError as exc:
        raise OpeningError(f"the place of a {what} is none that one was ever sealed for") from exc


def check_context(context: bytes) -> None:
    """Check that a context is a digest. Raises CryptoError: nothing is ever encrypted without its place."""
    if len(context) != CONTEXT_BYTES:
        raise CryptoError(f"context has {len(context)} bytes: use a digest of {CONTEXT_BYTES}")
