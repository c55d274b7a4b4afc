"""How far the walk over reports has come, over all nodes and restarts."""

from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class ReportWalkTable(SQLModel, table=True):
    """One row: the place of the post that was looked at last, and when the walk began, in microseconds since 1970.

    `is_whole` is 1 once it has come to the end.
    """

    __tablename__: ClassVar[str] = "report_walk"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at_micros: int = Field(sa_type=BigInteger)
    position: int = Field(sa_type=BigInteger)
    began_at: int = Field(sa_type=BigInteger)
    is_whole: int
