"""Signatures of webhooks, as Standard Webhooks 1.0 writes them: HMAC-SHA-256 over id, time and body."""

import hmac
from base64 import b64encode
from binascii import a2b_base64
from typing import Final

from exchange.crypto.errors import CryptoError

PREFIX: Final = "whsec_"
# Standard Webhooks, "Signature scheme": between 24 and 64 bytes.
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 64


class WebhookKey:
    """The secret that a webhook's receiver shares with us."""

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        """Take the secret as the standard writes it: `whsec_` and base64. Raises CryptoError for anything else."""
        try:
            key = a2b_base64(text.removeprefix(PREFIX), strict_mode=True) if text.startswith(PREFIX) else b""
        except ValueError:
            key = b""
        # Few different bytes are no random ones.
        if not _LEAST_BYTES <= len(key) <= _MOST_BYTES or len(set(key)) < _LEAST_BYTES // 2:
            raise CryptoError(
                f"no webhook secret: write `{PREFIX}` and {_LEAST_BYTES} to {_MOST_BYTES} random bytes in base64"
            )
        self._key = key

    @classmethod
    def of(cls, key: bytes) -> "WebhookKey":
        """Return the key with these bytes; CryptoError where they are no random 24 to 64."""
        return cls(PREFIX + b64encode(key).decode())

    @property
    def text(self) -> str:
        """Return the secret as the standard writes it, for its receiver alone."""
        return PREFIX + b64encode(self._key).decode()

    def sign(self, message_id: str, seconds: int, body: bytes) -> str:
        """Return the `webhook-signature` of a message sent `seconds` after 1970."""
        signed = b".".join((message_id.encode(), str(seconds).encode(), body))
        return "v1," + b64encode(hmac.digest(self._key, signed, "sha256")).decode()
