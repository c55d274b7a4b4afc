"""A member's standing consent that another one posts on its behalf.

Revision: 0021, after 0020. Only adds a table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "proxy_consent",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("originator", sa.String(), nullable=False),
        sa.Column("proxy", sa.String(), nullable=False),
        sa.Column("agreement", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("proxy_consent_originator", "proxy_consent", ["originator", "state"])
    op.create_index("proxy_consent_proxy", "proxy_consent", ["proxy", "state"])


def downgrade() -> None:
    op.drop_table("proxy_consent")
