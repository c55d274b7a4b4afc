"""National caveats that somebody altered in the database: no member is shown what another one wrote, or nobody did."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import NotFoundError
from exchange.release import NationalText
from exchange.store.log.archived import LogDamagedError
from exchange.usecases.members import told_caveats
from tests.support.lived import MakeLived
from tests.support.national import no_court, not_to
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.world import Entry, World
from tests.usecases.test_caveats_held import altered
from tests.usecases.test_lost_entries import lose
from tests.usecases.test_national_caveats import enforce, propose, sets

OTHER = not_to("ESP")
ALTERED = {
    "moved": "member = 'NOR'",
    "moved with its digest": f"member = 'NOR', digest = '{not_to('DNK').digest('NOR')}'",
    "other words": f"member = 'NOR', guards = '{OTHER.guards}', examples = '{OTHER.examples}'",
    "other words with their digest": f"member = 'NOR', guards = '{OTHER.guards}', examples = '{OTHER.examples}',"
    f" digest = '{OTHER.digest('NOR')}'",
    "none": f"member = 'NOR', guards = '', examples = '', digest = '{NationalText('', '').digest('NOR')}'",
}


async def waiting(world: World) -> tuple[str, str]:
    """Have caveats of NOR in force, and some of GBR wait for a second person; return the ids of both."""
    await with_releasers(world)
    return (await enforce(world, no_court("NOR"), "NOR")).id, (await propose(world, not_to("DNK"))).id


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
async def test_caveats_that_were_moved_to_another_member_are_shown_to_nobody_of_it(
    make_lived: MakeLived, alter: str, *, is_placed: bool
) -> None:
    world, (own, moved) = await make_lived(waiting)
    if is_placed:
        await place_entries(world, is_searchable=True)
    await altered(world, f"UPDATE caveat_set SET {alter} WHERE id = '{moved}'")
    listed = await world.attempt(usecases.list_caveats(world.services, world.call("NOR releaser")))
    shown = await world.attempt(usecases.show_caveats(world.services, world.call("NOR reader"), moved))

    assert ([each.id for each in listed.value.value], listed.value.unopened) == ([own], 1)
    assert [each["detail"]["rows"] for each in listed.entries if each["type"] == "key.opened"] == [[f"caveats {moved}"]]
    assert isinstance(shown.error, NotFoundError)
    assert (shown.entry["type"], shown.entry["detail"]) == ("key.opened", {"place": f"caveats {moved}"})
    assert (await usecases.show_caveats(world.services, world.call("NOR reader"), own)).value.id == own


async def test_others_write_while_the_log_is_asked_whose_caveats_these_are(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite who reads in a unit keeps everybody else from writing: the archive may be slow."""
    world, (own, _) = await make_lived(waiting)
    ask = told_caveats.told_of

    async def meanwhile(services: usecases.Services, *events: str, **about: Any) -> AsyncIterator[list[Entry]]:
        async with asyncio.timeout(20):
            await world.post()
        async for entries in ask(services, *events, **about):
            yield entries

    monkeypatch.setattr(told_caveats, "told_of", meanwhile)
    reader = world.call("NOR reader")

    assert [each.id for each in (await usecases.list_caveats(world.services, reader)).value] == [own]
    assert (await usecases.show_caveats(world.services, reader, own)).value.id == own


async def test_caveats_of_which_the_log_has_that_they_came_into_force_are_shown(make_lived: MakeLived) -> None:
    world, _ = await make_lived(with_releasers)
    one = await enforce(world, OTHER)
    await lose(world, "caveats.proposed")

    assert [each.id for each in await sets(world)] == [one.id]
    shown_set = await usecases.show_caveats(world.services, world.call("GBR reader"), one.id)
    assert shown_set.value.guards == OTHER.guards


async def test_caveats_of_which_the_log_lacks_all_that_it_said_are_shown_to_nobody_and_no_row_is_accused(
    make_lived: MakeLived,
) -> None:
    world, _ = await make_lived(with_releasers)
    one = await enforce(world, OTHER)
    world.clock.advance(timedelta(hours=1))
    other = await enforce(world, not_to("DNK"))
    for event in ("caveats.proposed", "caveats.activated"):
        await lose(world, event, digest=one.digest)
    listed = await world.attempt(usecases.list_caveats(world.services, world.call("GBR releaser")))
    shown = await world.attempt(usecases.show_caveats(world.services, world.call("GBR reader"), one.id))

    assert ([each.id for each in listed.value.value], listed.value.unopened) == ([other.id], 1)
    assert [each["type"] for each in listed.entries] == ["caveats.listed"]
    assert isinstance(shown.error, LogDamagedError)
    assert shown.entries == []
    # What lies in its place is no part of what was written then.
    await altered(world, f"UPDATE caveat_set SET proposed_at = 1, in_force_at = 1 WHERE id = '{one.id}'")
    listed = await world.attempt(usecases.list_caveats(world.services, world.call("GBR releaser")))
    assert [each["detail"]["rows"] for each in listed.entries if each["type"] == "key.opened"] == [
        [f"caveats {one.id}"]
    ]
