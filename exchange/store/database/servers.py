"""Which server is connected to where an address names several: the primary among them, also where others are silent.

Promises: the one named first has a head start, and whoever does not answer within it holds up none of the others: the
machine of a lost primary mostly answers nothing at all, and its standby is promoted beside it.
Does not: tell two servers apart that both claim to be the primary; what each connection leads to, `lineage` compares.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched

_Attempt: TypeAlias = asyncio.Task[asyncpg.Connection]

_HEAD_START_SECONDS: Final = 0.5
"""A server that is well takes a few milliseconds, one that is busy tens: who is silent for so long is passed by."""

_AWAY: Final = (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)
"""What says of a server only that it is not there now; a TimeoutError is an OSError."""


async def connected(*, timeout: float, **arguments: Any) -> asyncpg.Connection:  # noqa: ASYNC109  the driver's
    """Return a connection that is opened as `asyncpg.connect` does, to the first of several hosts that will do.

    `timeout` is in seconds. Where no host will do, the fault is raised that tells most of why.
    """
    hosts, ports = arguments.get("host"), arguments.get("port")
    if not isinstance(hosts, list) or not isinstance(ports, list):
        return await asyncpg.connect(**arguments, timeout=timeout)
    # The driver asks one after the other within one time, all of which a silent one takes.
    head_start = min(_HEAD_START_SECONDS, timeout / len(hosts))
    begun: list[_Attempt] = []
    chosen: _Attempt | None = None
    try:
        for number, (host, port) in enumerate(zip(hosts, ports, strict=True), start=1):
            one = {**arguments, "host": host, "port": port}
            begun.append(asyncio.create_task(asyncpg.connect(**one, timeout=timeout)))
            chosen = await _first_of(begun, head_start if number < len(hosts) else None)
            if chosen is not None:
                return chosen.result()
        raise min((fault for each in begun if (fault := each.exception()) is not None), key=_silence)
    finally:
        await _give_up([each for each in begun if each is not chosen])


async def _first_of(begun: Sequence[_Attempt], seconds: float | None) -> _Attempt | None:
    """Return an attempt that succeeded, None where all have failed, or none has succeeded within `seconds`."""
    loop = asyncio.get_running_loop()
    until = None if seconds is None else loop.time() + seconds
    while True:
        opened = next((each for each in begun if each.done() and each.exception() is None), None)
        waiting = [each for each in begun if not each.done()]
        left = None if until is None else until - loop.time()
        if opened is not None or not waiting or (left is not None and left <= 0):
            return opened
        await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)


def _silence(fault: BaseException) -> int:
    """Return how little a fault tells: a wrong login before a standby, and a standby before one that is away."""
    if isinstance(fault, TargetServerAttributeNotMatched):
        return 1
    return 2 if isinstance(fault, _AWAY) else 0


async def _give_up(attempts: Sequence[_Attempt]) -> None:
    for each in attempts:
        each.cancel()
    if attempts:
        await asyncio.wait(attempts)
    for each in attempts:
        if not each.cancelled() and each.exception() is None:
            each.result().terminate()
