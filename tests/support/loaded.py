"""Load on served nodes while something goes wrong, and the account of it: what clients were told beside what is there."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx2

from exchange.audit import parse_entry
from tests.attacks.hidden import report_body
from tests.attacks.served import Instance, Running, client, rows
from tests.support.postgres import execute

WRITER, READER, OTHER = "GBR writer", "GBR reader", "GBR other"
CLIENTS = {WRITER: ("contributor",), READER: ("reader",), OTHER: ("contributor",)}
_WRITERS = 6
_SECONDS = 60


@dataclass
class Load:
    """Posts under keys of its own, each tried again at the next node until it is acknowledged; pulls of them; a stream.

    The stream is resumed at the next node wherever it ends, and is told of every report.
    """

    instance: Instance
    nodes: list[Running]
    padding: str = ""
    acknowledged: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    pulled: list[tuple[str, str]] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Go on until `ending` is set, and then until the stream has told of all that was acknowledged."""
        following = asyncio.create_task(self._follow())
        try:
            await self._until(lambda: self._cursor is not None)
            await asyncio.gather(*(self._write(number) for number in range(_WRITERS)), self._read())
            await self._until(lambda: set(self.acknowledged.values()) <= set(self.told))
        finally:
            following.cancel()

    async def reaches(self, count: int) -> None:
        """Wait until so many more posts were acknowledged: whatever was wrong is over then."""
        wanted = len(self.acknowledged) + count
        await self._until(lambda: len(self.acknowledged) >= wanted)

    async def hears(self, status: int) -> None:
        """Wait until somebody was answered so."""
        await self._until(lambda: status in self.statuses)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_SECONDS):
            while not is_so():  # noqa: ASYNC110  many count
                await asyncio.sleep(0.02)

    async def _write(self, number: int) -> None:
        posted = 0
        while not self.ending.is_set():
            posted += 1
            await self._post(f"writer-{number}-report-{posted}")

    async def _post(self, key: str) -> None:
        label = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR"]}
        part = {
            "media_type": "text/plain",
            "name": "a.txt",
            "content": f"first part {self.padding}",
            "encoding": "utf-8",
        }
        body, attempt = report_body(self.instance.agreement, label=label, subject=key, parts=[part]), 0
        self.unknown.add(key)
        while not self.ending.is_set() or attempt:
            node = self.nodes[(attempt + hash(key)) % len(self.nodes)]
            attempt += 1
            try:
                async with asyncio.timeout(15):
                    answer = await self._client(node, WRITER).post(
                        "/v1/reports", json=body, headers={"Idempotency-Key": key}
                    )
            except (httpx2.HTTPError, TimeoutError):
                await asyncio.sleep(0.05)
            else:
                self.statuses.add(answer.status_code)
                if answer.status_code == 201:
                    self.acknowledged[key] = answer.json()["id"]
                    self.unknown.discard(key)
                    return
                assert answer.status_code in {429, 503}, answer.text
                assert answer.headers["retry-after"]
                await asyncio.sleep(0.05)
            if self.ending.is_set() and attempt > 1:
                return

    async def _read(self) -> None:
        while not self.ending.is_set():
            for report in list(self.acknowledged.values())[-3:]:
                for node in self.nodes:
                    await self._pull(node, report)
            await asyncio.sleep(0.01)

    async def _pull(self, node: Running, report: str) -> None:
        try:
            answer = await self._client(node, READER).get(f"/v1/reports/{report}")
        except httpx2.HTTPError:
            return
        self.statuses.add(answer.status_code)
        assert answer.status_code in {200, 429, 503}
        if answer.status_code == 200:
            self.pulled.append((report, answer.headers["x-audit-entry"]))
        else:
            assert b"first part" not in answer.content

    async def _follow(self) -> None:
        # With the last of them first: that is the one that something happens to.
        turn = -1
        while True:
            node, turn = self.nodes[turn % len(self.nodes)], turn + 1
            try:
                await self._listen(node)
            except httpx2.HTTPError:
                await asyncio.sleep(0.05)

    async def _listen(self, node: Running) -> None:
        resumed = {} if self._cursor is None else {"Last-Event-ID": self._cursor}
        event: dict[str, str] = {}
        async with self._client(node, READER).stream(
            "GET", "/v1/stream", headers={"Accept": "text/event-stream", **resumed}
        ) as answer:
            if answer.status_code != 200:
                assert answer.status_code == 503
                await asyncio.sleep(0.05)
                return
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name:
                    event[name] = value
                else:
                    self._heard(event)
                    event = {}

    def _heard(self, event: dict[str, str]) -> None:
        if event.get("event") == "report":
            self.told.append(json.loads(event["data"])["id"])
        if event.get("event") == "end":
            self.ends.append(json.loads(event["data"])["why"])
        self._cursor = event.get("id", self._cursor)

    def _client(self, node: Running, name: str) -> httpx2.AsyncClient:
        key = (node.url, name)
        if key not in self._clients:
            self._clients[key] = client(self.instance, node, name, connections=8)
        return self._clients[key]

    _clients: dict[tuple[str, str], httpx2.AsyncClient] = field(default_factory=dict)
    _cursor: str | None = None

    async def close(self) -> None:
        for each in self._clients.values():
            await each.aclose()


def require_whole(load: Load, before: set[str]) -> None:
    """Compare what clients were told with what is there."""
    instance = load.instance
    keys = rows(instance, "SELECT key, report_id FROM idempotency")
    # One statement sees one moment: a post that nobody waits for any more may still end between two.
    both = rows(instance, "SELECT id, CAST(NULL AS BYTEA) FROM report UNION ALL SELECT NULL, content FROM audit_entry")
    reports = {row[0] for row in both if row[0] is not None} - before
    entries = [parse_entry(bytes(row[1])) for row in both if row[1] is not None]
    permitted = [each for each in entries if (each["type"], each["decision"]) == ("report.posted", "permitted")]
    posted = [each["object"]["id"] for each in permitted if "replayed" not in each.get("detail", {})]
    replayed = {each["object"]["id"] for each in permitted if "replayed" in each.get("detail", {})}
    by_id = {each["id"]: each for each in entries}
    listed = {report for each in entries if each["type"] == "report.listed" for report in each.get("result_ids", ())}

    assert len(load.acknowledged) > 0
    assert set(load.acknowledged.values()) <= reports
    # Doubled would be: two reports of one key. What nobody heard of may be there once.
    assert len(reports) <= len(load.acknowledged) + len(load.unknown)
    assert {report for key, report in keys if key in load.acknowledged} >= set(load.acknowledged.values())
    # An answer that a fault swallowed is given again to the same key, and says so: no second report, no second posting.
    assert sorted(each for each in posted if each not in before) == sorted(reports)
    assert replayed <= reports | before
    for report, entry in load.pulled:
        assert (by_id[entry]["type"], by_id[entry]["object"]["id"]) == ("report.read", report)
    # Told once each, however often the stream broke, and each on the record.
    assert set(load.acknowledged.values()) <= set(load.told) <= listed
    assert len(set(load.told)) == len(load.told)


async def under_load(
    instance: Instance, nodes: list[Running], fault: Callable[[Load], Awaitable[None]], *, padding: str = ""
) -> Load:
    """Let `fault(load)` happen amid the load, and return the load once it has ended and all of it is accounted for."""
    rows(instance, "SELECT 1")
    before = {row[0] for row in rows(instance, "SELECT id FROM report")}
    execute_on(instance, "DELETE FROM idempotency")
    load = Load(instance, nodes, padding)
    running = asyncio.create_task(load.run())
    try:
        await load.reaches(10)
        await fault(load)
    finally:
        load.ending.set()
        await running
        await load.close()
    require_whole(load, before)
    return load


def execute_on(instance: Instance, statement: str) -> None:
    if instance.database_url is not None:
        execute(instance.database_url.replace("+asyncpg", ""), statement)
        return
    with sqlite3.connect(instance.folder / "exchange.db", timeout=20) as connection:
        connection.execute(statement)
    connection.close()
