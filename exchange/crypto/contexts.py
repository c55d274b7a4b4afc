"""What a ciphertext is bound to: change the label, the report, the number or the version, and it does not open."""

import hashlib
from collections.abc import Mapping
from typing import Final

from exchange.crypto.errors import CryptoError
from exchange.kernel import Canonical, canonical_bytes

CONTEXT_BYTES: Final = 32


def part_context(label_json: Mapping[str, str | list[str]], report_id: str, part_number: int, version: int) -> bytes:
    """Return the 32-byte context of a part's body and of its data key.

    `label_json` is the part's effective label in the JSON form of the contract.
    """
    place: Canonical = {"is": "part", "label": label_json, "part": part_number, "report": report_id, "version": version}
    return hashlib.sha256(canonical_bytes(place)).digest()


def header_context(report_id: str, version: int, class_digest: str) -> bytes:
    """Return the 32-byte context of a report's sealed header and of its header key.

    `class_digest` is the hex digest of the release class: it binds label, agreement, scope and originator.
    Written out by hand because a list opens hundreds of headers; the bytes are the canonical ones.
    Raises CryptoError for ids that are not plain letters, digits and hyphens.
    """
    # INVARIANT: neither text can hold a quotation mark or backslash, so no two places share bytes.
    if not (_is_plain(report_id) and _is_plain(class_digest)):
        raise CryptoError("a report id or class digest holds more than ASCII letters, digits and hyphens")
    place = f'{{"class":"{class_digest}","is":"header","report":"{report_id}","version":{version:d}}}'
    return hashlib.sha256(place.encode()).digest()


def check_context(context: bytes) -> None:
    """Check that a context is a digest. Raises CryptoError: nothing is ever encrypted without its place."""
    if len(context) != CONTEXT_BYTES:
        raise CryptoError(f"context has {len(context)} bytes: use a digest of {CONTEXT_BYTES}")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.replace("-", "").isalnum()
