"""A consent to posting on behalf is bound to what it says, once it is given.

Revision: 0039, after 0038. Only adds: consents from before are bound to nothing, and have to be given anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("proxy_consent", sa.Column("seal", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("proxy_consent", "seal")
