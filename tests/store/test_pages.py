"""Pages against a naive model: exact, oldest first, and never past a report that is committed later."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from exchange.kernel import UnavailableError
from exchange.reports import Precedence
from exchange.store import NewReport, PageRow, PostedRow, Store
from exchange.store.database.dialect import Parameters, Row, Sql, Statement, as_sqlite
from exchange.store.reads.numbered import in_arrays
from exchange.store.reads.page_statements import WINDOW, PageStatements
from tests.support.postgres import database_of, execute, fetch
from tests.support.store import NOW, class_facts, client, draft, enrol, new_report, open_store, policy_version, rows_of

NOBODY = "nobody"
CLASSES = 150


@dataclass(frozen=True)
class Kept:
    seq: int
    class_id: int
    report: NewReport
    is_recalled: bool


async def page(store: Store, class_ids: Sequence[int], **asked: object) -> PageRow:
    given = {"after": 0, "limit": 100, "now": NOW, "precedence": None, "since": None, **asked}
    return await store.page(NOBODY, class_ids, **given)  # type: ignore[arg-type]  # named by each test


def expected(world: list[Kept], class_ids: Sequence[int], **asked: object) -> list[str]:
    def is_shown(kept: Kept) -> bool:
        report, since, precedence = kept.report, asked.get("since"), asked.get("precedence")
        return (
            kept.class_id in class_ids
            and kept.seq > asked.get("after", 0)  # type: ignore[operator]  # an int
            and not kept.is_recalled
            and (report.valid_until is None or report.valid_until > asked.get("now", NOW))  # type: ignore[operator]  # a moment
            and (precedence is None or report.precedence.value == precedence)
            and (since is None or report.posted_at >= since)  # type: ignore[operator]  # a moment
        )

    return [kept.report.id for kept in world if is_shown(kept)][: asked.get("limit", 100)]  # type: ignore[misc]  # an int


async def build_world(store: Store, seed: int, *, size: int = 400) -> list[Kept]:
    """Post bursts of skewed classes, some expired, some urgent, from a clock that jumps about; recall a few."""
    chance = random.Random(seed)
    bursts: list[int] = []
    while len(bursts) < size:
        bursts += [min(int(chance.expovariate(0.03)) + 1, CLASSES)] * chance.choice([1, 1, 1, 30])
    version = await policy_version(store)
    reports = [
        new_report(
            class_facts(bursts[number]),
            posted_at=NOW + timedelta(minutes=number + chance.randint(-30, 30)),
            valid_until=chance.choice([None, None, NOW - timedelta(days=1), NOW + timedelta(days=1)]),
            precedence=chance.choice([Precedence.ROUTINE] * 5 + [Precedence.FLASH]),
            parts=(),
        )
        for number in range(size)
    ]
    posts = [store.post_report(each, draft(), policy_version=version, idempotency=None) for each in reports]
    posted = await asyncio.gather(*posts)
    recalled = set(chance.sample(range(size), size // 10))
    ids = ", ".join(f"'{reports[index].id}'" for index in recalled)
    await rows_of(store, f"UPDATE report SET status = 'recalled' WHERE id IN ({ids})")
    world = [
        Kept(row.seq, row.class_id, report, index in recalled)
        for index, (report, row) in enumerate(zip(reports, posted, strict=True))
        if isinstance(row, PostedRow)
    ]
    return sorted(world, key=lambda kept: kept.seq)


WAYS = ("by number", "class by class", "by class")
"""The ways to find a page: from one list in memory, from one of each class, and where these are too large.

The first way is for classes that were asked for before, as most of these tests do.
"""


def go(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages found in one of the ways."""
    if way == "class by class":
        monkeypatch.setattr("exchange.store.reads.class_index._LARGEST_MERGED", -1)
    if way == "by class":
        monkeypatch.setattr("exchange.store.reads.class_index._LARGEST_CLASS", -1)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    go(request.param, monkeypatch)
    return str(request.param)


async def by_each_way(store_url: str) -> AsyncIterator[tuple[str, Store]]:
    """Give the ways, and for each of them a store that has read nothing yet."""
    for way in WAYS:
        fresh = await open_store(store_url)
        with pytest.MonkeyPatch.context() as monkeypatch:
            go(way, monkeypatch)
            yield way, fresh
        await fresh.close()


@pytest.mark.parametrize("seed", range(2))
async def test_page_is_what_the_model_says(store: Store, store_url: str, subtests: pytest.Subtests, seed: int) -> None:
    world = await build_world(store, seed)
    async for way, fresh in by_each_way(store_url):
        with subtests.test(way):
            await require_what_the_model_says(fresh, world, random.Random(seed))


async def require_what_the_model_says(store: Store, world: list[Kept], chance: random.Random) -> None:
    for _ in range(60):
        class_ids = chance.sample(range(1, CLASSES + 1), chance.choice([0, 1, 2, 5, 20, 64, 65, 120, CLASSES]))
        asked = {
            "after": chance.choice([0, 0, chance.randint(0, 420)]),
            "limit": chance.choice([1, 2, 7, 30, 100, 500]),
            "now": NOW + chance.choice([timedelta(0), timedelta(days=2), timedelta(days=-2)]),
            "precedence": chance.choice([None, None, "FLASH"]),
            "since": chance.choice([None, None, NOW + timedelta(minutes=chance.randint(-60, 460))]),
        }
        # Asked for again, they have a list of their own.
        for _ in range(2):
            found = await page(store, class_ids, **asked)

            assert [row.id for row in found.rows] == expected(world, class_ids, **asked)
            is_full = len(found.rows) == asked["limit"]
            assert found.position == (found.rows[-1].seq if is_full else max(len(world), asked["after"]))


async def test_page_that_passes_over_much_that_has_expired_lets_others_in(store: Store) -> None:
    version, expired = await policy_version(store), NOW - timedelta(days=1)
    posts = [new_report(class_facts(1), valid_until=expired, parts=()) for _ in range(300)]
    posts.append(new_report(class_facts(1), parts=()))
    for each in posts:
        await store.post_report(each, draft(), policy_version=version, idempotency=None)
    beside = 0

    async def others() -> None:
        nonlocal beside
        while True:
            await asyncio.sleep(0)
            beside += 1

    waiting = asyncio.create_task(others())
    for limit in (1, 2):  # from each class, then from one list
        beside = 0
        found = await page(store, [1], limit=limit)

        assert [row.id for row in found.rows] == [posts[-1].id]
        assert beside >= 2
    waiting.cancel()


async def test_following_positions_gives_everything_once(
    store: Store, store_url: str, subtests: pytest.Subtests
) -> None:
    world = await build_world(store, 7, size=150)
    async for way, fresh in by_each_way(store_url):
        for count, limit in itertools.product((3, 100), (1, 13, 100)):
            class_ids = range(1, count + 1)
            seen: list[str] = []
            position = 0
            while (found := await page(fresh, class_ids, after=position, limit=limit)).rows:
                seen += [row.id for row in found.rows]
                position = found.position

            with subtests.test(way, count=count, limit=limit):
                assert seen == expected(world, class_ids, limit=len(world))


async def test_position_skips_no_report_of_concurrent_posters(store: Store, store_url: str) -> None:
    other = await open_store(store_url)
    version = await policy_version(store)
    posted: list[str] = []

    async def post(each: Store, number: int) -> None:
        for step in range(25):
            report = new_report(class_facts(1 + (number + step) % 5), parts=())
            await each.post_report(report, draft(), policy_version=version, idempotency=None)
            posted.append(report.id)

    seen: list[str] = []
    position = 0
    posters = [asyncio.create_task(post(each, number)) for number, each in enumerate((store, other) * 4)]
    try:
        while True:
            is_over = all(poster.done() for poster in posters)
            found = await page(store, range(1, 6), after=position, limit=7)
            seen += [row.id for row in found.rows]
            position = found.position
            if is_over and not found.rows:
                break
            await asyncio.sleep(0)
        await asyncio.gather(*posters)
    finally:
        await other.close()

    assert sorted(seen) == sorted(posted)


async def test_reader_of_many_rare_classes_finds_what_lies_beyond_a_window(store: Store) -> None:
    await store.post_report(
        new_report(class_facts(1)), draft(), policy_version=await policy_version(store), idempotency=None
    )
    await post_far_away(store, seq=3 * WINDOW)
    for class_ids in (range(1, 3), range(1, 200)):
        found = await page(store, class_ids, limit=10)
        assert [row.seq for row in found.rows] == [1, 3 * WINDOW]
        assert found.position == 3 * WINDOW
        assert (await page(store, class_ids, limit=2)).position == 3 * WINDOW


async def post_far_away(store: Store, seq: int) -> None:
    """Post as if thousands of others had been posted in between."""
    await rows_of(store, f"UPDATE policy_state SET report_seq = {seq - 1}")
    version = await policy_version(store)
    await store.post_report(new_report(class_facts(2)), draft(), policy_version=version, idempotency=None)


async def test_page_tells_who_asks(store: Store) -> None:
    enrolled = client()
    await enrol(store, enrolled, "a" * 64)
    found = await store.page("a" * 64, [], after=0, limit=5, now=NOW, precedence=None, since=None)

    assert found.client == enrolled
    assert found.state == (await store.caller("a" * 64)).state


async def test_page_read_first_still_finds_the_client(store: Store, store_url: str) -> None:
    enrolled = client()
    await enrol(store, enrolled, "a" * 64)
    fresh = await open_store(store_url)
    try:
        found = await fresh.page("a" * 64, [], after=0, limit=5, now=NOW, precedence=None, since=None)
        again = await fresh.page("a" * 64, [], after=0, limit=5, now=NOW, precedence=None, since=None)
    finally:
        await fresh.close()

    assert found.client == enrolled == again.client


async def test_position_never_goes_back(store: Store) -> None:
    assert (await page(store, [1], after=77)).position == 77


def test_pages_walk_along_an_index_on_both(store_url: str, backend: str) -> None:
    """Without statistics too: a plan that sorted a class would cost as much as the class is large."""
    statement = PageStatements.compiled(Sql(is_sqlite=backend == "sqlite")).by_class
    asked = {"thumbprint": "t", "class_ids": [1], "after": 0, "limit": 9, "per_class": 9, "now": 0, "since": 0}
    if backend == "sqlite":
        import sqlite3

        arguments = [as_sqlite(value) for value in statement.arguments(asked)]
        connection = sqlite3.connect(store_url.partition("///")[2])
        plan = "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", arguments))
        connection.close()
        assert "SEARCH of_class USING COVERING INDEX report_class (class_id=? AND seq>?)" in plan
    else:
        plain = store_url.replace("+asyncpg", "")
        execute(plain, SEED)
        name = database_of(plain)
        for setting in ("enable_bitmapscan", "enable_seqscan"):
            execute(plain, f'ALTER DATABASE "{name}" SET {setting} = off')
        execute(plain, f'ALTER DATABASE "{name}" SET plan_cache_mode = force_generic_plan')
        rows = fetch(plain, f"EXPLAIN {statement.sql}", *statement.arguments(asked))
        plan = [row[0].strip() for row in rows]
        limit = next(index for index, line in enumerate(plan) if line.startswith("->  Limit"))
        assert plan[limit + 1].startswith(
            ("->  Index Only Scan using report_class", "->  Index Scan using report_class")
        )
        by_number = Sql(is_sqlite=False).compile(in_arrays(Sql(is_sqlite=False)))
        asked = {"thumbprint": "t", "numbers": [1, 9], "now": 0, "since": 0}
        rows = fetch(plain, f"EXPLAIN {by_number.sql}", *by_number.arguments(asked))
        plan = [row[0].strip() for row in rows]
        # Once for all of them: a walk for each costs a tenth more.
        once = next(index for index, line in enumerate(plan) if line.startswith("->  Aggregate"))
        assert plan[once + 1].startswith("->  Index Scan using report_pkey")


SEED = """
WITH kept AS (INSERT INTO release_class VALUES (1, 'digest', '{}') RETURNING id)
INSERT INTO report SELECT n, 'id-' || n, id, 1, '', '', n, n, NULL, '', 'current', NULL, '', 1, '', ''
FROM kept, generate_series(1, 5000) AS n
"""


async def test_expiry_is_judged_by_the_moment_given(store: Store) -> None:
    until: datetime = NOW + timedelta(hours=1)
    report = new_report(valid_until=until)
    await store.post_report(report, draft(), policy_version=await policy_version(store), idempotency=None)

    async def shown(now: datetime) -> int:
        return len((await page(store, [1], now=now)).rows)

    assert await shown(until - timedelta(microseconds=1)) == 1
    assert await shown(until) == 0


async def test_policy_that_moves_between_rounds_begins_the_page_again(
    store: Store, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await build_world(store, 3, size=60)
    assert len((await page(store, range(1, 65), limit=500)).rows) > 30  # whatever is read once has been read
    fetch_rows, asked = store._database.fetch, []

    async def fetch_and_move(statement: Statement, parameters: Parameters) -> Sequence[Row]:
        rows = await fetch_rows(statement, parameters)
        numbers = parameters.get("numbers", parameters.get("number_0"))
        asked.append(parameters.get("after") if numbers is None else numbers)
        if len(asked) == 1:
            await rows_of(store, "UPDATE policy_state SET policy_version = policy_version + 1")
        return rows

    # One report of each class a round: a page of this world takes several.
    monkeypatch.setattr(store._database, "fetch", fetch_and_move)
    monkeypatch.setattr("exchange.store.reads.paging._SPREAD", 0)
    found = await page(store, range(1, 65), limit=30)

    assert len(asked) > 2
    assert asked.count(0 if way == "by class" else asked[0]) == 2
    assert [row.id for row in found.rows] == expected(world, range(1, 65), limit=30)
    assert found.state.policy_version == await policy_version(store)


@pytest.mark.usefixtures("way")
async def test_policy_that_never_rests_is_unavailable(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await build_world(store, 3, size=60)
    fetch_rows = store._database.fetch

    async def fetch_and_move(statement: Statement, parameters: Parameters) -> Sequence[Row]:
        await rows_of(store, "UPDATE policy_state SET policy_version = policy_version + 1")
        return await fetch_rows(statement, parameters)

    monkeypatch.setattr(store._database, "fetch", fetch_and_move)
    monkeypatch.setattr("exchange.store.reads.paging._SPREAD", 0)
    with pytest.raises(UnavailableError, match="the policy changed faster"):
        await page(store, range(1, 65), limit=30)


async def test_reports_posted_by_others_are_on_the_next_page(store: Store, store_url: str) -> None:
    other = await open_store(store_url)
    version = await policy_version(store)
    seen, position = [], 0
    try:
        for number in range(30):
            fresh = new_report(class_facts(1 + number % 3), parts=())
            await other.post_report(fresh, draft(), policy_version=version, idempotency=None)
            found = await page(store, [1, 3], after=position)
            position = found.position
            seen += [row.seq for row in found.rows]
    finally:
        await other.close()

    assert position == 30
    assert seen == [seq for seq in range(1, 31) if seq % 3 != 2]


async def test_long_silence_makes_the_index_begin_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.store.reads.class_index._LONGEST_TAIL", 5)
    version = await policy_version(store)
    for count in (1, 4, 9, 20):
        for _ in range(count):
            fresh = new_report(class_facts(1), parts=())
            await store.post_report(fresh, draft(), policy_version=version, idempotency=None)
        found = await page(store, [1])
        assert [row.seq for row in found.rows] == list(range(1, found.position + 1))

    assert found.position == 34


async def test_number_that_the_index_has_no_room_for_is_found_without_it(store: Store, store_url: str) -> None:
    """One such report, and every list that might show it ended in an error that nobody had foreseen."""
    version = await policy_version(store)
    for last in (0, 2**32 - 2, 2**62):
        await rows_of(store, f"UPDATE policy_state SET report_seq = {last}")
        for _ in range(2):
            fresh = new_report(class_facts(1), parts=())
            await store.post_report(fresh, draft(), policy_version=version, idempotency=None)
            another = await open_store(store_url)
            found = [await page(each, [1]) for each in (store, another)]
            await another.close()

            ((posted,),) = await rows_of(store, "SELECT max(seq) FROM report")
            assert {each.position for each in found} == {posted}
            assert {each.rows[-1].seq for each in found} == {posted}


async def test_index_forgets_what_was_not_asked_for_longest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build_world(store, 5, size=200)
    monkeypatch.setattr("exchange.store.reads.class_index._MOST_NUMBERS", 40)
    for class_ids in ([1], [2, 3], [1, 2], list(range(1, 60)), [1], [4, 1]):
        found = await page(store, class_ids)
        assert [row.id for row in found.rows] == expected(world, class_ids)
        assert store._pages._index._count <= 40


async def test_list_of_many_classes_learns_what_comes_and_is_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.store.reads.class_index._MOST_MERGED", 30)
    version = await policy_version(store)
    posted: list[int] = []
    chance = random.Random(4)
    for number in range(60):
        posted.append(chance.randint(1, 4))
        fresh = new_report(class_facts(posted[-1]), parts=())
        await store.post_report(fresh, draft(), policy_version=version, idempotency=None)
        # Facts become classes in the order in which they first came.
        ids = {facts: class_id for class_id, facts in enumerate(dict.fromkeys(posted), start=1)}
        asked = chance.choice([[1], [1, 2], [2, 1], [3, 4], [1, 2, 3, 4]])
        after, limit = chance.randint(0, number), chance.choice([1, 3, 100])
        found = await page(store, asked, after=after, limit=limit)

        told = [seq for seq, facts in enumerate(posted, start=1) if seq > after and ids[facts] in asked]
        assert [row.seq for row in found.rows] == told[:limit]
        merged = store._pages._index._merged
        assert sum(len(each.numbers) for each in merged.values()) == store._pages._index._merged_count
        assert store._pages._index._merged_count <= 30 or len(merged) == 1


async def test_list_that_grew_too_long_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.store.reads.class_index._LARGEST_MERGED", 5)
    version = await policy_version(store)
    for number in range(1, 10):
        fresh = new_report(class_facts(1), parts=())
        await store.post_report(fresh, draft(), policy_version=version, idempotency=None)
        for _ in range(2):
            found = await page(store, [1], after=1)
            assert [row.seq for row in found.rows] == list(range(2, number + 1))
        kept = store._pages._index._merged.get((1,))
        assert (0 if kept is None else len(kept.numbers)) == store._pages._index._merged_count <= 5


async def test_classes_asked_for_are_not_remembered_without_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.store.reads.class_index._MOST_LISTS", 3)
    for class_ids in ([1], [2], [1, 2], [3], [1], [1], [2, 3]):
        assert (await page(store, class_ids)).rows == ()

    assert set(store._pages._index._merged) == {(3,), (1,), (2, 3)}


async def test_reports_are_read_by_any_number_of_numbers(store: Store, subtests: pytest.Subtests) -> None:
    version = await policy_version(store)
    posts = [new_report(class_facts(1), parts=()) for _ in range(501)]
    await asyncio.gather(
        *(store.post_report(each, draft(), policy_version=version, idempotency=None) for each in posts)
    )

    for count in (1, 15, 16, 17, 500):
        with subtests.test(count=count):
            assert [row.seq for row in (await page(store, [1], limit=count)).rows] == list(range(1, count + 1))


async def test_report_of_another_class_than_the_index_names_is_not_shown(store: Store) -> None:
    version = await policy_version(store)
    for number in (1, 2, 1):
        fresh = new_report(class_facts(number), parts=())
        await store.post_report(fresh, draft(), policy_version=version, idempotency=None)
    assert [row.seq for row in (await page(store, [1])).rows] == [1, 3]
    await rows_of(store, "UPDATE report SET class_id = 2 WHERE seq = 3")

    assert [row.seq for row in (await page(store, [1])).rows] == [1]
    assert [row.seq for row in (await page(store, [2])).rows] == [2, 3]
