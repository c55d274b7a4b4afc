"""Erasures of personal data from the log, as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.members import PendingAct
from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.words import ClearText, Id

Period = Annotated[str, Field(min_length=7, max_length=7, examples=["2026-10"])]
ErasureSubject = Annotated[str, Field(min_length=1, max_length=64, examples=["01987f00-0000-7000-8000-000000000000"])]


class ErasureRequest(WireModel):
    """An erasure to ask for: whose personal data (a client's id, or `stranger`), of which period, and why."""

    subject: ErasureSubject
    period: Period
    reason: ClearText
    """For ever in the log: it names no person."""


class ErasureBody(AnswerModel):
    """An erasure: asked for until `expires_at`, or done by `approver`, with `keys` keys destroyed."""

    id: Id
    state: Literal["requested", "erased"]
    subject: ErasureSubject
    period: Period
    reason: str
    requester: Id
    requested_at: Instant
    expires_at: Instant
    approver: Id | None
    keys: int | None

    @classmethod
    def of(cls, act: PendingAct, *, keys: int | None) -> "ErasureBody":
        """Return `act` as those who act on it see it."""
        return cls(
            id=act.id,
            state="requested" if act.approver is None else "erased",
            requester=act.requester,
            requested_at=act.requested_at,
            expires_at=act.expires_at,
            approver=act.approver,
            keys=keys,
            subject=act.said("subject"),
            period=act.said("period"),
            reason=act.said("reason"),
        )
