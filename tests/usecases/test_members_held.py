"""Members and agreements whose rows the database's owner put back or took away: stopped again, and told of once."""

import logging

import pytest

from exchange import usecases
from exchange.kernel import ForbiddenError
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.lived import MakeLived
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.world import World
from tests.usecases.test_rows_held import found_in, held


@pytest.fixture
async def living(make_lived: MakeLived) -> World:
    world = (await make_lived(with_releasers))[0]
    for table in ("agreement", "agreement_party", "member", "client"):
        world.unguard(table)
    return world


async def pulls(world: World, report: str) -> bool:
    """Return whether a process that begins now shows a report to NOR's reader."""
    async with world.another_node() as fresh:
        try:
            await usecases.pull_report(fresh, world.call("NOR reader"), report)
        except ForbiddenError:
            return False
    return True


VERSION_BEFORE = (
    "DELETE FROM member WHERE code = 'NOR' AND version > 1",
    "UPDATE member SET superseded_at = NULL WHERE code = 'NOR'",
)
IN_PLACE = ("UPDATE member SET standing = 'active' WHERE code = 'NOR'",)


@pytest.mark.parametrize("put_back", [VERSION_BEFORE, IN_PLACE], ids=["the version before", "its standing alone"])
async def test_member_whose_row_is_from_before_its_suspension_is_suspended_each_time_that_it_is_put_back(
    living: World, put_back: tuple[str, ...]
) -> None:
    report = await living.post()
    await usecases.suspend_member(living.services, living.call(None), "NOR")
    assert await held(living) == []
    for _ in range(2):
        for statement in put_back:
            living.sql(statement)
        assert await pulls(living, report)  # so it is read until somebody looks
        assert "member NOR" in [place for place, _ in await found_in(living)]

        told = await held(living)
        assert {(each["object"]["type"], each["object"]["id"], each["detail"]["done"]) for each in told} == {
            ("member", "NOR", "suspended")
        }
        # Behind the version that the log tells of.
        assert min(each["detail"]["put"] for each in told) > 2
        assert not await pulls(living, report)
        assert await held(living) == []


@pytest.mark.parametrize("kind", ["member", "client"])
async def test_row_without_a_version_in_force_is_told_of_and_nothing_put_in_its_place(
    living: World, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    name, row = {"member": ("code", "NOR"), "client": ("id", living.clients["NOR reader"].id)}[kind]
    living.sql(f"UPDATE {kind} SET superseded_at = 1 WHERE {name} = $1", row)

    (entry,) = await held(living)
    assert (entry["object"]["type"], entry["object"]["id"]) == (kind, row)
    assert (entry["detail"]["done"], "put" in entry["detail"]) == ("nothing", False)
    assert living.sql(f"SELECT max(version) FROM {kind} WHERE {name} = $1", row) == [(1,)]
    assert not [each for each in caplog.records if each.name == "exchange.rows" and each.levelno == logging.ERROR]


async def test_agreement_whose_row_is_gone_is_told_of_once_and_stops_no_round(living: World) -> None:
    await usecases.suspend_agreement(living.services, living.call("NOR signatory"), living.agreement_id)
    for table, column in (("agreement_party", "agreement_id"), ("agreement", "id")):
        living.sql(f"DELETE FROM {table} WHERE {column} = $1", living.agreement_id)
    client = living.clients["NOR reader"]
    living.sql("UPDATE client SET level = 'COSMIC TOP SECRET' WHERE id = $1", client.id)

    told = await held(living)
    assert sorted((each["object"]["id"], each["detail"]["done"]) for each in told) == sorted(
        [(living.agreement_id, "nothing"), (client.id, "suspended")]
    )
    assert await held(living) == []


async def test_party_is_not_accused_by_its_last_words_while_too_many_entries_wait_to_be_read(
    living: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for member, act in (("NOR", "suspend"), ("GBR", "suspend"), ("GBR", "resume")):
        await getattr(usecases, f"{act}_agreement")(
            living.services, living.call(f"{member} signatory"), living.agreement_id
        )
    living.sql(
        "UPDATE agreement_party SET state = 'signed' WHERE member = 'NOR' AND version ="
        " (SELECT max(version) FROM agreement)"
    )
    await place_entries(living, is_searchable=True)
    with monkeypatch.context() as patched:
        patched.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", -1)
        made = await living.attempt(RowWatch(living.services).round())

    assert (made.error, made.entries) == (None, [])
    assert f"agreement {living.agreement_id} is not held against its last words" in caplog.text
    assert [entry["detail"]["parties"] for entry in await held(living)] == [["NOR"]]
