"""Agreements that the database's owner put back: nobody reads under them until their parties have put that right."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.agreements import AgreementState, PartyState
from exchange.audit import Criteria, Entry, EventName
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.searching import Found
from exchange.usecases import Services
from exchange.usecases.steps import told_entries as module
from exchange.usecases.upkeep import hold_rows
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.lived import MakeLived
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.put_back import columns_of
from tests.support.world import World
from tests.usecases.test_amending import ALL_THREE, FOR_ALL, NARROWED, RAISED, concluded, reads, signs
from tests.usecases.test_rows_held import found_in, held

WIDER = RAISED.replace("purposes: [defence", "purposes: [judicial, defence")
TABLES = {"agreement": "id", "agreement_party": "agreement_id"}


@pytest.fixture
async def living(make_lived: MakeLived) -> World:
    world = (await make_lived(with_releasers))[0]
    for table in TABLES:
        world.unguard(table)
    return world


async def acts(world: World, *acted: tuple[str, str]) -> None:
    for member, act in acted:
        await getattr(usecases, f"{act}_agreement")(
            world.services, world.call(f"{member} signatory"), world.agreement_id
        )


class Kept:
    """The rows of the agreement as they were, and how they are written back over what it has become."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows = {
            table: world.sql(f"SELECT {', '.join(columns_of(world, table))} FROM {table}") for table in TABLES
        }

    def put_back(self) -> None:
        for table in reversed(TABLES):
            self._world.sql(f"DELETE FROM {table}")
        for table, rows in self._rows.items():
            for row in rows:
                marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
                self._world.sql(
                    f"INSERT INTO {table} ({', '.join(columns_of(self._world, table))}) VALUES ({marks})", *row
                )


async def standing(world: World) -> tuple[AgreementState, dict[str, PartyState]]:
    shown = (await usecases.show_agreement(world.services, world.call(None), world.agreement_id)).value
    return shown.state, {str(each.member): each.state for each in shown.agreement.parties}


def text_in_place(world: World) -> None:
    """Put the words of the first text into the row that is current, with all that proves them."""
    names = ("terms", "edition", "previous", "text")
    first = world.sql(f"SELECT {', '.join(names)} FROM agreement WHERE edition = 1 LIMIT 1")[0]
    changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(names, start=1))
    world.sql(f"UPDATE agreement SET {changes} WHERE superseded_at IS NULL", *first)
    world.sql(
        "INSERT INTO agreement_party SELECT agreement_id, (SELECT max(version) FROM agreement), member, position, state,"
        " signed_at, leaves_at FROM agreement_party WHERE version = 1 AND member NOT IN"
        " (SELECT member FROM agreement_party WHERE version = (SELECT max(version) FROM agreement))"
    )


@pytest.mark.parametrize("how", ["whole", "in place"])
async def test_under_a_text_from_before_an_amendment_nobody_reads_until_the_last_one_is_signed_again(
    living: World, how: str
) -> None:
    report, before = await living.post(label=FOR_ALL), Kept(living)
    await concluded(living, NARROWED)
    assert [await reads(living, report, f"{member} reader") for member in ("DNK", "NOR")] == [False, True]
    assert await held(living) == []
    before.put_back() if how == "whole" else text_in_place(living)
    async with living.another_node() as fresh:
        assert await reads(living, report, "DNK reader", fresh)  # so it is read until somebody looks
    assert [place for place, _ in await found_in(living)][:1] == [f"agreement {living.agreement_id}"]

    (entry,) = await held(living)
    assert (entry["detail"]["done"], entry["detail"]["parties"]) == ("suspended", ["DNK", "GBR", "NOR"])
    assert await standing(living) == (AgreementState.SUSPENDED, dict.fromkeys(ALL_THREE, PartyState.SUSPENDED))
    assert [await reads(living, report, f"{member} reader") for member in ("DNK", "NOR")] == [False, False]
    # Who resumes resumes under that text: as soon as somebody looks, it does so no more.
    await acts(living, *((member, "resume") for member in ALL_THREE))
    (entry,) = await held(living)
    assert entry["detail"]["parties"] == ["DNK", "GBR", "NOR"]

    (lost,) = (await usecases.list_amendments(living.services, living.call("GBR signatory"), living.agreement_id)).value
    assert (await signs(living, lost, "GBR")).agreement.edition == 2
    await acts(living, *((member, "resume") for member in ALL_THREE))
    assert await held(living) == []
    assert [await reads(living, report, f"{member} reader") for member in ("DNK", "NOR")] == [False, True]


async def test_agreement_from_before_a_party_suspended_its_part_is_suspended_for_all_until_they_resume(
    living: World,
) -> None:
    report, before = await living.post(label=FOR_ALL), Kept(living)
    await acts(living, ("NOR", "suspend"))
    before.put_back()

    (entry,) = await held(living)
    assert (entry["detail"]["event"], entry["detail"]["parties"]) == ("agreement.suspended", ["DNK", "GBR", "NOR"])
    assert await held(living) == []
    await acts(living, ("GBR", "resume"), ("DNK", "resume"))
    assert await held(living) == []
    assert [await reads(living, report, f"{member} reader") for member in ("DNK", "NOR")] == [True, False]
    # What the jobs made of it is no more put back than what its parties did.
    before.put_back()
    assert [each["detail"]["parties"] for each in await held(living)] == [["DNK", "GBR", "NOR"]]
    assert await standing(living) == (AgreementState.SUSPENDED, dict.fromkeys(ALL_THREE, PartyState.SUSPENDED))
    await acts(living, ("GBR", "resume"), ("DNK", "resume"))
    assert await held(living) == []


async def test_text_and_party_that_have_gone_on_before_the_log_was_read_contradict_nothing(living: World) -> None:
    await acts(living, ("NOR", "suspend"))
    assert await held(living) == []
    await acts(living, ("NOR", "resume"))
    await concluded(living, NARROWED)

    made = await living.attempt(RowWatch(living.services).round())
    assert (made.error, made.entries) == (None, [])


async def test_what_is_done_while_the_log_is_read_contradicts_nothing(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await acts(living, ("GBR", "suspend"))
    await place_entries(living, is_searchable=True)

    async def told_of(services: Services, event: EventName, *, lacks: list[Found]) -> AsyncIterator[list[Entry]]:
        # Each of these is of an event that was read before, and one that is read afterwards follows it.
        if event is EventName.AGREEMENT_SUSPENDED:
            await concluded(living, NARROWED)
            await acts(living, ("NOR", "suspend"))
            await place_entries(living, is_searchable=True)
        if event is EventName.AGREEMENT_WITHDRAWN:
            await acts(living, ("GBR", "resume"), ("DNK", "withdraw"))
            await place_entries(living, is_searchable=True)
        async for entries in module.told_of(services, event, lacks=lacks):
            yield entries

    monkeypatch.setattr(hold_rows, "told_of", told_of)
    made = await living.attempt(RowWatch(living.services).round())
    assert made.error is None
    assert not [entry for entry in made.entries if entry["type"] == "row.contradicted"]


async def test_damaged_entry_of_an_amendment_suspends_nobody(living: World) -> None:
    await concluded(living, NARROWED)
    await acts(living, ("GBR", "suspend"), ("GBR", "resume"))
    assert await held(living) == []
    (amended,) = [entry["id"] for entry in await living.entries() if entry["type"] == "agreement.amended"]
    living.unguard("audit_entry")
    living.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"{}", amended)

    made = await living.attempt(RowWatch(living.services).round())
    assert isinstance(made.error, LogDamagedError)
    assert [entry for entry in made.entries if entry["type"] == "row.contradicted"] == []


async def test_text_between_the_first_and_the_last_one_is_no_way_back(living: World) -> None:
    report, before = await living.post(label=FOR_ALL), Kept(living)
    await concluded(living, WIDER)
    await concluded(living, NARROWED)
    assert await held(living) == []
    before.put_back()
    lost = (await usecases.list_amendments(living.services, living.call("GBR signatory"), living.agreement_id)).value
    await signs(living, lost[0], "GBR")
    assert await reads(living, report, "DNK reader")
    before = Kept(living)

    (entry, *_) = await held(living)
    assert entry["detail"]["parties"] == ["DNK", "GBR", "NOR"]
    assert not await reads(living, report, "DNK reader")
    await acts(living, *((member, "resume") for member in ALL_THREE))
    assert [each["detail"]["parties"] for each in await held(living)] == [["DNK", "GBR", "NOR"]]
    # Each lost text in its order.
    lost = (await usecases.list_amendments(living.services, living.call("GBR signatory"), living.agreement_id)).value
    assert (await signs(living, lost[1], "GBR")).agreement.edition == 3
    await acts(living, *((member, "resume") for member in ALL_THREE))
    assert await held(living) == []
    assert [await reads(living, report, f"{member} reader") for member in ("DNK", "NOR")] == [False, True]


async def test_parties_that_were_all_made_active_are_suspended_in_one_round(living: World) -> None:
    await acts(living, ("NOR", "suspend"), ("DNK", "suspend"))
    living.sql("UPDATE agreement_party SET state = 'signed'")

    told = await held(living)
    assert sorted(each["detail"]["parties"][0] for each in told) == ["DNK", "NOR"]
    assert await standing(living) == (
        AgreementState.SUSPENDED,
        {"GBR": PartyState.SIGNED, "NOR": PartyState.SUSPENDED, "DNK": PartyState.SUSPENDED},
    )
    assert await held(living) == []


async def test_parties_written_in_beforehand_keep_nothing_from_being_put(living: World) -> None:
    report, before = await living.post(label=FOR_ALL), Kept(living)
    await acts(living, ("NOR", "suspend"))
    before.put_back()
    living.sql(
        "INSERT INTO agreement_party SELECT agreement_id, version + 2, member, position, state, signed_at, leaves_at"
        " FROM agreement_party WHERE version = 4"
    )

    (entry,) = await held(living)
    assert (entry["detail"]["put"], entry["detail"]["parties"]) == (7, ["DNK", "GBR", "NOR"])
    assert not await reads(living, report, "NOR reader")


async def test_draft_that_was_put_back_is_told_of_and_no_party_of_it_stuck(living: World) -> None:
    for table in reversed(TABLES):
        living.sql(f"DELETE FROM {table} WHERE version = 4")
    living.sql("UPDATE agreement SET superseded_at = NULL WHERE version = 3")

    (entry,) = await held(living)
    assert (entry["detail"]["done"], "put" in entry["detail"]) == ("nothing", False)
    assert (await standing(living))[0] is AgreementState.DRAFT


async def test_agreement_of_a_version_that_no_entry_made_is_suspended_for_all(living: World) -> None:
    report, before = await living.post(label=FOR_ALL), Kept(living)
    await concluded(living, NARROWED)
    before.put_back()
    for table, version in (("agreement", "version"), ("agreement_party", "version")):
        living.sql(f"UPDATE {table} SET {version} = 40 WHERE {version} = 4")
    assert await reads(living, report, "DNK reader")
    living.clock.advance(timedelta(minutes=5))
    await usecases.list_clients(living.services, living.call(None))

    (entry,) = await held(living)
    assert entry["detail"]["why"] == "no entry tells of its version 40"
    assert (entry["detail"]["put"], entry["detail"]["parties"]) == (6, ["DNK", "GBR", "NOR"])
    assert not await reads(living, report, "DNK reader")


async def test_party_that_the_jobs_suspended_is_not_made_active_in_its_row(living: World) -> None:
    before = Kept(living)
    await acts(living, ("NOR", "suspend"))
    before.put_back()
    await held(living)
    living.sql("UPDATE agreement_party SET state = 'signed' WHERE member = 'DNK'")

    (entry,) = await held(living)
    assert (entry["detail"]["event"], entry["detail"]["parties"]) == ("row.contradicted", ["DNK"])
    await acts(living, ("DNK", "resume"))
    assert await held(living) == []


async def test_auditors_of_parties_that_were_suspended_learn_of_it(living: World) -> None:
    before = Kept(living)
    await acts(living, ("NOR", "suspend"))
    before.put_back()
    await held(living)
    for member in ("NOR", "ESP"):
        await living.enrol(f"{member} auditor", member, "auditor")
    living.sequence()

    query = usecases.EntryQuery(criteria=Criteria(event=EventName.ROW_CONTRADICTED.value))
    for member, sees in (("NOR", 1), ("ESP", 0)):
        page = (await usecases.search_entries(living.services, living.call(f"{member} auditor"), query)).value
        assert len(page.items) == sees


async def test_agreement_s_party_that_is_active_again_in_its_row_is_found(living: World) -> None:
    signatory = living.call("NOR signatory")
    await usecases.suspend_agreement(living.services, signatory, living.agreement_id)
    living.sql("UPDATE agreement_party SET state = 'signed' WHERE member = 'NOR'")

    assert [place for place, _ in await found_in(living)] == [f"agreement {living.agreement_id}"]
    (entry,) = await held(living)
    assert (entry["detail"]["done"], entry["detail"]["event"]) == ("suspended", "agreement.suspended")
    assert entry["detail"]["parties"] == ["NOR"]
    assert await held(living) == []


async def test_party_that_another_s_act_came_after_is_found_too(living: World) -> None:
    await acts(living, ("NOR", "suspend"), ("GBR", "suspend"), ("GBR", "resume"))
    assert (await found_in(living), await held(living)) == ([], [])
    living.sql(
        "UPDATE agreement_party SET state = 'signed' WHERE member = 'NOR' AND version ="
        " (SELECT max(version) FROM agreement)"
    )

    assert [why for _, why in await found_in(living)] == [
        "`party NOR` is another than its last word, `agreement.suspended`"
    ]
    (entry,) = await held(living)
    assert (entry["object"]["id"], entry["detail"]["parties"]) == (living.agreement_id, ["NOR"])


async def test_party_that_leaves_no_more_in_its_row_is_found(living: World) -> None:
    # What it does before it has left is no other word about its notice, nor its notice one about that.
    await acts(living, ("DNK", "suspend"), ("DNK", "withdraw"), ("DNK", "resume"), ("NOR", "suspend"))
    assert (await found_in(living), await held(living)) == ([], [])
    living.sql("UPDATE agreement_party SET leaves_at = NULL WHERE version = (SELECT max(version) FROM agreement)")

    assert await found_in(living) == [
        (f"agreement {living.agreement_id}", "`leaving DNK` is another than its last word, `agreement.withdrawn`")
    ]
    (entry,) = await held(living)
    assert entry["detail"]["parties"] == ["DNK"]
    # It goes on being told of, and resumes nothing, until it has given notice again.
    await acts(living, ("DNK", "resume"))
    assert [entry["detail"]["parties"] for entry in await held(living)] == [["DNK"]]
    await acts(living, ("DNK", "resume"), ("DNK", "withdraw"))
    assert await held(living) == []


async def test_party_that_left_and_accedes_again_is_as_its_new_signature_says(living: World) -> None:
    await acts(living, ("DNK", "suspend"), ("DNK", "withdraw"))
    living.clock.advance(timedelta(days=90))
    await concluded(living, RAISED)

    assert (await found_in(living), await held(living)) == ([], [])
