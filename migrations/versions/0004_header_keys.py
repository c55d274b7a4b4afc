"""Headers stand under a key of their agreement: the report's own data key for its header goes.

Revision: 0004, after 0003

Contract, not only expand: no version that was ever released wrote the older form, and it cannot be turned into the new
one without the keys.
"""

import sqlalchemy as sa
from alembic import op

from exchange.kernel import UnavailableError

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OLDER = (
    "the database holds reports from before the first release, whose headers no later version can read; it is left as"
    " it was. Begin with a new instance (`exchange init`) and post them again from the version that wrote them"
)


def upgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM (SELECT 1 FROM report LIMIT 1) AS any_report")):
        raise UnavailableError(_OLDER)
    op.drop_column("report", "wrap_suite")
    op.drop_column("report", "wrapped_key")


def downgrade() -> None:
    raise NotImplementedError(
        "headers have no keys of their own any more: restore the backup from before the migration"
    )
