"""The log as auditors read it, as JSON."""

from typing import Literal

from pydantic import Field, JsonValue

from exchange.audit import EntryView, Receipt
from exchange.wire.base import AnswerModel, Instant
from exchange.wire.words import Id, LabelBody, MemberCodeText, StandingName, StatusName

ExtentName = Literal["whole", "cleared", "others", "refusal"]


class PersonalBody(AnswerModel):
    """Who it was and from where: a client's name, an address, a certificate's SHA-256 thumbprint and its subject.

    The subject is written as in RFC 4514; `user_agent` is what the program at that address called itself.
    """

    name: str | None = None
    source: str | None = None
    thumbprint: str | None = None
    certificate_subject: str | None = None
    user_agent: str | None = None


class ShownEntryBody(AnswerModel):
    """An entry of the log as far as this auditor may see it.

    `extent` says how far: `whole`, `cleared` (a list, without ids of what the auditor is not cleared for; a part
    that was read, by the number alone that its reader asked for), `others` (what other members' clients did to its own,
    without their personal data), `refusal` (what its own client sent, and that it was refused). `leaf` is the
    leaf hash of the whole entry in base64; where `extent` is `whole` it is the hash of `entry` in canonical form
    (RFC 8785). `personal` is what the entry holds encrypted, as far as this auditor may read it: `erased` once its key
    is destroyed, `damaged` where it does not open, null where there is none for it.
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


class RegistryLineBody(AnswerModel):
    """One access that was permitted. `entry` and `leaf` are its receipt: they prove that the log holds it.

    `reports` are the reports whose headers a list showed; every other line is about one report. `how` a receipt came
    about: `read`, or `acknowledged` by the reader's own word.
    """

    at: Instant
    event: str
    how: str | None = Field(default=None, examples=["acknowledged"])
    client: str | None
    member: str | None
    agency: str | None
    report: str | None
    version: int | None
    part: int | None
    size_bytes: int | None
    purpose: str | None
    agreement: str | None
    label: LabelBody | None
    reports: list[str] | None
    entry: Id
    leaf: str


class ReportRegistryBody(AnswerModel):
    """A report and who was given what of it, oldest first."""

    id: Id
    version: int
    originator: MemberCodeText
    agreement: str
    scope: str
    kind: str
    topic: str
    label: LabelBody
    posted_at: Instant
    valid_until: Instant | None
    status: StatusName
    items: list[RegistryLineBody]
    next: str


class ClientRegistryBody(AnswerModel):
    """A client and what it was given, oldest first."""

    id: Id
    name: str
    member: MemberCodeText
    agency: str
    standing: StandingName
    items: list[RegistryLineBody]
    next: str


class ReadingClientBody(AnswerModel):
    """A client that could have read, from when on, and how much."""

    id: Id
    view: Literal["full", "tear-line"]
    since: Instant


class ReadingAgencyBody(AnswerModel):
    """How many clients of an agency could have read; `clients` is null for another member's, which are its to know."""

    member: MemberCodeText
    agency: str
    full: int
    tear_line: int
    clients: list[ReadingClientBody] | None


class ReaderBody(AnswerModel):
    """A client that did read: how often, when first and last, and the entry of the first time."""

    client: str
    member: str
    agency: str
    count: int
    first: Instant
    last: Instant
    entry: Id


class ReadersBody(AnswerModel):
    """Who could have read a report in a period, and who did.

    `laws` are the digests of the policy files in force then, `law` the one whose rules were asked.
    """

    id: Id
    since: Instant
    until: Instant
    could: list[ReadingAgencyBody]
    did: list[ReaderBody]
    laws: list[str]
    law: str
