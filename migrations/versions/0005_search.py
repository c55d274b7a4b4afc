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
_IN_TIME = ["at_micros", "position"]
_GONE = ("at", "member", "actor", "subject", "owner", "agreement", "event")
_GIVEN = {
    "owner_facet": "owner_facet",
    "owner_member": "owner_member",
    "owner_client": "owner_client",
    "member_subject": "member_subject",
    "owner_reasons": "owner_reasons",
    "member_reasons": "member_reasons",
    "actor": "actor_id",
    "agency": "agency",
    "subject": "subject_id",
    "agreement": "agreement",
    "reasons": "reasons",
}


def upgrade() -> None:
    for name in _GONE:
        op.drop_index(f"audit_search_{name}", "audit_search")
    for name in ("facet", "owner_facet", "owner_reasons", "member_reasons"):
        op.add_column("audit_search", sa.Column(name, _FACET, nullable=True))
    for name in ("owner_member", "owner_client", "member_subject"):
        op.add_column("audit_search", sa.Column(name, sa.String(), nullable=True))
    rest = "event || '|' || outcome || '|' || coalesce(level, '')"
    op.execute(
        f"UPDATE audit_search SET facet = coalesce(member, '') || '|' || {rest}, owner_facet = owner || '|' || {rest}"  # noqa: S608  words of ours
    )
    op.execute(
        "UPDATE audit_search SET owner_member = owner || '|' || member, owner_client = owner || '|' || actor_id, member_subject = member || '|' || subject_id"
        " WHERE owner IS NULL OR member IS NULL OR owner <> member"
    )
    op.execute(
        "UPDATE audit_search SET owner_reasons = owner || '|' || reasons,"
        " member_reasons = CASE WHEN level IS NULL THEN member || '|' || reasons END"
    )
    op.create_index("audit_search_at", "audit_search", _IN_TIME)
    op.create_index("audit_search_facet", "audit_search", ["facet", *_IN_TIME])
    for name, column in _GIVEN.items():
        given = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"audit_search_{name}", "audit_search", [column, *_IN_TIME], sqlite_where=given, postgresql_where=given
        )


def downgrade() -> None:
    raise NotImplementedError(
        "what finds entries is not taken apart again: restore the backup from before the migration"
    )
