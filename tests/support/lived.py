"""Worlds in which much has happened: it happens once, in a populated world, and each test gets a copy of what came of it."""

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import database_of
from tests.support.world import Inhabitants, World, inhabitants_of, reopen_world

Deeds = Callable[[World], Awaitable[Any]]
MakeLived = Callable[[Deeds], Awaitable[tuple[World, Any]]]
"""Deeds -> a world of one's own in which they were done, and what they returned."""
IN_ONE_WORLD = pytest.mark.asyncio(loop_scope="module")
"""Of tests that change nothing but the log: those of a module need no world each."""
MOST_KEPT = 6
"""The tests of a module run one after another: what it needs is asked for again at once, or no more."""


@dataclass(frozen=True, slots=True)
class Lived:
    """A closed world, to be copied, and who was in it at the end; `told` is what the deeds returned."""

    world: World
    inhabitants: Inhabitants
    told: Any

    @property
    def database(self) -> str:
        """Return the name of its database."""
        return database_of(self.world.url)

    async def copied(self, url: str, folder: Path) -> World:
        """Return a world with the same keys on a copy of the database."""
        shutil.copytree(self.world.folder, folder, dirs_exist_ok=True)
        key = self.world.services.cursor_key
        copied = await reopen_world(url, folder, cursor_key=key, like=self.inhabitants)
        copied.agreement_id, copied.clock.now = self.world.agreement_id, self.world.clock.now
        return copied


@dataclass
class LivedWorlds:
    """The last that were made, by backend and deeds; `forget` is told which is not kept any more."""

    forget: Callable[[World], None]
    made: dict[tuple[str, Deeds], Lived] = field(default_factory=dict)

    async def after(self, deeds: Deeds, *, backend: str, populated: Callable[[], tuple[str, Path]]) -> Lived:
        """Return the world after the deeds; where they are still to be done, in the world that `populated` makes."""
        lived = self.made.pop((backend, deeds), None) or await _done(deeds, *populated())
        self.made[backend, deeds] = lived
        if len(self.made) > MOST_KEPT:
            self.forget(self.made.pop(next(iter(self.made))).world)
        return lived


async def _done(deeds: Deeds, url: str, folder: Path) -> Lived:
    world = await reopen_world(url, folder)
    told = await deeds(world)
    inhabitants = await inhabitants_of(world)
    await world.services.store.close()
    return Lived(world, inhabitants, told)
