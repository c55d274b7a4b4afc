"""What an operator's figures tell of the service as a whole, read when somebody asks for them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exchange.kernel import ExchangeError, from_micros, to_micros
from exchange.usecases.steps.context import Services
from exchange.usecases.upkeep.check_readiness import Check, Readiness, check_readiness
from exchange.usecases.upkeep.last_backup import last_backup

_NEVER = datetime.fromtimestamp(0, UTC)
_LONGEST_SECONDS = 4.0
"""Whoever scrapes waits ten: what hangs is told as such before that."""


@dataclass(frozen=True, slots=True)
class LogFigures:
    """The log: its size, what waits for a place and since when, how old its checkpoint is, whether it is frozen."""

    size: int
    waiting: int
    oldest_wait: timedelta
    checkpoint_age: timedelta
    is_frozen: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """Readiness; the log, None where it cannot be read or was not begun; when the key in use was made.

    `backup` is when the newest backup was written: 1970 where none was, None where it cannot be told.
    """

    readiness: Readiness
    log: LogFigures | None
    custody_key_made_at: datetime | None
    backup: datetime | None = None


async def inspect_service(services: Services) -> Inspection:
    """Return what can be told now; what is away is left out."""
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            readiness = await check_readiness(services)
            key_made_at = await _key_made_at(services)
            return Inspection(readiness, await _log(services), key_made_at, await _backup(services))
    except TimeoutError:
        finding = f"no answer within {_LONGEST_SECONDS:g} seconds"
        return Inspection(Readiness((Check("store", is_working=False, finding=finding),)), None, None)


async def _log(services: Services) -> LogFigures | None:
    try:
        state = await services.store.log.state()
        backlog = await services.store.log.backlog()
    except ExchangeError:
        return None
    if state is None:
        return None
    now, none = services.clock(), timedelta(0)
    # A clock that was put back must not show a wait below nothing.
    wait = none if backlog.oldest_at is None else max(none, now - from_micros(backlog.oldest_at))
    # Nor must a time that somebody wrote beside the checkpoint keep all other figures from being told.
    age = now - from_micros(min(max(0, state.signed_at), to_micros(now)))
    return LogFigures(state.size, backlog.count, wait, age, is_frozen=state.frozen_why is not None)


async def _backup(services: Services) -> datetime | None:
    try:
        return await last_backup(services) or _NEVER
    except ExchangeError:
        return None


async def _key_made_at(services: Services) -> datetime | None:
    try:
        status = await services.custodian.status()
    except ExchangeError:
        return None
    return next((each.created_at for each in status.versions if each.version == status.current), None)
