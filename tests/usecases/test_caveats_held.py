"""National caveats that the database's owner took out of force, moved or changed: found, told, and in force again."""

from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError
from tests.support.lived import MakeLived
from tests.support.meanwhile import looked_at_before
from tests.support.national import not_to
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.put_back import columns_of
from tests.support.world import World
from tests.usecases.test_national_caveats import can_read, confirm, enforce, propose, sets, withdraw
from tests.usecases.test_rows_held import found_in, held

IN_FORCE_AGAIN = "put in force again"
WITHHELD = "the member's reports are withheld"
DAY = 86_400_000_000


@pytest.fixture
async def ruling(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def with_caveats(world: World) -> tuple[str, str]:
    """Post a report of GBR's and one of NOR's, and put in force that NOR reads nothing of GBR's."""
    await with_releasers(world)
    reports = await world.post(), await world.post("NOR contributor")
    await enforce(world, not_to("NOR"))
    return reports


Guarded = tuple[World, str, str]


@pytest.fixture
async def guarded(make_lived: MakeLived) -> Guarded:
    world, (british, norwegian) = await make_lived(with_caveats)
    return world, british, norwegian


async def against_denmark(world: World) -> tuple[str, str]:
    """Post a report of GBR's, and put in force that DNK reads nothing of GBR's; return the ids of both."""
    await with_releasers(world)
    return await world.post(), (await enforce(world, not_to("DNK"))).id


async def reads(world: World, report: str, name: str = "NOR reader") -> bool:
    """Return whether a process that begins now shows a report."""
    async with world.another_node() as fresh:
        return await can_read(world, report, name, fresh)


async def altered(world: World, *statements: str) -> None:
    """Write to the table as who owns it can, who puts what guards it back in place afterwards."""
    is_postgresql = world.url.startswith("postgresql")
    guards = [] if is_postgresql else world.sql("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
    world.unguard("caveat_set")
    for statement in statements:
        world.sql(statement)
    for statement in ["ALTER TABLE caveat_set ENABLE TRIGGER ALL"] if is_postgresql else [row[0] for row in guards]:
        world.sql(statement)


def written_in(world: World, *, number: int | None, **values: Any) -> str:
    """Write a copy of the first set beside it, as in force; return its id."""
    names = columns_of(world, "caveat_set")
    row = world.sql("SELECT * FROM caveat_set ORDER BY id")[0]
    written = dict(zip(names, row, strict=True)) | {"id": "01a215d9-16f3-71db-b8aa-00000000000a", "number": number}
    written |= values
    marks = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    world.sql(f"INSERT INTO caveat_set ({', '.join(names)}) VALUES ({marks})", *written.values())
    return str(written["id"])


async def test_nothing_is_wrong_with_caveats_that_lived(ruling: World) -> None:
    await enforce(ruling, not_to("NOR"))
    await enforce(ruling, not_to("DNK"))
    await enforce(ruling, not_to("GBR", "NOR"), "NOR")
    await withdraw(ruling)
    await propose(ruling, not_to("DNK"))

    assert (await found_in(ruling), await held(ruling)) == ([], [])


@pytest.mark.parametrize(
    ("statement", "done"),
    [
        ("UPDATE caveat_set SET ended_at = in_force_at + 1", IN_FORCE_AGAIN),
        ("UPDATE caveat_set SET in_force_at = NULL", IN_FORCE_AGAIN),
        ("UPDATE caveat_set SET number = NULL", IN_FORCE_AGAIN),
        ("UPDATE caveat_set SET member = 'DNK'", IN_FORCE_AGAIN),
        ("UPDATE caveat_set SET guards = '', digest = 'x'", WITHHELD),
        ("DELETE FROM caveat_set", WITHHELD),
    ],
)
async def test_caveats_in_force_that_are_not_so_in_their_row_refuse_again(
    guarded: Guarded, statement: str, done: str
) -> None:
    ruling, british, norwegian = guarded
    await altered(ruling, statement)

    assert "caveats GBR" in [place for place, _ in await found_in(ruling)]
    (entry,) = await held(ruling)
    assert (entry["object"]["type"], entry["object"]["id"], entry["owner"]) == ("caveats", "GBR", "GBR")
    assert (entry["detail"]["done"], entry["detail"]["put"]) == (done, 2)
    assert not await reads(ruling, british)
    assert await reads(ruling, norwegian, "GBR reader")
    # Who is stopped by no guard reads where they hold again, and not where they are lost.
    assert await reads(ruling, british, "GBR reader") == (done == IN_FORCE_AGAIN)
    in_force = ruling.sql("SELECT member FROM caveat_set WHERE in_force_at IS NOT NULL AND ended_at IS NULL")
    assert in_force == [("GBR",)]
    assert await held(ruling) == []


async def test_nothing_is_released_while_caveats_in_force_have_no_text(guarded: Guarded) -> None:
    ruling, *_ = guarded
    async with ruling.another_node() as fresh:

        async def gone_meanwhile(_: object) -> list[object]:
            return []

        fresh.store.caveats.texts = gone_meanwhile  # type: ignore[method-assign,assignment]
        for name in ("NOR reader", "GBR reader"):
            with pytest.raises(UnavailableError, match="cannot be read"):
                await usecases.list_reports(fresh, ruling.call(name), usecases.ListQuery())


async def test_other_text_under_its_own_digest_is_found_and_its_members_reports_are_withheld(guarded: Guarded) -> None:
    ruling, report, _ = guarded
    weak = not_to("DNK")
    texts = f"guards = '{weak.guards}', examples = '{weak.examples}', digest = '{weak.digest('GBR')}'"
    await altered(ruling, f"UPDATE caveat_set SET {texts}")
    assert await reads(ruling, report)

    ((place, why),) = await found_in(ruling)
    assert (place, "`digest` in version 1" in why) == ("caveats GBR", True)
    assert [entry["detail"]["done"] for entry in await held(ruling)] == [WITHHELD]
    assert not await reads(ruling, report)


async def test_lost_caveats_refuse_until_two_releasers_put_others_in_force(guarded: Guarded) -> None:
    ruling, report, _ = guarded
    await altered(ruling, "UPDATE caveat_set SET guards = ''")
    # The newest comes first: of one moment, either of two would.
    ruling.clock.advance(timedelta(minutes=1))
    await held(ruling)
    assert not await reads(ruling, report, "GBR reader")
    (lost,) = await sets(ruling)
    assert (lost.number, lost.told) == (2, ())
    assert lost.guards.startswith("// What two releasers put in force here")

    await enforce(ruling, not_to("NOR"))
    assert await reads(ruling, report, "GBR reader")
    assert not await reads(ruling, report)
    assert await held(ruling) == []


async def test_caveats_that_are_taken_out_of_force_a_second_time_are_put_there_again(guarded: Guarded) -> None:
    ruling, report, _ = guarded
    for number in (2, 3):
        await altered(ruling, "UPDATE caveat_set SET ended_at = 1")
        (entry,) = await held(ruling)
        assert (entry["detail"]["done"], entry["detail"]["put"]) == (IN_FORCE_AGAIN, number)
        assert not await reads(ruling, report)


async def test_replaced_caveats_in_the_place_of_those_in_force_are_found(make_lived: MakeLived) -> None:
    ruling, (report, first) = await make_lived(against_denmark)
    await enforce(ruling, not_to("NOR"))
    await altered(
        ruling,
        "UPDATE caveat_set SET ended_at = 1",
        f"UPDATE caveat_set SET ended_at = NULL WHERE id = '{first}'",
    )
    assert await reads(ruling, report)

    (entry,) = await held(ruling)
    assert (entry["detail"]["done"], entry["detail"]["put"]) == (IN_FORCE_AGAIN, 3)
    assert (await reads(ruling, report), await reads(ruling, report, "GBR reader")) == (False, True)


async def test_two_sets_in_force_of_one_member_refuse_its_reports_until_one_is_ended(make_lived: MakeLived) -> None:
    ruling, (report, first) = await make_lived(against_denmark)
    await enforce(ruling, not_to("NOR"))
    await altered(ruling, f"UPDATE caveat_set SET ended_at = NULL WHERE id = '{first}'")
    # Which of them would hold nobody can say.
    assert (await reads(ruling, report), await reads(ruling, report, "GBR reader")) == (False, False)

    assert [place for place, _ in await found_in(ruling)] == ["caveats GBR"]
    assert [entry["detail"]["done"] for entry in await held(ruling)] == [IN_FORCE_AGAIN]
    assert (await reads(ruling, report), await reads(ruling, report, "GBR reader")) == (False, True)


async def test_withdrawn_caveats_that_are_in_force_in_their_row_are_ended(ruling: World) -> None:
    report = await ruling.post()
    first = await enforce(ruling, not_to("NOR"))
    await withdraw(ruling)
    await altered(
        ruling,
        f"UPDATE caveat_set SET ended_at = NULL WHERE id = '{first.id}'",
        "UPDATE caveat_set SET guards = 'x' WHERE guards = ''",
    )

    assert [entry["detail"]["done"] for entry in await held(ruling)] == [IN_FORCE_AGAIN]
    assert await reads(ruling, report)


async def test_set_that_nobody_put_in_force_is_ended_and_its_members_reports_are_withheld(guarded: Guarded) -> None:
    ruling, report, _ = guarded
    weak = not_to("DNK")
    await altered(ruling, "UPDATE caveat_set SET ended_at = 1")
    digest = weak.digest("GBR")
    written_in(
        ruling, number=7, guards=weak.guards, examples=weak.examples, digest=digest, in_force_at=DAY, ended_at=None
    )
    ruling.clock.advance(timedelta(hours=1))
    await usecases.list_clients(ruling.services, ruling.call(None))
    assert await reads(ruling, report)

    assert ("caveats GBR", "no entry tells of its version 7") in await found_in(ruling)
    (entry,) = await held(ruling)
    assert (entry["detail"]["done"], entry["detail"]["put"]) == (WITHHELD, 2)
    assert not await reads(ruling, report)
    assert await held(ruling) == []


async def test_set_of_a_member_that_never_had_any_is_told_of(guarded: Guarded) -> None:
    ruling, *_ = guarded
    written_in(ruling, number=1, member="DNK")
    ruling.clock.advance(timedelta(hours=1))
    await usecases.list_clients(ruling.services, ruling.call(None))

    assert await found_in(ruling) == [("caveats DNK", "no entry tells of its version 1")]
    assert [entry["detail"]["done"] for entry in await held(ruling)] == ["nothing"]


async def test_what_a_newer_row_makes_uncertain_is_not_put_in_force(make_lived: MakeLived) -> None:
    """Its entry may be the one that was damaged: to bring back what it replaced might widen."""
    ruling, (report, _) = await make_lived(against_denmark)
    await altered(ruling, "UPDATE caveat_set SET ended_at = 1")
    written_in(ruling, number=2, in_force_at=1, ended_at=2)

    (entry,) = await held(ruling)
    assert (entry["detail"]["done"], entry["detail"]["put"]) == (WITHHELD, 3)
    assert not await reads(ruling, report)


@pytest.mark.parametrize("is_untold", [False, True])
async def test_caveats_that_were_put_in_force_while_they_were_looked_at_are_left(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, *, is_untold: bool
) -> None:
    ruling, *_ = guarded
    await altered(ruling, "UPDATE caveat_set SET ended_at = 1")
    if is_untold:
        written_in(ruling, number=7, in_force_at=DAY, ended_at=None)
        ruling.clock.advance(timedelta(hours=1))
        await usecases.list_clients(ruling.services, ruling.call(None))
    await place_entries(ruling, is_searchable=True)
    found = await looked_at_before(monkeypatch, ruling.services)
    assert sum(map(len, found)) == 1
    await enforce(ruling, not_to("DNK"))
    assert await held(ruling) == []


@pytest.mark.parametrize("value", ["x'ff'", "7"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps the types of its columns
async def test_text_that_is_none_stops_nothing_but_its_members_reports(guarded: Guarded, value: str) -> None:
    ruling, report, norwegian = guarded
    await altered(ruling, f"UPDATE caveat_set SET guards = {value}")

    assert [entry["detail"]["done"] for entry in await held(ruling)] == [WITHHELD]
    assert not await reads(ruling, report)
    assert await reads(ruling, norwegian, "GBR reader")


@pytest.mark.each_on_both
@pytest.mark.parametrize(
    "damage",
    [
        *("told = 'x'", "proposed_at = 9223372036854775807", "number = 2147483647, ended_at = 1", "act_id = 'none'"),
        *("id = 'x'", "id = x'7bff'"),
    ],
)
async def test_damaged_row_keeps_no_member_from_putting_other_caveats_in_force(
    make_lived: MakeLived, backend: str, damage: str
) -> None:
    if backend == "postgresql" and "x'7" in damage:
        pytest.skip("PostgreSQL keeps the types of its columns")
    ruling, (report, _) = await make_lived(against_denmark)
    await altered(ruling, f"UPDATE caveat_set SET {damage}")
    await enforce(ruling, not_to("NOR"))

    assert not await reads(ruling, report)
    assert await reads(ruling, report, "GBR reader")


async def test_digest_that_was_altered_while_caveats_waited_puts_nothing_in_force(ruling: World) -> None:
    made = await propose(ruling, not_to("NOR"))
    await altered(ruling, "UPDATE caveat_set SET digest = 'x'")
    attempt = await ruling.attempt(confirm(ruling, made.act))

    assert attempt.error is not None
    assert attempt.error.code == "request-altered"
