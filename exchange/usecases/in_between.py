"""Decisions about very much, with others answered in between: rules and guards keep the process to themselves.

Counted are labels: a report may have a hundred, each is a question of its own and takes the tenth of a millisecond.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping

from exchange.release import (
    ClassFacts,
    DecisionCache,
    Law,
    Permit,
    ReaderFacts,
    ScopeFacts,
    Simulation,
    outlook_for,
    readable_classes,
    readers_asked,
    simulation_of,
)

LABELS_AT_ONCE = 64
"""A batch costs about 6 ms when nothing is remembered, and 80 ms under the dearest national caveats there can be."""


class Pause:
    """Lets others in whenever `LABELS_AT_ONCE` labels were asked about since it last did."""

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        self._asked = 0

    async def after(self, facts: ClassFacts) -> None:
        """Count one question about a class, which was asked just now."""
        self._asked += labels_of(facts)
        if self._asked >= LABELS_AT_ONCE:
            self._asked = 0
            await asyncio.sleep(0)


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


async def readable_among(  # noqa: PLR0913  what a decision reads, for many classes
    reader: ReaderFacts,
    classes: Mapping[int, ClassFacts],
    scope_of: Callable[[ClassFacts], ScopeFacts | None],
    *,
    policy_version: int,
    law: Law,
    cache: DecisionCache,
) -> dict[int, Permit]:
    """Return what `readable_classes` does."""
    permits: dict[int, Permit] = {}
    for batch in batches_of(classes.items(), LABELS_AT_ONCE):
        permits |= readable_classes(reader, batch, scope_of, policy_version=policy_version, law=law, cache=cache)
        await asyncio.sleep(0)
    return permits


async def simulate_readers(
    cls: ClassFacts, scope: ScopeFacts | None, readers: Iterable[ReaderFacts], law: Law
) -> Simulation:
    """Return who could read a current report of class `cls`, each client with its own purpose."""
    pause, decided = Pause(), []
    for reader in readers_asked(cls, scope, readers):
        decided.append((reader, outlook_for(reader, cls, scope, law)))
        await pause.after(cls)
    return simulation_of(cls, scope, decided)
