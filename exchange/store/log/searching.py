"""A search of the log: several walks along its indexes, merged into one in the order of time.

Steps: (1) the lanes that hold all that can be meant; (2) a few rows of each; (3) more of those lanes that end before
the page does, for they may hold what belongs on it; (4) hand out the page, and so on.

Each walk waits for its turn among other searches (`fair_turns`), and others are answered between two.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from heapq import nlargest, nsmallest
from math import ceil, sqrt
from typing import NamedTuple

from exchange.audit import TOLD_REASONS, Criteria, Outcome, hash_leaf
from exchange.kernel import to_micros
from exchange.store.database.dialect import Fetch, Value, as_bytes
from exchange.store.database.fair_turns import FairTurns
from exchange.store.log.archived import ArchivedEntries
from exchange.store.log.search_statements import Along, SearchStatements

_GROWTH = 4
"""A lane that stops the others is asked for this many times more each time."""

_SPREAD = 3
"""How far above its fair share a lane is asked, in standard deviations of random arrival."""

_PIECES = 4
"""Of a facet: member, event, outcome and level."""

_MOST_AT_ONCE = 1_000
STRETCH = 2_000
"""Rows that a walk on SQLite passes at a time, some milliseconds: nobody is answered meanwhile."""

_FIRST, _LAST = -(2**62), 2**62


class Place(NamedTuple):
    """Where an entry stands in the order of time; entries of one microsecond in the order of the log.

    No two entries share both: one log follows another in time.
    """

    at_micros: int
    position: int


BEFORE_ALL, AFTER_ALL = Place(_FIRST, -1), Place(_LAST, _LAST)


class Found(NamedTuple):
    """An entry on its way out of the index; one log's positions are counted apart from another's."""

    place: Place
    id: str
    log: int


class Hit(NamedTuple):
    """An entry that may be meant: the slice has the last word. One that is not what is in the tree has no `content`."""

    place: Place
    id: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Sought:
    """What is searched for, in whose slice, from where, in which order.

    `member` None means the slice of the exchange itself; `treaties` are the agreements that `member` is or was a party
    of; `levels` the names of the levels that the auditor's clearance may cover, None for all. `own` are those ids that
    the filters name and that belong to `member`: its clients, reports and agreements. `under` passes over what is about
    another agreement: there, nothing is meant. `subjects`, in the slice of the exchange, are several of which each is
    meant, where `criteria` names none. `asker` is who waits for its own searches only.
    """

    criteria: Criteria
    member: str | None
    treaties: tuple[str, ...] = ()
    levels: frozenset[str] | None = None
    own: frozenset[str] = frozenset()
    under: str | None = None
    subjects: Sequence[str] = ()
    place: Place | None = None
    newest_first: bool = True
    asker: str = ""

    @property
    def is_silent_on_refusals(self) -> bool:
        """Return whether a filter asks for what the view of an own client's refusal withholds."""
        asked = self.criteria
        told = asked.reason is None or asked.reason in TOLD_REASONS
        may_be_told = asked.text is None or any(asked.text in reason for reason in TOLD_REASONS)
        return asked.asks_for_judgement or not told or not may_be_told


@dataclass(slots=True)
class _Lane:
    """One walk, and how far it has come; `waiting` is not handed out yet."""

    along: Along
    key: str
    end: Place
    share: int
    goes_on: bool = True
    waiting: list[Found] = field(default_factory=list)


class Search:
    """Walks the log for one `Sought`; what it finds and the database has not any more, `archived` has."""

    def __init__(  # noqa: PLR0913  what a search stands on
        self,
        fetch: Fetch,
        statements: SearchStatements,
        sought: Sought,
        *,
        archived: ArchivedEntries,
        turns: FairTurns,
        is_sqlite: bool,
    ) -> None:
        self._fetch = fetch
        self._turns = turns
        self._archived = archived
        self._statements = statements
        self._sought = sought
        self._is_sqlite = is_sqlite
        self._filters = _filters(sought)

    async def hits(self, at_a_time: int) -> AsyncIterator[list[Hit]]:
        """Yield entries in order, `at_a_time` at once while there are so many."""
        async for found in self.found(at_a_time):
            yield await self._with_contents(found)

    async def found(self, at_a_time: int) -> AsyncIterator[list[Found]]:
        """Yield where entries are, in order, `at_a_time` at once while there are so many; none of them is read."""
        # (1) what there is to walk
        lanes = await self._lanes(at_a_time)
        while lanes:
            # (2), (3) until so many are settled that no lane can come before them any more
            while stopping := self._stopping(lanes, at_a_time):
                await self._refill(stopping)
            # (4) what is settled
            first = self._taken(lanes, at_a_time)
            if first:
                yield first
            lanes = [lane for lane in lanes if lane.goes_on or lane.waiting]

    async def _lanes(self, at_a_time: int) -> list[_Lane]:
        found = [(along, key) async for along, key in self._keys()]
        start = self._start()
        fair = at_a_time / max(1, len(found))
        share = min(at_a_time, ceil(fair + _SPREAD * sqrt(fair)) + _SPREAD)
        return [_Lane(along, key, start, share) for along, key in found]

    def _start(self) -> Place:
        """Return where the walks begin: at the place asked for, or where the time asked for begins, if that is further.

        A database uses one bound to begin with; with the other one it would pass over all that lies between.
        """
        sought, asked = self._sought, self._sought.criteria
        if sought.newest_first:
            end = AFTER_ALL if asked.until is None else Place(to_micros(asked.until), -1)
            return end if sought.place is None else min(end, sought.place)
        begin = BEFORE_ALL if asked.since is None else Place(to_micros(asked.since), -1)
        return begin if sought.place is None else max(begin, sought.place)

    async def _keys(self) -> AsyncIterator[tuple[Along, str]]:
        sought, asked = self._sought, self._sought.criteria
        if sought.member is not None and asked.agreement is not None and asked.agreement not in sought.treaties:
            return
        if sought.subjects:
            for each in sought.subjects:
                yield Along.SUBJECT, each
            return
        narrow = (
            (Along.SUBJECT, asked.subject),
            (Along.CLIENT, asked.client),
            (Along.THUMBPRINT, asked.thumbprint),
            (Along.AGREEMENT, asked.agreement),
            (Along.SOURCE, asked.source),
            # Of a name that others have too, what they did would be passed: a member walks its own slice for it.
            (Along.AGENCY, asked.agency if sought.member is None else None),
        )
        chosen = next(((along, key) for along, key in narrow if key is not None), None)
        if chosen is not None:
            for lane in await self._narrow_keys(*chosen):
                yield lane
            return
        walk = self._keys_of_all() if sought.member is None else self._slice_keys(sought.member)
        async for lane in walk:
            yield lane

    async def _narrow_keys(self, along: Along, key: str) -> list[tuple[Along, str]]:
        """Return the lanes for one id: of what is foreign, only that part which touches the member.

        What others do among themselves is not even walked past: it must not cost anything that could be measured.
        """
        member = self._sought.member
        if along in {Along.SOURCE, Along.THUMBPRINT}:
            # From where others came is not shown, so only the member's own are walked.
            return [(along, each) for each in ([f"{key}|{member}"] if member else await self._values(along, key))]
        if member is None or key in self._sought.own or along is Along.AGREEMENT:
            return [(along, key)]
        if along is Along.SUBJECT:
            return [(Along.MEMBER_SUBJECT, f"{member}|{key}")]
        treaties = [(Along.SUBJECT, each) for each in self._sought.treaties]
        if self._sought.criteria.owner not in {None, member}:
            return treaties  # what it did with another's reports is not even walked past
        return [(Along.OWNER_CLIENT, f"{member}|{key}"), *treaties]

    async def _keys_of_all(self) -> AsyncIterator[tuple[Along, str]]:
        asked = self._sought.criteria
        if asked.asks_for_reasons:
            for lane in await self._reasons(Along.REASONS, None):
                yield lane
        elif asked.owner is not None:
            for lane in await self._facets(Along.OWNER_FACET, asked.owner):
                yield lane
        elif self._sought.levels is None and (asked.member, asked.event, asked.outcome, asked.level) == (None,) * 4:
            yield Along.TIME, ""
        else:
            for lane in await self._facets(Along.FACET, asked.member):
                yield lane

    async def _slice_keys(self, member: str) -> AsyncIterator[tuple[Along, str]]:
        asked = self._sought.criteria
        if asked.asks_for_reasons:
            for along in (Along.OWNER_REASONS, Along.MEMBER_REASONS):
                for lane in await self._reasons(along, member):
                    yield lane
            return
        for along, beginning in self._facets_of_slice(member):
            for lane in await self._facets(along, beginning):
                yield lane
        if asked.owner is None and asked.level is None:
            for agreement in self._sought.treaties:
                yield Along.SUBJECT, agreement

    def _facets_of_slice(self, member: str) -> tuple[tuple[Along, str], ...]:
        """Return whose facets hold what is in the slice: both sides of it, or where one is somebody else, that pair."""
        asked = self._sought.criteria
        if asked.member not in {None, member}:
            return ((Along.OWNER_MEMBER_FACET, f"{member}|{asked.member}"),)
        if asked.owner not in {None, member}:
            return ((Along.OWNER_MEMBER_FACET, f"{asked.owner}|{member}"),)
        if asked.member is not None:
            return ((Along.FACET, member),)
        return ((Along.FACET, member), (Along.OWNER_FACET, member))

    async def _reasons(self, along: Along, member: str | None) -> list[tuple[Along, str]]:
        """Return the lanes of the reasons asked for; those of one refusal stand together, joined by commas."""
        asked = self._sought.criteria
        listed = [(value, value.rpartition("|")[2].split(",")) for value in await self._values(along, member)]
        return [
            (along, value)
            for value, reasons in listed
            if (asked.reason is None or asked.reason in reasons)
            and (asked.text is None or any(asked.text in reason for reason in reasons))
        ]

    async def _facets(self, along: Along, member: str | None) -> list[tuple[Along, str]]:
        """Return the facets that may hold something: of the event, outcome and level asked for and not above."""
        return [(along, facet) for facet in await self._values(along, member) if self._may_hold(along, facet)]

    def _may_hold(self, along: Along, value: str) -> bool:
        sought, asked = self._sought, self._sought.criteria
        facet = value.partition("|")[2] if along is Along.OWNER_MEMBER_FACET else value
        pieces = facet.split("|", maxsplit=3)
        if len(pieces) != _PIECES:
            return True  # altered: what its row is of, the entry itself says, and whoever is shown it decides by that
        who, event, outcome, level = pieces
        is_asked = all(
            wanted is None or wanted == found
            for wanted, found in ((asked.event, event), (asked.outcome, outcome), (asked.level, level))
        )
        is_permitted = outcome == Outcome.PERMITTED.value
        if not is_asked:
            return False
        is_covered = sought.levels is None or not level or level in sought.levels
        is_of_actor = along in {Along.FACET, Along.OWNER_MEMBER_FACET}
        # Refusals of its own clients are shown whatever the label, but without it.
        is_own_refusal = is_of_actor and sought.member is not None and who == sought.member and not is_permitted
        if along is Along.FACET and sought.member is not None and (asked.owner, asked.member) == (sought.member, None):
            # What is covered is walked along the owner's lane, where no row of anybody else's has to be passed.
            return is_own_refusal and not is_covered
        return is_own_refusal or is_covered

    async def _values(self, along: Along, beginning: str | None) -> list[str]:
        # A bar behind the code: no member's facets begin like another's. `}` is the next character after the bar.
        first, beyond = ("", None) if beginning is None else (f"{beginning}|", f"{beginning}}}")
        rows = await self._fetch(self._statements.values[along], {"first": first, "beyond": beyond})
        # What was written in and is no text is no entry's.
        return [row[0] for row in rows if isinstance(row[0], str)]

    def _stopping(self, lanes: Sequence[_Lane], at_a_time: int) -> list[_Lane]:
        """Return the lanes that may hold more before the last of the next `at_a_time`."""
        first = self._first(lanes, at_a_time)
        open_lanes = [lane for lane in lanes if lane.goes_on]
        if len(first) < at_a_time:
            return open_lanes
        return [lane for lane in open_lanes if not self._has_passed(lane.end, first[-1].place)]

    async def _refill(self, lanes: Sequence[_Lane]) -> None:
        for along in dict.fromkeys(lane.along for lane in lanes):
            alike = [lane for lane in lanes if lane.along is along]
            for group in [[lane] for lane in alike] if self._is_sqlite else [alike]:
                async with self._turns.turn(self._sought.asker, self._sought.member):
                    is_cut = await self._walk(along, group)
                if is_cut:
                    await asyncio.sleep(0)

    async def _walk(self, along: Along, group: Sequence[_Lane]) -> bool:
        """Go on in some lanes, and return whether one was cut off where it had passed enough."""
        by_order = self._statements.newest_first if self._sought.newest_first else self._statements.oldest_first
        share = max(lane.share for lane in group)
        starts = self._starts(group)
        rows = await self._fetch(by_order[along], {**self._filters, **starts, "share": share})
        found: list[list[Found]] = [[] for _ in group]
        cut: Place | None = None
        for number, at_micros, position, entry_id, log in rows:
            if number is None:
                # What is no number comes behind all that are, for SQLite.
                cut = Place(at_micros, position if isinstance(position, int) else _LAST)
                continue
            # On SQLite anything may stand there: what is no text names no entry, what is no number no log.
            found[number].append(Found(Place(at_micros, position), str(entry_id), log if isinstance(log, int) else 0))
        for lane, more in zip(group, found, strict=True):
            more.sort(reverse=self._sought.newest_first)
            lane.waiting += more
            lane.goes_on = cut is not None or len(more) >= share
            lane.end = cut or (more[-1].place if more else lane.end)
            lane.share = min(share * _GROWTH, _MOST_AT_ONCE)
        return cut is not None

    def _starts(self, group: Sequence[_Lane]) -> dict[str, Value]:
        ends = [lane.end for lane in group]
        lists: dict[str, list[str] | list[int]] = {
            "lane_key": [lane.key for lane in group],
            "lane_at": [end.at_micros for end in ends],
            "lane_position": [end.position for end in ends],
        }
        if not self._is_sqlite:
            return {**lists}
        return {"stretch": STRETCH, **{name: values[0] for name, values in lists.items()}}

    def _taken(self, lanes: Sequence[_Lane], at_a_time: int) -> list[Found]:
        first = self._first(lanes, at_a_time)
        if first:
            last = first[-1].place
            for lane in lanes:
                lane.waiting = [each for each in lane.waiting if not self._has_passed(last, each.place)]
        return first

    def _first(self, lanes: Sequence[_Lane], count: int) -> list[Found]:
        """Return the next `count` that wait in any lane, each entry once: two lanes may hold one."""
        waiting = {each for lane in lanes for each in lane.waiting[:count]}
        return nlargest(count, waiting) if self._sought.newest_first else nsmallest(count, waiting)

    def _has_passed(self, end: Place, place: Place) -> bool:
        """Return whether a walk that has come to `end` has passed `place`."""
        return end <= place if self._sought.newest_first else end >= place

    async def _with_contents(self, found: Sequence[Found]) -> list[Hit]:
        rows = await self._fetch(self._statements.contents, {"ids": [each.id for each in found]})
        contents = {entry_id: as_placed(as_bytes(content), leaf_hash) for entry_id, content, leaf_hash in rows}
        gone = [each.id for each in found if each.id not in contents]
        if gone:
            contents |= await self._archived.named(gone)
        return [Hit(each.place, each.id, contents[each.id]) for each in found if each.id in contents]


def as_placed(content: bytes, leaf_hash: bytes | None) -> bytes:
    """Return the bytes of an entry, none where they are not those in the tree: by what was altered nobody goes."""
    return content if leaf_hash is not None and hash_leaf(content) == as_bytes(leaf_hash) else b""


def _filters(sought: Sought) -> dict[str, Value]:
    asked = sought.criteria
    equal = ("member", "agency", "client", "subject", "owner", "agreement", "event", "outcome", "level")
    tokens = ("source", "thumbprint")
    levels = None if sought.levels is None else sorted(sought.levels)
    return {
        **{name: getattr(asked, name) for name in (*equal, *tokens, "reason", "text")},
        "since": _FIRST if asked.since is None else to_micros(asked.since),
        "until": _LAST if asked.until is None else to_micros(asked.until),
        "levels": None if levels is None else "some",
        "levels_listed": levels or [],
        "slice_of": sought.member,
        "under": sought.under,
        "only_told": "yes" if sought.member is not None and sought.is_silent_on_refusals else None,
    }
