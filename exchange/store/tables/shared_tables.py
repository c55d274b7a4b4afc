"""By what nodes of one database find out that they hold the same secrets."""

from typing import ClassVar

from sqlmodel import Field, SQLModel


class SharedKeyTable(SQLModel, table=True):
    """One row for each secret that nodes hold alike: its fingerprint, from which nobody comes to the secret."""

    __tablename__: ClassVar[str] = "shared_key"

    name: str = Field(primary_key=True)
    fingerprint: str
