"""What is taken up of whom a process lets in is on the record, what is refused too, and nobody can flood it so."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.entrypoints.http.trust import Kind
from exchange.entrypoints.http.trust_news import MOST_CHARACTERS, MOST_TOLD, TrustNews
from exchange.kernel import UnavailableError
from exchange.usecases import TakenUp, record_trust
from tests.entrypoints.certificates import listed
from tests.entrypoints.test_trust import Node
from tests.support.world import World


class Log:
    """What was recorded; away for as long as `is_away`."""

    def __init__(self) -> None:
        self.entries: list[TakenUp] = []
        self.is_away = False

    async def record(self, taken: TakenUp) -> None:
        if self.is_away:
            raise UnavailableError("the log cannot be written")
        self.entries.append(taken)

    async def reached(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not is_so():  # noqa: ASYNC110  a task writes them
                await asyncio.sleep(0.005)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def looked(node: Node, log: Log, *, count: int = 2) -> None:
    """Let the node look, with its news on the record of `log`."""
    async with TrustNews(log.record) as news:
        node.trust._news = news
        for _ in range(count):
            await node.trust.look()


async def test_list_that_is_taken_up_and_one_that_is_refused_are_on_the_record(node: Node, log: Log) -> None:
    node.put(listed(node.own.authority, node.client, number=6))
    await looked(node, log)
    node.put(listed(node.own.authority, number=4))
    await looked(node, log, count=3)

    taken, refused = log.entries
    assert (taken.kind, taken.is_refused, taken.count) == ("revocation-lists", False, 1)
    assert "list number 6 of `" in taken.told[0]
    assert (refused.kind, refused.is_refused, refused.count) == ("revocation-lists", True, 1)
    assert "number 6" in refused.told[0]


async def test_authority_that_comes_and_edge_that_goes_are_named(node: Node, log: Log) -> None:
    edges = node.folder / "edges.pem"
    edges.write_bytes((node.folder / "client.pem").read_bytes() + (node.folder / "other.pem").read_bytes())
    node.start()
    edges.write_bytes((node.folder / "other.pem").read_bytes())
    node.of_another("norway")
    before = node.trust.in_use
    await looked(node, log)
    told = {each.kind: each for each in log.entries if not each.is_refused}
    (gone,) = set(before["edges"]) - set(node.trust.in_use["edges"])

    assert any(name.startswith("added: ") for name in told["authorities"].told)
    assert f"taken away: {gone}" in told["edges"].told


async def test_what_a_process_shows_itself_as_is_no_news_and_neither_is_nothing(node: Node, log: Log) -> None:
    (node.folder / "server.pem").write_bytes(b"no certificate")
    await looked(node, log, count=3)

    assert node.trust.refused[Kind.SERVER]
    assert log.entries == []


def test_process_begins_with_what_it_lets_in_by(node: Node, tmp_path: Path) -> None:
    in_use = node.trust.in_use
    assert [len(in_use[kind]) for kind in ("revocation-lists", "authorities")] == [1, 1]
    assert "list number 5 of `" in in_use["revocation-lists"][0]
    # Authorities alone are in the log from where they were enrolled.
    assert Node(tmp_path / "plain", lists=False).trust.in_use == {}


async def test_whoever_exchanges_files_all_the_time_costs_an_entry_a_pause(log: Log) -> None:
    async with TrustNews(log.record, pause_seconds=0.2) as news:
        for number in range(MOST_TOLD + 5):
            news.note("edges", [f"{number}"], is_taken=False)
            await log.reached(lambda: log.entries)
        await log.reached(lambda: len(log.entries) == 2)

    first, rest = log.entries
    assert (first.told, first.count) == (("0",), 1)
    assert (rest.told[-1], len(rest.told), rest.count) == (f"{MOST_TOLD + 4}", MOST_TOLD, MOST_TOLD + 4)


async def test_what_could_not_be_recorded_is_recorded_later_and_counted_with_what_followed(log: Log) -> None:
    log.is_away = True
    async with TrustNews(log.record, pause_seconds=0.02) as news:
        news.note("edges", ["one"], is_taken=True)
        await news._writing  # type: ignore[misc]
        news.note("edges", ["two"], is_taken=True)
        log.is_away = False
        await log.reached(lambda: log.entries)

    assert [(each.told, each.count) for each in log.entries] == [(("one", "two"), 2)]


async def test_end_waits_for_what_is_being_written_and_begins_nothing_after_it(log: Log) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def record(taken: TakenUp) -> None:
        begun.set()
        await let_go.wait()
        await log.record(taken)

    news = TrustNews(record)
    news.note("edges", ["one"], is_taken=True)
    await begun.wait()
    news.note("edges", ["two"], is_taken=True)
    later = news._later
    ending = asyncio.create_task(news.__aexit__(None, None, None))
    for _ in range(5):
        await asyncio.sleep(0)
    early = ending.done()
    let_go.set()
    await ending

    assert not early
    assert [each.told for each in log.entries] == [("one",), ("two",)]
    assert later is not None
    assert later.cancelled()


async def test_end_of_what_had_nothing_to_tell_tells_nothing(log: Log) -> None:
    async with TrustNews(log.record):
        pass

    assert log.entries == []


async def test_name_of_any_length_and_no_text_is_an_entry_all_the_same(world: World) -> None:
    async def record(taken: TakenUp) -> None:
        await record_trust(world.services, taken)

    async with TrustNews(record) as news:
        news.note("revocation-lists", ["\udcff" * 10_000], is_taken=False)
    (entry,) = [each for each in await world.entries() if each["type"] == "trust.taken_up"]

    assert (entry["decision"], entry["actor"]) == ("refused", {"kind": "service"})
    assert entry["detail"] == {
        "file": "revocation-lists",
        "told": ["?" * MOST_CHARACTERS + "..."],
        "count": 1,
    }


async def test_start_is_told_as_one(world: World) -> None:
    async def record(taken: TakenUp) -> None:
        await record_trust(world.services, taken)

    await TrustNews(record).begin({"edges": ["a" * 64]})
    (entry,) = [each for each in await world.entries() if each["type"] == "trust.taken_up"]

    assert (entry["decision"], entry["detail"]["at"]) == ("permitted", "start")
