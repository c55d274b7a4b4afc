"""Members, clients and the caller itself as JSON."""

from typing import Annotated

from pydantic import Field

from exchange.members import Clearance, Client, Member
from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import AssuranceName, Id, MemberCodeText, RoleName, StandingName, Word

_NAME = Field(min_length=1, max_length=255)
_LARGEST_PEM = 65_536
"""A certificate has about 2 KiB; this leaves room for long chains of names."""


class MemberAddition(WireModel):
    """A member to add."""

    code: MemberCodeText
    name: Annotated[str, _NAME]


class MemberBody(AnswerModel):
    """A member: a state or a registered organisation."""

    code: MemberCodeText
    version: int
    name: str
    standing: StandingName

    @classmethod
    def of(cls, member: Member) -> "MemberBody":
        """Return `member` as it is shown."""
        return cls(code=member.code, version=member.version, name=member.name, standing=member.standing.value)


class MemberListBody(ListAnswer):
    """The members that the caller may see."""

    items: list[MemberBody]


class ClearanceGrant(WireModel):
    """A clearance to give: a level of the base policy, compartments, and its end (null: none)."""

    level: Word = Field(examples=["SECRET"])
    compartments: Annotated[list[Word], Field(max_length=256)] = Field(default_factory=list)
    until: Instant | None = None


class ClearanceBody(AnswerModel):
    """A clearance as given; `until` is exclusive."""

    level: str
    compartments: list[str]
    since: Instant
    until: Instant | None

    @classmethod
    def of(cls, clearance: Clearance) -> "ClearanceBody":
        """Return `clearance` as it is shown."""
        return cls(
            level=clearance.level,
            compartments=list(clearance.compartments),
            since=clearance.since,
            until=clearance.until,
        )


class ClientEnrolment(WireModel):
    """A client to enrol with its first certificate (PEM); its key never comes here."""

    name: Annotated[str, _NAME]
    member: MemberCodeText
    agency: Annotated[str, _NAME] = Field(examples=["NCSC"])
    roles: Annotated[list[RoleName], Field(min_length=1, max_length=6)]
    clearance: ClearanceGrant
    nationality: MemberCodeText | None = None
    purposes: Annotated[list[Word], Field(min_length=1, max_length=32)] | None = None
    certificate: Annotated[str, Field(min_length=1, max_length=_LARGEST_PEM)]


class ClientChange(WireModel):
    """A change to one client: its clearance as a whole, or its standing (`revoked` is final); one at a time."""

    clearance: ClearanceGrant | None = None
    standing: StandingName | None = None


class ClientBody(AnswerModel):
    """An enrolled client with the SHA-256 thumbprints of its certificates."""

    id: Id
    version: int
    name: str
    member: MemberCodeText
    agency: str
    roles: list[RoleName]
    clearance: ClearanceBody
    nationality: str
    purposes: list[str]
    standing: StandingName
    certificates: list[str]

    @classmethod
    def of(cls, client: Client, thumbprints: tuple[str, ...]) -> "ClientBody":
        """Return `client` as its own member and the operator see it."""
        return cls(
            id=client.id,
            version=client.version,
            name=client.name,
            member=client.member,
            agency=client.agency,
            roles=sorted(role.value for role in client.roles),
            clearance=ClearanceBody.of(client.clearance),
            nationality=client.nationality,
            purposes=list(client.purposes),
            standing=client.standing.value,
            certificates=list(thumbprints),
        )


class EnrolledClientBody(ClientBody):
    """A client that was enrolled; `warning` says why its certificate lets nobody in, where that is so."""

    warning: str | None = Field(default=None, examples=["no node takes the certificate in a handshake"])


class ClientListBody(ListAnswer):
    """A page of clients by id; `next` is null on the last page."""

    items: list[ClientBody]
    next: str | None


class WhoamiBody(AnswerModel):
    """Who the exchange takes the caller for."""

    id: Id
    client: str
    member: MemberCodeText
    agency: str
    roles: list[RoleName]
    clearance: ClearanceBody
    nationality: str
    purposes: list[str]
    assurance: AssuranceName

    @classmethod
    def of(cls, client: Client, assurance: AssuranceName) -> "WhoamiBody":
        """Return `client` as it sees itself."""
        return cls(
            id=client.id,
            client=client.name,
            member=client.member,
            agency=client.agency,
            roles=sorted(role.value for role in client.roles),
            clearance=ClearanceBody.of(client.clearance),
            nationality=client.nationality,
            purposes=list(client.purposes),
            assurance=assurance,
        )
