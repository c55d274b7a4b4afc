"""A page: rounds of the page statements until it is full or there is nothing more.

Steps: (1) where to begin; (2) one round, by number, by class or by window; (3) if the policy or the caller changed
between two rounds, begin again, for the page must be true as of one moment; (4) full, or at the end, or another round,
and others first.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import ceil, sqrt

from exchange.kernel import UnavailableError, to_micros
from exchange.store.database.dialect import Parameters, Row, Sql, Statement
from exchange.store.reads.class_index import Candidates, ClassIndex, Reads
from exchange.store.reads.numbered import NumberedReports
from exchange.store.reads.page_statements import PageStatements
from exchange.store.rows.main_rows import ReportRow
from exchange.store.writer.standing import STANDING_WIDTH, the_one

_MANY_CLASSES = 64
"""From here on a window is tried first: it costs about as much as asking this many classes one by one."""

_SPREAD = 3
"""How far above its fair share a class is asked, in standard deviations of random arrival: one round mostly does."""

_GROWTH = 4
"""Where one class holds all that is left, each round asks it for this many times more."""

_FILTERED = 8
"""By number, so many more candidates are asked for than are wanted: a few have expired by now, and a second round costs
as much as fifty rows."""

_MOST_NAMED = 1_000
"""Candidates of one round, however many of the last one had expired: some milliseconds of SQLite."""

_TRIES = 5
_REPORT = STANDING_WIDTH + 1


@dataclass(frozen=True, slots=True)
class Asked:
    """One page as asked for. `after` is a position; `since` bounds when a report was posted."""

    thumbprint: str
    class_ids: list[int]
    after: int
    limit: int
    now: datetime
    precedence: str | None
    since: datetime | None

    @property
    def since_micros(self) -> int:
        """Return `since` in microseconds; without one, a moment before any report."""
        return -(2**62) if self.since is None else to_micros(self.since)


@dataclass(slots=True)
class _Progress:
    """How far the page is: all that belongs on it up to `position` is in `rows`."""

    position: int
    share: int
    by_window: bool
    standing: Row = ()
    rows: list[ReportRow] = field(default_factory=list)


class PageReader:
    """Reads pages from one database, with the index of one process."""

    def __init__(self, database: Reads, sql: Sql) -> None:
        self._database = database
        self._statements = statements = sql.once(PageStatements.compiled)
        self._numbered = NumberedReports(database, sql)
        self._index = ClassIndex(database, statements.numbers_of_class, statements.numbers_behind)

    async def read(self, asked: Asked) -> tuple[Row, list[ReportRow], int]:
        """Return the standing, the rows oldest first, and the position to go on from."""
        database, statements = self._database, self._statements
        # (1) behind the position, and not before the moment asked for
        if asked.since is not None:
            (first,) = the_one(await database.fetch(statements.first_since, {"since": asked.since_micros}))
            asked = replace(asked, after=max(asked.after, first - 1))
        index = self._index
        for _ in range(_TRIES):
            progress = _begun(asked)
            by_number = asked.precedence is None and await self._knows(asked.class_ids)
            if await (
                _finished_by_number(self._numbered, asked, progress, index)
                if by_number
                else _finished(database, statements, asked, progress)
            ):
                return progress.standing, progress.rows, progress.position
        raise UnavailableError("the policy changed faster than the list could be read: ask again")

    async def _knows(self, class_ids: Sequence[int]) -> bool:
        if self._index.known_to == 0:
            (last_seq,) = the_one(await self._database.fetch(self._statements.last_number, {}))
            return await self._index.holds(class_ids, last_seq)
        return await self._index.holds(class_ids, self._index.known_to)


def _begun(asked: Asked) -> _Progress:
    count = max(1, len(asked.class_ids))
    fair = asked.limit / count
    share = ceil(fair + _SPREAD * sqrt(fair)) + _SPREAD
    return _Progress(asked.after, share, by_window=count > _MANY_CLASSES and asked.precedence is None)


async def _finished_by_number(numbered: NumberedReports, asked: Asked, progress: _Progress, index: ClassIndex) -> bool:
    """Fill `progress` from what `index` names; False where the page has to be begun again."""
    class_ids = frozenset(asked.class_ids)
    parameters: Parameters = {"thumbprint": asked.thumbprint, "now": to_micros(asked.now), "since": asked.since_micros}
    passed = _FILTERED
    while True:
        # (2) one round
        wanted = asked.limit - len(progress.rows)
        named = index.candidates(
            asked.class_ids, after=progress.position, limit=wanted + passed, per_class=progress.share
        )
        standing, rows = await numbered.read(parameters, named.numbers)
        # (3) true as of one moment
        if not _is_same_moment(progress, standing):
            return False
        last_seq = standing[3]
        if any(row.class_id not in class_ids for row in rows):
            # Not the database that the index was read from: nothing it named is believed.
            index.forget()
            return False
        progress.rows += rows[:wanted]
        # (4) full, at the end, or on
        if len(rows) >= wanted:
            progress.position = progress.rows[-1].seq
            return True
        progress.position = max(progress.position, named.complete_to)
        if progress.position >= last_seq:
            # INVARIANT: as in `_finished`.
            progress.position = max(asked.after, last_seq)
            return True
        if not await _goes_on(index, asked, named, last_seq):
            return False
        progress.share *= _GROWTH
        passed = min(passed * _GROWTH, _MOST_NAMED - asked.limit)
        # SQLite's reads let nobody else in, and of what has expired there may be as much as there is.
        await asyncio.sleep(0)


async def _goes_on(index: ClassIndex, asked: Asked, named: Candidates, last_seq: int) -> bool:
    """Learn what came since, where the page is that far; False where the index no longer holds these classes."""
    return await index.holds(asked.class_ids, last_seq if named.complete_to >= index.known_to else index.known_to)


def _is_same_moment(progress: _Progress, standing: Row) -> bool:
    """Keep the standing of this round; False where it is another one than that of the round before."""
    if progress.standing and _basis(progress.standing) != _basis(standing):
        return False
    progress.standing = standing
    return True


async def _finished(database: Reads, statements: PageStatements, asked: Asked, progress: _Progress) -> bool:
    """Fill `progress`; return False where what is in force, or the caller, changed between two rounds."""
    while True:
        # (2) one round
        wanted = asked.limit - len(progress.rows)
        found = await database.fetch(_statement(statements, asked, progress), _parameters(asked, progress, wanted))
        # (3) true as of one moment
        head = the_one(row for row in found if row[_REPORT] is None)
        if not _is_same_moment(progress, head[:STANDING_WIDTH]):
            return False
        complete_to = head[STANDING_WIDTH]
        last_seq = progress.standing[3]
        rows = sorted(ReportRow._make(row[_REPORT:]) for row in found if row[_REPORT] is not None)
        progress.rows += rows
        # (4) full, at the end, or on
        if len(rows) >= wanted:
            progress.position = progress.rows[-1].seq
            return True
        if complete_to is None or complete_to >= last_seq:
            # INVARIANT: never behind where the caller was, nor past a report that this snapshot did not hold.
            progress.position = max(asked.after, last_seq)
            return True
        progress.position = complete_to
        _adapt(progress, found=len(rows), wanted=wanted, classes=len(asked.class_ids))


def _statement(statements: PageStatements, asked: Asked, progress: _Progress) -> Statement:
    if progress.by_window:
        return statements.by_window
    return statements.by_class if asked.precedence is None else statements.by_class_and_precedence


def _parameters(asked: Asked, progress: _Progress, wanted: int) -> Parameters:
    return {
        "thumbprint": asked.thumbprint,
        "class_ids": asked.class_ids,
        "after": progress.position,
        "limit": wanted,
        "per_class": min(progress.share, wanted),
        "now": to_micros(asked.now),
        "since": asked.since_micros,
        "precedence": asked.precedence,
    }


def _basis(standing: Row) -> tuple[object, ...]:
    """Return what must not change within a page: everything but the last sequence number, which only grows."""
    return (*standing[:3], *standing[4:STANDING_WIDTH])


def _adapt(progress: _Progress, *, found: int, wanted: int, classes: int) -> None:
    if progress.by_window:
        # Another window only where the windows still needed cost less than one round over all classes.
        progress.by_window = (wanted - found) * _MANY_CLASSES <= found * classes
    else:
        progress.share *= _GROWTH
