"""That a report is superseded is told to whoever was given it, and never more than its header says; on both databases.

ADR 0055.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError
from exchange.markings import Label
from exchange.store import NoticeRow
from exchange.store.books.report_book import ReportBook
from exchange.usecases.life.sweep_reports import sweep_reports
from exchange.usecases.posting import superseding
from tests.support.lived import MakeLived
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.uploading import awaited, begun, completed, sent
from tests.support.world import NOW, World

EVERYBODY = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
NARROWER = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
HOUR = timedelta(hours=1)

Take = Callable[..., Awaitable[str]]


async def post(world: World, **others: Any) -> str:
    return await world.post(**others)


async def upload(world: World, **others: Any) -> str:
    made = await begun(world, awaited(b"later"), **others)
    await sent(world, made, b"later")
    return await completed(world, made)


@pytest.fixture(params=[post, upload], ids=["post", "upload"])
def take(request: pytest.FixtureRequest) -> Take:
    made: Take = request.param
    return made


@pytest.fixture
async def told(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def away(*_: object, **__: object) -> bool:
    raise UnavailableError("the archive is away")


async def given(world: World, *names: str, **others: Any) -> str:
    """Return a report that these readers were given."""
    report = await world.post(label=EVERYBODY, **others)
    for name in names:
        await usecases.pull_report(world.services, world.call(name), report)
    return report


async def notices(world: World, name: str, **others: Any) -> list[tuple[str, str, str | None]]:
    page = (await usecases.list_notices(world.services, replace(world.call(name), **others))).value
    return [(item.row.kind.value, item.row.report, item.superseded_by) for item in page.items]


async def amend(world: World, report: str, label: Label) -> None:
    newer = world.posted(label=label, content=b"newer")
    await usecases.amend_report(world.services, world.call("GBR contributor"), report, newer, if_version=None)


async def recall(world: World, report: str) -> None:
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "at risk")


async def test_whoever_was_given_it_is_told_and_by_what_who_may_read_that(told: World, take: Take) -> None:
    report = await given(told, "NOR reader", "DNK reader")
    after = await take(told, supersedes=report, label=NARROWER)

    assert await notices(told, "NOR reader") == [("superseded", report, after)]
    # Its header says the same to this one: superseded, and nothing of what took its place.
    assert await notices(told, "DNK reader") == [("superseded", report, None)]
    for name in ("GBR reader", "ESP reader"):
        assert await notices(told, name) == []


async def test_it_is_on_record_under_the_label_of_what_it_is_about_and_names_nothing_else(
    told: World, take: Take
) -> None:
    report = await given(told, "NOR reader")
    after = await take(told, supersedes=report, label=replace(NARROWER, classification="SECRET"))
    entries = {entry["type"]: entry for entry in await told.entries()}
    about, posted = entries["report.superseded"], entries["report.posted"]
    ((entry, version),) = told.sql("SELECT entry_id, version FROM report_notice")

    assert (about["object"], about["label"]["classification"]) == (
        {"type": "report", "id": report, "version": 1},
        "RESTRICTED",
    )
    assert after not in str(about)
    assert (posted["object"]["id"], posted["detail"]["supersedes"]) == (after, report)
    # What the reader is shown names no entry about the other report.
    assert (entry, version) == (about["id"], 1)


@pytest.mark.parametrize("lost", ["narrowed", "expired", "recalled"])
async def test_who_may_not_read_it_any_more_is_not_told_that_it_was_superseded(told: World, lost: str) -> None:
    report = await given(told, "DNK reader", valid_until=NOW + HOUR if lost == "expired" else None)
    if lost == "narrowed":
        await amend(told, report, label=NARROWER)
    await told.post(supersedes=report, label=NARROWER)
    if lost == "expired":
        told.clock.advance(2 * HOUR)
    if lost == "recalled":
        await recall(told, report)
    shown = await notices(told, "DNK reader")

    assert ("superseded", report, None) not in shown
    assert [kind for kind, *_ in shown] == {"narrowed": ["upgraded"], "expired": [], "recalled": ["recalled"]}[lost]


async def test_page_does_not_tell_by_its_length_of_what_may_not_be_known(
    told: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, kept = [await given(told, "DNK reader") for _ in range(2)]
    await amend(told, lost, label=NARROWER)
    await told.post(supersedes=lost, label=NARROWER)
    await recall(told, kept)
    cursor, pages = None, []
    for _ in range(3):
        page = (await usecases.list_notices(told.services, told.call("DNK reader"), cursor, limit=1)).value
        cursor = page.next
        pages.append([item.row.kind.value for item in page.items])

    assert pages == [["upgraded"], ["recalled"], []]
    # Nor has one page all of very many looked at: `next` goes on.
    for name in ("_AT_LEAST", "_AT_MOST"):
        monkeypatch.setattr(import_module("exchange.usecases.reading.list_notices"), name, 1)
    page = (await usecases.list_notices(told.services, told.call("DNK reader"), limit=2)).value
    assert [item.row.kind.value for item in page.items] == ["upgraded"]
    page = (await usecases.list_notices(told.services, told.call("DNK reader"), page.next)).value
    assert [item.row.kind.value for item in page.items] == ["recalled"]


async def test_report_that_was_altered_takes_no_other_notice_away(told: World) -> None:
    first, altered = [await given(told, "NOR reader") for _ in range(2)]
    taken = [await told.post(supersedes=report, label=EVERYBODY) for report in (first, altered)]
    told.sql("UPDATE report SET status = 'odd' WHERE id = $1", altered)

    assert await notices(told, "NOR reader") == [("superseded", first, taken[0])]
    assert [entry["detail"] for entry in await told.entries() if entry["type"] == "key.opened"] == [
        {"place": f"report {altered}"}
    ]


async def test_report_that_has_the_place_in_its_row_alone_is_named_to_nobody(told: World) -> None:
    report = await given(told, "NOR reader")
    after = await told.post(supersedes=report)
    other = await told.post("NOR contributor")
    told.sql("UPDATE report SET supersedes = NULL WHERE id = $1", after)
    told.sql("UPDATE report SET supersedes = $1 WHERE id = $2", report, other)

    assert await notices(told, "NOR reader") == [("superseded", report, None)]


@pytest.mark.parametrize("how", ["before", "while it is looked at", "while the log is away"])
async def test_row_that_says_beforehand_that_it_is_superseded_keeps_it_from_nobody(
    told: World, take: Take, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    report, readers_of, is_away = await given(told, "NOR reader"), superseding.given_to, how.endswith("away")

    async def turned(services: Any, of: str) -> Any:
        told.sql("UPDATE report SET status = 'superseded' WHERE id = $1", report)
        return await readers_of(services, of)

    if how == "while it is looked at":
        monkeypatch.setattr(superseding, "given_to", turned)
    else:
        told.sql("UPDATE report SET status = 'superseded' WHERE id = $1", report)
    if is_away:
        monkeypatch.setattr(superseding, "is_told", away)
    after = await take(told, supersedes=report)

    # While nobody reads the log it is taken to have told so already: nobody waits for an archive to post.
    assert await notices(told, "NOR reader") == ([] if is_away else [("superseded", report, after)])
    assert [entry["type"] for entry in await told.entries()].count("report.superseded") == (not is_away)


async def test_place_that_is_taken_anew_is_told_to_nobody(told: World, take: Take) -> None:
    # Its header said `superseded` all the while: a second notice would tell that there is something new.
    report = await given(told, "NOR reader", "DNK reader")
    await recall(told, await take(told, supersedes=report, label=NARROWER))
    assert await notices(told, "DNK reader") == [("superseded", report, None)]
    after = await take(told, supersedes=report, label=NARROWER)

    assert await notices(told, "DNK reader") == [("superseded", report, None)]
    assert await notices(told, "NOR reader") == [("superseded", report, after)]
    assert [entry["type"] for entry in await told.entries()].count("report.superseded") == 1


async def test_post_that_is_sent_again_or_refused_tells_nobody(told: World) -> None:
    report = await given(told, "NOR reader")
    body = told.posted(supersedes=report, label=NARROWER)
    for _ in range(2):
        await usecases.post_report(told.services, told.call("GBR contributor"), body, idempotency_key="again")
    await told.attempt(told.post(supersedes=report, label=NARROWER))

    assert told.sql("SELECT count(*) FROM report_notice") == [(1,)]


async def test_purpose_that_was_stated_then_is_not_asked_for_again(told: World) -> None:
    # Read for the second of its purposes: the notice is shown whichever one it lists under.
    await told.enrol("NOR analyst", "NOR", "reader", purposes=("law-enforcement", "defence"))
    report = await told.post(label=EVERYBODY)
    under = replace(told.call("NOR analyst"), purpose="defence")
    await usecases.pull_report(told.services, under, report)
    after = await told.post(supersedes=report, label=EVERYBODY)

    for purpose in (None, "defence", "law-enforcement"):
        assert await notices(told, "NOR analyst", purpose=purpose) == [("superseded", report, after)]


async def test_purpose_that_the_vocabulary_has_no_more_is_passed_over(told: World) -> None:
    await told.enrol("NOR analyst", "NOR", "reader", purposes=("defence", "law-enforcement"))
    report = await given(told, "NOR analyst")
    after = await told.post(supersedes=report, label=EVERYBODY)
    law = told.services.law
    narrower = replace(law, vocabulary=replace(law.vocabulary, purposes=frozenset({"law-enforcement"})))
    world = replace(told, services=replace(told.services, law=narrower))

    assert await notices(world, "NOR analyst") == [("superseded", report, after)]


async def test_amendment_before_it_is_told_late_beside_it(told: World) -> None:
    report = await given(told)
    late = await usecases.pull_report(told.services, told.call("NOR reader"), report)
    told.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late.receipt.entry)
    await amend(told, report, label=EVERYBODY)
    await told.post(supersedes=report, label=EVERYBODY)
    told.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", late.receipt.entry)
    await place_entries(told, is_searchable=True)
    for _ in range(2):
        await sweep_reports(told.services, told.clock.now)

    assert told.sql("SELECT kind, version FROM report_notice ORDER BY kind") == [("amended", 2), ("superseded", 2)]


async def test_amendment_whose_entry_is_damaged_is_told_late_to_nobody_and_hides_no_other(
    told: World, caplog: pytest.LogCaptureFixture
) -> None:
    reports, late = [await given(told) for _ in range(2)], []
    for report in reports:
        read = await usecases.pull_report(told.services, told.call("NOR reader"), report)
        late.append(read.receipt.entry)
        told.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late[-1])
        await amend(told, report, label=EVERYBODY)
    for entry in late:
        told.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", entry)
    await place_entries(told, is_searchable=True)
    (damaged, *_) = [each["id"] for each in await told.entries() if each["type"] == "report.amended"]
    told.unguard()
    told.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"{}", damaged)
    await sweep_reports(told.services, told.clock.now)

    # The entry is damaged, and the report is not: of that one nothing is told to the operator.
    assert "damaged or gone" in caplog.text
    assert reports[0] not in caplog.text
    assert told.sql("SELECT kind, report_id FROM report_notice") == [("amended", reports[1])]


async def test_read_that_was_under_way_while_the_place_was_taken_is_told_by_the_sweep_once(
    told: World, take: Take
) -> None:
    report = await given(told)
    late = await usecases.pull_report(told.services, told.call("NOR reader"), report)
    told.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late.receipt.entry)
    await take(told, supersedes=report, label=EVERYBODY)
    assert told.sql("SELECT client_id FROM report_notice") == []
    # As if it had come just now; and another one that was shown a superseded report.
    told.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", late.receipt.entry)
    await place_entries(told, is_searchable=True)
    told.clock.advance(timedelta(minutes=6))
    await usecases.pull_report(told.services, told.call("DNK reader"), report)
    await place_entries(told, is_searchable=True)
    for _ in range(2):
        await sweep_reports(told.services, told.clock.now)
    ((about,),) = told.sql("SELECT entry_id FROM report_notice")

    assert told.sql("SELECT client_id, kind, version FROM report_notice") == [
        (told.clients["NOR reader"].id, "superseded", 1)
    ]
    assert about in {entry["id"] for entry in await told.entries() if entry["type"] == "report.superseded"}


async def test_no_notice_takes_a_number_before_one_that_was_seen_by_then(
    told: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who goes on behind the last one that was seen would never be told of it."""
    report, recalled, *others = [await given(told, "NOR reader") for _ in range(5)]
    late = await usecases.pull_report(told.services, told.call("DNK reader"), report)
    told.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late.receipt.entry)
    await amend(told, report, label=EVERYBODY)
    await told.post(supersedes=report, label=EVERYBODY)
    told.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", late.receipt.entry)
    await place_entries(told, is_searchable=True)
    tells, beside, came_first = ReportBook.tell, list[asyncio.Task[str]](), list[bool]()

    async def tell(book: ReportBook, rows: Sequence[NoticeRow]) -> None:
        await tells(book, rows)
        if rows:
            # Not durable yet: what is told beside it has a later number, and waits.
            beside.append(asyncio.create_task(told.post(supersedes=others[len(beside)], label=EVERYBODY)))
            await asyncio.wait(beside[-1:], timeout=0.3)
            came_first.append(beside[-1].done())

    monkeypatch.setattr(ReportBook, "tell", tell)
    await recall(told, recalled)
    await sweep_reports(told.services, told.clock.now)
    await asyncio.gather(*beside)

    assert came_first == [False, False, False]


@pytest.mark.parametrize("damage", ["its entry", "its row"])
async def test_what_was_damaged_tells_nobody_late_and_keeps_no_other_from_being_told(
    told: World, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    reports, late = [await given(told) for _ in range(2)], []
    for report in reports:
        late.append((await usecases.pull_report(told.services, told.call("NOR reader"), report)).receipt.entry)
        told.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late[-1])
        await told.post(supersedes=report, label=EVERYBODY)
        told.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", late[-1])
    await place_entries(told, is_searchable=True)
    told.unguard()
    about = [entry["id"] for entry in await told.entries() if entry["type"] == "report.superseded"]
    if damage == "its entry":
        told.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"x", about[0])
    else:
        for table, column in (("report_part", "report_id"), ("report", "id")):
            told.unguard(table)
            told.sql(f"DELETE FROM {table} WHERE {column} = $1", reports[0])
    await sweep_reports(told.services, told.clock.now)

    assert told.sql("SELECT report_id, entry_id FROM report_notice") == [(reports[1], about[1])]
    # Nobody wrote anything there that could not be read.
    assert "cannot be read" not in caplog.text


async def test_nobody_is_told_late_of_what_was_recalled_since(told: World) -> None:
    report = await given(told)
    late = await usecases.pull_report(told.services, told.call("NOR reader"), report)
    told.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late.receipt.entry)
    await told.post(supersedes=report, label=EVERYBODY)
    told.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", late.receipt.entry)
    await recall(told, report)
    await place_entries(told, is_searchable=True)
    await sweep_reports(told.services, told.clock.now)

    assert [kind for kind, *_ in await notices(told, "NOR reader")] == ["recalled"]
