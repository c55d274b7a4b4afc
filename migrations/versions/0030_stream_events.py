"""Streams tell of requests for information and of breaches too.

Revision: 0030, after 0029. Only adds: the version before tells of neither, and its streams pass over these places.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stream_event",
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "member"),
    )
    op.create_index("stream_event_member", "stream_event", ["member", "seq"])


def downgrade() -> None:
    op.drop_index("stream_event_member", "stream_event")
    op.drop_table("stream_event")
