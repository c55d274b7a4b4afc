"""Rates that are soon used up, by a clock that a test holds."""

from collections.abc import Callable

from exchange.entrypoints.http.limits import RateLimiter, Refusals, SharedRateLimiter
from exchange.entrypoints.http.rates import Rates

PLENTY = 1_000


def slow_rates(per_second: int, *, of_member: int = PLENTY, clock: Callable[[], float]) -> Rates:
    """Return the rates of one worker, of a client and of a stranger's issuer so many requests a second."""
    strangers, refusals = RateLimiter(per_second, clock=clock), Refusals(clock=clock)
    return Rates(_lent(per_second, clock), _lent(of_member, clock), strangers, refusals)


def _lent(per_second: int, clock: Callable[[], float]) -> SharedRateLimiter:
    """Return a limiter that is lent what one bucket holds, which no other process shares."""
    bucket = RateLimiter(per_second, clock=clock)

    async def lease(name: str, tokens: int) -> bool:
        return all(bucket.admit(name) for _ in range(tokens))

    return SharedRateLimiter(per_second, lease, clock=clock)
