"""A member's standing consent that another one posts on its behalf."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlmodel import Field, SQLModel


class ProxyTable(SQLModel, table=True):
    """Who may post for whom, in which scope of which agreement, and what became of that consent."""

    __tablename__: ClassVar[str] = "proxy_consent"
    __table_args__ = (
        Index("proxy_consent_originator", "originator", "state"),
        Index("proxy_consent_proxy", "proxy", "state"),
    )

    id: str = Field(primary_key=True)
    originator: str
    proxy: str
    agreement: str
    scope: str
    until: int | None = Field(default=None, sa_type=BigInteger)
    reason: str
    state: str
    asked_at: int = Field(sa_type=BigInteger)
    asked_by: str
    decided_at: int | None = Field(default=None, sa_type=BigInteger)
    decided_by: str | None = None
    refusal: str | None = None
    entry_id: str
    # None until it is given.
    seal: bytes | None = Field(default=None, sa_type=LargeBinary)
