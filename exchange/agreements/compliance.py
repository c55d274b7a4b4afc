"""How far the parties of an agreement did what they promised: posts, rhythm, acknowledgements, share.

Promises: the last moment of a deadline is in time; nothing is owed of what was recalled, or expired before it was due;
the same facts give the same answer whoever asks.
Does not: know which facts may be told to whom: the caller passes those that its caller may know, and no others.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from exchange.agreements.durations import moved_by
from exchange.agreements.duties import (
    NOTHING_OWED,
    Duty,
    InForce,
    Spell,
    duty_of,
    duty_spells,
    joined,
    owed_to,
    reading_spells,
)
from exchange.agreements.model import Scope

_HUNDRED = 100


class Timeliness(Enum):
    """How it stands with one thing that was due."""

    IN_TIME = "in_time"
    LATE = "late"
    WAITING = "waiting"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class PostedFact:
    """That a report was posted in a scope. `acknowledged` has the first acknowledgement by each member that gave one.

    `owed_by` are the members of whom an acknowledgement may be counted: those that could read it when it was posted.
    `ends_at` is when it expires, None for never. `was` has the precedences that it had before, each with until when,
    oldest first.
    """

    scope: str
    originator: str
    precedence: str
    posted_at: datetime
    ends_at: datetime | None = None
    is_recalled: bool = False
    acknowledged: Mapping[str, datetime] = field(default_factory=dict)
    owed_by: frozenset[str] = frozenset()
    was: Sequence[tuple[str, datetime]] = ()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Reports in time and late; `missed` counts duties that ended while one was overdue. `due`: when the next one is.

    `every` and `due` are None where the party owes no rhythm now.
    """

    every: str | None
    in_time: int
    late: int
    missed: int
    due: datetime | None
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """Of the reports of one precedence: `within` is what is promised now, None where nothing is."""

    precedence: str
    within: str | None
    in_time: int
    late: int
    waiting: int
    overdue: int


@dataclass(frozen=True, slots=True)
class ScopeRecord:
    """What one party did in one scope. `share_percent` of all posts counted there, rounded half up; None of none."""

    scope: str
    posts: int
    last_posted_at: datetime | None
    share_percent: int | None
    rhythm: Rhythm | None
    acknowledgements: tuple[Acknowledgements, ...]


@dataclass(frozen=True, slots=True)
class PartyRecord:
    """What one party promised and did, scope by scope."""

    member: str
    scopes: tuple[ScopeRecord, ...]


def measure(
    versions: Sequence[InForce], facts: Iterable[PostedFact], since: datetime, now: datetime, *, to: str | None = None
) -> tuple[PartyRecord, ...]:
    """Return what each party of the newest version did from `since` to `now`.

    Of the others' rhythms what was owed to the member `to`, where it is named: while it took part as a reader.

    `facts` hold the last report of each party and scope from before `since` too: it tells when the next one was due,
    and is not counted.
    """
    by_scope: dict[str, list[PostedFact]] = {}
    for fact in sorted(facts, key=lambda each: each.posted_at):
        by_scope.setdefault(fact.scope, []).append(fact)
    terms = versions[-1].agreement.terms
    return tuple(
        PartyRecord(
            member,
            tuple(
                _scope_record(
                    versions,
                    member,
                    scope,
                    by_scope.get(scope.name, []),
                    period=(since, now),
                    to=None if to == member else to,
                )
                for scope in terms.scopes
                if member in {*scope.contributors, *scope.readers}
            ),
        )
        for member in terms.parties
    )


def rhythm_of(spells: Iterable[Spell], posts: Sequence[datetime], since: datetime, now: datetime) -> Rhythm | None:
    """Return how far reports posted at `posts` (in order) kept a rhythm from `since` to `now`; None: none was owed.

    A report is due within the time after the one before, the first one after the duty began; when the duty begins anew,
    so does the time.
    """
    counts = dict.fromkeys(("in_time", "late", "missed"), 0)
    every, due = None, None
    is_owed = False
    for spell, asked in _rhythms(spells):
        if spell.until is not None and spell.until <= since:
            continue
        is_owed = True
        next_due = moved_by(_count_gaps(spell, asked, posts, since, counts), asked)
        if spell.until is None:
            every, due = asked, next_due
        elif next_due < spell.until:
            counts["missed"] += 1
    return Rhythm(every, **counts, due=due, is_overdue=due is not None and now > due) if is_owed else None


def acknowledgement_owed(
    spells: Iterable[Spell], precedence: str, posted_at: datetime, was: Sequence[tuple[str, datetime]]
) -> tuple[str, datetime] | None:
    """Return under which precedence a report posted then is to be acknowledged, and until when; None where not owed.

    `was` as `PostedFact` has it.
    """
    duty = next((spell.duty for spell in spells if spell.holds(posted_at)), NOTHING_OWED)
    for former, until in was:
        due = _due(duty, former, posted_at)
        # Less urgent since, it excuses nobody whose time had run out.
        if due is not None and due < until:
            return former, due
    due = _due(duty, precedence, posted_at)
    return None if due is None else (precedence, due)


def timeliness(fact: PostedFact, member: str, spells: Sequence[Spell], now: datetime) -> Timeliness | None:
    """Return how it stands with the acknowledgement of a report by a member; None where it owes none."""
    # 1. Not promised, or not promised by who could not read it.
    # 2. Given: in time up to and with the last moment.
    # 3. What can be read no longer cannot be acknowledged any more.
    # 4. There is time left.
    # 5. Whoever was not bound at the end of its time did not miss it.
    owed = acknowledgement_owed(spells, fact.precedence, fact.posted_at, fact.was)
    if owed is None or member not in fact.owed_by:  # (1)
        return None
    _, due = owed
    given = fact.acknowledged.get(member)
    if given is not None:  # (2)
        return Timeliness.IN_TIME if given <= due else Timeliness.LATE
    if fact.is_recalled or (fact.ends_at is not None and fact.ends_at <= min(due, now)):  # (3)
        return None
    if now <= due:  # (4)
        return Timeliness.WAITING
    is_bound = any(spell.holds(due) and spell.duty.acknowledge for spell in spells)
    return Timeliness.OVERDUE if is_bound else None  # (5)


def _due(duty: Duty, precedence: str, posted_at: datetime) -> datetime | None:
    within = duty.within(precedence)
    return None if within is None else moved_by(posted_at, within)


def _scope_record(  # noqa: PLR0913  who did what where, towards whom
    versions: Sequence[InForce],
    member: str,
    scope: Scope,
    facts: Sequence[PostedFact],
    *,
    period: tuple[datetime, datetime],
    to: str | None,
) -> ScopeRecord:
    since, now = period
    spells = duty_spells(versions, member, scope.name, now)
    # INVARIANT: to who came back no count tells of its absence, in which it was owed nothing and given nothing.
    owed = spells if to is None else owed_to(spells, reading_spells(versions, to, scope.name, now))
    own = [fact.posted_at for fact in facts if fact.originator == member]
    counted = own[bisect_left(own, since) :]
    total = sum(1 for fact in facts if fact.posted_at >= since)
    promised = duty_of(versions[-1].agreement.terms, member, scope.name)
    return ScopeRecord(
        scope.name,
        posts=len(counted),
        last_posted_at=counted[-1] if counted else None,
        share_percent=(2 * _HUNDRED * len(counted) + total) // (2 * total) if total else None,
        rhythm=rhythm_of(owed, own, since, now),
        acknowledgements=tuple(_acknowledgements(facts, member, spells, period, dict(promised.acknowledge))),
    )


def _acknowledgements(
    facts: Iterable[PostedFact],
    member: str,
    spells: Sequence[Spell],
    period: tuple[datetime, datetime],
    promised: Mapping[str, str],
) -> Iterator[Acknowledgements]:
    since, now = period
    counts: dict[str, Counter[Timeliness]] = {precedence: Counter() for precedence in promised}
    for fact in facts:
        found = timeliness(fact, member, spells, now) if fact.posted_at >= since else None
        owed = None if found is None else acknowledgement_owed(spells, fact.precedence, fact.posted_at, fact.was)
        if found is not None and owed is not None:
            counts.setdefault(owed[0], Counter())[found] += 1
    for precedence, counted in counts.items():
        yield Acknowledgements(
            precedence, promised.get(precedence), **{each.value: counted[each] for each in Timeliness}
        )


def _rhythms(spells: Iterable[Spell]) -> Iterator[tuple[Spell, str]]:
    """Yield the stretches of one rhythm each: what else changes in a duty does not interrupt it."""
    for spell in joined(spells, lambda duty: duty.report_every):
        if spell.duty.report_every is not None:
            yield spell, spell.duty.report_every


def _count_gaps(
    spell: Spell, every: str, posts: Sequence[datetime], since: datetime, counts: dict[str, int]
) -> datetime:
    """Count what was posted in `spell` from `since` on, and return the moment from which the next report is due."""
    last = spell.since
    for post in posts[bisect_left(posts, spell.since) :]:
        if spell.until is not None and post >= spell.until:
            break
        if post >= since:
            counts["in_time" if post <= moved_by(last, every) else "late"] += 1
        last = post
    return last
