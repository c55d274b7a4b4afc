"""What a reader is to destroy still is found by the certificate that is not there, and not by a moment alone.

Revision: 0047, after 0043. Only adds.
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0043"
branch_labels = None
depends_on = None

_WITHOUT_NOTE = sa.text("note IS NULL")


def upgrade() -> None:
    op.create_index(
        "report_destruction_uncertified",
        "report_destruction",
        ["member"],
        sqlite_where=_WITHOUT_NOTE,
        postgresql_where=_WITHOUT_NOTE,
    )


def downgrade() -> None:
    op.drop_index("report_destruction_uncertified", "report_destruction")
