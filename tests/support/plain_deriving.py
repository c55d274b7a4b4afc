"""What derives from a report in plain words: how low it may be marked, and by whose leave (docs/deriving.md, ADR 0030, 0037).

Shares no code with the exchange, as `plain_world` does not.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from tests.support.plain_world import LEVELS, Marking, PlainWorld


@dataclass
class Leave:
    """An originator's consent: what a member derives from this version of its report is marked no lower than `lowest`."""

    source: str
    version: int
    member: str
    lowest: Marking
    until: datetime
    is_over: bool = False


@dataclass
class PlainDeriving:
    """All consents to mark lower, in the world whose reports they are about."""

    world: PlainWorld
    leaves: list[Leave] = field(default_factory=list)

    def in_the_way(
        self, author: str, marking: Marking, parts: Collection[Marking], sources: Collection[str], now: datetime
    ) -> set[str]:
        """Return the sources that a report, marked so, would be lower than without leave."""
        return {
            source
            for source in sources
            if not self._may(author, marking, source, now)
            or not all(each == marking or self._may_part(author, each, source, now) for each in parts)
        }

    def in_the_way_of_passing_on(self, report_id: str, passed: Collection[Marking], to: str, now: datetime) -> set[str]:
        """Return the sources without whose originator's leave what stands under `passed` may not go on to a member."""
        report = self.world.reports[report_id]
        wider = [replace(each, releasable_to=each.releasable_to | {to}) for each in passed]
        return {
            source
            for source in report.references
            if self.world.reports[source].originator != to
            and not all(self._may_part(report.originator, each, source, now) for each in wider)
        }

    def _may(self, author: str, marking: Marking, source_id: str, now: datetime) -> bool:
        """Return whether a report of the author's, or a part of it, may be marked so if it builds on this source."""
        source = self.world.reports[source_id]
        if _is_as_high(marking, source.marking, author):
            return True
        if not any(self._holds(each, author, marking, now) for each in self.leaves if each.source == source_id):
            return False
        # Who gives leave has it from those that its own report builds on; for them the author is one more who reads.
        wider = replace(marking, releasable_to=marking.releasable_to | {author})
        return all(self._may(source.originator, wider, each, now) for each in source.references)

    def _may_part(self, author: str, marking: Marking, source_id: str, now: datetime) -> bool:
        """Return the same for a part, or a word of a report: its own intelligence a member takes apart as it likes."""
        source = self.world.reports[source_id]
        if source.originator != author or _is_as_high(marking, source.marking, author):
            return self._may(author, marking, source_id, now)
        return all(self._may(author, marking, each, now) for each in self._of_others(source_id, author))

    def _of_others(self, source_id: str, author: str) -> Iterator[str]:
        for each in self.world.reports[source_id].references:
            if self.world.reports[each].originator == author:
                yield from self._of_others(each, author)
            else:
                yield each

    def _holds(self, leave: Leave, author: str, marking: Marking, now: datetime) -> bool:
        source = self.world.reports[leave.source]
        is_over = source.is_recalled or (source.until is not None and source.until <= now) or leave.until <= now
        stands = not leave.is_over and not is_over and leave.version == source.version
        return stands and leave.member == author and _is_as_high(marking, leave.lowest, author)


def _is_as_high(marking: Marking, other: Marking, author: str) -> bool:
    """Return whether a marking is no lower than another, and names nobody whom that does not, the author aside."""
    return (
        LEVELS.index(marking.level) >= LEVELS.index(other.level)
        and marking.compartments >= other.compartments
        and marking.is_controlled >= other.is_controlled
        and marking.releasable_to <= other.releasable_to | {author}
    )
