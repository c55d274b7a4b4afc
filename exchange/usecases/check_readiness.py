"""Does the service really work: a real read through store, policy, custody and log, not a socket that answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from exchange.kernel import ExchangeError, UnavailableError
from exchange.usecases.context import Services
from exchange.usecases.judging import require_same_law
from exchange.usecases.own_keys import require_own_keys
from exchange.usecases.quorum import require_quorum


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

    async def log() -> None:
        state = await services.store.log.state()
        if state is not None and state.frozen_why is not None:
            raise UnavailableError(f"the log is frozen and signs nothing: {state.frozen_why}")

    async def law() -> None:
        row = await services.store.caller("")
        require_same_law(services, row.state)

    async def custody() -> None:
        await services.custodian.check()
        # Without the store it is the store that is at fault.
        if checks[0].is_working:
            await require_own_keys(services)

    async def restore() -> None:
        await require_confirmed(services)

    async def quorum() -> None:
        await require_quorum(services, services.clock())

    steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
        ("store", services.store.ping),
        ("policy", law),
        ("log", log),
        ("custody", custody),
        ("restore", restore),
    )
    if services.witnessing.quorum_seconds is not None:
        steps += (("witnesses", quorum),)
    for name, step in steps:
        checks.append(await _run(name, step))
        yield checks[-1]


async def require_confirmed(services: Services) -> None:
    """Raise UnavailableError where a restore left something that nobody has seen to yet."""
    left = await services.store.open_restore_claims()
    if left:
        things = "1 thing is" if left == 1 else f"{left} things are"
        raise UnavailableError(f"restored, and {things} to be confirmed: see `exchange restored list`")


async def _run(name: str, step: Callable[[], Awaitable[None]]) -> Check:
    try:
        await step()
    except ExchangeError as exc:
        return Check(name, is_working=False, finding=exc.message)
    return Check(name, is_working=True, finding="works")
