"""Requests for information: asked by readers, answered with reports.

Revision: 0024, after 0023. Only adds tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "information_request",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asker", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("facts", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("header_suite", sa.String(), nullable=False),
        sa.Column("sealed_header", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("information_request_id", "information_request", ["id"], unique=True)
    op.create_index("information_request_asker", "information_request", ["asker", "number"])
    op.create_table(
        "information_request_member",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["information_request.number"]),
        sa.PrimaryKeyConstraint("number", "member"),
    )
    op.create_index("information_request_member_of", "information_request_member", ["member", "number"])
    op.create_table(
        "information_request_answer",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["information_request.number"]),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"]),
        sa.PrimaryKeyConstraint("number", "report_id"),
    )
    op.create_index("information_request_answer_report", "information_request_answer", ["report_id"])


def downgrade() -> None:
    op.drop_table("information_request_answer")
    op.drop_table("information_request_member")
    op.drop_table("information_request")
