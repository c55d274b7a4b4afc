"""A standby lags, and is never asked: what was revoked on the primary may not be there yet."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from exchange.audit import EventName
from exchange.kernel import UnavailableError
from exchange.members import Standing
from exchange.services import ended_with_database
from exchange.store import Store, migrate
from tests.support.archived_cluster import archived_cluster, make_database, named, recovered, standby
from tests.support.postgres import fetch
from tests.support.postgres_keeper import USER
from tests.support.store import client, draft, enrol, open_store, rows_of

pytestmark = pytest.mark.timeout(120)

THUMBPRINT = "a" * 64
ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exchange'"
ACTIVE = "SELECT standing FROM client WHERE superseded_at IS NULL"


async def test_revoked_client_is_revoked_though_a_standby_that_lags_comes_first() -> None:
    with archived_cluster() as cluster:
        url = make_database(cluster, "exchange")
        await migrate(url)
        primary = await open_store(url)
        base = await asyncio.to_thread(cluster.back_up)
        with standby(cluster, base) as follower:
            known = client()
            await enrol(primary, known, THUMBPRINT)
            await followed(primary, plain(follower))
            fetch(follower, "SELECT pg_wal_replay_pause()")
            async with primary.unit_of_work() as unit:
                await unit.put_client(replace(known, version=2, standing=Standing.REVOKED))
                await unit.record(draft(EventName.CLIENT_REVOKED))
            lagging = fetch(plain(follower), ACTIVE)
            both = await open_store(of_hosts(follower, cluster.url))
            caller = await both.caller(THUMBPRINT)
            written = await rows_of(both, ACTIVE)
            with pytest.raises(UnavailableError, match="a standby, which lags and is never asked"):
                await open_store(named(follower, "exchange"))
            await both.close()
            with silent_server() as silent:
                # As the machine of a primary that is lost: it says nothing at all.
                beside = await open_store(of_hosts(silent, cluster.url))
                passed_by = await beside.caller(THUMBPRINT)
                await recorded(beside)
                await beside.close()
            with pytest.raises(UnavailableError, match="where the primary is lost, promote the standby"):
                await open_store(of_hosts(silent, follower))
        await primary.close()

    assert [tuple(row) for row in lagging] == [("active",)]
    assert caller.client is not None
    assert caller.client.standing is Standing.REVOKED
    assert passed_by.client == caller.client
    assert written == [("revoked",)]


async def test_node_that_ran_through_the_promotion_of_a_standby_that_lagged_serves_nothing(tmp_path: Path) -> None:
    with archived_cluster() as cluster:
        url = make_database(cluster, "exchange")
        await migrate(url)
        primary = await open_store(url)
        known = client()
        await enrol(primary, known, THUMBPRINT)
        node = await open_store(at_socket(tmp_path, cluster.folder / "cluster", cluster.port))
        base = await asyncio.to_thread(cluster.back_up)
        until = str(fetch(cluster.url, "SELECT clock_timestamp()::text AS now")[0]["now"])
        async with primary.unit_of_work() as unit:
            await unit.put_client(replace(known, version=2, name="desk-2"))
            await unit.record(draft(EventName.CLIENT_CHANGED))
        remembered = await node.caller(THUMBPRINT)
        await recorded(node)
        await primary.close()
        cluster.archive_all()
        with recovered(cluster, base, until) as promoted:
            # Numbered as the version that was lost, and remembered as that.
            mended = await open_store(named(promoted, "exchange"))
            async with mended.unit_of_work() as unit:
                await unit.put_client(replace(known, version=2, standing=Standing.REVOKED))
                await unit.record(draft(EventName.CLIENT_REVOKED))
            await mended.close()
            at_socket(tmp_path, base, urlsplit(promoted).port)
            fetch(cluster.url, ENDED)
            for again in (node.caller(THUMBPRINT), node.append(draft()), recorded(node), node.ping()):
                with pytest.raises(UnavailableError, match="from another moment than this process knew"):
                    await again
            stopping = asyncio.Event()
            with pytest.raises(UnavailableError):
                async with ended_with_database(node, stopping):
                    await asyncio.wait_for(stopping.wait(), 30)
        await node.close()

    assert remembered.client is not None
    assert remembered.client.standing is Standing.ACTIVE


@contextmanager
def silent_server() -> Iterator[str]:
    """Listen, and say nothing; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://{USER}@127.0.0.1:{server.getsockname()[1]}/postgres"


async def recorded(store: Store) -> None:
    async with store.unit_of_work() as unit:
        await unit.record(draft())


async def followed(primary: Store, follower: str) -> None:
    """Wait until the standby has what the primary has."""
    wanted = await rows_of(primary, ACTIVE)
    deadline = time.monotonic() + 30
    while [tuple(row) for row in fetch(follower, ACTIVE)] != wanted:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def at_socket(folder: Path, cluster: Path, port: int | None) -> str:
    """Let the one address of a database lead to the server of this cluster; return it."""
    socket = folder / ".s.PGSQL.5432"
    socket.unlink(missing_ok=True)
    socket.symlink_to(cluster / f".s.PGSQL.{port}")
    return f"postgresql+asyncpg://{USER}@/exchange?host={folder}&port=5432"


def plain(server: str) -> str:
    return named(server, "exchange").replace("+asyncpg", "")


def of_hosts(*servers: str) -> str:
    hosts = "&".join(f"host={urlsplit(each).hostname}:{urlsplit(each).port}" for each in servers)
    return f"postgresql+asyncpg://{urlsplit(servers[0]).username}@/exchange?{hosts}"
