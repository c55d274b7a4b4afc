"""Breaches that somebody wrote into the database, or altered there: shown and told as the log bears them out, or not."""

import json
from collections.abc import Awaitable

import pytest

from exchange import usecases
from exchange.agreements import MatterKind
from exchange.kernel import InvalidError, UnavailableError, canonical_bytes, new_id
from exchange.store import BreachRow
from exchange.usecases import DutyWatch, NewMatter
from exchange.usecases.promises import told_breaches
from exchange.usecases.promises.telling_breaches import told_breach
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.world import Entry, World
from tests.usecases.test_breaches import DAY, MINUTE, OPEN, flash, found

_COLUMNS = "id, agreement_id, kind, party, owed_to, scope, subject, label, due_at, found_at"


def _copied(**changed: str) -> str:
    """Return what writes another row like the one of an acknowledgement, with some columns of another value."""
    values = ", ".join(changed.get(name, name) for name in _COLUMNS.split(", "))
    return f"INSERT INTO duty_breach ({_COLUMNS}) SELECT {values} FROM duty_breach WHERE id = $1"


ALTERED = {
    "due_at": "UPDATE duty_breach SET due_at = due_at - 60000000 WHERE id = $1",
    "found_at": "UPDATE duty_breach SET found_at = found_at - 60000000 WHERE id = $1",
    "long ago": "UPDATE duty_breach SET found_at = -62000000000000000 WHERE id = $1",
    "scope": "UPDATE duty_breach SET scope = 'other' WHERE id = $1",
    "roles": "UPDATE duty_breach SET party = owed_to, owed_to = party WHERE id = $1",
    "label": "UPDATE duty_breach SET label = replace(label, 'SECRET', 'RESTRICTED') WHERE id = $1",
    "kind": "UPDATE duty_breach SET kind = 'report' WHERE id = $1",
    "report": "UPDATE duty_breach SET subject = id WHERE id = $1",
    "id": "UPDATE duty_breach SET id = $2 WHERE id = $1",
}
WRITTEN = {
    "another": _copied(id="$2", party="'GBR'", owed_to="'NOR'"),
    # Under the id of one that there is.
    "of the same id": _copied(party="'GBR'", owed_to="'NOR'"),
}


async def broken(world: World) -> tuple[str, str]:
    """Let NOR leave two of GBR's reports unacknowledged; return the breach to alter, and the other one."""
    await world.agree(OPEN)
    world.clock.advance(MINUTE)
    for _ in range(2):
        await flash(world)
    world.clock.advance(11 * MINUTE)
    await DutyWatch(world.services).round()
    first, second = [entry["detail"]["breach"] for entry in await found(world)]
    return first, second


async def shown(world: World) -> list[str]:
    made = await usecases.list_breaches(world.services, world.call("NOR signatory"), world.agreement_id)
    return [row.id for row in made.value.rows]


async def told(world: World, breach: str) -> bool:
    return await told_breach(world.services, world.call("NOR reader"), breach, by={}) is not None


@pytest.mark.parametrize("is_placed", [False, True])
async def test_breach_that_no_entry_bears_out_is_neither_shown_nor_told_and_on_record(
    make_lived: MakeLived, subtests: pytest.Subtests, *, is_placed: bool
) -> None:
    world, (breach, other) = await make_lived(broken)
    if is_placed:
        await place_entries(world, is_searchable=True)
    put_back = kept_rows(world, {"duty_breach": ("number",)})
    fresh = new_id(world.clock.now, world.services.randomness)
    for name, alter in {**ALTERED, **WRITTEN}.items():
        world.unguard("duty_breach")
        world.sql(alter, breach, *([fresh] if "$2" in alter else []))
        listed = await world.attempt(
            usecases.list_breaches(world.services, world.call("NOR signatory"), world.agreement_id)
        )
        which = fresh if "$2" in alter else breach
        telling = await world.attempt(told(world, which))
        is_other_told = await told(world, other)
        put_back()

        with subtests.test(name):
            left = [breach, other] if name in WRITTEN else [other]
            assert ([row.id for row in listed.value.value.rows], listed.value.unopened) == (left, 1)
            (recorded,) = [entry for entry in listed.entries if entry["type"] == "key.opened"]
            assert (recorded["decision"], recorded["detail"]["rows"]) == ("failed", [f"breach {which}"])
            assert is_other_told
            # Of two with one id, either is looked at.
            if name != "of the same id":
                # Nobody is told of one whose report is not there, whatever else is the matter.
                on_record = [] if name == "report" else ["key.opened"]
                assert (telling.value, [entry["type"] for entry in telling.entries]) == (False, on_record)

    assert (await shown(world), await told(world, breach)) == ([breach, other], True)


async def test_who_is_not_cleared_for_an_altered_breach_or_not_of_the_two_is_not_told_that_there_is_one(
    make_lived: MakeLived,
) -> None:
    world, (breach, _) = await make_lived(broken)
    await world.enrol("NOR low signatory", "NOR", "signatory", level="RESTRICTED")
    world.unguard("duty_breach")
    world.sql(ALTERED["label"], breach)

    names = ("GBR signatory", "NOR signatory", "NOR low signatory", "DNK signatory")
    unopened = [
        (await usecases.list_breaches(world.services, world.call(name), world.agreement_id)).unopened for name in names
    ]
    assert unopened == [1, 1, 0, 0]


async def test_silence_is_borne_out_and_one_that_was_altered_is_not(make_lived: MakeLived) -> None:
    world, _ = await make_lived(broken)
    world.clock.advance(DAY)
    await DutyWatch(world.services).round()
    silences = [each[0] for each in world.sql("SELECT id FROM duty_breach WHERE kind = 'report' AND owed_to = 'NOR'")]
    before = await shown(world)
    world.unguard("duty_breach")
    world.sql("UPDATE duty_breach SET due_at = due_at + 1 WHERE kind = 'report'")

    assert [each for each in before if each not in await shown(world)] == silences


async def test_breaches_are_shown_as_they_are_where_the_archive_lacks_what_the_log_says_of_them(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, breaches = await make_lived(broken)

    async def away(*_: object) -> None:
        raise UnavailableError("the archive lacks a bundle")

    monkeypatch.setattr(told_breaches, "_told", away)
    assert await shown(world) == list(breaches)


async def test_breaches_are_not_shown_while_too_much_waits_to_be_asked(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = await make_lived(broken)
    monkeypatch.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)

    with pytest.raises(UnavailableError, match="who broke a promise"):
        await shown(world)


async def test_log_is_asked_once_for_a_page_of_breaches(make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch) -> None:
    world, breaches = await make_lived(broken)
    ask, asked = told_breaches._told, []

    async def counted(services: usecases.Services, rows: list[BreachRow]) -> dict[str, Entry]:
        asked.append([row.id for row in rows])
        return await ask(services, rows)

    monkeypatch.setattr(told_breaches, "_told", counted)
    assert (await shown(world), asked) == (list(breaches), [list(breaches)])


async def test_nothing_is_opened_about_a_breach_that_no_entry_bears_out(make_lived: MakeLived) -> None:
    world, (breach, other) = await make_lived(broken)
    world.unguard("duty_breach")
    world.sql(ALTERED["due_at"], breach)

    def opened(about: str) -> Awaitable[object]:
        new = NewMatter(MatterKind.DISPUTE, "We did acknowledge it.", ("GBR",), about)
        return usecases.open_consultation(world.services, world.call("NOR signatory"), world.agreement_id, new)

    with pytest.raises(InvalidError) as refused:
        await opened(breach)
    assert [fault.code for fault in refused.value.faults] == ["unknown-breach"]
    await opened(other)


@pytest.mark.parametrize("is_placed", [False, True], ids=["waiting", "placed"])
async def test_entry_that_somebody_wrote_in_another_shape_ends_no_list_and_no_watch(
    make_lived: MakeLived, *, is_placed: bool
) -> None:
    world, (breach, other) = await make_lived(broken)
    ((content,),) = [row for row in world.sql("SELECT content FROM audit_entry") if b'"' + breach.encode() in row[0]]
    entry = json.loads(content)
    fresh = new_id(world.clock(), world.services.randomness)
    shapes = (("label", {}), ("", {"due": "soon"}), ("", {"due": None}), ("scope", {}), ("detail", {}))
    for without, detail in (*shapes, ("label", {"breach": fresh})):
        forged = {
            **entry,
            "id": new_id(world.clock(), world.services.randomness),
            "detail": {**entry["detail"], **detail},
        }
        forged["detail"] = {name: value for name, value in forged["detail"].items() if value is not None}
        told = canonical_bytes({name: value for name, value in forged.items() if name != without})
        world.sql("INSERT INTO audit_entry (id, content) VALUES ($1, $2)", forged["id"], told)
        world.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", forged["id"])
    if is_placed:
        await place_entries(world, is_searchable=True)

    assert await shown(world) == [breach, other]
    await flash(world)
    world.clock.advance(11 * MINUTE)
    await DutyWatch(world.services).round()
    assert len(await shown(world)) == 3
    await RowWatch(world.services).round()
