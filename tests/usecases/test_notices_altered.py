"""Notices that somebody wrote into the database, or altered there: nobody is told what no entry tells of."""

from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import new_id, to_micros
from exchange.markings import Label
from exchange.usecases.life.sweep_reports import sweep_reports
from tests.support.lived import MakeLived
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.world import World

LABEL = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
_COLUMNS = "client_id, member, kind, report_id, version, told_at, entry_id"


def _copied(of: str, **changed: str) -> str:
    """Return what writes another row like the one of a kind, with some columns of another value."""
    values = ", ".join(changed.get(name, name) for name in _COLUMNS.split(", "))
    return f"INSERT INTO report_notice ({_COLUMNS}) SELECT {values} FROM report_notice WHERE kind = '{of}'"


_OTHER = "(SELECT id FROM report WHERE id <> report_id ORDER BY seq LIMIT 1)"
WRITTEN = {
    "of another report": _copied("recalled", report_id=_OTHER),
    "of another reader": _copied("recalled", client_id="$1"),
    "of another entry": _copied("recalled", entry_id=_OTHER),
    "of another act": _copied("amended", kind="'recalled'"),
    "raised as lowered": _copied("amended", kind="'downgraded'"),
    "of another version": _copied("amended", version="version + 1"),
    "of another time": _copied("amended", told_at="told_at - 1"),
    "altered": "UPDATE report_notice SET kind = 'declassified' WHERE kind = 'amended'",
}


async def told(world: World) -> list[str]:
    """Have a report amended, another one recalled, and a third one there, all of which Norway read; return the first two."""
    amended, recalled, other = [await world.post(label=LABEL) for _ in range(3)]
    for report in (amended, recalled, other):
        await usecases.pull_report(world.services, world.call("NOR reader"), report)
    again = world.posted(content=b"second", label=LABEL)
    await usecases.amend_report(world.services, world.call("GBR contributor"), amended, again)
    await usecases.recall_report(world.services, world.call("GBR releaser"), recalled, "at risk")
    return [amended, recalled]


async def told_with_releasers(world: World) -> list[str]:
    return await told(await with_releasers(world))


async def shown(world: World, name: str = "NOR reader") -> tuple[list[str], int]:
    """Return of which reports a reader is told anything, and how much it lacks."""
    made = await usecases.list_notices(world.services, world.call(name))
    return [item.row.report for item in made.value.items], made.unopened


@pytest.mark.parametrize("is_placed", [False, True])
async def test_notice_that_no_entry_bears_out_is_told_to_nobody_and_on_record(
    make_lived: MakeLived, subtests: pytest.Subtests, *, is_placed: bool
) -> None:
    world, reports = await make_lived(told_with_releasers)
    if is_placed:
        await place_entries(world, is_searchable=True)
    put_back = kept_rows(world, {"report_notice": ("number",)})
    for how, write in WRITTEN.items():
        name = "DNK reader" if "$1" in write else "NOR reader"
        world.sql(write, *([world.clients[name].id] if "$1" in write else []))
        made = await world.attempt(usecases.list_notices(world.services, world.call(name)))
        put_back()

        with subtests.test(how):
            left = [] if name == "DNK reader" else reports[1:] if how == "altered" else reports
            assert ([item.row.report for item in made.value.value.items], made.value.unopened) == (left, 1)
            (recorded,) = [entry for entry in made.entries if entry["type"] == "key.opened"]
            assert recorded["detail"]["place"].startswith("notice ")

    assert await shown(world) == (reports, 0)


async def test_notice_is_told_as_it_is_where_the_log_lacks_its_entry(make_lived: MakeLived) -> None:
    world, reports = await make_lived(told_with_releasers)
    await place_entries(world, is_searchable=True)

    world.unguard("audit_entry")
    world.sql("DELETE FROM audit_entry WHERE id IN (SELECT entry_id FROM report_notice)")
    assert await shown(world) == (reports, 0)


@pytest.mark.parametrize("is_placed", [False, True])
async def test_what_waits_is_looked_through_once_for_a_page_and_not_for_what_has_its_place(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, *, is_placed: bool
) -> None:
    """Nothing there is found by an entry's id: a look for each notice would be as many walks through a million."""
    world, reports = await make_lived(told_with_releasers)
    if is_placed:
        await place_entries(world, is_searchable=True)
    reader, looks = world.services.store.log, list[str]()
    fetch = reader._fetch

    async def noted(statement: Any, parameters: Any) -> Any:
        looks.append(statement.sql)
        return await fetch(statement, parameters)

    monkeypatch.setattr(reader, "_fetch", noted)

    assert await shown(world) == (reports, 0)
    assert ["audit_outbox" in look for look in looks] == ([False] if is_placed else [False, True])


async def test_who_is_to_be_told_yet_is_told_whatever_somebody_wrote(make_lived: MakeLived) -> None:
    world, reports = await make_lived(told_with_releasers)
    # As if it had been given the version before while that was replaced.
    world.sql(
        "UPDATE report_notice SET entry_id = $1 WHERE kind = 'amended'",
        new_id(world.clock(), world.services.randomness),
    )
    await sweep_reports(world.services, world.clock())

    assert await shown(world) == (reports[::-1], 1)


async def test_nobody_is_told_late_by_a_version_that_somebody_wrote_ahead(make_lived: MakeLived) -> None:
    world, _ = await make_lived(told_with_releasers)
    report = await world.post(label=LABEL)
    read = await usecases.pull_report(world.services, world.call("NOR reader"), report)
    before = await shown(world)
    now = to_micros(world.clock.now)
    world.sql(
        f"INSERT INTO report_version SELECT id, version, 'x', {now}, $1 FROM report WHERE id = $2",
        read.receipt.entry,
        report,
    )
    again = world.posted(content=b"second", label=LABEL)
    await usecases.amend_report(world.services, world.call("GBR contributor"), report, again)
    await sweep_reports(world.services, world.clock())

    assert await shown(world) == ([*before[0], report], 0)
