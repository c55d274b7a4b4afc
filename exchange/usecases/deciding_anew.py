"""Deciding anew where the policy moved between a decision and the write that rests on it."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from exchange.kernel import StalePolicyError, UnavailableError

T = TypeVar("T")

_TRIES: Final = 5


async def decided_anew(decide: Callable[[], Awaitable[T]], told: str) -> T:
    """Return what `decide` comes to, begun again from its first read for as long as the policy moves under it.

    Raises UnavailableError, `told` what could not be done and what to do then, where it moves faster than that.
    """
    for _ in range(_TRIES):
        try:
            return await decide()
        except StalePolicyError:
            continue
    raise UnavailableError(f"the policy changed faster than {told}")
