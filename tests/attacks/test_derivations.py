"""Marks washed down: over HTTP, by whoever is not the originator of what is built on."""

from datetime import timedelta
from typing import Any

import pytest

from exchange.markings import Label
from tests.attacks.hidden import Api, report_body
from tests.support.world import NOW

ABSENT = "01980000-0000-7000-8000-000000000000"
LOW = {"policy": "NATO", "classification": "RESTRICTED", "releasable_to": ["DNK", "GBR", "NOR"]}
UNTIL = (NOW + timedelta(days=30)).isoformat().replace("+00:00", "Z")
WISH = {"label": LOW, "until": UNTIL, "reason": "a warning"}


@pytest.fixture
async def source(api: Api) -> str:
    await api.world.enrol("NOR analyst", "NOR", "contributor", "reader", "releaser")
    return await api.world.post(label=Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR")))


async def ask(api: Api, report: str, name: str = "NOR analyst", **changes: Any) -> Any:
    return await api.as_client(name).post(f"/v1/reports/{report}/derivation-requests", json={**WISH, **changes})


async def decide(api: Api, request: str, act: str, name: str, **said: Any) -> Any:
    return await api.as_client(name).post(f"/v1/derivation-requests/{request}/{act}", json=said)


async def derived(api: Api, *sources: str, name: str = "NOR analyst", label: Any = None) -> Any:
    body = report_body(api.world.agreement_id, label=label or LOW, references=list(sources))
    return await api.as_client(name).post("/v1/reports", json=body)


async def test_17_who_asks_cannot_grant_and_no_other_member_can(api: Api, source: str) -> None:
    await api.world.enrol("DNK releaser", "DNK", "releaser")
    request = (await ask(api, source)).json()["id"]
    for name in ("NOR analyst", "NOR releaser", "DNK releaser"):
        for act, said in (("grant", {}), ("refusal", {"reason": "no"}), ("revocation", {})):
            foreign, absent = (
                await decide(api, request, act, name, **said),
                await decide(api, ABSENT, act, name, **said),
            )
            assert (foreign.status_code, foreign.json()["detail"]) == (404, absent.json()["detail"])
    assert (await decide(api, request, "grant", "operator")).status_code == 403
    refused = await derived(api, source)

    assert refused.status_code == 422
    assert {fault["code"] for fault in refused.json()["errors"]} == {"below-source"}


async def test_17_grant_opens_its_label_for_its_member_and_the_next_request_ends_it(api: Api, source: str) -> None:
    request = (await ask(api, source)).json()["id"]
    assert (await decide(api, request, "grant", "GBR releaser")).json()["state"] == "granted"
    lower = {**LOW, "classification": "UNCLASSIFIED"}
    wider = {**LOW, "releasable_to": ["DNK", "ESP", "GBR", "NOR"]}
    tries = [(await derived(api, source, label=label)).status_code for label in (lower, wider)]
    tries.append((await derived(api, source, name="GBR contributor")).status_code)
    made = await derived(api, source)

    assert (tries, made.status_code) == ([422, 422, 422], 201)
    # Who reads what was derived reads nothing of the source, its id not excepted.
    pulled = await api.as_client("DNK reader").get(f"/v1/reports/{made.json()['id']}")
    assert (pulled.status_code, pulled.json()["references"]) == (200, [])
    assert (await api.as_client("DNK reader").get(f"/v1/reports/{source}")).status_code == 404
    assert (await decide(api, request, "revocation", "GBR releaser")).json()["state"] == "revoked"
    assert (await derived(api, source)).status_code == 422


async def test_17_what_was_derived_is_no_step_to_go_lower_by(api: Api, source: str) -> None:
    await decide(api, (await ask(api, source)).json()["id"], "grant", "GBR releaser")
    step = (await derived(api, source)).json()["id"]
    lower = {**LOW, "classification": "UNCLASSIFIED"}
    request = (await ask(api, step, label=lower)).json()["id"]
    granted = await decide(api, request, "grant", "NOR analyst")

    assert (granted.status_code, granted.json()["code"]) == (409, "originator-control")
    assert (await derived(api, step, label=lower)).status_code == 422
    downgrade = await api.as_client("NOR analyst").post(f"/v1/reports/{step}/downgrade", json={"label": lower})
    assert {fault["code"] for fault in downgrade.json()["errors"]} == {"below-source"}


async def test_09_what_is_asked_about_a_report_above_a_releasers_clearance_is_absent(api: Api) -> None:
    world = api.world
    await world.enrol("NOR analyst", "NOR", "contributor", "reader")
    await world.enrol("GBR low releaser", "GBR", "releaser", level="UNCLASSIFIED")
    low = api.as_client("GBR low releaser")
    before = [(await low.get(path)).json() for path in ("/v1/derivation-requests", "/v1/acts")]
    report = await world.post()  # SECRET: two persons
    request = (await ask(api, report)).json()["id"]
    granted = (await decide(api, request, "grant", "GBR releaser")).json()

    assert (granted["state"], granted["act"] is None) == ("awaiting-second-person", False)
    assert [(await low.get(path)).json() for path in ("/v1/derivation-requests", "/v1/acts")] == before
    for act, said in (("grant", {}), ("refusal", {"reason": "no"}), ("revocation", {})):
        hidden, absent = [await decide(api, each, act, "GBR low releaser", **said) for each in (request, ABSENT)]
        assert (hidden.status_code, hidden.json()["detail"]) == (404, absent.json()["detail"])


async def test_09_invisible_report_is_asked_about_as_an_absent_one(api: Api) -> None:
    await api.world.enrol("NOR analyst", "NOR", "contributor", "reader")
    hidden = await api.world.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    before = api.world.sql("SELECT count(*) FROM derivation_consent")
    wrong = {**LOW, "classification": "NO SUCH LEVEL"}
    for changes in ({}, {"label": wrong}, {"until": "2020-01-01T00:00:00Z"}):
        told = [(await ask(api, report, **changes)) for report in (hidden, ABSENT)]
        assert [answer.status_code for answer in told] == [404, 404]
        assert told[0].json()["detail"] == told[1].json()["detail"]
    assert api.world.sql("SELECT count(*) FROM derivation_consent") == before
