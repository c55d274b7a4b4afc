"""Which breaches are on the record already, by the log: a row alone hides none, and none is found anew for want of one.

A breach is what its entry says. A row that somebody wrote, or altered, has none that bears it out and is in nobody's
way; where a row was deleted its entry stands. What the log lacks may have told of it: then nobody is accused.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from exchange.crypto import OpeningError
from exchange.kernel import UnavailableError, to_micros
from exchange.store import BreachKind, BreachRow
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.searching import Found
from exchange.usecases.promises.told_breaches import APART, breach_detail, breach_told, breaches_told
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import require_none, require_readable
from exchange.usecases.steps.troubles import Causes

_log = logging.getLogger("exchange.duties")

_Place = tuple[object, ...]


class KnownBreaches:
    """What one process has found on the record; that saves work, and nothing rests on it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._due: dict[_Place, datetime] = {}
        """When what was not done was due, the last that is on the record of each place."""
        self._troubles: dict[tuple[str, BreachKind], Causes] = {}

    async def new_of(self, rows: Sequence[BreachRow]) -> list[BreachRow]:
        """Return those of these rows about one agreement that no entry tells of, each breach once.

        Raises UnavailableError as `require_readable`, OpeningError where what the log says of reports that were not
        acknowledged is away.
        """
        doubted: set[str] = set()
        # A silence may go back to what is in the archive, and no report is acknowledged later for that.
        for kind in BreachKind:
            if some := [row for row in rows if row.kind is kind and not _is_in(self._due, row)]:
                doubted |= await self._doubted(some)
        return _each_once(row for row in rows if row.id not in doubted and not _is_in(self._due, row))

    async def _doubted(self, rows: Sequence[BreachRow]) -> set[str]:
        """Read what the log tells of breaches since these were due; return of which it may lack what tells of them."""
        await require_readable(self._services, "who broke a promise")
        agreement, kind = rows[0].agreement, rows[0].kind
        since = min(row.due_at for row in rows)
        lacks: list[Found] = []
        doubted = list(rows)
        try:
            async for entry in breaches_told(self._services, agreement, since=since, lacks=lacks):
                told = breach_told(entry)
                place, due = _place(agreement, told.scope, entry["detail"]), told.due_at
                self._due[place] = max(due, self._due.get(place, due))
            doubted = [row for row in rows if not _is_in(self._due, row) and _may_be_told(lacks, row)]
            if doubted:
                require_none(lacks, "that tell of this")
        except UnavailableError as exc:
            # A silence is found again as long as it lasts. That a time ran out is looked at once: what comes back is
            # waited for, what is lost is not.
            if kind is BreachKind.ACKNOWLEDGEMENT and not isinstance(exc, LogDamagedError):
                raise OpeningError("what the log says of it cannot be read") from exc
            # INVARIANT: nobody is accused a second time for what the log lacks.
            tell_unfound(self._troubles.setdefault((agreement, kind), Causes()), agreement, exc)
            return {row.id for row in doubted}
        self._troubles.pop((agreement, kind), None)
        return set()


def tell_unfound(troubles: Causes, agreement: str, cause: UnavailableError) -> None:
    """Tell, once for each cause, that not all broken promises of an agreement are found."""
    trouble = f"of agreement {agreement} not all broken promises are found: {cause.message}"
    if troubles.take(trouble):
        _log.error("%s", trouble)


def _may_be_told(lacks: Iterable[Found], row: BreachRow) -> bool:
    # What was on the record before it was due is of another breach.
    return any(each.place.at_micros >= to_micros(row.due_at - APART) for each in lacks)


def _each_once(rows: Iterable[BreachRow]) -> list[BreachRow]:
    due: dict[_Place, datetime] = {}
    found = []
    for row in rows:
        if not _is_in(due, row):
            due[_place_of(row)] = row.due_at
            found.append(row)
    return found


def _is_in(known: Mapping[_Place, datetime], row: BreachRow) -> bool:
    due = known.get(_place_of(row))
    # One silence is one breach, though what a member's readers may read has changed meanwhile.
    return due is not None and (row.kind is BreachKind.ACKNOWLEDGEMENT or row.due_at <= due)


def _place_of(row: BreachRow) -> _Place:
    return _place(row.agreement, row.scope, breach_detail(row))


def _place(agreement: str, scope: object, detail: Mapping[str, object]) -> _Place:
    """Return of what and by whom a breach is: of a report that was not acknowledged, or of silence in a scope."""
    report = detail.get("report")
    where = (detail.get("owed_to"), scope) if report is None else (report,)
    return (agreement, detail.get("kind"), detail.get("party"), *where)
