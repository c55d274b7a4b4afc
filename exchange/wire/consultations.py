"""Consultations and disputes as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.agreements import Matter, MatterKind, Said
from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id, MemberCodeText, Readable

MatterText = Annotated[str, Field(min_length=1, max_length=4000), Readable]
"""What a member says to others: a page. Nothing classified belongs in it."""


class ConsultationOpening(WireModel):
    """What to open: with which other parties (none: all), about which breach."""

    kind: Literal["consultation", "dispute"]
    text: MatterText = Field(examples=["No report has come since May: what keeps you?"])
    members: Annotated[list[MemberCodeText], Field(max_length=100)] = Field(default_factory=list)
    breach: Id | None = None

    def to_kind(self) -> MatterKind:
        """Return what is opened."""
        return MatterKind(self.kind)


class ConsultationWords(WireModel):
    """What the caller's member says."""

    text: MatterText = Field(examples=["A report a week from June on."])


class SaidBody(AnswerModel):
    """What one member said; `entry` of the log has the SHA-256 of the text."""

    member: MemberCodeText
    client: str
    speech: Literal["open", "answer", "settle"]
    text: str
    at: Instant
    entry: str

    @classmethod
    def of(cls, said: Said) -> "SaidBody":
        """Return `said` as JSON shows it."""
        return cls(
            member=said.member,
            client=said.client,
            speech=said.speech.value,
            text=said.text,
            at=said.at,
            entry=said.entry,
        )


class ConsultationBody(AnswerModel):
    """A consultation or dispute, and what was said in it."""

    id: Id
    agreement: Id
    kind: Literal["consultation", "dispute"]
    state: Literal["open", "answered", "settled"]
    members: list[MemberCodeText]
    breach: Id | None
    said: list[SaidBody]

    @classmethod
    def of(cls, matter: Matter) -> "ConsultationBody":
        """Return `matter` as JSON shows it."""
        return cls(
            id=matter.id,
            agreement=matter.agreement,
            kind=matter.kind.value,
            state=matter.state.value,
            members=list(matter.members),
            breach=matter.breach,
            said=[SaidBody.of(each) for each in matter.said],
        )


class ConsultationListBody(ListAnswer):
    """The consultations and disputes of an agreement that name the caller's member."""

    items: list[ConsultationBody]
