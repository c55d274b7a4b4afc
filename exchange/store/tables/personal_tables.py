"""Tables around personal data: its keys, and acts that wait for a second person."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlmodel import Field, SQLModel


class PersonalKeyTable(SQLModel, table=True):
    """The key of one subject's personal data in one period, made by one process start.

    A destroyed one keeps its row without the key: `wrapped_key` is empty and `destroyed_at` says since when.
    """

    __tablename__: ClassVar[str] = "personal_key"
    __table_args__ = (
        Index("personal_key_subject", "subject", "period"),
        Index("personal_key_boot", "boot", "destroyed_at"),
    )

    kid: str = Field(primary_key=True)
    subject: str
    period: str
    boot: str
    key_id: str
    key_version: int
    wrap_suite: str
    wrapped_key: bytes = Field(sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger)
    destroyed_at: int | None = Field(default=None, sa_type=BigInteger)


class PendingActTable(SQLModel, table=True):
    """An act that one person asked for and another one approves; `payload` is JSON, `digest` its SHA-256 in hex."""

    __tablename__: ClassVar[str] = "pending_act"
    __table_args__ = (Index("pending_act_kind", "kind", "expires_at"),)

    id: str = Field(primary_key=True)
    kind: str
    payload: str
    digest: str
    requester: str
    requested_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger)
    approver: str | None = None
    approved_at: int | None = Field(default=None, sa_type=BigInteger)


class PendingActEndTable(SQLModel, table=True):
    """Who ended an act that was asked for without its being done, and why, where that was said."""

    __tablename__: ClassVar[str] = "pending_act_end"

    act_id: str = Field(primary_key=True)
    client: str
    ended_at: int = Field(sa_type=BigInteger)
    reason: str | None = None
