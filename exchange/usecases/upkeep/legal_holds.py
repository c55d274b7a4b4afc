"""Legal holds: while one is on, on every node nothing is destroyed or archived for its age alone.

A hold is two entries of the log and nothing else: the one that put it on, and the one that lifted it. So whoever lifts
one is on record, and there is no row to alter. Of a log that cannot be read it is taken that one is on.
"""

import logging
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from exchange.audit import Criteria, Entry, EntryDraft, EventName, Outcome, Subject, hash_leaf
from exchange.audit.text import fit_text
from exchange.kernel import InvalidError, NotFoundError, UnavailableError, new_id, parse_rfc3339
from exchange.store import Sought
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft
from exchange.usecases.steps.told_entries import entries_at, lacking
from exchange.usecases.steps.troubles import Causes
from exchange.usecases.steps.whole_entries import whole_entry
from exchange.usecases.upkeep.check_readiness import require_not_gone_back

_EVENTS: Final = (EventName.HOLD_PUT, EventName.HOLD_LIFTED)
_NAMES: Final = frozenset(event.value for event in _EVENTS)
_AT_ONCE: Final = 100
_OBJECT: Final = "hold"
_UNFOUND: Final = "taken out of the search and not lifted (find out who wrote, and put another one on)"
_DAMAGED: Final = "an entry about a legal hold is damaged: put it back, or lift what it may have put on"

_log = logging.getLogger("exchange.reports")


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold that is on: by which id it is lifted, since when, why, and by which entry.

    Where its entry is damaged, the id is the entry's, and since when is not known.
    """

    id: str
    since: datetime | None
    reason: str
    entry: str

    @property
    def is_damaged(self) -> bool:
        """Return whether an entry that cannot be read may have put it on."""
        return self.since is None


@dataclass(slots=True)
class HoldWatch:
    """Whether time destroys nothing now: by a hold, or because this node's own setting says so (`is_set`).

    So it is while the database has gone back to an earlier time, until all is confirmed: it lacks a hold put since.
    """

    services: Services
    is_set: bool = False
    _told: Causes = field(default_factory=Causes)
    _on: tuple[LegalHold, ...] = ()

    async def is_on(self) -> bool:
        """Return whether a hold is on, or it cannot be known."""
        if self.is_set:
            return True
        # Before: two rounds of a process may look at once.
        known = self._on
        try:
            await require_not_gone_back(self.services)
            put, lifted = await _put_and_lifted(self.services, with_waiting=False)
            if gone := [each.id for each in known if not {each.id, each.entry} & (put.keys() | lifted)]:
                raise UnavailableError(f"{_UNFOUND}: {', '.join(gone)}")
            if damaged := [each.id for each in put.values() if each.is_damaged and each.id not in lifted]:
                raise UnavailableError(f"{_DAMAGED}: {', '.join(damaged)}")
        except UnavailableError as exc:
            # INVARIANT: what is destroyed does not come back.
            if self._told.take(exc.message):
                _log.warning("nothing is destroyed while legal holds cannot be known: %s", exc.message)
            return True
        self._told.end()
        # Whoever takes one out of the search has not lifted it for whom it was on before.
        self._on = tuple(each for each in put.values() if each.id not in lifted)
        return bool(self._on)


async def put_hold(services: Services, call: Call, reason: str) -> Recorded[LegalHold]:
    """Put a hold on, for every node from its next round on. Raises InvalidError without a reason."""
    hold, why = new_id(call.now, services.randomness), _required(reason)
    receipt = await services.store.append(_draft(call, EventName.HOLD_PUT, hold, why))
    return Recorded(LegalHold(hold, call.now, why, receipt.entry), receipt)


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
    return [put[hold] for hold in sorted(put.keys() - lifted)]


async def _put_and_lifted(services: Services, *, with_waiting: bool) -> tuple[dict[str, LegalHold], set[str]]:
    """Return the holds that were ever put on, by id, and which were lifted; raises as `holds_on`.

    Without those that are lifted by an entry that waits for its place, unless `with_waiting`: somebody who writes to
    the database can write one, and take it away again before it is on record.
    """
    put: dict[str, LegalHold] = {}
    lifted: set[str] = set()
    async for told in _told(services, with_waiting=with_waiting):
        if isinstance(told, LegalHold):
            put[told.id] = told
        elif told["type"] == EventName.HOLD_LIFTED.value:
            lifted.add(_hold_of(told))
        else:
            hold = _hold_of(told)
            why = str(told.get("detail", {}).get("reason", ""))
            put[hold] = LegalHold(hold, parse_rfc3339(told["ts"]), why, told["id"])
    return put, lifted


def _hold_of(entry: Entry) -> str:
    # Somebody wrote one that names no hold: it is on all the same, and what nobody could lift would be so for ever.
    return entry["object"]["id"] if "object" in entry else entry["id"]


def _damaged(entry_id: str) -> LegalHold:
    """Return what an entry that cannot be read may have put on."""
    return LegalHold(entry_id, None, _DAMAGED, entry_id)


async def _told(services: Services, *, with_waiting: bool) -> AsyncIterator[Entry | LegalHold]:
    """Yield the entries about holds, first those that say so themselves: what is archived meanwhile is in both.

    The search tells of those that are archived, and of those that say it no more: somebody altered them. In place of
    one that is damaged comes what it may have put on.
    """
    whole: set[str] = set()
    for entry_id, content, leaf_hash in await services.store.log.about_holds():
        if leaf_hash is not None and hash_leaf(content) != leaf_hash:
            yield _damaged(entry_id)
            continue
        entry = whole_entry(content)
        is_placed = leaf_hash is not None
        told = entry if entry is not None and _tells(entry, is_placed=is_placed or with_waiting) else None
        # INVARIANT: what has no leaf may have been altered, and hides no hold that the search tells of.
        if is_placed or (told is not None and told["type"] == EventName.HOLD_PUT.value):
            whole.add(entry_id)
        if told is not None:
            yield told
    async for each in _found(services, whole):
        yield each


async def _found(services: Services, whole: Collection[str]) -> AsyncIterator[Entry | LegalHold]:
    """Yield what the search finds; nothing is damaged of the entries in `whole`, for they were read."""
    for event in _EVENTS:
        sought = Sought(Criteria(event=event.value, outcome=Outcome.PERMITTED.value), None, newest_first=False)
        async for places in services.store.found_places(sought, at_a_time=_AT_ONCE):
            entries = await entries_at(services, places)
            # Where the index was altered another entry may be at a place. A hold whose lifting is lost is on: lifted
            # again it is off, and all others are known.
            if event is EventName.HOLD_PUT:
                for place in lacking(places, entries):
                    if place.id not in whole:
                        yield _damaged(place.id)
            for entry in entries:
                if entry["type"] in _NAMES:
                    yield entry


def _tells(entry: Entry, *, is_placed: bool) -> bool:
    is_told = is_placed or entry["type"] == EventName.HOLD_PUT.value
    return is_told and entry["decision"] == Outcome.PERMITTED.value and entry["type"] in _NAMES


def _required(reason: str) -> str:
    if not reason.strip():
        raise InvalidError("why? a legal hold is put on and lifted for a reason, which goes on record")
    return fit_text(reason.strip())


def _draft(call: Call, event: EventName, hold_id: str, reason: str) -> EntryDraft:
    return draft(call, None, event, Outcome.PERMITTED, subject=Subject(_OBJECT, hold_id), detail={"reason": reason})
