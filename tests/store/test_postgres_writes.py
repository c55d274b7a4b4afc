"""How PostgreSQL is written to: in as few ways there and back as can be, and what a commit that was none says."""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock, Mock

import asyncpg
import pytest

from exchange.audit import EventName
from exchange.kernel import UnavailableError
from exchange.store import PostedRow, Store
from exchange.store.writer.postgres import _commit
from exchange.store.writer.write_statements import by_column
from tests.support.store import class_facts, draft, new_report, policy_version

on_postgres = pytest.mark.parametrize("backend", ["postgresql"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first words of all that is sent to the database from now on."""
    told: list[str] = []

    def telling(way: Callable[..., Any]) -> Callable[..., Any]:
        async def sent(self: asyncpg.Connection, sql: str, *arguments: object, **options: object) -> Any:
            told.append(" ".join(re.findall(r"\w+|;", sql)[:3]))
            return await way(self, sql, *arguments, **options)

        return sent

    for name in ("execute", "fetch"):
        monkeypatch.setattr(asyncpg.Connection, name, telling(getattr(asyncpg.Connection, name)))
    return told


@on_postgres
async def test_posts_are_four_ways_there_and_back_together_and_one_more_for_a_new_class(
    store: Store, asked: list[str]
) -> None:
    version = await policy_version(store)

    def post(number: int) -> Any:
        entry = draft(EventName.REPORT_POSTED)
        return store.post_report(new_report(class_facts(number)), entry, policy_version=version, idempotency=None)

    await post(1)
    await asyncio.sleep(0)
    begin, *end = "BEGIN ; UPDATE", "SELECT policy_state policy_version", "WITH report_ AS", "COMMIT"
    for ways in ([begin, end[0], "INSERT INTO release_class", *end[1:]], [begin, *end]):
        asked.clear()
        answers = await asyncio.gather(*(post(2) for _ in range(5)))

        assert asked == ways
        assert sum(isinstance(answer, PostedRow) for answer in answers) == 5


@on_postgres
async def test_entries_alone_are_one_way(store: Store, asked: list[str]) -> None:
    await store.append(draft())
    asked.clear()
    await asyncio.gather(*(store.append(draft()) for _ in range(5)))

    assert asked == ["WITH entry AS"]


@on_postgres
async def test_other_writes_are_one_transaction_too(store: Store, asked: list[str]) -> None:
    assert await store.lease("client", 1, per_second=10)
    asked.clear()
    assert await store.lease("client", 1, per_second=10)

    assert [asked[0], asked[-1], len(asked)] == ["BEGIN", "COMMIT", 3]


@on_postgres
@pytest.mark.parametrize(
    ("lane", "write"),
    [("_posts", lambda store: store.ping()), ("_entries", lambda store: store.append(draft()))],
    ids=["post", "entry"],
)
async def test_write_goes_on_where_its_session_ended_while_idle(
    store: Store, lane: str, write: Callable[[Store], Any]
) -> None:
    """As the driver shows it that has read why the server ends the session, and not yet that it has."""
    await write(store)
    used = getattr(store._database, lane)
    await used._connection.close()
    ended = AsyncMock(is_closed=Mock(return_value=False), terminate=Mock())
    ended.execute.side_effect = asyncpg.InternalClientError("cannot switch to state 15")
    used._connection = ended

    await write(store)

    ended.execute.assert_awaited_once()
    assert used._connection is not ended


async def test_commit_that_rolled_back_is_a_fault() -> None:
    await _commit(Mock(execute=AsyncMock(return_value="COMMIT")))
    with pytest.raises(UnavailableError, match="did not commit"):
        await _commit(Mock(execute=AsyncMock(return_value="ROLLBACK")))


def test_no_rows_are_an_empty_list_for_each_column() -> None:
    assert by_column({"audit_entry": []}) == {"audit_entry.id": [], "audit_entry.content": []}
    assert by_column({"audit_entry": [("a", b"1"), ("b", b"2")]}) == {
        "audit_entry.id": ["a", "b"],
        "audit_entry.content": [b"1", b"2"],
    }
