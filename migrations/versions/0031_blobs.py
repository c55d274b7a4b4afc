"""Large parts in a blob store: where a part's ciphertext is, and which blobs no part names.

Revision: 0031, after 0030. Only adds: the version before finds no ciphertext in a row that names a blob, and refuses it;
so `blob_store_url` is set when no node of that version runs any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("report_part", sa.Column("location", sa.String(), nullable=True))
    op.create_table(
        "blob_debris",
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("location"),
    )
    op.create_index("blob_debris_due", "blob_debris", ["due_at"])


def downgrade() -> None:
    op.drop_table("blob_debris")
    op.drop_column("report_part", "location")
