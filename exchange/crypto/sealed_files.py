"""Files sealed to a recipient: whoever has its identity opens them, and nobody else, whoever keeps them.

A file is a line that names the format, the data key sealed with HPKE (RFC 9180: ML-KEM-768 with X25519, so that what is
kept for years does not open to the computers of then), and the body under Cobblestone-256: whole, or it does not open.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from exchange.crypto.errors import CryptoError, OpeningError
from exchange.crypto.keys import DATA_KEY_BYTES
from exchange.crypto.parts import Octets, PartDecryptor, PartEncryptor

SEALED_BEGINNING: Final = b"exchange sealed file 1\n"
"""What every sealed file begins with."""
_RECIPIENT: Final = "exchange-recipient-1:"
_IDENTITY: Final = "exchange-identity-1:"
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_SEED_BYTES: Final = 64
_X25519_BYTES: Final = 32
_MLKEM_PUBLIC_BYTES: Final = 1184
_SEALED_KEY_BYTES: Final = 1120 + DATA_KEY_BYTES + 16
_HEAD_BYTES: Final = len(SEALED_BEGINNING) + _SEALED_KEY_BYTES
_PIECE_BYTES: Final = 256 * 1024
"""Opened at a time: large enough for full speed."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """To whom files are sealed; public."""

    key: hpke.MLKEM768X25519PublicKey
    text: str

    @classmethod
    def from_text(cls, text: str) -> "Recipient":
        """Return the recipient that `text` names; CryptoError for what is none."""
        raw = _raw(text, _RECIPIENT, _MLKEM_PUBLIC_BYTES + _X25519_BYTES, "recipient")
        try:
            first = mlkem.MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES])
            second = x25519.X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:])
        except ValueError as exc:
            raise _no_key("recipient") from exc
        return cls(hpke.MLKEM768X25519PublicKey(first, second), text.strip())


@dataclass(frozen=True, slots=True)
class Identity:
    """Who opens what was sealed to its recipient; secret."""

    key: hpke.MLKEM768X25519PrivateKey
    text: str
    recipient: Recipient

    @classmethod
    def new(cls) -> "Identity":
        """Return a new identity; its randomness is the library's own."""
        first, second = mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
        return cls._of(first, second)

    @classmethod
    def from_text(cls, text: str) -> "Identity":
        """Return the identity that `text` holds; CryptoError for what is none."""
        raw = _raw(text, _IDENTITY, _SEED_BYTES + _X25519_BYTES, "identity")
        first = mlkem.MLKEM768PrivateKey.from_seed_bytes(raw[:_SEED_BYTES])
        return cls._of(first, x25519.X25519PrivateKey.from_private_bytes(raw[_SEED_BYTES:]))

    @classmethod
    def _of(cls, first: mlkem.MLKEM768PrivateKey, second: x25519.X25519PrivateKey) -> "Identity":
        public = first.public_key().public_bytes_raw() + second.public_key().public_bytes_raw()
        secret = first.private_bytes_raw() + second.private_bytes_raw()
        recipient = Recipient.from_text(_RECIPIENT + base64.b64encode(public).decode())
        key = hpke.MLKEM768X25519PrivateKey(first, second)
        return cls(key, _IDENTITY + base64.b64encode(secret).decode(), recipient)


class FileSealer:
    """Seals one file as it is written, in flat memory: `head`, then `update` any number of times, then `finish`."""

    __slots__ = ("_encryptor", "head")

    def __init__(self, recipient: Recipient, data_key: bytes) -> None:
        sealed = _SUITE.encrypt(data_key, recipient.key, SEALED_BEGINNING)
        self.head = SEALED_BEGINNING + sealed
        self._encryptor = PartEncryptor(data_key, hashlib.sha256(self.head).digest())

    def update(self, plaintext: Octets) -> bytes:
        """Return the ciphertext that is ready, perhaps none."""
        return bytes(self._encryptor.update(plaintext))

    def finish(self) -> bytes:
        """Return the last of the ciphertext; without it the file does not open."""
        return self._encryptor.finish()


def is_recipient(text: str) -> bool:
    """Return whether `text` writes out a recipient, and is no name of a file that holds one."""
    return text.strip().startswith(_RECIPIENT)


def open_sealed(identity: Identity, content: memoryview) -> Iterator[bytes]:
    """Yield the plaintext of a sealed file in pieces, each of them authentic.

    What is yielded before the end may be the beginning of a file that was cut: keep nothing of it until this returns.
    Raises OpeningError where the file was not sealed to `identity`, was changed, or was cut.
    """
    head = bytes(content[:_HEAD_BYTES])
    if len(head) < _HEAD_BYTES or not head.startswith(SEALED_BEGINNING):
        raise OpeningError("this is no file sealed by the exchange, or only the beginning of one")
    try:
        data_key = _SUITE.decrypt(head[len(SEALED_BEGINNING) :], identity.key, SEALED_BEGINNING)
    except InvalidTag as exc:
        raise OpeningError("the file was sealed to another recipient, or was changed") from exc
    decryptor = PartDecryptor(data_key, hashlib.sha256(head).digest())
    try:
        for offset in range(_HEAD_BYTES, len(content), _PIECE_BYTES):
            yield decryptor.update(content[offset : offset + _PIECE_BYTES])
        yield decryptor.finish()
    except OpeningError as exc:
        raise OpeningError("the file was changed, or cut: take another copy of it") from exc


def _raw(text: str, prefix: str, size: int, what: str) -> bytes:
    written = text.strip()
    if not written.startswith(prefix):
        raise _no_key(what)
    try:
        raw = base64.b64decode(written.removeprefix(prefix), validate=True)
    except ValueError as exc:
        raise _no_key(what) from exc
    if len(raw) != size:
        raise _no_key(what)
    return raw


def _no_key(what: str) -> CryptoError:
    return CryptoError(f"this is no {what}: `exchange keys recipient` makes both halves")
