"""The originator's consent to pass a report on, and to mark lower what derives from it: asked for, given or refused."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlmodel import Field, SQLModel


def _indexes(name: str) -> tuple[Index, ...]:
    return (
        Index(f"{name}_report", "report_id", "state"),
        Index(f"{name}_originator", "originator", "state"),
        Index(f"{name}_requester", "requester_member", "state"),
    )


class ConsentColumns(SQLModel):
    """A request for such consent and what became of it; `note` is the signed grant."""

    id: str = Field(primary_key=True)
    report_id: str = Field(foreign_key="report.id")
    originator: str
    requester: str
    requester_member: str
    state: str
    asked_at: int = Field(sa_type=BigInteger)
    decided_at: int | None = Field(default=None, sa_type=BigInteger)
    decided_by: str | None = None
    conditions: str | None = None
    note: bytes | None = Field(default=None, sa_type=LargeBinary)
    entry_id: str


class OnwardTable(ConsentColumns, table=True):
    """A request for onward release; `asked` is its JSON."""

    __tablename__: ClassVar[str] = "onward_release"
    __table_args__ = _indexes("onward_release")

    asked: str


class DerivationTable(ConsentColumns, table=True):
    """A request to mark lower what derives from a version of a report; `lowest` is the label's JSON."""

    __tablename__: ClassVar[str] = "derivation_consent"
    __table_args__ = _indexes("derivation_consent")

    version: int
    lowest: str
    until: int = Field(sa_type=BigInteger)
    reason: str
