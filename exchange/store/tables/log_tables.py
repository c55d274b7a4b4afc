"""The tables of the log's tree. Entries are in `audit_entry`; what stands here gives them places and proves them.

A database holds one log at a time and keeps those before it: recovery from a lost database begins the next one, under
an origin of its own. An entry is in one of them. Hashes are SHA-256, 32 bytes each.
"""

from typing import ClassVar

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, LargeBinary
from sqlmodel import Field, SQLModel

from exchange.store.tables.column_types import Number


class LogStateTable(SQLModel, table=True):
    """One log: the tree's size and root, and the checkpoint signed last. Its lock makes the sequencer one at a time.

    The highest number is the log in use. `keys` are the verifier keys, one per line; `note` is the signed checkpoint,
    empty before the first; `frozen_why` is None while the log may sign.
    """

    __tablename__: ClassVar[str] = "log_state"

    log: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    origin: str
    keys: str
    began_at: int = Field(sa_type=BigInteger)
    size: int = Field(sa_type=BigInteger)
    root: bytes = Field(sa_type=LargeBinary)
    signed_at: int = Field(sa_type=BigInteger)
    note: bytes = Field(sa_type=LargeBinary)
    frozen_at: int | None = Field(default=None, sa_type=BigInteger)
    frozen_why: str | None = None


class LogLeafTable(SQLModel, table=True):
    """The place of an entry in its log."""

    __tablename__: ClassVar[str] = "log_leaf"
    # The key is all there is to a row: on SQLite the table is the index.
    __table_args__ = (Index("log_leaf_entry", "entry_id", unique=True), {"sqlite_with_rowid": False})

    log: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    position: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    entry_id: str
    leaf_hash: bytes = Field(sa_type=LargeBinary)


class LogTileTable(SQLModel, table=True):
    """One tile (C2SP tlog-tiles): up to 256 hashes of one level, side by side. A narrower tile is its beginning."""

    __tablename__: ClassVar[str] = "log_tile"

    log: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    idx: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    width: int
    hashes: bytes = Field(sa_type=LargeBinary)


class LogCheckpointTable(SQLModel, table=True):
    """A checkpoint that is kept for ever: one every ten seconds while the log grows, and the last before it rests."""

    __tablename__: ClassVar[str] = "log_checkpoint"

    log: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    root: bytes = Field(sa_type=LargeBinary)
    signed_at: int = Field(sa_type=BigInteger)
    note: bytes = Field(sa_type=LargeBinary)


class LogArchiveTable(SQLModel, table=True):
    """A bundle of 256 entries that left `audit_entry`: where in the archive it is, and SHA-256 of its bytes.

    `entry_id` is the entry that says so.
    """

    __tablename__: ClassVar[str] = "log_archive"

    log: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    idx: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    location: str
    digest: bytes = Field(sa_type=LargeBinary)
    archived_at: int = Field(sa_type=BigInteger)
    entry_id: str


class LogCosignatureTable(SQLModel, table=True):
    """What a witness says of a kept checkpoint: the line it adds to the note. `witness` is its key's name."""

    __tablename__: ClassVar[str] = "log_cosignature"
    __table_args__ = (
        ForeignKeyConstraint(["log", "size"], ["log_checkpoint.log", "log_checkpoint.size"]),
        # One that has long been silent is found behind none of what the others said since.
        Index("log_cosignature_witness", "log", "witness", "size"),
    )

    log: int = Field(sa_type=Number, primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    witness: str = Field(primary_key=True)
    line: str
    received_at: int = Field(sa_type=BigInteger)
