"""Classes that reports had before, held against the log: what was owed, and who could read, is counted by them.

The row alone says in which class a report was posted once it is in another one. The class stands in no entry; what an
entry of a post says of it is its label, its clause and its originator. The rest it shares with the class of today,
which is sealed: the text and the crises that it was posted under for good, and all but the consents while its first
version stands.

What a report was until it moved is in rows that only questions about the past read. Each move is an entry, under the
label of before: each row has one, of its time, and each entry that says that a row was kept has its row. Versions
before kept none, or did not say so, also beside this one while an upgrade rolls: of their moves no row is missed.

A class whose own row was altered, and that nothing sealed speaks of any more, is on record as that. What was in it once
is not accused of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import Entry, EventName
from exchange.kernel import MICROSECOND, to_micros
from exchange.release import ClassFacts
from exchange.store import ClassRow
from exchange.store.books.walk_book import PastSeen, ReportSeen
from exchange.store.log.searching import Found
from exchange.usecases.life.report_moves import PAST_KEPT
from exchange.usecases.steps.altered_classes import whole_classes
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import is_too_much_waiting, told_until_now

FIRST_VERSION: Final = 1

_MOVES: Final = (
    *(EventName.REPORT_AMENDED, EventName.REPORT_DOWNGRADED, EventName.REPORT_DECLASSIFIED),
    *(EventName.ONWARD_GRANTED, EventName.ONWARD_REVOKED),
)
"""What puts a report into another class, or gives it another end."""

_APART: Final = timedelta(hours=1) // MICROSECOND
"""An entry is of when the act was asked for: a large part takes its time to be sealed before the row is written."""


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of all reports that were read before: those known, and those of which nothing is.

    `last` is the number of the newest one: they are numbered from 1 on without a gap, and none is ever taken away.
    """

    known: Mapping[int, ClassRow]
    unknown: frozenset[int]
    last: int

    def is_lost(self, class_id: object) -> bool:
        """Return whether a class was altered, or is gone, and nothing sealed tells any more what it was."""
        return isinstance(class_id, int) and (class_id in self.unknown or self.is_gone(class_id))

    def is_gone(self, class_id: object) -> bool:
        """Return whether there was a class of this number, and its row is gone: nobody here knew it before."""
        if not isinstance(class_id, int) or class_id in self.known or class_id in self.unknown:
            return False
        return 0 < class_id <= self.last

    def facts(self, class_id: object) -> ClassFacts | None:
        """Return what is known of a class."""
        row = self.known.get(class_id) if isinstance(class_id, int) else None
        return None if row is None else row.facts


async def classes_now(services: Services) -> Classes:
    """Return all classes; call it behind the rows: each class that one can name is among them."""
    state = (await services.store.caller("")).state
    known = await whole_classes(services, state)
    return Classes(known, services.knowledge.unknown_classes, state.class_version)


async def other_before(services: Services, classes: Classes, posted: Entry, seen: ReportSeen) -> str | None:
    """Return why a report was not what its rows say that it was before; None where it may have been, or nobody knows.

    Nothing is known while so much waits for its place that nobody reads it: the next walk looks again. Nor where the
    log lacks what moved it.
    """
    if not _is_moved(classes, seen):
        return None
    if not _is_lost_or_known(classes, seen.posted_class):
        return "the class that it was posted in is none that is known"
    if await is_too_much_waiting(services):
        return None
    moves = await _moves_of(services, seen)
    if moves is None:
        return None
    return _other_than_posted(classes, posted, seen, moves) or _other_past(services, classes, seen, moves)


def _is_moved(classes: Classes, seen: ReportSeen) -> bool:
    """Return whether anything says that a report moved: what is sealed says so of versions and of consents."""
    now = classes.facts(seen.row.class_id)
    is_reclassed = now is not None and bool(now.consents)
    return is_reclassed or bool(seen.past) or seen.posted_class is not None or seen.row.version != FIRST_VERSION


def _is_lost_or_known(classes: Classes, class_id: object) -> bool:
    return class_id is None or classes.is_lost(class_id) or classes.facts(class_id) is not None


def _other_than_posted(classes: Classes, posted: Entry, seen: ReportSeen, moves: Sequence[Entry]) -> str | None:
    """Return why a report was not `posted` in the class that its row says.

    Nothing is said of one whose row names no class: it is in that one still, or was moved before the former was kept.
    Nor of one that was moved both before and since, whose row names where it was in between.
    """
    was, now = classes.facts(seen.posted_class), classes.facts(seen.row.class_id)
    if was is None:
        return None
    is_same = _is_posted(was, posted) and (now is None or _may_precede(was, now, seen.row.version))
    if is_same or _is_of_a_later_move(seen, was, moves):
        return None
    return "`posted_class` is not the one that it was posted in"


def _is_of_a_later_move(seen: ReportSeen, was: ClassFacts, moves: Sequence[Entry]) -> bool:
    """Return whether a report was in the class `was` when its former one was first kept, moved already by then.

    What was moved before rows of the past were kept has none of its first move; the next one wrote down where it was.
    """
    if not moves or _says_kept(moves[0]) or _has_row(moves[0], seen):
        return False
    return any(_is_from(was, move) for move in moves[1:])


def _other_past(services: Services, classes: Classes, seen: ReportSeen, moves: Sequence[Entry]) -> str | None:
    if not all(any(_is_of(each, move, classes) for move in moves) for each in seen.past):
        return "what it was until it moved is not what the log says"
    # What moved since its rows were read has one behind them.
    before = to_micros(services.clock()) - _APART
    kept = [move for move in moves if _says_kept(move) and _at(move) < before]
    # Of those that came close upon one another each has one, too.
    is_missed = len(kept) > len(seen.past) or not all(_has_row(move, seen) for move in kept)
    return "what it was until it moved is gone" if is_missed else None


async def _moves_of(services: Services, seen: ReportSeen) -> list[Entry] | None:
    """Return what moved a report, the oldest first; None where the log lacks any of it.

    Read behind the rows: each has its entry.
    """
    lacks: list[Found] = []
    told = [entry async for entry in told_until_now(services, *_MOVES, subject=seen.row.id, lacks=lacks)]
    return None if lacks else sorted(told, key=_at)


def _says_kept(move: Entry) -> bool:
    return PAST_KEPT.items() <= move.get("detail", {}).items()


def _has_row(move: Entry, seen: ReportSeen) -> bool:
    return any(_is_near(move, each.until_at) for each in seen.past)


def _is_of(past: PastSeen, move: Entry, classes: Classes) -> bool:
    if not isinstance(past.valid_until, int | None):
        return False
    was = classes.facts(past.class_id)
    is_from = classes.is_lost(past.class_id) if was is None else _is_from(was, move)
    is_told = past.precedence == move.get("detail", {}).get("precedence_before")
    return is_from and is_told and _is_near(move, past.until_at)


def _is_from(was: ClassFacts, move: Entry) -> bool:
    """Return whether a move may have been out of the class `was`: its entry has the label of before."""
    return (move.get("owner"), move.get("label")) == (was.originator, was.label.as_json())


def _is_near(move: Entry, until_at: object) -> bool:
    return isinstance(until_at, int) and abs(until_at - _at(move)) < _APART


def _at(move: Entry) -> int:
    return to_micros(datetime.fromisoformat(move["ts"]))


def _is_posted(facts: ClassFacts, posted: Entry) -> bool:
    told = (posted.get("agreement"), posted.get("scope"), posted.get("owner"), posted.get("label"))
    # Nothing is consented to before it is posted.
    return told == (facts.agreement, facts.scope, facts.originator, facts.label.as_json()) and not facts.consents


def _may_precede(was: ClassFacts, now: ClassFacts, version: int) -> bool:
    if version == FIRST_VERSION:
        return was == replace(now, consents=())
    return was.under == now.under
