"""Reports as JSON: what a contributor posts, what a reader is shown."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import Field

from exchange.kernel import LARGEST_INTEGER, Fault, InvalidError
from exchange.reports import Awaited, PostedPart, PostedReport, Precedence, ReportId
from exchange.wire.base import DIGEST_PATTERN, AnswerModel, Day, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id, LabelBody, MemberCodeText, PrecedenceName, ProtectionName, StatusName, Word

MOST_PARTS = 100
"""Each part costs a key, a row and a line of the header that every reader loads; more belong into an archive."""

Encoding = Literal["utf-8", "base64"]
_NOT_BASE64 = (
    "the content is not base64 (RFC 4648 §4): write it with `+` and `/`, filled up with `=`, and no line breaks, "
    "as `base64 -w0` does"
)


class PartBody(WireModel):
    """One part to post; `label` null means the report's own.

    `content` and `encoding` come along, unless the report is posted with `complete` false and the content comes later:
    then `size_bytes` says how much, and `sha256` of what, where it is known already.
    """

    label: LabelBody | None = None
    media_type: Annotated[str, Field(min_length=3, max_length=255, examples=["application/stix+json;version=2.1"])]
    name: Annotated[str, Field(min_length=1, max_length=255, examples=["apt1.json"])]
    content: str | None = None
    encoding: Encoding | None = None
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)] | None = None
    sha256: Annotated[str, Field(pattern=DIGEST_PATTERN)] | None = None


class ReportBody(WireModel):
    """A report to post. The originator, the id and the time of posting are the exchange's to say."""

    agreement: Word
    scope: Word = Field(examples=["cyber-threats"])
    kind: Word = Field(examples=["intrep"])
    topic: Word = Field(examples=["cyber.apt"])
    regions: Annotated[list[Word], Field(min_length=1, max_length=64, examples=[["EUR"]])]
    precedence: PrecedenceName = "ROUTINE"
    subject: str | None = None
    label: LabelBody
    valid_until: Instant | None = None
    declassify_on: Day | None = None
    supersedes: Word | None = None
    references: Annotated[list[Word], Field(max_length=256)] = Field(default_factory=list)
    conditions: str | None = None
    on_behalf_of: MemberCodeText | None = None
    complete: bool = True
    """False: parts without a content are sent later, each by itself, and the report is completed then."""
    parts: Annotated[list[PartBody], Field(min_length=1, max_length=MOST_PARTS)]

    def to_posted(self) -> PostedReport:
        """Return the report with its contents decoded; InvalidError points at every part that lacks one or is none."""
        faults: list[Fault] = []
        parts = tuple(
            _posted_part(part, f"/parts/{place}", faults, is_whole=self.complete)
            for place, part in enumerate(self.parts)
        )
        if faults:
            raise InvalidError("contents are not there, or not what is said of them", tuple(faults))
        return PostedReport(
            agreement=self.agreement,
            scope=self.scope,
            kind=self.kind,
            topic=self.topic,
            regions=tuple(self.regions),
            precedence=Precedence(self.precedence),
            subject=self.subject,
            label=self.label.to_label(),
            valid_until=self.valid_until,
            declassify_on=self.declassify_on,
            supersedes=None if self.supersedes is None else ReportId(self.supersedes),
            references=tuple(ReportId(reference) for reference in self.references),
            parts=parts,
            conditions=self.conditions,
            on_behalf_of=self.on_behalf_of,
        )


class PartHeaderBody(AnswerModel):
    """What is said of a part without its content."""

    number: int
    label: LabelBody
    marking: str
    media_type: str
    name: str = Field(examples=["note.txt"])
    size_bytes: int
    protection: ProtectionName
    sha256: str


class HeaderBody(AnswerModel):
    """A report's header, with the parts that this client may read and no word of others."""

    id: Id
    agreement: Id
    scope: str
    originator: MemberCodeText
    kind: str
    topic: str
    regions: list[str]
    precedence: PrecedenceName
    subject: str | None
    label: LabelBody
    marking: str = Field(examples=["NATO SECRET//REL TO GBR, NOR"])
    posted_at: Instant
    valid_until: Instant | None
    declassify_on: Day | None
    status: StatusName
    version: int = 1
    supersedes: Id | None
    references: list[Id] = Field(default_factory=list)
    conditions: str | None = None
    parts: list[PartHeaderBody]


class PulledPartBody(PartHeaderBody):
    """A part with its content; null where it is too large to stand here: read `/parts/{n}`."""

    content: str | None
    encoding: Encoding | None


class ReleaseTermsBody(AnswerModel):
    """On what terms the originator released it to the reader's member; no purposes: any, `until` null: taken back."""

    conditions: str | None = Field(examples=["not to be quoted"])
    purposes: list[str]
    until: Instant | None


class PulledReportBody(HeaderBody):
    """A report with the parts permitted to this client; `released_under`: the originator's terms, where it gave any."""

    released_under: list[ReleaseTermsBody] = Field(default_factory=list)
    parts: list[PulledPartBody]  # type: ignore[assignment]  # the same parts, each with its content


class ReportListBody(ListAnswer):
    """A page of headers, oldest first; `next` is always there and resumes the list later.

    Of what is `unopened` on the page the caller is told the id where it may know it.
    """

    items: list[HeaderBody]
    next: str


class ReceiptBody(AnswerModel):
    """The first acknowledgement of a report by this client, and the audit entry that registers it."""

    report: Id
    client: Id
    received_at: Instant
    entry: Id


def _posted_part(part: PartBody, place: str, faults: list[Fault], *, is_whole: bool) -> PostedPart:
    label = None if part.label is None else part.label.to_label()
    content: bytes | Awaited
    content = _awaited(part, place, faults) if part.content is None and not is_whole else _content(part, place, faults)
    return PostedPart(label, part.media_type, part.name, content)


def _content(part: PartBody, place: str, faults: list[Fault]) -> bytes:
    if part.size_bytes is not None or part.sha256 is not None:
        name = "sha256" if part.size_bytes is None else "size_bytes"
        told = "is said of a content that comes later, with `complete` false: leave it out"
        faults.append(Fault(f"{place}/{name}", "unasked", told))
    if part.content is None or part.encoding is None:
        name = "content" if part.content is None else "encoding"
        faults.append(Fault(f"{place}/{name}", "missing-field", "is missing"))
        return b""
    try:
        return part.content.encode() if part.encoding == "utf-8" else base64.b64decode(part.content, validate=True)
    except (binascii.Error, ValueError):
        faults.append(Fault(f"{place}/content", "not-base64", _NOT_BASE64))
        return b""


def _awaited(part: PartBody, place: str, faults: list[Fault]) -> Awaited:
    if part.encoding is not None:
        faults.append(Fault(f"{place}/encoding", "unasked", "is of a content that comes along: leave it out"))
    if part.size_bytes is None:
        told = "is missing: say how many bytes the content has that comes later"
        faults.append(Fault(f"{place}/size_bytes", "missing-field", told))
    return Awaited(part.size_bytes or 0, part.sha256)
