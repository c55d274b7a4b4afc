"""How urgent a report was before it was amended: an acknowledgement that was overdue by then is owed still.

Revision: 0057, after 0056. Only adds: of amendments before it, and by the version before, nothing is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("report_past", sa.Column("precedence", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("report_past", "precedence")
