"""Rates that are soon used up, by a clock that a test holds."""

from collections.abc import Callable

from exchange.entrypoints.http.limits import RateLimiter
from exchange.entrypoints.http.rates import Rates

PLENTY = 1_000_000


def slow_rates(per_second: float, *, of_member: float = PLENTY, clock: Callable[[], float]) -> Rates:
    """Return the rates of one worker, of a client and of a stranger's issuer so many requests a second."""
    limiters = (RateLimiter(each, clock=clock) for each in (per_second, of_member, per_second))
    return Rates(*limiters)
