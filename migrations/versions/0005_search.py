"""What auditors find entries by, in the order of time.

Revision: 0005, after 0004. Only adds columns; the indexes that go were in the order of positions, and nothing read them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FACET = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_GONE = ("member", "actor", "subject", "owner", "agreement", "event")
_GIVEN = {
    "owner_facet": "owner_facet",
    "actor": "actor_id",
    "agency": "agency",
    "subject": "subject_id",
    "agreement": "agreement",
    "reasons": "reasons",
}


def upgrade() -> None:
    for name in _GONE:
        op.drop_index(f"audit_search_{name}", "audit_search")
    op.add_column("audit_search", sa.Column("facet", _FACET, nullable=True))
    op.add_column("audit_search", sa.Column("owner_facet", _FACET, nullable=True))
    rest = "event || '|' || outcome || '|' || coalesce(level, '')"
    op.execute(
        f"UPDATE audit_search SET facet = coalesce(member, '') || '|' || {rest}, owner_facet = owner || '|' || {rest}"
    )
    op.create_index("audit_search_facet", "audit_search", ["facet", "at_micros"])
    for name, column in _GIVEN.items():
        given = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"audit_search_{name}", "audit_search", [column, "at_micros"], sqlite_where=given, postgresql_where=given
        )


def downgrade() -> None:
    for name in ("facet", *_GIVEN):
        op.drop_index(f"audit_search_{name}", "audit_search")
    op.drop_column("audit_search", "facet")
    op.drop_column("audit_search", "owner_facet")
