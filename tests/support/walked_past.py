"""Who could have read a report of a walk at a moment that is over, held against what plain words said at that moment."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exchange import usecases
from exchange.release import View
from tests.support.placing import place_entries
from tests.support.walked_reasons import AUDITOR
from tests.support.walked_world import ANALYSTS, READERS, Walk

_HALF = timedelta(seconds=30)


@dataclass
class Past:
    """What each could read of each report, between one deed and the next."""

    walk: Walk
    moments: list[tuple[datetime, dict[tuple[str, str], View]]] = field(default_factory=list)

    def go_on(self) -> None:
        """Let a minute pass, and remember who could read what in its middle."""
        moment = self.walk.now + _HALF
        self.moments.append((moment, self._views(moment)))
        self.walk.world.clock.advance(2 * _HALF)

    async def compare(self, node: int, number: int) -> None:
        """Ask of every report who could have read it at one of the moments."""
        walk = self.walk
        moment, views = self.moments[number % len(self.moments)]
        await place_entries(walk.world, is_searchable=True)
        for report in walk.plain.reports:
            told = await usecases.readers_on(walk.nodes[node % len(walk.nodes)], walk.call(AUDITOR), report, moment)
            found = {each.client: each.view for each in told.value.could}
            meant = {walk.world.clients[name].id: view for (name, each), view in views.items() if each == report}
            walk.require(found == meant, f"at {moment} {report} could be read by {found} and not {meant}")

    def _views(self, moment: datetime) -> dict[tuple[str, str], View]:
        plain, found = self.walk.plain, dict[tuple[str, str], View]()
        for name in (*READERS, *ANALYSTS):
            purposes = plain.client(name).purposes
            for report in plain.reports:
                if any(plain.knows(name, report, moment, each) for each in purposes):
                    found[name, report] = View.FULL
                elif any(plain.parts_for(name, report, moment, each) for each in purposes):
                    found[name, report] = View.TEAR_LINE
        return found
