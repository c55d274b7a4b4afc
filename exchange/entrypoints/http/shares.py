"""Shares: what one client, and all clients of one member, may hold of what a worker has, so that nobody waits for them.

The rate bounds how often a client asks, and not how long it holds what it was given: a thousand bodies that never come,
or answers that are taken a piece in half a minute, cost it next to nothing. A member may enrol as many clients as it
likes, so they have a share together; what it leaves is the others', whatever it does.
"""

from collections.abc import Hashable
from enum import Enum

from exchange.entrypoints.http.holders import Holder

PARTS = 2
"""A member holds at most one of so many parts."""
_OF_CLIENT = 3, 4
"""Of that its one client holds at most three quarters: it keeps some for the others."""
_OF_STRANGERS = 4
"""Certificates that nobody is enrolled with hold at most one of so many parts together, those of one issuer half of it:
they are answered by 401 at once, so it is much."""
_STRANGERS = "strangers"


class Share(Enum):
    """Whose share is used up."""

    CLIENT = "this client"
    MEMBER = "the clients of this member together"
    STRANGERS = "certificates that nobody is known to be enrolled with"


class Shares:
    """How much of one thing each client and each member holds.

    `most` is what the worker has of it; whoever may hold any may hold `at_least`, and a client never more than
    `of_client`.
    """

    def __init__(self, most: int, *, at_least: int = 1, of_client: int | None = None) -> None:
        self.of_member = max(most // PARTS, at_least)
        self.of_client = max(self.of_member * _OF_CLIENT[0] // _OF_CLIENT[1], at_least)
        if of_client is not None:
            self.of_client = min(self.of_client, of_client)
        self._of_strangers = max(most // _OF_STRANGERS, at_least)
        self._of_issuer = max(self._of_strangers // 2, at_least)
        self._held: dict[Hashable, int] = {}

    def take(self, holder: Holder, amount: int = 1, *, beside: tuple[int, int] = (0, 0)) -> Share | None:
        """Hold so much more for somebody; else return whose share is used up, and then nothing more is held.

        `beside` of what its client and its member hold is bounded otherwise, and not counted.
        """
        if not holder.is_known:
            return self._take_for_stranger(holder, amount)
        held = self._held
        client, member = held.get(holder.client, 0) + amount, held.get(holder.member, 0) + amount
        if client - beside[0] > self.of_client:
            return Share.CLIENT
        if member - beside[1] > self.of_member:
            return Share.MEMBER
        held[holder.client], held[holder.member] = client, member
        return None

    def give_back(self, holder: Holder, amount: int = 1) -> None:
        """Let go of what was taken."""
        for name in _names(holder):
            left = self._held[name] - amount
            if left:
                self._held[name] = left
            else:
                del self._held[name]

    def hand_over(self, former: Holder, holder: Holder, amount: int) -> None:
        """Count what a stranger took as somebody's who is known now, though it be more than its share."""
        self.give_back(former, amount)
        self._hold(holder, amount)

    def _take_for_stranger(self, holder: Holder, amount: int) -> Share | None:
        held = self._held
        if (
            held.get(_STRANGERS, 0) + amount > self._of_strangers
            or held.get(holder.member, 0) + amount > self._of_issuer
        ):
            return Share.STRANGERS
        client = held.get(holder.client, 0) + amount
        if client > self.of_client:
            return Share.CLIENT
        self._hold(holder, amount)
        return None

    def _hold(self, holder: Holder, amount: int) -> None:
        for name in _names(holder):
            self._held[name] = self._held.get(name, 0) + amount


def _names(holder: Holder) -> tuple[str, ...]:
    return (holder.client, holder.member) if holder.is_known else (holder.client, holder.member, _STRANGERS)
