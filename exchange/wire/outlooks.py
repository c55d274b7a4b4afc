"""What agreements would do and what they leave open, as JSON."""

from pydantic import Field

from exchange.wire.answers import AgencyReachBody
from exchange.wire.base import AnswerModel
from exchange.wire.words import MemberCodeText


class DraftLineBody(AnswerModel):
    """Up to which level one member could post to another under a scope; null: not at all."""

    scope: str
    contributor: MemberCodeText
    reader: MemberCodeText
    highest: str | None


class OwnReachBody(AnswerModel):
    """How many of the caller's own member's clients could read a report of that level."""

    scope: str
    level: str
    agencies: list[AgencyReachBody]


class AgreementOutlookBody(AnswerModel):
    """What a draft would do, were it signed by all and in force."""

    title: str
    lines: list[DraftLineBody]
    own: list[OwnReachBody]


class GapBody(AnswerModel):
    """What no scope lets one member post to another: anything of the topic above `highest` (null: at all)."""

    contributor: MemberCodeText
    reader: MemberCodeText
    topic: str
    highest: str | None
    agreement: str | None
    scope: str | None
    sentence: str = Field(examples=["no scope lets NOR post `terrorism` reports to DNK above RESTRICTED"])


class GapListBody(AnswerModel):
    """The gaps between the caller's member and others."""

    items: list[GapBody]
