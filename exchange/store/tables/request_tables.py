"""Requests for information: what was asked, sealed; of whom; and which reports answer it."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlmodel import Field, SQLModel

from exchange.store.tables.column_types import Number


class RequestTable(SQLModel, table=True):
    """A request. `facts` is what decisions need, as of a release class; all that was asked is in `sealed_header`."""

    __tablename__: ClassVar[str] = "information_request"
    __table_args__ = (
        Index("information_request_id", "id", unique=True),
        Index("information_request_asker", "asker", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(default=None, sa_type=Number, primary_key=True)
    id: str
    asker: str
    client_id: str
    facts: str
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes = Field(sa_type=LargeBinary)
    asked_at: int = Field(sa_type=BigInteger)
    deadline_at: int = Field(sa_type=BigInteger)
    ended: str | None = None
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    entry_id: str


class RequestMemberTable(SQLModel, table=True):
    """A member that a request asks."""

    __tablename__: ClassVar[str] = "information_request_member"
    __table_args__ = (Index("information_request_member_of", "member", "number"),)

    number: int = Field(sa_type=BigInteger, primary_key=True, foreign_key="information_request.number")
    member: str = Field(primary_key=True)


class RequestAnswerTable(SQLModel, table=True):
    """A report that its originator gave as an answer."""

    __tablename__: ClassVar[str] = "information_request_answer"
    __table_args__ = (Index("information_request_answer_report", "report_id"),)

    number: int = Field(sa_type=BigInteger, primary_key=True, foreign_key="information_request.number")
    report_id: str = Field(primary_key=True, foreign_key="report.id")
    member: str
    client_id: str
    answered_at: int = Field(sa_type=BigInteger)
    entry_id: str
