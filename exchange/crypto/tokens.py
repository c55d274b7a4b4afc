"""Tokens: what the exchange hands out and must recognise, such as paging cursors. Opaque, and bound to a purpose."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.crypto.errors import OpeningError
from exchange.crypto.keys import NONCE_BYTES, check_key, check_nonce


def seal_token(key: bytes, purpose: str, payload: bytes, nonce: bytes) -> str:
    """Return `payload` as URL-safe text that only `open_token` with the same key and purpose can read.

    `purpose` names the use and whom it is bound to (`cursor reports CLIENT`); `nonce` is 12 random bytes.
    The text's length tells the payload's. Raises CryptoError for a key or nonce of the wrong size.
    """
    check_key(key)
    check_nonce(nonce)
    blob = nonce + AESGCM(key).encrypt(nonce, payload, purpose.encode())
    return urlsafe_b64encode(blob).rstrip(b"=").decode()


def open_token(key: bytes, purpose: str, text: str) -> bytes:
    """Return the payload. Raises OpeningError on a forged, foreign, respelled or damaged token."""
    check_key(key)
    try:
        # Padding for any length: the decoder ignores what is too much, and foreign characters and spare bits too.
        blob = urlsafe_b64decode(text + "==")
        # One token, one spelling.
        if urlsafe_b64encode(blob).rstrip(b"=").decode() != text:
            raise OpeningError("the token is not one of this exchange's")
        return AESGCM(key).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], purpose.encode())
    except (InvalidTag, ValueError) as exc:
        raise OpeningError("the token is not one of this exchange's") from exc
