"""Refused floods to their end: what was refused after the one that the log was told of is told once a second is over.

Promises: for every refusal by rate or share some entry speaks, within a second of it, as long as this process runs.
Does not: keep anybody waiting, or make an entry for each.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from exchange.entrypoints.http.metrics import UNMATCHED
from exchange.kernel import ExchangeError
from exchange.usecases import Call, Services, record_rejection

AFTER_SECONDS = 1.0
"""By then somebody who goes on asking has been told of in the entry of the next second."""

_log = logging.getLogger("exchange.http")


@dataclass(frozen=True, slots=True)
class Refused:
    """One of the requests that were refused, and why.

    `told_as` is under what name refusals like it are counted; `untold` says, and forgets, of how many nobody told yet.
    """

    services: Services
    call: Call
    method: str
    code: str
    told_as: str
    untold: Callable[[str], int]


class FloodEnds:
    """At most one timer for each client that is refused now."""

    def __init__(self) -> None:
        self._due: dict[str, asyncio.TimerHandle] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def expect(self, refused: Refused) -> None:
        """See to it that a refusal of which no entry tells is told of soon."""
        name = refused.told_as
        if name not in self._due:
            self._due[name] = asyncio.get_running_loop().call_later(AFTER_SECONDS, self._tell, name, refused)

    def _tell(self, name: str, refused: Refused) -> None:
        del self._due[name]
        count = refused.untold(name)
        if count:
            task = asyncio.create_task(_told(refused, count), name="flood")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)


async def _told(refused: Refused, count: int) -> None:
    services, call = refused.services, refused.call
    try:
        await record_rejection(services, call, method=refused.method, route=UNMATCHED, code=refused.code, count=count)
    except ExchangeError as exc:
        _log.error("rejections not recorded", extra={"request_id": call.request_id, "cause": type(exc).__name__})
