"""Marking lower what derives from a report as JSON: asked for, granted, refused, revoked, withdrawn."""

from pydantic import Field

from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.consents import ConsentStateName
from exchange.wire.lists import ListAnswer
from exchange.wire.words import ClearText, Id, LabelBody, MemberCodeText


class DerivationRequest(WireModel):
    """The lowest label that reports of the caller's member which refer to the report may have, until when, and why."""

    label: LabelBody
    until: Instant
    reason: ClearText = Field(examples=["police forces are to be warned"])


class DerivationGrant(WireModel):
    """The originator's consent, as it was asked for; `conditions` stand on the signed grant."""

    conditions: ClearText | None = None


class DerivationBody(AnswerModel):
    """A request and what became of it. `grant` is the signed note, base64; `act` waits for a second releaser.

    Of a refused one `conditions` are why; `decided_by` is told to the originator's own people. One that who asked has
    taken back is `lapsed` and has `withdrawn_at`.
    """

    id: Id
    report: Id
    version: int
    originator: MemberCodeText
    member: MemberCodeText
    label: LabelBody
    until: Instant
    reason: str
    state: ConsentStateName
    requester: Id
    requested_at: Instant
    decided_at: Instant | None
    conditions: str | None
    grant: str | None
    act: Id | None = None
    decided_by: Id | None = None
    withdrawn_at: Instant | None = None


class DerivationListBody(ListAnswer):
    """Requests that the caller has to do with, oldest first."""

    items: list[DerivationBody]
