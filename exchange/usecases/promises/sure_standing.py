"""Whether who is bound, and who can read, is what the log says too: nobody is accused by rows that say another thing.

A breach rests on more rows than its report's: on where the parties of its agreement stood, on what the clients of the
two members are cleared for, on the caveats of the one whose reports they are. The jobs hold those against the log every
ten minutes, and breaches are looked for every fifteen seconds and never taken back. So the log is asked before.

INVARIANT: where one of them is not what its entries say, nothing is found by it, nor passed over: it is looked at again
for as long as anything is noticed. Versions of an agreement count for what was owed in their time alone.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, pairwise, zip_longest
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
from exchange.kernel import LAST_MOMENT, UnavailableError, parse_rfc3339
from exchange.members import Client, Role, Standing
from exchange.store import BreachRow, Span, Unread
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


@dataclass(frozen=True, slots=True)
class _Member:
    """What entries say, and what the database has, of a member, its clients and its caveats."""

    names: frozenset[RowName]
    told: Mapping[RowName, Sequence[RowTold]]
    kept: Mapping[RowName, RowKept]

    @property
    def is_told(self) -> bool:
        """Return whether each of them is now what its entries say."""
        return all(_is_current_told(self.kept.get(name), self.told.get(name, ())) for name in self.names)

    @property
    def clients(self) -> list[RowName]:
        """Return its clients."""
        return [name for name in self.names if name.kind is RowKind.CLIENT]


@dataclass(frozen=True, slots=True)
class ReadersThen:
    """The versions of a member's readers: `sure` are as told, `doubted` are those of which rows say another thing."""

    sure: list[Span[Client]] = field(default_factory=list)
    doubted: list[Span[RowTold]] = field(default_factory=list)

    def may_have_read(self, moment: datetime) -> bool:
        """Return whether it is not known what a reader could read at `moment`."""
        return any(
            each.since - _APART <= moment and (each.until is None or moment - _APART <= each.until)
            for each in self.doubted
        )

    def cleared_since(self) -> datetime | None:
        """Return since when one was cleared without a break until the last of them was; None for no reader.

        Raises OpeningError where no entry says how long one of those in doubt was cleared.
        """
        spells = [(each.since, each.until, each.value.clearance.until) for each in self.sure]
        spells += [(each.since, each.until, _cleared_until(each.value)) for each in self.doubted]
        found: datetime | None = None
        ends = [(min(until or LAST_MOMENT, cleared or LAST_MOMENT), since) for since, until, cleared in spells]
        for until, since in sorted(ends, reverse=True):
            # Of those in doubt it is not known to the moment when they held.
            if found is not None and until < found - (_APART if self.doubted else timedelta(0)):
                break
            found = since if found is None else min(since, found)
        return found


class Standings:
    """What the log was asked in one round of one agreement, of which `versions` are all: once of each member."""

    def __init__(self, services: Services, agreement: str, versions: Sequence[InForce]) -> None:
        self._services = services
        self._agreement = RowName(RowKind.AGREEMENT, agreement)
        self._versions = versions
        self._made: tuple[RowKept | None, Mapping[int, Sequence[RowTold]]] | None = None
        self._members: dict[str, _Member] = {}

    async def require_as_told(self, breach: BreachRow, since: datetime) -> None:
        """Raise OpeningError where rows say of who was bound from `since` until it was due what no entry does.

        So it does where they say so of the two members, or of their clients, and where the log is away. Raises
        UnavailableError as `require_readable`, LogDamagedError where the log lacks what it says of them.
        """
        await require_readable(self._services, "who is bound, and who could read")
        try:
            is_told = await self._are_parties_told(since, breach.due_at)
            for member in (breach.party, breach.owed_to):
                is_told = is_told and (await self._member(member)).is_told
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

    async def is_as_told(self, member: str) -> bool:
        """Return whether a member, its clients and its caveats are what the log says; so they are where it lacks that.

        Raises UnavailableError as `require_readable`, OpeningError where the log is away.
        """
        await require_readable(self._services, "who could read")
        try:
            return (await self._member(member)).is_told
        except LogDamagedError:
            return True
        except UnavailableError as exc:
            raise OpeningError("what the log says of who could read cannot be read") from exc

    async def readers_then(self, member: str, since: datetime, until: datetime) -> ReadersThen:
        """Return who read for a member at some moment from `since` until `until`.

        Raises UnavailableError where the log is away, or lacks what it says of them.
        """
        spans = await self._services.store.history.clients_of(member, since, until, Unread())
        of_member, then = await self._member(member), ReadersThen()
        for name in of_member.clients:
            held = {span.value.version: span for span in spans if span.value.id == name.id}
            sure, doubted = _told_in(of_member.kept.get(name), of_member.told.get(name, ()), held, (since, until))
            then.sure.extend(each for each in sure if each.value.is_active and Role.READER in each.value.roles)
            then.doubted.extend(each for each in doubted if _may_read(each.value))
        return then

    async def _member(self, member: str) -> _Member:
        if member not in self._members:
            self._members[member] = await self._told_of(member)
        return self._members[member]

    async def _told_of(self, member: str) -> _Member:
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
        return _Member(frozenset(names), told, kept)


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


def _told_in(
    kept: RowKept | None, told: Sequence[RowTold], held: Mapping[int, Span[Client]], period: tuple[datetime, datetime]
) -> tuple[list[Span[Client]], list[Span[RowTold]]]:
    """Return which versions of a client that rows say `held` in a period are as told, and those that were otherwise."""
    since, until = period
    made: dict[int, list[RowTold]] = {}
    for each in told:
        made.setdefault(each.version, []).append(each)
    at = {version: min(parse_rfc3339(each.by["ts"]) for each in some) for version, some in made.items()}
    sure, doubted, in_order = [], [], sorted(made)
    for version, following in zip_longest(in_order, in_order[1:]):
        span, ends = held.get(version), None if following is None else at[following]
        if span is not None and kept is not None and _is_span_told(span, at[version], ends):
            then = replace(kept, version=version)
            if not any(_is_contradicted(each, then) for each in made[version]):
                sure.append(span)
                continue
        # Near its ends it may have held, and may not.
        if span is not None or (at[version] < until - _APART and (ends is None or ends > since + _APART)):
            doubted.append(Span(max(made[version], key=lambda each: each.by["id"]), at[version], ends))
    return sure, doubted


def _is_span_told(span: Span[Client], at: datetime, ends: datetime | None) -> bool:
    is_its_end = span.until is None if ends is None else span.until is not None and abs(ends - span.until) <= _APART
    return abs(at - span.since) <= _APART and is_its_end


def _cleared_until(told: RowTold) -> datetime | None:
    until = told.says.get("until")
    if not isinstance(until, str):
        raise OpeningError("until when who could read is not what the log says")
    return parse_rfc3339(until) if until else None


def _may_read(told: RowTold) -> bool:
    """Return whether a version of a client may have been a reader, by its entry; the older ones do not say."""
    roles, standing = told.says.get("roles"), told.says.get("standing")
    is_reader = not isinstance(roles, tuple) or Role.READER.value in roles
    return is_reader and standing in {None, Standing.ACTIVE.value}


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
