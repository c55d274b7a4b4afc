"""Worlds in which much has happened: it happens once, in a populated world, and each test gets a copy of what came of it."""

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.world import Inhabitants, World, inhabitants_of, reopen_world

Deeds = Callable[[World], Awaitable[Any]]
MakeLived = Callable[[Deeds], Awaitable[tuple[World, Any]]]
"""Deeds -> a world of one's own in which they were done, and what they returned."""


@dataclass(frozen=True, slots=True)
class Lived:
    """A closed world, to be copied, and who was in it at the end; `told` is what the deeds returned."""

    world: World
    inhabitants: Inhabitants
    told: Any

    @property
    def database(self) -> str:
        """Return the name of its database."""
        return urlsplit(self.world.url).path.removeprefix("/")

    async def copied(self, url: str, folder: Path) -> World:
        """Return a world with the same keys on a copy of the database."""
        shutil.copytree(self.world.folder, folder, dirs_exist_ok=True)
        key = self.world.services.cursor_key
        copied = await reopen_world(url, folder, cursor_key=key, like=self.inhabitants)
        copied.agreement_id, copied.clock.now = self.world.agreement_id, self.world.clock.now
        return copied


@dataclass
class LivedWorlds:
    """Those that were made so far, by backend and deeds."""

    made: dict[tuple[str, Deeds], Lived] = field(default_factory=dict)

    async def after(self, deeds: Deeds, *, backend: str, populated: Callable[[], tuple[str, Path]]) -> Lived:
        """Return the world after the deeds; where they are still to be done, in the world that `populated` makes."""
        if (backend, deeds) not in self.made:
            url, folder = populated()
            world = await reopen_world(url, folder)
            told = await deeds(world)
            inhabitants = await inhabitants_of(world)
            await world.services.store.close()
            self.made[backend, deeds] = Lived(world, inhabitants, told)
        return self.made[backend, deeds]
