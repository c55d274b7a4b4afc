"""What reports were before they moved: who could have read one on a day is asked of the class that it had then.

Revision: 0036, after 0035. Only adds: of moves before it, and by the version before, nothing is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_past",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"]),
        sa.ForeignKeyConstraint(["class_id"], ["release_class.id"]),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("report_past_report", "report_past", ["report_id", "seq"])


def downgrade() -> None:
    op.drop_table("report_past")
