"""Destructions that somebody altered in the database: nobody is accused by a row alone, nor let off."""

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError
from exchange.usecases import told_destructions
from tests.support.lived import MakeLived
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.world import World

CERTIFIED = (
    "UPDATE report_destruction SET returned_at = asked_at, returned_by = client_id, note = $1, entry_id = read_entry"
)
OPEN = "UPDATE report_destruction SET returned_at = NULL, returned_by = NULL, note = NULL, entry_id = NULL"
ALTERED = [
    "UPDATE report_destruction SET due_at = asked_at + 1",
    "UPDATE report_destruction SET asked_at = asked_at - 86400000000, due_at = due_at - 86400000000",
    "UPDATE report_destruction SET client_id = (SELECT id FROM client WHERE member = 'DNK' LIMIT 1), member = 'DNK'",
    CERTIFIED,
    OPEN,
]


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
@pytest.mark.parametrize("alter", ALTERED)
async def test_nobody_is_accused_or_let_off_by_an_altered_row(
    make_lived: MakeLived, alter: str, *, is_placed: bool
) -> None:
    world, report = await recalled(make_lived)
    how = usecases.Certificate("shredded", 1)
    if alter == OPEN:
        await usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)
    if is_placed:
        await place_entries(world, is_searchable=True)
    assert await shown(world, report) == (["GBR", "NOR"], 0)
    world.sql(f"{alter} WHERE member = 'NOR'", *((b"forged",) if alter == CERTIFIED else ()))
    made = await world.attempt(usecases.show_recall(world.services, world.call("GBR releaser"), report))

    assert ([row.given.member for row in made.value.value.asked], made.value.unopened) == (["GBR"], 1)
    assert [entry["decision"] for entry in made.entries if entry["type"] == "key.opened"] == ["failed"]


async def test_what_is_certified_while_the_originator_looks_is_told_as_it_is_now(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, report = await recalled(make_lived)
    ask = told_destructions._told

    async def meanwhile(services: usecases.Services, report: str) -> told_destructions._Told:
        how = usecases.Certificate("shredded", 1)
        await usecases.certify_destruction(services, world.call("NOR reader"), report, how)
        return await ask(services, report)

    with monkeypatch.context() as patched:
        patched.setattr(told_destructions, "_told", meanwhile)
        made = await usecases.show_recall(world.services, world.call("GBR releaser"), report)

    certified = {row.given.member: row.returned_at is not None for row in made.value.asked}
    assert (certified, made.unopened) == ({"NOR": True, "GBR": False}, 0)


async def test_recall_is_shown_though_the_archive_lacks_what_the_log_says_of_it(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, report = await recalled(make_lived)

    async def away(*_: object) -> None:
        raise UnavailableError("the archive lacks a bundle")

    monkeypatch.setattr(told_destructions, "_told", away)
    assert await shown(world, report) == (["GBR", "NOR"], 0)
