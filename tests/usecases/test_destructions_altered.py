"""Destructions that somebody altered in the database: nobody is accused by a row alone, nor let off."""

from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import EntryDraft, EventName, Outcome, Subject, read_deed
from exchange.kernel import ConflictError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.reports import PostedPart
from exchange.store import Store
from exchange.usecases.life import destructions, told_destructions
from exchange.usecases.life.sweep_reports import sweep_reports
from exchange.usecases.steps.recording import draft
from tests.support.lived import MakeLived
from tests.support.meanwhile import done_behind
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.world import World
from tests.usecases.test_report_life import NODE

CERTIFIED = (
    "UPDATE report_destruction SET returned_at = asked_at, returned_by = client_id, note = $1, entry_id = read_entry"
)
OPEN = "UPDATE report_destruction SET returned_at = NULL, returned_by = NULL, note = NULL, entry_id = NULL"
ALTERED = [
    "UPDATE report_destruction SET due_at = asked_at + 1",
    "UPDATE report_destruction SET asked_at = asked_at - 86400000000, due_at = due_at - 86400000000",
    "UPDATE report_destruction SET client_id = (SELECT id FROM client WHERE member = 'DNK' LIMIT 1), member = 'DNK'",
    CERTIFIED,
]
"""While nothing is certified."""


async def shown(world: World, report: str) -> tuple[list[str], int]:
    """Return of which members the originator is told that destruction is asked, and how many rows it lacks."""
    made = await usecases.show_recall(world.services, world.call("GBR releaser"), report)
    return sorted(row.given.member for row in made.value.asked), made.unopened


async def recalled(make_lived: MakeLived) -> tuple[World, str]:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    for name in ("NOR reader", "GBR reader"):
        await usecases.pull_report(world.services, world.call(name), report)
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")
    return world, report


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("is_certified", [False, True])
async def test_nobody_is_accused_or_let_off_by_an_altered_row(
    make_lived: MakeLived, subtests: pytest.Subtests, *, is_certified: bool, is_placed: bool
) -> None:
    world, report = await recalled(make_lived)
    if is_certified:
        how = usecases.Certificate("shredded", 1)
        await usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)
    if is_placed:
        await place_entries(world, is_searchable=True)
    put_back = kept_rows(world, {"report_destruction": ("report_id", "client_id")})
    for alter in [OPEN] if is_certified else ALTERED:
        assert await shown(world, report) == (["GBR", "NOR"], 0), alter
        world.sql(f"{alter} WHERE member = 'NOR'", *((b"forged",) if alter == CERTIFIED else ()))
        made = await world.attempt(usecases.show_recall(world.services, world.call("GBR releaser"), report))
        put_back()

        with subtests.test(alter):
            assert ([row.given.member for row in made.value.value.asked], made.value.unopened) == (["GBR"], 1)
            assert [entry["decision"] for entry in made.entries if entry["type"] == "key.opened"] == ["failed"]


@pytest.mark.parametrize("is_returned", [False, True])
async def test_row_that_was_written_before_a_recall_lets_nobody_off(
    make_lived: MakeLived, *, is_returned: bool
) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    entry = (await usecases.pull_report(world.services, world.call("NOR reader"), report)).receipt.entry
    columns = "report_id, client_id, member, agency, read_at, read_entry, asked_at, due_at"
    world.sql(
        f"INSERT INTO report_destruction ({columns}) SELECT $1, id, member, 'NOR/X', 1, $2, 1, 1 FROM client"
        " WHERE name = 'NOR reader'",
        *(report, entry),
    )
    if is_returned:
        world.sql(CERTIFIED, b"forged")
    made = await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")

    assert [(row.given.member, row.asked_at, row.note) for row in made.value.asked] == [("NOR", world.clock.now, None)]
    assert await asked_of(world, "NOR reader") == ([report], 0)
    assert await shown(world, report) == (["NOR"], 0)
    assert world.sql("SELECT count(*) FROM report_notice WHERE kind = 'recalled'") == [(1,)]
    await sweep_reports(world.services, world.clock.now)
    assert [entry["type"] for entry in await world.entries()].count("destruction.asked") == 1


async def test_who_was_asked_in_the_place_of_a_row_that_was_written_is_asked_once(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    entry = (await usecases.pull_report(world.services, world.call("NOR reader"), report)).receipt.entry
    columns = "report_id, client_id, member, agency, read_at, read_entry, asked_at, due_at"
    who = "SELECT $1, id, member, 'NOR/X', 1, $2, 1, 1 FROM client WHERE name = 'NOR reader'"
    world.sql(f"INSERT INTO report_destruction ({columns}) {who}", report, entry)

    async def asked_and_certified() -> None:
        await sweep_reports(world.services, world.clock.now)
        how = usecases.Certificate("shredded", 1)
        await usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)

    done_behind(monkeypatch, destructions, "never_asked", asked_and_certified)
    made = await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")

    assert [row.returned_at for row in made.value.asked] == [world.clock.now]
    assert await shown(world, report) == (["NOR"], 0)
    assert [entry["type"] for entry in await world.entries()].count("destruction.asked") == 1
    assert world.sql("SELECT count(*) FROM report_notice WHERE kind = 'recalled'") == [(1,)]


RETURNED = [
    "UPDATE report_destruction SET returned_at = returned_at - 86400000000",
    "UPDATE report_destruction SET note = $1",
    "UPDATE report_destruction SET returned_by = (SELECT id FROM client WHERE member = 'DNK' LIMIT 1)",
]
"""What is said of a certificate."""


@pytest.mark.parametrize("is_placed", [False, True])
async def test_certificate_is_shown_as_it_was_returned_or_not_at_all(
    make_lived: MakeLived, subtests: pytest.Subtests, *, is_placed: bool
) -> None:
    world, report = await recalled(make_lived)
    world.clock.advance(timedelta(days=40))
    how = usecases.Certificate("shredded", 1)
    made = await usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)
    if is_placed:
        await place_entries(world, is_searchable=True)
    put_back = kept_rows(world, {"report_destruction": ("report_id", "client_id")})
    other = (made.value.row.note or b"").replace(b'"copies":1', b'"copies":7')
    for alter in RETURNED:
        assert await shown(world, report) == (["GBR", "NOR"], 0), alter
        world.sql(f"{alter} WHERE member = 'NOR'", *((other,) if "$1" in alter else ()))
        found = await shown(world, report)
        put_back()

        with subtests.test(alter):
            assert found == (["GBR"], 1)


@pytest.mark.parametrize("is_placed", [False, True])
async def test_certificate_is_kept_from_its_originator_by_no_entry_behind_its_own(
    make_lived: MakeLived, *, is_placed: bool
) -> None:
    world, report = await recalled(make_lived)
    call, how = world.call("NOR reader"), usecases.Certificate("shredded", 1)
    returned = await usecases.certify_destruction(world.services, call, report, how)
    await place_entries(world, is_searchable=True)
    world.clock.advance(timedelta(days=40))
    event, detail = EventName.DESTRUCTION_CERTIFIED, {"client": returned.value.row.given.client, "copies": 7}
    told = draft(world.call(None), None, event, Outcome.PERMITTED, subject=Subject("report", report), detail=detail)
    await world.services.store.append(told)
    if is_placed:
        await place_entries(world, is_searchable=True)

    assert await shown(world, report) == (["GBR", "NOR"], 0)


async def certified_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch, act: Any, *args: Any) -> Any:
    """Return what `act` does where the NOR reader certifies between its look at the rows and that at the log."""
    ask = told_destructions._told

    async def meanwhile(services: usecases.Services, reports: list[str]) -> Any:
        monkeypatch.setattr(told_destructions, "_told", ask)
        how = usecases.Certificate("shredded", 1)
        await usecases.certify_destruction(services, world.call("NOR reader"), reports[0], how)
        return await ask(services, reports)

    monkeypatch.setattr(told_destructions, "_told", meanwhile)
    return await act(world.services, *args)


async def test_what_is_certified_while_the_originator_looks_is_told_as_it_is_now(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, report = await recalled(make_lived)
    made = await certified_meanwhile(world, monkeypatch, usecases.show_recall, world.call("GBR releaser"), report)

    certified = {row.given.member: row.returned_at is not None for row in made.value.asked}
    assert (certified, made.unopened) == ({"NOR": True, "GBR": False}, 0)


async def test_others_certify_while_the_log_is_asked_and_nobody_does_so_twice(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite who reads in a unit keeps everybody else from writing: the archive may be slow."""
    world, report = await recalled(make_lived)
    call, how = world.call("NOR reader"), usecases.Certificate("shredded", 2)
    with pytest.raises(ConflictError) as refused:
        await certified_meanwhile(world, monkeypatch, usecases.certify_destruction, call, report, how)

    assert refused.value.code == "certified-already"
    assert await shown_certified(world, report) == {"NOR": True, "GBR": False}
    certified = [entry["detail"] for entry in await world.entries() if entry["type"] == "destruction.certified"]
    assert [(each.get("copies"), each.get("codes")) for each in certified] == [(1, None), (None, ["certified-already"])]


async def test_recall_is_shown_though_the_archive_lacks_what_the_log_says_of_it(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, report = await recalled(make_lived)

    async def away(*_: object) -> None:
        raise UnavailableError("the archive lacks a bundle")

    monkeypatch.setattr(told_destructions, "_told", away)
    assert await shown(world, report) == (["GBR", "NOR"], 0)


async def asked_of(world: World, name: str, services: usecases.Services | None = None) -> tuple[list[str], int]:
    """Return of which reports a client is told that destruction is asked, and how many rows it lacks."""
    made = await usecases.list_destructions(services or world.services, world.call(name))
    return [each.row.report for each in made.value], made.unopened


async def test_releaser_is_told_of_what_its_member_is_to_destroy_as_the_log_labels_it(make_lived: MakeLived) -> None:
    world, report = await recalled(make_lived)
    await world.enrol("NOR low releaser", "NOR", "releaser", level="UNCLASSIFIED")
    await place_entries(world, is_searchable=True)
    change_class(world, report)
    async with world.another_node() as node:
        told = {name: await asked_of(world, name, node) for name in ("NOR releaser", "NOR low releaser", "NOR reader")}

    assert told == {"NOR releaser": ([report], 0), "NOR low releaser": ([], 0), "NOR reader": ([report], 0)}


def change_class(world: World, report: str) -> None:
    """Leave nothing of what a report's class was; it has ended, so that no header tells it either."""
    world.unguard("release_class")
    which = "id = (SELECT class_id FROM report WHERE id = $1)"
    world.sql(f"UPDATE release_class SET facts = '{{}}', digest = '0' WHERE {which}", report)


@pytest.mark.parametrize(
    ("named", "releasers"),
    [
        # No report at all: that something was asked of its member is all that is left to tell.
        ("x", 1),
        # Another one, that is not there: nothing says that this releaser may know of it.
        ("01980000-0000-7000-8000-000000000000", 0),
    ],
)
async def test_destruction_of_another_report_than_was_asked_is_shown_to_nobody(
    make_lived: MakeLived, named: str, releasers: int
) -> None:
    world, _ = await recalled(make_lived)
    world.unguard("report_destruction")
    world.sql("UPDATE report_destruction SET report_id = $1 WHERE member = 'NOR'", named)

    assert await asked_of(world, "NOR reader") == ([], 1)
    assert await asked_of(world, "NOR releaser") == ([], releasers)


MOVED = "UPDATE report_destruction SET member = 'DNK' WHERE member = 'NOR'"


async def test_destruction_that_names_another_member_is_told_to_whom_it_is_asked_of_alone(
    make_lived: MakeLived,
) -> None:
    world, report = await recalled(make_lived)
    await world.enrol("DNK releaser", "DNK", "releaser")
    world.sql(MOVED)

    told = {name: await asked_of(world, name) for name in ("NOR reader", "NOR releaser", "DNK reader", "DNK releaser")}
    assert told == {
        "NOR reader": ([], 1),
        "NOR releaser": ([], 1),
        "DNK reader": ([], 0),
        "DNK releaser": ([], 0),
    }
    assert await shown(world, report) == (["GBR"], 1)


@pytest.mark.parametrize(("name", "error"), [("NOR reader", UnavailableError), ("DNK releaser", NotFoundError)])
async def test_destruction_that_names_another_member_is_certified_by_nobody(
    make_lived: MakeLived, name: str, error: type[Exception]
) -> None:
    world, report = await recalled(make_lived)
    await world.enrol("DNK releaser", "DNK", "releaser")
    world.sql(MOVED)
    how = usecases.Certificate("shredded", 1, world.clients["NOR reader"].id)
    tried = await world.attempt(usecases.certify_destruction(world.services, world.call(name), report, how))

    assert isinstance(tried.error, error)
    assert world.sql("SELECT count(*) FROM report_destruction WHERE note IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("is_placed", [False, True])
async def test_nobody_is_shown_or_certifies_a_destruction_that_it_was_not_asked(
    make_lived: MakeLived, *, is_placed: bool
) -> None:
    world, report = await recalled(make_lived)
    if is_placed:
        await place_entries(world, is_searchable=True)
    reader = world.clients["DNK reader"].id
    world.sql("UPDATE report_destruction SET client_id = $1, member = 'DNK' WHERE member = 'NOR'", reader)
    how = usecases.Certificate("shredded", 1)
    tried = await world.attempt(usecases.certify_destruction(world.services, world.call("DNK reader"), report, how))

    assert await asked_of(world, "DNK reader") == ([], 1)
    assert isinstance(tried.error, UnavailableError)
    assert world.sql("SELECT count(*) FROM report_destruction WHERE note IS NOT NULL") == [(0,)]


async def test_destruction_that_is_certified_while_it_is_listed_is_no_damage(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = await recalled(make_lived)
    made = await certified_meanwhile(world, monkeypatch, usecases.list_destructions, world.call("NOR reader"))

    assert (made.value, made.unopened) == ((), 0)


async def test_so_much_waits_that_nobody_can_say_of_whom_destruction_was_asked(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever lists what it is to destroy would have all of it read."""
    world, report = await recalled(make_lived)
    monkeypatch.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)
    for act in (asked_of(world, "NOR reader"), shown(world, report), certifying(world, report)):
        tried = await world.attempt(act)
        assert isinstance(tried.error, UnavailableError)
        assert "too many entries wait" in tried.error.message
        assert tried.entries == []


async def test_log_is_asked_at_once_of_all_that_a_member_is_to_destroy(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, report = await recalled(make_lived)
    reports = [report, *[await world.post() for _ in range(3)]]
    for each in reports[1:]:
        await usecases.pull_report(world.services, world.call("NOR reader"), each)
        await usecases.recall_report(world.services, world.call("GBR releaser"), each, "mistaken")
    await place_entries(world, is_searchable=True)
    seek, sought = Store.found_places, list[object]()

    def counted(store: Store, what: Any, **how: Any) -> Any:
        sought.append(what)
        return seek(store, what, **how)

    monkeypatch.setattr(Store, "found_places", counted)

    assert await asked_of(world, "NOR reader") == (sorted(reports), 0)
    assert len(sought) == 4


WITHOUT_TOMBSTONE = [
    "DELETE FROM report_tombstone WHERE report_id = $1 AND report_id <> $2",
    "UPDATE report_tombstone SET note = (SELECT note FROM report_tombstone WHERE report_id = $2) WHERE report_id = $1",
    "UPDATE report_tombstone SET cause = 'retention' WHERE report_id = $1 AND report_id <> $2",
    "UPDATE report_tombstone SET raised_at = raised_at + 1 WHERE report_id = $1 AND report_id <> $2",
]


async def without_tombstone(make_lived: MakeLived, alter: str) -> tuple[World, str]:
    """Return a world, and a report that was recalled, in whose tombstone's place lies another one or none."""
    world, report = await recalled(make_lived)
    other = await world.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    await usecases.recall_report(world.services, world.call("GBR releaser"), other, "none of NOR's business")
    world.unguard("report_tombstone")
    world.sql(alter, report, other)
    return world, report


def certifying(world: World, report: str) -> Any:
    how = usecases.Certificate("shredded", 1)
    return usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)


@pytest.mark.parametrize("alter", WITHOUT_TOMBSTONE)
async def test_tombstone_that_says_another_thing_than_its_row_is_shown_to_nobody(
    make_lived: MakeLived, alter: str
) -> None:
    world, report = await without_tombstone(make_lived, alter)
    certified = await world.attempt(certifying(world, report))
    looked = await world.attempt(usecases.show_recall(world.services, world.call("GBR releaser"), report))

    assert await asked_of(world, "NOR reader") == ([], 1)
    for tried in (certified, looked):
        assert isinstance(tried.error, UnavailableError)
        assert tried.entry["detail"]["place"] == f"report {report}: tombstone"


@pytest.mark.parametrize("alter", WITHOUT_TOMBSTONE)
async def test_recall_whose_tombstone_is_none_any_more_is_told_as_the_log_has_it(
    make_lived: MakeLived, alter: str
) -> None:
    world, report = await without_tombstone(make_lived, alter)
    await world.services.store.append(recalled_again(world, report))
    await place_entries(world, is_searchable=True)
    listed = await world.attempt(usecases.list_destructions(world.services, world.call("NOR reader")))
    shown = await usecases.show_recall(world.services, world.call("GBR releaser"), report)
    certified = await certifying(world, report)
    stones = [listed.value.value[0].tombstone, shown.value.tombstone, certified.value.tombstone]

    deeds = [read_deed(stone.note, [NODE]).content for stone in stones]
    assert [(deed["report"], deed["cause"], deed["reason"]) for deed in deeds] == [(report, "recalled", "mistaken")] * 3
    assert {deed["by"] for deed in deeds} == {world.clients["GBR releaser"].id}
    assert [each["detail"]["rows"] for each in listed.entries if each["type"] == "key.opened"] == [
        [f"tombstone of report {report}"]
    ]
    assert await asked_of(world, "NOR reader") == ([], 0)
    assert await shown_certified(world, report) == {"NOR": True, "GBR": False}


def recalled_again(world: World, report: str) -> EntryDraft:
    """Return what somebody could write who gives the log entries: that it was recalled by nobody, for another reason."""
    subject, detail = Subject("report", report), {"reason": "none at all"}
    call = world.call(None, at=world.clock.now + timedelta(seconds=1))
    return draft(call, None, EventName.REPORT_RECALLED, Outcome.PERMITTED, subject=subject, detail={**detail})


async def shown_certified(world: World, report: str) -> dict[str, bool]:
    made = await usecases.show_recall(world.services, world.call("GBR releaser"), report)
    return {row.given.member: row.returned_at is not None for row in made.value.asked}


@pytest.mark.parametrize("level", ["CONFIDENTIAL", "SECRET"])
async def test_releaser_is_told_of_parts_that_its_member_was_given_by_their_label(
    make_lived: MakeLived, level: str
) -> None:
    world = (await make_lived(with_releasers))[0]
    await world.enrol("DNK low releaser", "DNK", "releaser", level="RESTRICTED")
    await world.enrol("DNK lower releaser", "DNK", "releaser", level="UNCLASSIFIED")
    low = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    parts = (PostedPart(None, "text/plain", "a.txt", b"all"), PostedPart(low, "text/plain", "b.txt", b"some"))
    report = await world.post(label=Label("NATO", level, releasable_to=("GBR", "NOR")), parts=parts)
    await usecases.pull_report(world.services, world.call("DNK reader"), report)
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")

    assert await asked_of(world, "DNK low releaser") == ([report], 0)
    assert await asked_of(world, "DNK lower releaser") == ([], 0)


async def test_no_tombstone_is_signed_by_an_entry_of_something_else(make_lived: MakeLived) -> None:
    world, report = await without_tombstone(make_lived, WITHOUT_TOMBSTONE[0])
    await place_entries(world, is_searchable=True)
    world.sql("DELETE FROM audit_search WHERE event = 'report.recalled' AND subject_id = $1", report)
    world.sql(
        "UPDATE audit_search SET event = 'report.recalled' WHERE event = 'report.posted' AND subject_id = $1", report
    )

    shown = await world.attempt(usecases.show_recall(world.services, world.call("GBR releaser"), report))

    assert isinstance(shown.error, UnavailableError)
