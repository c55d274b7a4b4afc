"""What a member's clients are still to destroy is found by the clients, too, without a look at everybody else's.

Revision: 0056, after 0055. Only adds an index: the version before writes and reads as it did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

_WITHOUT_NOTE = sa.text("note IS NULL")


def upgrade() -> None:
    op.create_index(
        "report_destruction_client",
        "report_destruction",
        ["client_id"],
        sqlite_where=_WITHOUT_NOTE,
        postgresql_where=_WITHOUT_NOTE,
    )


def downgrade() -> None:
    op.drop_index("report_destruction_client", "report_destruction")
