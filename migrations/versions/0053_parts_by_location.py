"""Parts are found by the blob that they name: one that a part names is not deleted.

Revision: 0053, after 0052. Only adds indexes: the version before writes and reads as it did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

_GIVEN = sa.text("location IS NOT NULL")


def upgrade() -> None:
    for table in ("report_part", "upload_part"):
        op.create_index(f"{table}_location", table, ["location"], sqlite_where=_GIVEN, postgresql_where=_GIVEN)


def downgrade() -> None:
    for table in ("report_part", "upload_part"):
        op.drop_index(f"{table}_location", table)
