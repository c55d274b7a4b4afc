"""Faults while clients are at work: nothing acknowledged is lost or doubled, nothing is served that was not recorded."""

import asyncio
import itertools
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from exchange.entrypoints.http.workers import STOP_SECONDS
from tests.attacks.served import Instance, Running, client, make_instance, rows, serving, start
from tests.support.loaded import CLIENTS, OTHER, READER, Load, under_load
from tests.support.postgres import private_cluster

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

TWO_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
MIB = 1024 * 1024
_OURS = "FROM pg_stat_activity WHERE application_name = 'exchange'"
UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """On a cluster whose commits are on the disk, so that what is acknowledged outlives a crash."""
    with private_cluster(fsync=True) as url:
        yield make_instance(tmp_path_factory.mktemp("faults") / "postgres", url, CLIENTS)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return make_instance(tmp_path_factory.mktemp("faults") / "sqlite", None, CLIENTS)


async def test_killed_replica_loses_and_doubles_nothing(on_postgres: Instance) -> None:
    with serving(on_postgres) as stays, serving(on_postgres, "--no-jobs") as dies:

        async def kill(load: Load) -> None:
            dies.kill()
            await load.reaches(8)
            load.nodes[1] = await asyncio.to_thread(start, on_postgres, "--no-jobs")
            await load.reaches(8)

        load = await under_load(on_postgres, [stays, dies], kill)
        load.nodes[1].kill()


async def answered(instance: Instance, query: str, *, is_it: Callable[[Any], bool]) -> Any:
    """Return the one value that a query comes to, once it is that, of a database that may be recovering."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                ((value,),) = rows(instance, query)
                if is_it(value):
                    return value
            await asyncio.sleep(0.02)


async def test_database_that_crashes_and_restarts_loses_nothing_and_is_found_again(on_postgres: Instance) -> None:
    with serving(on_postgres) as running:

        async def crash(load: Load) -> None:
            for _ in range(2):
                pid = await answered(on_postgres, f"SELECT min(pid) {_OURS}", is_it=lambda pid: pid is not None)
                os.kill(pid, signal.SIGKILL)  # the server ends all others, recovers from its log, and begins anew
                # What is acknowledged before it has noticed says nothing of what comes after.
                await answered(on_postgres, f"SELECT count(*) {_OURS} AND pid = {pid}", is_it=lambda count: count == 0)
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
        assert load.ends[0] == "stopping"
        assert "Cancel" not in stops.log.read_text()


async def test_disk_that_fills_up_under_load_loses_nothing(on_sqlite: Instance) -> None:
    with serving(on_sqlite) as running:

        async def fill(load: Load) -> None:
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (4096, UNLIMITED))
            await load.hears(503)
            pulled = len(load.pulled)
            await asyncio.sleep(0.3)
            assert len(load.pulled) == pulled, "served while nothing could be recorded"
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
            await load.reaches(10)

        await under_load(on_sqlite, [running], fill)


@pytest.fixture(scope="module")
def on_little_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """On a cluster that needs no file larger than one MiB for its log, so that its files can be kept to that."""
    with private_cluster(fsync=True, choices=("--wal-segsize=1",)) as url:
        yield make_instance(tmp_path_factory.mktemp("faults") / "little", url, CLIENTS)


async def test_disk_of_the_database_that_fills_up_under_load_loses_nothing(on_little_disk: Instance) -> None:
    with serving(on_little_disk) as running:

        async def fill(load: Load) -> None:
            let_files_grow(on_little_disk, MIB)
            await load.hears(503)
            await asyncio.sleep(0.3)
            let_files_grow(on_little_disk, UNLIMITED)
            await load.reaches(10)

        load = await under_load(on_little_disk, [running], fill, padding=os.urandom(8 * 1024).hex())

        assert load.statuses <= {200, 201, 503}


def let_files_grow(instance: Instance, most_bytes: int) -> None:
    """Let the database write files up to a size: at the end of it is the end of the disk, as far as it can tell."""
    ((tending,),) = rows(instance, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    serving = [row[0] for row in rows(instance, "SELECT pid FROM pg_stat_activity WHERE application_name = 'exchange'")]
    for pid in (parent_of(tending), *serving):
        limit = partial(resource.prlimit, pid, resource.RLIMIT_FSIZE, (most_bytes, UNLIMITED))
        # Such a limit is its own user's to set.
        with suppress(FileNotFoundError):  # one that has ended meanwhile writes nothing more
            owner = Path(f"/proc/{pid}").stat()
            subprocess.run(["true"], user=owner.st_uid, group=owner.st_gid, preexec_fn=limit, check=True)


def parent_of(pid: int) -> int:
    """Return the process that began one of the server's: whoever connects next is its child too."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_one_client_at_two_nodes_gets_its_rate_once(on_postgres: Instance) -> None:
    settings = on_postgres.folder / "exchange.toml"
    before = settings.read_text()
    settings.write_text(f"requests_per_second = 10\n{before}")
    try:
        with serving(on_postgres) as one, serving(on_postgres, "--no-jobs") as two:
            begun = time.monotonic()
            counts = await asyncio.gather(*(flood(on_postgres, node, begun + TWO_SECONDS) for node in (one, two)))
            seconds = time.monotonic() - begun
    finally:
        settings.write_text(before)

    answered, refused = (sum(each) for each in zip(*counts, strict=True))
    # A bucket, what fills it meanwhile, and what each node may have borrowed ahead.
    assert 10 <= answered <= 10 + 10 * seconds + 2 * 2
    assert refused > 0


async def flood(instance: Instance, node: Running, until: float) -> tuple[int, int]:
    """Ask without pause, until refused on a busy machine; return how much was answered, and how much refused."""
    answered = refused = 0
    async with client(instance, node, READER, connections=4) as reader:
        while (now := time.monotonic()) < until or (not refused and now < until + PATIENCE_SECONDS):
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

        async def stalled(path: str) -> None:
            """Ask for many large answers, and take nothing of them."""
            _, writer = await asyncio.open_connection(host, int(port), ssl=context)
            writers.append(writer)
            writer.transport.pause_reading()
            writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode() * 20)

        async def crowd(load: Load) -> None:
            head = b"GET /v1/reports HTTP/1.1\r\nhost: x\r\n"
            body = b"POST /v1/reports HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"
            for request, count in ((None, 200), (b"", 40), (head, 40), (body, 40)):
                await asyncio.gather(*(opened(request) for _ in range(count)))
            for report in list(load.acknowledged.values())[:10]:
                await stalled(f"/v1/reports/{report}/parts/1")
            await load.reaches(15)

        load = await under_load(on_sqlite, [running], crowd, padding="x" * MIB)
        for writer in writers:
            writer.transport.abort()

    assert load.statuses <= {200, 201}


async def test_more_than_a_worker_holds_is_turned_away_before_its_memory_grows(on_sqlite: Instance) -> None:
    with serving(on_sqlite) as running:

        async def flood(load: Load) -> None:
            before = resident_bytes(running)
            lines = await asyncio.gather(*(never_ending(on_sqlite, running) for _ in range(24)))
            refused = await first_answers(lines, 12)
            grown = resident_bytes(running) - before
            for _, writer in lines:
                writer.transport.abort()
            # 360 MiB were sent; three eighths of 256 MiB are one client's.
            assert len(refused) >= 12
            assert all(each.startswith(b"HTTP/1.1 429") and b"retry-after: " in each for each in refused)
            assert grown < 240 * MIB
            await load.reaches(10)

        load = await under_load(on_sqlite, [running], flood)

        assert load.statuses <= {200, 201}


async def never_ending(instance: Instance, node: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send nearly all of a large body, and return the connection."""
    host, port = node.url.removeprefix("https://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=instance.context(OTHER))
    size = 16 * MIB - 1
    writer.write(
        f"POST /v1/reports HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n".encode()
    )
    for _ in range(60):
        writer.write(b" " * (MIB // 4))
        await writer.drain()
    return reader, writer


async def first_answers(lines: Sequence[tuple[asyncio.StreamReader, asyncio.StreamWriter]], count: int) -> list[bytes]:
    """Return what was answered once so many were, however long that takes; who is held is answered nothing."""
    reading = [asyncio.create_task(reader.read(2_000)) for reader, _ in lines]
    async with asyncio.timeout(60):
        for answered in itertools.islice(asyncio.as_completed(reading), count):
            await answered
    # More than these may be answered: what is on its way counts too.
    done, held = await asyncio.wait(reading, timeout=1)
    for each in held:
        each.cancel()
    return [each.result() for each in done]


def resident_bytes(node: Running) -> int:
    pages = int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
