"""One entry of the log that is damaged takes no other one from auditors, and shows nothing of itself to anybody."""

import re
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import Criteria, parse_entry
from exchange.kernel import NotFoundError, UnavailableError, new_id, parse_rfc3339, rfc3339
from exchange.members import Standing
from exchange.store.log.archived import LogDamagedError
from exchange.usecases import EntryQuery
from exchange.usecases.log.read_log import prove_entry
from exchange.usecases.members.clients import change_standing
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.alerted_world import AlertedWorld
from tests.support.placing import place_entries
from tests.support.world import NOW, World
from tests.usecases import test_alerts
from tests.usecases.test_alerts import pull_some
from tests.usecases.test_rows_held import held

alerted = test_alerts.alerted

ABSENT = new_id(NOW, bytes)


def damage(world: World, *entries: str, how: str = "destroyed") -> None:
    """Destroy entries, take their leaves away, or date them earlier: entries still, and not those in the tree."""
    world.unguard()
    world.unguard("log_leaf")
    for entry in entries:
        if how == "unplaced":
            world.sql("DELETE FROM log_leaf WHERE entry_id = $1", entry)
            continue
        ((content,),) = world.sql("SELECT content FROM audit_entry WHERE id = $1", entry)
        earlier = rfc3339(parse_rfc3339(parse_entry(bytes(content))["ts"]) - timedelta(seconds=1))
        altered = re.sub(rb'"ts":"[^"]+"', f'"ts":"{earlier}"'.encode(), bytes(content))
        assert parse_entry(altered)["ts"] == earlier
        altered = altered if how == "altered" else b"not an entry"
        world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", altered, entry)


@pytest.mark.parametrize("how", ["destroyed", "altered", "unplaced"])
async def test_damaged_entry_keeps_no_auditor_from_the_others(
    populated: World, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    await populated.enrol("GBR auditor", "GBR", "auditor")
    report = await populated.post()
    one, other = [
        (await usecases.pull_report(populated.services, populated.call(name), report)).receipt.entry
        for name in ("GBR reader", "NOR reader")
    ]
    await place_entries(populated, is_searchable=True)
    (law,) = [entry["id"] for entry in await populated.entries() if entry["type"] == "policy.changed"]
    damage(populated, one, law, how=how)
    services, call = populated.services, populated.call("GBR auditor")

    found = (await usecases.search_entries(services, call, EntryQuery())).value.items
    assert {one, other, law}.intersection(entry.receipt.entry for entry in found) == {other}
    lines = (await usecases.report_registry(services, call, report)).value.lines
    assert [line.view.fields["type"] for line in lines] == ["report.posted", "report.distributed", "report.read"]
    readers = (await usecases.readers_on(services, call, report, NOW)).value
    assert [(each.entry, each.count) for each in readers.did] == [(other, 1)]
    assert readers.laws == ()
    assert "damaged or gone" in caplog.text


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps the types of its columns
async def test_id_that_is_no_text_keeps_no_auditor_from_the_others(populated: World) -> None:
    report = await populated.post()
    one, other = [
        (await usecases.pull_report(populated.services, populated.call("NOR reader"), report)).receipt.entry
        for _ in range(2)
    ]
    await place_entries(populated, is_searchable=True)
    populated.unguard()
    populated.sql("UPDATE audit_search SET id = x'61ff' WHERE id = $1", one)

    found = (await usecases.search_entries(populated.services, populated.call("auditor"), EntryQuery())).value.items

    assert {one, other}.intersection(entry.receipt.entry for entry in found) == {other}


@pytest.mark.parametrize("how", ["destroyed", "altered", "unplaced"])
async def test_damaged_entry_is_nobodys(populated: World, caplog: pytest.LogCaptureFixture, how: str) -> None:
    report = await populated.post()
    receipt = (await usecases.pull_report(populated.services, populated.call("NOR reader"), report)).receipt
    await place_entries(populated, is_searchable=True)
    damage(populated, receipt.entry, how=how)

    for name, act in (("auditor", usecases.show_entry), ("auditor", prove_entry), ("NOR reader", prove_entry)):
        caplog.clear()
        made = await populated.attempt(act(populated.services, populated.call(name), receipt.entry))
        assert isinstance(made.error, NotFoundError)
        assert (made.entry["type"], made.entry["decision"]) == ("audit.read", "refused")
        assert "damaged or gone" in caplog.text

    # Once it waits for a place again, as the sweep has it, it is shown, and its proof is to be asked for again.
    if how == "unplaced":
        populated.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", receipt.entry)
        assert await usecases.show_entry(populated.services, populated.call("auditor"), receipt.entry)


@pytest.mark.parametrize("is_away", [True, False])
async def test_archived_entry_is_read_for_those_alone_whom_it_may_concern(
    populated: World, monkeypatch: pytest.MonkeyPatch, *, is_away: bool
) -> None:
    """To others it is absent, at the cost of what never was: nothing of the archive is read, and its state not told."""
    for member in ("NOR", "GBR", "DNK", "ESP"):
        await populated.enrol(f"{member} auditor", member, "auditor")
    report = await populated.post()
    read = (await usecases.pull_report(populated.services, populated.call("NOR reader"), report)).receipt.entry
    stranger = await populated.attempt(usecases.describe_caller(populated.services, populated.call("late desk")))
    await place_entries(populated, is_searchable=True)
    await populated.enrol("late desk", "NOR", "reader")
    signed = next(entry["id"] for entry in await populated.entries() if entry["type"] == "agreement.signed")
    told = {each: await populated.services.store.entry(each) for each in (read, signed, stranger.entry["id"])}
    populated.unguard()
    for each in told:
        populated.sql("DELETE FROM audit_entry WHERE id = $1", each)
    asked: list[str] = []

    async def named(entry_ids: list[str]) -> dict[str, bytes | None]:
        asked.extend(entry_ids)
        if is_away:
            raise UnavailableError("the archive is away")
        return {each: told[each] for each in entry_ids}

    monkeypatch.setattr(populated.services.store.log.archived, "named", named)

    async def outcome(name: str, act: Any, entry: str) -> str | bool:
        asked.clear()
        made = await populated.attempt(act(populated.services, populated.call(name), entry))
        assert bool(asked) is not isinstance(made.error, NotFoundError)
        return getattr(made.error, "message", True)

    given = "the archive is away" if is_away else True
    for name in ("NOR reader", "NOR auditor", "GBR auditor", "auditor"):
        assert await outcome(name, prove_entry, read) == given
    for name in ("NOR auditor", "GBR auditor", "auditor"):
        assert await outcome(name, usecases.show_entry, read) == given
    for name in ("GBR reader", "DNK auditor", "operator"):
        assert await outcome(name, prove_entry, read) == await outcome(name, prove_entry, ABSENT)
    assert await outcome("DNK auditor", usecases.show_entry, read) == await outcome(
        "DNK auditor", usecases.show_entry, ABSENT
    )
    # What one party did is for the auditors of all of them.
    for name in ("NOR auditor", "GBR auditor", "DNK auditor"):
        assert await outcome(name, usecases.show_entry, signed) == given
    assert await outcome("ESP auditor", usecases.show_entry, signed) == await outcome(
        "ESP auditor", usecases.show_entry, ABSENT
    )
    assert await outcome("late desk", prove_entry, stranger.entry["id"]) == given
    assert await outcome("NOR reader", prove_entry, stranger.entry["id"]) == "no such part of the log"
    # What nothing finds any more may be anybody's.
    populated.sql("DELETE FROM audit_search WHERE id = $1", read)
    assert await outcome("NOR reader", prove_entry, read) == given


@pytest.mark.parametrize("how", ["destroyed", "altered"])
async def test_damaged_entry_of_an_alert_takes_no_other_alert_from_the_list(alerted: AlertedWorld, how: str) -> None:
    await pull_some(alerted)
    await alerted.settle()
    await pull_some(alerted, "NOR reader")
    await alerted.settle()
    before = (await alerted.seen_by("auditor")).items
    damage(alerted.world, before[0].entry_id, how=how)

    assert before[1:]
    assert (await alerted.seen_by("auditor")).items == before[1:]


@pytest.mark.parametrize("behind", [1_000_000, 2**61, 2**63 - 1])
async def test_place_written_behind_the_log_s_end_hides_nothing_that_comes_from_the_search(
    populated: World, behind: int
) -> None:
    """Else one row, written once, would hide from all searches whatever is done from then on."""
    await place_entries(populated, is_searchable=True)
    rest = "at_micros, node, boot, node_seq, event, outcome, actor_kind, request_id, source"
    populated.sql(
        f"INSERT INTO audit_search (log, position, id, {rest}) SELECT log, {behind}, 'x', {rest} FROM audit_search"
        " WHERE position = 0"
    )
    services, reader = populated.services, populated.clients["NOR reader"]
    await change_standing(services, populated.call(None), reader.id, Standing.REVOKED)
    (waiting,) = [entry["id"] for entry in await populated.entries() if entry["type"] == "client.revoked"]

    assert any(waiting.encode() in content for content in await services.store.waiting_entries())
    await place_entries(populated, is_searchable=True)
    asked = EntryQuery(criteria=Criteria(event="client.revoked"))
    found = (await usecases.search_entries(services, populated.call("auditor"), asked)).value.items
    assert [entry.receipt.entry for entry in found] == [waiting]
    # Nor does who puts the row back as it was before.
    populated.sql("DELETE FROM client WHERE id = $1 AND superseded_at IS NULL", reader.id)
    populated.sql("UPDATE client SET superseded_at = NULL WHERE id = $1", reader.id)
    assert reader.id in {entry["object"]["id"] for entry in await held(populated)}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["'x'", "7", "1000000000000", "CAST(x'7bff' AS TEXT)", "zeroblob(3)"])
async def test_what_is_no_hash_of_an_entry_keeps_no_other_from_being_told(populated: World, value: str) -> None:
    await place_entries(populated, is_searchable=True)
    populated.unguard("log_leaf")
    one = "(SELECT max(position) FROM audit_search WHERE event = 'client.enrolled')"
    ((entry,),) = populated.sql(f"SELECT entry_id FROM log_leaf WHERE position = {one}")
    populated.sql(f"UPDATE log_leaf SET leaf_hash = {value} WHERE position = {one}")
    reader = populated.clients["NOR reader"].id
    populated.sql("UPDATE client SET nationality = 'GBR' WHERE id = $1", reader)

    await place_entries(populated, is_searchable=True)
    made = await populated.attempt(RowWatch(populated.services).round())
    assert isinstance(made.error, LogDamagedError)  # it says what the log lacks, once all else is held
    assert reader in {each["object"]["id"] for each in made.entries if each["type"] == "row.contradicted"}
    with pytest.raises(NotFoundError):
        await prove_entry(populated.services, populated.call("auditor"), entry)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("place", ["'x'", "x'ff'", "CAST(x'7bff' AS TEXT)", "9223372036854775807"])
async def test_what_is_no_place_in_the_log_keeps_nothing_from_being_found(populated: World, place: str) -> None:
    await place_entries(populated, is_searchable=True)
    populated.unguard("log_leaf")
    populated.sql(f"INSERT INTO log_leaf (log, position, entry_id, leaf_hash) VALUES (1, {place}, 'x', zeroblob(32))")
    services, reader = populated.services, populated.clients["NOR reader"]
    await change_standing(services, populated.call(None), reader.id, Standing.REVOKED)
    await place_entries(populated, is_searchable=True)

    asked = EntryQuery(criteria=Criteria(event="client.revoked"))
    assert len((await usecases.search_entries(services, populated.call("auditor"), asked)).value.items) == 1
