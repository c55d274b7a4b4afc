"""National caveats as the log bears them out: a row alone shows no member what another one wrote.

The entries of who asked for a set, and of who put it in force, have the digest of its text as its member's. A row that
says anything else was altered, and is told of as what cannot be read.
"""

from collections.abc import Collection, Sequence
from typing import Final

from exchange.audit import EventName
from exchange.kernel import to_micros
from exchange.release import NationalText
from exchange.store import CaveatSet, Unread, UnreadRow
from exchange.store.books.caveat_mending import LOST
from exchange.store.log.searching import Found
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import may_be_told, require_readable, told_of, waiting_of

_EVENTS: Final = (EventName.CAVEATS_PROPOSED, EventName.CAVEATS_ACTIVATED)


async def borne_out(
    services: Services, member: str, kept: Sequence[CaveatSet], unread: Unread
) -> tuple[list[CaveatSet], int]:
    """Return those of a member's sets that are, word for word, what was asked for of it; note the others in `unread`.

    But not those of which the log may lack what it said: they are shown to nobody, and no row is accused for them;
    return how many there are. Raises UnavailableError as `require_readable`. No unit is held meanwhile: on SQLite
    nobody could write.
    """
    if not kept:
        return [], 0
    await require_readable(services, "whose caveats these are")
    # What was put in force again has the text of the set that it replaces.
    ids = {str(each) for one in kept for each in (one.id, one.replaces)}
    told, lacks = await waiting_of(services, *_EVENTS, subjects=ids), list[Found]()
    async for entries in told_of(services, *_EVENTS, owner=member, lacks=lacks):
        told += entries
    digests = {entry.get("detail", {}).get("digest") for entry in told}
    whole = [each for each in kept if _is_borne_out(each, digests)]
    others = [each for each in kept if each not in whole]
    altered = [each for each in others if not _may_be_told(lacks, each)]
    unread.rows += [UnreadRow(f"caveats {each.id}", frozenset({each.member})) for each in altered]
    return whole, len(others) - len(altered)


def _may_be_told(lacks: Sequence[Found], one: CaveatSet) -> bool:
    moments = (one.proposed_at, one.in_force_at)
    return may_be_told(lacks, *(to_micros(each) for each in moments if each is not None))


def _is_borne_out(one: CaveatSet, digests: Collection[object]) -> bool:
    # A digest is of the member too: of what another one asked for there is none.
    text = NationalText(one.guards, one.examples)
    return text.digest(one.member) == one.digest and (text == LOST or one.digest in digests)
