"""Reports whose parts come later, as JSON: what was declared, and what has come of it."""

from pydantic import Field

from exchange.wire.base import AnswerModel, Instant
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id, LabelBody, MemberCodeText


class DeclaredPartBody(AnswerModel):
    """A part as declared. `sha256` is null until it was declared or has come; `received` says whether it has."""

    number: int
    label: LabelBody
    marking: str
    media_type: str
    name: str = Field(examples=["note.txt"])
    size_bytes: int
    sha256: str | None
    received: bool


class UploadBody(AnswerModel):
    """A report that is not whole: nobody sees it but its poster, who has until `given_up_at` to complete it."""

    id: Id
    agreement: Id
    scope: str
    originator: MemberCodeText
    begun_at: Instant
    given_up_at: Instant
    parts: list[DeclaredPartBody]


class OpenUploadBody(AnswerModel):
    """A report that this client began and has not completed; null is what cannot be read of it any more."""

    id: Id
    agreement: Id
    scope: str | None
    begun_at: Instant
    given_up_at: Instant
    parts: int | None
    size_bytes: int | None
    parts_received: int
    received_bytes: int


class OpenUploadListBody(ListAnswer):
    """What this client began and has not completed, the oldest first."""

    items: list[OpenUploadBody]


class GivenUpBody(AnswerModel):
    """A report that is given up: what had come of it is destroyed."""

    id: Id
