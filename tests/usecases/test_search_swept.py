"""What the sweep puts back into the search: told before it is done, and where it cannot be done, told once."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import pytest

from exchange.audit import EntryDraft, parse_entry
from exchange.kernel import UnavailableError
from exchange.store.log.sequencing import LogTree
from exchange.usecases.log.sweep_log import Index, Sweep
from tests.attacks.test_log_tampering import own
from tests.support.log import Log
from tests.support.store import rows_of


async def searchable(log: Log) -> LogTree:
    """Return the tree of a log of which every entry is found."""
    await log.append(6)
    await log.drain()
    tree = (await log.desk()).tree
    while await Index(tree).chunk():
        continue
    return tree


async def begun_while_away(log: Log, tree: LogTree, begin: Callable[[Sweep], Awaitable[object]]) -> Sweep:
    """Return a sweep that was begun while the log was away; from now on it is there."""
    is_away = True

    async def record(entry: EntryDraft) -> object:
        if is_away:
            raise UnavailableError("the log is away")
        return await log.store.append(entry)

    sweep = Sweep(tree, record, log.clock, bytes)
    with pytest.raises(UnavailableError):
        await begin(sweep)
    is_away = False
    return sweep


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
    tree = await searchable(log)
    await own(log, "DELETE FROM audit_search WHERE position = 1")
    sweep = await begun_while_away(log, tree, partial(swept, log))
    meanwhile = await rows_of(log.store, "SELECT id FROM audit_search WHERE position = 1")
    for _ in range(2):
        await swept(log, sweep)

    assert (meanwhile, await told(log)) == ([], [1])
    assert len(await rows_of(log.store, "SELECT id FROM audit_search WHERE position = 1")) == 1
