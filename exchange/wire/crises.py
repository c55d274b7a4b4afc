"""Crises as JSON: asked for by one signatory, opened by another one's confirmation, listed to the parties."""

from typing import Annotated

from pydantic import Field

from exchange.agreements import Crisis, CrisisClause, crisis_end
from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import ClearText, Id, MemberCodeText


class CrisisRequest(WireModel):
    """A crisis to open: which clause, why, and for how many hours (null: as long as the clause allows)."""

    clause: Annotated[str, Field(min_length=1, max_length=64, examples=["storm-watch"])]
    reason: ClearText = Field(examples=["a second cable was cut this morning"])
    hours: Annotated[int, Field(ge=1, le=720)] | None = None


class CrisisEnd(WireModel):
    """The end of a crisis before its time: which one."""

    crisis: Id


class CrisisBody(AnswerModel):
    """One use of a crisis clause: what it opened is as the text had it then. `until` is exclusive."""

    id: Id
    clause: str
    scope: str
    edition: int
    readers: list[MemberCodeText]
    ceiling: str | None
    older_reports: bool
    reason: str
    opened_by: list[MemberCodeText]
    opened_at: Instant
    until: Instant
    open: bool

    @classmethod
    def of(cls, crisis: Crisis, clause: CrisisClause, *, is_open: bool) -> "CrisisBody":
        """Return `crisis` as the parties see it."""
        return cls(
            id=crisis.id,
            clause=crisis.clause,
            scope=clause.scope,
            edition=crisis.edition,
            readers=list(clause.readers),
            ceiling=clause.ceiling,
            older_reports=clause.reaches_older,
            reason=crisis.reason,
            opened_by=list(crisis.opened_by),
            opened_at=crisis.opened_at,
            until=crisis_end(crisis, clause),
            open=is_open,
        )


class CrisisListBody(ListAnswer):
    """Every use of an agreement's crisis clauses, the newest first."""

    items: list[CrisisBody]
