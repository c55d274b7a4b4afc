"""What parties of an agreement promised and did, as JSON."""

from typing import Literal

from pydantic import Field

from exchange.agreements import Acknowledgements, PartyRecord, Rhythm, ScopeRecord
from exchange.wire.agreements import Duration
from exchange.wire.base import AnswerModel, Instant
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id, MemberCodeText


class RhythmBody(AnswerModel):
    """Reports in time and late; `missed`: duties that ended while one was overdue. No `every`: none is owed now."""

    every: Duration | None
    in_time: int
    late: int
    missed: int
    due: Instant | None
    overdue: bool

    @classmethod
    def of(cls, rhythm: Rhythm) -> "RhythmBody":
        """Return `rhythm` as JSON shows it."""
        return cls(
            every=rhythm.every,
            in_time=rhythm.in_time,
            late=rhythm.late,
            missed=rhythm.missed,
            due=rhythm.due,
            overdue=rhythm.is_overdue,
        )


class AcknowledgementsBody(AnswerModel):
    """Acknowledgements of reports of one precedence; no `within`: none are owed now."""

    precedence: str
    within: Duration | None
    in_time: int
    late: int
    waiting: int
    overdue: int

    @classmethod
    def of(cls, counted: Acknowledgements) -> "AcknowledgementsBody":
        """Return `counted` as JSON shows it."""
        return cls(
            precedence=counted.precedence,
            within=counted.within,
            in_time=counted.in_time,
            late=counted.late,
            waiting=counted.waiting,
            overdue=counted.overdue,
        )


class ScopeRecordBody(AnswerModel):
    """What one party did in one scope; `share_percent` is its part of all posts counted there, null where none is."""

    scope: str
    posts: int
    last_posted_at: Instant | None
    share_percent: int | None = Field(examples=[67])
    rhythm: RhythmBody | None
    acknowledgements: list[AcknowledgementsBody]

    @classmethod
    def of(cls, record: ScopeRecord) -> "ScopeRecordBody":
        """Return `record` as JSON shows it."""
        return cls(
            scope=record.scope,
            posts=record.posts,
            last_posted_at=record.last_posted_at,
            share_percent=record.share_percent,
            rhythm=None if record.rhythm is None else RhythmBody.of(record.rhythm),
            acknowledgements=[AcknowledgementsBody.of(each) for each in record.acknowledgements],
        )


class PartyRecordBody(AnswerModel):
    """What one party promised and did."""

    member: MemberCodeText
    scopes: list[ScopeRecordBody]

    @classmethod
    def of(cls, record: PartyRecord) -> "PartyRecordBody":
        """Return `record` as JSON shows it."""
        return cls(member=record.member, scopes=[ScopeRecordBody.of(each) for each in record.scopes])


class ComplianceBody(ListAnswer):
    """What the parties of an agreement did from `since` to `until`, counted over what the caller may read.

    What is `unopened` is not counted, or not as it should be.
    """

    id: Id
    since: Instant
    until: Instant
    parties: list[PartyRecordBody]


class BreachBody(AnswerModel):
    """That `party` did not do by `due` what it owed `owed_to`; `report` is the one it did not acknowledge."""

    id: Id
    kind: Literal["report", "acknowledgement"]
    party: MemberCodeText
    owed_to: MemberCodeText
    scope: str
    report: Id | None
    due: Instant
    found_at: Instant


class BreachListBody(ListAnswer):
    """Breaches, the first found first; `next` resumes behind them, also later."""

    items: list[BreachBody]
    next: str
