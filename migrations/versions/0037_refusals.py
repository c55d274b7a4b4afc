"""Why a second person refused an act, and why a consent to posting on behalf was refused.

Revision: 0037, after 0036. Only adds: of refusals before it, and by the version before, no reason is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pending_act_end", sa.Column("reason", sa.String(), nullable=True))
    op.add_column("proxy_consent", sa.Column("refusal", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("proxy_consent", "refusal")
    op.drop_column("pending_act_end", "reason")
