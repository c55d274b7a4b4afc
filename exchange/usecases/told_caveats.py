"""National caveats as the log bears them out: a row alone shows no member what another one wrote.

The entry of who asked for a set has the digest of its text as its member's. A row that says anything else was altered,
and is told of as what cannot be read.
"""

from collections.abc import Collection, Sequence

from exchange.audit import EventName
from exchange.release import NationalText
from exchange.store import CaveatSet, Unread, UnreadRow
from exchange.store.caveat_mending import LOST
from exchange.usecases.context import Services
from exchange.usecases.told_entries import require_readable, told_of, waiting_of


async def borne_out(services: Services, kept: Sequence[CaveatSet], unread: Unread) -> list[CaveatSet]:
    """Return those of `kept` that are, word for word, what was asked for of their member; note the others in `unread`.

    Raises UnavailableError as `require_readable`.
    """
    if not kept:
        return []
    await require_readable(services, "whose caveats these are")
    event = EventName.CAVEATS_PROPOSED
    # What was put in force again has the text of the set that it replaces.
    ids = {str(each) for one in kept for each in (one.id, one.replaces)}
    told = await waiting_of(services, event, subjects=ids)
    async for entries in told_of(services, event.value):
        told += entries
    digests = {entry.get("detail", {}).get("digest") for entry in told}
    whole = [each for each in kept if _is_borne_out(each, digests)]
    unread.rows += [UnreadRow(f"caveats {each.id}", frozenset({each.member})) for each in kept if each not in whole]
    return whole


def _is_borne_out(one: CaveatSet, digests: Collection[object]) -> bool:
    # A digest is of the member too: of what another one asked for there is none.
    text = NationalText(one.guards, one.examples)
    return text.digest(one.member) == one.digest and (text == LOST or one.digest in digests)
