"""Requests for the originator's consent as JSON: to pass a report on, and to mark lower what derives from it."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import ClearText, Id, LabelBody, MemberCodeText, Word

ConsentStateName = Literal["asked", "awaiting-second-person", "granted", "refused", "revoked", "lapsed"]
"""A request that was withdrawn is `lapsed`, and says when it was withdrawn: clients from before read it so."""


class ConsentRefusal(WireModel):
    """Why a request is refused: told to who asked."""

    reason: ClearText = Field(examples=["the source would be known"])


class OnwardRequest(WireModel):
    """A release to ask the originator for. No parts: the whole report. No purposes: whatever the scope allows."""

    recipient: MemberCodeText
    parts: Annotated[list[Annotated[int, Field(ge=1, le=1000)]], Field(max_length=100)] = Field(default_factory=list)
    purposes: Annotated[list[Word], Field(max_length=32)] = Field(default_factory=list, examples=[["defence"]])
    until: Instant | None = None
    reason: ClearText = Field(examples=["ESP runs the operation that this concerns"])


class OnwardGrant(WireModel):
    """The originator's consent, as it was asked for or shorter; `conditions` stand on the signed grant."""

    conditions: ClearText | None = None
    until: Instant | None = None


class OnwardBody(AnswerModel):
    """A request and what became of it. `grant` is the signed note, base64; `act` waits for a second releaser.

    Of a refused one `conditions` are why; `decided_by` is told to the originator's own people. One that who asked has
    taken back is `lapsed` and has `withdrawn_at`.
    """

    id: Id
    report: Id
    originator: MemberCodeText
    recipient: MemberCodeText
    parts: list[int]
    purposes: list[str]
    until: Instant | None
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


class OnwardListBody(ListAnswer):
    """Requests that the caller has to do with, oldest first."""

    items: list[OnwardBody]


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
