"""Certificates that the database's owner gave to a client: found, ended, the client withheld from, and told of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from exchange import usecases
from exchange.audit.certificates_told import mark_of
from exchange.kernel import ForbiddenError, NotAuthenticatedError, UnavailableError, to_micros
from exchange.members import Standing
from exchange.store.log.archived import LogDamagedError
from exchange.usecases.members.clients import add_certificate, change_standing, remove_certificate
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.meanwhile import looked_at_before
from tests.support.placing import place_entries
from tests.support.put_back import columns_of
from tests.support.world import Attempt, World, certificate_of, public_key_of, thumbprint_of
from tests.usecases.test_rows_held import found_in, held

ATTACKER = "stranger"
VICTIM = "NOR reader"
UNTOLD = "a certificate is in use that no entry gave to it"
ENDED = "suspended"


async def time_passes(world: World) -> None:
    """Let everything so far be long ago, with an entry since."""
    world.clock.advance(timedelta(hours=1))
    await usecases.list_clients(world.services, world.call(None))


def add_row(world: World, *, like: str = VICTIM, thumbprint: str = thumbprint_of(ATTACKER), **others: object) -> None:
    """Give the client `like` another certificate, with all that its own one has."""
    names = columns_of(world, "client_certificate")
    (row,) = world.sql("SELECT * FROM client_certificate WHERE thumbprint = $1", thumbprint_of(like))
    values = {**dict(zip(names, row, strict=True)), "thumbprint": thumbprint, **others}
    marks = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    world.sql(f"INSERT INTO client_certificate ({', '.join(names)}) VALUES ({marks})", *values.values())


def overwrite(world: World) -> None:
    world.sql(
        "UPDATE client_certificate SET thumbprint = $1, public_key = $2 WHERE thumbprint = $3",
        *(thumbprint_of(ATTACKER), public_key_of(ATTACKER), thumbprint_of(VICTIM)),
    )


def move(world: World) -> None:
    """Make the certificate of a client that may read less, who is the attacker, the victim's."""
    world.sql(
        "UPDATE client_certificate SET client_id = $1, thumbprint = $2 WHERE thumbprint = $3",
        *(world.clients[VICTIM].id, thumbprint_of(ATTACKER), thumbprint_of("DNK reader")),
    )


async def reads(world: World, report: str, name: str = ATTACKER) -> bool:
    """Return whether the bearer of a certificate reads a report, asking a process that remembers nothing."""
    async with world.another_node() as fresh:
        try:
            await usecases.pull_report(fresh, world.call(name), report)
        except (ForbiddenError, NotAuthenticatedError):
            return False
    return True


@asynccontextmanager
async def older_version(monkeypatch: pytest.MonkeyPatch, world: World, given: str = VICTIM) -> AsyncIterator[None]:
    """Give a certificate as versions did whose entries do not say which."""
    with monkeypatch.context() as older:
        older.setattr("exchange.usecases.members.clients.detail_of", lambda _: {})
        yield
    world.sql("UPDATE client_certificate SET blind = NULL WHERE thumbprint = $1", thumbprint_of(given))


@pytest.mark.parametrize("attack", [add_row, overwrite, move])
async def test_certificate_that_no_entry_gave_to_a_client_reads_until_it_is_found(
    populated: World, attack: Any
) -> None:
    report, client = await populated.post(), populated.clients[VICTIM].id
    await time_passes(populated)
    attack(populated)

    assert await reads(populated, report)
    assert (f"client {client}", UNTOLD) in await found_in(populated)
    (entry,) = await held(populated)
    assert (entry["object"], entry["owner"]) == ({"type": "client", "id": client}, "NOR")
    assert (entry["detail"]["why"], entry["detail"]["done"]) == (UNTOLD, ENDED)
    assert (entry["detail"]["certificate"], thumbprint_of(ATTACKER) in str(entry)) == ("removed", False)
    assert not await reads(populated, report)
    # Resumed by somebody who did not look, it is the client's own certificate that reads, and no other.
    await change_standing(populated.services, populated.call(None), client, Standing.ACTIVE)
    assert not await reads(populated, report)
    assert await reads(populated, report, VICTIM) == (attack is not overwrite)
    assert await held(populated) == []


async def test_removed_certificate_that_is_in_use_again_is_ended_again(populated: World) -> None:
    report, client = await populated.post(), populated.clients[VICTIM].id
    host = populated.call(None)
    await add_certificate(populated.services, host, client, certificate_of("NOR second"))
    await remove_certificate(populated.services, host, client, thumbprint_of(VICTIM))
    await time_passes(populated)
    assert (await found_in(populated), await held(populated)) == ([], [])
    populated.sql("UPDATE client_certificate SET removed_at = NULL")

    assert await reads(populated, report, VICTIM)
    assert [why for _, why in await found_in(populated)] == ["a certificate is in use that `certificate.removed` ended"]
    assert [entry["detail"]["done"] for entry in await held(populated)] == [ENDED]
    assert not await reads(populated, report, VICTIM)


async def test_key_that_was_written_over_another_one_is_found(populated: World) -> None:
    await time_passes(populated)
    populated.sql(
        "UPDATE client_certificate SET public_key = $1 WHERE thumbprint = $2", "0" * 64, thumbprint_of(VICTIM)
    )

    assert [why for _, why in await found_in(populated)] == ["a certificate has another key than its entry says"]
    assert [entry["detail"]["done"] for entry in await held(populated)] == [ENDED]


async def test_certificate_whose_entry_has_no_place_yet_is_nobody_s_fault(populated: World) -> None:
    await time_passes(populated)
    add_row(populated, added_at=to_micros(populated.clock.now))

    assert (await found_in(populated), await held(populated)) == ([], [])
    await time_passes(populated)
    assert len(await held(populated)) == 1


async def test_certificate_from_the_future_is_no_newer_than_one_that_lies(populated: World) -> None:
    await time_passes(populated)
    add_row(populated, added_at=4_102_444_800_000_000)

    assert [why for _, why in await found_in(populated)] == [UNTOLD]
    assert len(await held(populated)) == 1


async def test_client_whose_enrolment_no_entry_tells_is_told_and_not_refused(populated: World) -> None:
    report, client = await populated.post(), populated.clients[VICTIM].id
    await time_passes(populated)
    await held(populated)
    populated.unguard("audit_search")
    populated.sql("UPDATE audit_search SET event = 'caller.described' WHERE event = 'client.enrolled'")

    told = {entry["object"]["id"]: entry["detail"] for entry in await held(populated)}
    assert told[client]["done"] == "nothing"
    assert await reads(populated, report, VICTIM)


async def test_mark_is_opened_by_what_stands_in_the_row(populated: World) -> None:
    client = populated.clients[VICTIM].id
    ((blind, key),) = populated.sql(
        "SELECT blind, public_key FROM client_certificate WHERE thumbprint = $1", thumbprint_of(VICTIM)
    )
    mark = mark_of(client, thumbprint_of(VICTIM), key, blind)
    (enrolled,) = [
        entry
        for entry in await populated.entries()
        if entry["type"] == "client.enrolled" and entry["object"]["id"] == client
    ]

    assert (enrolled["detail"]["certificates"], enrolled["detail"]["keys"]) == ([mark.certificate], [mark.key])


async def test_clients_of_older_entries_are_refused_nothing_and_put_on_record_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with older_version(monkeypatch, world):
        client = (await world.enrol(VICTIM, "NOR", "reader")).id
    await time_passes(world)
    assert await found_in(world) == []

    assert await held(world) == []
    recorded = [entry for entry in await world.entries() if entry["type"] == "certificate.recorded"]
    ((blind, key),) = world.sql("SELECT blind, public_key FROM client_certificate")
    mark = mark_of(client, thumbprint_of(VICTIM), key, blind)
    assert [(each["object"]["id"], each["owner"]) for each in recorded] == [(client, "NOR")]
    assert recorded[0]["detail"] == {"certificates": [mark.certificate], "keys": [mark.key], "given": 1}
    assert (await usecases.describe_caller(world.services, world.call(VICTIM))).value
    await time_passes(world)
    assert (await held(world), await found_in(world)) == ([], [])
    assert len([each for each in await world.entries() if each["type"] == "certificate.recorded"]) == 1

    # (3) from then on nothing else is theirs, whether anything blinds it or not
    add_row(world, blind=None)
    assert [why for _, why in await found_in(world)] == [UNTOLD]
    assert [entry["detail"]["done"] for entry in await held(world)] == [ENDED]


async def test_record_that_cannot_be_written_is_written_by_the_next_round_and_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with older_version(monkeypatch, world):
        await world.enrol(VICTIM, "NOR", "reader")
    await time_passes(world)
    await place_entries(world, is_searchable=True)
    watch = RowWatch(world.services)

    def recorded_by(tried: Attempt[bool]) -> list[str]:
        assert tried.error is None
        return [entry["type"] for entry in tried.entries]

    with monkeypatch.context() as away:
        away.setattr("exchange.store.books.certificates.Certificates.put_on_record", unavailable)
        assert recorded_by(await world.attempt(watch.round())) == []
    assert recorded_by(await world.attempt(watch.round())) == ["certificate.recorded"]
    assert recorded_by(await world.attempt(watch.round())) == []


async def unavailable(*_: object) -> NoReturn:
    raise UnavailableError("away")


async def test_client_that_is_suspended_already_loses_the_certificate_alone(populated: World) -> None:
    client = populated.clients[VICTIM].id
    await change_standing(populated.services, populated.call(None), client, Standing.SUSPENDED)
    await time_passes(populated)
    add_row(populated)

    (entry,) = await held(populated)
    assert ("put" in entry["detail"], entry["detail"]["done"]) == (False, "certificate removed")
    view = await usecases.show_client(populated.services, populated.call(None), client)
    assert (view.value.client.version, view.value.thumbprints) == (2, (thumbprint_of(VICTIM),))


async def test_certificate_that_another_node_ended_meanwhile_is_told_of_by_that_one(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await time_passes(populated)
    await place_entries(populated, is_searchable=True)
    add_row(populated)
    await looked_at_before(monkeypatch, populated.services)
    assert len(await held(populated)) == 1
    assert await held(populated) == []


async def test_nothing_is_put_on_record_a_second_time_where_the_log_lacks_the_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with older_version(monkeypatch, world):
        await world.enrol(VICTIM, "NOR", "reader")
    await time_passes(world)
    assert await held(world) == []
    await place_entries(world, is_searchable=True)
    add_row(world)
    (recorded,) = [entry["id"] for entry in await world.entries() if entry["type"] == "certificate.recorded"]
    world.unguard("audit_entry")
    world.sql("DELETE FROM audit_entry WHERE id = $1", recorded)
    await time_passes(world)
    with pytest.raises(LogDamagedError):
        await RowWatch(world.services).round()

    assert "certificate.recorded" not in {entry["type"] for entry in await world.entries()}


async def test_what_an_older_node_gives_later_is_put_on_record_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = (await world.enrol(VICTIM, "NOR", "reader")).id
    async with older_version(monkeypatch, world, "NOR second"):
        await add_certificate(world.services, world.call(None), client, certificate_of("NOR second"))
    await time_passes(world)

    assert (await held(world), await held(world), await found_in(world)) == ([], [], [])
    (recorded,) = [entry for entry in await world.entries() if entry["type"] == "certificate.recorded"]
    assert (len(recorded["detail"]["certificates"]), recorded["detail"]["given"]) == (2, 1)
