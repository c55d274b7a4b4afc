"""Shares: what one client may hold of what a worker has, so that no client alone can keep all others waiting.

The rate bounds how often a client asks, and not how long it holds what it was given: a thousand bodies that never come,
or answers that are taken a piece in half a minute, cost it next to nothing.
"""

from collections.abc import Hashable

PARTS = 2
"""A client holds at most one of so many parts: the rest is the others', whatever it does."""


class Shares:
    """How much of one thing each client holds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[Hashable, int] = {}

    def take(self, client: Hashable, amount: int = 1, *, beside: int = 0) -> bool:
        """Hold so much more for a client; False where that is more than its share, and then it holds what it held.

        `beside` of what it holds is bounded otherwise, and not counted.
        """
        held = self._held.get(client, 0) + amount
        if held - beside > self._most:
            return False
        self._held[client] = held
        return True

    def give_back(self, client: Hashable, amount: int = 1) -> None:
        """Let go of what was taken."""
        left = self._held[client] - amount
        if left:
            self._held[client] = left
        else:
            del self._held[client]
