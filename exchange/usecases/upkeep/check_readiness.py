"""Does the service really work: a real read through store, policy, custody and log, not a socket that answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from exchange.kernel import ExchangeError, UnavailableError, UnsafeSettingError
from exchange.store.log.last_signed import LastSigned
from exchange.store.rows.log_rows import LogState
from exchange.usecases.log.quorum import require_quorum
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.judging import own_state
from exchange.usecases.upkeep.own_keys import require_own_keys, require_shared_key


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: its name, whether it works, and what is wrong where it does not."""

    name: str
    is_working: bool
    finding: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """Every check, in order."""

    checks: tuple[Check, ...]

    @property
    def is_ready(self) -> bool:
        """Return whether all checks work."""
        return all(check.is_working for check in self.checks)


async def check_readiness(services: Services) -> Readiness:
    """Return whether the next request could be served, from the store down to the keys."""
    return Readiness(tuple([check async for check in each_check(services)]))


async def each_check(services: Services) -> AsyncIterator[Check]:
    """Yield each check of `check_readiness` as soon as it is made."""
    checks: list[Check] = []

    async def custody() -> None:
        await services.custodian.check()
        # Without the store it is the store that is at fault.
        if checks[0].is_working:
            await require_own_keys(services)
            await require_shared_key(services)

    steps: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("store", services.store.ping),
        ("policy", lambda: own_state(services)),
        ("log", lambda: _require_log(services)),
        ("custody", custody),
        ("restore", lambda: require_confirmed(services)),
    )
    if services.witnessing.quorum_seconds is not None:
        steps += (("witnesses", lambda: require_quorum(services, services.clock())),)
    for name, step in steps:
        checks.append(await _run(name, step))
        yield checks[-1]


async def require_confirmed(services: Services) -> None:
    """Raise UnavailableError where a restore left something that nobody has seen to yet."""
    left = await services.store.open_restore_claims()
    if left:
        things = "1 thing is" if left == 1 else f"{left} things are"
        raise UnavailableError(f"restored, and {things} to be confirmed: see `exchange restored list`")


async def require_not_gone_back(services: Services) -> None:
    """Raise UnavailableError where the database may lack what was done since: restored, or older than what was signed.

    What time destroys by such a one may be what somebody had put a stop to.
    """
    try:
        await _require_log(services)
    except UnsafeSettingError as exc:
        raise UnavailableError(exc.message) from exc  # what was signed cannot be read: it may have been more
    await require_confirmed(services)


async def has_gone_back(services: Services) -> bool:
    """Return whether `require_not_gone_back` would raise."""
    try:
        await require_not_gone_back(services)
    except UnavailableError:
        return True
    return False


async def _require_log(services: Services) -> None:
    # Before the database is: meanwhile the sequencer goes on.
    said = _signed_here(services)
    state = await services.store.log.state()
    if state is not None and state.frozen_why is not None:
        raise UnavailableError(f"the log is frozen and signs nothing: {state.frozen_why}")
    _require_what_was_signed(said, state)


def _signed_here(services: Services) -> LastSigned | None:
    file = services.witnessing.last_signed
    try:
        return None if file is None else file.read()
    except UnavailableError:
        return None  # another user's, as where jobs have one of their own: the sequencer that has it compares


def _require_what_was_signed(said: LastSigned | None, state: LogState | None) -> None:
    """Raise UnavailableError where the database is older than what this host signed.

    The sequencer freezes such a log; until it has looked, whoever was revoked since is active there, and what was
    recalled can be read.
    """
    if said is None or (state is not None and state.origin != said.origin):
        return
    size, signed = 0 if state is None else state.size, said.confirmed.head
    if size < signed.size or (state is not None and size == signed.size and state.root != signed.root):
        which = f"{size} entries of the log" if size < signed.size else f"another log of {size} entries"
        raise UnavailableError(f"the database holds {which}, this host signed {signed.size}: it is an older one")


async def _run(name: str, step: Callable[[], Awaitable[object]]) -> Check:
    try:
        await step()
    except ExchangeError as exc:
        return Check(name, is_working=False, finding=exc.message)
    return Check(name, is_working=True, finding="works")
