"""The text forms that notes, checkpoints and proofs share, each with exactly one spelling."""

import base64
import re
from typing import Final

from exchange.audit.merkle import HASH_BYTES
from exchange.kernel import MalformedError

# C2SP tlog-cosignature bounds times so; a tree has no more leaves than that either.
LARGEST_NUMBER: Final = 2**63 - 1

# 19 digits hold the largest number; more are refused before they are read.
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def parse_decimal(text: str, name: str) -> int:
    """Return the number: ASCII digits without leading zeros, at most 2**63 - 1.

    Raises MalformedError otherwise; `name` says what the number is.
    """
    if _DECIMAL.fullmatch(text) is None or int(text) > LARGEST_NUMBER:
        raise MalformedError(f"{name}: `{text[:40]}` is no number as it must be written: 0 to {LARGEST_NUMBER}")
    return int(text)


def parse_base64(text: str, name: str) -> bytes:
    """Return the bytes of standard base64 with padding (RFC 4648 §4).

    Raises MalformedError for anything else, a second spelling of the same bytes included.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise MalformedError(f"{name}: `{text[:40]}` is not base64") from exc
    if base64_text(content) != text:
        raise MalformedError(f"{name}: `{text[:40]}` is not how base64 spells it")
    return content


def parse_hash(text: str, name: str) -> bytes:
    """Return the 32 bytes of a hash in base64. Raises MalformedError for anything else."""
    content = parse_base64(text, name)
    if len(content) != HASH_BYTES:
        raise MalformedError(f"{name}: has {len(content)} bytes: a hash has {HASH_BYTES}")
    return content


def base64_text(content: bytes) -> str:
    """Return bytes in standard base64 with padding."""
    return base64.b64encode(content).decode()
