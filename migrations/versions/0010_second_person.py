"""Acts that ended without their being done: refused by a second person, or taken back.

Revision: 0010, after 0009. Only adds: the version before runs on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STAYS = "an end that was written stays"


def upgrade() -> None:
    op.create_table(
        "pending_act_end",
        sa.Column("act_id", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("act_id"),
    )
    # Defence in depth, not evidence, as for the acts themselves.
    if op.get_bind().dialect.name == "sqlite":
        for change in ("DELETE", "UPDATE"):
            op.execute(
                f"CREATE TRIGGER pending_act_end_no_{change.lower()} BEFORE {change} ON pending_act_end"
                f" BEGIN SELECT RAISE(ABORT, '{_STAYS}'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION pending_act_end_refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{_STAYS}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER pending_act_end_keep BEFORE DELETE OR UPDATE OR TRUNCATE ON pending_act_end"
            " FOR EACH STATEMENT EXECUTE FUNCTION pending_act_end_refuse()"
        )
