"""Headers: a report's subject and fields under a key of their own, quick enough for lists."""

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.crypto.contexts import check_context
from exchange.crypto.errors import OpeningError
from exchange.crypto.keys import NONCE_BYTES, check_key, check_nonce

# Another key than the report's own: HEADER_SUITE. HMAC as a key derivation, NIST SP 800-108.
_PURPOSE: Final = b"exchange header v1"


def encrypt_header(report_key: bytes, context: bytes, plaintext: bytes, nonce: bytes) -> bytes:
    """Return nonce and ciphertext. `nonce` is 12 bytes, never used before with this report key.

    Raises CryptoError for a key, context or nonce of the wrong size.
    """
    check_key(report_key)
    check_context(context)
    check_nonce(nonce)
    cipher = AESGCM(hmac.digest(report_key, _PURPOSE, "sha256"))
    return nonce + cipher.encrypt(nonce, plaintext, context)


def decrypt_header(report_key: bytes, context: bytes, blob: bytes) -> bytes:
    """Return the header's plaintext. Raises OpeningError where key, context and blob do not belong together."""
    # No check of sizes here: a wrong one opens nothing, and a list comes through here hundreds of times.
    cipher = AESGCM(hmac.digest(report_key, _PURPOSE, "sha256"))
    try:
        return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as exc:
        raise OpeningError("header, key, class or place do not belong together") from exc
