"""Reports that somebody took out of lists, in their rows: found by a slow walk over the log's posts, and told."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest

from exchange import usecases
from exchange.audit.rows_told import RowTold
from exchange.kernel import canonical_bytes, to_micros
from exchange.store import ClassRow, ReportRow
from exchange.store.books.report_book import ReportBook
from exchange.usecases.life import report_moves, walk_reports
from exchange.usecases.life.telling_rows import TellingRows
from exchange.usecases.life.walk_reports import ReportWalk, told_reports
from exchange.usecases.posting import post_report
from exchange.usecases.posting.post_report import posted_draft
from exchange.usecases.steps import told_entries
from exchange.usecases.steps.altered_classes import tell_altered_class
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.sealed_headers import sealed_for
from exchange.usecases.upkeep.hold_rows import RowWatch, contradicted_rows
from tests.support.in_turn import InTurn
from tests.support.lived import MakeLived
from tests.support.onward import LOW, ask, grant, with_releasers
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.world import World
from tests.usecases.test_report_life import amend, downgrade, recall
from tests.usecases.test_rows_held import Report, held

POSTS = 6

GONE = "DELETE FROM release_class"


async def with_reports(world: World) -> list[str]:
    """Post some, of which the second one takes the place of the first, and the others live on in every way."""
    await with_releasers(world)
    reports = [await world.post()]
    reports.append(await world.post(supersedes=reports[0]))
    reports += [await world.post(valid_until=world.clock.now + timedelta(days=300)) for _ in range(POSTS - 2)]
    await recall(world, reports[2])
    await amend(world, reports[3])
    await downgrade(world, reports[4])
    await place_entries(world, is_searchable=True)
    return reports


@pytest.fixture
async def walked(make_lived: MakeLived) -> tuple[World, list[str]]:
    return await make_lived(with_reports)


async def told(world: World) -> list[dict[str, Any]]:
    """Let the jobs walk once; return the entries that this makes."""
    made = await world.attempt(ReportWalk(world.services).round())
    assert made.error is None
    return [entry for entry in made.entries if entry["type"] == "row.contradicted"]


async def test_nothing_is_wrong_with_reports_that_lived(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    assert await told(world) == []
    # What is done while it waits for its place is in no search yet.
    await recall(world, reports[5])
    await world.post(supersedes=reports[4])
    world.clock.advance(timedelta(hours=2))
    assert await told(world) == []


async def test_first_walk_of_all_is_begun_by_two_nodes_at_once(walked: tuple[World, list[str]]) -> None:
    world, _ = walked
    async with world.another_node() as other:
        await asyncio.gather(*(ReportWalk(each).round() for each in (world.services, other)))

    assert world.sql("SELECT is_whole FROM report_walk") == [(1,)]


ALTERED = {
    "gone": (0, None, "its row is gone"),
    "recalled": (5, "status = 'recalled'", "no entry ended it"),
    "expired": (5, "status = 'expired'", "no entry ended it"),
    "superseded": (5, "status = 'superseded'", "took its place"),
    "none": (5, "status = 'x'", "stands as no report does"),
    "not superseded": (0, "status = 'current'", "took its place"),
    "ended before": (5, "valid_until = valid_until - 86400000000", "`valid_until`"),
    "endless": (5, "valid_until = NULL", "`valid_until`"),
    "no moment": (5, "valid_until = 9223372036854775807", "`valid_until`"),
    "moved": (5, "class_id = (SELECT max(class_id) FROM report)", "`"),
    "classless": (5, "class_id = -1", "its row is of version -1"),
    "another version": (5, "version = 9", "does not open"),
    "posted before": (5, "posted_at = 0", "`posted_at`"),
    "routine": (5, "precedence = 'x'", "`precedence`"),
    "emptied": (5, "sealed_header = ''", "nothing is sealed"),
    "ended and emptied": (5, "sealed_header = '', valid_until = 1", "nothing is sealed"),
    "before all": (5, "seq = 0", "no list looks"),
    "behind all": (5, "seq = 1000000", "no list looks"),
    "where followers have been": (5, "seq = 4, recorded_at = recorded_at + 1", "earlier"),
    "of no moment": (5, "seq = 4, recorded_at = 0", "before it was posted"),
    "posted elsewhere": (4, "posted_class = class_id", "`posted_class`"),
    "posted nowhere": (3, "posted_class = 4711", "posted in is none"),
}


async def test_report_that_was_taken_out_of_lists_is_told_once_a_day_and_by_the_doctor(
    walked: tuple[World, list[str]], in_turn: InTurn, subtests: pytest.Subtests
) -> None:
    world, reports = walked
    for table in ("report", "report_part"):
        world.unguard(table)
    put_back = kept_rows(world, {"report": ("id",), "report_part": ("report_id", "number")})
    for name, (which, change, why) in in_turn(ALTERED.items()):
        with subtests.test(name):
            if change is None:
                for table, column in (("report_part", "report_id"), ("report", "id")):
                    world.sql(f"DELETE FROM {table} WHERE {column} = $1", reports[which])
            else:
                world.sql(f"UPDATE report SET {change} WHERE id = $1", reports[which])
            await require_told_once_a_day(world, reports[which], why)
        put_back()
        world.clock.advance(timedelta(days=2))
        assert await told(world) == [], name
        world.clock.advance(timedelta(hours=2))


async def require_told_once_a_day(world: World, report: str, why: str) -> None:
    (entry,) = await told(world)
    assert (entry["object"]["id"], entry["owner"], entry["detail"]["done"]) == (report, "GBR", "nothing")
    assert why in entry["detail"]["why"]
    await place_entries(world, is_searchable=True)
    assert [each.told.name.id async for page in told_reports(world.services) for each in page] == [report]
    world.clock.advance(timedelta(hours=2))
    assert await told(world) == []
    world.clock.advance(timedelta(days=1))
    assert len(await told(world)) == 1


async def test_report_that_was_put_behind_all_accuses_none_of_those_that_came_later(
    walked: tuple[World, list[str]],
) -> None:
    world, reports = walked
    world.clock.advance(timedelta(minutes=1))
    await world.post()
    await place_entries(world, is_searchable=True)
    world.sql("UPDATE report SET seq = 9223372036854775807 WHERE id = $1", reports[1])

    assert [(each["object"]["id"], each["detail"]["why"]) for each in await told(world)] == [
        (reports[1], "no list looks at its place")
    ]


PRECEDENCE = "UPDATE report SET precedence = $1 WHERE id = $2"


async def test_report_that_was_mended_while_it_was_looked_at_is_not_told(
    walked: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reports = walked
    world.sql(PRECEDENCE, "x", reports[5])
    is_told = TellingRows.is_told

    async def mended(telling: TellingRows, told: RowTold, now: datetime) -> bool:
        world.sql(PRECEDENCE, "ROUTINE", reports[5])
        return await is_told(telling, told, now)

    monkeypatch.setattr(TellingRows, "is_told", mended)
    assert await told(world) == []


async def test_report_that_cannot_be_told_keeps_no_other_from_being_told(
    walked: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reports = walked
    for report in (reports[0], reports[5]):
        world.sql(PRECEDENCE, "x", report)
    is_told = TellingRows.is_told

    async def failing(telling: TellingRows, told: RowTold, now: datetime) -> bool:
        if told.name.id == reports[0]:
            raise ValueError
        return await is_told(telling, told, now)

    monkeypatch.setattr(TellingRows, "is_told", failing)
    assert [entry["object"]["id"] for entry in await told(world)] == [reports[5]]


async def test_entry_that_was_altered_says_not_that_it_is_told(walked: tuple[World, list[str]]) -> None:
    """Whoever could write to the database had a report passed over for a day by an entry that it made to name it."""
    world, reports = walked
    world.sql("UPDATE report SET posted_at = 0 WHERE id = $1", reports[5])
    (before,) = await told(world)
    await place_entries(world, is_searchable=True)
    (post,) = [each["id"] for each in await world.entries() if is_post_of(each, reports[3])]
    world.unguard()
    world.unguard("audit_search")
    other = canonical_bytes({**before, "detail": {**before["detail"], "entry": post}})
    world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", other, before["id"])
    world.sql("UPDATE audit_search SET subject_id = $1 WHERE id = $2", reports[3], before["id"])
    world.sql("UPDATE report SET posted_at = 0 WHERE id = $1", reports[3])
    world.clock.advance(timedelta(hours=2))

    assert reports[3] in {entry["object"]["id"] for entry in await told(world)}


def is_post_of(entry: dict[str, Any], report: str) -> bool:
    return entry["type"] == "report.posted" and entry["object"]["id"] == report


async def test_walk_goes_on_where_it_stands_and_begins_anew(
    walked: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reports = walked
    monkeypatch.setattr(walk_reports, "AT_ONCE", 2)
    world.sql("UPDATE report SET posted_at = 0 WHERE id = $1", reports[3])

    # Each round is another process's; the last one finds no more.
    assert [len(await told(world)) for _ in range(6)] == [0, 1, 0, 0, 0, 0]
    assert world.sql("SELECT is_whole FROM report_walk") == [(1,)]
    world.sql("UPDATE report SET posted_at = 0 WHERE id = $1", reports[0])
    assert await told(world) == []
    world.clock.advance(timedelta(hours=2))
    assert len(await told(world)) == 1


async def test_place_that_nobody_could_have_come_to_is_none(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    await told(world)
    far = to_micros(world.clock.now + timedelta(days=400))
    world.sql("UPDATE report_walk SET began_at = $1, at_micros = $1", far)
    world.sql("UPDATE report SET posted_at = 0 WHERE id = $1", reports[0])

    assert len(await told(world)) == 1


async def test_report_that_the_jobs_withheld_stands_as_they_say(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    before = Report(world, reports[5])
    await amend(world, reports[5])
    before.put_back()
    (entry,) = await held(world)
    assert entry["detail"]["done"] == "withheld from everybody"

    assert await told(world) == []


async def test_list_lacks_what_the_walk_tells(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    world.sql("UPDATE report SET status = 'recalled' WHERE id = $1", reports[5])

    page = (await usecases.list_reports(world.services, world.call("NOR reader"), usecases.ListQuery())).value
    assert all(reports[5].encode() not in item for item in page.items)
    assert [entry["object"]["id"] for entry in await told(world)] == [reports[5]]


@pytest.mark.parametrize(
    "change",
    [
        *("class_id = (SELECT class_id FROM report WHERE id = $1)", "class_id = 4711"),
        *("until_at = until_at - 7200000000", "precedence = 'FLASH'"),
    ],
)
async def test_past_of_a_report_that_is_not_what_the_log_says_is_told(
    walked: tuple[World, list[str]], change: str
) -> None:
    world, reports = walked
    world.unguard("report_past")
    world.sql(f"UPDATE report_past SET {change} WHERE report_id = $1", reports[4])

    (entry,) = await told(world)
    assert (entry["object"]["id"], entry["detail"]["why"][:27]) == (reports[4], "what it was until it moved ")


@pytest.mark.parametrize("change", ["until_at = 'x'", "valid_until = 'x'"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps the types of its columns
async def test_past_of_a_report_that_is_no_time_is_told_and_stops_no_walk(
    walked: tuple[World, list[str]], change: str
) -> None:
    world, reports = walked
    world.unguard("report_past")
    world.sql(f"UPDATE report_past SET {change} WHERE report_id = $1", reports[4])
    world.sql("UPDATE report SET posted_at = 0 WHERE id = $1", reports[5])

    assert {entry["object"]["id"] for entry in await told(world)} == {reports[4], reports[5]}


@pytest.mark.parametrize("moves", [1, 2])
@pytest.mark.parametrize("which", ["seq = (SELECT max(seq) FROM report_past)", "report_id = $1"])
async def test_move_whose_row_of_the_past_is_gone_is_told(
    walked: tuple[World, list[str]], which: str, moves: int
) -> None:
    world, reports = walked
    world.clock.advance(timedelta(hours=2))
    for _ in range(moves):
        await amend(world, reports[3])
    world.clock.advance(timedelta(hours=2))
    assert await told(world) == []

    world.unguard("report_past")
    world.sql(f"DELETE FROM report_past WHERE {which} OR 'x' = $1", reports[3])
    world.clock.advance(timedelta(hours=2))
    assert [entry["detail"]["why"] for entry in await told(world)] == ["what it was until it moved is gone"]


async def test_all_that_a_report_was_is_missed_where_only_consents_came(walked: tuple[World, list[str]]) -> None:
    world, _ = walked
    report = await world.post(label=LOW)
    await grant(world, await ask(world, report))
    await place_entries(world, is_searchable=True)
    world.unguard("report_past")
    world.sql("DELETE FROM report_past WHERE report_id = $1", report)
    world.sql("UPDATE report SET posted_class = NULL WHERE id = $1", report)

    world.clock.advance(timedelta(hours=2))
    assert [entry["detail"]["why"] for entry in await told(world)] == ["what it was until it moved is gone"]


@contextmanager
def version_before() -> Iterator[None]:
    """Move reports as the version before did, which kept nothing of what they were, and said so of none."""

    async def nothing(_book: ReportBook, *_moved: object) -> None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReportBook, "_keep_past", nothing)
        patch.setattr(report_moves, "PAST_KEPT", {})
        yield


async def test_report_that_nodes_of_two_versions_moved_is_accused_of_nothing(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    for report in reports[3], reports[5]:
        world.clock.advance(timedelta(hours=2))
        with version_before():
            await amend(world, report)
        world.clock.advance(timedelta(hours=2))
        await amend(world, report)
    await place_entries(world, is_searchable=True)

    world.clock.advance(timedelta(hours=2))
    assert await told(world) == []


async def test_report_that_moved_before_its_past_was_kept_is_accused_of_nothing(
    walked: tuple[World, list[str]],
) -> None:
    world, _ = walked
    report = await world.post()
    with version_before():
        await downgrade(world, report)
    world.sql("UPDATE report SET posted_class = NULL WHERE id = $1", report)
    world.clock.advance(timedelta(hours=2))
    await amend(world, report)
    kept = world.sql("SELECT posted_class = class_id FROM report WHERE id = $1", report)
    assert not kept[0][0], "it names the class between the two moves"
    await place_entries(world, is_searchable=True)

    assert await told(world) == []
    other = await world.post(label=LOW, topic="cyber.vulnerability")
    class_of = "SELECT class_id FROM report WHERE id = $2"
    world.sql(f"UPDATE report SET posted_class = ({class_of}) WHERE id = $1", report, other)
    world.clock.advance(timedelta(days=2))
    assert [entry["object"]["id"] for entry in await told(world)] == [report]


@pytest.mark.parametrize("change", ["UPDATE release_class SET facts = '{}', digest = '0'", GONE])
async def test_class_that_nothing_tells_of_any_more_accuses_no_report_that_was_in_it(
    walked: tuple[World, list[str]], change: str
) -> None:
    world, _ = walked
    report = await world.post(kind="indicator-set")
    await downgrade(world, report)
    await place_entries(world, is_searchable=True)
    world.unguard("release_class")
    world.sql(f"{change} WHERE id = (SELECT posted_class FROM report WHERE id = $1)", report)
    async with world.another_node() as node:
        made = await world.attempt(ReportWalk(node).round())

    assert [(entry["type"], entry["detail"]["place"]) for entry in made.entries] == [("key.opened", "release class")]


async def test_class_that_was_altered_is_told_itself_and_not_what_stands_in_it(
    walked: tuple[World, list[str]], in_turn: InTurn, subtests: pytest.Subtests
) -> None:
    world, reports = walked
    world.unguard("release_class")
    put_back = kept_rows(world, {"release_class": ("id",)})
    alterations = ("facts = '{}'", "digest = '0'", "facts = '{}', digest = '0'", GONE)
    orders = ((ReportWalk, RowWatch), (RowWatch, ReportWalk))
    ways = [*itertools.product(alterations, (False, True))]
    tried = [(*way, jobs) for number, jobs in enumerate(orders) for way in in_turn(ways, number)]
    for alter, is_known, jobs in tried:
        with subtests.test(alter, is_known=is_known, first=jobs[0].__name__):
            await require_class_told_itself(world, reports, alter, jobs, is_known=is_known)
        put_back()
        world.clock.advance(timedelta(days=2))


async def require_class_told_itself(
    world: World, reports: list[str], alter: str, jobs: tuple[Any, ...], *, is_known: bool
) -> None:
    world.clock.advance(timedelta(hours=2))
    async with world.another_node() as node:
        if is_known:
            await ReportWalk(node).round()
            world.clock.advance(timedelta(hours=2))
        change = alter if alter == GONE else f"UPDATE release_class SET {alter}"
        world.sql(f"{change} WHERE id = (SELECT class_id FROM report WHERE id = $1)", reports[5])
        made = [await world.attempt(job(node).round()) for job in jobs]

    # An amended report of that class is withheld from nobody, either.
    entries = [entry for each in made for entry in each.entries]
    assert [(entry["type"], entry["detail"]["place"]) for entry in entries] == [("key.opened", "release class")]
    # Where anything tells what it was, its originator's auditor finds the entry.
    is_told = is_known or alter not in {"facts = '{}', digest = '0'", GONE}
    assert [entry.get("owner") for entry in entries] == ["GBR" if is_told else None]
    assert world.sql("SELECT count(*) FROM report WHERE status = 'expired'") == [(0,)]


async def test_report_that_cannot_be_read_in_a_class_that_was_altered_stops_no_round(
    walked: tuple[World, list[str]],
) -> None:
    world, reports = walked
    world.sql(
        "UPDATE release_class SET facts = '{}' WHERE id = (SELECT class_id FROM report WHERE id = $1)", reports[5]
    )
    world.sql(f"UPDATE report SET valid_until = {2**63 - 1}, posted_at = {2**63 - 1}")
    async with world.another_node() as node:
        made = await world.attempt(RowWatch(node).round())

    assert (made.error, [entry["type"] for entry in made.entries]) == (None, ["key.opened"])


async def test_who_only_looks_finds_the_class_and_puts_nothing_on_record(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    world.sql(
        "UPDATE release_class SET facts = '{}' WHERE id = (SELECT class_id FROM report WHERE id = $1)", reports[5]
    )
    before = await world.entries()
    found = [each for page in [page async for page in contradicted_rows(world.services)] for each in page]

    assert found
    assert all("`facts of the release class`" in each.why for each in found)
    assert await world.entries() == before


@pytest.mark.parametrize("alter", [None, "digest = '0'", GONE])
@pytest.mark.parametrize("is_put_back", [True, False])
async def test_consent_that_was_taken_back_is_not_given_again_by_what_its_report_was(
    make_lived: MakeLived, alter: str | None, *, is_put_back: bool
) -> None:
    world, _ = await make_lived(with_releasers)
    report = await world.post(label=LOW)
    request = await ask(world, report)
    await grant(world, request)
    with_consent = Report(world, report)
    await usecases.revoke_onward(world.services, world.call("GBR releaser"), request)
    if is_put_back:
        with_consent.put_back()
    await place_entries(world, is_searchable=True)
    world.unguard("release_class")
    if alter is not None:
        change = alter if alter == GONE else f"UPDATE release_class SET {alter}"
        world.sql(f"{change} WHERE id = (SELECT class_id FROM report WHERE id = $1)", report)
    async with world.another_node() as node:
        made = await world.attempt(RowWatch(node).round())

    places = [entry["detail"]["place"] for entry in made.entries if entry["type"] == "key.opened"]
    assert places == ([] if alter is None else ["release class"])
    # Where seals tell that it goes to nobody else, it is withheld from nobody.
    told = [entry for entry in made.entries if entry["type"] == "row.contradicted"]
    accused = [(entry["object"]["id"], entry["detail"]["done"]) for entry in told]
    is_shown_right = not is_put_back and alter != GONE
    assert accused == ([] if is_shown_right else [(report, "withheld from everybody")])
    listed = await usecases.list_reports(world.services, world.call("ESP reader"), usecases.ListQuery())
    assert listed.value.items == []


async def test_class_that_is_whole_is_not_told(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    ((class_id,),) = world.sql("SELECT class_id FROM report WHERE id = $1", reports[5])
    made = await world.attempt(tell_altered_class(world.services, class_id))

    assert (made.error, made.entries) == (None, [])


async def test_report_moved_into_a_class_that_says_nothing_is_told(
    walked: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reports = walked
    tried: list[ClassRow] = []

    async def sealed(services: Services, report: ReportRow, classes: list[ClassRow]) -> ClassRow | None:
        tried.extend(classes)
        return await sealed_for(services, report, classes)

    monkeypatch.setattr(walk_reports, "sealed_for", sealed)
    await world.post(label=LOW)
    await place_entries(world, is_searchable=True)
    world.sql("INSERT INTO release_class (id, digest, facts) VALUES (99, '0', '{}')")
    world.sql("UPDATE policy_state SET class_version = 99")
    world.sql("UPDATE report SET class_id = 99 WHERE id = $1", reports[5])

    assert [(each["object"]["id"], each["detail"]["why"]) for each in await told(world)] == [
        (reports[5], "it stands in another class than its own")
    ]
    # Those alone that it may be of: thousands may stand in such a class, and each would be tried with all others.
    assert {each.facts.label.classification for each in tried} == {"SECRET"}


async def test_walk_accuses_nobody_while_more_waits_than_is_read(
    walked: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reports = walked
    world.unguard("report_past")
    world.sql("UPDATE report_past SET until_at = until_at - 7200000000 WHERE report_id = $1", reports[4])
    # What ended it may be among what waits.
    world.sql("UPDATE report SET status = 'recalled' WHERE id = $1", reports[5])
    with monkeypatch.context() as patched:
        patched.setattr(told_entries, "_WAITING_AT_MOST", 0)
        await world.post()
        assert await told(world) == []

    world.clock.advance(timedelta(hours=2))
    assert {entry["object"]["id"] for entry in await told(world)} == set(reports[4:])


async def test_class_of_the_post_is_held_while_consents_alone_came_to_it(walked: tuple[World, list[str]]) -> None:
    world, _ = walked
    report, other = [await world.post(label=LOW, topic=topic) for topic in ("cyber.apt", "cyber.vulnerability")]
    await grant(world, await ask(world, report))
    await place_entries(world, is_searchable=True)
    assert await told(world) == []

    for named in (other, report):
        world.clock.advance(timedelta(days=2))
        class_of = "SELECT class_id FROM report WHERE id = $2"
        world.sql(f"UPDATE report SET posted_class = ({class_of}) WHERE id = $1", report, named)
        assert [entry["object"]["id"] for entry in await told(world)] == [report]


async def test_doctor_names_each_report_once_and_goes_on_behind_what_it_cannot_read(
    walked: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reports = walked
    world.sql("UPDATE report SET posted_at = 0 WHERE id = $1 OR id = $2", reports[3], reports[5])
    for _ in range(2):
        assert len(await told(world)) == 2
        await place_entries(world, is_searchable=True)
        world.clock.advance(timedelta(hours=25))
    (post,) = [each["id"] for each in await world.entries() if is_post_of(each, reports[3])]
    world.unguard()
    world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"x", post)
    world.clock.advance(-timedelta(hours=24))
    monkeypatch.setattr(walk_reports, "AT_ONCE", 1)

    assert [each.told.name.id async for page in told_reports(world.services) for each in page] == [reports[5]]


async def test_report_whose_key_this_node_lacks_is_accused_of_nothing(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    world.sql("UPDATE report SET key_version = 99 WHERE id = $1", reports[5])

    assert await told(world) == []


async def test_place_is_taken_by_what_says_so_in_the_log_and_by_no_row(walked: tuple[World, list[str]]) -> None:
    world, reports = walked
    # Of the first one's nothing tells but the post of what took it.
    world.unguard()
    (about,) = [each["id"] for each in await world.entries() if each["type"] == "report.superseded"]
    world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"x", about)
    world.sql("UPDATE report SET status = 'superseded' WHERE id = $1", reports[5])
    world.sql("UPDATE report SET supersedes = $1 WHERE id = $2", reports[5], reports[4])
    why = {entry["object"]["id"]: entry["detail"]["why"] for entry in await told(world)}
    assert why == {
        reports[4]: "`supersedes` is not the sealed one",
        reports[5]: "its row says that another report took its place, and no entry does",
    }


async def test_place_taken_before_entries_told_of_it_is_known_by_what_is_sealed(
    walked: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reports = walked
    monkeypatch.setattr(post_report, "superseding_of", AsyncMock(return_value=None))
    monkeypatch.setattr(post_report, "posted_draft", lambda *of: replace(posted_draft(*of), detail={}))
    later = await world.post(supersedes=reports[5])
    await place_entries(world, is_searchable=True)
    for change, accused in (("id = id", False), ("key_version = 99", True), ("version = 2, key_version = 1", True)):
        world.sql(f"UPDATE report SET {change} WHERE id = $1", later)
        world.clock.advance(timedelta(days=1))
        assert (reports[5] in {entry["object"]["id"] for entry in await told(world)}) is accused
