"""Keys of personal data may be put under a newer version of the root; destroyed ones stay destroyed.

Revision: 0034, after 0033. Only the guard changes, and allows one thing more: the version before never does it.
"""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_ONLY_ONCE = "a key is only ever destroyed, an act only ever approved, and once"

_DESTROYED = "NEW.destroyed_at IS NOT NULL AND length(NEW.wrapped_key) = 0"
# Of the same key, under a later version of the root.
_REWRAPPED = (
    "NEW.destroyed_at IS NULL AND length(NEW.wrapped_key) > 0 AND length(OLD.wrapped_key) > 0"
    " AND NEW.key_version > OLD.key_version AND NEW.key_id = OLD.key_id"
)
_ANOTHER = (
    "OLD.destroyed_at IS NOT NULL OR NEW.kid <> OLD.kid OR NEW.subject <> OLD.subject OR NEW.period <> OLD.period"
    " OR NEW.boot <> OLD.boot"
)
_CHANGED = f"{_ANOTHER} OR NOT (({_DESTROYED}) OR ({_REWRAPPED}))"
_DESTROYED_ONLY = f"{_ANOTHER} OR NOT ({_DESTROYED})"


def upgrade() -> None:
    _guard(_CHANGED)


def downgrade() -> None:
    _guard(_DESTROYED_ONLY)


def _guard(changed: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER personal_key_no_update")
        op.execute(
            f"CREATE TRIGGER personal_key_no_update BEFORE UPDATE ON personal_key WHEN {changed}"
            f" BEGIN SELECT RAISE(ABORT, '{_ONLY_ONCE}'); END"
        )
        return
    op.execute("DROP TRIGGER personal_key_once ON personal_key")
    op.execute(
        "CREATE TRIGGER personal_key_once BEFORE UPDATE ON personal_key"
        f" FOR EACH ROW WHEN ({changed}) EXECUTE FUNCTION personal_refuse_change()"
    )
