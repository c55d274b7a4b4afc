"""Tombstones in the database: the one that an entry bears out is shown as it was signed, and no other one."""

import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import Deed, DeedKind, EventName, Outcome, Subject, read_deed, unverified_deed
from exchange.kernel import ConflictError, UnavailableError, rfc3339, to_micros
from exchange.store.log.blobs import BlobsAwayError
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.life import tombstones
from exchange.usecases.life.sweep_reports import sweep_reports
from exchange.usecases.steps import told_entries
from exchange.usecases.steps.recording import draft
from tests.support.lived import MakeLived
from tests.support.meanwhile import posted_meanwhile
from tests.support.onward import with_releasers
from tests.support.placing import begin_another_log, place_entries
from tests.support.world import AGREEMENT, Entry, World
from tests.usecases.test_lost_entries import lose
from tests.usecases.test_report_life import NODE

LONG = "a source that is said to be at risk, in more words than an entry has room for: " + "e\u0301" * 600


async def write_one(world: World, report: str) -> None:
    """Write a tombstone of a report into the database, as it has to look, and signed by nobody that is known."""
    said = {"report": report, "cause": "recalled", "at": rfc3339(world.clock.now), "reason": "forged"}
    note = f"{Deed(DeedKind.TOMBSTONE, said).text}\n\u2014 node {base64.b64encode(bytes(68)).decode()}\n"
    columns = "(report_id, cause, raised_at, note, entry_id)"
    row = f"SELECT id, 'recalled', {to_micros(world.clock.now)}, $1, id FROM report WHERE id = $2"
    world.sql(f"INSERT INTO report_tombstone {columns} {row}", note.encode(), report)


@pytest.mark.parametrize("is_placed", [False, True])
async def test_report_that_no_entry_recalled_is_told_as_recalled_to_nobody(
    make_lived: MakeLived, *, is_placed: bool
) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    await write_one(world, report)
    if is_placed:
        await place_entries(world, is_searchable=True)
    made = await world.attempt(usecases.show_recall(world.services, world.call("GBR releaser"), report))

    assert isinstance(made.error, UnavailableError)
    assert made.entry["detail"]["place"] == f"report {report}: tombstone"


async def test_tombstone_that_was_written_before_a_recall_is_not_shown_for_its_own(make_lived: MakeLived) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    await write_one(world, report)
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    world.clock.advance(timedelta(minutes=5))
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")
    await place_entries(world, is_searchable=True)
    listed = await world.attempt(usecases.list_destructions(world.services, world.call("NOR reader")))
    shown = await world.attempt(usecases.show_recall(world.services, world.call("GBR releaser"), report))
    how = usecases.Certificate("shredded", 1)
    certified = await usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)

    stones = [listed.value.value[0].tombstone, shown.value.value.tombstone, certified.value.tombstone]
    assert [read_deed(stone.note, [NODE]).content["reason"] for stone in stones] == ["mistaken"] * 3
    for looked in (listed, shown):
        assert [each["detail"]["rows"] for each in looked.entries if each["type"] == "key.opened"] == [
            [f"tombstone of report {report}"]
        ]


@pytest.mark.parametrize("is_recalled", [False, True])
async def test_nobody_who_could_read_a_report_is_left_out_for_a_tombstone_that_was_written(
    make_lived: MakeLived, *, is_recalled: bool
) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    await write_one(world, report)
    at = world.clock.now + timedelta(minutes=3)
    world.clock.advance(timedelta(minutes=5))
    if is_recalled:
        await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")
        await place_entries(world, is_searchable=True)
    made = await world.attempt(usecases.readers_on(world.services, world.call("auditor"), report, at))

    if is_recalled:
        assert "NOR" in {each.member for each in made.value.value.could}
    else:
        assert isinstance(made.error, UnreadRowError)


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("how", ["mistaken", LONG, "by text", "retention"])
async def test_tombstone_is_shown_as_it_was_signed(make_lived: MakeLived, how: str, *, is_placed: bool) -> None:
    world = (await make_lived(with_releasers))[0]
    if how == "retention":
        await world.agree(AGREEMENT.replace("shared_reports: recalled", "shared_reports: kept"))
    report = await world.post()
    if how in {"by text", "retention"}:
        world.clock.advance(timedelta(days=1700 if how == "by text" else 5 * 366))
        await sweep_reports(world.services, world.clock.now)
    else:
        await usecases.recall_report(world.services, world.call("GBR releaser"), report, how)
    if is_placed:
        await place_entries(world, is_searchable=True)
    made = await world.attempt(usecases.show_recall(world.services, world.call("GBR releaser"), report))

    assert [made.value.value.tombstone.note] == [
        bytes(note) for (note,) in world.sql("SELECT note FROM report_tombstone")
    ]
    assert [each["type"] for each in made.entries] == ["report.recall_read"]


@pytest.mark.parametrize("is_away", [False, True])
async def test_tombstone_of_which_the_log_lacks_the_entry_is_shown_as_it_is(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, *, is_away: bool
) -> None:
    async def away(*_: object) -> list[Entry]:
        raise BlobsAwayError("the archive does not answer")

    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")
    await lose(world, "report.recalled")
    if is_away:
        monkeypatch.setattr(told_entries, "entries_at", away)
    made = await usecases.list_destructions(world.services, world.call("NOR reader"))

    assert read_deed(made.value[0].tombstone.note, [NODE]).content["reason"] == "mistaken"


async def test_no_tombstone_is_signed_by_an_entry_of_a_later_log_that_claims_to_be_of_before(
    make_lived: MakeLived,
) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    before = world.clock.now
    world.clock.advance(timedelta(minutes=5))
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")
    await place_entries(world, is_searchable=True)
    await begin_another_log(world)
    subject = Subject("report", report)
    told = draft(
        world.call(None, at=before),
        None,
        EventName.REPORT_RECALLED,
        Outcome.PERMITTED,
        subject=subject,
        detail={"reason": "forged"},
    )
    await world.services.store.append(told)
    await place_entries(world, is_searchable=True)
    world.unguard("report_tombstone")
    world.sql("DELETE FROM report_tombstone")
    async with world.another_node() as node:
        made = await usecases.show_recall(node, world.call("GBR releaser"), report)

    assert unverified_deed(made.value.tombstone.note).content["reason"] == "mistaken"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps the types of its columns
async def test_log_that_is_no_number_keeps_no_other_tombstone_from_its_readers(make_lived: MakeLived) -> None:
    world = (await make_lived(with_releasers))[0]
    reports = [await world.post() for _ in range(2)]
    for report in reports:
        await usecases.pull_report(world.services, world.call("NOR reader"), report)
        await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")
    await place_entries(world, is_searchable=True)
    world.unguard()
    world.sql("DELETE FROM report_tombstone")
    world.sql("UPDATE audit_search SET log = 'x' WHERE event = 'report.recalled' AND subject_id = $1", reports[0])
    made = await usecases.list_destructions(world.services, world.call("NOR reader"))

    assert [each.tombstone.report for each in made.value] == reports[1:]


async def test_what_is_said_of_an_end_may_be_spelt_as_some_systems_do(make_lived: MakeLived) -> None:
    world = (await make_lived(with_releasers))[0]
    report, spelt = await world.post(), "de\u0301truit"  # an accent of its own, as in the names of files there
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    call, how = world.call("GBR releaser"), usecases.Certificate(spelt, 1)
    recalled = (await usecases.recall_report(world.services, call, report, spelt)).value
    certified = await usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)
    shown = (await usecases.show_recall(world.services, call, report)).value

    assert read_deed(recalled.tombstone.note, [NODE]).content["reason"] == "d\u00e9truit"
    assert read_deed(certified.value.row.note or b"", [NODE]).content["method"] == "d\u00e9truit"
    assert [row.note for row in shown.asked] == [certified.value.row.note]


@pytest.mark.parametrize("is_kept", [False, True])
async def test_report_that_ended_for_its_age_is_told_as_recalled_by_no_later_entry(
    make_lived: MakeLived, *, is_kept: bool
) -> None:
    world = (await make_lived(with_releasers))[0]
    await world.agree(AGREEMENT.replace("shared_reports: recalled", "shared_reports: kept"))
    report = await world.post()
    world.clock.advance(timedelta(days=5 * 366))
    await sweep_reports(world.services, world.clock.now)
    await place_entries(world, is_searchable=True)
    world.clock.advance(timedelta(minutes=5))
    event, subject = EventName.REPORT_RECALLED, Subject("report", report)
    told = draft(world.call(None), None, event, Outcome.PERMITTED, subject=subject, detail={"reason": "forged"})
    await world.services.store.append(told)
    await place_entries(world, is_searchable=True)
    if not is_kept:
        world.unguard("report_tombstone")
        world.sql("DELETE FROM report_tombstone")
    made = await usecases.show_recall(world.services, world.call("GBR releaser"), report)

    assert unverified_deed(made.value.tombstone.note).content["cause"] == "retention"


@pytest.mark.parametrize("status", ["recalled", "expired", "none that there is"])
async def test_row_that_says_that_a_report_has_ended_keeps_no_keys_from_being_destroyed(
    make_lived: MakeLived, status: str
) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    world.sql("UPDATE report SET status = $1 WHERE id = $2", status, report)
    releaser = world.call("GBR releaser")
    outlook = await usecases.preview_recall(world.services, releaser, report)
    recalled = await usecases.recall_report(world.services, releaser, report, "mistaken")
    again = await world.attempt(usecases.recall_report(world.services, releaser, report, "mistaken"))

    assert (outlook.value.given, len(recalled.value.asked)) == ({"NOR": 1}, 1)
    assert world.sql("SELECT status, length(sealed_header) FROM report") == [("recalled", 0)]
    assert isinstance(again.error, ConflictError)
    assert (again.error.code, again.entry["decision"]) == ("recalled", "refused")


@pytest.mark.parametrize("is_placed", [False, True])
async def test_tombstone_of_a_report_without_its_version_is_shown_as_it_was_signed(
    make_lived: MakeLived, *, is_placed: bool
) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    world.sql("UPDATE report SET version = -1")
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")
    if is_placed:
        await place_entries(world, is_searchable=True)
    made = await world.attempt(usecases.show_recall(world.services, world.call("GBR releaser"), report))

    assert made.value.value.tombstone.note == bytes(world.sql("SELECT note FROM report_tombstone")[0][0])
    assert [each["type"] for each in made.entries] == ["report.recall_read"]


@pytest.mark.parametrize("act", [usecases.preview_recall, partial(usecases.recall_report, reason="at risk")])
@pytest.mark.parametrize("is_forged", [False, True])
async def test_nobody_waits_to_post_while_the_log_is_asked_whether_a_report_has_ended(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, act: Callable[..., Awaitable[Any]], *, is_forged: bool
) -> None:
    world = (await make_lived(with_releasers))[0]
    report, releaser = await world.post(), world.call("GBR releaser")
    if is_forged:
        world.sql("UPDATE report SET status = 'recalled' WHERE id = $1", report)
    else:
        await usecases.recall_report(world.services, releaser, report, "at risk")
    posted = posted_meanwhile(monkeypatch, tombstones, "is_told", world)
    made = await world.attempt(act(world.services, releaser, report))

    assert (made.error is None, isinstance(made.error, ConflictError)) == (is_forged, not is_forged)
    assert len(posted) == 1
