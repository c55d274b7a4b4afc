"""From which restore a database stems: each one moves the policy version up by a whole lineage, so that all can tell.

Promises: a process never goes on with another lineage than the one it began with. What it remembers of clients, classes
and decisions bears numbers that the restored database gives once more, to something else. So does a standby that is
promoted: PostgreSQL tells by its timeline, which every new connection is asked for, that its history is another one.
Nor does it go on where a newer version has made the database its own meanwhile (ADR 0025).
"""

import asyncio
from datetime import UTC, datetime
from typing import Final, NamedTuple, NoReturn

from exchange.kernel import UnavailableError

SPAN = 1 << 32
"""Policy versions of one lineage: one for each change of what is allowed, a thousand a day for ten thousand years."""

_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
"""Lineages are numbered by seconds since then: 2**31 of them, and a policy version has 63 bits."""


COURSE: Final = (
    "SELECT s.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8),"
    " (pg_current_wal_flush_lsn() - '0/0')::bigint FROM pg_control_system() s"
)
"""What PostgreSQL says of its history, as a `Course`; everybody may ask."""

_NONE: Final = -1
"""The lineage of no database."""


_RESTORED: Final = "the database was restored, or its log recovered, while this process ran: restart it"
_MOVED: Final = (
    "the database goes on from another moment than this process knew: a standby was promoted, or a copy put back: "
    "begin it again"
)


class OutgrownError(UnavailableError):
    """A newer version has made the database its own: this one does not work with it, begun anew neither."""


class Course(NamedTuple):
    """The history that a server of PostgreSQL is on: its cluster, its timeline, and the bytes that are on its disk."""

    system: int
    timeline: str
    flushed: int

    def goes_on_from(self, before: "Course") -> bool:
        """Return whether all is there that was there `before`."""
        return self[:2] == before[:2] and self.flushed >= before.flushed


class Lineage:
    """The lineage of the database of one process."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._allowed: int | None = None
        self.course: Course | None = None
        self.has_ended = asyncio.Event()
        """Set once the database is another: what was remembered of it is void, and the process with it."""
        self.why_ended = ""
        self._ended_as: type[UnavailableError] = UnavailableError

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
        if self._allowed is None:
            self._allowed = self._number = number
        elif number != self._allowed:
            self._end(_RESTORED)

    def meet(self, course: Course, before: Course | None) -> None:
        """Take note of where a new connection leads to; `before` is what was known when it was begun.

        Raises UnavailableError, now and ever after, where that is another history: what was read before may be gone.
        """
        self.require_open()
        if self.course is not None and not course.goes_on_from(self.course._replace(flushed=0)):
            self._end(_MOVED)
        if before is not None and not course.goes_on_from(before):
            self._end(_MOVED)
        self.course = course

    def outgrow(self, why: str) -> None:
        """Take note that this version may not work with the database any more: nothing is read from now on."""
        self._close(why, OutgrownError)

    def _end(self, why: str) -> NoReturn:
        self._close(why, UnavailableError)
        raise self._ended_as(self.why_ended)

    def _close(self, why: str, ended_as: type[UnavailableError]) -> None:
        if not self.has_ended.is_set():
            self._allowed, self.why_ended, self._ended_as = _NONE, why, ended_as
            self.has_ended.set()

    def require_open(self) -> None:
        """Raise UnavailableError where the database has become another, OutgrownError where it has outgrown us."""
        if self.has_ended.is_set():
            raise self._ended_as(self.why_ended)


def next_lineage(policy_version: int, now: datetime) -> int:
    """Return the first policy version of a lineage that a restore of `policy_version` begins.

    It is behind that one, and another than any earlier restore of the same backup began.
    """
    return max(policy_version // SPAN + 1, int((now - _FIRST).total_seconds())) * SPAN
