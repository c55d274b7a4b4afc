"""Entries about legal holds are found by their own bytes, whatever becomes of what others are found by.

Revision: 0055, after 0054. Only adds an index, of a few rows: the version before writes and reads as it did. Of a large
log it is made before, by whom nobody waits for (docs/upgrading.md), and is left as it is.
"""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

_SAYS_A_HOLD = b'"type":"hold.'.hex()


def upgrade() -> None:
    op.create_index(
        "audit_entry_holds",
        "audit_entry",
        ["id"],
        if_not_exists=True,
        sqlite_where=sa.text(f"instr(content, x'{_SAYS_A_HOLD}') > 0"),
        postgresql_where=sa.text(f"position('\\x{_SAYS_A_HOLD}'::bytea in content) > 0"),
    )


def downgrade() -> None:
    op.drop_index("audit_entry_holds", "audit_entry")
