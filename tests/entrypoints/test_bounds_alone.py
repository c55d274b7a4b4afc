"""Each bound of a worker by itself: so much and no more, and never less than somebody may have."""

import asyncio
import gc
import ssl
from typing import Any

import pytest

from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.holders import Holder, Holders, stranger
from exchange.entrypoints.http.limits import RateLimiter, SharedRateLimiter
from exchange.entrypoints.http.rates import Rates
from exchange.entrypoints.http.shares import Share, Shares
from exchange.entrypoints.http.strangers import Wrong, wrong_with
from exchange.entrypoints.http.turns import Turns
from tests.entrypoints.test_limits import Lender, Time, admitted
from tests.entrypoints.test_member_shares import GBR, NOR_ONE, NOR_TWO, Enrolled, settled

# ── rates ──


def test_who_asks_seldom_saves_up_one_second_s_worth_and_no_more() -> None:
    clock = Time()
    limiter = RateLimiter(2, clock=clock)
    first = [limiter.admit("a") for _ in range(3)]
    clock.now += 1_000

    assert first == [True, True, False]
    assert [limiter.admit("a") for _ in range(3)] == [True, True, False]


def test_rate_below_one_a_second_lets_one_through_at_a_time() -> None:
    clock = Time()
    limiter = RateLimiter(0.5, clock=clock)
    first = [limiter.admit("a") for _ in range(2)]
    clock.now += 2

    assert first == [True, False]
    assert limiter.admit("a")


def test_who_is_counted_already_needs_no_room_and_who_is_new_waits_for_it() -> None:
    clock = Time()
    limiter = RateLimiter(2, most_clients=1, clock=clock)
    first = [limiter.admit(name) for name in "aba"]
    clock.now += 1

    assert first == [True, False, True]
    assert limiter.admit("b")


async def test_least_rate_borrows_one_at_a_time() -> None:
    lender = Lender(3)
    limiter = SharedRateLimiter(5, lender, clock=Time())

    assert [await admitted(limiter, "a") for _ in range(4)] == [True, True, True, False]
    assert {tokens for _, tokens in lender.asked} == {1}


async def test_what_runs_low_is_asked_for_once_at_a_time_and_not_where_it_was_just_refused() -> None:
    lender = Lender(5)
    limiter = SharedRateLimiter(100, lender, clock=Time())
    assert await admitted(limiter, "a")

    # The last but one of these asks for more.
    low = [limiter.admit("a") for _ in range(3)]
    asked = limiter._purses["a"].renewing
    is_last = limiter.admit("a")
    assert limiter._purses["a"].renewing is asked
    await settled()

    assert (low, is_last, limiter.admit("a")) == ([True] * 3, True, False)
    assert len(lender.asked) == 2


async def test_who_was_just_refused_is_not_asked_about_for_what_is_left() -> None:
    lender = Lender(5)
    limiter = SharedRateLimiter(100, lender, clock=Time())
    assert await admitted(limiter, "a")
    for _ in range(3):
        assert limiter.admit("a")
    await settled()

    assert limiter.admit("a")
    await settled()
    assert len(lender.asked) == 2


class Limiter:
    """A limiter that says what it is told to, at once and later."""

    def __init__(self, *, at_hand: bool = True, later: bool = True) -> None:
        self.at_hand, self.later = at_hand, later
        self.taken: list[str] = []

    def admit(self, name: str) -> bool:
        self.taken.append(name)
        return self.at_hand

    async def admit_later(self, name: str) -> bool:
        self.taken.append(f"later {name}")
        return self.later


def rates(clients: Limiter, members: Limiter, strangers: Limiter) -> Rates:
    limiters: Any = (clients, members, strangers)
    return Rates(*limiters)


@pytest.mark.parametrize(
    ("client", "member", "share", "taken"),
    [
        (True, True, None, (["one"], ["NOR"])),
        (False, True, Share.CLIENT, (["one"], [])),
        (True, False, Share.MEMBER, (["one"], ["NOR"])),
    ],
)
def test_what_is_at_hand_is_a_client_s_and_then_its_member_s(client: bool, member: bool, share, taken) -> None:
    clients, members, strangers = Limiter(at_hand=client), Limiter(at_hand=member), Limiter()

    assert rates(clients, members, strangers).admit(NOR_ONE) is share
    assert ((clients.taken, members.taken), strangers.taken) == (taken, [])


@pytest.mark.parametrize(("is_left", "share"), [(True, None), (False, Share.STRANGERS)])
async def test_stranger_takes_from_its_issuer_s_alone_and_nothing_is_lent_to_it(is_left: bool, share) -> None:
    clients, members, strangers = Limiter(), Limiter(), Limiter(at_hand=is_left)
    made, who = rates(clients, members, strangers), stranger("x", "its issuer")

    assert made.admit(who) is share
    assert await made.admit_later(who, Share.STRANGERS) is Share.STRANGERS
    assert (strangers.taken, clients.taken, members.taken) == (["issuer its issuer"], [], [])


@pytest.mark.parametrize(
    ("missing", "client", "member", "later", "share", "taken"),
    [
        (Share.CLIENT, False, True, True, Share.CLIENT, (["later one"], [])),
        (Share.CLIENT, True, True, False, None, (["later one"], ["NOR"])),
        (Share.CLIENT, True, False, True, None, (["later one"], ["NOR", "later NOR"])),
        (Share.CLIENT, True, False, False, Share.MEMBER, (["later one"], ["NOR", "later NOR"])),
        (Share.MEMBER, True, True, True, None, ([], ["later NOR"])),
        (Share.MEMBER, True, True, False, Share.MEMBER, ([], ["later NOR"])),
    ],
)
async def test_what_is_lent_is_what_was_missing_and_nothing_is_taken_twice(
    missing: Share, client: bool, member: bool, later: bool, share, taken
) -> None:
    clients, members = Limiter(later=client), Limiter(at_hand=member, later=later)

    assert await rates(clients, members, Limiter()).admit_later(NOR_ONE, missing) is share
    assert (clients.taken, members.taken) == taken


# ── turns ──


async def test_turn_goes_to_nobody_where_all_who_waited_have_gone() -> None:
    turns = Turns(1, of_client=1)
    assert turns.begin(NOR_ONE)
    leaving = [asyncio.create_task(turns.wait(NOR_TWO)) for _ in range(2)]
    await settled()
    for each in leaving:
        each.cancel()
    await settled()
    turns.end(NOR_ONE)

    assert (turns._working, turns._rows) == ({}, {})


async def test_who_leaves_in_the_row_gives_no_turn_back() -> None:
    turns = Turns(1, of_client=1)
    assert turns.begin(NOR_ONE)
    leaving, staying = (asyncio.create_task(turns.wait(NOR_TWO)) for _ in range(2))
    await settled()
    leaving.cancel()
    await settled()

    assert turns._working == {"one": 1, "NOR": 1}
    turns.end(NOR_ONE)
    await staying
    assert turns._working == {"two": 1, "NOR": 1}


# ── shares ──


def test_there_is_a_share_of_what_there_is_but_one_of() -> None:
    assert Shares(1).take(NOR_ONE) is None


@pytest.mark.parametrize(("given", "share"), [(None, 3), (2, 2), (100, 3)])
def test_client_has_three_quarters_of_its_member_s_or_less(given: int | None, share: int) -> None:
    shares = Shares(8, of_client=given)

    assert shares.of_client == share
    assert [shares.take(NOR_ONE) for _ in range(share + 1)] == [*[None] * share, Share.CLIENT]


@pytest.mark.parametrize(("at_least", "size"), [(1, 1), (5, 5)])
def test_stranger_has_as_little_as_anybody_may_have(at_least: int, size: int) -> None:
    shares = Shares(2, at_least=at_least)

    assert shares.take(stranger("x", "its issuer"), size) is None
    assert shares.take(stranger("y", "its issuer")) is Share.STRANGERS


def test_strangers_of_many_issuers_have_a_quarter_together() -> None:
    shares = Shares(16)
    taken = [shares.take(stranger(f"{issuer} {number}", issuer)) for issuer in "abc" for number in range(2)]

    assert taken == [*[None] * 4, Share.STRANGERS, Share.STRANGERS]


def test_one_stranger_has_no_more_than_a_client() -> None:
    shares = Shares(1_600, of_client=2)

    assert [shares.take(stranger("x", "its issuer")) for _ in range(3)] == [None, None, Share.CLIENT]
    assert shares.take(stranger("y", "its issuer")) is None


# ── connections ──


def test_no_more_connections_are_open_than_so_many_and_who_is_turned_away_is_counted() -> None:
    gate = ConnectionGate(most=4)
    entered = [gate.enter("edge", is_shared=True) for _ in range(6)]
    counts = gate.take_turned_away(), gate.take_turned_away()
    gate.leave("edge", is_shared=True)

    assert (entered, counts) == ([True] * 4 + [False] * 2, (2, 0))
    assert gate.enter("edge", is_shared=True)


# ── who they are ──


async def test_so_many_certificates_are_known_and_the_oldest_is_asked_about_again(monkeypatch) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.holders._MOST_KEPT", 2)
    enrolled = Enrolled(a=NOR_ONE, b=NOR_ONE, c=GBR)
    holders = Holders(enrolled)
    for name in ("a", "b", "c", "x", "y", "z"):
        await holders.meet(name)

    assert [holders.known(name) for name in "abc"] == [None, NOR_ONE, GBR]
    assert list(holders._strangers) == ["y", "z"]


@pytest.mark.parametrize("leaves", [False, True])
async def test_answer_that_nobody_waits_for_is_no_fault_of_the_loop(leaves: bool) -> None:
    enrolled, faults = Enrolled(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    enrolled.is_away = True
    asking = Holders(enrolled).ask("a")
    assert asking is not None
    if leaves:
        asking.cancel()
    del asking
    await settled()
    gc.collect()

    assert faults == []


def test_where_nobody_can_be_asked_each_certificate_is_a_client_and_a_member() -> None:
    assert Holders().known("a") == Holder("a", "of a")


def test_fault_that_gives_no_reason_is_no_tls() -> None:
    fault = ssl.SSLError()
    fault.reason = None  # type: ignore[assignment]  # as OpenSSL leaves it where it has no name for it

    assert wrong_with(fault) is Wrong.NO_TLS
