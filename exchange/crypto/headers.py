"""Headers: subject and fields of a report under a key that its agreement's headers share, quick enough for lists."""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.crypto.errors import CryptoError, OpeningError
from exchange.crypto.keys import NONCE_BYTES, check_key, check_nonce

_REFUSED: Final = "header, key, class or place do not belong together"


class HeaderCipher:
    """Seals and opens headers under one 256-bit key, each bound to its context (AES-256-GCM, HEADER_SUITE).

    Nonces are random: at most 2**32 headers under one key (NIST SP 800-38D §8.3).
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        check_key(key)
        self._cipher = AESGCM(key)

    def seal(self, context: bytes, plaintext: bytes, nonce: bytes) -> bytes:
        """Return nonce and ciphertext. `nonce` is 12 bytes, never used before with this key.

        Raises CryptoError for a nonce of the wrong size or an empty context.
        """
        check_nonce(nonce)
        if not context:
            raise CryptoError("a header needs a context: nothing is sealed without its place")
        return nonce + self._cipher.encrypt(nonce, plaintext, context)

    def open(self, context: bytes, blob: bytes) -> bytes:
        """Return the header's plaintext. Raises OpeningError where key, context and blob do not belong together."""
        # No check of sizes here: a wrong one opens nothing, and a list comes through here hundreds of times.
        try:
            return self._cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
        except (InvalidTag, ValueError, TypeError) as exc:  # SQLite keeps a number, too, where bytes belong
            raise OpeningError(_REFUSED) from exc
