"""The life of a report as JSON: amended, downgraded, recalled, destroyed."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.reports import Downgrade, PostedReport
from exchange.wire.base import AnswerModel, Day, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.reports import MOST_PARTS, PartBody, ReportBody
from exchange.wire.words import ClearText, Id, LabelBody, MemberCodeText, PrecedenceName, Word

_NONE = "00000000-0000-7000-8000-000000000000"


class AmendmentBody(WireModel):
    """A new version of a report, whole; agreement, scope and what it supersedes stay as they are.

    So does its precedence where none is given: what is owed goes by it. What else is not given, the version has not.
    """

    kind: Word = Field(examples=["intrep"])
    topic: Word = Field(examples=["cyber.apt"])
    regions: Annotated[list[Word], Field(min_length=1, max_length=64, examples=[["EUR"]])]
    precedence: PrecedenceName | None = None
    subject: str | None = None
    label: LabelBody
    valid_until: Instant | None = None
    declassify_on: Day | None = None
    references: Annotated[list[Word], Field(max_length=256)] = Field(default_factory=list)
    conditions: str | None = None
    parts: Annotated[list[PartBody], Field(min_length=1, max_length=MOST_PARTS)]

    def to_posted(self) -> PostedReport:
        """Return it as a post whose agreement and scope are still to be filled in, and its precedence if none is given.

        Raises as `ReportBody` does.
        """
        given = {name: getattr(self, name) for name in type(self).model_fields}
        given["precedence"] = self.precedence or "ROUTINE"
        return ReportBody.model_construct(agreement=_NONE, scope="", supersedes=None, **given).to_posted()


class DowngradeBody(WireModel):
    """Lower labels. `part_labels` absent: each part keeps a label that is no higher; else one, or null, for each."""

    label: LabelBody
    part_labels: Annotated[list[LabelBody | None], Field(max_length=MOST_PARTS)] | None = None

    def to_downgrade(self) -> Downgrade:
        """Return what is asked for."""
        if self.part_labels is None:
            return Downgrade(self.label.to_label())
        labels = tuple(None if label is None else label.to_label() for label in self.part_labels)
        return Downgrade(self.label.to_label(), labels)


class MadeVersionBody(AnswerModel):
    """The version that was made. `digest` names it in the log, `replaced` the one before, which stays provable.

    While a downgrade waits for a second releaser (`act`), it is the version that stands, and nothing is replaced.
    """

    id: Id
    version: int
    label: LabelBody
    marking: str = Field(examples=["NATO RESTRICTED//REL TO GBR, NOR"])
    part_labels: list[LabelBody]
    digest: str
    replaced: str | None
    state: Literal["made", "awaiting-second-person"] = "made"
    act: Id | None = None


class RecallRequest(WireModel):
    """A recall, and why."""

    reason: ClearText = Field(examples=["the source is at risk"])


class DestructionBody(AnswerModel):
    """Destruction asked of one client that was given the report; `certificate` is a signed note once returned."""

    client: Id
    member: MemberCodeText
    agency: str
    read_at: Instant
    read_entry: Id
    state: Literal["asked", "overdue", "certified"]
    asked_at: Instant
    due_at: Instant
    returned_at: Instant | None
    certificate: str | None


class RecallBody(ListAnswer):
    """A recalled report: the tombstone, a signed note, and who was given the report before.

    Of whom destruction was asked, and nothing can be read of it any more, is under `unopened`.
    """

    id: Id
    recalled_at: Instant
    cause: Literal["recalled", "retention"]
    tombstone: str
    asked: list[DestructionBody]


class GivenToBody(AnswerModel):
    """How many clients of a member were given a report."""

    member: MemberCodeText
    clients: int


class RecallOutlookBody(AnswerModel):
    """What a recall of this report would end: who had it, by members, would be asked to destroy it."""

    id: Id
    version: int
    agreement: Id
    scope: str
    marking: str
    given: list[GivenToBody]


class AskedDestructionBody(AnswerModel):
    """What a client is to destroy: the report's id, and the tombstone that proves the recall."""

    id: Id
    recalled_at: Instant
    tombstone: str
    destruction: DestructionBody


class AskedDestructionListBody(ListAnswer):
    """What the caller is still to destroy."""

    items: list[AskedDestructionBody]


class NoticeBody(AnswerModel):
    """One thing that happened to a report which the caller was given; `entry` is that of the act.

    `superseded_by` is what took the place of a superseded one, where the caller may read that.
    """

    kind: Literal["superseded", "recalled", "amended", "upgraded", "downgraded", "declassified"]
    report: Id
    version: int
    at: Instant
    entry: Id
    superseded_by: Id | None = None


class NoticeListBody(ListAnswer):
    """A page of notices, oldest first; `next` goes into `after` for what comes behind it."""

    items: list[NoticeBody]
    next: str


class CertificateBody(WireModel):
    """That a recalled report was destroyed. `client` is another client of the own member, for its releaser."""

    method: Annotated[str, Field(min_length=1, max_length=200, examples=["erased from the case system and backups"])]
    copies: Annotated[int, Field(ge=0, le=1_000_000)]
    client: Id | None = None
