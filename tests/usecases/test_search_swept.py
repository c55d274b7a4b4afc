"""What the sweep puts back into the search: told before it is done, and where it cannot be done, told once."""

from datetime import timedelta

import pytest

from exchange.audit import EntryDraft, parse_entry
from exchange.kernel import UnavailableError
from exchange.usecases.sweep_log import Sweep
from tests.support.log import Log
from tests.support.store import rows_of
from tests.usecases.test_sequence_log import own, searchable


async def swept(log: Log, sweep: Sweep) -> None:
    while await sweep.chunk():
        continue
    log.clock.now += timedelta(minutes=11)


async def told(log: Log) -> list[object]:
    return [parse_entry(each)["detail"]["count"] for each in await log.store.entries(99) if b"entry.swept" in each]


@pytest.mark.parametrize("place", ["position = 1000000", "position = -5", "log = 77"])
async def test_entry_whose_row_of_the_search_lies_elsewhere_is_told_of_once(log: Log, place: str) -> None:
    tree = await searchable(log)
    await own(log, f"UPDATE audit_search SET {place} WHERE position = 1")
    sweep = Sweep(tree, log.store.append, log.clock, bytes)
    for _ in range(3):
        await swept(log, sweep)

    assert await told(log) == [1]


async def test_entry_taken_out_of_the_search_again_is_told_of_again(log: Log) -> None:
    tree = await searchable(log)
    sweep = Sweep(tree, log.store.append, log.clock, bytes)
    for _ in range(2):
        await own(log, "DELETE FROM audit_search WHERE position = 1")
        await swept(log, sweep)

    assert await told(log) == [1, 1]


async def test_entry_taken_out_of_the_search_is_put_back_once_that_is_on_record(log: Log) -> None:
    tree, is_away = await searchable(log), True
    await own(log, "DELETE FROM audit_search WHERE position = 1")

    async def record(entry: EntryDraft) -> object:
        if is_away:
            raise UnavailableError("the log is away")
        return await log.store.append(entry)

    sweep = Sweep(tree, record, log.clock, bytes)
    with pytest.raises(UnavailableError):
        await swept(log, sweep)
    meanwhile = await rows_of(log.store, "SELECT id FROM audit_search WHERE position = 1")
    is_away = False
    for _ in range(2):
        await swept(log, sweep)

    assert (meanwhile, await told(log)) == ([], [1])
    assert len(await rows_of(log.store, "SELECT id FROM audit_search WHERE position = 1")) == 1
