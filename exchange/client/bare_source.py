"""What every source of a log answers that has no database beside it: there is nothing but tiles and entries."""

from collections.abc import Collection, Sequence

from exchange.audit.rows_told import RowName
from exchange.audit.tile_paths import BundlePath
from exchange.audit.verify import PendingEntry, StoredEntry


class BareSource:
    """The half of `Source` that only a database has: no columns, no keys, no rows, nothing that waits."""

    def stored(self, path: BundlePath) -> Sequence[StoredEntry | None] | None:  # noqa: ARG002  there are no columns
        """Return None: there are no columns."""
        return None

    def personal_keys(self) -> None:
        """Return None: no keys are shown."""

    def kept_rows(self, names: Collection[RowName]) -> None:
        """Return None: no rows are shown."""

    def kept_certificates(self) -> None:
        """Return None: no rows are shown."""

    def current_rows(self) -> None:
        """Return None: no rows are shown."""

    def pending(self) -> Sequence[PendingEntry]:
        """Return nothing: what waits has no place that could be shown."""
        return ()
