"""Point-in-time recovery of PostgreSQL: what was committed by then is there, and the log owns to what is not."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from exchange.store import migrate
from exchange.usecases.log.sequence_log import Step
from tests.support.archived_cluster import archived_cluster, make_database, named, recovered
from tests.support.log import check_log, opened_log
from tests.support.postgres import fetch
from tests.support.store import open_store

pytestmark = pytest.mark.timeout(120)


async def test_database_recovered_to_a_time_holds_the_log_of_then_and_signs_nothing_more(tmp_path: Path) -> None:
    with archived_cluster() as cluster:
        url = make_database(cluster, "exchange")
        await migrate(url)
        async with opened_log(url, tmp_path / "log") as log:
            await log.append(5)
            await log.drain()
            base = await asyncio.to_thread(cluster.back_up)
            kept = await log.append(5)
            await log.drain()
            until = str(fetch(cluster.url, "SELECT clock_timestamp()::text AS now")[0]["now"])
            lost = await log.append(5)
            await log.drain()
            cluster.archive_all()
            with recovered(cluster, base, until) as again:
                store = await open_store(named(again, "exchange"))
                back = replace(log, url=named(again, "exchange"), store=store, trees=[])
                try:
                    await check_log(back)
                    state, signed = await store.log.state(), log.file.read()
                    places = {entry: await store.log.leaf(entry) for entry in (*kept, *lost)}
                    await back.append(1)
                    step = await back.drain()
                    frozen = await store.log.state()
                finally:
                    await back.close()

    assert state is not None
    assert signed is not None
    assert frozen is not None
    assert (state.size, signed.confirmed.head.size) == (11, 16)  # the first entry is the store's own
    assert {entry for entry, place in places.items() if place is not None} == set(kept)
    assert step is Step.FROZEN
    assert frozen.frozen_why is not None
    assert "signed 16" in frozen.frozen_why
