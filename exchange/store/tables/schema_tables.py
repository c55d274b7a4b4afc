"""What the schema says of itself, for versions of the program that do not know all of it."""

from typing import ClassVar

from sqlmodel import Field, SQLModel


class SchemaFloorTable(SQLModel, table=True):
    """One row: the revision of the oldest version that may work with this database.

    Only a revision that takes something away raises it, to the revision since which nothing needs what it takes.
    """

    __tablename__: ClassVar[str] = "schema_floor"

    revision: str = Field(primary_key=True)
