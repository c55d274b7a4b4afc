"""Notices: what a reader is told of reports that it was given, and nobody else; on both databases."""

from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import MalformedError
from exchange.markings import Label
from exchange.reports import Downgrade
from tests.support.lived import MakeLived
from tests.support.lowering import lower
from tests.support.onward import with_releasers
from tests.support.world import World

LOWER = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
RAISED = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))


@pytest.fixture
async def told(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def notices(world: World, name: str, after: str | None = None, **others: Any) -> usecases.ListedNotices:
    return (await usecases.list_notices(world.services, world.call(name), after, **others)).value


async def read(world: World, report: str, name: str = "NOR reader") -> None:
    await usecases.pull_report(world.services, world.call(name), report)


async def test_reader_is_told_in_order_what_became_of_a_report_that_it_had(told: World) -> None:
    report = await told.post(label=LOWER)
    await read(told, report)
    amended = told.posted(content=b"second", label=RAISED)
    await usecases.amend_report(told.services, told.call("GBR contributor"), report, amended, if_version=None)
    await lower(told, report, Downgrade(LOWER, None))
    recalled = await usecases.recall_report(told.services, told.call("GBR releaser"), report, "at risk")
    page = await notices(told, "NOR reader")

    assert [(item.row.kind.value, item.row.report) for item in page.items] == [
        ("upgraded", report),
        ("downgraded", report),
        ("recalled", report),
    ]
    assert [item.row.version for item in page.items][:2] == [2, 3]
    assert recalled.value.tombstone.entry != page.items[2].row.entry  # that of the asking, which names its clients
    behind = await notices(told, "NOR reader", page.next)
    assert behind.items == ()
    assert (await notices(told, "NOR reader", behind.next)).items == ()


async def test_who_was_not_given_the_report_is_told_nothing(told: World) -> None:
    report = await told.post(label=LOWER)
    await read(told, report)
    await usecases.recall_report(told.services, told.call("GBR releaser"), report, "at risk")

    assert len((await notices(told, "NOR reader")).items) == 1
    for name in ("DNK reader", "ESP reader", "GBR reader"):
        assert (await notices(told, name)).items == ()


async def test_pages_join_without_a_gap_and_a_cursor_serves_its_reader_alone(told: World) -> None:
    reports = [await told.post(label=LOWER) for _ in range(3)]
    for report in reports:
        await read(told, report)
        await usecases.recall_report(told.services, told.call("GBR releaser"), report, "at risk")
    found, after = [], None
    for _ in range(3):
        page = await notices(told, "NOR reader", after, limit=1)
        found += [item.row.report for item in page.items]
        after = page.next

    assert found == reports
    with pytest.raises(MalformedError):
        await notices(told, "DNK reader", after)
    # Not of one order in another either: a list's cursor is none here.
    own_list = (await usecases.list_reports(told.services, told.call("NOR reader"), usecases.ListQuery())).value.next
    with pytest.raises(MalformedError):
        await notices(told, "NOR reader", own_list)
    with pytest.raises(MalformedError):
        await usecases.list_reports(told.services, told.call("NOR reader"), usecases.ListQuery(cursor=after))


async def test_kind_that_a_newer_version_tells_is_not_shown_and_keeps_no_other_away(told: World) -> None:
    first, second = [await told.post(label=LOWER) for _ in range(2)]
    for report in (first, second):
        await read(told, report)
        await usecases.recall_report(told.services, told.call("GBR releaser"), report, "at risk")
    told.sql("UPDATE report_notice SET kind = 'pondered' WHERE report_id = $1", first)

    assert [item.row.report for item in (await notices(told, "NOR reader", limit=1)).items] == [second]


async def test_look_is_an_entry_with_what_was_shown(told: World) -> None:
    report = await told.post(label=LOWER)
    await read(told, report)
    await usecases.recall_report(told.services, told.call("GBR releaser"), report, "at risk")
    recorded = await usecases.list_notices(told.services, told.call("NOR reader"))
    entry = next(each for each in await told.entries() if each["id"] == recorded.receipt.entry)

    assert (entry["type"], entry["decision"], entry["result_ids"]) == ("notice.listed", "permitted", [report])
