"""Signatures under proposed texts that were taken back: each with the statement, signed, that it holds no more.

Revision: 0038, after 0037. Only adds. The version before goes on to count what was taken back meanwhile.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_TABLE = "agreement_signature_end"
_STAYS = "what was signed stays as it was signed"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("signatory", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("ed25519", sa.LargeBinary(), nullable=False),
        sa.Column("ml_dsa_65", sa.LargeBinary(), nullable=False),
        sa.Column("taken_back_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("text", "member"),
    )
    # Defence in depth, not evidence: what proves is the signature.
    if op.get_bind().dialect.name == "sqlite":
        for change in ("DELETE", "UPDATE"):
            op.execute(
                f"CREATE TRIGGER {_TABLE}_no_{change.lower()} BEFORE {change} ON {_TABLE}"
                f" BEGIN SELECT RAISE(ABORT, '{_STAYS}'); END"
            )
    else:
        op.execute(
            f"CREATE TRIGGER {_TABLE}_keep BEFORE DELETE OR UPDATE OR TRUNCATE ON {_TABLE}"
            " FOR EACH STATEMENT EXECUTE FUNCTION agreement_signature_refuse()"
        )


def downgrade() -> None:
    op.drop_table(_TABLE)
