"""National caveats: the guards that members put in force for their own reports, every version with its time."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel


class CaveatSetTable(SQLModel, table=True):
    """What a member's releaser asked for, and from when until when it was in force; both empty: it never was.

    `guards` is Cedar and `examples` YAML, both empty where nothing shall hold any more; `told` is JSON, the id and the
    reason of each guard; `digest` the SHA-256 over what was written. `replaces` names the set that was in force then.
    """

    __tablename__: ClassVar[str] = "caveat_set"
    __table_args__ = (
        Index("caveat_set_member", "member", "in_force_at"),
        Index("caveat_set_number", "member", "number", unique=True),
    )

    id: str = Field(primary_key=True)
    member: str
    number: int | None = None
    guards: str
    examples: str
    told: str
    digest: str
    replaces: str | None = None
    act_id: str
    proposed_by: str
    proposed_at: int = Field(sa_type=BigInteger)
    in_force_at: int | None = Field(default=None, sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
