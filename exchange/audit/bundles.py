"""Entry bundles (C2SP tlog-tiles, "Log entries"): the entries beside a tile of level 0, each after its length."""

from collections.abc import Iterable

from exchange.audit.shape import LARGEST_ENTRY_BYTES
from exchange.kernel import MalformedError

_LENGTH_BYTES = 2


def render_bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries as one bundle. Raises MalformedError for one over 65,535 bytes: its length has no room."""
    pieces: list[bytes] = []
    for content in entries:
        if len(content) > LARGEST_ENTRY_BYTES:
            raise MalformedError(f"entry has {len(content)} bytes: at most {LARGEST_ENTRY_BYTES} fit")
        pieces += (len(content).to_bytes(_LENGTH_BYTES), content)
    return b"".join(pieces)


def parse_bundle(content: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle that holds `width` of them.

    Raises MalformedError where it holds more or fewer, or ends within one.
    """
    entries: list[bytes] = []
    start, end = 0, len(content)
    while start < end:
        if len(entries) == width:
            raise MalformedError(f"bundle goes on for {end - start} bytes after its {width} entries")
        length = int.from_bytes(content[start : start + _LENGTH_BYTES])
        start += _LENGTH_BYTES + length
        if start > end:
            raise MalformedError(f"bundle ends within entry {len(entries)} of {width}")
        entries.append(content[start - length : start])
    if len(entries) != width:
        raise MalformedError(f"bundle has {len(entries)} entries: it must have {width}")
    return entries
