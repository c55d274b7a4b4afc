"""Rows that cannot be read, among many that are read at once: left out, and noted for whoever tells of them.

One that was asked for by itself is not left out: whoever asks for it is told, and that is on the record (`on_record`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from exchange.crypto import OpeningError
from exchange.kernel import ExchangeError

R = TypeVar("R")
T = TypeVar("T")

UNREADABLE: Final = (ExchangeError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What is raised where a row holds what was never written there. Around pure reading only: a store that is away is not
a row that was altered."""

_NOT_AS_PUT: Final = "a row does not hold what was put there"


@dataclass(frozen=True, slots=True)
class UnreadRow:
    """A row that cannot be read: its kind and id, and whose it claims to be."""

    place: str
    members: frozenset[str] = frozenset()


@dataclass(slots=True)
class Unread:
    """Rows that could not be read."""

    rows: list[UnreadRow] = field(default_factory=list)

    def each(self, rows: Iterable[R], read: Callable[[R], T], name: Callable[[R], UnreadRow]) -> list[T]:
        """Return what `read` makes of each row, in order, without those that it cannot read."""
        found = []
        for row in rows:
            try:
                found.append(read(row))
            except UNREADABLE:
                self.rows.append(name(row))
        return found

    def taken(self) -> list[UnreadRow]:
        """Return what was noted, once."""
        rows, self.rows = self.rows, []
        return rows


class UnreadRowError(OpeningError):
    """A row that was altered, where nothing can go on without it.

    `place` names it, for the log alone: kind and id, and behind a colon what of it, where the row is but a part.
    """

    def __init__(self, place: str) -> None:
        super().__init__(_NOT_AS_PUT)
        self.place = place

    def is_of(self, an_id: str) -> bool:
        """Return whether the row is that of the thing with this id itself, and no part of it."""
        return self.place.endswith(f" {an_id}")


def read_alone(row: R, read: Callable[[R], T], place: str) -> T:
    """Return what `read` makes of a row that was asked for by itself; UnreadRowError where it cannot read it."""
    return _read(row, read, lambda _: place)


def read_each(
    rows: Iterable[R], read: Callable[[R], T], unread: Unread | None, name: Callable[[R], UnreadRow]
) -> list[T]:
    """Return what `read` makes of each row, in order; with `unread`, without those that it cannot read.

    Raises UnreadRowError where one cannot be read and there is none.
    """
    if unread is not None:
        return unread.each(rows, read, name)
    return [_read(row, read, lambda row: name(row).place) for row in rows]


def _read(row: R, read: Callable[[R], T], place_of: Callable[[R], str]) -> T:
    try:
        return read(row)
    except UNREADABLE as exc:
        raise UnreadRowError(place_of(row)) from exc
