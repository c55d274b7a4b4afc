"""Posting on behalf of another member: the standing consent to it."""

from typing import Literal

from pydantic import Field

from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import ClearText, Id, MemberCodeText, Word


class ProxyConsent(WireModel):
    """A consent to ask a second releaser for. Without `until` it holds until it is taken back."""

    proxy: MemberCodeText
    agreement: Id
    scope: Word = Field(examples=["cyber-threats"])
    until: Instant | None = None
    reason: ClearText = Field(examples=["NOR runs the joint sensor"])


class ProxyBody(AnswerModel):
    """A consent and what became of it; `act` waits for a second releaser, `refusal` is why that one refused.

    One whose second releaser did not come in time is `lapsed`: ask anew.
    """

    id: Id
    originator: MemberCodeText
    proxy: MemberCodeText
    agreement: Id
    scope: str
    until: Instant | None
    reason: str
    state: Literal["awaiting-second-person", "given", "refused", "revoked", "lapsed"]
    asked_at: Instant
    decided_at: Instant | None
    act: Id | None = None
    decided_by: Id | None = None
    refusal: str | None = Field(default=None, examples=["the source would be known"])


class ProxyListBody(ListAnswer):
    """Consents that concern the caller, oldest first."""

    items: list[ProxyBody]
