"""Small values that many models hold: ids, labels, and the limits of what a field may be."""

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from exchange.markings import Label
from exchange.members.text import HIDDEN_CATEGORIES
from exchange.wire.base import ID_PATTERN, WireModel

Id = Annotated[str, Field(pattern=ID_PATTERN)]
"""UUIDv7 in the one form the exchange writes."""

MemberCodeText = Annotated[str, Field(min_length=2, max_length=16, examples=["GBR"])]
Word = Annotated[str, Field(min_length=1, max_length=128)]
"""A code of the vocabulary or catalogue; whether it exists is the law's to say."""


def _readable(text: str) -> str:
    """Return words that a person wrote for others; ValueError where they would read other than they show."""
    # A bare carriage return lets a terminal show one line over another.
    shown = text.replace("\r\n", "\n").replace("\n", " ").replace("\t", " ")
    if not shown.isprintable():
        hidden = next((each for each in shown if unicodedata.category(each) in HIDDEN_CATEGORIES), None)
        if hidden is not None:
            raise ValueError(f"has the character U+{ord(hidden):04X}: leave it out")
    return text


Readable = AfterValidator(_readable)
"""Of what one member says to another: PostgreSQL keeps no NUL, and nobody is to be misled by what does not show."""

ClearText = Annotated[str, Field(min_length=1, max_length=500), Readable]
"""What a person says of an act. Stands in the log, and on what is signed, in the clear: nothing classified."""

PrecedenceName = Literal["ROUTINE", "PRIORITY", "IMMEDIATE", "FLASH"]
StatusName = Literal["current", "superseded", "recalled", "expired"]
ProtectionName = Literal["exchange", "end-to-end"]
RoleName = Literal["contributor", "reader", "releaser", "signatory", "auditor", "operator"]
StandingName = Literal["active", "suspended", "revoked"]
AssuranceName = Literal["mutual-tls", "token"]

_CODES = Field(max_length=256)


class LabelBody(WireModel):
    """A confidentiality label; the sets may come in any order and are kept sorted."""

    policy: Word = Field(examples=["NATO"])
    classification: Word = Field(examples=["SECRET"])
    compartments: Annotated[list[Word], _CODES] = Field(default_factory=list)
    releasable_to: Annotated[list[MemberCodeText], _CODES] = Field(default_factory=list, examples=[["GBR", "NOR"]])
    handling: Annotated[list[Word], _CODES] = Field(default_factory=list)

    @classmethod
    def of(cls, label: Label) -> "LabelBody":
        """Return `label` as JSON shows it."""
        return cls.model_validate(label.as_json())

    def to_label(self) -> Label:
        """Return the label; a value repeated in a set is one value."""
        return Label(
            policy=self.policy,
            classification=self.classification,
            compartments=tuple(sorted(set(self.compartments))),
            releasable_to=tuple(sorted(set(self.releasable_to))),
            handling=tuple(sorted(set(self.handling))),
        )
