"""Classes that reports had before, held against the log: what was owed, and who could read, is counted by them.

The row alone says in which class a report was posted once it is in another one. The class stands in no entry; what an
entry of a post says of it is its label, its clause and its originator. The rest it shares with the class of today,
which is sealed: the text and the crises that it was posted under for good, and all but the consents while its first
version stands.

What a report was until it moved is in rows that only questions about the past read. Each move is an entry, under the
label of before: each row has one, of its time, and none is without its row once one before it has its own.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import Entry, EventName
from exchange.kernel import to_micros
from exchange.release import ClassFacts
from exchange.store import ClassRow
from exchange.store.walk_book import PastSeen, ReportSeen
from exchange.usecases.altered_classes import whole_classes
from exchange.usecases.context import Services
from exchange.usecases.told_entries import told_until_now

_FIRST_VERSION: Final = 1

_MOVES: Final = (
    *(EventName.REPORT_AMENDED, EventName.REPORT_DOWNGRADED, EventName.REPORT_DECLASSIFIED),
    *(EventName.ONWARD_GRANTED, EventName.ONWARD_REVOKED),
)
"""What puts a report into another class, or gives it another end."""

_APART: Final = timedelta(hours=1) // timedelta(microseconds=1)
"""An entry is of when the act was asked for: a large part takes its time to be sealed before the row is written."""


async def other_than_posted(services: Services, posted: Entry, seen: ReportSeen) -> str | None:
    """Return why a report was not `posted` in the class that its row says; None where it may have been.

    Nothing is said of one whose row names no class: it is in that one still, or was moved before the former was kept.
    Nor of one that was moved both before and since, whose row names where it was in between.
    """
    if seen.posted_class is None:
        return None
    # Behind the row: each class that it can name is among them.
    known = await _known(services)
    was = known.get(seen.posted_class) if isinstance(seen.posted_class, int) else None
    if was is None:
        return "the class that it was posted in is none that is known"
    now = known.get(seen.row.class_id)
    is_same = _is_posted(was.facts, posted) and (now is None or _may_precede(was.facts, now.facts, seen.row.version))
    if is_same or await _is_of_a_later_move(services, seen, was.facts):
        return None
    return "`posted_class` is not the one that it was posted in"


async def _is_of_a_later_move(services: Services, seen: ReportSeen, was: ClassFacts) -> bool:
    """Return whether a report was in the class `was` when its former one was first kept, moved already by then.

    What was moved before rows of the past were kept has none of its first move; the next one wrote down where it was.
    """
    moves = sorted(await _moves_of(services, seen), key=_at)
    if not moves or any(_is_near(_at(moves[0]), row) for row in _moments(seen)):
        return False
    return any(_is_from(was, move) for move in moves[1:])


async def other_past(services: Services, seen: ReportSeen) -> str | None:
    """Return why a report was not what its rows say that it was until it moved; None where it may have been.

    Moves of before they were kept have no row, so that all are gone is not told.
    """
    before = to_micros(services.clock()) - _APART
    if not seen.past:
        return None
    known, moves = await _known(services), await _moves_of(services, seen)
    if not all(any(_is_of(each, move, known) for move in moves) for each in seen.past):
        return "what it was until it moved is not what the log says"
    kept = _moments(seen)
    missed = [at for at in map(_at, moves) if min(kept) <= at < before and not any(_is_near(at, row) for row in kept)]
    return "what it was until it moved is gone" if missed else None


async def _known(services: Services) -> Mapping[int, ClassRow]:
    return await whole_classes(services, (await services.store.caller("")).state)


async def _moves_of(services: Services, seen: ReportSeen) -> list[Entry]:
    # Behind the rows: each has its entry.
    return [entry async for entry in told_until_now(services, *_MOVES, subject=seen.row.id)]


def _moments(seen: ReportSeen) -> list[int]:
    return [each.until_at for each in seen.past if isinstance(each.until_at, int)]


def _is_of(past: PastSeen, move: Entry, known: Mapping[int, ClassRow]) -> bool:
    was = known.get(past.class_id) if isinstance(past.class_id, int) else None
    if was is None or not isinstance(past.until_at, int) or not isinstance(past.valid_until, int | None):
        return False
    return _is_near(_at(move), past.until_at) and _is_from(was.facts, move)


def _is_from(was: ClassFacts, move: Entry) -> bool:
    """Return whether a move may have been out of the class `was`: its entry has the label of before."""
    return (move.get("owner"), move.get("label")) == (was.originator, was.label.as_json())


def _is_near(at: int, row: int) -> bool:
    return abs(row - at) < _APART


def _at(move: Entry) -> int:
    return to_micros(datetime.fromisoformat(move["ts"]))


def _is_posted(facts: ClassFacts, posted: Entry) -> bool:
    told = (posted.get("agreement"), posted.get("scope"), posted.get("owner"), posted.get("label"))
    # Nothing is consented to before it is posted.
    return told == (facts.agreement, facts.scope, facts.originator, facts.label.as_json()) and not facts.consents


def _may_precede(was: ClassFacts, now: ClassFacts, version: int) -> bool:
    if version == _FIRST_VERSION:
        return was == replace(now, consents=())
    return was.under == now.under
