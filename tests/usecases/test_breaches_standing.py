"""Breaches that rows of clients, parties and caveats alone would tell of: nobody is accused by them, nor let off."""

import importlib
from collections.abc import Collection
from datetime import datetime

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError, rfc3339
from exchange.markings import Label
from exchange.usecases import DutyWatch
from exchange.usecases.promises.sure_breaches import told_acknowledgements
from exchange.usecases.steps.context import Services
from tests.support.lived import MakeLived
from tests.support.national import no_court
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.world import World
from tests.usecases.test_breaches import DAY, GBR_NOR, INSTANT, MINUTE, OWING, flash, found, made_owing
from tests.usecases.test_breaches_altered import accused
from tests.usecases.test_national_caveats import enforce

find_breaches = importlib.import_module("exchange.usecases.promises.find_breaches")
TO_ALL = Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR"))
_OF_READER = "WHERE id = (SELECT id FROM client WHERE name = 'NOR reader')"
_LATER = 20 * MINUTE // INSTANT
_SUSPENDED = "(SELECT MAX(version) FROM agreement WHERE id = $1)"
ALTERED = {
    "who could not read": f"UPDATE client SET compartments = '[\"ATOMAL\"]' {_OF_READER}",
    "who is gone": "DELETE FROM client WHERE name = 'NOR reader'",
    "who is written in": "UPDATE client SET member = 'NOR', compartments = '[\"ATOMAL\"]' WHERE name = 'ESP reader'",
    "who is bound": f"UPDATE agreement_party SET state = 'signed' WHERE version = {_SUSPENDED} AND agreement_id = $1",
    "since when": f"UPDATE agreement SET superseded_at = CASE version WHEN {_SUSPENDED} THEN NULL ELSE superseded_at + {_LATER} END,"
    f" recorded_at = CASE version WHEN {_SUSPENDED} THEN recorded_at + {_LATER} ELSE recorded_at END"
    f" WHERE id = $1 AND version >= {_SUSPENDED} - 1",
    "caveats": "UPDATE caveat_set SET guards = replace(guards, 'judicial', 'defence')",
}


_BEFORE = "WHERE name = 'NOR reader' AND version = 1"
ALTERED_BEFORE = {
    "could not read": f"UPDATE client SET level = 'RESTRICTED' {_BEFORE}",
    "could not read by then": f"UPDATE client SET superseded_at = recorded_at + 1 {_BEFORE}",
    "gone": f"DELETE FROM client {_BEFORE}",
    "unreadable": f"UPDATE client SET compartments = '{{{{' {_BEFORE}",
}

KEYS = {
    "client": ("id", "version"),
    "agreement": ("id", "version"),
    "agreement_party": ("agreement_id", "version", "member"),
    "caveat_set": ("id",),
}


async def kept(world: World) -> None:
    """Have GBR and NOR keep what they promised, and DNK suspend its part before it owes anything."""
    await with_releasers(world)
    await world.enrol("NOR low reader", "NOR", "reader", level="RESTRICTED")
    await enforce(world, no_court())
    await world.agree(OWING)
    world.clock.advance(MINUTE)
    await usecases.suspend_agreement(world.services, world.call("DNK signatory"), world.agreement_id)
    world.clock.advance(MINUTE)
    await flash(world, label=Label("NATO", "SECRET", ("ATOMAL",), releasable_to=("GBR", "NOR")))
    await flash(world, label=Label("NATO", "SECRET", releasable_to=("DNK", "GBR")))
    world.clock.advance(DAY - 4 * MINUTE)
    await world.post(label=GBR_NOR)
    world.clock.advance(3 * MINUTE)


@pytest.mark.parametrize("is_placed", [False, True])  # each with half of them
async def test_nobody_is_accused_by_a_row_of_who_could_read_or_is_bound(
    make_lived: MakeLived, subtests: pytest.Subtests, *, is_placed: bool
) -> None:
    world, _ = await make_lived(kept)
    if is_placed:
        await place_entries(world, is_searchable=True)
    world.unguard("caveat_set")
    put_back = kept_rows(world, KEYS)
    for name, alter in list(ALTERED.items())[is_placed::2]:
        world.sql(alter, *([world.agreement_id] if "$1" in alter else []))
        with subtests.test(name), pytest.raises(UnavailableError, match="is not looked at"):
            await accused(world)
        put_back()

    # Nothing is passed over by that: of nobody is there anything to find.
    assert await accused(world) == []

    for alter in (
        f"id = 'elsewhere' WHERE version = {_SUSPENDED}",
        f"superseded_at = NULL WHERE version = {_SUSPENDED}",
    ):
        world.sql(f"UPDATE agreement SET {alter} AND id = $1", world.agreement_id)
    with pytest.raises(UnavailableError, match="is not looked at"):
        await accused(world)


async def test_version_in_doubt_lets_off_from_what_was_due_in_its_time_alone(make_lived: MakeLived) -> None:
    world, _ = await make_lived(made_owing)
    await usecases.suspend_agreement(world.services, world.call("DNK signatory"), world.agreement_id)
    world.clock.advance(MINUTE)
    in_doubt = await flash(world)
    world.clock.advance(11 * MINUTE)
    await usecases.resume_agreement(world.services, world.call("DNK signatory"), world.agreement_id)
    world.clock.advance(MINUTE)
    later = await flash(world, label=TO_ALL)
    world.clock.advance(11 * MINUTE)
    world.sql(
        f"UPDATE agreement_party SET state = 'signed' WHERE agreement_id = $1 AND version = {_SUSPENDED} - 1",
        world.agreement_id,
    )
    watch = DutyWatch(world.services)
    with pytest.raises(UnavailableError, match="is not looked at"):
        await watch.round()
    assert {entry["detail"]["report"] for entry in await found(world)} == {later}

    # What nobody puts back in a week is passed over.
    world.clock.advance(8 * DAY)
    await watch.round()

    assert in_doubt not in [entry["detail"].get("report") for entry in await found(world)]


async def test_version_made_to_begin_later_leaves_nobody_bound_by_the_one_before(make_lived: MakeLived) -> None:
    world, _ = await make_lived(made_owing)
    await usecases.suspend_agreement(world.services, world.call("NOR signatory"), world.agreement_id)
    world.clock.advance(MINUTE)
    await flash(world, label=TO_ALL)
    world.clock.advance(8 * DAY)
    for column, version in (("superseded_at", "- 1"), ("recorded_at", "")):
        world.sql(
            f"UPDATE agreement SET {column} = {column} + $1 WHERE id = $2 AND version = {_SUSPENDED.replace('$1', '$2')} {version}",
            DAY // INSTANT,
            world.agreement_id,
        )
    world.clock.advance(-8 * DAY + 11 * MINUTE)

    with pytest.raises(UnavailableError, match="is not looked at"):
        await accused(world)
    assert "NOR" not in {entry["detail"]["party"] for entry in await found(world)}


async def clear(world: World, level: str, until: datetime | None = None, who: str = "NOR reader") -> None:
    change = usecases.ClearanceChange(level, (), until)
    await usecases.change_clearance(world.services, world.call(None), world.clients[who].id, change)


async def silences(world: World) -> list[tuple[str, str]]:
    told = [entry["detail"] for entry in await found(world)]
    return [(each["owed_to"], each["due"]) for each in told if each["kind"] == "report"]


async def test_nobody_is_accused_by_a_row_of_who_could_read_before_nor_let_off(make_lived: MakeLived) -> None:
    world, _ = await make_lived(made_owing)
    world.clock.advance(DAY - 3 * MINUTE)
    due, again = world.clock.now + 2 * MINUTE, world.clock.now + DAY
    await world.post(label=GBR_NOR)
    world.clock.advance(MINUTE)
    for who in ("NOR reader", "ESP reader"):
        await clear(world, "RESTRICTED", who=who)
    world.clock.advance(3 * MINUTE)
    # What was before with a third one's client is nobody's affair here.
    world.sql("UPDATE client SET compartments = '{{' WHERE name = 'ESP reader' AND version = 1")
    put_back = kept_rows(world, {"client": ("id", "version")})
    for alter in ALTERED_BEFORE.values():
        world.sql(alter)
        with pytest.raises(UnavailableError, match="is not looked at"):
            await accused(world)
        put_back()
        # No other breach waits for what is in doubt.
        assert await silences(world) == [("DNK", rfc3339(due))]
    await accused(world)
    assert await silences(world) == [("DNK", rfc3339(due))]

    await world.post(label=TO_ALL)
    world.clock.advance(MINUTE)
    await clear(world, "CONFIDENTIAL")
    world.clock.advance(DAY)
    put_back = kept_rows(world, {"client": ("id", "version")})
    world.sql("UPDATE client SET level = 'SECRET' WHERE name = 'NOR reader' AND version = 2")
    with pytest.raises(UnavailableError, match="is not looked at"):
        await accused(world)
    put_back()
    await accused(world)
    assert ("NOR", rfc3339(again)) in await silences(world)


async def test_rhythm_begins_anew_to_who_let_all_clearances_end_and_is_cleared_again(make_lived: MakeLived) -> None:
    world, _ = await make_lived(made_owing)
    await clear(world, "SECRET", until=world.clock.now + MINUTE)
    # Nobody is let off by a row in whose time nothing came.
    world.sql(ALTERED_BEFORE["unreadable"])
    for _ in range(3):
        world.clock.advance(DAY - MINUTE)
        await world.post(label=TO_ALL)
    await clear(world, "RESTRICTED")
    due = world.clock.now + DAY
    told = []
    for moment in (world.clock.now, due, due + MINUTE):
        world.clock.now = moment
        await accused(world)
        told.append([at for owed_to, at in await silences(world) if owed_to == "NOR"])

    assert told == [[], [], [rfc3339(due)]]


async def test_nobody_is_passed_over_for_a_row_by_which_it_could_not_read(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = await make_lived(made_owing)
    report, other = await flash(world), await flash(world)
    await usecases.receive_report(world.services, world.call("NOR reader"), other)
    asked: list[str] = []

    async def told(services: Services, reports: Collection[str]) -> dict[str, dict[str, datetime]]:
        asked.extend(reports)
        return await told_acknowledgements(services, reports)

    monkeypatch.setattr(find_breaches, "told_acknowledgements", told)
    world.clock.advance(11 * MINUTE)
    put_back, watch = kept_rows(world, {"client": ("id", "version")}), DutyWatch(world.services)
    world.sql(ALTERED_BEFORE["could not read"])
    # For longer than two rounds overlap.
    for _ in range(2):
        with pytest.raises(UnavailableError, match="is not looked at"):
            await watch.round()
        world.clock.advance(6 * MINUTE)
    # What stays in doubt asks the log of nothing twice.
    assert asked == [other]
    put_back()
    # Who read the row before is told that something moved, as where the jobs mend it.
    await clear(world, "SECRET", who="ESP reader")
    await watch.round()

    assert [entry["detail"].get("report") for entry in await found(world)] == [report]
