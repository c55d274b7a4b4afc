"""Keys: their size, and how one secret becomes many that tell nothing of each other."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from exchange.crypto.errors import CryptoError

DATA_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


def derive_key(root: bytes, label: str) -> bytes:
    """Return the 32-byte key that `root` gives for `label` (HKDF with SHA-512, RFC 5869; `label` is its info).

    `root` is at least 32 uniformly random bytes, never a password. Raises CryptoError for a shorter one
    and for an empty label: two uses with no label would share a key.
    """
    if len(root) < DATA_KEY_BYTES:
        raise CryptoError(f"root key has {len(root)} bytes: at least {DATA_KEY_BYTES} are needed")
    if not label:
        raise CryptoError("a derived key needs a label: name what it is for")
    return HKDF(algorithm=SHA512(), length=DATA_KEY_BYTES, salt=None, info=label.encode()).derive(root)


def check_key(key: bytes) -> None:
    """Check the size of a data key. Raises CryptoError."""
    if len(key) != DATA_KEY_BYTES:
        raise CryptoError(f"key has {len(key)} bytes: {DATA_KEY_BYTES} are needed")


def check_nonce(nonce: bytes) -> None:
    """Check the size of an AES-GCM nonce. Raises CryptoError."""
    if len(nonce) != NONCE_BYTES:
        raise CryptoError(f"nonce has {len(nonce)} bytes: {NONCE_BYTES} are needed")
