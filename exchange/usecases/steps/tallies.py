"""What was decided for a count of very much: kept until the count has ended, however often it is asked for anew.

A process remembers decisions up to a number (`DecisionCache`). A count may need more of them than that, and would
begin from nothing each time that it is asked for: so it has its own memory, of ids alone.

Nothing is trusted by age alone: a tally is of one client's version, one policy version and one text, and holds for as
long as time alone changes none of its answers, for as long as somebody goes on with it, and for `LONGEST` at most.
"""

from array import array
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

KEPT: Final = timedelta(minutes=10)
"""Whoever counts much asks again within seconds: what nobody has asked for so long is counted anew."""

LONGEST: Final = timedelta(hours=1)
"""A rule that failed is asked again then; so is a guard. What takes longer is 36 million labels."""

_MOST_TALLIES: Final = 16
"""Sixteen bytes for each reader and class: two hundred readers and 10,000 classes take 32 MB."""


class TallyKey(NamedTuple):
    """Who counts what, and as of which policy."""

    member: str
    client: str
    client_version: int
    assurance: str
    about: str
    policy_version: int


@dataclass(slots=True)
class Progress:
    """One reader's: the ids of the classes that were decided, and of those that it may read; one may stand twice."""

    decided: "array[int]" = field(default_factory=lambda: array("q"))
    permitted: "array[int]" = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class Tally:
    """How far one count has come, by reader and text; true from `since` and before `not_after`."""

    since: datetime
    not_after: datetime
    asked_at: datetime
    progress: dict[tuple[str, str], Progress] = field(default_factory=dict)

    def holds(self, now: datetime) -> bool:
        """Return whether what was decided is true at `now`."""
        return self.since <= now < min(self.not_after, self.asked_at + KEPT)

    def end_by(self, moment: datetime | None, now: datetime) -> None:
        """Hold no longer than up to `moment`, where there is one and it is still to come at `now`."""
        if moment is not None and now < moment:
            self.not_after = min(self.not_after, moment)

    def of(self, reader: str, text: str) -> Progress:
        """Return how far one reader's classes are decided under one text."""
        return self.progress.setdefault((reader, text), Progress())


class Tallies:
    """The tallies of one process; of too many, the member that has most loses the one unasked for longest.

    A member that asks for much at once begins its own counts anew, and keeps no other one's from ending.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[TallyKey, Tally] = OrderedDict()

    def of(self, key: TallyKey, now: datetime) -> Tally:
        """Return the tally of a count, a new one where there is none that holds."""
        tally = self._kept.get(key)
        if tally is None or not tally.holds(now):
            tally = self._kept[key] = Tally(now, now + LONGEST, now)
        tally.asked_at = now
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_TALLIES:
            self._forget_one()
        return tally

    def _forget_one(self) -> None:
        of_member = Counter(key.member for key in self._kept)
        most = max(of_member.values())
        del self._kept[next(key for key in self._kept if of_member[key.member] == most)]
