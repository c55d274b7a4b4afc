"""Parties leave when their notice has passed; reviews of agreements are noted.

Revision: 0027, after 0026. Only adds: the version before sees a leaving party as one that stays.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agreement_party", sa.Column("leaves_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "agreement_review",
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("due_on", sa.String(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("agreement_id", "due_on"),
    )


def downgrade() -> None:
    op.drop_table("agreement_review")
    op.drop_column("agreement_party", "leaves_at")
