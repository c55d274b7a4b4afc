"""The database says which is the oldest version of the program that may work with it.

Revision: 0019, after 0018. Only adds a table. A revision that takes something away raises the floor with
`UPDATE schema_floor SET revision = ...`; one that only adds leaves it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    floor = op.create_table(
        "schema_floor",
        sa.Column("revision", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
    op.bulk_insert(floor, [{"revision": revision}])


def downgrade() -> None:
    op.drop_table("schema_floor")
