"""Ids: UUIDv7 (RFC 9562 §5.7), so that rows made together lie together."""

import re
from collections.abc import Callable
from datetime import datetime

from exchange.kernel.clock import to_micros

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NOT_AN_ID = "is no id: copy it whole, such as 01a20000-0000-7000-8000-000000000001"
"""What somebody is told who wrote something else in the place of one."""

_RANDOM_BYTES = 8
_VARIANT = 0x8000_0000_0000_0000
_VARIANT_MASK = 0x3FFF_FFFF_FFFF_FFFF


def new_id(now: datetime, randomness: Callable[[int], bytes]) -> str:
    """Return a UUIDv7 in lower-case text for `now`; `randomness` returns that many bytes of a cryptographic source.

    The 12 bits after the milliseconds hold the fraction of the millisecond (RFC 9562 §6.2, method 3).
    """
    micros = to_micros(now)
    if micros < 0:
        raise ValueError(f"`{now}` is before 1970: a UUIDv7 cannot hold it")
    millis, rest = divmod(micros, 1000)
    high = (millis << 16) | 0x7000 | (rest * 4096 // 1000)
    low = _VARIANT | (int.from_bytes(randomness(_RANDOM_BYTES)) & _VARIANT_MASK)
    digits = f"{high:016x}{low:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_uuid7(text: object) -> bool:
    """Return whether `text` is a UUIDv7 in the one form the exchange writes: lower case, with hyphens.

    It may come from a row, in which on SQLite anything may stand.
    """
    return isinstance(text, str) and _UUID7.fullmatch(text) is not None


def micros_in(text: str) -> int | None:
    """Return the time in a UUIDv7, to the millisecond, in microseconds since 1970; None for what is none."""
    # RFC 9562 §5.7: the first 48 bits are milliseconds.
    return int(text[:8] + text[9:13], 16) * 1000 if is_uuid7(text) else None
