"""What a process signs of its own entries: at its start, every second while it writes some, at its end.

Each second it also looks at what may have changed under it: password, clock, schema.

A process that records a few things and ends, as a verb of the command line does, signs once, at its end.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from exchange.audit import EntryDraft, EventName, Outcome, Receipt
from exchange.kernel import Clock, ExchangeError
from exchange.store import Store
from exchange.usecases.log.keep_time import ClockWatch
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.registering import register_reads
from exchange.usecases.steps.service_entries import Recording, service_draft
from exchange.usecases.steps.troubles import Causes

BEAT_SECONDS = 1.0
"""How long an entry stands before its node has signed for it, unless its own end is in doubt."""

IDLE_BEATS = 60
"""A process that writes nothing says so once a minute: who sees nothing for two knows that it is gone."""

_NO_HEARTBEAT = "no heartbeat"
_UNREGISTERED = "first reads are not registered yet"

_log = logging.getLogger("exchange.log")


@dataclass(frozen=True, slots=True)
class Recorder:
    """A store of a process that is no service, as the sequencer's."""

    store: Store
    clock: Clock
    randomness: Callable[[int], bytes]


@dataclass(slots=True)
class Troubles:
    """Tells each trouble once for each of its causes, and its end."""

    _told: dict[str, Causes] = field(default_factory=dict)

    def tell(self, what: str, exc: Exception) -> None:
        """Tell that `what` is the matter, and why."""
        cause = exc.message if isinstance(exc, ExchangeError) else type(exc).__name__
        if self._told.setdefault(what, Causes()).take(cause):
            # Of what nobody foresaw, where it came from.
            trace = None if isinstance(exc, ExchangeError) else exc
            _log.log(logging.ERROR if trace else logging.WARNING, what, extra={"cause": cause}, exc_info=trace)

    def end(self, what: str) -> None:
        """Tell that `what` is over, where it was told."""
        if self._told.pop(what, None) is not None:
            _log.warning("over now: %s", what)


async def record_service(own: Recording, event: EventName) -> Receipt:
    """Record that this process started or stopped, as evidence; what it does after its stop has no place in the log."""
    is_closing = event is EventName.SERVICE_STOPPED
    await _register(own, Troubles())
    await _settle(own, is_closing=is_closing)
    return await own.store.node.append_evidence(service_draft(own, event), is_closing=is_closing)


async def close_record(own: Recording) -> None:
    """Sign for all that this process recorded, if it did, and that it ends; a log that is away is left as it is.

    Also where all is signed for already: who has said that it runs, and then nothing, was killed.
    """
    node = own.store.node
    if node.is_closed or not (node.unsigned or node.is_opened):
        return
    try:
        await _register(own, Troubles())
        await _settle(own, is_closing=True)
        await node.append_evidence(service_draft(own, EventName.NODE_HEARTBEAT), is_closing=True)
    except ExchangeError as exc:
        _log.warning("the end of this process is not in the log", extra={"cause": exc.message})


async def beat(own: Recording, *, is_due: bool, troubles: Troubles | None = None) -> Receipt | None:
    """Register first reads, settle what is in doubt, sign for what was recorded; for nothing only where it `is_due`."""
    await _register(own, troubles or Troubles())
    await _settle(own)
    node = own.store.node
    if not node.unsigned and not is_due:
        return None
    return await node.append_evidence(service_draft(own, EventName.NODE_HEARTBEAT))


@asynccontextmanager
async def heartbeats(own: Recording, *, is_opening: bool = False) -> AsyncIterator[None]:
    """Sign every second for as long as the context lasts; `is_opening` also now, where nothing was signed yet.

    Who is killed before its first signature leaves entries behind that nobody can tell from forged ones.
    """
    if is_opening:
        await beat(own, is_due=True)
    ending = asyncio.Event()
    beating = asyncio.create_task(_beat_until(ending, own))
    try:
        yield
    finally:
        # Not cancelled: a beat on its way to the database would be an entry that nobody knows of.
        ending.set()
        await beating


async def _beat_until(ending: asyncio.Event, own: Recording) -> None:
    silent, watch, troubles = 0, ClockWatch(own), Troubles()
    while not ending.is_set():
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                await ending.wait()
        except TimeoutError:
            own.store.look_at_password()
            # The clock stays held against what is known of it.
            await _looked_or_told("the clock is not looked at", watch.look, troubles)
            await _looked_or_told("the schema is not looked at", own.store.look_at_schema, troubles)
            silent = await _beat_or_tell(own, silent, troubles)


async def _looked_or_told(what: str, look: Callable[[], Awaitable[object]], troubles: Troubles) -> None:
    try:
        await look()
    except Exception as exc:  # noqa: BLE001  as for the beat itself: no look ends the evidence
        troubles.tell(what, exc)
    else:
        troubles.end(what)


async def _beat_or_tell(own: Recording, silent: int, troubles: Troubles) -> int:
    """Return for how many beats nothing was signed."""
    try:
        signed = await beat(own, is_due=silent + 1 >= IDLE_BEATS, troubles=troubles)
    except Exception as exc:  # noqa: BLE001  told, with its trace where it is none of ours
        # Nobody foresaw it, and it must not end the evidence of all that comes after.
        troubles.tell(_NO_HEARTBEAT, exc)
        return silent + 1
    if signed is not None:
        troubles.end(_NO_HEARTBEAT)
    return silent + 1 if signed is None else 0


async def _register(own: Recording, troubles: Troubles) -> None:
    if not isinstance(own, Services):
        return
    try:
        await register_reads(own.store, own.register)
    except ExchangeError as exc:
        # They go on waiting, and what was recorded is signed for all the same.
        troubles.tell(_UNREGISTERED, exc)
    else:
        troubles.end(_UNREGISTERED)


async def _settle(own: Recording, *, is_closing: bool = False) -> None:
    node = own.store.node

    def void() -> EntryDraft:
        return service_draft(own, EventName.ENTRY_VOIDED, Outcome.FAILED)

    # At the end nothing is on its way any more: all that is not settled is in doubt.
    await (node.settle_doubts(void, beats=0) if is_closing else node.settle_doubts(void))
