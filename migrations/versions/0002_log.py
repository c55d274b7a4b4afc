"""The log: tree, tiles and checkpoints over the audit entries.

Revision: 0002, after 0001. Only adds: the version before runs on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_KEPT = ("log_leaf", "log_checkpoint", "log_cosignature")
_NEVER_CHANGED = "what the log holds is never changed or deleted"
_ONLY_GROWS = "a log only grows"

# Each says what must not come to pass; OLD and NEW are read alike on both databases.
_TILE_CHANGED = (
    "OLD.width = 256 OR NEW.width < OLD.width OR NEW.log <> OLD.log OR NEW.level <> OLD.level OR NEW.idx <> OLD.idx"
    " OR substr(NEW.hashes, 1, 32 * OLD.width) <> OLD.hashes"
)
_STATE_CHANGED = (
    "NEW.log <> OLD.log OR NEW.origin <> OLD.origin OR NEW.keys <> OLD.keys OR NEW.began_at <> OLD.began_at"
    " OR NEW.size < OLD.size OR NEW.signed_at < OLD.signed_at"
)


def upgrade() -> None:
    op.create_table(
        "log_state",
        sa.Column("log", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("keys", sa.String(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("frozen_at", sa.BigInteger(), nullable=True),
        sa.Column("frozen_why", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("log"),
    )
    op.create_table(
        "log_leaf",
        sa.Column("log", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "position"),
        sqlite_with_rowid=False,
    )
    op.create_index("log_leaf_entry", "log_leaf", ["entry_id"], unique=True)
    op.create_table(
        "log_tile",
        sa.Column("log", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "idx"),
    )
    op.create_table(
        "log_checkpoint",
        sa.Column("log", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "size"),
    )
    op.create_table(
        "log_cosignature",
        sa.Column("log", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["log", "size"], ["log_checkpoint.log", "log_checkpoint.size"]),
        sa.PrimaryKeyConstraint("log", "size", "witness"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


# Defence in depth, not evidence: who owns the database can drop the guards. What proves is the tree itself.


def _guard_sqlite() -> None:
    for table in _KEPT:
        _refuse_in_sqlite(table, "UPDATE", None, _NEVER_CHANGED)
    for table in (*_KEPT, "log_tile", "log_state"):
        _refuse_in_sqlite(table, "DELETE", None, _NEVER_CHANGED)
    _refuse_in_sqlite("log_tile", "UPDATE", _TILE_CHANGED, _NEVER_CHANGED)
    _refuse_in_sqlite("log_state", "UPDATE", _STATE_CHANGED, _ONLY_GROWS)


def _refuse_in_sqlite(table: str, verb: str, when: str | None, why: str) -> None:
    condition = "" if when is None else f" WHEN {when}"
    op.execute(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}{condition}"
        f" BEGIN SELECT RAISE(ABORT, '{why}'); END"
    )


def _guard_postgresql() -> None:
    for name, why in (("log_refuse", _NEVER_CHANGED), ("log_refuse_shrinking", _ONLY_GROWS)):
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{why}'; END $$"
        )
    for table in _KEPT:
        _refuse_in_postgresql(f"{table}_keep", "UPDATE OR DELETE OR TRUNCATE", table, "STATEMENT", "log_refuse")
    for table in ("log_tile", "log_state"):
        _refuse_in_postgresql(f"{table}_keep", "DELETE OR TRUNCATE", table, "STATEMENT", "log_refuse")
    _refuse_in_postgresql("log_tile_grow", "UPDATE", "log_tile", f"ROW WHEN ({_TILE_CHANGED})", "log_refuse")
    state = f"ROW WHEN ({_STATE_CHANGED})"
    _refuse_in_postgresql("log_state_grow", "UPDATE", "log_state", state, "log_refuse_shrinking")
    # Hashes do not compress: do not try.
    op.execute("ALTER TABLE log_tile ALTER COLUMN hashes SET STORAGE EXTERNAL")


def _refuse_in_postgresql(name: str, verbs: str, table: str, each: str, function: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {verbs} ON {table} FOR EACH {each} EXECUTE FUNCTION {function}()")
