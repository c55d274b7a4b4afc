"""Whether anybody can write while something is looked at: a report is posted from within what looks."""

import asyncio
from types import ModuleType
from typing import Any

import pytest

from tests.support.world import World

_SECONDS = 20


def posted_meanwhile(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, world: World) -> list[str]:
    """Have a report posted before each call of the function `name` of `module`; return the ids, as they come.

    Where whoever calls it keeps others from writing, the call ends in a TimeoutError.
    """
    looks, written = getattr(module, name), list[str]()

    async def written_meanwhile(*asked: Any, **others: Any) -> Any:
        async with asyncio.timeout(_SECONDS):
            written.append(await world.post())
        return await looks(*asked, **others)

    monkeypatch.setattr(module, name, written_meanwhile)
    return written
