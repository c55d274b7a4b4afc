"""Tables around the life of a report: its receipts, former versions, tombstone, destruction, and what was told."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from exchange.store.tables.column_types import Number

_OPEN = text("returned_at IS NULL")
_WITHOUT_NOTE = text("note IS NULL")


class ReportReceiptTable(SQLModel, table=True):
    """One receipt: the first of its kind for a client and a report. Never changed."""

    __tablename__: ClassVar[str] = "report_receipt"

    report_id: str = Field(primary_key=True, foreign_key="report.id")
    client_id: str = Field(primary_key=True)
    how: str = Field(primary_key=True)
    received_at: int = Field(sa_type=BigInteger)
    entry_id: str


class ReportVersionTable(SQLModel, table=True):
    """A version of a report that another one replaced. `digest` names it in the log; its content is gone."""

    __tablename__: ClassVar[str] = "report_version"
    __table_args__ = (Index("report_version_replaced", "replaced_at"),)

    report_id: str = Field(primary_key=True, foreign_key="report.id")
    version: int = Field(primary_key=True)
    digest: str
    replaced_at: int = Field(sa_type=BigInteger)
    entry_id: str


class TombstoneTable(SQLModel, table=True):
    """What stays of a report whose keys were destroyed: the exchange's signed word that they were, and why."""

    __tablename__: ClassVar[str] = "report_tombstone"
    __table_args__ = (Index("report_tombstone_raised", "raised_at"),)

    report_id: str = Field(primary_key=True, foreign_key="report.id")
    cause: str
    raised_at: int = Field(sa_type=BigInteger)
    note: bytes = Field(sa_type=LargeBinary)
    entry_id: str


class ReportPastTable(SQLModel, table=True):
    """What a report was until it moved: its class and its end. `seq` is the number that it had.

    `precedence` is the one that it had, where it has another one since.
    """

    __tablename__: ClassVar[str] = "report_past"
    __table_args__ = (Index("report_past_report", "report_id", "seq"),)

    seq: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    report_id: str = Field(foreign_key="report.id")
    class_id: int = Field(sa_type=BigInteger, foreign_key="release_class.id")
    valid_until: int | None = Field(default=None, sa_type=BigInteger)
    until_at: int = Field(sa_type=BigInteger)
    precedence: str | None = None


class DestructionTable(SQLModel, table=True):
    """That a client which was given a report is to destroy it; `note` is the signed certificate once it has."""

    __tablename__: ClassVar[str] = "report_destruction"
    __table_args__ = (
        Index("report_destruction_open", "member", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index(
            "report_destruction_uncertified",
            "member",
            sqlite_where=_WITHOUT_NOTE,
            postgresql_where=_WITHOUT_NOTE,
        ),
        Index("report_destruction_client", "client_id", sqlite_where=_WITHOUT_NOTE, postgresql_where=_WITHOUT_NOTE),
    )

    report_id: str = Field(primary_key=True, foreign_key="report.id")
    client_id: str = Field(primary_key=True)
    member: str
    agency: str
    read_at: int = Field(sa_type=BigInteger)
    read_entry: str
    asked_at: int = Field(sa_type=BigInteger)
    due_at: int = Field(sa_type=BigInteger)
    returned_at: int | None = Field(default=None, sa_type=BigInteger)
    returned_by: str | None = None
    note: bytes | None = Field(default=None, sa_type=LargeBinary)
    entry_id: str | None = None


class NoticeTable(SQLModel, table=True):
    """What a client is to be told of a report, in the order in which it came to be known. Never changed."""

    __tablename__: ClassVar[str] = "report_notice"
    __table_args__ = (Index("report_notice_client", "client_id", "number"), {"sqlite_autoincrement": True})

    number: int | None = Field(default=None, sa_type=Number, primary_key=True)
    client_id: str
    member: str
    kind: str
    report_id: str
    version: int
    told_at: int = Field(sa_type=BigInteger)
    entry_id: str
