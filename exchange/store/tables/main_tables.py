"""The tables. Their rows never leave this room; times are microseconds since 1970, ids and JSON are text.

Members, clients and agreements keep every version: the current one has no `superseded_at`.
"""

from typing import ClassVar

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Table, text
from sqlmodel import Field, SQLModel

from exchange.store.tables.column_types import Number

# SQLite gives only an INTEGER primary key the speed of its row number.
# In the order of bytes on both databases, so that all facets of one member are one stretch of the index.
_Facet = String().with_variant(String(collation="C"), "postgresql")
# The whole order of a search: where only the time were in the index, PostgreSQL would sort all there is of one value.
_IN_TIME = ("at_micros", "position")
_CURRENT = text("superseded_at IS NULL")
_TO_DECLASSIFY = text("declassify_on IS NOT NULL")
_SUPERSEDES = text("supersedes IS NOT NULL")

_SAYS_A_HOLD = b'"type":"hold.'.hex()
"""What the bytes of an entry about a legal hold have, and hardly any others."""

ABOUT_A_HOLD = {
    "sqlite": f"instr(content, x'{_SAYS_A_HOLD}') > 0",
    "postgresql": f"position('\\x{_SAYS_A_HOLD}'::bytea in content) > 0",
}
"""Which entries `audit_entry_holds` has, by the name of the database: whoever asks for them says it word for word."""

_SHOWN = ("status", "valid_until", "posted_at")


def _current(name: str, column: str) -> Index:
    # INVARIANT: one current version; two would be two answers to one question.
    return Index(name, column, unique=True, sqlite_where=_CURRENT, postgresql_where=_CURRENT)


_PAIRS = (
    "owner_client",
    "member_subject",
    "owner_reasons",
    "member_reasons",
    "source_member",
    "thumbprint_member",
)


def where_given(name: str, column: str, *others: str) -> Index:
    """Return an index of the rows in which `column` is given."""
    given = text(f"{column} IS NOT NULL")
    return Index(name, column, *others, sqlite_where=given, postgresql_where=given)


def _searched(name: str, column: str) -> Index:
    return where_given(name, column, *_IN_TIME)


class PolicyStateTable(SQLModel, table=True):
    """One row, id 1. Who posts a report or changes what is allowed locks it: that is what gives reports their order."""

    __tablename__: ClassVar[str] = "policy_state"

    id: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    policy_version: int = Field(sa_type=BigInteger)
    class_version: int = Field(sa_type=BigInteger)
    report_seq: int = Field(sa_type=BigInteger)
    recorded_at: int = Field(sa_type=BigInteger)
    policy_digest: str


class MemberTable(SQLModel, table=True):
    """One version of a member."""

    __tablename__: ClassVar[str] = "member"
    __table_args__ = (_current("member_current", "code"),)

    code: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    name: str
    standing: str
    recorded_at: int = Field(sa_type=BigInteger)
    superseded_at: int | None = Field(default=None, sa_type=BigInteger)


class ClientTable(SQLModel, table=True):
    """One version of a client. `roles`, `compartments` and `purposes` are JSON lists."""

    __tablename__: ClassVar[str] = "client"
    __table_args__ = (_current("client_current", "id"), Index("client_member", "member"))

    id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    name: str
    member: str
    agency: str
    roles: str
    level: str
    compartments: str
    cleared_since: int = Field(sa_type=BigInteger)
    cleared_until: int | None = Field(default=None, sa_type=BigInteger)
    nationality: str
    purposes: str
    standing: str
    recorded_at: int = Field(sa_type=BigInteger)
    superseded_at: int | None = Field(default=None, sa_type=BigInteger)


class CertificateTable(SQLModel, table=True):
    """A certificate by its thumbprint. The row outlives its use: a thumbprint names one client for ever, and so a key.

    `public_key` is the SHA-256 of the key in it, None where it was enrolled before keys were kept and not used since in
    an act of two persons. `blind` makes the mark by which entries name it, None before it is put on record.
    """

    __tablename__: ClassVar[str] = "client_certificate"
    __table_args__ = (
        Index("client_certificate_client", "client_id"),
        Index("client_certificate_public_key", "public_key"),
    )

    thumbprint: str = Field(primary_key=True)
    client_id: str
    added_at: int = Field(sa_type=BigInteger)
    removed_at: int | None = Field(default=None, sa_type=BigInteger)
    not_after: int = Field(sa_type=BigInteger)
    public_key: str | None = None
    blind: bytes | None = None


class AgreementTable(SQLModel, table=True):
    """One version of an agreement; `terms` is its JSON, `text` the digest of what its parties sign.

    `text` is None in rows from before there were signatures on texts: nobody has signed those.
    """

    __tablename__: ClassVar[str] = "agreement"
    __table_args__ = (_current("agreement_current", "id"),)

    id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    terms: str
    edition: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    previous: str | None = None
    text: str | None = None
    proposed_by: str | None = None
    recorded_at: int = Field(sa_type=BigInteger)
    superseded_at: int | None = Field(default=None, sa_type=BigInteger)


class PartyTable(SQLModel, table=True):
    """One party in one version of an agreement; `position` is its place in the terms."""

    __tablename__: ClassVar[str] = "agreement_party"

    agreement_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    member: str = Field(primary_key=True)
    position: int
    state: str
    signed_at: int | None = Field(default=None, sa_type=BigInteger)
    leaves_at: int | None = Field(default=None, sa_type=BigInteger)


class ReleaseClassTable(SQLModel, table=True):
    """A release class; its id is the class version at which it came into being."""

    __tablename__: ClassVar[str] = "release_class"
    __table_args__ = (Index("release_class_digest", "digest", unique=True),)

    id: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    digest: str
    facts: str


class ReportTable(SQLModel, table=True):
    """A report. INVARIANT: `seq` and `recorded_at` grow in the order of commits."""

    __tablename__: ClassVar[str] = "report"
    __table_args__ = (
        Index("report_id", "id", unique=True),
        # What pages are searched by is in the index whole: the search never touches the wide rows it passes over.
        Index("report_class", "class_id", "seq", *_SHOWN),
        Index("report_urgent", "class_id", "precedence", "seq", *_SHOWN),
        Index("report_recorded", "recorded_at", "seq"),
        Index("report_declassify", "declassify_on", sqlite_where=_TO_DECLASSIFY, postgresql_where=_TO_DECLASSIFY),
        Index("report_supersedes", "supersedes", sqlite_where=_SUPERSEDES, postgresql_where=_SUPERSEDES),
    )

    seq: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: str
    class_id: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("release_class.id")])
    version: int
    agreement: str
    originator: str
    recorded_at: int = Field(sa_type=BigInteger)
    posted_at: int = Field(sa_type=BigInteger)
    valid_until: int | None = Field(default=None, sa_type=BigInteger)
    precedence: str
    status: str
    supersedes: str | None = None
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes = Field(sa_type=LargeBinary)
    declassify_on: int | None = Field(default=None, sa_type=BigInteger)
    # None where it is in that one still.
    posted_class: int | None = Field(default=None, sa_type=BigInteger)


class PartTable(SQLModel, table=True):
    """One part of a report; `ciphertext` is empty where `location` names the blob that holds it."""

    __tablename__: ClassVar[str] = "report_part"
    __table_args__ = (where_given("report_part_location", "location"),)

    report_id: str = Field(primary_key=True, foreign_key="report.id")
    number: int = Field(primary_key=True)
    label_index: int
    size_bytes: int = Field(sa_type=BigInteger)
    key_id: str
    key_version: int
    wrap_suite: str
    wrapped_key: bytes = Field(sa_type=LargeBinary)
    suite: str
    ciphertext: bytes = Field(sa_type=LargeBinary)
    location: str | None = None


class IdempotencyTable(SQLModel, table=True):
    """A key that a client sent with a post."""

    __tablename__: ClassVar[str] = "idempotency"
    __table_args__ = (Index("idempotency_created", "created_at"),)

    client_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    report_id: str
    created_at: int = Field(sa_type=BigInteger)


class RateBucketTable(SQLModel, table=True):
    """How much the holder of a certificate has asked of all nodes: when its bucket is full again, in microseconds."""

    __tablename__: ClassVar[str] = "rate_bucket"

    client: str = Field(primary_key=True)
    full_at: int = Field(sa_type=BigInteger)


class AuditEntryTable(SQLModel, table=True):
    """An audit entry: its bytes. Never updated, never deleted.

    Nothing else stands here: whoever waits for an entry waits for one row. What it is found by is in `audit_search`;
    but for legal holds, which are rare, and are not unknown where somebody wrote to that.
    """

    __tablename__: ClassVar[str] = "audit_entry"
    __table_args__ = (
        Index(
            "audit_entry_holds",
            "id",
            sqlite_where=text(ABOUT_A_HOLD["sqlite"]),
            postgresql_where=text(ABOUT_A_HOLD["postgresql"]),
        ),
        # SQLite: one tree instead of a table and an index on it; ids rise with time.
        {"sqlite_with_rowid": False},
    )

    id: str = Field(primary_key=True)
    content: bytes = Field(sa_type=LargeBinary)


class AuditSearchTable(SQLModel, table=True):
    """What an entry is found by: a projection of its bytes, written when the entry gets its position in the log."""

    __tablename__: ClassVar[str] = "audit_search"
    __table_args__ = (
        Index("audit_search_entry", "id", unique=True),
        # Each holds the rows of one value side by side, in the order in which they are found.
        Index("audit_search_at", *_IN_TIME),
        Index("audit_search_facet", "facet", *_IN_TIME),
        _searched("audit_search_owner_facet", "owner_facet"),
        *(_searched(f"audit_search_{name}", name) for name in _PAIRS),
        Index(
            "audit_search_owner_member_facet",
            text("(owner || '|' || facet)"),
            *_IN_TIME,
            sqlite_where=text("owner_member IS NOT NULL"),
            postgresql_where=text("owner_member IS NOT NULL"),
        ),
        _searched("audit_search_actor", "actor_id"),
        _searched("audit_search_agency", "agency"),
        _searched("audit_search_subject", "subject_id"),
        _searched("audit_search_agreement", "agreement"),
        _searched("audit_search_reasons", "reasons"),
    )

    log: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    position: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: str
    at_micros: int = Field(sa_type=BigInteger)
    node: str
    boot: str
    node_seq: int = Field(sa_type=BigInteger)
    event: str
    outcome: str
    actor_kind: str
    actor_id: str | None = None
    thumbprint: str | None = None
    member: str | None = None
    agency: str | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    subject_version: int | None = None
    owner: str | None = None
    agreement: str | None = None
    scope: str | None = None
    label_policy: str | None = None
    level: str | None = None
    reasons: str | None = None
    purpose: str | None = None
    request_id: str
    source: str
    size_bytes: int | None = Field(default=None, sa_type=BigInteger)
    result_count: int | None = None
    facet: str | None = Field(default=None, sa_type=_Facet)
    owner_facet: str | None = Field(default=None, sa_type=_Facet)
    owner_member: str | None = None
    owner_client: str | None = None
    member_subject: str | None = None
    owner_reasons: str | None = Field(default=None, sa_type=_Facet)
    member_reasons: str | None = Field(default=None, sa_type=_Facet)
    source_member: str | None = Field(default=None, sa_type=_Facet)
    thumbprint_member: str | None = Field(default=None, sa_type=_Facet)


class AuditOutboxTable(SQLModel, table=True):
    """An entry that waits for its place in the tree, in the order of arrival."""

    __tablename__: ClassVar[str] = "audit_outbox"
    __table_args__ = ({"sqlite_autoincrement": True},)  # a number is never given twice

    id: int | None = Field(default=None, sa_type=Number, primary_key=True)
    entry_id: str


def table(which: str | type[SQLModel]) -> Table:
    """Return the table of that name, or of that class, for Core statements."""
    return SQLModel.metadata.tables[which if isinstance(which, str) else str(which.__tablename__)]
