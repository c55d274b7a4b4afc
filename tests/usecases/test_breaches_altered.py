"""Breaches that rows alone tell of, for somebody altered them in the database: nobody is accused of one."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.audit.rows_told import Contradiction
from exchange.kernel import UnavailableError
from exchange.markings import Label
from exchange.usecases import DutyWatch, Services
from exchange.usecases.promises import sure_breaches
from exchange.usecases.promises.telling_breaches import told_breach
from exchange.usecases.steps.registering import register_reads
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.put_back import columns_of, kept_rows
from tests.support.world import Entry, World
from tests.usecases.test_breaches import DAY, GBR_NOR, INSTANT, MINUTE, OWING, flash, found, made_owing

HOUR = timedelta(hours=1)


@pytest.fixture
async def owing(make_lived: MakeLived) -> World:
    return (await make_lived(made_owing))[0]


async def accused(world: World) -> list[tuple[str, str, str | None]]:
    """Return of what another node, which remembers nothing, accuses whom towards whom."""
    async with world.another_node() as node:
        await DutyWatch(node).round()
    return [
        (entry["detail"]["party"], entry["detail"]["owed_to"], entry["detail"].get("report"))
        for entry in await found(world)
    ]


async def silent(world: World) -> list[tuple[str, str]]:
    return [(party, owed_to) for party, owed_to, report in await accused(world) if report is None]


async def as_urgent(world: World) -> str:
    report = await world.post(label=GBR_NOR)
    world.sql("UPDATE report SET precedence = 'FLASH'")
    return report


async def as_old(world: World) -> str:
    world.clock.advance(HOUR)
    report = await flash(world)
    world.sql("UPDATE report SET posted_at = posted_at - $1", 5 * MINUTE // INSTANT)
    return report


async def as_unsaid(world: World) -> str:
    report = await flash(world)
    await usecases.receive_report(world.services, world.call("NOR reader"), report)
    world.unguard("report_receipt")
    world.sql("DELETE FROM report_receipt")
    return report


async def as_said_late(world: World) -> str:
    report = await flash(world)
    await usecases.receive_report(world.services, world.call("NOR reader"), report)
    world.unguard("report_receipt")
    world.sql("UPDATE report_receipt SET received_at = received_at + $1", HOUR // INSTANT)
    return report


async def as_sought_in_vain(world: World) -> str:
    report = await flash(world)
    await usecases.receive_report(world.services, world.call("NOR reader"), report)
    await place_entries(world, is_searchable=True)
    world.sql("DELETE FROM audit_search WHERE event = 'report.received'")
    return report


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("alter", [as_urgent, as_old, as_unsaid, as_said_late, as_sought_in_vain])
async def test_nobody_is_accused_of_no_acknowledgement_by_an_altered_row(
    owing: World, alter: Callable[[World], Awaitable[str]], *, is_placed: bool
) -> None:
    await alter(owing)
    # One of the same time that nobody altered, and nobody acknowledged.
    other = await flash(owing)
    if is_placed:
        await place_entries(owing, is_searchable=True)
    owing.clock.advance(11 * MINUTE)

    assert await accused(owing) == [("NOR", "GBR", other)]


_WRITTEN = "INSERT INTO report_receipt SELECT report_id, client_id, 'acknowledged', received_at, {} FROM report_receipt"
_COPIED = (
    "INSERT INTO report_receipt SELECT r.id, a.client_id, a.how, a.received_at, a.entry_id FROM report r"
    " CROSS JOIN report_receipt a WHERE r.id <> a.report_id AND a.how = 'acknowledged'"
)
PLANTED = {"of no entry": _WRITTEN.format("report_id"), "of a read": _WRITTEN.format("entry_id"), "of another": _COPIED}


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("how", PLANTED)
async def test_nobody_is_let_off_by_an_acknowledgement_that_somebody_wrote(
    owing: World, how: str, *, is_placed: bool
) -> None:
    report, acknowledged = await flash(owing), await flash(owing)
    reader = owing.call("NOR reader")
    if how == "of another":
        await usecases.receive_report(owing.services, reader, acknowledged)
    else:
        await usecases.pull_report(owing.services, reader, report)
        await register_reads(owing.services.store, owing.services.register)
    if is_placed:
        await place_entries(owing, is_searchable=True)
    owing.sql(PLANTED[how])
    owing.clock.advance(11 * MINUTE)

    left = {("NOR", "GBR", report)} | ({("NOR", "GBR", acknowledged)} if how != "of another" else set())
    assert set(await accused(owing)) == left


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("change", ["posted_at = posted_at - 86400000000", "class_id = 1"])
async def test_nobody_is_accused_of_silence_by_an_altered_row(owing: World, change: str, *, is_placed: bool) -> None:
    await owing.post(label=Label("NATO", "SECRET", releasable_to=("DNK", "GBR")))
    owing.clock.advance(DAY - 2 * MINUTE)
    report = await owing.post(label=GBR_NOR)
    if is_placed:
        await place_entries(owing, is_searchable=True)
    ((posted_at, class_id),) = owing.sql("SELECT posted_at, class_id FROM report WHERE id = $1", report)
    owing.sql(f"UPDATE report SET {change} WHERE id = $1", report)
    owing.clock.advance(3 * MINUTE)
    by_altered = await silent(owing)
    owing.sql("UPDATE report SET posted_at = $1, class_id = $2 WHERE id = $3", posted_at, class_id, report)

    assert by_altered == []
    # What Denmark was sent last is too old indeed.
    assert await silent(owing) == [("GBR", "DNK")]


_OTHER_ID = "01980000-0000-7000-8000-000000000000"
POSTED_NOW = {
    "altered": "UPDATE report SET posted_at = posted_at + {day}",
    "written": "INSERT INTO report (id, seq, posted_at, {names}) SELECT '{other}', seq + 9, posted_at + {day}, {names} FROM report",
}


@pytest.mark.parametrize("how", POSTED_NOW)
async def test_post_that_no_entry_tells_of_hides_a_silence_on_the_record(owing: World, how: str) -> None:
    report = await owing.post(label=GBR_NOR)
    await place_entries(owing, is_searchable=True)
    owing.clock.advance(DAY + MINUTE)
    names = ", ".join(name for name in columns_of(owing, "report") if name not in {"id", "seq", "posted_at"})
    put_back = kept_rows(owing, {"report": ("id",)})
    owing.sql(POSTED_NOW[how].format(names=names, other=_OTHER_ID, day=DAY // INSTANT))
    watch = DutyWatch(owing.services)
    first, second = [await owing.attempt(watch.round()) for _ in range(2)]
    put_back()

    told = [entry["detail"]["place"] for entry in first.entries if entry["type"] == "key.opened"]
    assert told == [f"report {report if how == 'altered' else _OTHER_ID}"]
    assert second.entries == []
    # Once somebody has looked, and put it right.
    assert ("GBR", "NOR") in await silent(owing)


async def test_nobody_is_accused_while_too_much_waits_to_be_asked(
    owing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await flash(owing)
    owing.clock.advance(11 * MINUTE)
    with monkeypatch.context() as patched:
        patched.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)
        with pytest.raises(UnavailableError, match="who broke a promise"):
            await accused(owing)

    assert len(await accused(owing)) == 1


@pytest.mark.parametrize("is_silence", [False, True])
async def test_what_cannot_be_read_of_one_agreement_hides_no_breach_of_another(
    owing: World, monkeypatch: pytest.MonkeyPatch, *, is_silence: bool
) -> None:
    first = owing.agreement_id
    await (owing.post(label=GBR_NOR) if is_silence else flash(owing))
    await owing.agree(OWING.replace("North Sea", "Nordic"))
    owing.clock.advance(MINUTE)
    other = await flash(owing)
    owing.clock.advance(DAY + HOUR)
    contradicted = sure_breaches.contradicted_reports

    async def lacking(services: Services, entries: Iterable[Entry]) -> list[Contradiction]:
        known = list(entries)
        if any(entry["agreement"] == first for entry in known):
            raise UnavailableError("the archive lacks a bundle")
        return await contradicted(services, known)

    with monkeypatch.context() as patched:
        patched.setattr(sure_breaches, "contradicted_reports", lacking)
        with pytest.raises(UnavailableError, match=f"{first} is not looked at"):
            await accused(owing)
    assert {entry["object"]["id"] for entry in await found(owing)} == {owing.agreement_id}
    assert ("NOR", "GBR", other) in await accused(owing)
    assert {entry["object"]["id"] for entry in await found(owing)} == {owing.agreement_id, first}


LOST = "facts = '{}', digest = '0'"


async def test_breach_whose_report_s_label_is_lost_is_shown_to_nobody_and_told_of_to_whom_it_concerns(
    owing: World,
) -> None:
    names = ("GBR cleared", "NOR cleared", "DNK cleared", "NOR signatory")
    for name in names[:-1]:
        await owing.enrol(name, name[:3], "signatory", "reader", compartments=("ATOMAL",))
    lost, other = await flash(owing), await flash(owing, topic="cyber.vulnerability")
    owing.clock.advance(11 * MINUTE)
    await DutyWatch(owing.services).round()
    owing.sql(f"UPDATE release_class SET {LOST} WHERE id = (SELECT class_id FROM report WHERE id = $1)", lost)
    breaches = dict(owing.sql("SELECT subject, id FROM duty_breach"))

    async with owing.another_node() as node:
        told = {name: await usecases.list_breaches(node, owing.call(name), owing.agreement_id) for name in names}
        told_breaches = {
            report: await told_breach(node, owing.call("NOR cleared"), breach, by={})
            for report, breach in breaches.items()
        }

    assert {name: ([row.subject for row in made.value.rows], made.unopened) for name, made in told.items()} == {
        "GBR cleared": ([other], 1),
        "NOR cleared": ([other], 1),
        "DNK cleared": ([], 0),
        # That there is one tells of all that the scope may hold.
        "NOR signatory": ([other], 0),
    }
    assert {report: made is not None for report, made in told_breaches.items()} == {lost: False, other: True}


async def test_breach_whose_report_is_gone_is_shown_under_its_own_label(owing: World) -> None:
    await owing.enrol("NOR low signatory", "NOR", "signatory", level="RESTRICTED")
    report = await flash(owing)
    owing.clock.advance(11 * MINUTE)
    await DutyWatch(owing.services).round()
    for table, column in (("report_part", "report_id"), ("report", "id")):
        owing.sql(f"DELETE FROM {table} WHERE {column} = $1", report)

    shown = {
        name: (await usecases.list_breaches(owing.services, owing.call(name), owing.agreement_id)).value.rows
        for name in ("NOR signatory", "NOR low signatory")
    }
    assert {name: [row.subject for row in rows] for name, rows in shown.items()} == {
        "NOR signatory": [report],
        "NOR low signatory": [],
    }


async def test_breach_whose_row_cannot_be_read_is_told_of_to_the_two_and_to_no_third(owing: World) -> None:
    await flash(owing)
    owing.clock.advance(11 * MINUTE)
    await DutyWatch(owing.services).round()
    owing.sql(f"UPDATE duty_breach SET due_at = {9 * 10**18}")

    told = {
        member: await usecases.list_breaches(owing.services, owing.call(f"{member} signatory"), owing.agreement_id)
        for member in ("GBR", "NOR", "DNK")
    }
    assert {member: (made.value.rows, made.unopened) for member, made in told.items()} == {
        "GBR": ((), 1),
        "NOR": ((), 1),
        "DNK": ((), 0),
    }
