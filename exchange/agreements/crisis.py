"""Crises: which uses of an agreement's crisis clauses are open, and who may open and end one.

Promises: a crisis opens what the signed text says and no more, whatever was kept about it: its clause is read from the
text in force, its length is cut to the clause's, and an amended text ends what was opened under the one before.
Does not: say what an open crisis means for a report; the release room does.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from exchange.agreements.durations import moved_by
from exchange.agreements.model import Agreement, Crisis, CrisisClause
from exchange.kernel import LAST_MOMENT
from exchange.kernel.errors import Fault, ForbiddenError, InvalidError
from exchange.members import Client


def open_crises(agreement: Agreement, now: datetime) -> tuple[tuple[Crisis, CrisisClause], ...]:
    """Return every crisis that is open at `now`, with its clause, the oldest first.

    Of the present: what somebody ended is over, also where a clock lags. Of the past ask the agreement `as_it_was`.
    """
    return tuple(each for each in unfinished_crises(agreement, now) if each[0].opened_at <= now)


def unfinished_crises(agreement: Agreement, now: datetime) -> tuple[tuple[Crisis, CrisisClause], ...]:
    """Return every crisis that is not over at `now`: open, or opened by a node whose clock is ahead of this one's."""
    found = ((crisis, _clause(agreement, crisis)) for crisis in agreement.crises)
    return tuple(
        (crisis, clause)
        for crisis, clause in found
        # INVARIANT: an act that ends something ends it everywhere; only what the text ends waits for a clock.
        if clause is not None and crisis.ended_at is None and now < crisis_end(crisis, clause)
    )


def as_it_was(agreement: Agreement, moment: datetime) -> Agreement:
    """Return `agreement` with its crises as they were known at `moment`: nobody had yet ended what was ended later."""
    crises = (
        replace(crisis, ended_at=None) if crisis.ended_at is not None and moment < crisis.ended_at else crisis
        for crisis in agreement.crises
    )
    return replace(agreement, crises=tuple(crises))


def crisis_end(crisis: Crisis, clause: CrisisClause) -> datetime:
    """Return the first moment at which `crisis` is over: never later than the text allows."""
    end = min(crisis.until, moved_by(crisis.opened_at, clause.at_most))
    return end if crisis.ended_at is None else min(end, crisis.ended_at)


def crisis_turns(agreement: Agreement) -> tuple[datetime, ...]:
    """Return the moments at which a crisis of `agreement` begins or ends."""
    ends = (
        crisis_end(crisis, clause) for crisis in agreement.crises if (clause := _clause(agreement, crisis)) is not None
    )
    return (*(crisis.opened_at for crisis in agreement.crises), *ends)


def require_named(clause: CrisisClause, client: Client) -> None:
    """Raise ForbiddenError unless the text names the person behind `client`; its role was checked."""
    if not clause.names(client.member, client.name):
        raise ForbiddenError("the agreement does not name you for this: a named signatory may")


def asked_length(clause: CrisisClause, hours: int | None) -> str:
    """Return how long a crisis of `clause` shall last; without `hours` as long as it may. InvalidError for too long."""
    if hours is None:
        return clause.at_most
    asked, start = f"PT{hours}H", LAST_MOMENT - timedelta(days=366)
    if start + timedelta(hours=hours) > moved_by(start, clause.at_most):
        fault = Fault("/hours", "too-long", f"the text allows {clause.at_most} at most")
        raise InvalidError("the crisis cannot be opened so", (fault,))
    return asked


def _clause(agreement: Agreement, crisis: Crisis) -> CrisisClause | None:
    # INVARIANT: what another text allowed allows nothing now.
    return agreement.terms.crisis_clause(crisis.clause) if crisis.edition == agreement.edition else None
