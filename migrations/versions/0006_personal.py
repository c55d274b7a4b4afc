"""Keys of the personal data in audit entries, and acts that wait for a second person.

Revision: 0006, after 0005. Only adds: the version before runs on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = ("personal_key", "pending_act")
_NEVER_DELETED = "a row that was used stays"
_ONLY_ONCE = "a key is only ever destroyed, an act only ever approved, and once"

# Each says what must not come to pass; OLD and NEW are read alike on both databases.
_KEY_CHANGED = (
    "OLD.destroyed_at IS NOT NULL OR NEW.destroyed_at IS NULL OR length(NEW.wrapped_key) > 0 OR NEW.kid <> OLD.kid"
    " OR NEW.subject <> OLD.subject OR NEW.period <> OLD.period OR NEW.boot <> OLD.boot"
)
_ACT_CHANGED = (
    "OLD.approver IS NOT NULL OR NEW.approver IS NULL OR NEW.approver = OLD.requester OR NEW.id <> OLD.id"
    " OR NEW.kind <> OLD.kind OR NEW.payload <> OLD.payload OR NEW.digest <> OLD.digest"
    " OR NEW.requester <> OLD.requester OR NEW.expires_at <> OLD.expires_at"
)


def upgrade() -> None:
    op.create_table(
        "personal_key",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("boot", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("wrap_suite", sa.String(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kid"),
    )
    op.create_index("personal_key_subject", "personal_key", ["subject", "period"], unique=False)
    op.create_index("personal_key_boot", "personal_key", ["boot", "destroyed_at"], unique=False)
    op.create_table(
        "pending_act",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("requester", sa.String(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("approver", sa.String(), nullable=True),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("pending_act_kind", "pending_act", ["kind", "expires_at"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


# Defence in depth, not evidence: who owns the database can drop the guards. What proves is the log.


def _guard_sqlite() -> None:
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{_NEVER_DELETED}'); END"
        )
    for table, changed in zip(_TABLES, (_KEY_CHANGED, _ACT_CHANGED), strict=True):
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} WHEN {changed}"
            f" BEGIN SELECT RAISE(ABORT, '{_ONLY_ONCE}'); END"
        )


def _guard_postgresql() -> None:
    for name, why in (("personal_refuse_delete", _NEVER_DELETED), ("personal_refuse_change", _ONLY_ONCE)):
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{why}'; END $$"
        )
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_keep BEFORE DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION personal_refuse_delete()"
        )
    for table, changed in zip(_TABLES, (_KEY_CHANGED, _ACT_CHANGED), strict=True):
        op.execute(
            f"CREATE TRIGGER {table}_once BEFORE UPDATE ON {table}"
            f" FOR EACH ROW WHEN ({changed}) EXECUTE FUNCTION personal_refuse_change()"
        )
