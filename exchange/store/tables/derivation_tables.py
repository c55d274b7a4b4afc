"""The originator's consent to mark what derives from its report lower than that report."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlmodel import Field, SQLModel


class DerivationTable(SQLModel, table=True):
    """A request for such consent and what became of it. `lowest` is the label's JSON; `note` the signed grant."""

    __tablename__: ClassVar[str] = "derivation_consent"
    __table_args__ = (
        Index("derivation_consent_report", "report_id", "state"),
        Index("derivation_consent_originator", "originator", "state"),
        Index("derivation_consent_requester", "requester_member", "state"),
    )

    id: str = Field(primary_key=True)
    report_id: str = Field(foreign_key="report.id")
    version: int
    originator: str
    requester: str
    requester_member: str
    lowest: str
    until: int = Field(sa_type=BigInteger)
    reason: str
    state: str
    asked_at: int = Field(sa_type=BigInteger)
    decided_at: int | None = Field(default=None, sa_type=BigInteger)
    decided_by: str | None = None
    conditions: str | None = None
    note: bytes | None = Field(default=None, sa_type=LargeBinary)
    entry_id: str
