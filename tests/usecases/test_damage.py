"""One damaged or altered report takes no other one from anybody, and tells nobody of what it may not see."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import Criteria
from exchange.custody import CustodyUnavailableError
from exchange.kernel import ForbiddenError, UnavailableError
from exchange.markings import Label
from exchange.release import class_as_json, class_digest, class_from_json
from exchange.store import Parts
from exchange.usecases import Ended, ListQuery, Services, Shown, Unopened
from exchange.usecases.reading.list_reports import ListedReports
from exchange.usecases.steps.recording import TamperedError
from exchange.usecases.steps.seeking import judge
from exchange.usecases.telling import stream_reports
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.rotating import add_version
from tests.support.world import World

HIDDEN = Label("NATO", "SECRET", releasable_to=("GBR",))
Reports = dict[str, str]


async def reported(world: World) -> Reports:
    """Post four reports that NOR reads, one of another topic, and one for GBR alone, and place all entries."""
    told = {name: await world.post(subject=f"canary {name}") for name in ("first", "second")}
    told["hidden"] = await world.post(label=HIDDEN, subject="canary hidden")
    told["other"] = await world.post(topic="cyber.crime", subject="canary other")
    told["last"] = await world.post(subject="canary last")
    await world.enrol("GBR auditor", "GBR", "auditor")
    await world.enrol("NOR auditor", "NOR", "auditor")
    await place_entries(world, is_searchable=True)
    return told


def destroy(world: World, report: str) -> None:
    world.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"\x00" * 64, report)


def move(world: World, report: str, *, to: str) -> None:
    world.sql("UPDATE report SET class_id = (SELECT class_id FROM report WHERE id = $1) WHERE id = $2", to, report)


def change_class(world: World, report: str, **columns: str) -> None:
    for column, value in columns.items():
        where = "id = (SELECT class_id FROM report WHERE id = $2)"
        world.sql(f"UPDATE release_class SET {column} = $1 WHERE {where}", value, report)


async def listed(node: Services, world: World, reader: str = "NOR reader", **query: Any) -> ListedReports:
    return (await usecases.list_reports(node, world.call(reader), ListQuery(**query))).value


def shown(page: ListedReports) -> list[str]:
    assert [json.loads(item)["id"] for item in page.items] == [row.id for row in page.rows]
    return [row.id for row in page.rows]


def unopened(page: ListedReports) -> list[str | None]:
    return [each.id for each in page.unopened]


async def test_damaged_header_takes_no_other_report_from_its_readers(make_lived: MakeLived) -> None:
    world, reports = await make_lived(reported)
    destroy(world, reports["second"])
    async with world.another_node() as node:
        made = await world.attempt(listed(node, world))
        again = await listed(node, world, cursor=made.value.next)

    assert shown(made.value) == [reports[name] for name in ("first", "other", "last")]
    assert unopened(made.value) == [reports["second"]]
    assert (shown(again), unopened(again)) == ([], [])
    (failed,) = [entry for entry in made.entries if entry["type"] == "key.opened"]
    assert (failed["decision"], failed["object"]["id"], failed["owner"]) == ("failed", reports["second"], "GBR")
    assert failed["detail"]["client"] == world.clients["NOR reader"].id
    (entry,) = [entry for entry in made.entries if entry["type"] == "report.listed"]
    assert reports["second"] not in entry["result_ids"]


async def test_nothing_is_listed_where_the_damage_cannot_be_recorded(make_lived: MakeLived) -> None:
    world, reports = await make_lived(reported)
    destroy(world, reports["second"])
    async with world.another_node() as node:
        append = node.store.append

        async def refuse_damage(draft: Any) -> Any:
            if draft.event.value == "key.opened":
                raise UnavailableError("the log cannot be written")
            return await append(draft)

        node.store.append = refuse_damage  # type: ignore[method-assign]
        made = await world.attempt(listed(node, world))

    assert isinstance(made.error, UnavailableError)


async def test_originators_auditor_learns_of_the_damage_and_the_readers_does_not(make_lived: MakeLived) -> None:
    world, reports = await make_lived(reported)
    destroy(world, reports["second"])
    move(world, reports["hidden"], to=reports["other"])
    listing = world.call("NOR reader")
    made = await world.attempt(usecases.list_reports(world.services, listing, ListQuery()))
    await place_entries(world, is_searchable=True)
    found: dict[str, set[Any]] = {}
    for member in ("GBR", "NOR"):
        criteria = Criteria(event="key.opened")
        page = await usecases.search_entries(
            world.services, world.call(f"{member} auditor"), usecases.EntryQuery(criteria)
        )
        found[member] = {entry.view.fields["object"]["id"] for entry in page.value.items}  # type: ignore[index]

    assert found == {"GBR": {reports["second"], reports["hidden"]}, "NOR": set()}
    for entry in (entry for entry in made.entries if entry["type"] == "key.opened"):
        assert (entry["agreement"], entry["scope"], entry["request_id"]) == (
            world.agreement_id,
            "cyber-threats",
            listing.request_id,
        )
        assert entry["label"]["classification"] == "SECRET"


@pytest.mark.parametrize("is_destroyed", [False, True])
async def test_report_moved_to_where_a_reader_lists_is_nothing_it_is_told_of(
    make_lived: MakeLived, *, is_destroyed: bool
) -> None:
    world, reports = await make_lived(reported)
    move(world, reports["hidden"], to=reports["other"])
    if is_destroyed:
        destroy(world, reports["hidden"])
    async with world.another_node() as node:
        made = await world.attempt(listed(node, world))
        pages = [await listed(node, world, limit=3)]
        pages.append(await listed(node, world, limit=3, cursor=pages[0].next))

    assert shown(made.value) == [reports[name] for name in ("first", "second", "other", "last")]
    assert unopened(made.value) == []
    # A page is not shorter either.
    assert [len(page.items) for page in pages] == [3, 1]
    assert "key.opened" in {entry["type"] for entry in made.entries}


async def test_reader_is_told_which_only_where_it_may_read_all_that_the_log_may_mean(make_lived: MakeLived) -> None:
    world, reports = await make_lived(reported)
    facts = json.loads(world.sql("SELECT facts FROM release_class ORDER BY id LIMIT 1")[0][0])
    # One class more that the log's words fit, of which the clause lets nobody read.
    above = class_from_json({**facts, "topic": "terrorism.finance"})
    world.sql("INSERT INTO release_class VALUES (99, $1, $2)", class_digest(above), json.dumps(class_as_json(above)))
    world.sql("UPDATE policy_state SET class_version = 99")
    destroy(world, reports["second"])
    async with world.another_node() as node:
        page = await listed(node, world)

    assert unopened(page) == [None]
    assert len(page.items) == 3


async def test_before_the_log_speaks_of_a_report_its_reader_is_told_that_there_is_one(populated: World) -> None:
    report, whole = await populated.post(), await populated.post()
    destroy(populated, report)
    page = await listed(populated.services, populated)

    assert (shown(page), unopened(page)) == ([whole], [None])


async def test_class_lowered_with_its_digest_shows_a_stranger_nothing(make_lived: MakeLived) -> None:
    world, reports = await make_lived(reported)
    ((stored,),) = world.sql(
        "SELECT facts FROM release_class WHERE id = (SELECT class_id FROM report WHERE id = $1)", reports["hidden"]
    )
    low = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR"))
    facts = replace(class_from_json(json.loads(stored)), label=low, part_labels=(low,))
    change_class(world, reports["hidden"], facts=json.dumps(class_as_json(facts)), digest=class_digest(facts))
    async with world.another_node() as node:
        strangers = await listed(node, world, "DNK reader")
        originators = await listed(node, world, "GBR reader")

    assert (shown(strangers), unopened(strangers)) == ([], [])
    assert len(originators.items) == 4
    assert unopened(originators) == [None]


async def test_class_of_which_nothing_is_left_is_told_to_whom_the_log_names(make_lived: MakeLived) -> None:
    world, reports = await make_lived(reported)
    change_class(world, reports["hidden"], facts="[]", digest="0" * 64)
    async with world.another_node() as node:
        made = await world.attempt(listed(node, world, "GBR reader"))
        again = await world.attempt(listed(node, world, "GBR reader", topic="cyber.crime"))
        others = await listed(node, world, limit=2)
        rest = await listed(node, world, limit=2, cursor=others.next)
        pulled = await world.attempt(usecases.pull_report(node, world.call("GBR reader"), reports["first"]))

    assert len(made.value.items) == 4
    assert unopened(made.value) == [None]
    # Whatever is asked for: nothing tells what it is about.
    assert (shown(again.value), unopened(again.value)) == ([reports["other"]], [None])
    assert [len(page.items) for page in (others, rest)] == [2, 2]
    assert unopened(others) == unopened(rest) == []
    assert pulled.error is None
    assert [entry["detail"]["place"] for entry in made.entries if entry["type"] == "key.opened"] == [
        "release class",
        f"report {reports['hidden']}",
    ]


async def test_class_that_was_mended_is_read_again_without_a_new_process(make_lived: MakeLived) -> None:
    world, reports = await make_lived(reported)
    ((facts, digest),) = world.sql(
        "SELECT facts, digest FROM release_class WHERE id = (SELECT class_id FROM report WHERE id = $1)",
        reports["hidden"],
    )
    change_class(world, reports["hidden"], facts="[]", digest="0" * 64)
    async with world.another_node() as node:
        await listed(node, world, "GBR reader")
        change_class(world, reports["hidden"], facts=facts, digest=digest)
        page = await listed(node, world, "GBR reader")

    assert reports["hidden"] in shown(page)
    assert unopened(page) == []


@pytest.mark.parametrize("is_rotated", [False, True])
async def test_key_that_this_node_lacks_alone_is_no_damage(make_lived: MakeLived, *, is_rotated: bool) -> None:
    world, reports = await make_lived(reported)
    if is_rotated:
        await add_version(world)
        world.sql("UPDATE report SET key_version = 2 WHERE id = $1", reports["first"])
    world.sql("UPDATE report SET key_version = 7 WHERE id = $1", reports["second"])
    async with world.another_node() as node:
        roots = node.custodian._roots  # type: ignore[attr-defined]
        node.custodian._roots = {1: roots[1]} if is_rotated else {2: replace(roots[1], version=2)}  # type: ignore[attr-defined]
        made = await world.attempt(listed(node, world))
        node.custodian._roots = roots  # type: ignore[attr-defined]
    world.sql("UPDATE report SET key_version = 1 WHERE id = $1", reports["first"])
    async with world.another_node() as node:
        page = await listed(node, world)

    # Another node has it: nothing is said of the report, but that it is not to be had here.
    assert isinstance(made.error, TamperedError)
    assert (made.entry["type"], made.entry["detail"]) == ("key.opened", {"place": f"report {reports['first']}"})
    assert made.entry["actor"]["id"] == world.clients["NOR reader"].id
    assert unopened(page) == [reports["second"]]


async def test_damage_that_a_job_meets_before_the_log_speaks_of_the_report_is_on_record(populated: World) -> None:
    report, call = await populated.post(), populated.call("NOR reader")
    destroy(populated, report)
    populated.unguard("audit_outbox")
    populated.unguard("audit_entry")
    for table, column in (("audit_outbox", "entry_id"), ("audit_entry", "id")):
        populated.sql(f"DELETE FROM {table} WHERE {column} <> ''")
    row = await populated.services.store.report_for(call.thumbprint or "", report, parts=Parts.NONE)
    assert row.report is not None
    asked = judge(populated.services, call, populated.clients["NOR reader"], row.report, row.state, is_asked=False)
    made = await populated.attempt(asked)

    assert isinstance(made.error, TamperedError)
    assert (made.entry["actor"]["kind"], made.entry["detail"]["place"]) == ("service", f"report {report}")
    assert "object" not in made.entry


async def test_originator_sees_who_tried_to_read_what_nothing_but_the_log_tells_to_be_its_own(
    make_lived: MakeLived,
) -> None:
    world, reports = await make_lived(reported)
    change_class(world, reports["hidden"], facts="[]", digest="0" * 64)
    async with world.another_node() as node:
        made = await world.attempt(usecases.pull_report(node, world.call("NOR contributor"), reports["hidden"]))

    assert isinstance(made.error, ForbiddenError)
    (refused,) = [entry for entry in made.entries if entry["type"] == "report.read"]
    assert (refused["member"], refused["owner"], refused["reasons"]) == ("NOR", "GBR", ["role-missing"])


async def test_reference_to_what_nobody_can_open_now_is_not_left_out(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Custody that is away for a moment must not show a report as one that names nothing."""
    world, reports = await make_lived(reported)
    naming = await world.post(references=(reports["first"],))
    custodian = world.services.custodian
    opens = custodian.open_headers

    async def away_for_the_second(sealed: Any) -> Any:
        if [row.id for row, _ in sealed] == [reports["first"]]:
            raise CustodyUnavailableError("the keys are away")
        return await opens(sealed)

    monkeypatch.setattr(custodian, "open_headers", away_for_the_second)
    made = await world.attempt(usecases.pull_report(world.services, world.call("NOR reader"), naming))

    assert isinstance(made.error, UnavailableError)
    assert "report.read" not in {entry["type"] for entry in made.entries}


async def test_reference_to_what_is_damaged_takes_nothing_from_what_names_it(make_lived: MakeLived) -> None:
    world, reports = await make_lived(reported)
    naming = await world.post(references=(reports["other"], reports["first"]))
    change_class(world, reports["other"], facts="[]", digest="0" * 64)
    async with world.another_node() as node:
        page = await listed(node, world)
        pulled = await usecases.pull_report(node, world.call("NOR reader"), naming)

    (item,) = [json.loads(item) for item in page.items if json.loads(item)["id"] == naming]
    assert item["references"] == json.loads(pulled.value.header_json)["references"] == [reports["first"]]


async def test_stream_tells_of_what_is_damaged_and_goes_on(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reports = await make_lived(reported)
    monkeypatch.setattr(stream_reports, "_PAGE", 2)
    destroy(world, reports["second"])
    before = (await listed(world.services, world, limit=1)).next
    opened = await usecases.open_stream(world.services, world.call("NOR reader"), before)
    notices = [notice async for notice in opened.value.notices()]
    await opened.value.close()

    told = [notice for notice in notices if isinstance(notice, Unopened)]
    assert [notice.report for notice in told] == [reports["second"]]
    assert [json.loads(notice.header_json)["id"] for notice in notices if isinstance(notice, Shown)] == [
        reports["other"],
        reports["last"],
    ]
    assert notices.index(told[0]) < next(number for number, each in enumerate(notices) if isinstance(each, Shown))
    assert isinstance(notices[-1], Ended)
    # Behind it nothing comes twice.
    after = await listed(world.services, world, cursor=told[0].cursor)
    assert shown(after) == [reports["other"], reports["last"]]


async def test_many_damaged_reports_leave_entries_in_bounds(populated: World) -> None:
    for _ in range(20):
        await populated.post()
    populated.sql("UPDATE report SET sealed_header = $1", b"\x00" * 64)
    populated.clock.advance(timedelta(seconds=1))
    made = await populated.attempt(listed(populated.services, populated))

    assert made.value.items == []
    assert len(made.value.unopened) == 20
    failed = [entry for entry in made.entries if entry["type"] == "key.opened"]
    assert len(failed) == 17
    assert max(len(entry["detail"].get("reports", [])) for entry in failed) == 4


ODD = {
    "postgresql": ["version = -1", "version = 0", "status = 'x'", "key_id = 'file/'"],
    # Of whatever type a column is.
    "sqlite": [
        *("version = -1", "version = 'x'", "version = x'ff'", "version = 1.5", "version = 9223372036854775807"),
        *("status = 'x'", "status = x'ff'", "key_id = x'ff'", "key_id = CAST(x'ff' AS TEXT)", "key_version = x'ff'"),
        "key_id = 'file/'",
        *("sealed_header = ''", "sealed_header = 'x'", "sealed_header = 7", "sealed_header = 1.5"),
    ],
}


async def test_row_that_holds_what_no_report_has_takes_no_other_and_leaves_entries_that_can_be_read(
    make_lived: MakeLived, backend: str
) -> None:
    world, reports = await make_lived(reported)
    await world.enrol("GBR releaser", "GBR", "releaser")
    second, others = reports["second"], [reports[name] for name in ("first", "other", "last")]
    kept = world.sql("SELECT version, status, key_id, key_version, sealed_header FROM report WHERE id = $1", second)[0]
    for change in ODD[backend]:
        world.sql(f"UPDATE report SET {change} WHERE id = $1", second)
        assert shown(await listed(world.services, world)) == others, change
        pulled = await world.attempt(usecases.pull_report(world.services, world.call("NOR reader"), second))
        assert isinstance(pulled.error, UnavailableError), (change, pulled)
        # Read as every entry is: what nobody could read would stand in the log for ever.
        looked = await world.attempt(usecases.preview_recall(world.services, world.call("GBR releaser"), second))
        assert (looked.error, len(looked.entries)) == (None, 1), change
        columns = ("version", "status", "key_id", "key_version", "sealed_header")
        put = ", ".join(f"{name} = ${at}" for at, name in enumerate(columns, 1))
        world.sql(f"UPDATE report SET {put} WHERE id = $6", *kept, second)
    world.sql(f"UPDATE report SET {ODD[backend][0]} WHERE id = $1", second)

    recalled = (await usecases.recall_report(world.services, world.call("GBR releaser"), second, "altered")).value
    assert recalled.tombstone.report == second
