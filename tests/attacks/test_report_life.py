"""Classes 3, 5, 8, 14, 16, 17, 29 on the routes that change a report after it was posted."""

import asyncio
from typing import Any

import pytest

from exchange.usecases.life.sweep_reports import sweep_reports
from tests.attacks.hidden import Api, Hidden, kept_state, report_body
from tests.attacks.test_moments import two_nodes
from tests.support.lowering import confirm
from tests.support.world import World

LOWER = {"policy": "NATO", "classification": "RESTRICTED", "releasable_to": ["DNK", "GBR", "NOR"]}
SECRET = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]}


def amendment(**others: Any) -> dict[str, Any]:
    body = report_body("", label=SECRET, **others)
    return {name: value for name, value in body.items() if name not in {"agreement", "scope"}}


ACTS = {
    "amendments": amendment(),
    "downgrade": {"label": LOWER},
    "recall": {"reason": "the source is at risk"},
    "destruction": {"method": "erased", "copies": 1},
}


@pytest.mark.parametrize("act", ACTS)
async def test_05_right_to_read_changes_nothing(api: Api, hidden: Hidden, act: str) -> None:
    before = kept_state(api.world)
    answer = await api.as_client("GBR reader").post(f"/v1/reports/{hidden.report}/{act}", json=ACTS[act])

    # Nobody asked this reader to destroy anything: for it there is nothing to certify.
    assert answer.status_code == (404 if act == "destruction" else 403)
    assert kept_state(api.world) == before


@pytest.mark.parametrize("act", ["amendments", "downgrade", "recall"])
async def test_29_no_field_is_set_that_is_the_exchanges_own(
    api: Api, hidden: Hidden, subtests: pytest.Subtests, act: str
) -> None:
    before = kept_state(api.world)
    client = api.as_client("GBR contributor" if act == "amendments" else "GBR releaser")
    for field in ("originator", "posted_at", "status", "id", "version", "agreement", "supersedes", "by"):
        answer = await client.post(f"/v1/reports/{hidden.report}/{act}", json={**ACTS[act], field: "GBR"})

        with subtests.test(field=field):
            assert answer.status_code == 422
            assert {fault["pointer"] for fault in answer.json()["errors"]} == {f"/{field}"}
    assert kept_state(api.world) == before


async def test_03_part_labels_of_one_report_say_nothing_of_another(api: Api, hidden: Hidden) -> None:
    # The id in the path decides: nothing in the body can point elsewhere.
    await api.as_client("GBR releaser").post(f"/v1/reports/{hidden.report}/downgrade", json={"label": LOWER})
    other = await api.as_client("ESP reader").get(f"/v1/reports/{hidden.other_report}")

    assert other.json()["label"]["classification"] == "SECRET"


async def test_08_readers_do_not_learn_of_each_other_by_a_recall(api: Api) -> None:
    report = await api.world.post()
    for name in ("NOR reader", "GBR reader"):
        assert (await api.as_client(name).get(f"/v1/reports/{report}")).is_success
    recalled = await api.as_client("GBR releaser").post(f"/v1/reports/{report}/recall", json={"reason": "at risk"})
    listed = await api.as_client("NOR reader").get("/v1/destructions")

    assert len(recalled.json()["asked"]) == 2
    assert api.world.clients["GBR reader"].id not in listed.text
    assert api.world.clients["GBR releaser"].id not in listed.text
    assert [item["id"] for item in listed.json()["items"]] == [report]


async def test_16_recall_and_downgrade_hold_at_the_next_request_on_every_node(both: World) -> None:
    await both.enrol("GBR last releaser", "GBR", "releaser")
    report = await both.post()
    async with two_nodes(both) as (first, second):
        reader, releaser = second.as_client("NOR reader"), first.as_client("GBR last releaser")
        assert (await reader.get("/v1/reports")).is_success
        waiting = await releaser.post(f"/v1/reports/{report}/downgrade", json={"label": LOWER})
        assert (waiting.status_code, waiting.json()["state"]) == (202, "awaiting-second-person")
        assert (await second.as_client("DNK reader").get(f"/v1/reports/{report}")).status_code == 404
        await confirm(both, waiting.json()["act"])
        assert (await second.as_client("DNK reader").get(f"/v1/reports/{report}")).is_success
        assert (await releaser.post(f"/v1/reports/{report}/recall", json={"reason": "at risk"})).is_success

        for path in (f"/v1/reports/{report}", f"/v1/reports/{report}/parts/1", f"/v1/reports/{report}/explanation"):
            assert (await reader.get(path)).status_code == 404
        assert report not in (await reader.get("/v1/reports")).text
        assert report not in (await second.as_client("DNK reader").get("/v1/reports")).text


async def test_16_reads_that_race_a_recall_are_all_asked_to_destroy(both: World) -> None:
    await both.enrol("GBR last releaser", "GBR", "releaser")
    report = await both.post()
    async with two_nodes(both) as (first, second):
        releaser = first.as_client("GBR last releaser")

        async def read(name: str) -> tuple[str, int]:
            return name, (await second.as_client(name).get(f"/v1/reports/{report}")).status_code

        names = ["NOR reader", "GBR reader"]
        recall = releaser.post(f"/v1/reports/{report}/recall", json={"reason": "at risk"})
        recalled, *reads = await asyncio.gather(recall, *(read(name) for name in names * 3))
        assert recalled.status_code == 201
        given = {both.clients[name].id for name, status in reads if status == 200}
        await sweep_reports(first.world.services, both.clock())
        told = (await releaser.get(f"/v1/reports/{report}/recall")).json()["asked"]

    assert {each["client"] for each in told} == given


async def test_17_marking_of_a_source_is_not_lost_by_an_amendment(api: Api) -> None:
    await api.world.enrol("GBR analyst", "GBR", "contributor", "reader")
    source = await api.world.post("NOR contributor")
    posted = await api.as_client("GBR analyst").post(
        "/v1/reports", json=report_body(api.world.agreement_id, label={**LOWER, "releasable_to": ["GBR", "NOR"]})
    )
    path = f"/v1/reports/{posted.json()['id']}/amendments"
    lower = amendment(references=[source]) | {"label": {**LOWER, "releasable_to": ["GBR", "NOR"]}}
    refused = await api.as_client("GBR analyst").post(path, json=lower)
    raised = await api.as_client("GBR analyst").post(path, json=amendment(references=[source]))

    assert {fault["code"] for fault in refused.json()["errors"]} == {"below-source"}
    assert raised.status_code == 201


async def test_17_source_is_not_shed_to_lower_what_was_made_of_it(api: Api) -> None:
    world = api.world
    await world.enrol("GBR analyst", "GBR", "contributor", "reader", "releaser")
    source = await world.post("NOR contributor")
    analyst = api.as_client("GBR analyst")
    body = report_body(world.agreement_id, label=SECRET)
    posted = (await analyst.post("/v1/reports", json=body | {"references": [source]})).json()["id"]
    assert (await analyst.post(f"/v1/reports/{posted}/amendments", json=amendment())).status_code == 201
    placed = (await analyst.post("/v1/reports", json=body | {"supersedes": posted})).json()["id"]
    parts = [{**body["parts"][0], "label": LOWER}]
    torn = await analyst.post("/v1/reports", json=body | {"references": [source], "parts": parts})

    assert {fault["code"] for fault in torn.json()["errors"]} == {"below-source"}
    for report in (posted, placed):
        refused = await analyst.post(f"/v1/reports/{report}/downgrade", json={"label": LOWER})
        assert {fault["code"] for fault in refused.json()["errors"]} == {"below-source"}
