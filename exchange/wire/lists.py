"""What every list says of what belongs to it and could not be read."""

from pydantic import Field

from exchange.wire.base import AnswerModel
from exchange.wire.words import Id


class UnopenedBody(AnswerModel):
    """Something that belongs to an answer and was damaged, or altered: nothing of it is shown.

    `id` is null where the caller may not know which it is.
    """

    id: Id | None


class ListAnswer(AnswerModel):
    """A list. `unopened` is there where something that belongs to it could not be read: it is not among the items."""

    unopened: list[UnopenedBody] = Field(default_factory=list)
