"""What is known of the clock: what time ends waits where it leapt.

Revision: 0035, after 0034. Only adds: the version before ends it as its clock says.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "timekeeping",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("believed_at", sa.BigInteger(), nullable=False),
        sa.Column("doubted_since", sa.BigInteger(), nullable=True),
        sa.Column("doubted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    # What was signed last was signed by a clock that somebody saw: one that leapt while nothing ran is found out.
    op.execute(
        "INSERT INTO timekeeping (id, believed_at) SELECT 1, signed_at FROM log_state"
        " WHERE signed_at > 0 ORDER BY log DESC LIMIT 1"
    )


def downgrade() -> None:
    op.drop_table("timekeeping")
