"""Reports whose parts come later: what was declared, what has come, and pieces of large parts.

Revision: 0032, after 0031. Only adds: the version before finds no ciphertext in a row that names pieces, and refuses it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_OPEN = sa.text("ended IS NULL")


def upgrade() -> None:
    op.create_table(
        "upload",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("originator", sa.String(), nullable=False),
        sa.Column("agreement", sa.String(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("header_suite", sa.String(), nullable=False),
        sa.Column("sealed_header", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("upload_due", "upload", ["due_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("upload_client", "upload", ["client_id"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_table(
        "upload_part",
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("wrap_suite", sa.String(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("location", sa.String(), nullable=True),
        sa.Column("digest_key_id", sa.String(), nullable=False),
        sa.Column("digest_key_version", sa.Integer(), nullable=False),
        sa.Column("digest_suite", sa.String(), nullable=False),
        sa.Column("sealed_digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"]),
        sa.PrimaryKeyConstraint("upload_id", "number"),
    )
    op.create_table(
        "part_piece",
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("location", "number"),
    )


def downgrade() -> None:
    op.drop_table("part_piece")
    op.drop_table("upload_part")
    op.drop_table("upload")
