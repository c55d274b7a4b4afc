"""Uses of agreements' crisis clauses."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel


class CrisisTable(SQLModel, table=True):
    """A crisis that two signatories opened. What it opens stands in the signed text; `ended_at` is an early end."""

    __tablename__: ClassVar[str] = "agreement_crisis"
    __table_args__ = (Index("agreement_crisis_agreement", "agreement_id"),)

    id: str = Field(primary_key=True)
    agreement_id: str
    edition: int
    clause: str
    reason: str
    opened_at: int = Field(sa_type=BigInteger)
    until_at: int = Field(sa_type=BigInteger)
    first_client: str
    first_member: str
    second_client: str
    second_member: str
    act_id: str
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    ended_by: str | None = None
