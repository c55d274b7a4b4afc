"""When an agreement is to be reviewed: on days that its own text names."""

from bisect import bisect_right
from datetime import date, datetime
from typing import Final

from exchange.agreements.durations import moved_by
from exchange.agreements.lifecycle import state_of
from exchange.agreements.model import Agreement, AgreementState
from exchange.kernel import LAST_MOMENT, first_moment

_REVIEWED: Final = frozenset({AgreementState.IN_FORCE, AgreementState.SUSPENDED})
_SHORTEST_DAYS: Final = 1


def last_review_due(agreement: Agreement, now: datetime) -> date | None:
    """Return the last day up to `now` on which a review fell due; None before the first one, or where none is agreed.

    An agreement that has ended is reviewed no more.
    """
    return _around(agreement, now)[0] if state_of(agreement, now) in _REVIEWED else None


def next_review(agreement: Agreement, now: datetime) -> date | None:
    """Return the first day after `now` on which a review falls due, within the agreement's validity; else None."""
    if state_of(agreement, now) not in {AgreementState.SIGNED, *_REVIEWED}:
        return None
    due = _around(agreement, now)[1]
    return due if due is not None and due <= agreement.terms.validity.last_day else None


def _around(agreement: Agreement, now: datetime) -> tuple[date | None, date | None]:
    """Return the last review day that has come and the first that has not, counted from the first day of force."""
    validity = agreement.terms.validity
    if validity.review_every is None:
        return None, None
    first, every = first_moment(validity.first_day), validity.review_every

    def due(number: int) -> datetime:
        # Each from the first day: from the one before, what is due on the 31st would stay on the 28th after a February.
        return moved_by(first, every, times=number)

    if (due(1) - first).days < _SHORTEST_DAYS:
        return None, None
    # How many have come; not more than there are days. Whose text begins in the year 1 has not all of them looked at.
    come = bisect_right(range(1, (now - first).days + 1), now, key=due)
    last, coming = due(come), due(come + 1)
    return last.date() if come else None, coming.date() if coming < LAST_MOMENT else None
