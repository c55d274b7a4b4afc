"""Whether who is bound, and who can read, is what the log says too: nobody is accused by rows that say another thing.

A breach rests on more rows than its report's: on where the parties of its agreement stood, on what the clients of the
two members are cleared for, on the caveats of the one whose reports they are. The jobs hold those against the log every
ten minutes, and breaches are looked for every fifteen seconds and never taken back. So the log is asked before.

INVARIANT: where one of them is not what its entries say, nothing is found by it, nor passed over: it is looked at again
for as long as anything is noticed. Versions of an agreement count for what was owed in their time alone.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, pairwise
from typing import Final

from exchange.agreements import InForce
from exchange.audit import Entry, EventName
from exchange.audit.rows_told import (
    AGREEMENT_EVENTS,
    LastWords,
    RowKept,
    RowKind,
    RowName,
    RowTold,
    contradiction,
    rows_told,
)
from exchange.crypto import OpeningError
from exchange.kernel import UnavailableError, parse_rfc3339
from exchange.store import BreachRow, Unread
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.searching import Found
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import (
    entries_waiting,
    require_none,
    require_readable,
    told_of,
    told_until_now,
)

_OF_MEMBERS: Final = (
    *(EventName.CLIENT_ENROLLED, EventName.CLIENT_CHANGED, EventName.CLIENT_REVOKED),
    *(EventName.MEMBER_ADDED, EventName.MEMBER_SUSPENDED, EventName.MEMBER_RESUMED),
    *(EventName.CAVEATS_ACTIVATED, EventName.ROW_CONTRADICTED),
)
"""What says of a member, its clients and its caveats where they stand; each is its own."""

_APART: Final = timedelta(minutes=5)
"""An entry is of when the call came that made its version, which may have waited for others."""


class Standings:
    """What the log was asked in one round of one agreement, of which `versions` are all: once of each member."""

    def __init__(self, services: Services, agreement: str, versions: Sequence[InForce]) -> None:
        self._services = services
        self._agreement = RowName(RowKind.AGREEMENT, agreement)
        self._versions = versions
        self._made: tuple[RowKept | None, Mapping[int, Sequence[RowTold]]] | None = None
        self._members: dict[str, bool] = {}

    async def require_as_told(self, breach: BreachRow, since: datetime) -> None:
        """Raise OpeningError where rows say of who was bound from `since` until it was due what no entry does.

        So it does where they say so of the two members, or of their clients, and where the log is away. Raises
        UnavailableError as `require_readable`, LogDamagedError where the log lacks what it says of them.
        """
        await require_readable(self._services, "who is bound, and who could read")
        try:
            is_told = await self._are_parties_told(since, breach.due_at)
            for member in (breach.party, breach.owed_to):
                is_told = is_told and await self._is_member_told(member)
        except LogDamagedError:
            raise
        except UnavailableError as exc:
            raise OpeningError("what the log says of who is bound cannot be read") from exc
        if not is_told:
            raise OpeningError("who was bound, or who can read, is not what the log says")

    async def _are_parties_told(self, since: datetime, until: datetime) -> bool:
        kept, told = self._made = self._made or await self._versions_told()
        # With the one that ended the last of them: a version reaches to where the next one begins.
        places = [
            place
            for place, each in enumerate(self._versions)
            if each.since <= until and (each.until is None or each.until > since)
        ]
        asked = self._versions[places[0] : places[-1] + 2] if places else ()
        if kept is None or not asked:
            return False
        numbers = {each.agreement.version for each in asked}
        is_newest = asked[-1] is self._versions[-1]
        # Of one that is gone the rows beside it may be made to reach over its time.
        if any(min(numbers) < each and (is_newest or each < max(numbers)) for each in told.keys() - numbers):
            return False
        are_in_order = all(each.until == following.since for each, following in pairwise(asked))
        return are_in_order and all(_is_version_told(each, kept, told) for each in asked)

    async def _versions_told(self) -> tuple[RowKept | None, Mapping[int, Sequence[RowTold]]]:
        # The row before its entries: of those that made it what it is none is missing.
        kept = (await self._services.store.rows_kept.of({self._agreement})).get(self._agreement)
        lacks: list[Found] = []
        told: dict[int, list[RowTold]] = {}
        async for entry in told_until_now(self._services, *AGREEMENT_EVENTS, subject=self._agreement.id, lacks=lacks):
            for each in rows_told(entry):
                if each.name == self._agreement:
                    told.setdefault(each.version, []).append(each)
        require_none(lacks, "that tell of an agreement")
        return kept, told

    async def _is_member_told(self, member: str) -> bool:
        if member not in self._members:
            self._members[member] = await self._is_told_of(member)
        return self._members[member]

    async def _is_told_of(self, member: str) -> bool:
        lacks: list[Found] = []
        told: dict[RowName, list[RowTold]] = {}
        async for entry in _told_of_member(self._services, member, lacks):
            for each in rows_told(entry):
                told.setdefault(each.name, []).append(each)
        require_none(lacks, "that tell of a member")
        clients = [each for each in await self._services.store.clients(Unread()) if each.member == member]
        names = {RowName(RowKind.CLIENT, each.id) for each in clients}
        names |= {RowName(RowKind.MEMBER, member), RowName(RowKind.CAVEATS, member)}
        names |= {name for name in told if name.kind is RowKind.CLIENT}
        # Rows behind their entries: what came in between is looked at again.
        kept = await self._services.store.rows_kept.of(names)
        return all(_is_current_told(kept.get(name), told.get(name, ())) for name in names)


async def _told_of_member(services: Services, member: str, lacks: list[Found]) -> AsyncIterator[Entry]:
    names = {event.value for event in _OF_MEMBERS}
    for entry in await entries_waiting(services):
        if entry["type"] in names and entry.get("owner") == member:
            yield entry
    async for entries in told_of(services, *_OF_MEMBERS, owner=member, lacks=lacks):
        for entry in entries:
            yield entry


def _is_version_told(version: InForce, kept: RowKept, told: Mapping[int, Sequence[RowTold]]) -> bool:
    """Return whether entries tell of a version of an agreement, when it was made, and where parties stood by it."""
    number, words = version.agreement.version, LastWords()
    made = told.get(number, ())
    if not any(abs(parse_rfc3339(each.by["ts"]) - version.since) <= _APART for each in made):
        return False
    for each in chain.from_iterable(some for until, some in told.items() if until <= number):
        words.take(each)
    then = replace(kept, version=number)
    return not any(_is_contradicted(each, then) for each in (*made, *words.found()))


def _is_current_told(kept: RowKept | None, told: Sequence[RowTold]) -> bool:
    """Return whether entries tell of the version in force of a row, and of none that is not there."""
    if kept is None or not told:
        return kept is None and not told
    newest = max(told, key=lambda each: (each.version, each.by["id"]))
    is_of_caveats = newest.name.kind is RowKind.CAVEATS
    if is_of_caveats and newest.by["type"] == EventName.ROW_CONTRADICTED.value:
        # Put in force again they are what two persons asked for. Else all is withheld, for what they were is lost.
        asked = [each.says["digest"] for each in told if each.by["type"] != EventName.ROW_CONTRADICTED.value]
        if newest.says["digest"] not in asked:
            return False
    held = [newest] if is_of_caveats else told
    return kept.version == newest.version and not any(_is_contradicted(each, kept) for each in held)


def _is_contradicted(told: RowTold, kept: RowKept) -> bool:
    found = contradiction(told, kept)
    return found is not None and found.is_current
