"""Decisions about very much, with others answered in between: rules and guards keep the process to themselves.

Counted are labels: a report may have a hundred, each is a question of its own and takes the tenth of a millisecond.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from exchange.members import Client
from exchange.release import (
    CURRENT_ROW,
    ClassFacts,
    Law,
    Permit,
    ReaderFacts,
    ScopeFacts,
    Simulation,
    Use,
    decide,
    readable_classes,
    readers_asked,
    simulation_of,
)
from exchange.usecases.steps.context import Services

LABELS_AT_ONCE = 64
"""A batch costs about 6 ms when nothing is remembered, and 80 ms under the dearest national caveats there can be."""


class Pause:
    """Lets others in whenever `LABELS_AT_ONCE` labels were asked about since it last did."""

    __slots__ = ("_asked", "_begin", "_turn")

    def __init__(self, begin: Callable[[], AbstractAsyncContextManager[None]], turn: AsyncExitStack) -> None:
        self._asked = 0
        self._begin = begin
        self._turn = turn

    async def after(self, facts: ClassFacts) -> None:
        """Count one question about a class, which was asked just now."""
        self._asked += labels_of(facts)
        if self._asked >= LABELS_AT_ONCE:
            await self.now()

    async def now(self) -> None:
        """Let others in, and go on once it is one's turn again."""
        self._asked = 0
        # With the turn in hand: whoever comes now would else decide at once, before all others had theirs.
        await asyncio.sleep(0)
        await self._turn.aclose()
        await self._turn.enter_async_context(self._begin())


@asynccontextmanager
async def deciding(services: Services, asker: Client | None) -> AsyncIterator[Pause]:
    """Decide inside, and await nothing but the pause: of all who decide about much, one goes on at a time.

    Were they only to let others in each for itself, whoever asks for little would wait for all of them each time.
    A member's askers have their turns one after another, and other members wait for none of them.
    """

    def begin() -> AbstractAsyncContextManager[None]:
        return services.deciding.turn(*turn_of(asker))

    async with AsyncExitStack() as turn:
        await turn.enter_async_context(begin())
        yield Pause(begin, turn)
        await asyncio.sleep(0)


def turn_of(asker: Client | None) -> tuple[str, str | None]:
    """Return whose turn it is where `asker` waits for one (None: the host), and of which member."""
    return ("host", None) if asker is None else (asker.id, asker.member)


def labels_of(facts: ClassFacts) -> int:
    """Return how many labels a question about a class asks about, or one less: its own is mostly one of its parts'."""
    return max(1, len(facts.part_labels))


def batches_of(classes: Iterable[tuple[int, ClassFacts]], most_labels: int) -> Iterator[dict[int, ClassFacts]]:
    """Yield the classes in batches of `most_labels` labels; one that has more is a batch by itself."""
    batch, size = dict[int, ClassFacts](), 0
    for class_id, facts in classes:
        if batch and size + labels_of(facts) > most_labels:
            yield batch
            batch, size = {}, 0
        batch[class_id] = facts
        size += labels_of(facts)
    if batch:
        yield batch


async def readable_among(  # noqa: PLR0913  who asks, and what a decision reads, for many classes
    services: Services,
    asker: Client | None,
    reader: ReaderFacts,
    classes: Mapping[int, ClassFacts],
    scope_of: Callable[[ClassFacts], ScopeFacts | None],
    *,
    policy_version: int,
    law: Law,
) -> dict[int, Permit]:
    """Return what `readable_classes` does, for whoever asks."""
    cache, permits = services.knowledge.decisions, dict[int, Permit]()
    for batch in batches_of(classes.items(), LABELS_AT_ONCE):
        async with deciding(services, asker):
            permits |= readable_classes(reader, batch, scope_of, policy_version=policy_version, law=law, cache=cache)
    return permits


async def simulate_readers(  # noqa: PLR0913, PLR0917  who asks, and what a decision reads, for many readers
    services: Services,
    asker: Client | None,
    cls: ClassFacts,
    scope: ScopeFacts | None,
    readers: Iterable[ReaderFacts],
    law: Law,
) -> Simulation:
    """Return who could read a current report of class `cls`, each client with its own purpose."""
    decided = []
    async with deciding(services, asker) as pause:
        for reader in readers_asked(cls, scope, readers):
            decided.append((reader, decide(reader, cls, scope, CURRENT_ROW, Use.READ, law)))
            await pause.after(cls)
    return simulation_of(cls, scope, decided)
