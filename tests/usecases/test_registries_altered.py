"""What is asked of the past, where rows were altered: told and recorded to whom it may be, and absent to all others."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.usecases.steps.recording import TamperedError
from tests.attacks.hidden import open_api, seen
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.put_back import Keys, kept_rows
from tests.support.world import Entry, World
from tests.usecases.test_registries import ABSENT, TO_NOR, pull, with_auditors

LATEST = 2**63 - 1
"""No moment, and what a column takes on both databases."""

CLIENT = {
    "no roles": "UPDATE client SET roles = '{' WHERE id = $1",
    "no moment": f"UPDATE client SET cleared_since = {LATEST} WHERE id = $1",
}
REPORT = {
    "no status": "UPDATE report SET status = 'x' WHERE id = $1",
    "posted at no moment": f"UPDATE report SET posted_at = {LATEST} WHERE id = $1",
    "valid until no moment": f"UPDATE report SET valid_until = {LATEST} WHERE id = $1",
}


async def lived(world: World) -> dict[str, str]:
    """Have a report of GBR that NOR read, an hour ago, and auditors."""
    await with_auditors(world)
    report = await world.post(label=TO_NOR)
    await pull(world, "NOR reader", report)
    await place_entries(world, is_searchable=True)
    at = world.clock.now.isoformat().replace("+00:00", "Z")
    world.clock.advance(timedelta(hours=1))
    return {"report": report, "client": world.clients["NOR reader"].id, "at": at}


OF_CLIENT = ("/v1/audit/clients/{client}/registry",)
OF_REPORT = (
    "/v1/audit/reports/{report}/registry",
    "/v1/audit/reports/{report}/readers?on={at}",
    "/v1/audit/reports/{report}/explanation?client={client}",
)


async def tampered(world: World) -> list[str]:
    return tampered_in(await world.entries())


def tampered_in(entries: list[Entry]) -> list[str]:
    opened = [entry for entry in entries if entry["type"] == "key.opened"]
    return [entry["detail"]["place"] for entry in opened if entry["decision"] == "failed"]


ROWS: Keys = {"client": ("id",), "report": ("id",)}


@pytest.mark.parametrize(
    ("alterations", "kind", "paths", "own", "foreign"),
    [
        (CLIENT, "client", OF_CLIENT, "NOR auditor", "GBR auditor"),
        (REPORT, "report", OF_REPORT, "GBR auditor", "NOR auditor"),
    ],
    ids=["client", "report"],
)
async def test_altered_row_is_told_to_its_own_auditors_and_is_as_absent_as_ever_to_others(
    make_lived: MakeLived,
    subtests: pytest.Subtests,
    alterations: dict[str, str],
    kind: str,
    paths: tuple[str, ...],
    own: str,
    foreign: str,
) -> None:
    world, ids = await make_lived(lived)
    put_back, before = kept_rows(world, ROWS), 0
    for altered, alter in alterations.items():
        world.sql(alter, ids[kind])
        with subtests.test(altered):
            async with open_api(world) as api:
                for path in paths:
                    for name in (own, "auditor"):
                        assert (await api.as_client(name).get(path.format(**ids))).status_code == 503, path
                    hidden = seen(await api.as_client(foreign).get(path.format(**ids)))
                    absent = seen(await api.as_client(foreign).get(path.format(**{**ids, kind: ABSENT})))
                    assert (hidden, hidden.status) == (absent, 404)

            assert (await tampered(world))[before:] == [f"{kind} {ids[kind]}"] * 2 * len(paths)
        put_back()
        before = len(await tampered(world))


@pytest.mark.parametrize(
    ("alterations", "kind", "asked"), [(CLIENT, "client", "client"), (REPORT, "report", "subject")]
)
async def test_altered_row_hides_no_entry_from_who_searches_for_what_it_is_of(
    make_lived: MakeLived, subtests: pytest.Subtests, alterations: dict[str, str], kind: str, asked: str
) -> None:
    world, ids = await make_lived(lived)
    path = f"/v1/audit/entries?{asked}={ids[kind]}"

    async def found() -> list[list[str]]:
        async with open_api(world) as api:
            answers = [await api.as_client(name).get(path) for name in ("GBR auditor", "NOR auditor")]
            return [[entry["id"] for entry in answer.json()["items"]] for answer in answers]

    put_back, before = kept_rows(world, ROWS), await found()
    assert all(before)
    for altered, alter in alterations.items():
        world.sql(alter, ids[kind])
        with subtests.test(altered):
            assert await found() == before
        put_back()


THEN = {
    "client": "UPDATE client SET compartments = 'x' WHERE name = 'DNK reader'",
    "member DNK: version 1": f"UPDATE member SET recorded_at = {-LATEST} WHERE code = 'DNK'",
    "client (of a certificate)": f"UPDATE client_certificate SET added_at = {-LATEST}",
    "report {report}: past": "INSERT INTO report_past (seq, report_id, class_id, until_at)"
    f" SELECT -5, id, class_id, {LATEST} FROM report",
    "report {report}: tombstone": "INSERT INTO report_tombstone (report_id, cause, raised_at, note, entry_id)"
    f" SELECT id, 'recalled', {LATEST}, sealed_header, id FROM report",
    "report {report}: tombstone (of no deed)": "INSERT INTO report_tombstone (report_id, cause, raised_at, note, entry_id)"
    " SELECT id, 'recalled', posted_at + 1, sealed_header, id FROM report",
    "caveats x": "INSERT INTO caveat_set (id, member, guards, examples, told, digest, act_id, proposed_by, proposed_at,"
    f" in_force_at, ended_at) VALUES ('x', 'GBR', 'x', '', '[]', 'x', 'x', 'x', 1, 1, {LATEST})",
}
"""By what is named in the log."""


THEN_ROWS: Keys = {
    "client": ("id",),
    "member": ("code",),
    "client_certificate": ("thumbprint",),
    "report_past": ("seq",),
    "report_tombstone": ("report_id",),
    "caveat_set": ("id",),
}


async def test_past_that_cannot_be_read_is_told_and_nothing_is_left_out_of_an_answer(
    make_lived: MakeLived, subtests: pytest.Subtests
) -> None:
    world, ids = await make_lived(lived)
    for table in ("report_past", "report_tombstone", "caveat_set"):
        world.unguard(table)
    put_back = kept_rows(world, THEN_ROWS)
    for place, alter in THEN.items():
        world.sql(alter)
        async with open_api(world) as api:
            made = await world.attempt(api.as_client("GBR auditor").get(OF_REPORT[1].format(**ids)))
        put_back()

        with subtests.test(place):
            assert made.value.status_code == 503
            (told,) = tampered_in(made.entries)
            assert told.startswith(place.partition(" (")[0].format(**ids))


async def test_of_a_report_whose_former_class_was_altered_no_reader_is_told(make_lived: MakeLived) -> None:
    world, ids = await make_lived(lived)
    ((former,),) = world.sql("SELECT class_id FROM report WHERE id = $1", ids["report"])
    narrower = world.posted(label=replace(TO_NOR, releasable_to=("GBR",)))
    await usecases.amend_report(world.services, world.call("GBR contributor"), ids["report"], narrower)
    world.sql("UPDATE release_class SET facts = '[]' WHERE id = $1", former)
    at = world.clock.now - timedelta(hours=1)
    async with world.another_node() as fresh:
        made = await world.attempt(usecases.readers_on(fresh, world.call("GBR auditor"), ids["report"], at))

    assert isinstance(made.error, TamperedError)
    assert f"report {ids['report']}" in await tampered(world)
