"""Requests for information as JSON: asked, shown, answered, ended."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.reports import PostedRequest, Precedence
from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id, LabelBody, MemberCodeText, PrecedenceName, Readable, Word

RequestStateName = Literal["open", "answered", "overdue", "closed", "withdrawn"]


class InformationWanted(WireModel):
    """What to ask contributors of a scope for, and until when. `asked` empty: every other contributor of it."""

    agreement: Word
    scope: Word = Field(examples=["cyber-threats"])
    kind: Word = Field(examples=["intrep"])
    topic: Word = Field(examples=["cyber.apt"])
    regions: Annotated[list[Word], Field(min_length=1, max_length=64, examples=[["EUR"]])]
    precedence: PrecedenceName = "ROUTINE"
    subject: str | None = None
    label: LabelBody
    text: Annotated[
        str, Field(min_length=1, max_length=20_000, examples=["Which addresses does the group use?"]), Readable
    ]
    deadline: Instant
    asked: Annotated[list[MemberCodeText], Field(max_length=64)] = Field(default_factory=list, examples=[["NOR"]])

    def to_posted(self) -> PostedRequest:
        """Return the request, nothing in it checked yet."""
        return PostedRequest(
            agreement=self.agreement,
            scope=self.scope,
            kind=self.kind,
            topic=self.topic,
            regions=tuple(self.regions),
            precedence=Precedence(self.precedence),
            subject=self.subject,
            label=self.label.to_label(),
            text=self.text,
            deadline=self.deadline,
            asked=tuple(self.asked),
        )


class AnswerGiven(WireModel):
    """A report of the caller's member that answers the request; it is posted like any other, before."""

    report: Word


class RequestAnswerBody(AnswerModel):
    """A report that answers a request; `is_late` where it came behind the deadline."""

    report: Id
    originator: MemberCodeText
    answered_at: Instant
    is_late: bool


class RequestLineBody(AnswerModel):
    """A request without its text. `asked` and `answers` hold what this client may know of them, and no count."""

    id: Id
    agreement: Id
    scope: str
    asker: MemberCodeText
    kind: str
    topic: str
    regions: list[str]
    precedence: PrecedenceName
    subject: str | None
    label: LabelBody
    marking: str
    asked: list[MemberCodeText]
    asked_at: Instant
    deadline: Instant
    state: RequestStateName
    answers: list[RequestAnswerBody]


class RequestShownBody(RequestLineBody):
    """A request with its text."""

    text: str


class RequestListBody(ListAnswer):
    """A page of requests, oldest first; `next` is always there and resumes the list later."""

    items: list[RequestLineBody]
    next: str
