"""The class that a report was posted in, once it has moved to another one.

Revision: 0033, after 0032. Only adds: the version before counts by the class that a report has now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("report", sa.Column("posted_class", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("report", "posted_class")
