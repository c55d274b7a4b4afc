"""What a witness said last, and which reports were amended of late, is found without passing by all the rest.

Revision: 0054, after 0053. Only adds indexes: the version before writes and reads as it did.
"""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("log_cosignature_witness", "log_cosignature", ["log", "witness", "size"])
    op.create_index("report_version_replaced", "report_version", ["replaced_at"])


def downgrade() -> None:
    op.drop_index("report_version_replaced", "report_version")
    op.drop_index("log_cosignature_witness", "log_cosignature")
