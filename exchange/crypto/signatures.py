"""Signatures: what an exchange, a node or a witness states, so that others can check it later.

Promises: keys come from a seed that the caller gives; a public key is its raw bytes, a message is signed as it is.
Does not: keep keys, hash messages beforehand, or say what a signed message means.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from exchange.crypto.errors import CryptoError, SignatureError

# RFC 8032 §5.1.5 and FIPS 204 §5.1: every scheme here grows its key from so many bytes.
SEED_BYTES: Final = 32

_PrivateKey = ed25519.Ed25519PrivateKey | mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey
_PublicKey = ed25519.Ed25519PublicKey | mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey


class SignatureScheme(Enum):
    """A way to sign. An id is never reused for another one."""

    ED25519 = "ed25519"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"


@dataclass(frozen=True, slots=True)
class _Maker:
    """How the library makes keys of one scheme: from a seed, and from a public key's bytes."""

    private: type[_PrivateKey]
    grow: Callable[[bytes], _PrivateKey]
    read: Callable[[bytes], _PublicKey]


_MAKERS: Final = {
    SignatureScheme.ED25519: _Maker(
        ed25519.Ed25519PrivateKey,
        ed25519.Ed25519PrivateKey.from_private_bytes,
        ed25519.Ed25519PublicKey.from_public_bytes,
    ),
    SignatureScheme.ML_DSA_44: _Maker(
        mldsa.MLDSA44PrivateKey, mldsa.MLDSA44PrivateKey.from_seed_bytes, mldsa.MLDSA44PublicKey.from_public_bytes
    ),
    SignatureScheme.ML_DSA_65: _Maker(
        mldsa.MLDSA65PrivateKey, mldsa.MLDSA65PrivateKey.from_seed_bytes, mldsa.MLDSA65PublicKey.from_public_bytes
    ),
}


# RFC 8032 §5.1: points of order 1, 2, 4 and 8, in each of their spellings but for the sign. What is
# signed under one verifies for every second or eighth message, or for all, and no private key is needed.
_NOBODYS: Final = frozenset(
    bytes.fromhex(spelt)
    for spelt in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
_NO_SIGN: Final = 0x7F


class VerifyingKey:
    """A public key: `raw` is its one encoding in bytes (RFC 8032 §5.1.2, FIPS 204 §7.2)."""

    __slots__ = ("_key", "raw", "scheme")

    def __init__(self, scheme: SignatureScheme, raw: bytes) -> None:
        """Take up a public key.

        Raises CryptoError where `raw` has not the length of the scheme's keys, or is one that anybody signs for.
        """
        try:
            self._key = _MAKERS[scheme].read(raw)
        except ValueError as exc:
            raise CryptoError(f"{len(raw)} bytes are no public key of `{scheme.value}`") from exc
        if scheme is SignatureScheme.ED25519 and bytes([*raw[:-1], raw[-1] & _NO_SIGN]) in _NOBODYS:
            raise CryptoError(f"this public key of `{scheme.value}` belongs to nobody: anybody could sign for it")
        self.scheme = scheme
        self.raw = raw

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return where `signature` is this key's over `message`. Raises SignatureError otherwise."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature as exc:
            raise SignatureError(f"the signature is not of this `{self.scheme.value}` key over this message") from exc

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifyingKey) and (self.scheme, self.raw) == (other.scheme, other.raw)

    def __hash__(self) -> int:
        return hash((self.scheme, self.raw))

    def __repr__(self) -> str:
        return f"VerifyingKey({self.scheme.value}, {self.raw.hex()[:16]}…)"


class SigningKey:
    """A private key. Its text never holds the secret.

    Ed25519 signs the same message alike each time; the library hedges ML-DSA (FIPS 204 §3.4), so those differ.
    """

    __slots__ = ("_key", "scheme", "verifying_key")

    def __init__(self, scheme: SignatureScheme, key: _PrivateKey) -> None:
        self._key = key
        self.scheme = scheme
        self.verifying_key = VerifyingKey(scheme, key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, scheme: SignatureScheme, seed: bytes) -> "SigningKey":
        """Return the key that grows from 32 random bytes. Raises CryptoError for another number of them."""
        if len(seed) != SEED_BYTES:
            raise CryptoError(f"seed has {len(seed)} bytes: give {SEED_BYTES}")
        return cls(scheme, _MAKERS[scheme].grow(seed))

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Return the key in a PKCS #8 file without password.

        Raises CryptoError for what is none, or holds a key of another scheme.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise CryptoError("not a signing key: give the PKCS #8 file that this exchange wrote") from exc
        for scheme, maker in _MAKERS.items():
            if isinstance(key, maker.private):
                return cls(scheme, key)
        raise CryptoError(f"not a signing key of a known scheme: this version signs with {_known()}")

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, in the scheme's raw form."""
        return self._key.sign(message)

    def to_pem(self) -> bytes:
        """Return the key as PKCS #8 in PEM, not encrypted: who writes it keeps the file closed to others."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def __repr__(self) -> str:
        return f"SigningKey({self.verifying_key!r})"


def _known() -> str:
    return ", ".join(f"`{scheme.value}`" for scheme in SignatureScheme)
