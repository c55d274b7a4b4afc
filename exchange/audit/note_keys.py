"""The keys that sign notes: their text, their ids, and what exactly each type signs.

Types: Ed25519 over the note (C2SP signed-note), and timestamped cosignatures with Ed25519 and ML-DSA-44
(C2SP tlog-cosignature). Logs sign with the first and the last, witnesses with the last two.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from exchange.audit.checkpoint import parse_checkpoint
from exchange.audit.note import KEY_ID_BYTES, NoteSignature, SignedNote, check_key_name
from exchange.audit.strict_text import LARGEST_NUMBER, base64_text, parse_base64
from exchange.crypto import CryptoError, SignatureError, SignatureScheme, SigningKey, VerifyingKey
from exchange.kernel import InvalidError, MalformedError

_TIMESTAMP_BYTES: Final = 8

# C2SP tlog-cosignature, "ML-DSA-44 signed message".
_SUBTREE_LABEL: Final = b"subtree/v1\n\0"
_LONGEST_NAME_BYTES: Final = 255


class NoteError(InvalidError):
    """A note that must not be believed; the message says whose signature is wrong or missing."""

    code = "note-invalid"


class SignatureType(Enum):
    """The byte that stands for a kind of signature (C2SP signed-note, "Signature types")."""

    ED25519 = 0x01
    ED25519_COSIGNATURE = 0x04
    ML_DSA_44_COSIGNATURE = 0x06

    @property
    def scheme(self) -> SignatureScheme:
        return SignatureScheme.ML_DSA_44 if self is SignatureType.ML_DSA_44_COSIGNATURE else SignatureScheme.ED25519

    @property
    def is_cosignature(self) -> bool:
        """Whether it states a time, and signs checkpoints only."""
        return self is not SignatureType.ED25519


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name, for one type of signature: a vkey. INVARIANT: the key is of the type's scheme."""

    name: str
    type: SignatureType
    key: VerifyingKey

    def __post_init__(self) -> None:
        """Refuse a name that no note can hold (MalformedError), and a key of another scheme (CryptoError)."""
        check_key_name(self.name)
        if self.key.scheme is not self.type.scheme:
            raise CryptoError(f"a `{self.key.scheme.value}` key cannot make signatures of type {self.type.value:#04x}")

    @property
    def key_id(self) -> bytes:
        """Four bytes that, with the name, point out the key; no proof of anything."""
        typed = bytes([self.type.value]) + self.key.raw
        return hashlib.sha256(f"{self.name}\n".encode() + typed).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64_text(bytes([self.type.value]) + self.key.raw)}"


@dataclass(frozen=True, slots=True)
class Attestation:
    """A signature that verified. `at_seconds` is the POSIX time it states, None where it states none."""

    key: VerifierKey
    at_seconds: int | None


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A private key under a name, for one type of signature."""

    name: str
    type: SignatureType
    key: SigningKey

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.type, self.key.verifying_key)

    def sign(self, text: str, at_seconds: int) -> NoteSignature:
        """Return the signature over a note's text, a checkpoint's where the type is a cosignature.

        `at_seconds` is the POSIX time that a cosignature states; the plain type states none.
        Raises MalformedError for what the type cannot sign.
        """
        signature = self.key.sign(_message(self.verifier, text, at_seconds))
        time = at_seconds.to_bytes(_TIMESTAMP_BYTES) if self.type.is_cosignature else b""
        return NoteSignature(self.name, self.verifier.key_id, time + signature)


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key that a vkey spells: name, id in hex and typed key in base64, with plus signs between.

    Raises MalformedError for another form, an unknown type, and an id that is not the key's.
    """
    name, _, rest = text.partition("+")
    id_hex, plus, encoded = rest.partition("+")
    if not plus:
        raise MalformedError(f"`{text[:80]}` is no verifier key: write `<name>+<id>+<base64>`")
    check_key_name(name)
    typed = parse_base64(encoded, f"verifier key of `{name[:80]}`")
    signature_type = _type_of(typed, name)
    key = VerifierKey(name, signature_type, _key_in(typed, signature_type, name))
    if key.key_id.hex() != id_hex:
        raise MalformedError(f"verifier key of `{name[:80]}` has the id {key.key_id.hex()}, not `{id_hex[:16]}`")
    return key


def verify_note(note: SignedNote, keys: Iterable[VerifierKey]) -> tuple[Attestation, ...]:
    """Return what known keys attest, in the order of their lines; unknown keys are passed over.

    Raises NoteError where a known key's signature is wrong, and where no known key signed.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            found.append(_verified(key, note.text, signature))
    if not found:
        raise NoteError("no known key has signed the note")
    return tuple(found)


def _verified(key: VerifierKey, text: str, signature: NoteSignature) -> Attestation:
    at_seconds, made = 0, signature.signature
    if key.type.is_cosignature:
        at_seconds, made = int.from_bytes(made[:_TIMESTAMP_BYTES]), made[_TIMESTAMP_BYTES:]
    try:
        key.key.verify(made, _message(key, text, at_seconds))
    except (SignatureError, MalformedError) as exc:
        raise NoteError(f"the signature of `{key.name}` (key id {key.key_id.hex()}) is wrong: {exc}") from exc
    # A cosigner writes zero where it states no time.
    return Attestation(key, at_seconds or None)


def _message(key: VerifierKey, text: str, at_seconds: int) -> bytes:
    if key.type is SignatureType.ED25519:
        return text.encode()
    checkpoint = parse_checkpoint(text)
    if not 0 <= at_seconds <= LARGEST_NUMBER:
        raise MalformedError(f"time {at_seconds} of a cosignature: it must be within 0 to {LARGEST_NUMBER}")
    if key.type is SignatureType.ED25519_COSIGNATURE:
        return f"cosignature/v1\ntime {at_seconds}\n{text}".encode()
    # The subtree that begins at leaf 0 and ends with the tree: the checkpoint's own.
    numbers = (_octets(checkpoint.origin), _number(0), _number(checkpoint.size), checkpoint.root)
    return b"".join((_SUBTREE_LABEL, _octets(key.name), _number(at_seconds), *numbers))


def _number(number: int) -> bytes:
    return number.to_bytes(8)


def _octets(text: str) -> bytes:
    # RFC 8446 §3.4: a vector of up to 255 bytes begins with its length in one.
    content = text.encode()
    if len(content) > _LONGEST_NAME_BYTES:
        raise MalformedError(
            f"`{text[:80]}` has {len(content)} bytes: ML-DSA-44 signs names up to {_LONGEST_NAME_BYTES}"
        )
    return bytes([len(content)]) + content


def _type_of(typed: bytes, name: str) -> SignatureType:
    try:
        return SignatureType(typed[0])
    except (IndexError, ValueError) as exc:
        raise MalformedError(f"verifier key of `{name[:80]}` is of no known type: {typed[:1].hex()}") from exc


def _key_in(typed: bytes, signature_type: SignatureType, name: str) -> VerifyingKey:
    try:
        return VerifyingKey(signature_type.scheme, typed[1:])
    except CryptoError as exc:
        raise MalformedError(f"verifier key of `{name[:80]}`: {exc}") from exc
