"""Byte ranges of one part (RFC 9110 §14): a single range, or the whole."""

import re

from exchange.entrypoints.http.errors import RangeError

_SINGLE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def requested_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Return first byte and the one after the last, or None for the whole.

    What is not a single range of bytes is ignored, as §14.2 allows; one that begins behind the end is a RangeError.
    """
    found = None if header is None else _SINGLE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, stop = max(0, size_bytes - int(found[2])), size_bytes
    else:
        start, stop = int(found[1]), min(size_bytes, int(found[2]) + 1 if found[2] else size_bytes)
        if found[2] and int(found[2]) < int(found[1]):
            return None
    if start >= stop:
        raise RangeError(size_bytes)
    return start, stop
