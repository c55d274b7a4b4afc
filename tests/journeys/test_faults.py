"""Faults while clients are at work: nothing acknowledged is lost or doubled, nothing is served that was not recorded."""

import asyncio
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from exchange.audit import parse_entry
from exchange.entrypoints.http.workers import STOP_SECONDS
from tests.attacks.hidden import report_body
from tests.attacks.served import Instance, Running, client, make_instance, serving, start
from tests.support.postgres import execute, fetch, private_cluster

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]

WRITER, READER = "GBR writer", "GBR reader"
CLIENTS = {WRITER: ("contributor",), READER: ("reader",)}
WRITERS = 6
TWO_SECONDS = 2.0


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """On a cluster whose commits are on the disk, so that what is acknowledged outlives a crash."""
    with private_cluster(fsync=True) as url:
        yield make_instance(tmp_path_factory.mktemp("faults") / "postgres", url, CLIENTS)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return make_instance(tmp_path_factory.mktemp("faults") / "sqlite", None, CLIENTS)


@dataclass
class Load:
    """Posts under keys of its own, each tried again at the next node until it is acknowledged; and pulls of them."""

    instance: Instance
    nodes: list[Running]
    acknowledged: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    pulled: list[tuple[str, str]] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Go on until `ending` is set."""
        await asyncio.gather(*(self._write(number) for number in range(WRITERS)), self._read())

    async def reaches(self, count: int) -> None:
        """Wait until so many more posts were acknowledged: whatever was wrong is over then."""
        wanted = len(self.acknowledged) + count
        async with asyncio.timeout(30):
            while len(self.acknowledged) < wanted:  # noqa: ASYNC110  many writers count
                await asyncio.sleep(0.02)

    async def _write(self, number: int) -> None:
        posted = 0
        while not self.ending.is_set():
            posted += 1
            await self._post(f"writer-{number}-report-{posted}")

    async def _post(self, key: str) -> None:
        label = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR"]}
        body, attempt = report_body(self.instance.agreement, label=label, subject=key), 0
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

    def _client(self, node: Running, name: str) -> httpx2.AsyncClient:
        key = (node.url, name)
        if key not in self._clients:
            self._clients[key] = client(self.instance, node, name, connections=8)
        return self._clients[key]

    _clients: dict[tuple[str, str], httpx2.AsyncClient] = field(default_factory=dict)

    async def close(self) -> None:
        for each in self._clients.values():
            await each.aclose()


def rows(instance: Instance, query: str) -> list[tuple[Any, ...]]:
    if instance.database_url is not None:
        return [tuple(row) for row in fetch(instance.database_url.replace("+asyncpg", ""), query)]
    with sqlite3.connect(instance.folder / "exchange.db", timeout=20) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


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


async def under_load(instance: Instance, nodes: list[Running], fault: Any) -> Load:
    """Let `fault(load)` happen amid the load, and return the load once it has ended and all of it is accounted for."""
    rows(instance, "SELECT 1")
    before = {row[0] for row in rows(instance, "SELECT id FROM report")}
    execute_on(instance, "DELETE FROM idempotency")
    load = Load(instance, nodes)
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


async def test_killed_replica_loses_and_doubles_nothing(on_postgres: Instance) -> None:
    with serving(on_postgres) as stays, serving(on_postgres, "--no-jobs") as dies:

        async def kill(load: Load) -> None:
            dies.kill()
            await load.reaches(8)
            load.nodes[1] = await asyncio.to_thread(start, on_postgres, "--no-jobs")
            await load.reaches(8)

        load = await under_load(on_postgres, [stays, dies], kill)
        load.nodes[1].kill()


async def test_database_that_crashes_and_restarts_loses_nothing_and_is_found_again(on_postgres: Instance) -> None:
    with serving(on_postgres) as running:

        async def crash(load: Load) -> None:
            for _ in range(2):
                ((pid,),) = rows(
                    on_postgres, "SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'exchange'"
                )
                os.kill(pid, signal.SIGKILL)  # the server ends all others, recovers from its log, and begins anew
                await load.reaches(8)

        load = await under_load(on_postgres, [running], crash)

        assert load.statuses <= {200, 201, 503}
        assert running.process.poll() is None


async def test_told_to_stop_a_node_finishes_what_it_began(on_postgres: Instance) -> None:
    with serving(on_postgres) as stays, serving(on_postgres, "--no-jobs", "--workers", 2) as stops:

        async def stop(load: Load) -> None:
            stops.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            code = await asyncio.to_thread(stops.process.wait, 60)
            # In order, and not because its workers were killed.
            in_order = time.monotonic() - began < STOP_SECONDS
            assert (code, in_order) == (0, True), stops.log.read_text()[-3000:]
            await load.reaches(10)

        load = await under_load(on_postgres, [stays, stops], stop)

        assert load.statuses <= {200, 201}
        assert "Cancel" not in stops.log.read_text()


async def test_disk_that_fills_up_under_load_loses_nothing(on_sqlite: Instance) -> None:
    with serving(on_sqlite) as running:

        async def fill(load: Load) -> None:
            unlimited = resource.RLIM_INFINITY
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (4096, unlimited))
            async with asyncio.timeout(20):
                while 503 not in load.statuses:  # noqa: ASYNC110  many writers hear it
                    await asyncio.sleep(0.02)
            pulled = len(load.pulled)
            await asyncio.sleep(0.3)
            assert len(load.pulled) == pulled, "served while nothing could be recorded"
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
            await load.reaches(10)

        await under_load(on_sqlite, [running], fill)


async def test_one_client_at_two_nodes_gets_its_rate_once(on_postgres: Instance) -> None:
    settings = on_postgres.folder / "exchange.toml"
    before = settings.read_text()
    settings.write_text(f"requests_per_second = 40\n{before}")
    try:
        with serving(on_postgres) as one, serving(on_postgres, "--no-jobs") as two:
            begun = time.monotonic()
            counts = await asyncio.gather(*(flood(on_postgres, node, begun + TWO_SECONDS) for node in (one, two)))
            seconds = time.monotonic() - begun
    finally:
        settings.write_text(before)

    answered, refused = (sum(each) for each in zip(*counts, strict=True))
    # A bucket, what fills it meanwhile, and what each node may have borrowed ahead.
    assert 40 <= answered <= 40 + 40 * seconds + 2 * 3
    assert refused > 0


async def flood(instance: Instance, node: Running, until: float) -> tuple[int, int]:
    """Ask without pause; return how much was answered and how much refused for its rate."""
    answered = refused = 0
    async with client(instance, node, READER, connections=4) as reader:
        while time.monotonic() < until:
            answers = await asyncio.gather(*(reader.get("/v1/whoami") for _ in range(4)))
            assert {each.status_code for each in answers} <= {200, 429}
            answered += sum(each.status_code == 200 for each in answers)
            refused += sum(each.status_code == 429 for each in answers)
    return answered, refused


async def test_floods_and_slow_clients_leave_the_others_served(on_sqlite: Instance) -> None:
    with serving(on_sqlite) as running:
        host, port = running.url.removeprefix("https://").rsplit(":", 1)
        context = on_sqlite.context(READER)
        writers: list[asyncio.StreamWriter] = []

        async def opened(request: bytes | None) -> None:
            tls = None if request is None else context
            _, writer = await asyncio.open_connection(host, int(port), ssl=tls)
            writers.append(writer)
            if request:
                writer.write(request)

        async def crowd(load: Load) -> None:
            head = b"GET /v1/reports HTTP/1.1\r\nhost: x\r\n"
            body = b"POST /v1/reports HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"
            for request, count in ((None, 200), (b"", 40), (head, 40), (body, 40)):
                await asyncio.gather(*(opened(request) for _ in range(count)))
            await load.reaches(15)

        load = await under_load(on_sqlite, [running], crowd)
        for writer in writers:
            writer.transport.abort()

    assert load.statuses <= {200, 201}
