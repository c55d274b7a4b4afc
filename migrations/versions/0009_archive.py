"""The archive: which bundles of the log are in it; and an entry may leave the database once its bundle is.

Revision: 0009, after 0008. Only adds: the version before runs on, for as long as nothing is archived.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NOT_ON_THE_RECORD = "audit entries are never changed or deleted"
_STAYS = "what is in the archive stays there"
_NOT_NEXT = "only the next whole bundle of a log goes to the archive"

_IS_ARCHIVED = (
    "EXISTS (SELECT 1 FROM log_leaf l JOIN log_archive a ON a.log = l.log AND a.idx = l.position / 256"
    " WHERE l.entry_id = OLD.id)"
)
_IS_NEXT = (
    "NEW.idx >= 0 AND length(NEW.digest) = 32"
    " AND EXISTS (SELECT 1 FROM log_state s WHERE s.log = NEW.log AND s.size >= (NEW.idx + 1) * 256)"
    " AND (NEW.idx = 0 OR EXISTS (SELECT 1 FROM log_archive a WHERE a.log = NEW.log AND a.idx = NEW.idx - 1))"
)


def upgrade() -> None:
    op.create_table(
        "log_archive",
        sa.Column("log", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("log", "idx"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


# Defence in depth, not evidence: who owns the database can drop the guards. What proves is the tree.


def _guard_sqlite() -> None:
    op.execute("DROP TRIGGER audit_entry_no_delete")
    for name, verb, table, condition, why in (
        ("audit_entry_no_delete", "DELETE", "audit_entry", f"NOT {_IS_ARCHIVED}", _NOT_ON_THE_RECORD),
        ("log_archive_next", "INSERT", "log_archive", f"NOT ({_IS_NEXT})", _NOT_NEXT),
        ("log_archive_no_update", "UPDATE", "log_archive", "TRUE", _STAYS),
        ("log_archive_no_delete", "DELETE", "log_archive", "TRUE", _STAYS),
    ):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {verb} ON {table} WHEN {condition} BEGIN SELECT RAISE(ABORT, '{why}'); END"
        )


def _guard_postgresql() -> None:
    # Named, so that no table of the same name in front of it is asked: a temporary one comes first otherwise.
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    for name, condition, row, why in (
        ("audit_entry_only_archived", _IS_ARCHIVED, "OLD", _NOT_ON_THE_RECORD),
        ("log_archive_next", _IS_NEXT, "NEW", _NOT_NEXT),
    ):
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS"
            f" $$ BEGIN IF {condition} THEN RETURN {row}; END IF; RAISE EXCEPTION '{why}'; END $$"
        )
    op.execute("DROP TRIGGER audit_entry_keep ON audit_entry")
    for name, verbs, table, each, function in (
        ("audit_entry_keep", "UPDATE OR TRUNCATE", "audit_entry", "STATEMENT", "audit_entry_refuse"),
        ("audit_entry_only_archived", "DELETE", "audit_entry", "ROW", "audit_entry_only_archived"),
        ("log_archive_next", "INSERT", "log_archive", "ROW", "log_archive_next"),
        ("log_archive_keep", "UPDATE OR DELETE OR TRUNCATE", "log_archive", "STATEMENT", "log_refuse"),
    ):
        op.execute(f"CREATE TRIGGER {name} BEFORE {verbs} ON {table} FOR EACH {each} EXECUTE FUNCTION {function}()")
