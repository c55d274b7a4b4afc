"""Deeds: what the exchange signed, to be shown alone and away from the log: a tombstone, a certificate, a grant.

A deed is a C2SP signed note of two lines: what kind of deed it is, and its content as canonical JSON (RFC 8785).
Promises: a deed that verifies says exactly what was signed, and as what kind.
Does not: say that the signed content is still true; the log and the store know that.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from exchange.audit.note import SignedNote, parse_note
from exchange.audit.note_keys import NoteSigner, VerifierKey, verify_note
from exchange.kernel import Canonical, ExchangeError, MalformedError, canonical_bytes

_FORMAT: Final = "/v1"
_PREFIX: Final = "exchange."


class DeedKind(Enum):
    """What a deed states; a kind is never given another meaning."""

    TOMBSTONE = "tombstone"
    DESTRUCTION = "destruction"
    ONWARD_GRANT = "onward-grant"
    DERIVATION_GRANT = "derivation-grant"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class Deed:
    """What was signed: `content` is its JSON object."""

    kind: DeedKind
    content: Mapping[str, Canonical]

    @property
    def text(self) -> str:
        """Return the text that is signed: the kind in a line, the content in a line."""
        return f"{_PREFIX}{self.kind.value}{_FORMAT}\n{canonical_bytes(dict(self.content)).decode()}\n"


def sign_deed(deed: Deed, signer: NoteSigner, at_seconds: int) -> bytes:
    """Return `deed` signed, as a note; raises MalformedError where its text cannot stand in one."""
    return SignedNote(deed.text, (signer.sign(deed.text, at_seconds),)).render()


def deed_digest(note: bytes) -> str:
    """Return by what an entry names a deed: SHA-256 of the note, in hex."""
    return hashlib.sha256(note).hexdigest()


def says_as(note: bytes, kind: DeedKind, content: Mapping[str, Canonical]) -> bool:
    """Return whether a note is a deed of `kind` that says each of these; who signed it is not looked at."""
    try:
        deed = unverified_deed(note)
    except ExchangeError:
        return False
    return deed.kind is kind and content.items() <= dict(deed.content).items()


def unverified_deed(note: bytes) -> Deed:
    """Return the deed in a note, whoever signed it; MalformedError for what is none."""
    return _deed_in(parse_note(note).text)


def read_deed(note: bytes, keys: Iterable[VerifierKey]) -> Deed:
    """Return the deed in a note that one of `keys` signed.

    Raises NoteError where none did, or a known key's signature is wrong; MalformedError for what is no deed.
    """
    parsed = parse_note(note)
    # (1) believed only once verified
    verify_note(parsed, list(keys))
    return _deed_in(parsed.text)


def _deed_in(text: str) -> Deed:
    """Return the deed that is spelt so; MalformedError for what is none."""
    # (2) one kind, one content
    heading, _, line = text.partition("\n")
    kind = next((kind for kind in DeedKind if heading == f"{_PREFIX}{kind.value}{_FORMAT}"), None)
    if kind is None:
        raise MalformedError(f"`{heading[:80]}` is no kind of deed that this version reads")
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise MalformedError("the deed's content is not JSON") from exc
    # (3) in its one spelling: two readers never see two contents
    if not isinstance(content, dict) or Deed(kind, content).text != text:
        raise MalformedError("the deed's content is not canonical")
    return Deed(kind, content)
