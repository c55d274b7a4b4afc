"""Signatures under the texts of agreements, and the keys of those who sign.

Revision: 0014, after 0013. Only adds. A consent that was given before by a call alone stays readable and is no
signature: a party that gave one signs the text.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_STAYS = "what was signed stays signed"
_ONLY_RETIRED = "a key is only ever retired, and once"
_KEY_CHANGED = (
    "OLD.retired_at IS NOT NULL OR NEW.retired_at IS NULL OR NEW.key_id <> OLD.key_id OR NEW.client_id <> OLD.client_id"
    " OR NEW.member <> OLD.member OR NEW.ed25519 <> OLD.ed25519 OR NEW.ml_dsa_65 <> OLD.ml_dsa_65"
    " OR NEW.enrolled_at <> OLD.enrolled_at OR NEW.entry <> OLD.entry"
)


def upgrade() -> None:
    op.add_column("agreement", sa.Column("edition", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("agreement", sa.Column("previous", sa.String(), nullable=True))
    op.add_column("agreement", sa.Column("text", sa.String(), nullable=True))
    op.create_table(
        "signatory_key",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("ed25519", sa.LargeBinary(), nullable=False),
        sa.Column("ml_dsa_65", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.Column("enrolled_by", sa.String(), nullable=True),
        sa.Column("entry", sa.String(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_index("signatory_key_client", "signatory_key", ["client_id"], unique=False)
    op.create_table(
        "agreement_signature",
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("signatory", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("ed25519", sa.LargeBinary(), nullable=False),
        sa.Column("ml_dsa_65", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("text", "member"),
    )
    # Defence in depth, not evidence: what proves is the signature.
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _guard_sqlite() -> None:
    for table, change, when, why in (
        ("agreement_signature", "DELETE", "TRUE", _STAYS),
        ("agreement_signature", "UPDATE", "TRUE", _STAYS),
        ("signatory_key", "DELETE", "TRUE", _ONLY_RETIRED),
        ("signatory_key", "UPDATE", _KEY_CHANGED, _ONLY_RETIRED),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} WHEN {when}"
            f" BEGIN SELECT RAISE(ABORT, '{why}'); END"
        )


def _guard_postgresql() -> None:
    for name, why in (("agreement_signature_refuse", _STAYS), ("signatory_key_refuse", _ONLY_RETIRED)):
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{why}'; END $$"
        )
    op.execute(
        "CREATE TRIGGER agreement_signature_keep BEFORE DELETE OR UPDATE OR TRUNCATE ON agreement_signature"
        " FOR EACH STATEMENT EXECUTE FUNCTION agreement_signature_refuse()"
    )
    op.execute(
        "CREATE TRIGGER signatory_key_keep BEFORE DELETE OR TRUNCATE ON signatory_key"
        " FOR EACH STATEMENT EXECUTE FUNCTION signatory_key_refuse()"
    )
    op.execute(
        "CREATE TRIGGER signatory_key_once BEFORE UPDATE ON signatory_key"
        f" FOR EACH ROW WHEN ({_KEY_CHANGED}) EXECUTE FUNCTION signatory_key_refuse()"
    )
