"""The limiter that many processes share: what it borrows, when it asks, and that it fails closed."""

import asyncio

import pytest

from exchange.entrypoints.http.limits import SharedRateLimiter
from exchange.kernel import UnavailableError


class Lender:
    """Lends while it has something."""

    def __init__(self, tokens: int) -> None:
        self.left = tokens
        self.asked: list[tuple[str, int]] = []
        self.is_away = False

    async def __call__(self, client: str, tokens: int) -> bool:
        self.asked.append((client, tokens))
        await asyncio.sleep(0)
        if self.is_away:
            raise UnavailableError("the database is gone")
        is_lent = self.left >= tokens
        self.left -= tokens if is_lent else 0
        return is_lent


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def admitted(limiter: SharedRateLimiter, client: str) -> bool:
    return limiter.admit(client) or await limiter.admit_later(client)


async def test_processes_together_admit_what_is_lent_and_no_more() -> None:
    lender, clock = Lender(40), Time()
    processes = [SharedRateLimiter(40, lender, clock=clock) for _ in range(3)]

    answers = await asyncio.gather(*(admitted(each, "a") for each in processes for _ in range(40)))

    assert sum(answers) == 40
    assert {tokens for _, tokens in lender.asked} == {2}


async def test_who_asks_steadily_never_waits() -> None:
    lender, clock = Lender(1_000), Time()
    limiter = SharedRateLimiter(400, lender, clock=clock)
    assert await admitted(limiter, "a")

    for _ in range(200):
        assert limiter.admit("a")
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)

    assert len(lender.asked) <= 12


async def test_refused_client_is_not_asked_about_until_it_may_have_saved_up() -> None:
    lender, clock = Lender(0), Time()
    limiter = SharedRateLimiter(100, lender, clock=clock)

    refused = [await admitted(limiter, "a") for _ in range(50)]
    lender.left = 100
    clock.now += 0.05

    assert not any(refused)
    assert len(lender.asked) == 1
    assert await admitted(limiter, "a")


async def test_without_an_answer_nobody_is_admitted() -> None:
    lender, clock = Lender(1_000), Time()
    limiter = SharedRateLimiter(100, lender, clock=clock)
    lender.is_away = True

    for name in ("a", "a", "b"):
        with pytest.raises(UnavailableError) as caught:
            await admitted(limiter, name)
        # Callers are told that much, and the process's log why.
        assert caught.value.message == f"{caught.value.told}: the database is gone"
    lender.is_away = False
    clock.now += 1

    assert await admitted(limiter, "a")


async def test_tokens_that_lay_about_are_not_used() -> None:
    lender, clock = Lender(5), Time()
    limiter = SharedRateLimiter(100, lender, clock=clock)
    assert await admitted(limiter, "a")

    clock.now += 61

    assert not limiter.admit("a")
    assert not await limiter.admit_later("a")


async def test_without_room_for_one_more_it_waits_until_another_is_forgotten() -> None:
    lender, clock = Lender(1_000), Time()
    limiter = SharedRateLimiter(100, lender, clock=clock, most_clients=1)
    assert await admitted(limiter, "a")

    refused = await admitted(limiter, "b")
    clock.now += 61

    assert not refused
    assert await admitted(limiter, "b")


async def test_caller_that_leaves_does_not_take_the_answer_of_the_others_along() -> None:
    lender, clock = Lender(1_000), Time()
    limiter = SharedRateLimiter(100, lender, clock=clock)
    first, second = (asyncio.ensure_future(limiter.admit_later("a")) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()

    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first
