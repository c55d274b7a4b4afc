"""Consent to mark what derives from a report lower than that report.

Revision: 0028, after 0027. Only adds a table: the version before knows no such consent and refuses what rests on one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "derivation_consent",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("report_id", sa.String(), sa.ForeignKey("report.id"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("originator", sa.String(), nullable=False),
        sa.Column("requester", sa.String(), nullable=False),
        sa.Column("requester_member", sa.String(), nullable=False),
        sa.Column("lowest", sa.String(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("conditions", sa.String(), nullable=True),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("derivation_consent_report", "derivation_consent", ["report_id", "state"])
    op.create_index("derivation_consent_originator", "derivation_consent", ["originator", "state"])
    op.create_index("derivation_consent_requester", "derivation_consent", ["requester_member", "state"])


def downgrade() -> None:
    op.drop_table("derivation_consent")
