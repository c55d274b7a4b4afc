"""The key in a client's certificate is kept: one key pair is one client's, and one person's.

Revision: 0029, after 0028. Only adds: certificates from before have none until they are used in an act of two persons.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("client_certificate", sa.Column("public_key", sa.String(), nullable=True))
    op.create_index("client_certificate_public_key", "client_certificate", ["public_key"])


def downgrade() -> None:
    op.drop_index("client_certificate_public_key", "client_certificate")
    op.drop_column("client_certificate", "public_key")
