"""National caveats: what members put in force for their own reports.

Revision: 0022, after 0021. Only adds a table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_STAYS = "what was asked for stays, and so does when it was in force"
_WRITTEN = ("id", "member", "guards", "examples", "told", "digest", "act_id", "proposed_by", "proposed_at")
_ONCE = ("number", "in_force_at", "ended_at")
_CHANGED = " OR ".join(
    [
        *(f"NEW.{name} <> OLD.{name}" for name in _WRITTEN),
        "COALESCE(NEW.replaces, '') <> COALESCE(OLD.replaces, '')",
        *(f"(OLD.{name} IS NOT NULL AND (NEW.{name} IS NULL OR NEW.{name} <> OLD.{name}))" for name in _ONCE),
    ]
)


def upgrade() -> None:
    op.create_table(
        "caveat_set",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("guards", sa.String(), nullable=False),
        sa.Column("examples", sa.String(), nullable=False),
        sa.Column("told", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("replaces", sa.String(), nullable=True),
        sa.Column("act_id", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("in_force_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("caveat_set_member", "caveat_set", ["member", "in_force_at"])
    op.create_index("caveat_set_number", "caveat_set", ["member", "number"], unique=True)
    # Defence in depth, not evidence: what proves is the digest in the log.
    if op.get_bind().dialect.name == "sqlite":
        for change, when in (("DELETE", "TRUE"), ("UPDATE", _CHANGED)):
            op.execute(
                f"CREATE TRIGGER caveat_set_no_{change.lower()} BEFORE {change} ON caveat_set WHEN {when}"
                f" BEGIN SELECT RAISE(ABORT, '{_STAYS}'); END"
            )
    else:
        _guard_postgresql()


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION caveat_set_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_STAYS}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER caveat_set_keep BEFORE DELETE OR TRUNCATE ON caveat_set"
        " FOR EACH STATEMENT EXECUTE FUNCTION caveat_set_refuse()"
    )
    op.execute(
        "CREATE TRIGGER caveat_set_once BEFORE UPDATE ON caveat_set"
        f" FOR EACH ROW WHEN ({_CHANGED}) EXECUTE FUNCTION caveat_set_refuse()"
    )


def downgrade() -> None:
    op.drop_table("caveat_set")
