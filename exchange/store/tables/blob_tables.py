"""The table of blobs that no part names."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel


class BlobDebrisTable(SQLModel, table=True):
    """A blob that is to be deleted from `due_at` on (microseconds since 1970).

    A row is made before its blob is, and goes in the transaction that makes a part name the blob: what is given up
    halfway is found again. A part that goes leaves a row in the transaction in which it goes.
    """

    __tablename__: ClassVar[str] = "blob_debris"
    __table_args__ = (Index("blob_debris_due", "due_at"),)

    location: str = Field(primary_key=True)
    due_at: int = Field(sa_type=BigInteger)
