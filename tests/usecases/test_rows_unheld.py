"""Rows of which the log lacks what it told, for a bundle of the archive is lost: nobody is accused, and nothing ended."""

from datetime import timedelta

import pytest

from exchange import usecases
from exchange.store.log.archived import LogDamagedError
from exchange.store.tables.crisis_tables import CrisisTable
from exchange.usecases.members.clients import add_certificate
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.lived import MakeLived
from tests.support.national import not_to
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.world import World, certificate_of
from tests.usecases.test_crises import ABSENT, agreed, opened
from tests.usecases.test_national_caveats import enforce

ROWS = ("client", "member", "agreement", "agreement_party", "agreement_crisis", "caveat_set", "client_certificate")
EVENTS = (
    *("client.enrolled", "agreement.proposed", "agreement.signed"),
    *("agreement.suspended", "agreement.resumed", "caveats.activated", "crisis.declared"),
    "certificate.added",
)


async def lived(world: World) -> None:
    """Let much be recorded that rows are held against, each at its time, all of it long ago."""
    await agreed(world)
    await world.enrol("GBR second releaser", "GBR", "releaser")
    await world.enrol("GBR releaser", "GBR", "releaser")
    world.clock.advance(timedelta(hours=1))
    await enforce(world, not_to("ESP"))
    world.clock.advance(timedelta(hours=1))
    await enforce(world, not_to("NOR"))
    world.clock.advance(timedelta(hours=1))
    await usecases.suspend_agreement(world.services, world.call("DNK signatory"), world.agreement_id)
    world.clock.advance(timedelta(hours=1))
    await usecases.resume_agreement(world.services, world.call("DNK signatory"), world.agreement_id)
    world.clock.advance(timedelta(hours=1))
    await usecases.suspend_agreement(world.services, world.call("NOR signatory"), world.agreement_id)
    await usecases.resume_agreement(world.services, world.call("NOR signatory"), world.agreement_id)
    await add_certificate(world.services, world.call(None), world.clients["NOR reader"].id, certificate_of("another"))
    world.clock.advance(timedelta(hours=1))
    await opened(world)
    world.clock.advance(timedelta(hours=1))
    await usecases.list_clients(world.services, world.call(None))
    await place_entries(world, is_searchable=True)


async def contradicted(world: World) -> list[tuple[str, str]]:
    told = [entry for entry in await world.entries() if entry["type"] == "row.contradicted"]
    return [(entry["object"]["type"], entry["detail"]["why"]) for entry in told]


async def test_nothing_is_ended_and_nobody_accused_by_what_the_log_lacks(
    make_lived: MakeLived, subtests: pytest.Subtests
) -> None:
    world, _ = await make_lived(lived)
    await RowWatch(world.services).round()
    assert await contradicted(world) == []
    before = world.rows_of(*ROWS)
    world.unguard("audit_entry")
    put_back = kept_rows(world, {"audit_entry": ("id",)})
    for event in EVENTS:
        ids = [entry["id"] for entry in await world.entries() if entry["type"] == event]
        for each in ids:
            world.sql("DELETE FROM audit_entry WHERE id = $1", each)
        fault = (await world.attempt(RowWatch(world.services).round())).error
        told, now = await contradicted(world), world.rows_of(*ROWS)
        put_back()

        with subtests.test(event):
            assert ids
            assert isinstance(fault, LogDamagedError)
            assert told == []
            assert now == before


async def test_crisis_that_nobody_declared_is_ended_though_the_log_lacks_that_of_another_time(
    make_lived: MakeLived,
) -> None:
    world, _ = await make_lived(lived)
    names = ", ".join(name for name in CrisisTable.model_fields if name not in {"id", "opened_at"})
    written = f"SELECT '{ABSENT}', opened_at + 120000000, {names} FROM agreement_crisis"
    world.sql(f"INSERT INTO agreement_crisis (id, opened_at, {names}) {written}")
    world.unguard("audit_entry")
    (declared,) = [entry["id"] for entry in await world.entries() if entry["type"] == "crisis.declared"]
    world.sql("DELETE FROM audit_entry WHERE id = $1", declared)
    with pytest.raises(LogDamagedError, match="the log lacks 1 of the entries that rows are held against"):
        await RowWatch(world.services).round()

    assert await contradicted(world) == [("crisis", "no entry declared it")]
    assert world.sql("SELECT count(*) FROM agreement_crisis WHERE ended_at IS NULL") == [(1,)]


async def test_party_that_resumed_is_not_suspended_again_where_the_log_lacks_that_and_has_what_came_later(
    make_lived: MakeLived,
) -> None:
    world, _ = await make_lived(lived)
    before = world.rows_of(*ROWS)
    world.unguard("audit_entry")
    first, _ = [entry["id"] for entry in await world.entries() if entry["type"] == "agreement.resumed"]
    world.sql("DELETE FROM audit_entry WHERE id = $1", first)
    with pytest.raises(LogDamagedError):
        await RowWatch(world.services).round()

    assert await contradicted(world) == []
    assert world.rows_of(*ROWS) == before
