"""The revocation lists that a proxy at the edge is given: those before go on until something better lies there.

The same rule as a running node's: a proxy takes what it is given, and refuses everybody of an authority whose list is
cut, forged or over.
"""

from datetime import datetime
from pathlib import Path

from exchange.crypto import Authority, RevocationList, read_authorities
from exchange.entrypoints.http.contexts import read_lists, read_plain
from exchange.entrypoints.http.listed import by_key, first_lists, next_lists
from exchange.kernel import MalformedError, UnsafeSettingError


def lists_for_edge(
    lying: Path, authorities: Path, before: Path, now: datetime
) -> tuple[tuple[RevocationList, ...], list[str]]:
    """Return the lists that a proxy is given, and what of those in `lying` it is not given, and why.

    `before` is what it was given last. What it was never given of an authority is as at a node's start.
    """
    roots = enrolled(authorities)
    names = {root.name for root in roots}
    given = before.read_bytes() if before.exists() else b""
    try:
        known = first_lists({before: given} if given.strip() else {}, roots, now)
    except UnsafeSettingError:
        known = {}  # damaged: it is written anew
    try:
        begun_with = first_lists(read_lists(lying), roots, now)
    except UnsafeSettingError:
        begun_with = {}  # told below, and the others are taken there
    held = by_key((each for each in known.values() if each.issuer in names), roots)
    has_one = {each.issuer for each in held.values()}
    held |= {key: each for key, each in begun_with.items() if each.issuer not in has_one}
    listed = next_lists(lying, held, roots, now)
    return tuple(listed.lists[key] for key in sorted(listed.lists)), listed.refused


def enrolled(folder: Path) -> list[Authority]:
    """Return the authorities in a folder, as far as they can be read."""
    found: list[Authority] = []
    for path in sorted(folder.glob("*.pem")):
        try:
            found += read_authorities(read_plain(path))
        except (MalformedError, OSError):
            continue  # told where authorities are looked at
    return found
