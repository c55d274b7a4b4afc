"""The spine: members, clients, agreements, reports and the audit log.

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_NOT_ON_THE_RECORD = "audit entries are never changed or deleted"


def upgrade() -> None:
    op.create_table(
        "agreement",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=True),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("superseded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", "version"),
    )
    op.create_index(
        "agreement_current",
        "agreement",
        ["id"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "agreement_party",
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("agreement_id", "version", "member"),
    )
    op.create_table(
        "audit_entry",
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
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_entry_actor", "audit_entry", ["actor_id", "at_micros"], unique=False)
    op.create_index("audit_entry_agreement", "audit_entry", ["agreement", "at_micros"], unique=False)
    op.create_index("audit_entry_at", "audit_entry", ["at_micros"], unique=False)
    op.create_index("audit_entry_event", "audit_entry", ["event", "outcome", "at_micros"], unique=False)
    op.create_index("audit_entry_member", "audit_entry", ["member", "at_micros"], unique=False)
    op.create_index("audit_entry_owner", "audit_entry", ["owner", "at_micros"], unique=False)
    op.create_index("audit_entry_subject", "audit_entry", ["subject_id", "at_micros"], unique=False)
    op.create_table(
        "audit_outbox",
        sa.Column("id", _SEQUENCE, nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "client",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("agency", sa.String(), nullable=False),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("compartments", sa.String(), nullable=False),
        sa.Column("cleared_since", sa.BigInteger(), nullable=False),
        sa.Column("cleared_until", sa.BigInteger(), nullable=True),
        sa.Column("nationality", sa.String(), nullable=False),
        sa.Column("purposes", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("superseded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", "version"),
    )
    op.create_index(
        "client_current",
        "client",
        ["id"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_index("client_member", "client", ["member"], unique=False)
    op.create_table(
        "client_certificate",
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("thumbprint"),
    )
    op.create_index("client_certificate_client", "client_certificate", ["client_id"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "key"),
    )
    op.create_index("idempotency_created", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "member",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("superseded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("code", "version"),
    )
    op.create_index(
        "member_current",
        "member",
        ["code"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "policy_state",
        sa.Column("id", _SEQUENCE, autoincrement=False, nullable=False),
        sa.Column("policy_version", sa.BigInteger(), nullable=False),
        sa.Column("class_version", sa.BigInteger(), nullable=False),
        sa.Column("report_seq", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("policy_digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "release_class",
        sa.Column("id", _SEQUENCE, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("facts", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("release_class_digest", "release_class", ["digest"], unique=True)
    op.create_table(
        "report",
        sa.Column("seq", _SEQUENCE, autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("agreement", sa.String(), nullable=False),
        sa.Column("originator", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("precedence", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("supersedes", sa.String(), nullable=True),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("wrap_suite", sa.String(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("header_suite", sa.String(), nullable=False),
        sa.Column("sealed_header", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["release_class.id"],
        ),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("report_class", "report", ["class_id", "seq", "status", "valid_until", "posted_at"], unique=False)
    op.create_index("report_id", "report", ["id"], unique=True)
    op.create_index("report_recorded", "report", ["recorded_at", "seq"], unique=False)
    op.create_index(
        "report_urgent", "report", ["class_id", "precedence", "seq", "status", "valid_until", "posted_at"], unique=False
    )
    op.create_table(
        "report_part",
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("label_index", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("wrap_suite", sa.String(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["report.id"],
        ),
        sa.PrimaryKeyConstraint("report_id", "number"),
    )

    op.execute(
        "INSERT INTO policy_state (id, policy_version, class_version, report_seq, recorded_at, policy_digest)"
        " VALUES (1, 1, 0, 0, 0, '')"
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


# The guards are defence in depth, not evidence: who owns the database can drop them. What proves is the log's own tree.


def _guard_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_entry_no_{verb.lower()} BEFORE {verb} ON audit_entry"
            f" BEGIN SELECT RAISE(ABORT, '{_NOT_ON_THE_RECORD}'); END"
        )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_NOT_ON_THE_RECORD}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_entry_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse()"
    )
    # Ciphertext does not compress: do not try.
    for table, column in (("report", "sealed_header"), ("report_part", "ciphertext")):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
