"""The tables of reports that are not whole yet. Nothing else reads them: until it is completed there is no report."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from exchange.store.tables.main_tables import where_given

_OPEN = text("ended IS NULL")


class UploadTable(SQLModel, table=True):
    """A report whose parts are to come; `id` is what the report will have. Its declaration is sealed like a header.

    `ended` says how it ended; the row stays, without the declaration, so that whoever sends on is told. `revision`
    grows with every part received.
    """

    __tablename__: ClassVar[str] = "upload"
    __table_args__ = (
        Index("upload_due", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("upload_client", "client_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: str = Field(primary_key=True)
    client_id: str
    originator: str
    agreement: str
    begun_at: int = Field(sa_type=BigInteger)
    due_at: int = Field(sa_type=BigInteger)
    revision: int
    ended: str | None = None
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes = Field(sa_type=LargeBinary)


class UploadPartTable(SQLModel, table=True):
    """A part received for an upload, sealed as it will be in the report, and the digest of its content, sealed too."""

    __tablename__: ClassVar[str] = "upload_part"
    __table_args__ = (where_given("upload_part_location", "location"),)

    upload_id: str = Field(primary_key=True, foreign_key="upload.id")
    number: int = Field(primary_key=True)
    size_bytes: int = Field(sa_type=BigInteger)
    key_id: str
    key_version: int
    wrap_suite: str
    wrapped_key: bytes = Field(sa_type=LargeBinary)
    suite: str
    ciphertext: bytes = Field(sa_type=LargeBinary)
    location: str | None = None
    digest_key_id: str
    digest_key_version: int
    digest_suite: str
    sealed_digest: bytes = Field(sa_type=LargeBinary)


class PartPieceTable(SQLModel, table=True):
    """One piece of the ciphertext of a large part that the database keeps: as a row it would be in memory whole."""

    __tablename__: ClassVar[str] = "part_piece"

    location: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    content: bytes = Field(sa_type=LargeBinary)
