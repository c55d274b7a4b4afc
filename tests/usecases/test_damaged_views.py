"""What is listed by itself goes on without a row that cannot be read, and says so to whom the row would have been shown."""

import json
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.markings import Label
from exchange.reports import Precedence
from exchange.usecases import CrisisWish, DutyWatch
from exchange.usecases.steps.recording import TamperedError
from tests.attacks.hidden import Api, open_api
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.uploading import awaited, begun
from tests.support.world import AGREEMENT, World
from tests.usecases.test_crises import CRISIS
from tests.usecases.test_lost_entries import lose

TEXT = AGREEMENT.replace(
    "obligations: []",
    """obligations:
  - {party: all, scope: cyber-threats, acknowledge: {FLASH: PT10M}}""",
) + CRISIS.replace("    readers: [DNK]\n", "")
GBR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LATEST = 2**63 - 1
"""No moment, and what a column takes on both databases."""


async def busy(world: World) -> dict[str, str]:
    """Have two of everything: breaches, reports recalled from NOR, crises, amendments, and uploads of GBR."""
    await world.enrol("GBR releaser", "GBR", "releaser")
    await world.enrol("NOR releaser", "NOR", "releaser", level="CONFIDENTIAL")
    await world.enrol("GBR junior", "GBR", "signatory", level="RESTRICTED")
    main = await world.agree(TEXT)
    signs = world.call("GBR signatory")
    world.clock.advance(timedelta(minutes=1))
    for _ in range(2):
        await world.post(precedence=Precedence.FLASH, label=GBR_NOR)
    recalled = [await world.post(label=GBR_NOR) for _ in range(2)]
    for report in recalled:
        await usecases.pull_report(world.services, world.call("NOR reader"), report)
        await place_entries(world, is_searchable=True)
        await usecases.recall_report(world.services, world.call("GBR releaser"), report, "the source is at risk")
    for _ in range(2):
        wish = CrisisWish("storm-watch", "a second cable was cut", None)
        act = (await usecases.ask_for_crisis(world.services, signs, main, wish)).value
        await usecases.confirm_act(world.services, world.call("NOR signatory"), act.id, act.digest)
        uses = (await usecases.list_crises(world.services, signs, main)).value.uses
        await usecases.end_crisis(world.services, signs, main, uses[0].crisis.id)
        world.clock.advance(timedelta(minutes=1))
    for kept in ("P4Y", "P3Y"):
        text = TEXT.replace("retention: P5Y", f"retention: {kept}")
        await usecases.propose_amendment(world.services, signs, main, text)
    for content in (b"x", b"y"):
        await begun(world, awaited(content))
    world.clock.advance(timedelta(minutes=20))
    await DutyWatch(world.services).round()
    await place_entries(world, is_searchable=True)
    return {"main": main, "recalled": recalled[0]}


LISTS = {
    "/v1/agreements/{main}/breaches": ("GBR signatory", f"UPDATE duty_breach SET due_at = {LATEST} WHERE number = 1"),
    "/v1/notices": ("NOR reader", "UPDATE report_notice SET report_id = 'x' WHERE number = 1"),
    "/v1/destructions": (
        "NOR reader",
        f"UPDATE report_destruction SET due_at = {LATEST} WHERE report_id = (SELECT min(report_id) FROM report_tombstone)",
    ),
    "/v1/agreements/{main}/crises": (
        "DNK reader",
        f"UPDATE agreement_crisis SET until_at = {LATEST} WHERE id = (SELECT min(id) FROM agreement_crisis)",
    ),
    "/v1/agreements/{main}/amendments": (
        "GBR signatory",
        "UPDATE agreement_amendment SET terms = replace(terms, 'P4Y', 'P9Y')",
    ),
    "/v1/agreements/{main}/evidence": ("GBR reader", "UPDATE signatory_key SET entry = 'x' WHERE member = 'NOR'"),
    "/v1/uploads": (
        "GBR contributor",
        f"UPDATE upload SET begun_at = {LATEST} WHERE id = (SELECT min(id) FROM upload)",
    ),
}


async def counted(api: Api, path: str, ids: dict[str, str], name: str) -> tuple[int, int]:
    """Return how much a list shows, and of how much it says that it cannot be read."""
    answer = await api.as_client(name).get(path.format(**ids))
    assert answer.status_code == 200, (path, answer.text)
    body = answer.json()
    return len(body.get("items", body.get("keys"))), len(body.get("unopened", []))


async def test_altered_row_takes_no_other_from_its_list_and_is_told_and_recorded(make_lived: MakeLived) -> None:
    world, ids = await make_lived(busy)
    async with open_api(world) as api:
        whole = {path: await counted(api, path, ids, name) for path, (name, _) in LISTS.items()}
        for table in ("agreement_amendment", "signatory_key"):
            world.unguard(table)
        for _, alter in LISTS.values():
            world.sql(alter)
        told = {path: await counted(api, path, ids, name) for path, (name, _) in LISTS.items()}
        # Above its clearance there is none, and so none that cannot be read.
        junior = await counted(api, "/v1/agreements/{main}/breaches", ids, "GBR junior")
        # Nor for who came to a part of it, of what was laid before others.
        releaser = await counted(api, "/v1/destructions", ids, "NOR releaser")

    assert whole == {path: (3 if path.endswith("evidence") else 2, 0) for path in LISTS}
    assert told == {path: (count - 1, 1) for path, (count, _) in whole.items()}
    assert junior == releaser == (0, 0)
    rows = [row for entry in await failed(world) for row in entry["rows"]]
    kinds = {row.partition(" ")[0] for row in rows}
    assert kinds == {"breach", "notice", "destruction", "crisis", "amendment", "key", "upload"}


async def failed(world: World) -> list[dict[str, Any]]:
    entries = [entry for entry in await world.entries() if entry["type"] == "key.opened"]
    return [entry["detail"] for entry in entries if entry["decision"] == "failed"]


ALTERED = {
    "destruction": "UPDATE report_destruction SET read_entry = 'x' WHERE report_id = $1",
    # What claims to be done has its certificate, or is not done.
    "certified": "UPDATE report_destruction SET returned_at = asked_at WHERE report_id = $1",
}


@pytest.mark.parametrize("how", ALTERED)
async def test_destruction_that_cannot_be_read_does_not_look_like_none(make_lived: MakeLived, how: str) -> None:
    world, ids = await make_lived(busy)
    world.sql(ALTERED[how], ids["recalled"])
    async with open_api(world) as api:
        shown = (await api.as_client("GBR releaser").get(f"/v1/reports/{ids['recalled']}/recall")).json()
        listed = await counted(api, "/v1/destructions", ids, "NOR reader")

    assert (shown["asked"], shown["unopened"]) == ([], [{"id": None}])
    assert listed == (1, 1)
    assert [each["place"].partition(" ")[0] for each in await failed(world)] == ["destruction"] * 2


async def test_destruction_without_its_tombstone_does_not_look_like_none(make_lived: MakeLived) -> None:
    world, ids = await make_lived(busy)
    await lose(world, "report.recalled")  # which says what the tombstone did
    world.sql("UPDATE report_tombstone SET cause = 'x' WHERE report_id = $1", ids["recalled"])
    async with open_api(world) as api:
        listed = await counted(api, "/v1/destructions", ids, "NOR reader")
        said = json.dumps({"method": "shredded", "copies": 1})
        answers = [
            await api.as_client("GBR releaser").get(f"/v1/reports/{ids['recalled']}/recall"),
            await api.as_client("NOR reader").post(
                f"/v1/reports/{ids['recalled']}/destruction", content=said, headers={"Content-Type": "application/json"}
            ),
        ]

    assert listed == (1, 1)
    # Asked for by itself it is unavailable, and that is on the record.
    assert [answer.status_code for answer in answers] == [503, 503]
    assert len(await failed(world)) == 3


async def test_altered_agreement_that_is_asked_for_by_itself_is_unavailable_and_recorded(make_lived: MakeLived) -> None:
    world, ids = await make_lived(busy)
    world.sql("UPDATE agreement SET terms = '[]' WHERE id = $1", ids["main"])
    async with open_api(world) as api:
        answer = await api.as_client("GBR signatory").get(f"/v1/agreements/{ids['main']}")

    assert answer.status_code == 503
    assert [each["place"] for each in await failed(world)] == [f"agreement {ids['main']}"]


@pytest.mark.parametrize(
    "altered", ["agreement SET terms = 'x'", "agreement_party SET signed_at = 9223372036854775807"]
)
async def test_former_version_that_cannot_be_read_hides_from_who_has_left_no_other_agreement(
    populated: World, altered: str
) -> None:
    services, damaged = populated.services, populated.agreement_id
    other = await populated.agree(AGREEMENT)
    await usecases.withdraw_agreement(services, populated.call("DNK signatory"), damaged)
    populated.clock.advance(timedelta(days=91))
    for table in ("agreement", "agreement_party"):
        populated.unguard(table)
    which = "version = 2" if "party" in altered else "version = 1"
    id_column = "agreement_id" if "party" in altered else "id"
    populated.sql(f"UPDATE {altered} WHERE {which} AND {id_column} = '{damaged}'")

    listed = await usecases.list_agreements(services, populated.call("DNK reader"))
    shown = await populated.attempt(usecases.show_agreement(services, populated.call("DNK reader"), damaged))
    counted = await populated.attempt(usecases.show_compliance(services, populated.call("GBR reader"), damaged))

    assert ([each.agreement.id for each in listed.value], listed.unopened) == ([other], 1)
    assert len((await usecases.list_agreements(services, populated.call("GBR reader"))).value) == 2
    assert type(shown.error) is type(counted.error) is TamperedError
