"""What the clients of one member have together of a worker: however many it enrols, the other members go on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.holders import Holder, Holders, stranger
from exchange.entrypoints.http.limits import SharedRateLimiter
from exchange.entrypoints.http.shares import Shares
from exchange.entrypoints.http.turns import Turns
from exchange.kernel import LimitExceededError, UnavailableError
from exchange.usecases import Watching, WatchLimits
from tests.support.slow_rates import slow_rates

NOR_ONE, NOR_TWO = Holder("one", "NOR"), Holder("two", "NOR")
GBR = Holder("other", "GBR")
WHOAMI = "/v1/whoami"


class Enrolled:
    """Says who is enrolled, once it is let."""

    def __init__(self, **holders: Holder) -> None:
        self.holders = holders
        self.asked: list[str] = []
        self.let = asyncio.Event()
        self.let.set()
        self.is_away = False

    async def __call__(self, thumbprint: str) -> Holder | None:
        self.asked.append(thumbprint)
        await self.let.wait()
        if self.is_away:
            raise UnavailableError("the store is away")
        return self.holders.get(thumbprint)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_clients_of_one_member_leave_places_to_others_and_are_told_why(
    service, world, http, entry_of, held_whoami, monkeypatch
) -> None:
    await world.enrol("NOR second", "NOR", "reader")
    monkeypatch.setattr(service.door, "shares", Shares(6))
    one, two, other = http("NOR reader"), http("NOR second"), http("GBR contributor")
    first = [asyncio.create_task(each.get(WHOAMI)) for each in (one, one, two)]
    for _ in first:
        await held_whoami.begun.acquire()

    refused = {name: await each.get("/v1/vocabulary") for name, each in (("one", one), ("two", two))}
    others = await other.get("/v1/vocabulary")
    held_whoami.go_on.set()

    assert {name: each.status_code for name, each in refused.items()} == {"one": 429, "two": 429}
    assert refused["one"].json()["detail"] == "this client has 2 requests open here"
    assert refused["two"].json()["detail"] == "the clients of this member together have 3 requests open here"
    assert (await entry_of(refused["two"]))["detail"]["code"] == "rate-limited"
    assert int(refused["two"].headers["retry-after"]) > 0
    assert others.status_code == 200
    assert [(await each).status_code for each in first] == [200] * 3
    assert (await two.get("/v1/vocabulary")).status_code == 200


async def test_clients_of_one_member_have_a_rate_together(service, world, http, entry_of) -> None:
    await world.enrol("NOR second", "NOR", "reader")
    service.door.rates = slow_rates(10, of_member=3, clock=lambda: 1.0)
    answers = [await http(name).get(WHOAMI) for name in ("NOR reader", "NOR second") * 2]
    other = await http("GBR contributor").get(WHOAMI)

    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["detail"] == "the clients of this member together ask too often"
    assert (await entry_of(answers[-1]))["actor"]["kind"] == "client"
    assert other.status_code == 200


async def test_who_is_slow_to_take_a_refusal_holds_no_place(service, http, monkeypatch) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.door.MOST_IN_FLIGHT", 2)
    service.door.rates = slow_rates(1, clock=lambda: 1.0)
    refusing, taken = asyncio.Semaphore(0), asyncio.Event()
    refuse = type(service.door)._slow_down

    async def slow(*given):
        refusing.release()
        await taken.wait()
        await refuse(*given)

    monkeypatch.setattr(service.door, "shares", Shares(0))
    await http("NOR reader").get(WHOAMI)
    monkeypatch.setattr(type(service.door), "_slow_down", slow)
    waiting = [asyncio.create_task(http("NOR reader").get(WHOAMI)) for _ in range(3)]
    # The first of them holds the one place that it may have, the others none.
    for _ in waiting:
        await refusing.acquire()

    answer = await http("GBR contributor").get(WHOAMI)
    taken.set()

    assert answer.status_code == 200
    assert {(await each).status_code for each in waiting} == {429}


async def test_strangers_of_one_issuer_have_a_rate_together_and_take_none_from_members(service, http) -> None:
    service.door.rates = slow_rates(2, clock=lambda: 1.0)
    answers = [await http(f"stranger {number}").get(WHOAMI) for number in range(5)]

    # The first that is refused is told of on the record, as the stranger that it is.
    assert [each.status_code for each in answers] == [401, 401, 401, 429, 429]
    assert (await http("NOR reader").get(WHOAMI)).status_code == 200


async def test_requests_for_which_an_edge_names_nobody_have_a_rate_together_and_no_entry_each(
    service, world, http
) -> None:
    """As of a client that a node's revocation list shuts out before the edge has it: it filled the log at any rate."""
    service.door.rates = slow_rates(2, clock=lambda: 1.0)
    before = len(await world.entries())

    answers = [await http(None).get(WHOAMI) for _ in range(8)]

    assert [each.status_code for each in answers] == [401] * 3 + [429] * 5
    assert len(await world.entries()) == before + 3
    assert (await http("NOR reader").get(WHOAMI)).status_code == 200


async def test_body_that_is_awaited_takes_no_turn(service, http, monkeypatch) -> None:
    monkeypatch.setattr(service.door, "turns", Turns(1, of_client=1))
    sending, rest = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        sending.set()
        await rest.wait()
        yield b"}"

    headers = {"Content-Type": "application/json"}
    slow = asyncio.create_task(http("operator").post("/v1/members", content=body(), headers=headers))
    await sending.wait()

    async with asyncio.timeout(30):
        meanwhile = await http("operator").get(WHOAMI)
    rest.set()

    assert meanwhile.status_code == 200
    assert (await slow).status_code == 422
    assert (service.door.turns._working, service.door.turns._rows) == ({}, {})


async def test_turns_of_a_member_go_round_its_clients_and_others_wait_for_none_of_them() -> None:
    turns, order = Turns(2, of_client=2), []
    assert turns.begin(NOR_ONE)
    assert turns.begin(NOR_ONE)

    async def work(name: str, holder: Holder) -> None:
        await turns.wait(holder)
        order.append(name)

    tasks = [asyncio.create_task(work(f"one {number}", NOR_ONE)) for number in range(3)]
    tasks.append(asyncio.create_task(work("two", NOR_TWO)))
    await settled()
    assert not turns.begin(NOR_TWO)
    assert turns.begin(GBR)
    tasks.pop(1).cancel()
    for _ in range(2):
        turns.end(NOR_ONE)
        await settled()

    assert order == ["one 0", "two"]
    for holder in (NOR_TWO, NOR_ONE, NOR_ONE, GBR):
        turns.end(holder)
        await settled()
    assert order == ["one 0", "two", "one 2"]
    assert (turns._working, turns._rows) == ({}, {})


async def test_client_leaves_turns_to_others_of_its_member() -> None:
    turns = Turns(4, of_client=3)
    taken = [turns.begin(NOR_ONE) for _ in range(4)]
    waiting = asyncio.create_task(turns.wait(NOR_ONE))
    await settled()

    assert taken == [True, True, True, False]
    assert turns.begin(NOR_TWO)
    turns.end(NOR_TWO)
    await settled()
    assert not waiting.done()
    turns.end(NOR_ONE)
    await waiting


async def test_turn_that_is_given_to_who_leaves_goes_on_to_the_next() -> None:
    turns = Turns(1, of_client=1)
    assert turns.begin(NOR_ONE)
    leaving, next_one = (asyncio.create_task(turns.wait(each)) for each in (NOR_ONE, NOR_TWO))
    await settled()
    turns.end(NOR_ONE)
    leaving.cancel()

    async with asyncio.timeout(30):
        await next_one
    turns.end(NOR_TWO)

    assert (turns._working, turns._rows) == ({}, {})


async def test_certificate_is_asked_about_once_and_a_stranger_again_after_a_while() -> None:
    enrolled, time = Enrolled(a=NOR_ONE), [1.0]
    holders = Holders(enrolled, clock=lambda: time[0])

    met = await asyncio.gather(*(holders.meet(name) for name in "aabb"))
    met += [await holders.meet(name) for name in "ab"]
    enrolled.holders["b"] = GBR
    time[0] = 2.5

    assert met == [NOR_ONE, NOR_ONE, None, None, NOR_ONE, None]
    assert await holders.meet("b") == GBR
    assert enrolled.asked == ["a", "b", "b"]
    assert holders.known("b") == GBR


async def test_fault_is_not_remembered_and_who_leaves_takes_no_answer_along() -> None:
    enrolled = Enrolled(a=NOR_ONE)
    holders = Holders(enrolled)
    enrolled.is_away = True
    with pytest.raises(UnavailableError):
        await holders.meet("a")
    enrolled.is_away = False
    enrolled.let.clear()

    leaving, staying = (asyncio.create_task(holders.meet("a")) for _ in range(2))
    await settled()
    leaving.cancel()
    await settled()
    enrolled.let.set()

    assert await staying == NOR_ONE


async def test_whose_a_certificate_is_cannot_be_asked_is_503_and_a_known_one_is_not_asked_about(
    service, http, world, monkeypatch
) -> None:
    known, unmet = http("NOR reader"), http("GBR contributor")
    await known.get(WHOAMI)

    async def away(_thumbprint: str) -> Holder | None:
        raise UnavailableError("the store is away")

    monkeypatch.setattr(service.door.holders, "_lookup", away)

    assert (await unmet.get(WHOAMI)).status_code == 503
    assert (await known.get(WHOAMI)).status_code == 200


async def test_connections_of_one_member_leave_half_whatever_certificates_they_are_opened_with() -> None:
    certificates = {f"nor{number}": Holder(f"client {number}", "NOR") for number in range(12)}
    holders = Holders(Enrolled(**certificates, gbr=GBR))
    gate = ConnectionGate(most=24, holders=holders)
    for each in (*certificates, "gbr"):
        await holders.meet(each)

    entered = [gate.enter(each) for each in certificates for _ in range(3)]

    assert sum(entered) == gate.open == 12
    assert all(gate.enter("gbr") for _ in range(9))
    for each, was_let_in in zip([each for each in certificates for _ in range(3)], entered, strict=True):
        if was_let_in:
            gate.leave(each)
    assert gate.enter("nor11")
    assert gate.open == 10


async def test_connections_of_unmet_certificates_are_few_and_count_as_their_members_once_it_is_known() -> None:
    enrolled = Enrolled(a=NOR_ONE, b=NOR_ONE, c=NOR_TWO)
    enrolled.let.clear()
    gate = ConnectionGate(most=16, holders=Holders(enrolled))
    before = [gate.enter(each, "its issuer") for each in "abc"] + [gate.enter("d", "another") for _ in range(3)]
    enrolled.let.set()
    await settled()
    after = [gate.enter(each, "its issuer") for each in "abcabcabc"]

    # Two of one issuer, four strangers in all; then six of one client, whichever of its certificates, eight of a member.
    assert before == [True, True, False, True, True, False]
    assert sum(after) == 6
    for each in "dd":
        gate.leave(each)
    assert gate._shares._held == {"one": 6, "two": 2, "NOR": 8}
    assert gate.open == 8


async def test_edge_that_is_one_no_more_gives_back_what_it_took_and_no_share_of_others() -> None:
    gate = ConnectionGate(most=8)
    assert gate.enter("a", is_shared=True)
    assert gate.enter("a")

    gate.leave("a", is_shared=True)
    gate.leave("a")

    assert (gate.open, gate._present, gate._shares._held) == (0, {}, {})


def test_stranger_is_counted_as_no_member_whatever_issued_its_certificate() -> None:
    shares = Shares(80)
    for issuer in ("NOR", "GBR"):
        shares.take(stranger("x", issuer))

    assert not {"NOR", "GBR"} & shares._held.keys()


def test_streams_of_one_client_count_together_and_a_member_leaves_half() -> None:
    watching = Watching(WatchLimits(per_client=3, in_all=8))
    watches = [watching.enter("a", "NOR") for _ in range(3)]
    with pytest.raises(LimitExceededError, match="this client has 3 streams"):
        watching.enter("a", "NOR")
    watches.append(watching.enter("b", "NOR"))

    with pytest.raises(LimitExceededError, match="the clients of this member have 4 streams"):
        watching.enter("c", "NOR")
    others = [watching.enter(name, "GBR") for name in "xxyy"]
    for each in (*watches, *others):
        watching.exit(each)

    assert (watching.streams_of("a"), watching.streams_of("NOR"), watching._counts) == (0, 0, {})


async def test_streams_of_one_member_leave_half_of_the_reads() -> None:
    watching, done = Watching(WatchLimits(reads_at_once=4)), asyncio.Event()

    async def read() -> None:
        async with watching.reading("NOR"):
            await done.wait()

    many = [asyncio.create_task(read()) for _ in range(10)]
    await settled()

    async with asyncio.timeout(30), watching.reading("GBR"):
        done.set()
    await asyncio.gather(*many)


async def test_node_that_dies_takes_only_what_it_was_lent_along() -> None:
    """Two nodes of one exchange: the row of a member says what both were lent, and fills with time."""
    left, time = [40.0], [100.0]

    async def lease(_name: str, tokens: int) -> bool:
        is_lent = left[0] >= tokens
        left[0] -= tokens if is_lent else 0
        return is_lent

    dying, living = (SharedRateLimiter(40, lease, clock=lambda: time[0]) for _ in range(2))
    assert await dying.admit_later("member NOR")
    before = sum([living.admit("member NOR") or await living.admit_later("member NOR") for _ in range(60)])
    del dying
    time[0], left[0] = 101.0, 40.0
    after = sum([living.admit("member NOR") or await living.admit_later("member NOR") for _ in range(60)])

    assert before == 38
    assert after == 40
