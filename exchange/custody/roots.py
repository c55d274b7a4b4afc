"""The root file: versioned 256-bit roots from which every key-encryption key is derived."""

import base64
import json
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from exchange.crypto import DATA_KEY_BYTES, derive_key
from exchange.custody.guarded import read_guarded, replacement_of
from exchange.kernel import MalformedError, UnsafeSettingError, parse_rfc3339, rfc3339, unique_members

Randomness = Callable[[int], bytes]

FORMAT: Final = 1
KIND: Final = "file"

# 32 random octets have fewer distinct ones, or fewer distinct steps, once in 10**15 keys.
_LEAST_DISTINCT = 16
_TYPED = frozenset(string.printable.encode())


@dataclass(frozen=True, slots=True)
class Root:
    """One version of the root. The key stays out of every text made of it."""

    version: int
    created_at: datetime
    key: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Return what tells this key from any other and nothing else of it, hex: it may stand in the log."""
        return derive_key(self.key, "exchange fingerprint").hex()


def load_roots(path: Path) -> tuple[Root, ...]:
    """Return the roots of the file, oldest first, at least one.

    Raises UnsafeSettingError for a file that others can read or that is damaged, and for a key that is too
    short, made up or used twice.
    """
    octets = read_guarded(path)
    try:
        return _parsed(json.loads(octets.decode(), object_pairs_hook=unique_members))
    except (ValueError, RecursionError, MalformedError) as exc:
        # The parser's words are left out: they could quote a key.
        raise UnsafeSettingError(f"key file `{path}` is damaged: put it back from the escrow") from exc
    except UnsafeSettingError as exc:
        raise UnsafeSettingError(f"key file `{path}`: {exc}") from exc


def create_root_file(path: Path, now: datetime, randomness: Randomness) -> None:
    """Write a new root file with one version; mode 0600, durable, never over another file.

    Raises ConflictError where the file exists, CustodyUnavailableError where it cannot be written.
    """
    root = Root(1, now, randomness(DATA_KEY_BYTES))
    with replacement_of(path) as replacement:
        replacement.add(_rendered([root]))


def add_root_version(path: Path, now: datetime, randomness: Randomness) -> int:
    """Add a root version, which wraps from the next load on, and return its number; older ones go on unwrapping.

    Raises what `load_roots` raises, ConflictError where somebody else is adding one, CustodyUnavailableError
    where the file cannot be written.
    """
    with replacement_of(path) as replacement:
        roots = load_roots(path)
        root = Root(roots[-1].version + 1, now, randomness(DATA_KEY_BYTES))
        replacement.exchange(_rendered([*roots, root]))
    return root.version


def _rendered(roots: Sequence[Root]) -> bytes:
    # INVARIANT: nothing is written that would not be read again.
    _check(roots)
    rows = [
        {"version": root.version, "created_at": rfc3339(root.created_at), "key": base64.b64encode(root.key).decode()}
        for root in roots
    ]
    return json.dumps({"format": FORMAT, "kind": KIND, "roots": rows}, indent=1).encode() + b"\n"


def _parsed(content: object) -> tuple[Root, ...]:
    match content:
        case {"format": int(number), "kind": "file", "roots": [_, *_] as rows, **rest} if not rest:
            pass
        case _:
            raise MalformedError("not a root file")
    if number != FORMAT:
        raise UnsafeSettingError(f"format {number} is unknown here: use the version of the exchange that wrote it")
    roots = tuple(_root(row) for row in rows)
    _check(roots)
    return roots


def _root(row: object) -> Root:
    match row:
        case {"version": int(version), "created_at": str(created_at), "key": str(key), **rest} if not rest:
            return Root(version, parse_rfc3339(created_at), base64.b64decode(key, validate=True))
        case _:
            raise MalformedError("not a root")


def _check(roots: Sequence[Root]) -> None:
    for number, root in enumerate(roots, start=1):
        # Counted from 1 without a gap: a missing version is a lost key, to be noticed now and not at a pull.
        if root.version != number:
            raise UnsafeSettingError(f"version {root.version} where {number} belongs: restore the file from the backup")
        fault = _weakness(root.key)
        if fault is not None:
            raise UnsafeSettingError(f"the key of version {root.version} {fault}: make one with `exchange init`")
    if len({root.key for root in roots}) != len(roots):
        raise UnsafeSettingError("two versions have the same key: restore the file from the backup")


def _weakness(key: bytes) -> str | None:
    if len(key) != DATA_KEY_BYTES:
        return f"has {len(key)} bytes instead of {DATA_KEY_BYTES}"
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    # Zeros, repetitions, counting, and passwords: what people and placeholders fill a key with.
    if min(len(set(key)), len(steps)) < _LEAST_DISTINCT or set(key) <= _TYPED:
        return "is not random"
    return None
