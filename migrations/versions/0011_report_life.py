"""The life of reports: former versions, tombstones, destruction asked for, notices, and the day of declassification.

Revision: 0011, after 0010. Only adds: the version before runs on. Reports from before keep no day of declassification
beside their sealed header: they are declassified by hand.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("returned_at IS NULL")
_GIVEN = sa.text("declassify_on IS NOT NULL")


def upgrade() -> None:
    op.add_column("report", sa.Column("declassify_on", sa.BigInteger(), nullable=True))
    op.create_index("report_declassify", "report", ["declassify_on"], sqlite_where=_GIVEN, postgresql_where=_GIVEN)
    op.create_table(
        "report_version",
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"]),
        sa.PrimaryKeyConstraint("report_id", "version"),
    )
    op.create_table(
        "report_tombstone",
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"]),
        sa.PrimaryKeyConstraint("report_id"),
    )
    op.create_index("report_tombstone_raised", "report_tombstone", ["raised_at"])
    _create_destruction()
    _create_notice()


def _create_destruction() -> None:
    op.create_table(
        "report_destruction",
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.Column("read_entry", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("returned_at", sa.BigInteger(), nullable=True),
        sa.Column("returned_by", sa.String(), nullable=True),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("entry_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"]),
        sa.PrimaryKeyConstraint("report_id", "client_id"),
    )
    op.create_index(
        "report_destruction_open", "report_destruction", ["member"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )


def _create_notice() -> None:
    op.create_table(
        "report_notice",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("report_notice_client", "report_notice", ["client_id", "number"])


def downgrade() -> None:
    for table in ("report_notice", "report_destruction", "report_tombstone", "report_version"):
        op.drop_table(table)
    op.drop_index("report_declassify", "report")
    op.drop_column("report", "declassify_on")
