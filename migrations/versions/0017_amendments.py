"""Amendments that were proposed.

Revision: 0017, after 0016. Only adds: the version before runs on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agreement_amendment",
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agreement_id", "number"),
    )
    op.create_index("agreement_amendment_text", "agreement_amendment", ["agreement_id", "text"], unique=True)
