"""Classes 3, 5, 6, 23, 24, 25, 29: who may change what, by whatever method, body, header or name it is tried."""

import copy
import json
from typing import Any

import pytest

from exchange.entrypoints.http.routing import OperationRoute
from exchange.markings import Label
from tests.attacks.hidden import Api, Hidden, filled, kept_state, open_api, random_id, report_body, seen
from tests.support.world import World

ROLES = ("contributor", "reader", "releaser", "signatory", "auditor", "operator")
ANYONE = frozenset(ROLES)
# Written by hand from the contract: an action that is not here fails, and so does one that lets somebody else in.
WHO_MAY: dict[str, frozenset[str]] = {
    "report.pull": frozenset({"reader"}),
    "report.list": frozenset({"reader"}),
    "report.stream": frozenset({"reader"}),
    "report.read-part": frozenset({"reader"}),
    "report.post": frozenset({"contributor"}),
    "report.send-part": frozenset({"contributor"}),
    "report.complete": frozenset({"contributor"}),
    "upload.list": frozenset({"contributor"}),
    "upload.give-up": frozenset({"contributor"}),
    "report.receive": frozenset({"reader"}),
    "report.explain": frozenset({"reader", "contributor", "releaser"}),
    "report.amend": frozenset({"contributor"}),
    "report.downgrade": frozenset({"releaser"}),
    "report.recall": frozenset({"releaser"}),
    "report.read-recall": frozenset({"releaser"}),
    "report.preview-recall": frozenset({"releaser"}),
    "report.certify-destruction": frozenset({"reader", "releaser"}),
    "destruction.list": frozenset({"reader", "releaser"}),
    "notice.list": frozenset({"reader"}),
    "proxy.ask": frozenset({"releaser"}),
    "proxy.list": frozenset({"releaser", "contributor"}),
    "proxy.revoke": frozenset({"releaser"}),
    "onward.request": frozenset({"reader"}),
    "onward.list": frozenset({"reader", "releaser"}),
    "onward.grant": frozenset({"releaser"}),
    "onward.refuse": frozenset({"releaser"}),
    "onward.revoke": frozenset({"releaser"}),
    "onward.withdraw": frozenset({"reader"}),
    "derivation.request": frozenset({"contributor", "releaser"}),
    "derivation.list": frozenset({"contributor", "releaser"}),
    "derivation.grant": frozenset({"releaser"}),
    "derivation.refuse": frozenset({"releaser"}),
    "derivation.revoke": frozenset({"releaser"}),
    "derivation.withdraw": frozenset({"contributor", "releaser"}),
    "caveats.list": ANYONE,
    "caveats.show": ANYONE,
    "caveats.propose": frozenset({"releaser"}),
    "caveats.check": frozenset({"releaser"}),
    "caveats.withdraw": frozenset({"releaser"}),
    "request.make": frozenset({"reader"}),
    "request.list": frozenset({"reader", "contributor"}),
    "request.read": frozenset({"reader", "contributor"}),
    "request.answer": frozenset({"contributor"}),
    "request.close": frozenset({"reader"}),
    "request.withdraw": frozenset({"reader"}),
    "release.simulate": frozenset({"contributor"}),
    "subscription.add": frozenset({"reader"}),
    "subscription.list": frozenset({"reader"}),
    "subscription.remove": frozenset({"reader"}),
    "subscription.test": frozenset({"reader"}),
    "subscription.deliveries": frozenset({"reader"}),
    "subscription.replay": frozenset({"reader"}),
    "caller.describe": ANYONE,
    "vocabulary.read": ANYONE,
    "member.list": ANYONE,
    "member.add": frozenset({"operator"}),
    "client.list": ANYONE,
    "client.show": ANYONE,
    "client.enrol": frozenset({"operator"}),
    "client.change": frozenset({"operator"}),
    "agreement.list": ANYONE,
    "agreement.show": ANYONE,
    "agreement.simulate": frozenset({"signatory", "operator"}),
    "release.search": ANYONE,
    "audit.explain": frozenset({"auditor"}),
    "agreement.propose": frozenset({"signatory", "operator"}),
    "agreement.sign": frozenset({"signatory"}),
    "agreement.take-back": frozenset({"signatory"}),
    "agreement.export": ANYONE,
    "compliance.read": frozenset({"reader"}),
    "crisis.ask": frozenset({"signatory"}),
    "crisis.list": ANYONE,
    "crisis.end": frozenset({"signatory"}),
    "breach.list": frozenset({"signatory"}),
    "consultation.open": frozenset({"signatory"}),
    "consultation.list": frozenset({"signatory"}),
    "consultation.answer": frozenset({"signatory"}),
    "consultation.settle": frozenset({"signatory"}),
    "amendment.list": frozenset({"signatory"}),
    "amendment.propose": frozenset({"signatory"}),
    "signatory-key.list": ANYONE,
    "signatory-key.enrol": frozenset({"operator"}),
    "signatory-key.retire": frozenset({"operator"}),
    "agreement.suspend": frozenset({"signatory"}),
    "agreement.resume": frozenset({"signatory"}),
    "agreement.withdraw": frozenset({"signatory"}),
    "audit.search": frozenset({"auditor"}),
    "audit.show": frozenset({"auditor"}),
    "alert.list": frozenset({"auditor"}),
    "audit.report-registry": frozenset({"auditor"}),
    "audit.client-registry": frozenset({"auditor"}),
    "audit.readers": frozenset({"auditor"}),
    "audit.export": frozenset({"auditor"}),
    "audit.read-checkpoint": frozenset({"auditor"}),
    "audit.read-tile": frozenset({"auditor"}),
    # The exchange's own auditors alone: no role of a member opens it.
    "audit.read-bundle": frozenset(),
    "audit.prove-entry": ANYONE,
    "audit.prove-consistency": ANYONE,
    "witness.list": frozenset({"auditor", "operator"}),
    "cosignature.receive": frozenset({"auditor"}),
    "act.list": frozenset({"operator", "auditor", "releaser", "signatory"}),
    "act.show": frozenset({"operator", "auditor", "releaser", "signatory"}),
    "act.confirm": frozenset({"operator", "auditor", "releaser", "signatory"}),
    "act.refuse": frozenset({"operator", "auditor", "releaser", "signatory"}),
    "erasure.request": frozenset({"operator", "auditor"}),
    "erasure.show": frozenset({"operator", "auditor"}),
    "erasure.approve": frozenset({"operator", "auditor"}),
}
# That it has a report, that it has destroyed one, where it is told of new ones, what it asks of the originator or of others: a reader's own.
READERS_OWN = {
    ("POST", "/v1/reports/{id}/receipts"),
    ("POST", "/v1/reports/{id}/destruction"),
    ("POST", "/v1/reports/{id}/onward-requests"),
    ("POST", "/v1/onward-requests/{id}/withdrawal"),
    ("POST", "/v1/information-requests"),
    ("POST", "/v1/information-requests/{id}/closure"),
    ("POST", "/v1/information-requests/{id}/withdrawal"),
    ("POST", "/v1/subscriptions"),
    ("DELETE", "/v1/subscriptions/{id}"),
    ("POST", "/v1/subscriptions/{id}/test"),
    ("POST", "/v1/subscriptions/{id}/replay"),
}
QUERY = {"client": "01980000-0000-7000-8000-00000000000f", "on": "2026-06-01", "from": "0", "to": "0"}
"""Values of the parameters that a query must have."""
OPEN_TO_ALL_CLIENTS = {"/openapi.json", "/docs", "/docs/start.js"}
FOREIGN_FIELDS: dict[str, Any] = {
    "id": "01980000-0000-7000-8000-00000000000f",
    "originator": "GBR",
    "posted_at": "2020-01-01T00:00:00Z",
    "status": "current",
    "sequence": 1,
    "seq": 1,
    "version": 9,
    "owner": "GBR",
    "client": "01980000-0000-7000-8000-00000000000f",
    "state": "in_force",
    "signed_at": "2020-01-01T00:00:00Z",
    "thumbprints": ["00"],
    "marking": "NATO UNCLASSIFIED",
    "__proto__": {"roles": ["operator"]},
}


def test_22_every_route_declares_its_policy_action_and_its_errors(api: Api) -> None:
    documented = {(method, path) for method, path, _ in api.operations()}
    served = set()
    for route in api.app.router.routes:
        if isinstance(route, OperationRoute):
            path = route.path.replace(":path}", "}")  # how Starlette says that it holds slashes
            served |= {(method, path) for method in route.methods if method != "HEAD"}
        else:
            # The document and its page, for every enrolled client; anything else must be an operation.
            assert route.path in OPEN_TO_ALL_CLIENTS or route.path.startswith("/docs/"), route.path

    assert served == documented
    for method, path, operation in api.operations():
        assert operation["x-policy-action"] in WHO_MAY, f"{method} {path}: say here who may do it"
        statuses = set(operation["responses"])
        assert {"400", "401", "403", "404", "405", "406", "422", "429", "500", "503"} <= statuses, (method, path)
        assert {"408", "413", "415"} <= statuses or "requestBody" not in operation, (method, path)


def one_who_may(operation: dict[str, Any]) -> str:
    """Return a client that may do it; the exchange's own people are called by their role alone."""
    roles = WHO_MAY[operation["x-policy-action"]]
    return next((role for role in ("operator", "auditor") if role in roles), f"GBR {min(roles)}")


def required_query(operation: dict[str, Any]) -> dict[str, str]:
    """Return what the operation's query cannot do without."""
    asked = [each["name"] for each in operation["parameters"] if each["in"] == "query" and each["required"]]
    return {name: QUERY[name] for name in asked}


@pytest.mark.parametrize("role", ROLES)
async def test_24_role_opens_exactly_the_operations_of_its_row(world: World, role: str) -> None:
    await world.enrol("one role", "NOR", role)
    async with open_api(world) as api:
        for method, path, operation in api.operations():
            answer = await api.as_client("one role").request(
                method,
                filled(path, random_id()),
                params=required_query(operation),
                **({"json": {}} if "requestBody" in operation else {}),
            )
            is_refused = answer.status_code == 403 and answer.json()["code"] == "role-missing"
            assert is_refused == (role not in WHO_MAY[operation["x-policy-action"]]), (method, path)


async def test_05_who_may_read_changes_nothing(api: Api) -> None:
    (report,) = (await api.as_client("NOR reader").get("/v1/reports")).json()["items"]
    own = api.world.clients["NOR reader"].id
    reader, before = api.as_client("NOR reader"), kept_state(api.world)
    for path in api.document["paths"]:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            if (method, path) in READERS_OWN:
                continue
            for an_id in (report["id"], own, api.world.agreement_id):
                for body in ({}, {"standing": "active"}, {"clearance": {"level": "TOP SECRET"}}, report_body(an_id)):
                    answer = await reader.request(method, filled(path, an_id), json=body)
                    assert answer.status_code in {403, 405}, (method, path)
                    if "{" not in path:
                        break

    assert kept_state(api.world) == before


async def test_03_a_body_with_a_foreign_id_changes_nothing(api: Api, hidden: Hidden) -> None:
    operator, signatory = api.as_client("NOR operator"), api.as_client("NOR signatory")
    own, before = api.world.clients["NOR junior"].id, kept_state(api.world)
    tries = [
        await operator.patch(f"/v1/clients/{own}", json={"standing": "revoked", "id": hidden.client}),
        await operator.patch(f"/v1/clients/{own}", json={"standing": "revoked", "member": "GBR"}),
        await signatory.post(f"/v1/agreements/{api.world.agreement_id}/suspension", json={"member": "GBR"}),
        await signatory.post(f"/v1/agreements/{api.world.agreement_id}/withdrawal", json={"id": hidden.agreement}),
        await api.as_client("NOR contributor").post(
            "/v1/reports", json=report_body(api.world.agreement_id, id=hidden.report)
        ),
        await api.as_client("NOR contributor").post(
            "/v1/reports", json=report_body(api.world.agreement_id, supersedes=hidden.report)
        ),
    ]

    assert [answer.status_code for answer in tries] == [422] * len(tries)
    assert kept_state(api.world) == before


async def test_03_report_of_another_member_or_agreement_is_superseded_by_nobody(world: World) -> None:
    await world.enrol("NOR analyst", "NOR", "contributor", "reader")
    theirs, first = await world.post("GBR contributor"), world.agreement_id
    other = await world.agree()
    async with open_api(world) as api:
        # Who may read it, and may post where it stands; and its own originator, elsewhere.
        read = await api.as_client("NOR analyst").get(f"/v1/reports/{theirs}")
        answers = [
            await api.as_client(name).post("/v1/reports", json=report_body(agreement, supersedes=theirs))
            for name, agreement in (("NOR analyst", first), ("NOR contributor", first), ("GBR contributor", other))
        ]

    assert read.status_code == 200
    assert [answer.status_code for answer in answers] == [422, 422, 422]
    faults = [(fault["pointer"], fault["code"]) for answer in answers for fault in answer.json()["errors"]]
    assert faults == [("/supersedes", code) for code in ("unknown-report", "unknown-report", "other-agreement")]
    assert world.sql("SELECT status FROM report WHERE id = $1", theirs) == [("current",)]


async def test_06_scopes_and_clients_of_one_name_are_told_apart(world: World, hidden: Hidden) -> None:
    under_main = await world.post(label=Label("NATO", "SECRET", releasable_to=("ESP", "GBR", "NOR")))
    await world.enrol("namesake", "ESP", "reader")
    twin = world.clients["namesake"]
    world.sql("UPDATE client SET name = 'NOR reader' WHERE id = $1", twin.id)
    async with open_api(world) as api:
        outsider, namesake = api.as_client("NOR reader"), api.as_client("namesake")
        seen_by_outsider = {item["id"] for item in (await outsider.get("/v1/reports")).json()["items"]}
        seen_by_namesake = {item["id"] for item in (await namesake.get("/v1/reports")).json()["items"]}

    # Same title, same scope, same client's name: the agreement and the certificate alone decide.
    assert under_main in seen_by_outsider - seen_by_namesake
    assert hidden.other_report in seen_by_namesake - seen_by_outsider


async def test_23_operator_of_one_member_touches_nobody_else(api: Api, hidden: Hidden) -> None:
    operator, before = api.as_client("NOR operator"), kept_state(api.world)
    foreign = [hidden.client, *(api.world.clients[name].id for name in ("GBR reader", "DNK signatory", "operator"))]
    for an_id in foreign:
        for body in ({"standing": "revoked"}, {"standing": "suspended"}, {"clearance": {"level": "TOP SECRET"}}):
            answer = await operator.patch(f"/v1/clients/{an_id}", json=body)
            assert answer.status_code == 404
            (entry,) = [e for e in await api.world.entries() if e["id"] == answer.headers["x-audit-entry"]]
            assert entry["decision"] == "refused"
    assert (await operator.post("/v1/members", json={"code": "FRA", "name": "France"})).status_code == 403
    listed = (await operator.get("/v1/clients")).json()["items"]

    assert {item["member"] for item in listed} == {"NOR"}
    assert kept_state(api.world) == before


async def test_23_operator_of_one_member_enrols_for_no_other(api: Api) -> None:
    example = _example(api, "/v1/clients", "post")
    before = kept_state(api.world)
    for member in ("GBR", "EXCHANGE", "ESP"):
        answer = await api.as_client("NOR operator").post("/v1/clients", json={**example, "member": member})
        assert answer.status_code in {403, 422}

    assert kept_state(api.world) == before


@pytest.mark.parametrize("name", ["DNK reader", "NOR operator", "operator", "GBR contributor", "GBR signatory"])
async def test_25_get_changes_nothing_and_takes_no_other_method(api: Api, name: str) -> None:
    client, before = api.as_client(name), kept_state(api.world)
    target = api.world.clients["NOR junior"].id
    body = {"standing": "revoked"}
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        for wanted in ("PATCH", "DELETE", "POST"):
            plain = await client.request("GET", f"/v1/clients/{target}", json=body)
            told = await client.request("GET", f"/v1/clients/{target}", json=body, headers={header: wanted})
            assert seen(told) == seen(plain)
    for method, path, _ in api.operations():
        if method == "GET":
            for query in ("", "?_method=DELETE", "?method=PATCH"):
                await client.request("GET", filled(path, target) + query, json=body)
                await client.head(filled(path, target) + query)
    posted = await client.post(f"/v1/clients/{target}", json=body, headers={"X-HTTP-Method-Override": "PATCH"})

    assert posted.status_code == 405
    assert kept_state(api.world) == before


MEDIA = (
    None,
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "text/plain; application/json",
    "application/json\t,text/plain",
)


@pytest.mark.parametrize("media", MEDIA)
async def test_25_bodies_of_another_type_are_not_read(api: Api, media: str | None) -> None:
    before, headers = kept_state(api.world), {} if media is None else {"Content-Type": media}
    for method, path, operation in api.operations():
        if "requestBody" not in operation:
            continue
        answer = await api.as_client(one_who_may(operation)).request(
            method, filled(path, api.world.agreement_id), content=b'{"standing":"revoked"}', headers=headers
        )
        assert answer.status_code == 415, (method, path, media)

    assert kept_state(api.world) == before


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Idempotency-Key", ("one", "other")),
        ("Content-Type", ("application/json", "text/plain")),
        ("Content-Encoding", ("identity", "gzip")),
        ("Transfer-Encoding", ("chunked", "gzip")),
        ("Exchange-Purpose", ("defence", "defence")),
        ("If-Match", ('"1"', '"2"')),
    ],
)
async def test_25_header_that_stands_twice_is_read_as_neither(api: Api, name: str, values: tuple[str, str]) -> None:
    before, caller = kept_state(api.world), api.as_client("GBR contributor")
    method, path, body = "POST", "/v1/reports", report_body(api.world.agreement_id)
    if name == "If-Match":
        reader = api.world.clients["NOR junior"].id
        caller, method, path, body = (
            api.as_client("operator"),
            "PATCH",
            f"/v1/clients/{reader}",
            {"standing": "revoked"},
        )
    for order in (values, values[::-1]):
        given = [
            *((name, value) for value in order),
            *([] if name == "Content-Type" else [("Content-Type", "application/json")]),
        ]
        answer = await caller.request(method, path, content=json.dumps(body), headers=given)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), order

    assert kept_state(api.world) == before


@pytest.mark.parametrize(
    ("name", "coding"),
    [
        *(("Content-Encoding", coding) for coding in ("gzip", "identity, gzip", "x")),
        *(("Transfer-Encoding", coding) for coding in ("gzip, chunked", "gzip", "identity", "chunked, chunked")),
    ],
)
async def test_25_coded_body_is_not_read(api: Api, name: str, coding: str) -> None:
    before, content = kept_state(api.world), json.dumps(report_body(api.world.agreement_id)).encode()
    headers = {"Content-Type": "application/json", name: coding}
    answer = await api.as_client("GBR contributor").post("/v1/reports", content=content, headers=headers)

    assert answer.status_code == 415
    assert kept_state(api.world) == before


async def test_29_fields_that_are_the_exchange_s_to_say_are_refused_everywhere(api: Api) -> None:
    """Every operation with a body, by somebody who may call it: each foreign field is a fault at its own place."""
    before, tried = kept_state(api.world), 0
    for method, path, operation in api.operations():
        if "requestBody" not in operation:
            continue
        name = one_who_may(operation)
        content = operation["requestBody"]["content"].get("application/json")
        if content is None:
            continue  # bytes have no fields
        known = api.document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]]["properties"]
        for field, value in FOREIGN_FIELDS.items():
            if field in known:
                continue
            body = copy.deepcopy(content.get("example", {})) | {field: value}
            answer = await api.as_client(name).request(method, filled(path, api.world.agreement_id), json=body)
            tried += 1
            assert answer.status_code == 422, (method, path, field, answer.text)
            pointers = [fault["pointer"] for fault in answer.json()["errors"]]
            assert f"/{field}" in pointers, (method, path, field, pointers)

    assert tried > 50
    assert kept_state(api.world) == before


@pytest.mark.parametrize("field", ["id", "sha256", "number", "protection", "size_bytes", "key_id", "marking"])
async def test_29_foreign_fields_in_parts_and_labels_are_refused(api: Api, field: str) -> None:
    before = kept_state(api.world)
    in_part, in_label = report_body(api.world.agreement_id), report_body(api.world.agreement_id)
    in_part["parts"][0][field] = 1
    in_label["label"][field] = 1
    for body in (in_part, in_label):
        answer = await api.as_client("GBR contributor").post("/v1/reports", json=body)
        assert answer.status_code == 422

    assert kept_state(api.world) == before


def _example(api: Api, path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = api.document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"]
    return found
