"""What has taken a report's place is found by that report: a place is taken once at a time.

Revision: 0042, after 0041. Only adds.
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_SUPERSEDES = sa.text("supersedes IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "report_supersedes", "report", ["supersedes"], sqlite_where=_SUPERSEDES, postgresql_where=_SUPERSEDES
    )


def downgrade() -> None:
    op.drop_index("report_supersedes", "report")
