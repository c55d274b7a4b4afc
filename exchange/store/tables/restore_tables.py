"""What a restore left to be confirmed: nothing is served before an operator has seen to each."""

from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class RestoreClaimTable(SQLModel, table=True):
    """One thing done after the backup was made, or nobody knows what; `confirmed_at` is None while nobody saw to it."""

    __tablename__: ClassVar[str] = "restore_claim"

    id: str = Field(primary_key=True)
    kind: str
    subject: str
    told: str
    confirmed_at: int | None = Field(default=None, sa_type=BigInteger)
