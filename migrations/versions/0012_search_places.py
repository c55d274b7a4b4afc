"""An entry is found by the address it came from and by the certificate that was shown.

Revision: 0012, after 0011. Only adds columns and their indexes. The sequencer of the version before leaves them empty:
let it stop before, as `exchange audit verify` names the rows that it would write after.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FACET = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_IN_TIME = ["at_micros", "position"]


def upgrade() -> None:
    for name in ("source_member", "thumbprint_member"):
        op.add_column("audit_search", sa.Column(name, _FACET, nullable=True))
    op.execute(
        "UPDATE audit_search SET"
        " source_member = CASE WHEN source NOT IN ('', 'host', 'local', 'withheld') THEN source || '|' || coalesce(member, '') END,"
        " thumbprint_member = CASE WHEN thumbprint <> '' THEN thumbprint || '|' || coalesce(member, '') END"
    )
    for name in ("source_member", "thumbprint_member"):
        given = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"audit_search_{name}", "audit_search", [name, *_IN_TIME], sqlite_where=given, postgresql_where=given
        )


def downgrade() -> None:
    raise NotImplementedError(
        "what finds entries is not taken apart again: restore the backup from before the migration"
    )
