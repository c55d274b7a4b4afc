"""The log as auditors read it, as JSON."""

from typing import Literal

from pydantic import Field, JsonValue

from exchange.audit import EntryView, Receipt
from exchange.wire.base import AnswerModel
from exchange.wire.words import Id

ExtentName = Literal["whole", "others", "refusal"]


class ShownEntryBody(AnswerModel):
    """An entry of the log as far as this auditor may see it.

    `extent` says how far: `whole`, `others` (what other members' clients did to its own, without their personal
    data), `refusal` (what its own client sent, and that it was refused). `leaf` is the leaf hash of the whole entry in
    base64; where `extent` is `whole` it is the hash of `entry` in canonical form (RFC 8785).
    """

    id: Id
    leaf: str
    extent: ExtentName
    entry: dict[str, JsonValue] = Field(examples=[{"type": "report.read", "decision": "permitted"}])

    @classmethod
    def of(cls, view: EntryView, receipt: Receipt) -> "ShownEntryBody":
        """Return a view of an entry with its receipt."""
        told = {"id": receipt.entry, "leaf": receipt.leaf, "extent": view.extent.value, "entry": view.fields}
        return cls.model_validate(told)


class EntryListBody(AnswerModel):
    """A page of entries. `next` is null on the last page of a search that shows the newest first."""

    items: list[ShownEntryBody]
    next: str | None
