"""What a restore asks of a database beside its rows."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.store import dumping
from exchange.store.dumping import load
from exchange.usecases.backups import rows_of
from tests.support.world import World
from tests.usecases.test_backups import NOTHING, backed_up


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_restore_that_reads_large_parts_for_long_is_not_ended_by_the_database(
    populated: World, unused_urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie behind the rows: after a minute of nothing else the transaction was ended, each time anew."""
    lines, begin, shown = await backed_up(populated), dumping._begin_lineage, list[str]()

    async def begun(connection: AsyncConnection, *others: Any) -> None:
        shown.append(str(await connection.scalar(text("SHOW idle_in_transaction_session_timeout"))))
        await begin(connection, *others)

    monkeypatch.setattr(dumping, "_begin_lineage", begun)
    await load(unused_urls[-1], rows_of(lines), NOTHING, clock=populated.clock)

    assert shown == ["0"]
