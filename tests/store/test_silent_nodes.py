"""A node that falls silent, as one does whose machine has gone, holds up the others for seconds and not for hours."""

from collections.abc import Mapping

import asyncpg
import pytest

from exchange.store import migrate
from exchange.store.writer.postgres import connector
from tests.support.postgres import over_tcp
from tests.support.store import draft, new_report, open_store, rows_of

SETTINGS = ("idle_in_transaction_session_timeout", "tcp_keepalives_idle", "tcp_keepalives_interval")


@pytest.fixture
async def url(empty_postgres_url: str) -> str:
    await migrate(empty_postgres_url)
    return empty_postgres_url


async def test_node_that_falls_silent_amid_a_post_loses_what_it_had_locked(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.store.writer.postgres._IMPATIENCE", {SETTINGS[0]: "300ms"})
    silent, store = await connector(url)(), await open_store(url)
    try:
        await silent.execute("BEGIN")
        await silent.fetch("SELECT report_seq FROM policy_state FOR UPDATE")

        await store.post_report(new_report(), draft(), policy_version=1, idempotency=None)

        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
            await silent.execute("COMMIT")
    finally:
        silent.terminate()
        await store.close()


async def test_every_session_ends_by_itself_where_nobody_goes_on_with_it(url: str) -> None:
    url = over_tcp(url)  # a socket of the same machine is not kept alive
    lane, store = await connector(url)(), await open_store(url)
    try:
        of_lane = {name: await lane.fetchval(f"SHOW {name}") for name in SETTINGS}
        of_changes = {name: (await rows_of(store, f"SHOW {name}"))[0][0] for name in SETTINGS}
    finally:
        await lane.close()
        await store.close()

    assert of_lane == settings("10s")
    assert of_changes == settings("1min")


def settings(patience: str) -> Mapping[str, str]:
    return dict(zip(SETTINGS, (patience, "3", "2"), strict=True))
