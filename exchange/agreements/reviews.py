"""When an agreement is to be reviewed: on days that its own text names."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from exchange.agreements.durations import is_of_one_length, moved_by
from exchange.agreements.lifecycle import state_of
from exchange.agreements.model import Agreement, AgreementState
from exchange.kernel import LAST_MOMENT

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
    before, moment = None, datetime.combine(validity.first_day, time.min, UTC)
    skipped = _skipped(moment, validity.review_every, now)
    if skipped:
        moment += skipped
        before = moment.date()
    while True:
        # From the day before, not from the first: both ways agree but for the ends of short months.
        after = moved_by(moment, validity.review_every)
        if (after - moment).days < _SHORTEST_DAYS or after >= LAST_MOMENT:
            return before, None
        if after > now:
            return before, after.date()
        before, moment = after.date(), after


def _skipped(moment: datetime, every: str, now: datetime) -> timedelta:
    """Return what whole steps of `every` are over by `now`, where each is as long as the others."""
    # Who lets a text begin in the year 1 must not have every day since then counted, at each look.
    if not is_of_one_length(every):
        return timedelta(0)
    length = moved_by(moment, every) - moment
    return timedelta(0) if length < timedelta(_SHORTEST_DAYS) or now < moment else (now - moment) // length * length
