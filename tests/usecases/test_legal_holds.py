"""Legal holds: put and lifted on the record, and gone by on every node; of a log that cannot be read one is on."""

import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.kernel import InvalidError, NotFoundError, canonical_bytes, new_id
from exchange.store.log.last_signed import LastSignedFile
from exchange.usecases import Services
from exchange.usecases.steps.context import Witnessing
from exchange.usecases.upkeep.legal_holds import holds_on, lift_hold, put_hold
from exchange.usecases.upkeep.rounds_of_time import RoundsOfTime
from tests.support.placing import place_entries
from tests.support.uploading import LARGE, awaited, begun
from tests.support.world import AGREEMENT, World

BRIEFLY = AGREEMENT.replace("retention: P5Y", "retention: P2D")


@pytest.fixture(autouse=True)
def _believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days go by in leaps here."""

    async def believes(_: Services) -> bool:
        return True

    monkeypatch.setattr("exchange.usecases.upkeep.rounds_of_time.believes_clock", believes)


async def round_of(rounds: RoundsOfTime) -> None:
    await rounds.reports()
    await rounds.uploads()


def write_waiting(world: World, entry_id: str, *without: str, **others: str) -> None:
    """Write an entry that waits for its place into the database: another one, without something of it or with other."""
    ((content,),) = world.sql("SELECT content FROM audit_entry WHERE id = $1", entry_id)
    forged = {**json.loads(content), **others, "id": new_id(world.clock(), world.services.randomness)}
    told = canonical_bytes({name: value for name, value in forged.items() if name not in without})
    world.sql("INSERT INTO audit_entry (id, content) VALUES ($1, $2)", forged["id"], told)
    world.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", forged["id"])


@pytest.mark.parametrize("is_placed", [False, True], ids=["waiting", "placed"])
async def test_hold_put_on_one_node_keeps_what_another_one_would_destroy(populated: World, *, is_placed: bool) -> None:
    await populated.agree(BRIEFLY)
    await populated.post()
    await begun(populated, awaited(LARGE))
    holds = []
    for why in ("inquiry 17", " suit "):
        holds.append((await put_hold(populated.services, populated.call(None), why)).value)
        populated.clock.advance(timedelta(seconds=1))
    if is_placed:
        await place_entries(populated, is_searchable=True)

    async with populated.another_node() as jobs:
        rounds = RoundsOfTime(jobs)
        for _ in range(4):
            populated.clock.advance(timedelta(days=1))
            held = await populated.attempt(round_of(rounds))
            assert not held.entries
        assert [(each.id, each.reason) for each in await holds_on(jobs)] == [
            (holds[0].id, "inquiry 17"),
            (holds[1].id, "suit"),
        ]

        # Each is lifted by itself; the last one lets go.
        for hold in holds:
            assert not (await populated.attempt(round_of(rounds))).entries
            lifted = await populated.attempt(lift_hold(populated.services, populated.call(None), hold.id, "closed"))
            assert (lifted.entry["type"], lifted.entry["object"]["id"]) == ("hold.lifted", hold.id)
            assert lifted.entry["detail"] == {"reason": "closed"}
            # What is not on record yet can be taken away again.
            assert not (await populated.attempt(round_of(rounds))).entries
            await place_entries(populated, is_searchable=True)
        assert await holds_on(jobs) == []
        done = await populated.attempt(round_of(rounds))

    assert {entry["type"] for entry in done.entries} >= {"report.ended", "upload.abandoned"}


@pytest.mark.parametrize("gone_back", ["restored", "frozen", "damaged file"])
async def test_in_a_database_of_an_earlier_time_nothing_is_destroyed_or_declassified(
    populated: World, gone_back: str
) -> None:
    # What is on may have been put since, and what is to be declassified may not be any more.
    await populated.agree(BRIEFLY)
    await populated.post(declassify_on=populated.clock().date() + timedelta(days=1))
    await begun(populated, awaited(LARGE))
    file = populated.folder / "last-signed.json"
    populated.services = replace(populated.services, witnessing=Witnessing(last_signed=LastSignedFile(file)))
    if gone_back == "damaged file":
        file.write_text("{")
    elif gone_back == "restored":
        populated.sql("INSERT INTO restore_claim (id, kind, subject, told) VALUES ('unknown-acts', 'x', '', 'x')")
    else:
        await place_entries(populated, is_searchable=True)
        populated.sql("UPDATE log_state SET frozen_why = 'an older one'")
    rounds = RoundsOfTime(populated.services)

    populated.clock.advance(timedelta(days=1))
    for _ in range(3):
        held = await populated.attempt(round_of(rounds))
        # All else of a round is done.
        assert (held.error, held.entries) == (None, [])
        populated.clock.advance(timedelta(days=1))
    populated.sql("UPDATE restore_claim SET confirmed_at = 1")
    populated.sql("UPDATE log_state SET frozen_why = NULL")
    file.unlink(missing_ok=True)
    done = await populated.attempt(round_of(rounds))
    assert {entry["type"] for entry in done.entries} >= {"report.ended", "upload.abandoned"}


async def test_hold_is_not_lifted_by_what_is_no_entry_nor_by_one_that_says_that_it_was_refused(world: World) -> None:
    held = await put_hold(world.services, world.call(None), "inquiry 17")
    write_waiting(world, held.receipt.entry, type="hold.lifted", decision="refused")
    world.sql("INSERT INTO audit_entry (id, content) VALUES ('x', $1)", b'{"type":"hold.lifted"}')

    assert [each.id for each in await holds_on(world.services)] == [held.value.id]


async def test_only_a_hold_that_is_on_is_lifted_and_nothing_without_a_reason(world: World) -> None:
    host = world.call(None)
    hold, _ = [(await put_hold(world.services, host, why)).value for why in ("inquiry 17", "another one")]
    for act in (put_hold(world.services, host, " "), lift_hold(world.services, host, hold.id, "")):
        refused = await world.attempt(act)
        assert (type(refused.error), refused.entries) == (InvalidError, [])
    await lift_hold(world.services, host, hold.id, "closed")

    for gone in (hold.id, new_id(world.clock(), world.services.randomness)):
        with pytest.raises(NotFoundError, match="exchange hold list"):
            await lift_hold(world.services, host, gone, "closed")


@pytest.mark.parametrize("taken", ["its row", "its event", "its place", "its position", "the rows of all"])
async def test_hold_is_known_as_long_as_the_log_has_its_entry(populated: World, taken: str) -> None:
    await populated.agree(BRIEFLY)
    await populated.post()
    host = populated.call(None)
    held = await put_hold(populated.services, host, "inquiry 17")
    await place_entries(populated, is_searchable=True)
    if taken == "its event":
        populated.sql("UPDATE audit_search SET event = 'report.read', facet = '|x|x|' WHERE event = 'hold.put'")
    elif taken == "its position":
        populated.sql("DELETE FROM audit_search WHERE position = 0")
        populated.sql("UPDATE audit_search SET position = 0 WHERE event = 'hold.put'")
    else:
        which = "" if taken == "the rows of all" else " WHERE event = 'hold.put'"
        populated.sql(f"DELETE FROM audit_search{which}")
    if taken == "its place":
        populated.unguard("log_leaf")
        populated.sql("DELETE FROM log_leaf WHERE entry_id = $1", held.receipt.entry)
    populated.clock.advance(timedelta(days=4))

    # A process that begins afterwards has seen nothing.
    await RoundsOfTime(populated.services).reports()

    assert populated.sql("SELECT status FROM report") == [("current",)]
    assert [each.id for each in await holds_on(populated.services)] == [held.value.id]
    assert (await lift_hold(populated.services, host, held.value.id, "closed")).value.id == held.value.id
    await place_entries(populated)
    await RoundsOfTime(populated.services).reports()
    assert populated.sql("SELECT status FROM report") != [("current",)]


async def test_hold_whose_lifting_the_log_lacks_is_on_and_can_be_lifted_again(populated: World) -> None:
    await populated.agree(BRIEFLY)
    await populated.post()
    host = populated.call(None)
    hold = (await put_hold(populated.services, host, "inquiry 17")).value.id
    lifted = await lift_hold(populated.services, host, hold, "closed")
    await place_entries(populated, is_searchable=True)
    populated.unguard()
    populated.sql("DELETE FROM audit_entry WHERE id = $1", lifted.receipt.entry)
    rounds = RoundsOfTime(populated.services)
    populated.clock.advance(timedelta(days=4))
    await rounds.reports()

    assert populated.sql("SELECT status FROM report") == [("current",)]
    assert [each.id for each in await holds_on(populated.services)] == [hold]
    await lift_hold(populated.services, host, hold, "closed")
    await place_entries(populated, is_searchable=True)
    await rounds.reports()
    assert populated.sql("SELECT status FROM report") != [("current",)]


async def test_one_that_somebody_wrote_without_what_it_says_is_on_and_can_be_lifted(populated: World) -> None:
    await populated.agree(BRIEFLY)
    await populated.post()
    host = populated.call(None)
    held = await put_hold(populated.services, host, "inquiry 17")
    write_waiting(populated, held.receipt.entry, "object", "detail")
    write_waiting(populated, held.receipt.entry, "object", "detail", type="hold.lifted")
    await place_entries(populated, is_searchable=True)
    rounds = RoundsOfTime(populated.services)
    populated.clock.advance(timedelta(days=4))

    found = await holds_on(populated.services)
    assert {each.reason for each in found} == {"inquiry 17", ""}
    for each in found:
        await rounds.reports()
        assert populated.sql("SELECT status FROM report") == [("current",)]
        await lift_hold(populated.services, host, each.id, "closed")
        await place_entries(populated, is_searchable=True)
    await rounds.reports()
    assert populated.sql("SELECT status FROM report") != [("current",)]


@pytest.mark.parametrize("trouble", ["damaged", "altered", "unfound"])
async def test_while_the_log_cannot_be_read_nothing_is_destroyed_and_that_is_told_once(
    populated: World, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    await populated.agree(BRIEFLY)
    await populated.post()
    held = await put_hold(populated.services, populated.call(None), "inquiry 17")
    await place_entries(populated, is_searchable=True)
    rounds = RoundsOfTime(populated.services)
    if trouble == "damaged":
        populated.unguard()
        populated.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"{}", held.receipt.entry)
    elif trouble == "altered":
        populated.unguard()
        ((content,),) = populated.sql("SELECT content FROM audit_entry WHERE id = $1", held.receipt.entry)
        altered = bytes(content).replace(b"hold.put", b"hold.lifted")
        populated.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", altered, held.receipt.entry)
        populated.sql("DELETE FROM audit_search WHERE event = 'hold.put'")
    else:
        await rounds.reports()
        populated.unguard()
        populated.sql("DELETE FROM audit_search WHERE event = 'hold.put'")
        populated.sql("DELETE FROM audit_entry WHERE id = $1", held.receipt.entry)

    with caplog.at_level(logging.WARNING, "exchange.reports"):
        for _ in range(4):
            populated.clock.advance(timedelta(days=1))
            await rounds.reports()

    assert populated.sql("SELECT status FROM report") == [("current",)]
    assert [each.getMessage().partition(":")[0] for each in caplog.records if "legal holds" in each.getMessage()] == [
        "nothing is destroyed while legal holds cannot be known"
    ]
    unknown = new_id(populated.clock(), populated.services.randomness)
    with pytest.raises(NotFoundError):
        await lift_hold(populated.services, populated.call(None), unknown, "x")


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("trouble", ["damaged", "altered", "gone"])
async def test_what_a_damaged_entry_may_have_put_on_is_lifted_by_the_entry(
    populated: World, trouble: str, *, is_known: bool
) -> None:
    """Else one bad page would end retention for ever."""
    await populated.agree(BRIEFLY)
    await populated.post()
    host = populated.call(None)
    entry = (await put_hold(populated.services, host, "inquiry 17")).receipt.entry
    await place_entries(populated, is_searchable=True)
    rounds = RoundsOfTime(populated.services)
    if is_known:
        await rounds.reports()
    populated.unguard()
    if trouble == "altered":
        populated.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b'{"type":"hold.lifted"}', entry)
    else:
        populated.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"{}", entry)
    if trouble == "gone":
        populated.sql("DELETE FROM audit_entry WHERE id = $1", entry)
    populated.clock.advance(timedelta(days=4))
    await rounds.reports()

    assert populated.sql("SELECT status FROM report") == [("current",)]
    (found,) = await holds_on(populated.services)
    assert (found.id, found.since, found.is_damaged) == (entry, None, True)
    await lift_hold(populated.services, host, entry, "its entry is lost for good")
    await place_entries(populated, is_searchable=True)
    await rounds.reports()
    assert await holds_on(populated.services) == []
    assert populated.sql("SELECT status FROM report") != [("current",)]


@pytest.mark.parametrize("says", [b'{"type":"hold.lifted"}', b'{"type":"hold.put"}'])
async def test_altered_entry_that_seems_to_wait_hides_no_hold(populated: World, says: bytes) -> None:
    await populated.agree(BRIEFLY)
    await populated.post()
    entry = (await put_hold(populated.services, populated.call(None), "inquiry 17")).receipt.entry
    await place_entries(populated, is_searchable=True)
    populated.unguard()
    populated.unguard("log_leaf")
    populated.sql("UPDATE log_leaf SET entry_id = 'another' WHERE entry_id = $1", entry)
    populated.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", says, entry)
    populated.clock.advance(timedelta(days=4))

    await RoundsOfTime(populated.services).reports()

    assert populated.sql("SELECT status FROM report") == [("current",)]
    assert [each.id for each in await holds_on(populated.services)] == [entry]
