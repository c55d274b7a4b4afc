"""Signatures that outlive the connection: what states sign between them, with two schemes at once.

Promises: an object is signed with Ed25519 and with ML-DSA-65 and counts only where both verify, so that it stands
while either scheme does; the purpose is part of what is signed, so no signature is taken for one on something else.
Does not: keep keys, say whose a key is, or what a signed object means.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from exchange.crypto.errors import CryptoError
from exchange.crypto.signatures import SEED_BYTES, SignatureScheme, SigningKey, VerifyingKey

_CLASSICAL: Final = SignatureScheme.ED25519
_POST_QUANTUM: Final = SignatureScheme.ML_DSA_65
_KEY_ID_PURPOSE: Final = b"exchange object key v1\n"
_POSSESSION: Final = "key possession"
_END_OF_PEM: Final = b"-----END PRIVATE KEY-----\n"


@dataclass(frozen=True, slots=True)
class ObjectSignature:
    """The two signatures over one object, each in its scheme's raw form."""

    ed25519: bytes
    ml_dsa_65: bytes


@dataclass(frozen=True, slots=True)
class ObjectVerifyingKey:
    """The public keys of one signer. `key_id` is the SHA-256 over both, in hex."""

    ed25519: VerifyingKey
    ml_dsa_65: VerifyingKey

    @classmethod
    def from_raw(cls, ed25519: bytes, ml_dsa_65: bytes) -> "ObjectVerifyingKey":
        """Return the keys from their raw bytes. Raises CryptoError where one has not the length of its scheme's."""
        return cls(VerifyingKey(_CLASSICAL, ed25519), VerifyingKey(_POST_QUANTUM, ml_dsa_65))

    @property
    def key_id(self) -> str:
        """Return the name of the two keys together."""
        # Ed25519 keys are all of one length: no two pairs give the same bytes.
        return hashlib.sha256(_KEY_ID_PURPOSE + self.ed25519.raw + self.ml_dsa_65.raw).hexdigest()

    def verify(self, signature: ObjectSignature, content: bytes, *, purpose: str) -> None:
        """Return where both signatures are these keys' over `content`. Raises SignatureError otherwise."""
        message = _message(purpose, content)
        self.ed25519.verify(signature.ed25519, message)
        self.ml_dsa_65.verify(signature.ml_dsa_65, message)

    def verify_possession(self, proof: ObjectSignature) -> None:
        """Return where `proof` shows that its maker holds both private keys. Raises SignatureError otherwise."""
        self.verify(proof, self.key_id.encode(), purpose=_POSSESSION)


class ObjectSigningKey:
    """The private keys of one signer. Its text never holds the secret."""

    __slots__ = ("_ed25519", "_ml_dsa_65", "verifying_key")

    def __init__(self, ed25519: SigningKey, ml_dsa_65: SigningKey) -> None:
        """Take up two keys. Raises CryptoError where they are not one of each scheme."""
        if (ed25519.scheme, ml_dsa_65.scheme) != (_CLASSICAL, _POST_QUANTUM):
            raise CryptoError(f"an object is signed with `{_CLASSICAL.value}` and then `{_POST_QUANTUM.value}`")
        self._ed25519 = ed25519
        self._ml_dsa_65 = ml_dsa_65
        self.verifying_key = ObjectVerifyingKey(ed25519.verifying_key, ml_dsa_65.verifying_key)

    @classmethod
    def new(cls, randomness: Callable[[int], bytes]) -> "ObjectSigningKey":
        """Return keys grown from fresh randomness."""
        return cls(*(SigningKey.from_seed(scheme, randomness(SEED_BYTES)) for scheme in (_CLASSICAL, _POST_QUANTUM)))

    @classmethod
    def from_pem(cls, pem: bytes) -> "ObjectSigningKey":
        """Return the keys that `to_pem` wrote. Raises CryptoError for anything else."""
        first, end, second = pem.partition(_END_OF_PEM)
        if not end:
            raise CryptoError("not a key for signing objects: give the file that this exchange's verb wrote")
        return cls(SigningKey.from_pem(first + end), SigningKey.from_pem(second))

    def to_pem(self) -> bytes:
        """Return both keys as PKCS #8 in PEM, not encrypted: who writes them keeps the file closed to others."""
        return self._ed25519.to_pem() + self._ml_dsa_65.to_pem()

    def sign(self, content: bytes, *, purpose: str) -> ObjectSignature:
        """Return both signatures over `content`, made for `purpose` and worth nothing for another one."""
        message = _message(purpose, content)
        return ObjectSignature(self._ed25519.sign(message), self._ml_dsa_65.sign(message))

    def prove_possession(self) -> ObjectSignature:
        """Return the proof that both private keys are held, which is asked for before a key is enrolled."""
        return self.sign(self.verifying_key.key_id.encode(), purpose=_POSSESSION)

    def __repr__(self) -> str:
        return f"ObjectSigningKey({self.verifying_key.key_id[:16]}…)"


def _message(purpose: str, content: bytes) -> bytes:
    # One line of its own: no purpose is the beginning of another one's message.
    if not purpose or "\n" in purpose:
        raise CryptoError("a purpose is one line")
    return f"exchange object signature v1: {purpose}\n".encode() + content
