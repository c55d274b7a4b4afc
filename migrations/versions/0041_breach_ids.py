"""A breach is found by its id: whoever was told of one, on a stream or by webhook, had all of them gone through.

Revision: 0041, after 0040. Only adds.
"""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("duty_breach_id", "duty_breach", ["id"])


def downgrade() -> None:
    op.drop_index("duty_breach_id", "duty_breach")
