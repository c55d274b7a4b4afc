"""What comes in the midst of something: a report while it is looked at, or the same once more while it is done."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import ModuleType
from typing import Any, TypeVar

import pytest

from exchange.audit.rows_told import Contradiction
from exchange.usecases import Services
from exchange.usecases.upkeep import hold_rows
from tests.support.world import World

_SECONDS = 20
_COMING_SECONDS = 0.3
"""Long enough for the second one to have come where it waits; where it has not, it comes second all the same."""

First = TypeVar("First")
Second = TypeVar("Second")


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


def done_behind(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, act: Callable[[], Awaitable[Any]]) -> None:
    """Have `act` done behind the first call of the function `name` of `owner`, before whoever called goes on."""
    called = getattr(owner, name)

    async def and_then(*asked: Any, **others: Any) -> Any:
        found = await called(*asked, **others)
        monkeypatch.setattr(owner, name, called)
        await act()
        return found

    monkeypatch.setattr(owner, name, and_then)


async def looked_at_before(monkeypatch: pytest.MonkeyPatch, services: Services) -> list[list[Contradiction]]:
    """Look for contradicted rows now; whoever looks from now on finds just that, however old. Return it, by pages."""
    found = [page async for page in hold_rows.contradicted_rows(services)]

    async def found_before(_: object) -> AsyncIterator[list[Contradiction]]:
        for page in found:
            yield page

    monkeypatch.setattr(hold_rows, "contradicted_rows", found_before)
    return found


async def at_once(
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    first: Coroutine[Any, Any, First],
    second: Coroutine[Any, Any, Second],
) -> tuple[First, Second]:
    """Begin `second` while `first` is held where it calls the function `name` of `owner`; return what both come to."""
    called, is_held, goes_on = getattr(owner, name), asyncio.Event(), asyncio.Event()

    async def held(*asked: Any, **others: Any) -> Any:
        is_held.set()
        await goes_on.wait()
        return await called(*asked, **others)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, held)
        one = asyncio.create_task(first)
        await is_held.wait()
        other = asyncio.create_task(second)
        await asyncio.sleep(_COMING_SECONDS)
        goes_on.set()
        return await one, await other
