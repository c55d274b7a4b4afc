"""From which restore a database stems: each one moves the policy version up by a whole lineage, so that all can tell.

Promises: a process never goes on with another lineage than the one it began with. What it remembers of clients, classes
and decisions bears numbers that the restored database gives once more, to something else.
"""

from datetime import UTC, datetime

from exchange.kernel import UnavailableError

SPAN = 1 << 32
"""Policy versions of one lineage: one for each change of what is allowed, a thousand a day for ten thousand years."""

_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
"""Lineages are numbered by seconds since then: 2**31 of them, and a policy version has 63 bits."""


class Lineage:
    """The lineage of the database of one process."""

    def __init__(self) -> None:
        self._number: int | None = None

    @property
    def number(self) -> int:
        """Return the lineage of the database; 0 where it was never restored, or nothing was read yet."""
        return self._number or 0

    def see(self, policy_version: int) -> None:
        """Take note of a policy version that was read; UnavailableError where it is of another lineage than before."""
        try:
            number = policy_version // SPAN
        except TypeError as exc:
            raise UnavailableError("the database holds no policy version: its row was altered") from exc
        if self._number is None:
            self._number = number
        elif number != self._number:
            raise UnavailableError("the database was restored while this process ran: restart it")


def next_lineage(policy_version: int, now: datetime) -> int:
    """Return the first policy version of a lineage that a restore of `policy_version` begins.

    It is behind that one, and another than any earlier restore of the same backup began.
    """
    return max(policy_version // SPAN + 1, int((now - _FIRST).total_seconds())) * SPAN
