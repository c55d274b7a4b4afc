"""Deciding anew where the policy moved between a decision and the write, or the count, that rests on it."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from exchange.kernel import StalePolicyError, UnavailableError
from exchange.store import CallerRow
from exchange.usecases.steps.authenticate import required_thumbprint
from exchange.usecases.steps.context import Call, Services

P = ParamSpec("P")
T = TypeVar("T")

_TRIES: Final = 5


def decided_anew(told: str) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[object, object, T]]]:
    """Begin what is decorated again from its first read for as long as the policy moves under it.

    It raises UnavailableError, `told` what could not be done and what to do then, where that moves faster.
    """

    def decorated(decide: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[object, object, T]]:
        @wraps(decide)
        async def decided(*args: P.args, **kwargs: P.kwargs) -> T:
            for _ in range(_TRIES):
                try:
                    return await decide(*args, **kwargs)
                except StalePolicyError:
                    continue
            raise UnavailableError(f"the policy changed faster than {told}")

        return decided

    return decorated


async def decided_as_of(
    services: Services, call: Call, seen: CallerRow | None, decide: Callable[[CallerRow], Awaitable[T]], told: str
) -> T:
    """Return what is decided of the caller as it was `seen`, where it was; then of it as it is, as `decided_anew`."""
    known = seen

    @decided_anew(told)
    async def decided() -> T:
        nonlocal known
        row, known = known or await services.store.caller(required_thumbprint(call)), None
        return await decide(row)

    return await decided()
