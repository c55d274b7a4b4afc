"""The originator's consent to pass a report on: asked for by a reader, given or refused by a releaser."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlmodel import Field, SQLModel


class OnwardTable(SQLModel, table=True):
    """A request for onward release and what became of it. `asked` is its JSON; `note` the signed grant."""

    __tablename__: ClassVar[str] = "onward_release"
    __table_args__ = (
        Index("onward_release_report", "report_id", "state"),
        Index("onward_release_originator", "originator", "state"),
        Index("onward_release_requester", "requester_member", "state"),
    )

    id: str = Field(primary_key=True)
    report_id: str = Field(foreign_key="report.id")
    originator: str
    requester: str
    requester_member: str
    asked: str
    state: str
    asked_at: int = Field(sa_type=BigInteger)
    decided_at: int | None = Field(default=None, sa_type=BigInteger)
    decided_by: str | None = None
    conditions: str | None = None
    note: bytes | None = Field(default=None, sa_type=LargeBinary)
    entry_id: str
