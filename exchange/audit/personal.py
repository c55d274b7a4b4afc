"""Personal data in entries: encrypted inside the bytes, so that destroying a key erases it and the log still verifies.

What is personal: the client's name, the address a request came from, what the program there calls itself, the
certificate's thumbprint and subject. An entry shows search tokens in place of address and thumbprint, and all of it
under a key per subject and period (`pii`).
"""

from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Final

import orjson

from exchange.audit.draft import EntryDraft
from exchange.audit.shape import Entry, PersonalFields
from exchange.audit.text import fit_text
from exchange.crypto import OpeningError, PersonalKey, SearchTokens

LOCAL_SOURCES: Final = frozenset({"", "host", "local"})
"""Sources that are no address: the command line at the host, the service itself, a socket without one."""

STRANGER: Final = "stranger"
"""The one subject of all who are not enrolled: a flood of new certificates must not make as many keys."""

WITHHELD: Final = "withheld"
"""Stands for an address where there was nothing to keep it with."""

_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Who it was and from where, in the clear; None is what the entry does not hold.

    `certificate_subject` is a distinguished name as RFC 4514 writes it.
    """

    name: str | None = None
    source: str | None = None
    thumbprint: str | None = None
    certificate_subject: str | None = None
    user_agent: str | None = None


class Unrevealed(Enum):
    """Why the personal data of an entry is not shown: its key is destroyed, or it does not open under its key."""

    ERASED = "erased"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Guard:
    """What keeps an entry's personal data. Without a key only the tokens are kept, and nobody can read what was."""

    tokens: SearchTokens
    key: PersonalKey | None


def key_subject(draft: EntryDraft) -> str | None:
    """Return under whose keys the personal data of `draft` is kept, None where it has none."""
    actor = draft.actor
    if draft.source in LOCAL_SOURCES and not actor.thumbprint and actor.name is None:
        return None
    return actor.id if actor.kind == "client" and actor.id is not None else STRANGER


def period_of(moment: datetime, *, months: int = 1) -> str:
    """Return the period of `moment`, named by its first month (`2026-10`); `months` is how many it has, 1 to 12."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return _period_named(utc.year, (utc.month - 1) // months * months + 1)


def is_period(text: str) -> bool:
    """Return whether `text` is written as periods are."""
    year, _, month = text.partition("-")
    is_written = len(year) == 4 and len(month) == 2 and text.isascii() and (year + month).isdecimal()  # noqa: PLR2004
    return is_written and 1 <= int(month) <= _MONTHS


def guarded_source(source: str, guard: Guard | None) -> str:
    """Return what an entry shows of where a request came from."""
    if source in LOCAL_SOURCES:
        return source
    return WITHHELD if guard is None else guard.tokens.of_address(source)


def guarded_thumbprint(thumbprint: str | None, guard: Guard | None) -> str | None:
    """Return what an entry shows of a certificate; the empty text stands for a request without one."""
    if not thumbprint:
        return thumbprint
    return None if guard is None else guard.tokens.of_thumbprint(thumbprint)


def seal_personal(draft: EntryDraft, key: PersonalKey, *, entry_id: str, boot: str, node_seq: int) -> PersonalFields:
    """Return the personal data of `draft` under `key`, bound to the entry it stands in."""
    actor = draft.actor
    clear = {}
    if actor.name is not None:
        clear["name"] = fit_text(actor.name)
    if draft.source not in LOCAL_SOURCES:
        clear["source"] = fit_text(draft.source)
    if actor.thumbprint:
        clear["thumbprint"] = fit_text(actor.thumbprint)
    if actor.certificate_subject:
        clear["certificate_subject"] = fit_text(actor.certificate_subject)
    if draft.user_agent:
        clear["user_agent"] = fit_text(draft.user_agent)
    ciphertext = key.encrypt(node_seq, orjson.dumps(clear), _place(entry_id, boot, node_seq, key.kid))
    return {"kid": key.kid, "ciphertext": b2a_base64(ciphertext, newline=False).decode()}


def open_personal(entry: Entry, key: PersonalKey) -> PersonalData:
    """Return the personal data of `entry`.

    Raises OpeningError where it has none, and where key, ciphertext and entry do not belong together: a ciphertext that
    was moved from another entry does not open.
    """
    fields = entry.get("pii")
    if fields is None or fields["kid"] != key.kid:
        raise OpeningError("the entry holds no personal data under this key")
    try:
        ciphertext = a2b_base64(fields["ciphertext"], strict_mode=True)
    except ValueError as exc:
        raise OpeningError("personal data, key and entry do not belong together") from exc
    place = _place(entry["id"], entry["boot"], entry["node_seq"], key.kid)
    # What opens was sealed here: nothing of its shape is left to doubt.
    return PersonalData(**orjson.loads(key.decrypt(entry["node_seq"], ciphertext, place)))


@lru_cache(maxsize=128)
def _period_named(year: int, month: int) -> str:
    return f"{year:04d}-{month:02d}"


def _place(entry_id: str, boot: str, node_seq: int, kid: str) -> bytes:
    return f"{kid}\n{boot}\n{node_seq}\n{entry_id}".encode()
