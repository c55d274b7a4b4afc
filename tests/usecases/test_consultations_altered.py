"""Consultations that somebody altered in the database: words that no entry bears out are shown to nobody."""

from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.agreements import Matter
from exchange.kernel import NotFoundError, UnavailableError
from exchange.usecases.promises import consultations, told_consultations
from tests.support.placing import place_entries
from tests.support.world import World
from tests.usecases.test_consultations import DISPUTE, listed, opened, settled

SAID = "UPDATE consultation_said SET {} WHERE consultation_id = $1 AND number = 2"
OTHER = "(SELECT id FROM consultation WHERE id <> $1)"
TABLES = ("consultation", "consultation_said")
ALTERED = {
    "other words": SAID.format("text = 'We promised nothing.'"),
    "no words": SAID.format("text = ''"),
    "settled": SAID.format("speech = 'settle'"),
    "opened": SAID.format("speech = 'open'"),
    "by another member": SAID.format("member = 'GBR'"),
    "by another client": SAID.format("client_id = (SELECT id FROM client WHERE name = 'NOR reader')"),
    "at another time": SAID.format("said_at = said_at + 1000000"),
    "of another entry": SAID.format(
        f"entry_id = (SELECT min(entry_id) FROM consultation_said WHERE consultation_id = {OTHER})"
    ),
    "of no entry": SAID.format("entry_id = id_of_none").replace("id_of_none", "consultation_id"),
    "words moved": SAID.format(f"consultation_id = {OTHER}, number = 9"),
    "words gone": "DELETE FROM consultation_said WHERE consultation_id = $1 AND number = 2",
    "all words gone": "DELETE FROM consultation_said WHERE consultation_id = $1",
    "words written in": "INSERT INTO consultation_said SELECT consultation_id, 3, member, client_id, speech, text, said_at,"
    " entry_id FROM consultation_said WHERE consultation_id = $1 AND number = 2",
    "another kind": "UPDATE consultation SET kind = 'dispute' WHERE id = $1",
    "no kind": "UPDATE consultation SET kind = 'x' WHERE id = $1",
    "others listen": """UPDATE consultation SET members = '["GBR", "NOR", "DNK"]' WHERE id = $1""",
    "its own member does not": """UPDATE consultation SET members = '["NOR"]' WHERE id = $1""",
    "nobody listens": "UPDATE consultation SET members = '[]' WHERE id = $1",
    "about a breach": "UPDATE consultation SET breach_id = id WHERE id = $1",
    "another agreement": "UPDATE consultation SET agreement_id = id WHERE id = $1",
}


async def spoken(world: World) -> Matter:
    """Have a question that was answered, and return it, beside a dispute of all."""
    matter = await opened(world)
    await usecases.answer_consultation(world.services, world.call("NOR signatory"), matter.id, "The desk was moved.")
    world.clock.advance(timedelta(seconds=1))
    await opened(world, DISPUTE)
    return matter


async def found(world: World, name: str = "GBR signatory") -> tuple[list[str], int]:
    """Return the matters that a list shows, and of how many it says that they cannot be read."""
    made = await usecases.list_consultations(world.services, world.call(name), world.agreement_id)
    return [each.id for each in made.value], made.unopened


async def failed(world: World) -> list[Any]:
    entries = [entry for entry in await world.entries() if entry["type"] == "key.opened"]
    return [entry["detail"]["place"] for entry in entries if entry["decision"] == "failed"]


@pytest.mark.parametrize("is_placed", [False, True])
async def test_what_no_entry_bears_out_is_shown_to_nobody_and_told_to_whom_it_names(
    populated: World, *, is_placed: bool
) -> None:
    matter = await spoken(populated)
    if is_placed:
        await place_entries(populated, is_searchable=True)
    (dispute,) = (await found(populated, "DNK signatory"))[0]
    rows = populated.rows_of(*TABLES)
    assert await found(populated, "NOR signatory") == ([matter.id, dispute], 0)
    for how, alter in ALTERED.items():
        assert await found(populated) == ([matter.id, dispute], 0), f"before {how}"
        populated.sql(alter, matter.id)
        # Words that went into another matter damage that as well.
        rest = [] if how == "words moved" else [dispute]
        both = [await found(populated, name) for name in ("GBR signatory", "NOR signatory")]
        assert both == [(rest, 2 - len(rest))] * 2, how
        # Who has no part in it learns nothing of it: neither what was said nor that there is any.
        assert await found(populated, "DNK signatory") == (rest, 1 - len(rest)), how
        refused = await populated.attempt(settled(populated, "GBR signatory", matter))
        assert isinstance(refused.error, NotFoundError), how
        put_back(populated, rows)

    assert set(await failed(populated)) == {f"consultation {each}" for each in (matter.id, dispute)}
    assert (await settled(populated, "GBR signatory", matter)).said[1].text == "The desk was moved."


def put_back(world: World, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    """Have the rows be as they were."""
    for name in reversed(TABLES):
        world.sql(f"DELETE FROM {name}")
    for name in TABLES:
        for row in rows[name]:
            marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
            world.sql(f"INSERT INTO {name} VALUES ({marks})", *row)


@pytest.mark.parametrize("is_placed", [False, True])
async def test_matter_that_is_gone_or_was_made_up_is_told(populated: World, *, is_placed: bool) -> None:
    matter = await spoken(populated)
    if is_placed:
        await place_entries(populated, is_searchable=True)
    (dispute,) = (await found(populated, "DNK signatory"))[0]
    populated.sql("DELETE FROM consultation_said WHERE consultation_id = $1", matter.id)
    populated.sql("DELETE FROM consultation WHERE id = $1", matter.id)
    made_up = matter.id[:-4] + "0000"
    populated.sql("INSERT INTO consultation SELECT $1, agreement_id, kind, members, NULL FROM consultation", made_up)
    populated.sql(
        "INSERT INTO consultation_said SELECT $1, number, member, client_id, speech, text, said_at, entry_id"
        " FROM consultation_said",
        made_up,
    )

    assert await found(populated) == ([dispute], 1)
    assert await found(populated, "DNK signatory") == ([dispute], 0)
    rows = [entry["detail"]["rows"] for entry in await populated.entries() if entry["type"] == "key.opened"]
    assert rows[0] == sorted([f"consultation {made_up}", f"consultation {matter.id}"])


@pytest.mark.parametrize("when", ["before the log is read", "after it was"])
async def test_what_is_said_while_others_look_is_no_damage(
    populated: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The log has it and the rows that were read have not, or the other way round; nor does who looks keep it waiting."""
    matter, told, said = await spoken(populated), told_consultations.told_of_matters, list[str]()

    async def meanwhile(*asked: Any) -> Any:
        first = None if when == "before the log is read" else await told(*asked)
        if not said:
            said.append(matter.id)
            await settled(populated, "GBR signatory", matter)
        return await told(*asked) if first is None else first

    for module in (consultations, told_consultations):
        monkeypatch.setattr(module, "told_of_matters", meanwhile)
    shown, unopened = await found(populated)

    assert (matter.id in shown, unopened) == (True, 0)
    assert await failed(populated) == []


async def test_while_the_log_cannot_be_read_nothing_is_said_to_have_been_said(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    matter = await spoken(populated)
    monkeypatch.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)

    for act in (listed(populated, "GBR signatory"), settled(populated, "GBR signatory", matter)):
        with pytest.raises(UnavailableError, match="to see what was said"):
            await act
