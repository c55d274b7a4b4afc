"""What a restore asks of a database beside its rows."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.reports import PostedPart
from exchange.store import dumping
from exchange.store.dumping import load, open_claims
from exchange.usecases import pull_report
from exchange.usecases.backups import rows_of
from tests.support.world import World
from tests.usecases.test_backups import NOTHING, backed_up, reopened, rows


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


async def test_rows_that_refer_to_what_was_deleted_keep_nothing_from_being_restored(
    populated: World, unused_urls: list[str]
) -> None:
    """Whoever owns a file of SQLite is not asked: one report deleted there, and no backup could be restored."""
    gone, other = await populated.post(), await populated.post()
    checkpoint = "INSERT INTO log_checkpoint (log, size, root, signed_at, note) VALUES (1, $2, $1, 1, $1)"
    cosigned = "INSERT INTO log_cosignature (log, size, witness, line, received_at) VALUES (1, $1, 'one', 'line', 1)"
    for size in (5, 7):
        populated.sql(checkpoint, b"", size)
        populated.sql(cosigned, size)
    deleted = {"report": gone, "log_checkpoint": 7}
    records = [
        (name, columns, [row for row in some if name not in deleted or deleted[name] not in row])
        for name, columns, some in rows_of(await backed_up(populated))
    ]

    for url in unused_urls:
        await load(url, iter(records), NOTHING, clock=populated.clock)
        world = await reopened(populated, url)
        assert (await pull_report(world.services, world.call("NOR reader"), other)).value
        await world.services.store.close()
        found = await rows(url)
        assert [len(found[name]) for name in ("report_part", "log_cosignature")] == [1, 1]
        claims = {claim.subject: claim.told for claim in await open_claims(url)}
        assert set(claims) == {"report_part", "log_cosignature"}
        assert claims["report_part"].startswith("1 rows of `report_part` had no key when the backup was made, or refer")


async def test_rows_whose_keys_were_made_alike_keep_nothing_from_being_restored(
    populated: World, unused_urls: list[str]
) -> None:
    """What is no number stands there as one and the same: two such parts of a report could not both be put there."""
    parts = tuple(PostedPart(None, "text/plain", name, name.encode()) for name in ("one", "two"))
    await populated.post(parts=parts)
    records = list(rows_of(await backed_up(populated)))
    for name, columns, some in records:
        for row in some if name == "report_part" else ():
            row[columns.index("number")] = "no number"

    for url in unused_urls:
        await load(url, iter(records), NOTHING, clock=populated.clock)
        found = await rows(url)
        assert [len(found[name]) for name in ("report", "report_part")] == [1, 0]
        assert [claim.id for claim in await open_claims(url)] == ["left-out-report_part"]
