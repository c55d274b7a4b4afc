"""Uses of agreements' crisis clauses.

Revision: 0023, after 0022. Only adds a table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agreement_crisis",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("clause", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("first_client", sa.String(), nullable=False),
        sa.Column("first_member", sa.String(), nullable=False),
        sa.Column("second_client", sa.String(), nullable=False),
        sa.Column("second_member", sa.String(), nullable=False),
        sa.Column("act_id", sa.String(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("agreement_crisis_agreement", "agreement_crisis", ["agreement_id"])


def downgrade() -> None:
    op.drop_table("agreement_crisis")
