"""How far the walk over reports has come: their rows are held against the log, a few at a time.

Revision: 0043, after 0042. Only adds: the version before walks over none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_walk",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_micros", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("is_whole", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("report_walk")
