"""Requests, consents and answers that somebody wrote into the database: no row alone says that anybody asked or gave them.

Each is written as a copy of a true one, with another id or of something else.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from exchange import usecases
from exchange.kernel import InvalidError, NotFoundError, new_id
from exchange.markings import Label
from exchange.members import Standing
from exchange.release import class_as_json, class_digest, class_from_json
from exchange.usecases import ListQuery
from tests.support import deriving, onward
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.put_back import columns_of, kept_rows
from tests.support.world import World
from tests.usecases import test_proxies as proxies
from tests.usecases.test_information_requests import TO_GBR, answer
from tests.usecases.test_information_requests import ask as request_asked
from tests.usecases.test_rows_held import held


async def listed_onward(world: World) -> tuple[list[str], int]:
    made = await usecases.list_onward(world.services, world.call("GBR releaser"))
    return [view.row.id for view in made.value], made.unopened


async def listed_derivations(world: World) -> tuple[list[str], int]:
    made = await usecases.list_derivations(world.services, world.call("GBR releaser"))
    return [view.row.id for view in made.value], made.unopened


async def listed_proxies(world: World) -> tuple[list[str], int]:
    made = await usecases.list_proxies(world.services, world.call("NOR releaser"))
    return [view.row.id for view in made.value], made.unopened


@dataclass(frozen=True)
class Planted:
    """A table, how its rows are listed, and what is another in a copy: a column, and what is written there."""

    table: str
    listed: Callable[[World], Awaitable[tuple[list[str], int]]]
    others: tuple[tuple[str, str], ...]


_OTHER_REPORT = "(SELECT id FROM report WHERE originator = 'GBR' AND id <> report_id)"
_OTHER_CLIENT = "(SELECT min(id) FROM client WHERE name = 'NOR contributor')"
KINDS = {
    "onward": Planted(
        "onward_release",
        listed_onward,
        (("state", "'asked'"), ("report_id", _OTHER_REPORT), ("requester", _OTHER_CLIENT), ("entry_id", "id")),
    ),
    "derivation": Planted(
        "derivation_consent",
        listed_derivations,
        (("state", "'asked'"), ("report_id", _OTHER_REPORT), ("requester", _OTHER_CLIENT), ("entry_id", "id")),
    ),
    "proxy": Planted(
        "proxy_consent", listed_proxies, (("state", "'given'"), ("asked_by", _OTHER_CLIENT), ("entry_id", "id"))
    ),
}


async def lived(world: World) -> list[str]:
    """Have all of it asked for and given once; return the answered request, the answer, and another report of Norway's."""
    await onward.with_releasers(world)
    await world.enrol("NOR analyst", "NOR", "contributor", "reader")
    passed_on, source = await world.post(label=onward.LOW), await world.post(label=deriving.MIDDLE)
    await onward.grant(world, await onward.ask(world, passed_on))
    await deriving.grant(world, await deriving.ask(world, source))
    await proxies.given(world)
    request = await request_asked(world)
    given, other = [await world.post("NOR contributor", label=TO_GBR) for _ in range(2)]
    await answer(world, request, given)
    return [request, given, other]


def plant(world: World, table: str, **others: str) -> None:
    """Write copies of all rows of a table, with these columns another."""
    names = columns_of(world, table)
    values = ", ".join(others.get(name, name) for name in names)
    world.sql(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}")


def fresh(world: World) -> str:
    return f"'{new_id(world.clock(), world.services.randomness)}'"


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_request_that_nobody_asked_is_listed_to_nobody_and_on_record(
    make_lived: MakeLived, subtests: pytest.Subtests, kind: str, *, is_placed: bool
) -> None:
    world, _ = await make_lived(lived)
    if is_placed:
        await place_entries(world, is_searchable=True)
    planted = KINDS[kind]
    before, lacking = await planted.listed(world)
    put_back = kept_rows(world, {planted.table: ("id",)})
    for column, value in planted.others:
        plant(world, planted.table, id=fresh(world), **{column: value})
        made = await world.attempt(planted.listed(world))
        put_back()

        with subtests.test(column):
            assert made.value == (before, 1)
            recorded = [entry["detail"]["place"] for entry in made.entries if entry["type"] == "key.opened"]
            assert [place.partition(" ")[0] for place in recorded] == [kind]
    assert (len(before), lacking, await planted.listed(world)) == (1, 0, (before, 0))


async def test_consent_to_posting_that_nobody_gave_takes_none_from_whom_it_was_given(make_lived: MakeLived) -> None:
    world, _ = await make_lived(lived)
    ((consent,),) = world.sql("SELECT id FROM proxy_consent")
    for other in ("'00000000-0000-7000-8000-000000000000'", "'ffffffff-ffff-7fff-bfff-ffffffffffff'"):
        plant(world, "proxy_consent", id=other)
        world.sql(f"UPDATE proxy_consent SET asked_at = asked_at - 1 WHERE id = {other}")

        assert await proxies.post(world)
        world.sql("DELETE FROM proxy_consent WHERE id <> $1", consent)
    await usecases.revoke_proxy(world.services, world.call("NOR releaser"), consent)
    with pytest.raises(InvalidError):
        await proxies.post(world)


ANSWERS = {
    "of another report": {"report_id": "$1"},
    "of no entry": {"report_id": "$1", "entry_id": "report_id"},
    "of another client": {"report_id": "$1", "client_id": "(SELECT min(id) FROM client WHERE name = 'NOR analyst')"},
}


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("how", ANSWERS)
async def test_answer_that_nobody_gave_is_told_to_nobody_and_on_record(
    make_lived: MakeLived, how: str, *, is_placed: bool
) -> None:
    world, (request, given, other) = await make_lived(lived)
    if is_placed:
        await place_entries(world, is_searchable=True)
    changed = {name: f"'{other}'" if value == "$1" else value for name, value in ANSWERS[how].items()}
    plant(world, "information_request_answer", **changed)
    told: dict[str, list[str]] = {}
    for name in ("GBR reader", "NOR contributor", "NOR analyst"):
        made = await world.attempt(usecases.show_request(world.services, world.call(name), request))
        told[name] = [each.report for each in made.value.value.answers]
        places = [entry["detail"]["place"] for entry in made.entries if entry["type"] == "key.opened"]
        assert places == [f"answer {other} to request {request}"], name

    assert set(map(tuple, told.values())) == {(given,)}


@pytest.mark.parametrize("table", ["report_version", "report_past"])
async def test_row_that_somebody_wrote_ahead_keeps_no_originator_from_restricting_its_report(
    make_lived: MakeLived, table: str
) -> None:
    world, _ = await make_lived(lived)
    report = await world.post(label=onward.LOW)
    written = {
        "report_version": "id, version, id, 1, id",
        "report_past": "seq, id, class_id, valid_until, 1, NULL",
    }
    world.sql(f"INSERT INTO {table} SELECT {written[table]} FROM report WHERE id = $1", report)
    narrowed = world.posted(label=Label("NATO", "SECRET", releasable_to=("GBR",), handling=("ORCON",)))
    made = await usecases.amend_report(world.services, world.call("GBR contributor"), report, narrowed)

    assert made.value.version == 2
    with pytest.raises(NotFoundError):
        await usecases.pull_report(world.services, world.call("NOR reader"), report)


async def test_class_that_somebody_wrote_far_ahead_hides_none_that_comes(populated: World) -> None:
    report = await populated.post()
    ((stored,),) = populated.sql("SELECT facts FROM release_class")
    facts = replace(class_from_json(json.loads(stored)), topic="cyber.other")
    written = (class_digest(facts), json.dumps(class_as_json(facts)))
    populated.sql("INSERT INTO release_class (id, digest, facts) VALUES (1000000, $1, $2)", *written)
    async with populated.another_node() as node:
        reader = populated.call("NOR reader")
        await usecases.list_reports(node, reader, ListQuery())
        other = await populated.post(label=onward.LOW)
        page = (await usecases.list_reports(node, reader, ListQuery())).value

    assert [json.loads(item)["id"] for item in page.items] == [report, other]


AHEAD = {
    "report": "INSERT INTO report ({names}) SELECT {values} FROM report",
    "stream_event": "INSERT INTO stream_event SELECT report_seq + 1, code, 'request', 'x' FROM policy_state, member",
    "release_class": "INSERT INTO release_class SELECT id + 1, 'x', facts FROM release_class",
    "policy_state": "UPDATE policy_state SET report_seq = 0, class_version = 0",
}


@pytest.mark.parametrize("table", AHEAD)
async def test_row_that_has_the_next_number_ends_no_posts(populated: World, table: str) -> None:
    await populated.post()
    others = {"id": fresh(populated), "seq": "seq + 1"}
    names = columns_of(populated, "report")
    values = ", ".join(others.get(name, name) for name in names)
    populated.sql(AHEAD[table].format(names=", ".join(names), values=values))
    told = await held(populated)

    assert {entry["object"]["type"] for entry in told} == {"policy-state"}
    assert await held(populated) == []
    await populated.post(label=onward.LOW)
    await request_asked(populated)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # a unit on SQLite holds the whole database
async def test_last_numbers_that_are_right_are_looked_at_while_others_hold_them(world: World) -> None:
    async with world.services.store.unit_of_work() as unit, asyncio.timeout(5):
        await unit.hold_policy_digest()

        assert await held(world) == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps the types of its columns
async def test_last_number_that_is_none_keeps_no_row_from_being_held(populated: World) -> None:
    client = populated.clients["DNK reader"].id
    await usecases.change_standing(populated.services, populated.call(None), client, Standing.REVOKED)
    populated.sql("UPDATE client SET standing = 'active' WHERE id = $1", client)
    populated.sql("UPDATE policy_state SET report_seq = 'x'")

    assert [entry["object"]["id"] for entry in await held(populated)] == [client]
