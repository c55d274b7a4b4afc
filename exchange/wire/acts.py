"""Acts that wait for a second person, as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.members import PendingAct
from exchange.wire.base import DIGEST_PATTERN, AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import ClearText, Id, MemberCodeText

Digest = Annotated[str, Field(pattern=DIGEST_PATTERN, examples=["0" * 64])]


class ActConfirmation(WireModel):
    """The second person's confirmation; `digest` is that of the act as it was shown."""

    digest: Digest


class ActRefusal(WireModel):
    """The end of an act without its being done, and why: told to those who have to do with what was asked for."""

    reason: ClearText | None = Field(default=None, examples=["the source would be known"])


class PendingActBody(AnswerModel):
    """An act that was asked for. `digest` is the SHA-256 over what was asked and of whom, and stands in the log."""

    id: Id
    kind: str
    state: Literal["requested", "done", "refused", "withdrawn"]
    asked: dict[str, str]
    members: list[MemberCodeText]
    digest: Digest
    requester: Id
    requested_at: Instant
    expires_at: Instant
    confirmed_by: Id | None
    may_confirm: bool
    refused_by: Id | None = None
    refusal: str | None = Field(default=None, examples=["the source would be known"])

    @classmethod
    def of(cls, act: PendingAct, *, may_confirm: bool) -> "PendingActBody":
        """Return `act` as one of those who have to do with it sees it."""
        return cls(
            id=act.id,
            kind=act.kind,
            state=_state(act),
            asked=dict(act.asked),
            members=sorted(act.members),
            digest=act.digest,
            requester=act.requester,
            requested_at=act.requested_at,
            expires_at=act.expires_at,
            confirmed_by=act.approver,
            may_confirm=may_confirm,
            refused_by=act.refuser,
            refusal=act.refusal,
        )


class PendingActListBody(ListAnswer):
    """Every act that waits and that the caller has to do with, the oldest first."""

    items: list[PendingActBody]


def _state(act: PendingAct) -> Literal["requested", "done", "refused", "withdrawn"]:
    if act.approver is not None:
        return "done"
    if act.refuser is None:
        return "requested"
    return "withdrawn" if act.refuser == act.requester else "refused"
