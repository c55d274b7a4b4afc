"""What an entry is found by moves into a table of its own, which whoever gives positions in the log fills.

Revision: 0003, after 0002

Contract, not only expand: nothing had read the columns, and with their indexes an append cost five times as much.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NOT_ON_THE_RECORD = "audit entries are never changed or deleted"

_COLUMNS = [
    "at_micros",
    "node",
    "boot",
    "node_seq",
    "event",
    "outcome",
    "actor_kind",
    "actor_id",
    "thumbprint",
    "member",
    "agency",
    "subject_kind",
    "subject_id",
    "subject_version",
    "owner",
    "agreement",
    "scope",
    "label_policy",
    "level",
    "reasons",
    "purpose",
    "request_id",
    "source",
    "size_bytes",
    "result_count",
]
_INDEXES = ("actor", "agreement", "at", "event", "member", "owner", "subject")


def upgrade() -> None:
    for name in _INDEXES:
        op.drop_index(f"audit_entry_{name}", "audit_entry")
    if op.get_bind().dialect.name == "sqlite":
        _narrow_sqlite()
    else:
        for column in _COLUMNS:
            op.drop_column("audit_entry", column)
    _create_search()


def _narrow_sqlite() -> None:
    for verb in ("update", "delete"):
        op.execute(f"DROP TRIGGER audit_entry_no_{verb}")
    op.rename_table("audit_entry", "audit_entry_wide")
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO audit_entry (id, content) SELECT id, content FROM audit_entry_wide ORDER BY id")
    op.drop_table("audit_entry_wide")
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_entry_no_{verb.lower()} BEFORE {verb} ON audit_entry"
            f" BEGIN SELECT RAISE(ABORT, '{_NOT_ON_THE_RECORD}'); END"
        )


def _create_search() -> None:
    op.create_table(
        "audit_search",
        sa.Column("log", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at_micros", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("boot", sa.String(), nullable=False),
        sa.Column("node_seq", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", sa.String(), nullable=True),
        sa.Column("thumbprint", sa.String(), nullable=True),
        sa.Column("member", sa.String(), nullable=True),
        sa.Column("agency", sa.String(), nullable=True),
        sa.Column("subject_kind", sa.String(), nullable=True),
        sa.Column("subject_id", sa.String(), nullable=True),
        sa.Column("subject_version", sa.Integer(), nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("agreement", sa.String(), nullable=True),
        sa.Column("scope", sa.String(), nullable=True),
        sa.Column("label_policy", sa.String(), nullable=True),
        sa.Column("level", sa.String(), nullable=True),
        sa.Column("reasons", sa.String(), nullable=True),
        sa.Column("purpose", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("result_count", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("log", "position"),
    )
    op.create_index("audit_search_entry", "audit_search", ["id"], unique=True)
    op.create_index("audit_search_at", "audit_search", ["at_micros"])
    for name, columns in (
        ("member", ["member"]),
        ("actor", ["actor_id"]),
        ("subject", ["subject_id"]),
        ("owner", ["owner"]),
        ("agreement", ["agreement"]),
        ("event", ["event", "outcome"]),
    ):
        op.create_index(f"audit_search_{name}", "audit_search", [*columns, "log", "position"])


def downgrade() -> None:
    raise NotImplementedError("entries are never taken apart again: restore the backup from before the migration")
