"""The tables of alerts: what was raised, to whom it is to be sent, and how far the log was evaluated.

None of it is evidence: an alert's entry is, and whoever has the log can evaluate it again.
"""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from exchange.store.tables.column_types import Number


class AlertTable(SQLModel, table=True):
    """An alert. `number` is given in the order of commits; `evidence` are ids of entries as JSON."""

    __tablename__: ClassVar[str] = "alert"
    __table_args__ = (Index("alert_id", "id", unique=True),)

    number: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: str
    rule: str
    kind: str
    severity: str
    subject_kind: str
    subject_id: str
    member: str | None = None
    owner: str | None = None
    raised_at: int = Field(sa_type=BigInteger)
    entry_id: str
    evidence: str


class AlertDeliveryTable(SQLModel, table=True):
    """What one webhook is to be sent: at `next_at` again, until it was delivered or given up."""

    __tablename__: ClassVar[str] = "alert_delivery"
    __table_args__ = (
        Index(
            "alert_delivery_due",
            "next_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    number: int = Field(
        sa_type=Number,
        primary_key=True,
        foreign_key="alert.number",
        sa_column_kwargs={"autoincrement": False},
    )
    hook: str = Field(primary_key=True)
    tries: int
    next_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    is_delivered: bool
    told: str | None = None


class AlertMemoryTable(SQLModel, table=True):
    """What a rule remembers of one subject."""

    __tablename__: ClassVar[str] = "alert_memory"

    rule: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    content: str


class AlertPositionTable(SQLModel, table=True):
    """One row: the next entry to evaluate. Its lock makes one evaluation at a time durable, `revision` says which.

    Entries before `learned_to` of the log in which it began are learned from and raise nothing: they were there before
    the rules. In a log that follows it is 0.
    """

    __tablename__: ClassVar[str] = "alert_position"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    log: int = Field(sa_type=Number)
    position: int = Field(sa_type=BigInteger)
    learned_to: int = Field(sa_type=BigInteger)
    revision: int = Field(sa_type=BigInteger)
    last_number: int = Field(sa_type=BigInteger)
    digest: str
