"""The gate: how many connections a worker holds open, in all and for one client.

Each costs about 60 KB while it is open, whether it asks or not. Who has its share is turned away, and the others go on;
where all places are taken, whoever comes next waits outside.
"""

from collections import Counter

MOST_CONNECTIONS = 20_000
"""Of one worker: more than a gigabyte of memory."""
MOST_PER_CLIENT = 1_024
"""Of one certificate at one worker: a proxy for a whole agency has tens."""


class ConnectionGate:
    """Counts the open connections of one worker."""

    def __init__(self, *, most: int = MOST_CONNECTIONS, per_client: int = MOST_PER_CLIENT) -> None:
        self._most = most
        self._per_client = per_client
        self._by_client: Counter[str] = Counter()
        self.open = 0
        self._turned_away = 0

    def enter(self, thumbprint: str, *, is_shared: bool = False) -> bool:
        """Let a connection in; False where there is no room for it, and then it never leaves.

        One that many clients share, an edge's, has no share of its own: the edge bounds each client.
        """
        is_full = not is_shared and self._by_client.get(thumbprint, 0) >= self._per_client
        if self.open >= self._most or is_full:
            self.turn_away()
            return False
        self._by_client[thumbprint] += 1
        self.open += 1
        return True

    def turn_away(self) -> None:
        """Note that somebody was turned away."""
        self._turned_away += 1

    def take_turned_away(self) -> int:
        """Return how many were turned away since this was last asked."""
        count, self._turned_away = self._turned_away, 0
        return count

    def leave(self, thumbprint: str) -> None:
        """Give the place of a connection back."""
        self.open -= 1
        self._by_client[thumbprint] -= 1
        if not self._by_client[thumbprint]:
            del self._by_client[thumbprint]
