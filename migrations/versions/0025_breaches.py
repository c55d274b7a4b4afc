"""Breaches of what parties promised, and what subscribers are told of them.

Revision: 0025, after 0024. Only adds a table and a column that may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ONCE = ["agreement_id", "kind", "party", "owed_to", "scope", "subject"]


def upgrade() -> None:
    op.create_table(
        "duty_breach",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("party", sa.String(), nullable=False),
        sa.Column("owed_to", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("duty_breach_once", "duty_breach", _ONCE, unique=True)
    op.create_index("duty_breach_agreement", "duty_breach", ["agreement_id", "number"])
    op.add_column("subscription_delivery", sa.Column("breach_id", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("subscription_delivery", "breach_id")
    op.drop_table("duty_breach")
