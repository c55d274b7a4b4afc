"""What is known of the clock, over all nodes and restarts."""

from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class TimekeepingTable(SQLModel, table=True):
    """One row, in microseconds since 1970: when the clock was believed last, and since when it is doubted."""

    __tablename__: ClassVar[str] = "timekeeping"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    believed_at: int = Field(sa_type=BigInteger)
    doubted_since: int | None = Field(default=None, sa_type=BigInteger)
    doubted_at: int | None = Field(default=None, sa_type=BigInteger)
