"""The ciphers in use, by the ids that travel with every ciphertext."""

from enum import Enum
from typing import Final

from exchange.crypto.errors import CryptoError

PART_SUITE: Final = "cobblestone-256"
HEADER_SUITE: Final = "aes-256-gcm+agreement-key"
# "aes-256-gcm+hmac-sha256" was a header under a key of its own; it is not read any more.
WRAP_SUITE: Final = "aes-256-gcm"


class Suite(Enum):
    """What a ciphertext was made with. An id is never reused for another construction."""

    PART = PART_SUITE
    HEADER = HEADER_SUITE
    WRAP = WRAP_SUITE


def suite_named(text: str) -> Suite:
    """Return the suite with this id. Raises CryptoError for an unknown one."""
    try:
        return Suite(text)
    except ValueError as exc:
        raise CryptoError(f"unknown suite `{text[:40]}`: this version opens {_known()}") from exc


def require_suite(text: str, suite: Suite) -> None:
    """Check that a stored suite id is the one that the caller is about to open with.

    Raises CryptoError otherwise: a ciphertext is never tried under another suite than its own.
    """
    found = suite_named(text)
    if found is not suite:
        raise CryptoError(f"suite `{found.value}` where `{suite.value}` belongs")


def _known() -> str:
    return ", ".join(f"`{suite.value}`" for suite in Suite)
