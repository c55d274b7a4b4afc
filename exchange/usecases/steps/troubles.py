"""What a process was told of a trouble: what is tried again every second would fill the disk in a night without it."""

from dataclasses import dataclass, field
from typing import Final

_MOST_CAUSES: Final = 200
"""Of one trouble: where each names another moment or address, these are enough; a graver one is hardly behind them."""


@dataclass(slots=True)
class Causes:
    """The causes that one trouble was told with since it began; they may take turns."""

    _told: set[str] = field(default_factory=set)

    def take(self, cause: str) -> bool:
        """Note `cause`; return whether it is to be told: not where it was, nor behind many others."""
        if cause in self._told or len(self._told) >= _MOST_CAUSES:
            return False
        self._told.add(cause)
        return True

    def end(self) -> bool:
        """Forget them, for the trouble is over; return whether it was told of."""
        was_told = bool(self._told)
        self._told.clear()
        return was_told
