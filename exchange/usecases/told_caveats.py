"""National caveats as the log bears them out: a row alone shows no member what another one wrote.

The entries of who asked for a set, and of who put it in force, have the digest of its text as its member's. A row that
says anything else was altered, and is told of as what cannot be read.
"""

from collections.abc import Collection, Sequence
from typing import Final

from exchange.audit import EventName
from exchange.release import NationalText
from exchange.store import CaveatSet, Unread, UnreadRow
from exchange.store.caveat_mending import LOST
from exchange.usecases.context import Services
from exchange.usecases.told_entries import require_readable, told_of, waiting_of

_EVENTS: Final = (EventName.CAVEATS_PROPOSED, EventName.CAVEATS_ACTIVATED)


async def borne_out(services: Services, member: str, kept: Sequence[CaveatSet], unread: Unread) -> list[CaveatSet]:
    """Return those of a member's sets that are, word for word, what was asked for of it; note the others in `unread`.

    Raises UnavailableError as `require_readable`. No unit is held meanwhile: on SQLite nobody could write.
    """
    if not kept:
        return []
    await require_readable(services, "whose caveats these are")
    # What was put in force again has the text of the set that it replaces.
    ids = {str(each) for one in kept for each in (one.id, one.replaces)}
    told = await waiting_of(services, *_EVENTS, subjects=ids)
    for event in _EVENTS:
        async for entries in told_of(services, event.value, owner=member):
            told += entries
    digests = {entry.get("detail", {}).get("digest") for entry in told}
    whole = [each for each in kept if _is_borne_out(each, digests)]
    unread.rows += [UnreadRow(f"caveats {each.id}", frozenset({each.member})) for each in kept if each not in whole]
    return whole


def _is_borne_out(one: CaveatSet, digests: Collection[object]) -> bool:
    # A digest is of the member too: of what another one asked for there is none.
    text = NationalText(one.guards, one.examples)
    return text.digest(one.member) == one.digest and (text == LOST or one.digest in digests)
