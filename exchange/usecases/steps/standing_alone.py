"""Since when a checkpoint has stood without its witnesses, by the clock of who looks.

The time that a checkpoint was signed with may lie ahead: the log's time stands still for as long as another node's
clock was ahead. It stands no shorter than this process has seen it.
"""

from dataclasses import dataclass
from datetime import datetime

from exchange.kernel import to_micros
from exchange.store.rows.log_rows import KeptCheckpoint


@dataclass(slots=True)
class StandingAlone:
    """Remembers the checkpoint that was seen last, and since when it stands (microseconds since 1970)."""

    _seen: tuple[int, int] | None = None
    _since: int = 0

    def since(self, checkpoint: KeptCheckpoint, now: datetime) -> int:
        """Return when it was signed, or when it was first seen here, where that is earlier."""
        seen = (checkpoint.log, checkpoint.size)
        # What stands in the row may be no time any more: nobody signed before 1970.
        earliest = min(max(0, checkpoint.signed_at), to_micros(now))
        self._since = min(self._since, earliest) if seen == self._seen else earliest
        self._seen = seen
        return self._since
