"""What streams tell of besides reports: requests for information, breaches of agreements."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel


class StreamEventTable(SQLModel, table=True):
    """That something concerns a member. Never changed; who may know of it is decided when it is told.

    INVARIANT: `seq` is of the sequence of reports, and grows in the order of commits: one place in a stream says what
    was told of both.
    """

    __tablename__: ClassVar[str] = "stream_event"
    __table_args__ = (Index("stream_event_member", "member", "seq"),)

    seq: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    member: str = Field(primary_key=True)
    kind: str
    subject: str
