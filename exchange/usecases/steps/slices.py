"""Decides for a count of very much in slices: others have their turns in between, and it ends in bounded time.

What is not decided by then is not counted, and no figure is told without it: a count that lacks something without a
word would be believed. The caller is told in words what is not counted yet, and by no number (how much there is, a
number would tell), and asks again: it goes on where it stopped.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Final

from exchange.kernel import UnavailableError, from_micros
from exchange.members import Client
from exchange.release import ClassFacts, Law, ReaderFacts, ScopeFacts, readable_classes
from exchange.store import PolicyState
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.in_between import LABELS_AT_ONCE, batches_of, deciding
from exchange.usecases.steps.tallies import Tally, TallyKey

MOST_SECONDS: Final = 10.0
"""Of one request: some 100,000 labels where nothing is remembered. Whoever waits longer takes it for lost."""


class NotCountedYetError(UnavailableError):
    """There is more to count than one request takes; nothing of it is told. Asked again it goes on."""

    code = "not-counted-yet"


@dataclass(frozen=True, slots=True)
class Slices:
    """Who counts, as of which state, how far it has come, and until when this request may go on."""

    asker: Client
    state: PolicyState
    tally: Tally
    until: float

    @classmethod
    def of(  # noqa: PLR0913  who counts what, as of which state, and until when
        cls, services: Services, call: Call, client: Client, state: PolicyState, *, about: str, until: float
    ) -> "Slices":
        """Return how far `client` has come in counting what `about` names; it holds as long as its clearance does."""
        key = TallyKey(client.member, client.id, client.version, call.assurance.value, about, state.policy_version)
        tally = services.knowledge.tallies.of(key, call.now)
        for moment in (client.clearance.since, client.clearance.until):
            tally.end_by(moment, call.now)
        return cls(client, state, tally, until)

    def require_time(self, what: str) -> None:
        """Raise NotCountedYetError, which says that `what` is not counted yet, where this request has had its time."""
        if monotonic() >= self.until:
            message = f"there is very much to count: {what} not counted yet. Ask again, and it goes on where it stopped"
            raise NotCountedYetError(message)

    def end_with_consents(self, classes: Iterable[ClassFacts], now: datetime) -> None:
        """Hold no longer than the consents of these classes do."""
        for consent in (each for facts in classes for each in facts.consents):
            if consent.until_micros is not None:
                self.tally.end_by(from_micros(consent.until_micros), now)


async def readable_in_slices(  # noqa: PLR0913  what a decision reads, for many classes, and who counts
    services: Services,
    slices: Slices,
    reader: ReaderFacts,
    classes: Mapping[int, ClassFacts],
    scope_of: Callable[[ClassFacts], ScopeFacts | None],
    *,
    law: Law,
    place: tuple[str, str],
    what: str,
) -> frozenset[int]:
    """Return the classes that `reader` may read; `place` names the reader and the text in the tally.

    `what` it is counted for, with its verb, is in the words of NotCountedYetError, raised where the time is over.
    """
    progress, now = slices.tally.of(*place), from_micros(reader.at_micros)
    decided = frozenset(progress.decided)
    waiting = ((class_id, facts) for class_id, facts in classes.items() if class_id not in decided)
    for batch in batches_of(waiting, LABELS_AT_ONCE):
        slices.require_time(what)
        async with deciding(services, slices.asker):
            permits = readable_classes(
                reader,
                batch,
                scope_of,
                policy_version=slices.state.policy_version,
                law=law,
                cache=services.knowledge.decisions,
            )
        slices.end_with_consents(batch.values(), now)
        progress.permitted.extend(permits)
        progress.decided.extend(batch)
    return frozenset(progress.permitted).intersection(classes)
