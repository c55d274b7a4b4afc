"""Consultations and disputes under agreements, and what was said in them."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel


class ConsultationTable(SQLModel, table=True):
    """A consultation or dispute. `members` is a JSON list; who is not on it knows of none. Never changed."""

    __tablename__: ClassVar[str] = "consultation"
    __table_args__ = (Index("consultation_agreement", "agreement_id", "id"),)

    id: str = Field(primary_key=True)
    agreement_id: str
    kind: str
    members: str
    breach_id: str | None = None


class ConsultationSaidTable(SQLModel, table=True):
    """What a member said, in order. Never changed; `entry_id` is the entry of the log that has its digest."""

    __tablename__: ClassVar[str] = "consultation_said"

    consultation_id: str = Field(primary_key=True, foreign_key="consultation.id")
    number: int = Field(primary_key=True)
    member: str
    client_id: str
    speech: str
    text: str
    said_at: int = Field(sa_type=BigInteger)
    entry_id: str
