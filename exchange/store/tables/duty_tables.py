"""Breaches of what parties of an agreement promised, each found once, however many look for it."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from exchange.store.tables.column_types import Number


class BreachTable(SQLModel, table=True):
    """That a party did not keep what it owed another one until `due_at`. Never changed.

    `subject` is the report that was not acknowledged, or the moment at which one was due; `label` is JSON, and covers
    whatever the breach tells of.
    """

    __tablename__: ClassVar[str] = "duty_breach"
    __table_args__ = (
        # INVARIANT: two that find one breach at the same moment do not both put it on the record.
        Index("duty_breach_once", "agreement_id", "kind", "party", "owed_to", "scope", "subject", unique=True),
        Index("duty_breach_agreement", "agreement_id", "number"),
        Index("duty_breach_id", "id"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(default=None, sa_type=Number, primary_key=True)
    id: str
    agreement_id: str
    kind: str
    party: str
    owed_to: str
    scope: str
    subject: str
    label: str
    due_at: int = Field(sa_type=BigInteger)
    found_at: int = Field(sa_type=BigInteger)
