"""Where an export with filters must look: at the places that the index of the search names, and at all it lacks yet.

The index follows the tree a moment behind; what it has not taken in is read whole. Filters that mean a great part of
the log are answered by reading all of it: that costs no more, and no list of places is kept.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.audit import Criteria
from exchange.store import LogState
from exchange.usecases.auditors.auditing import Gaze, within_slice
from exchange.usecases.steps.context import Services

_AT_A_TIME = 1_000

_MOST_PLACES = 200_000
"""Places kept for one export: 1.6 MB, and about a second until its first entry."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Positions of what may be meant among the first `known` of each log, in order; behind these, everything may be."""

    known: Mapping[int, int] = field(default_factory=dict)
    positions: Mapping[int, Sequence[int]] = field(default_factory=dict)

    def stretches(self, state: LogState, first: int, most: int) -> Iterator[Sequence[int]]:
        """Yield the positions of a log to look at, from `first` on, at most `most` at once; a range where all are."""
        known = max(first, min(state.size, self.known.get(state.log, 0)))
        named = self.positions.get(state.log, ())
        end = bisect_left(named, known)
        for start in range(bisect_left(named, first), end, most):
            yield named[start : min(start + most, end)]
        for start in range(known, state.size, most):
            yield range(start, min(start + most, state.size))


ANYWHERE = Candidates()
"""Nothing is known: everything is looked at."""


async def candidates(services: Services, gaze: Gaze, criteria: Criteria, logs: Sequence[LogState]) -> Candidates:
    """Return where entries that `criteria` mean may be, in this auditor's slice."""
    if not criteria.as_detail():
        return ANYWHERE
    # INVARIANT: asked before the walk: what is indexed meanwhile is looked at and not passed over.
    known = {state.log: await services.store.log.searched(state.log) for state in logs}
    sought = await within_slice(services, gaze, criteria, newest_first=False)
    found: dict[int, array[int]] = defaultdict(lambda: array("q"))
    count = 0
    async for places in services.store.found_places(sought, at_a_time=_AT_A_TIME):
        count += len(places)
        if count > _MOST_PLACES:
            return ANYWHERE
        for each in places:
            found[each.log].append(each.place.position)
    # The index is walked in the order of time, the log is told in its own.
    return Candidates(known, {log: array("q", sorted(positions)) for log, positions in found.items()})
