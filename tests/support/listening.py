"""A reader that listens to a stream in this process, and what it has heard so far."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from exchange.usecases import (
    Begun,
    Call,
    Ended,
    Notice,
    ReportStream,
    Services,
    Shown,
    Silence,
    Told,
    Watching,
    WatchLimits,
    open_stream,
)

_WAIT_SECONDS = 60.0


@dataclass
class Listener:
    """What one stream told."""

    stream: ReportStream
    heard: list[Notice] = field(default_factory=list)
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Note what is told, until the stream ends."""
        async for notice in self.stream.notices():
            self.heard.append(notice)
            self._told.set()

    async def until(self, count: int = 1, kind: type[Notice] = Shown) -> list[Any]:
        """Return what was told of one kind, once there are so many."""
        async with asyncio.timeout(_WAIT_SECONDS):
            while len(found := [notice for notice in self.heard if isinstance(notice, kind)]) < count:
                self._told.clear()
                await self._told.wait()
        return found

    async def settled(self) -> None:
        """Wait until it knows what it may read, and nothing is left to look for."""
        stream = self.stream
        async with asyncio.timeout(_WAIT_SECONDS):
            while not _is_settled(stream):  # noqa: ASYNC110  nobody would set an event
                await asyncio.sleep(0.001)

    async def caught_up(self) -> None:
        """Wait until it has told all that lies behind where it began, or has ended."""
        stream = self.stream
        async with asyncio.timeout(_WAIT_SECONDS):
            while not any(isinstance(notice, Ended) for notice in self.heard):
                if _is_settled(stream) and stream._position >= (stream._services.watching.seq or 0):
                    break
                await asyncio.sleep(0.001)

    @property
    def subjects(self) -> list[str | None]:
        """Return the subjects of the headers shown."""
        return [json.loads(notice.header_json)["subject"] for notice in self.heard if isinstance(notice, Shown)]

    @property
    def cursor(self) -> str:
        """Return the last id it was given."""
        return [notice.cursor for notice in self.heard if isinstance(notice, Begun | Shown | Told)][-1]

    async def ended(self) -> str:
        """Return why the stream ended, once it has."""
        (last,) = await self.until(1, Ended)
        assert isinstance(last, Ended)
        return last.why.value

    @property
    def silences(self) -> int:
        """Return how often it was told that there is nothing."""
        return sum(isinstance(notice, Silence) for notice in self.heard)


def _is_settled(stream: ReportStream) -> bool:
    watch, has_beaten = stream._watch, stream._services.watching.seq is not None
    return has_beaten and stream._readable is not None and not watch.is_stirred and not watch.is_looking


def patient(services: Services, **limits: Any) -> Services:
    """Return services whose streams last; `limits` are fields of `WatchLimits`."""
    quick: dict[str, Any] = {"beat_seconds": 0.005, "longest_seconds": 60.0, **limits}
    return replace(services, watching=Watching(WatchLimits(**quick)))


@asynccontextmanager
async def listening(services: Services, call: Call, cursor: str | None = None) -> AsyncIterator[Listener]:
    """Give a reader that listens, and let it go in the end."""
    listener = Listener((await open_stream(services, call, cursor)).value)
    task = asyncio.create_task(listener.listen())
    try:
        yield listener
    finally:
        listener.stream.leave()
        await asyncio.wait_for(task, _WAIT_SECONDS)
        await listener.stream.close()
        beating = services.watching.beating
        if beating is not None and not services.watching.is_needed:
            await asyncio.wait_for(beating, _WAIT_SECONDS)
