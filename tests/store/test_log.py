"""The log: what was acknowledged is there, its columns are its bytes, and nothing changes it."""

import asyncio
import base64
import hashlib
import json
from collections import Counter
from dataclasses import replace

import pytest

from exchange.audit import EventName, Outcome, columns_of, parse_entry
from exchange.kernel import CanonicalError, ConflictError, UnavailableError
from exchange.store import Store
from exchange.store.database.dialect import sql_for
from exchange.store.log.log_statements import LogReads, LogWrites
from exchange.store.log.search_rows import SEARCH_COLUMNS, search_row
from exchange.store.log.witness_reader import WitnessReads
from exchange.store.tables.main_tables import table
from tests.support.prepared import run_prepared
from tests.support.store import NOW, draft, open_store, rows_of

APPENDER = """
import asyncio, sys
from tests.support.store import draft, open_store

async def main():
    store = await open_store(sys.argv[1])
    for entry in await asyncio.gather(*(store.append(draft(request_id=sys.argv[2])) for _ in range(200))):
        print(entry.entry)
    await store.close()

asyncio.run(main())
"""


async def test_acknowledged_entry_is_there_after_reopening(store: Store, store_url: str) -> None:
    receipt = await store.append(draft())
    again = await open_store(store_url)
    try:
        (content,) = await again.entries(10)
    finally:
        await again.close()

    assert columns_of(content).id == receipt.entry
    assert receipt.leaf == base64.b64encode(hashlib.sha256(b"\0" + content).digest()).decode()


async def test_search_row_is_a_projection_of_the_bytes(store: Store) -> None:
    await store.append(draft(owner="NOR", agreement="agreement", reasons=("recalled", "expired"), size_bytes=7))
    async with store.unit_of_work() as unit:
        await unit.record(draft(EventName.MEMBER_ADDED, scope="scope", purpose="defence", result_ids=("a", "b")))
    contents = [bytes(row[0]) for row in await rows_of(store, "SELECT content FROM audit_entry")]

    assert len(contents) == 2
    for position, content in enumerate(contents):
        told = columns_of(content)
        row = dict(zip(SEARCH_COLUMNS, search_row(1, position, content), strict=True))
        assert (row.pop("log"), row.pop("position")) == (1, position)
        assert row == {name: getattr(told, name) for name in SEARCH_COLUMNS[2:]}


def test_search_columns_are_the_columns_of_the_table() -> None:
    assert tuple(table("audit_search").c.keys()) == SEARCH_COLUMNS


async def test_every_entry_waits_in_the_outbox_once(store: Store) -> None:
    entries = await asyncio.gather(*(store.append(draft()) for _ in range(50)))
    waiting = [row[0] for row in await rows_of(store, "SELECT entry_id FROM audit_outbox ORDER BY id")]

    assert sorted(waiting) == sorted(receipt.entry for receipt in entries)


async def test_what_waits_is_looked_up_entry_by_entry(store: Store, store_url: str) -> None:
    """Without statistics too: joined, the whole log would be read for the few entries that wait."""
    is_sqlite = store_url.startswith("sqlite")
    numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 40000)"
    await rows_of(store, f"INSERT INTO audit_entry (id, content) {numbers} SELECT 'id-' || n, '' FROM n")
    await rows_of(store, f"INSERT INTO audit_outbox (entry_id) {numbers} SELECT 'id-' || n FROM n")
    waiting = LogWrites.compiled(sql_for(is_sqlite=is_sqlite)).waiting
    explained = replace(waiting, sql=("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + waiting.sql)

    plan = [str(row[-1]).strip() for row in await store._database.fetch(explained, {"limit": 1000})]

    for name, key in (("audit_entry", "id"), ("log_leaf", "entry_id")):
        (at,) = (place for place, line in enumerate(plan) if f" {name} " in line)
        assert f"({key}=?)" in plan[at] if is_sqlite else plan[at + 1].startswith(f"Index Cond: (({key})::text = (")


async def test_entries_about_holds_cost_no_look_at_all_others(store: Store, store_url: str) -> None:
    """Without statistics too; and whatever was written to what other entries are found by."""
    is_sqlite = store_url.startswith("sqlite")
    numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)"
    await rows_of(store, f"INSERT INTO audit_entry (id, content) {numbers} SELECT 'id-' || n, '' FROM n")
    held = await store.append(draft(EventName.HOLD_PUT))
    holds = LogReads.compiled(sql_for(is_sqlite=is_sqlite)).holds
    explained = replace(holds, sql=("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + holds.sql)

    plan = [str(row[-1]).strip() for row in await store._database.fetch(explained, {})]

    used = "SCAN audit_entry USING INDEX audit_entry_holds" if is_sqlite else "audit_entry_holds"
    assert any(used in line for line in plan), plan
    ((entry, content, leaf_hash),) = await store.log.about_holds()
    assert (entry, parse_entry(content)["id"], leaf_hash) == (held.entry, held.entry, None)


async def test_silent_witness_costs_no_look_at_what_others_said_since(store: Store, store_url: str) -> None:
    is_sqlite = store_url.startswith("sqlite")
    numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)"
    for rows in (
        "log_checkpoint {} SELECT 1, n, '', 0, '' FROM n",
        "log_cosignature {} SELECT 1, n, 'w', '', 0 FROM n",
    ):
        await rows_of(store, f"INSERT INTO {rows.format(numbers)}")
    of_one = WitnessReads.compiled(sql_for(is_sqlite=is_sqlite)).of_one
    explained = replace(of_one, sql=("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + of_one.sql)

    asked = {"log": 1, "witness": "silent", "upto": 5000}
    plan = [str(row[-1]).strip() for row in await store._database.fetch(explained, asked)]

    used = "(log=? AND witness=? AND size<?)" if is_sqlite else "log_cosignature_witness"
    assert any(used in line for line in plan), plan


async def test_numbers_of_one_start_leave_no_gap(store: Store) -> None:
    with pytest.raises(CanonicalError):
        await store.append(draft(detail={"é": 1}))
    await asyncio.gather(*(store.append(draft()) for _ in range(40)))
    entries = [parse_entry(content) for content in await store.entries(100)]

    assert sorted(entry["node_seq"] for entry in entries) == list(range(1, 41))
    assert len({entry["boot"] for entry in entries}) == 1


@pytest.mark.parametrize("change", ["UPDATE audit_entry SET content = 'x'", "DELETE FROM audit_entry"])
async def test_database_refuses_to_change_an_entry(store: Store, change: str) -> None:
    await store.append(draft())

    with pytest.raises((UnavailableError, ConflictError)):
        await rows_of(store, change)
    assert len(await store.entries(10)) == 1


async def test_entries_come_in_order_from_either_end(store: Store) -> None:
    ids = [(await store.append(draft())).entry for _ in range(5)]
    ids.sort()

    def names(contents: list[bytes]) -> list[str]:
        return [parse_entry(content)["id"] for content in contents]

    assert names(await store.entries(2)) == ids[:2]
    assert names(await store.entries(2, ids[1])) == ids[2:4]
    assert names(await store.entries(2, newest_first=True)) == [ids[4], ids[3]]
    assert names(await store.entries(9, ids[2], newest_first=True)) == [ids[1], ids[0]]


async def test_two_processes_appending_at_once_lose_nothing(store: Store, store_url: str) -> None:
    def run(name: str) -> list[str]:
        done = run_prepared("-c", APPENDER, store_url, name)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    told = [
        entry for entries in await asyncio.gather(*(asyncio.to_thread(run, name) for name in "ab")) for entry in entries
    ]
    kept = [json.loads(content) for content in await store.entries(1000)]

    assert sorted(told) == sorted(entry["id"] for entry in kept)
    assert Counter(entry["request_id"] for entry in kept) == {"a": 200, "b": 200}


async def test_full_queue_refuses_instead_of_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sqlite", "postgres"):
        monkeypatch.setattr(f"exchange.store.writer.{module}.QUEUE_LIMIT", 0)

    with pytest.raises(UnavailableError, match="cannot keep up"):
        await store.append(draft())


async def test_entry_is_written_though_nobody_waits_for_it_any_more(store: Store) -> None:
    await store.append(draft())
    asked = asyncio.create_task(store.append(draft()))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await store.append(draft())

    assert len(await store.entries(10)) == 3


async def test_time_of_an_entry_is_the_request_s(store: Store) -> None:
    await store.append(draft())

    assert parse_entry((await store.entries(1))[0])["ts"] == NOW.isoformat().replace("+00:00", "Z")


async def test_process_without_custody_records_no_act_of_a_client(store_url: str) -> None:
    opened = await open_store(store_url, personal=None)
    try:
        with pytest.raises(UnavailableError, match="custody"):
            await opened.append(draft())
        await opened.append(draft(source="local"))
        await opened.append(draft(outcome=Outcome.REFUSED))
        kept = [parse_entry(content) for content in await opened.entries(10)]
    finally:
        await opened.close()

    assert sorted(entry["decision"] for entry in kept) == ["permitted", "refused"]
    assert not any("pii" in entry or "127.0.0.1" in str(entry) for entry in kept)
