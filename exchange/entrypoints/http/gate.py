"""The gate: how many connections a worker holds open, in all, for one client and for one member.

Each costs about 60 KB while it is open, whether it asks or not. Who has its share is turned away, and the others go on;
where all places are taken, whoever comes next waits outside.

A handshake says whose certificate it is and not whose client: the database is asked at once, and until it has answered
the connection counts as a stranger's.
"""

from dataclasses import dataclass

from exchange.entrypoints.http.holders import Holder, Holders, stranger
from exchange.entrypoints.http.shares import Shares

MOST_CONNECTIONS = 20_000
"""Of one worker: more than a gigabyte of memory."""
MOST_PER_CLIENT = 1_024
"""Of one client at one worker: a proxy for a whole agency has tens."""


@dataclass(slots=True)
class _Present:
    holder: Holder
    count: int = 0


class ConnectionGate:
    """Counts the open connections of one worker."""

    def __init__(
        self, *, most: int = MOST_CONNECTIONS, per_client: int = MOST_PER_CLIENT, holders: Holders | None = None
    ) -> None:
        self._most = most
        self._shares = Shares(most, of_client=per_client)
        self._present: dict[str, _Present] = {}
        self._holders = holders or Holders()
        self._holders.told = self._met
        self.open = 0
        self._turned_away = 0

    def enter(self, thumbprint: str, issuer: str = "", *, is_shared: bool = False) -> bool:
        """Let a connection in; False where there is no room for it, and then it never leaves.

        One that many clients share, an edge's, has no share of its own: the edge bounds each client.
        """
        present = None if is_shared else self._present.get(thumbprint) or self._arrived(thumbprint, issuer)
        if present is not None and not present.holder.is_known:
            # Also where there is no room for a stranger: it may be none when it comes again.
            self._holders.ask(thumbprint)
        if self.open >= self._most or (present is not None and self._shares.take(present.holder) is not None):
            self.turn_away()
            return False
        self.open += 1
        if present is not None:
            present.count += 1
            self._present[thumbprint] = present
        return True

    def turn_away(self) -> None:
        """Note that somebody was turned away."""
        self._turned_away += 1

    def take_turned_away(self) -> int:
        """Return how many were turned away since this was last asked."""
        count, self._turned_away = self._turned_away, 0
        return count

    def leave(self, thumbprint: str, *, is_shared: bool = False) -> None:
        """Give the place of a connection back, which was let in so."""
        self.open -= 1
        if is_shared:
            return
        present = self._present[thumbprint]
        self._shares.give_back(present.holder)
        present.count -= 1
        if not present.count:
            del self._present[thumbprint]

    def _arrived(self, thumbprint: str, issuer: str) -> _Present:
        return _Present(self._holders.known(thumbprint) or stranger(thumbprint, issuer))

    def _met(self, thumbprint: str, holder: Holder) -> None:
        present = self._present.get(thumbprint)
        if present is not None and not present.holder.is_known:
            self._shares.hand_over(present.holder, holder, present.count)
            present.holder = holder
