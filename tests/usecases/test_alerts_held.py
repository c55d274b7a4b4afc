"""Alerts held against the log: what the database's owner makes of them is told, and shown to nobody."""

from datetime import timedelta
from typing import Any

import pytest

from exchange.usecases.log.sweep_log import Index
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.alerted_world import AlertedWorld
from tests.usecases import test_alerts
from tests.usecases.test_alerts import pull_some

alerted = test_alerts.alerted


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("DELETE FROM alert", "its row is gone"),
        ("UPDATE alert SET severity = 'low'", "`severity` in version 0 is another"),
        ("UPDATE alert SET member = 'NOR'", "`member` in version 0 is another"),
        (
            "UPDATE alert SET entry_id = (SELECT min(id) FROM audit_entry WHERE id <> entry_id)",
            "`entry` in version 0 is another",
        ),
    ],
)
async def test_alert_that_was_taken_away_or_altered_is_told(alerted: AlertedWorld, change: str, why: str) -> None:
    await pull_some(alerted)
    await alerted.settle()
    ((alert,),) = alerted.world.sql("SELECT id FROM alert")
    assert await told_by_jobs(alerted) == []
    # What is to be sent hangs on the row.
    alerted.world.sql("DELETE FROM alert_delivery")

    alerted.world.sql(change)
    (entry,) = await told_by_jobs(alerted)

    assert entry["object"] == {"type": "alert", "id": alert}
    assert why in entry["detail"]["why"]
    assert await told_by_jobs(alerted) == [], "once, while it stays so"


async def test_alert_is_shown_as_its_entry_has_it(alerted: AlertedWorld) -> None:
    await pull_some(alerted)
    await alerted.settle()
    before = (await alerted.seen_by("auditor")).items
    assert len(before) == 1
    alerted.world.sql("UPDATE alert SET severity = 'low', kind = 'x', subject_id = 'y', evidence = '[]', raised_at = 1")

    assert (await alerted.seen_by("auditor")).items == before


async def test_row_that_names_another_entry_shows_nothing_of_it(alerted: AlertedWorld) -> None:
    await pull_some(alerted)
    await alerted.settle()
    alerted.world.sql("UPDATE alert SET entry_id = (SELECT min(id) FROM audit_entry WHERE id <> entry_id)")

    assert (await alerted.seen_by("auditor")).items == ()


async def test_entry_of_an_alert_that_was_taken_out_of_the_tree_and_rewritten_is_not_believed(
    alerted: AlertedWorld,
) -> None:
    """It looked like one that waits for its place."""
    await pull_some(alerted)
    await alerted.settle()
    assert len((await alerted.seen_by("auditor")).items) == 1
    await alerted.log.step()
    ((entry_id, content),) = alerted.world.sql(
        "SELECT id, content FROM audit_entry WHERE id = (SELECT entry_id FROM alert)"
    )
    altered = bytes(content).replace(b'"high"', b'"low"')
    alerted.world.unguard("audit_entry")
    alerted.world.unguard("log_leaf")
    alerted.world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", altered, entry_id)
    alerted.world.sql("DELETE FROM log_leaf WHERE entry_id = $1", entry_id)

    assert altered != content
    assert (await alerted.seen_by("auditor")).items == ()


async def test_what_waits_is_looked_through_once_for_all_alerts_and_for_none_that_have_their_place(
    alerted: AlertedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing there is found by an entry's id: a look for each alert would be as many walks through a million."""
    await pull_some(alerted)
    await alerted.settle()
    columns = "rule, kind, severity, subject_kind, subject_id, member, owner, raised_at, entry_id, evidence"
    alerted.world.sql(f"INSERT INTO alert (number, id, {columns}) SELECT number + 9, 'x', {columns} FROM alert")
    reader, looks = alerted.world.services.store.alerts, list[str]()
    fetch = reader._fetch

    async def noted(statement: Any, parameters: Any) -> Any:
        if "audit_outbox" in statement.sql:
            looks.append(statement.sql)
        return await fetch(statement, parameters)

    monkeypatch.setattr(reader, "_fetch", noted)

    assert len(await reader.page(after=0, limit=9, rule=None, member=None)) == 2
    assert [look for look in looks if "FROM alert" not in look] == looks
    assert len(looks) == 1
    await alerted.log.step()
    assert [bool(content) for _, content in await reader.page(after=0, limit=9, rule=None, member=None)] == [True] * 2
    assert len(looks) == 1


async def test_size_of_less_than_nothing_ends_no_search(alerted: AlertedWorld) -> None:
    await pull_some(alerted)
    await alerted.settle()
    alerted.world.unguard("log_state")
    alerted.world.sql("UPDATE log_state SET size = -1")

    assert not await Index(alerted.log.tree).chunk()


@pytest.mark.parametrize("number", [2**62, 2**63 - 1])
async def test_number_that_no_log_has_keeps_no_alert_from_being_raised_and_fills_no_log(
    alerted: AlertedWorld, number: int
) -> None:
    """Else each round, one behind the other, would set the position back once more, on the record."""
    alerted.world.unguard("log_state")
    alerted.world.sql(f"UPDATE log_state SET log = {number}, frozen_why = 'it was changed'")
    alerted.world.clock.advance(timedelta(seconds=6))

    async def rounds() -> list[bool]:
        return [await alerted.watch.round() for _ in range(4)]

    made = await alerted.world.attempt(rounds())

    assert not made.value[-1]
    assert [entry["type"] for entry in made.entries].count("row.contradicted") <= 1
    assert await alerted.rules_told() == ["frozen"]


async def told_by_jobs(alerted: AlertedWorld) -> list[dict[str, Any]]:
    """Let the jobs hold the rows against the log; return the entries that this makes."""
    await alerted.settle()
    index = Index(alerted.log.tree)
    while await index.chunk():
        continue
    made = await alerted.world.attempt(RowWatch(alerted.world.services).round())
    assert made.error is None
    return [entry for entry in made.entries if entry["type"] == "row.contradicted"]
