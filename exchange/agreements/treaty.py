"""The text of an agreement as an object: its canonical bytes, its digest, and the signatures under it.

Promises: one text, one digest (RFC 8785); a signature names the text, the agreement, the edition, the member and the
signatory; it counts only where both of its schemes verify with the key that stands beside it.
Does not: say whether a key was enrolled for that signatory, or when an agreement is in force.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, cast

from exchange.crypto import CryptoError, ObjectSignature, ObjectSigningKey, ObjectVerifyingKey
from exchange.kernel import Canonical, canonical_bytes

SIGNING_PURPOSE: Final = "agreement"
TAKING_BACK_PURPOSE: Final = "agreement signature taken back"

_FORMAT: Final = 1
_REMEMBERED: Final = 4096
"""Of some 10 KB each at most; 50 agreements with 12 parties are 600."""


@dataclass(frozen=True, slots=True)
class TreatyText:
    """What parties sign: the terms, whose they are, and which text they follow (`previous`, its digest, or None)."""

    agreement: str
    edition: int
    previous: str | None
    terms: Mapping[str, object]

    @property
    def canonical(self) -> bytes:
        """Return the canonical bytes."""
        value = {
            "format": _FORMAT,
            "agreement": self.agreement,
            "edition": self.edition,
            "previous": self.previous,
            "terms": self.terms,
        }
        return canonical_bytes(cast("Canonical", value))

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the canonical bytes, in 64 lower-case hex digits."""
        return hashlib.sha256(self.canonical).hexdigest()


@dataclass(frozen=True, slots=True)
class TextSignature:
    """The signature of a member's signatory under the text with this digest, and the keys that it was made with."""

    text: str
    member: str
    signatory: str
    key: ObjectVerifyingKey
    signature: ObjectSignature
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class SignatoryKey:
    """A signatory's enrolled keys; `entry` is the log's entry of the enrolment, `enrolled_by` None for the host."""

    key: ObjectVerifyingKey
    client: str
    member: str
    enrolled_at: datetime
    enrolled_by: str | None
    entry: str
    retired_at: datetime | None = None


def statement_of(text: TreatyText, digest: str, *, member: str, signatory: str) -> bytes:
    """Return what a signatory signs: canonical bytes that name the text by `digest`, and who signs for whom."""
    return canonical_bytes(
        {
            "format": _FORMAT,
            "agreement": text.agreement,
            "edition": text.edition,
            "text": digest,
            "member": member,
            "signatory": signatory,
        }
    )


def sign_text(text: TreatyText, key: ObjectSigningKey, *, member: str, signatory: str) -> ObjectSignature:
    """Return the signature of `signatory` for `member` under `text`."""
    return key.sign(statement_of(text, text.digest, member=member, signatory=signatory), purpose=SIGNING_PURPOSE)


def take_back(text: TreatyText, key: ObjectSigningKey, *, member: str, signatory: str) -> ObjectSignature:
    """Return the statement of `signatory` that the signature of `member` under `text` holds no more, as it signs it."""
    return key.sign(statement_of(text, text.digest, member=member, signatory=signatory), purpose=TAKING_BACK_PURPOSE)


def is_signed(text: TreatyText, digest: str, signature: TextSignature, *, purpose: str = SIGNING_PURPOSE) -> bool:
    """Return whether `signature` is under `text`, whose digest the caller has computed; by `purpose`, what it says."""
    if signature.text != digest:
        return False
    statement = statement_of(text, digest, member=signature.member, signatory=signature.signatory)
    return _verifies(signature.key, signature.signature, statement, purpose)


@lru_cache(_REMEMBERED)
def _verifies(key: ObjectVerifyingKey, signature: ObjectSignature, statement: bytes, purpose: str) -> bool:
    # Remembered by all that it depends on: a node verifies each signature once, whatever it reads again and again.
    try:
        key.verify(signature, statement, purpose=purpose)
    except CryptoError:
        return False
    return True
