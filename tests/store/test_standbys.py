"""A standby lags, and is never asked: what was revoked on the primary may not be there yet."""

import asyncio
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from exchange.audit import EventName
from exchange.kernel import UnavailableError
from exchange.members import Standing
from exchange.store import Store, migrate
from tests.support.archived_cluster import archived_cluster, make_database, named, standby
from tests.support.postgres import fetch
from tests.support.store import client, draft, enrol, open_store, rows_of

pytestmark = pytest.mark.timeout(120)

THUMBPRINT = "a" * 64
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
        await primary.close()

    assert [tuple(row) for row in lagging] == [("active",)]
    assert caller.client is not None
    assert caller.client.standing is Standing.REVOKED
    assert written == [("revoked",)]


async def followed(primary: Store, follower: str) -> None:
    """Wait until the standby has what the primary has."""
    wanted = await rows_of(primary, ACTIVE)
    deadline = time.monotonic() + 30
    while [tuple(row) for row in fetch(follower, ACTIVE)] != wanted:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def plain(server: str) -> str:
    return named(server, "exchange").replace("+asyncpg", "")


def of_hosts(*servers: str) -> str:
    hosts = "&".join(f"host={urlsplit(each).hostname}:{urlsplit(each).port}" for each in servers)
    return f"postgresql+asyncpg://{urlsplit(servers[0]).username}@/exchange?{hosts}"
