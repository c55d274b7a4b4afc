"""The log as auditors read it, as JSON."""

from typing import Literal

from pydantic import Field, JsonValue

from exchange.audit import EntryView, Receipt
from exchange.wire.base import AnswerModel
from exchange.wire.words import Id

ExtentName = Literal["whole", "others", "refusal"]


class PersonalBody(AnswerModel):
    """Who it was and from where: a client's name, an address, a certificate's SHA-256 thumbprint."""

    name: str | None = None
    source: str | None = None
    thumbprint: str | None = None


class ShownEntryBody(AnswerModel):
    """An entry of the log as far as this auditor may see it.

    `extent` says how far: `whole`, `others` (what other members' clients did to its own, without their personal
    data), `refusal` (what its own client sent, and that it was refused). `leaf` is the leaf hash of the whole entry in
    base64; where `extent` is `whole` it is the hash of `entry` in canonical form (RFC 8785). `personal` is what the
    entry holds encrypted, as far as this auditor may read it: `erased` once its key is destroyed, `damaged` where it
    does not open, null where there is none for it.
    """

    id: Id
    leaf: str
    extent: ExtentName
    entry: dict[str, JsonValue] = Field(examples=[{"type": "report.read", "decision": "permitted"}])
    personal: PersonalBody | Literal["erased", "damaged"] | None = None

    @classmethod
    def of(cls, view: EntryView, receipt: Receipt, personal: object = None) -> "ShownEntryBody":
        """Return a view of an entry with its receipt, and its personal data in the form of JSON."""
        told = {"id": receipt.entry, "leaf": receipt.leaf, "extent": view.extent.value, "entry": view.fields}
        return cls.model_validate({**told, "personal": personal})


class EntryListBody(AnswerModel):
    """A page of entries. `next` is null on the last page of a search that shows the newest first."""

    items: list[ShownEntryBody]
    next: str | None
