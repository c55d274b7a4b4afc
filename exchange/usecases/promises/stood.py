"""What was given while all parties took part: counted still once one of them has suspended its part, or left.

A party that stops shares nothing any more, and has done what it did. Counted is what came while the caller's member
took part, with the clearance it has now, and what it would read as it was posted and as it is, had nobody stopped: no
number tells of what it never could read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from exchange.agreements import Agreement, InForce, PartyState, active_parties, in_force
from exchange.members import Client
from exchange.store import CountedReport


@dataclass(frozen=True, slots=True)
class Stood:
    """Which reports count as they stood: `class_ids` are read no more, `readable` were nobody to have stopped."""

    client: Client
    versions: Sequence[InForce]
    class_ids: frozenset[int]
    readable: frozenset[int]

    def of(self, reports: Collection[CountedReport]) -> list[CountedReport]:
        """Return those of `reports` that count."""
        return [each for each in reports if self._was_given(each)]

    def _was_given(self, report: CountedReport) -> bool:
        # What was lowered or released since was not there for whom it would be there now.
        is_as_it_was = {report.class_id, report.posted_class_id} <= self.readable
        was_cleared = self.client.clearance.since <= report.posted_at
        return is_as_it_was and was_cleared and took_part(self.versions, self.client.member, report.posted_at)

    def ended(self, report: CountedReport, originator: str, now: datetime) -> CountedReport:
        """Return `report` as one that ended, at the latest, when its originator stopped: since then nobody reads it."""
        moments = (report.valid_until, stopped_at(self.versions, originator, now))
        ends = min((moment for moment in moments if moment is not None), default=None)
        return replace(report, valid_until=ends)


def as_if_bound(agreement: Agreement) -> Agreement:
    """Return `agreement` as if each party that has signed it took part."""
    parties = (
        party if party.signed_at is None else replace(party, state=PartyState.SIGNED, leaves_at=None)
        for party in agreement.parties
    )
    return replace(agreement, parties=tuple(parties))


def took_part(versions: Sequence[InForce], member: str, moment: datetime) -> bool:
    """Return whether `member` took part in an agreement in force at `moment`; `versions` are its, oldest first."""
    current = [each.agreement for each in versions if each.since <= moment]
    return bool(current) and in_force(current[-1], moment) and member in active_parties(current[-1], moment)


def stopped_at(versions: Sequence[InForce], member: str, now: datetime) -> datetime | None:
    """Return since when `member` takes no part at `now`; None where it does."""
    stopped = None
    for version in reversed(versions):
        party = version.agreement.party(member)
        if party is not None and party.leaves_at is not None and version.since < party.leaves_at <= (stopped or now):
            stopped = party.leaves_at
        if member in active_parties(version.agreement, version.since):
            break
        stopped = version.since
    return stopped
