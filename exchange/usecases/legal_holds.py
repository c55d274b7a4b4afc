"""Legal holds: while one is on, on every node nothing is destroyed or archived for its age alone.

A hold is two entries of the log and nothing else: the one that put it on, and the one that lifted it. So whoever lifts
one is on record, and there is no row to alter. Of a log that cannot be read it is taken that one is on.
"""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from exchange.audit import Criteria, Entry, EntryDraft, EventName, Outcome, Subject, hash_leaf
from exchange.audit.text import fit_text
from exchange.kernel import InvalidError, NotFoundError, UnavailableError, new_id, parse_rfc3339
from exchange.store import Sought
from exchange.usecases.check_readiness import require_not_gone_back
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.recording import draft
from exchange.usecases.told_entries import entries_at, lacking
from exchange.usecases.troubles import Causes
from exchange.usecases.whole_entries import whole_entry

_EVENTS: Final = (EventName.HOLD_PUT, EventName.HOLD_LIFTED)
_AT_ONCE: Final = 100
_OBJECT: Final = "hold"
_UNFOUND: Final = "taken out of the search and not lifted (find out who wrote, and put another one on)"
_DAMAGED: Final = "an entry about a legal hold is damaged: `exchange audit verify` tells which"

_log = logging.getLogger("exchange.reports")


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold that is on: by which id it is lifted, since when, and why."""

    id: str
    since: datetime
    reason: str


@dataclass(slots=True)
class HoldWatch:
    """Whether time destroys nothing now: by a hold, or because this node's own setting says so (`is_set`).

    So it is while the database has gone back to an earlier time, until all is confirmed: it lacks a hold put since.
    """

    services: Services
    is_set: bool = False
    _told: Causes = field(default_factory=Causes)
    _on: frozenset[str] = frozenset()

    async def is_on(self) -> bool:
        """Return whether a hold is on, or it cannot be known."""
        if self.is_set:
            return True
        # Before: two rounds of a process may look at once.
        known = self._on
        try:
            await require_not_gone_back(self.services)
            put, lifted = await _put_and_lifted(self.services, with_waiting=False)
            if gone := sorted(known - put.keys() - lifted):
                raise UnavailableError(f"{_UNFOUND}: {', '.join(gone)}")
        except UnavailableError as exc:
            # INVARIANT: what is destroyed does not come back.
            if self._told.take(exc.message):
                _log.warning("nothing is destroyed while legal holds cannot be known: %s", exc.message)
            return True
        self._told.end()
        # Whoever takes one out of the search has not lifted it for whom it was on before.
        self._on = frozenset(put.keys() - lifted)
        return bool(self._on)


async def put_hold(services: Services, call: Call, reason: str) -> Recorded[LegalHold]:
    """Put a hold on, for every node from its next round on. Raises InvalidError without a reason."""
    hold = LegalHold(new_id(call.now, services.randomness), call.now, _required(reason))
    return Recorded(hold, await services.store.append(_draft(call, EventName.HOLD_PUT, hold.id, hold.reason)))


async def lift_hold(services: Services, call: Call, hold_id: str, reason: str) -> Recorded[LegalHold]:
    """Lift a hold; what is old enough is destroyed from the next round on where no other one is on.

    Raises InvalidError without a reason, NotFoundError where no such hold is on, UnavailableError where the log cannot
    be read.
    """
    why = _required(reason)
    lifted = next((each for each in await holds_on(services) if each.id == hold_id), None)
    if lifted is None:
        raise NotFoundError("no such legal hold is on: `exchange hold list` tells which are")
    return Recorded(lifted, await services.store.append(_draft(call, EventName.HOLD_LIFTED, hold_id, why)))


async def holds_on(services: Services) -> list[LegalHold]:
    """Return the holds that are on, the oldest first. Raises UnavailableError where the log cannot be read."""
    put, lifted = await _put_and_lifted(services, with_waiting=True)
    return [
        LegalHold(hold, parse_rfc3339(put[hold]["ts"]), str(put[hold].get("detail", {}).get("reason", "")))
        for hold in sorted(put.keys() - lifted)
    ]


async def _put_and_lifted(services: Services, *, with_waiting: bool) -> tuple[dict[str, Entry], set[str]]:
    """Return the entry of each hold that was ever put on, and which were lifted; raises as `holds_on`.

    Without those that are lifted by an entry that waits for its place, unless `with_waiting`: somebody who writes to
    the database can write one, and take it away again before it is on record.
    """
    entries = [entry async for entry in _told(services, with_waiting=with_waiting)]
    lifted = {_hold_of(entry) for entry in entries if entry["type"] == EventName.HOLD_LIFTED.value}
    put = {_hold_of(entry): entry for entry in entries if entry["type"] == EventName.HOLD_PUT.value}
    return put, lifted


def _hold_of(entry: Entry) -> str:
    # Somebody wrote one that names no hold: it is on all the same, and what nobody could lift would be so for ever.
    return entry["object"]["id"] if "object" in entry else entry["id"]


async def _told(services: Services, *, with_waiting: bool) -> AsyncIterator[Entry]:
    """Yield the entries about holds, first those that say so themselves: what is archived meanwhile is in both.

    The search tells of those that are archived, and of those that say it no more: somebody altered them.
    """
    names = {event.value for event in _EVENTS}
    for content, leaf_hash in await services.store.log.about_holds():
        if leaf_hash is not None and hash_leaf(content) != leaf_hash:
            raise UnavailableError(_DAMAGED)
        entry = whole_entry(content)
        if entry is None or entry["decision"] != Outcome.PERMITTED.value:
            continue
        is_told = leaf_hash is not None or with_waiting or entry["type"] == EventName.HOLD_PUT.value
        if is_told and entry["type"] in names:
            yield entry
    for event in _EVENTS:
        sought = Sought(Criteria(event=event.value, outcome=Outcome.PERMITTED.value), None, newest_first=False)
        async for places in services.store.found_places(sought, at_a_time=_AT_ONCE):
            entries = await entries_at(services, places)
            # Where the index was altered another entry may be at a place. A hold whose lifting is lost is on: lifted
            # again it is off, and all others are known.
            if event is EventName.HOLD_PUT and lacking(places, entries):
                raise UnavailableError(_DAMAGED)
            for entry in entries:
                if entry["type"] in names:
                    yield entry


def _required(reason: str) -> str:
    if not reason.strip():
        raise InvalidError("why? a legal hold is put on and lifted for a reason, which goes on record")
    return fit_text(reason.strip())


def _draft(call: Call, event: EventName, hold_id: str, reason: str) -> EntryDraft:
    return draft(call, None, event, Outcome.PERMITTED, subject=Subject(_OBJECT, hold_id), detail={"reason": reason})
