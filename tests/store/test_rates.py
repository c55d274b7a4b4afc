"""Rates of clients hold over all nodes of one database, whoever asks where."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from exchange.store import PersonalCustody, Store
from tests.support.store import NODE_KEY, certificate, client, draft, enrol, wrap_nothing

LATER = timedelta(milliseconds=100)


class Hands:
    """A clock that stands still until it is moved: on SQLite time is the process's, on PostgreSQL the database's."""

    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def nodes(store_url: str, hands: Hands) -> AsyncIterator[tuple[Store, Store]]:
    stores = [
        await Store.open(
            store_url,
            node=name,
            clock=hands,
            randomness=os.urandom,
            identity=NODE_KEY,
            personal=PersonalCustody(wrap_nothing, bytes(32)),
        )
        for name in ("one", "two")
    ]
    yield stores[0], stores[1]
    for each in stores:
        await each.close()


async def lent(nodes: tuple[Store, Store], client: str, *, times: int, per_second: int) -> int:
    asked = [each.lease(client, 1, per_second=per_second) for each in nodes for _ in range(times)]
    return sum(await asyncio.gather(*asked))


async def test_two_nodes_lend_together_what_one_client_may_ask(nodes) -> None:
    begun = time.monotonic()

    granted = await lent(nodes, "a", times=60, per_second=20)

    assert 20 <= granted <= 20 + 20 * (time.monotonic() - begun) + 1


async def test_each_client_has_its_own(nodes) -> None:
    await lent(nodes, "a", times=40, per_second=20)

    assert await lent(nodes, "b", times=1, per_second=20) == 2


async def test_certificates_of_one_client_share_what_it_may_ask(nodes) -> None:
    one, two, of_another = (letter * 64 for letter in "abc")
    enrolled = client()
    await enrol(nodes[0], enrolled, one)
    async with nodes[0].unit_of_work() as unit:
        await unit.add_certificate(enrolled.id, certificate(two))
        await unit.record(draft())
    await enrol(nodes[0], client(), of_another)

    assert await nodes[0].lease(one, 15, per_second=20)
    assert not await nodes[1].lease(two, 15, per_second=20)
    assert await nodes[1].lease(of_another, 15, per_second=20)


async def test_nodes_lend_to_clients_in_one_order_by_whatever_certificates_they_ask(nodes) -> None:
    """In the order of their certificates each waited for the other, and all that came with them was answered 503."""
    first, second, third = (letter * 64 for letter in "abc")
    enrolled = client()
    await enrol(nodes[0], enrolled, first)
    async with nodes[0].unit_of_work() as unit:
        await unit.add_certificate(enrolled.id, certificate(third))
        await unit.record(draft())
    await enrol(nodes[0], client(), second)
    asked = [(nodes[0], (first, second)), (nodes[1], (second, third))]

    for _ in range(40):
        leases = [node.lease(name, 1, per_second=10_000) for node, names in asked for name in names]
        assert all(await asyncio.gather(*leases))


async def test_what_was_used_comes_back_with_time(nodes, hands: Hands, backend: str) -> None:
    await lent(nodes, "a", times=30, per_second=20)

    hands.now += LATER
    if backend == "postgresql":
        await asyncio.sleep(LATER.total_seconds())

    assert 1 <= await lent(nodes, "a", times=2, per_second=20) <= 4


async def test_more_is_never_lent_at_once_than_a_second_brings(nodes) -> None:
    assert await nodes[0].lease("a", 15, per_second=20)

    assert not await nodes[1].lease("a", 15, per_second=20)


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_clock_that_was_put_back_locks_nobody_out(nodes, hands: Hands) -> None:
    hands.now += timedelta(days=1)
    assert await lent(nodes, "a", times=30, per_second=20) == 20

    hands.now -= timedelta(days=1)

    assert await lent(nodes, "a", times=30, per_second=20) == 20


async def test_posts_and_loans_share_a_transaction(nodes, store_url: str) -> None:
    first, second = nodes
    many: list[Callable[[], object]] = [first.ping, lambda: second.lease("b", 1, per_second=100)]
    many += [lambda: first.lease("b", 1, per_second=100), lambda: second.lease("a", 1, per_second=100)] * 20
    many += [second.ping, lambda: first.lease("a", 1, per_second=100)] * 20

    done = await asyncio.gather(*(each() for each in many))

    assert all(each in (None, True) for each in done)


async def test_nodes_with_other_rates_lend_shares_of_one_second(nodes) -> None:
    begun = time.monotonic()

    slow = sum([await nodes[0].lease("a", 1, per_second=10) for _ in range(20)])
    fast = sum([await nodes[1].lease("a", 1, per_second=40) for _ in range(60)])

    passed = time.monotonic() - begun
    assert slow >= 10
    assert slow / 10 + fast / 40 <= 1 + passed + 1 / 10
