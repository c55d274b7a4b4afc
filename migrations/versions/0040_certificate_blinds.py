"""What blinds the mark of a client's certificate in the log is kept beside it.

Revision: 0040, after 0039. Only adds: certificates from before have none until the jobs put them on record.
"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("client_certificate", sa.Column("blind", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("client_certificate", "blind")
