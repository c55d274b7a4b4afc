"""Members, clients, agreements, the caller and simulations over HTTP."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta

import pytest

from exchange.agreements.strict_yaml import Document, read_yaml
from exchange.crypto import issue_server, new_authority
from exchange.wire import (
    AgreementBody,
    AgreementListBody,
    ClientBody,
    ClientListBody,
    MemberListBody,
    ObjectSignatureBody,
    SimulationBody,
    VocabularyBody,
    WhoamiBody,
)
from tests.entrypoints.certificates import make_trust
from tests.support.treaty import signed, signing_key
from tests.support.world import AGREEMENT, NOW, thumbprint_of

ABSENT = "01980000-0000-7000-8000-000000000000"


@pytest.fixture
def enrolment(tmp_path) -> dict:
    # The world's clock stands in June 2026: its authority is as old, or this would be valid no day once it is 2027.
    day_before = NOW - timedelta(days=1)
    identity = make_trust(tmp_path / "tls", now=day_before).client("new", now=day_before, days=300)
    return {
        "name": "new-reader",
        "member": "NOR",
        "agency": "NSM",
        "roles": ["reader"],
        "clearance": {"level": "SECRET", "compartments": ["ATOMAL"], "until": "2027-01-01T00:00:00Z"},
        "certificate": identity.certificate_pem.decode(),
    }


async def test_whoami_says_what_is_enrolled(http) -> None:
    answer = await http("NOR reader").get("/v1/whoami")

    me = WhoamiBody.model_validate_json(answer.content)
    assert (me.client, me.member, me.roles, me.assurance) == ("NOR reader", "NOR", ["reader"], "mutual-tls")
    assert me.clearance.level == "SECRET"


async def test_vocabulary_offers_levels_up_to_the_clearance(http) -> None:
    answer = await http("NOR reader").get("/v1/vocabulary")

    words = VocabularyBody.model_validate_json(answer.content)
    nato = next(policy for policy in words.policies if policy.id == "NATO")
    assert nato.levels[0].name == "TOP SECRET"
    assert nato.may_originate[0] == "SECRET"
    assert any(topic.code == "cyber.apt" for topic in words.topics)


@pytest.mark.parametrize(("name", "seen"), [("operator", 5), ("NOR reader", 1)])
async def test_members_see_themselves_and_operators_all(http, name: str, seen: int) -> None:
    answer = await http(name).get("/v1/members")

    assert len(MemberListBody.model_validate_json(answer.content).items) == seen


async def test_operator_adds_a_member_once(http) -> None:
    first = await http("operator").post("/v1/members", json={"code": "FIN", "name": "Finland"})
    second = await http("operator").post("/v1/members", json={"code": "FIN", "name": "Finland"})

    assert (first.status_code, second.status_code) == (201, 409)


async def test_certificate_that_no_handshake_takes_is_enrolled_with_a_warning(http, enrolment) -> None:
    taken = await http("operator").post("/v1/clients", json=enrolment)
    authority = new_authority("NOR", NOW - timedelta(days=1))
    of_server = issue_server(authority, ["localhost"], now=NOW - timedelta(days=1)).certificate_pem.decode()
    warned = await http("operator").post("/v1/clients", json={**enrolment, "name": "n2", "certificate": of_server})

    assert (taken.status_code, warned.status_code) == (201, 201)
    assert taken.json()["warning"] is None
    assert warned.json()["warning"] == (
        "no node takes the certificate in a handshake: its `extendedKeyUsage` is not for clients (`clientAuth`)"
    )


async def test_operator_enrols_and_the_client_shows_up_with_its_certificate(http, enrolment) -> None:
    answer = await http("operator").post("/v1/clients", json=enrolment)

    assert answer.status_code == 201
    enrolled = ClientBody.model_validate_json(answer.content)
    assert answer.headers["location"] == f"/v1/clients/{enrolled.id}"
    shown = await http("operator").get(f"/v1/clients/{enrolled.id}")
    body = ClientBody.model_validate_json(shown.content)
    assert (body.nationality, body.clearance.compartments, len(body.certificates or [])) == ("NOR", ["ATOMAL"], 1)
    assert shown.headers["etag"] == '"1"'


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"member": "ZZZ"}, "/member"),
        ({"roles": ["root"]}, "/roles/0"),
        ({"roles": []}, "/roles"),
        ({"roles": ["operator", "reader"]}, "/roles"),
        ({"clearance": {"level": "secret"}}, "/clearance/level"),
        ({"clearance": {"level": "SECRET", "compartments": ["NOTHING"]}}, "/clearance/compartments"),
        ({"clearance": "SECRET"}, "/clearance"),
        ({"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "/certificate"),
        ({"id": ABSENT}, "/id"),
        ({"standing": "active"}, "/standing"),
    ],
)
async def test_faulty_enrolment_points_at_the_fault(http, enrolment, changes, pointer) -> None:
    answer = await http("operator").post("/v1/clients", json={**enrolment, **changes})

    assert answer.status_code == 422
    assert any(error["pointer"].startswith(pointer) for error in answer.json()["errors"]), answer.json()


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ("PRIVATE KEY", "a private key came along, and is no secret any more: make another, and send its certificate"),
        ("CERTIFICATE", "2 certificates at once: give the one that is meant"),
    ],
)
async def test_what_comes_beside_a_certificate_is_named(http, enrolment, beside: str, told: str) -> None:
    with_it = enrolment["certificate"] + enrolment["certificate"].replace("CERTIFICATE", beside)
    answer = await http("operator").post("/v1/clients", json={**enrolment, "certificate": with_it})

    assert answer.status_code == 422
    assert told in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("name", ["NOR reader", "NOR signatory", "auditor", "stranger"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/members"), ("POST", "/v1/clients"), ("PATCH", f"/v1/clients/{ABSENT}")]
)
async def test_nobody_but_an_operator_administers(http, name: str, method: str, path: str) -> None:
    answer = await http(name).request(method, path, json={})

    assert answer.status_code == (401 if name == "stranger" else 403)


async def test_clients_page_through_all(http, world) -> None:
    seen, after = [], None
    while True:
        query = {"limit": "5"} | ({"after": after} if after else {})
        page = ClientListBody.model_validate_json((await http("operator").get("/v1/clients", params=query)).content)
        seen += [item.id for item in page.items]
        after = page.next
        if after is None:
            break

    assert sorted(seen) == sorted(client.id for client in world.clients.values())


async def test_another_members_client_is_answered_like_an_absent_one(world, http) -> None:
    foreign = await http("NOR reader").get(f"/v1/clients/{world.clients['GBR reader'].id}")
    absent = await http("NOR reader").get(f"/v1/clients/{ABSENT}")

    assert foreign.status_code == absent.status_code == 404
    assert {**foreign.json(), "request_id": ""} == {**absent.json(), "request_id": ""}


async def test_revoked_client_is_refused_from_its_next_request_on(world, http) -> None:
    reader = http("NOR reader")
    assert (await reader.get("/v1/reports")).status_code == 200

    change = await http("operator").patch(f"/v1/clients/{world.clients['NOR reader'].id}", json={"standing": "revoked"})

    assert change.status_code == 200
    after = await reader.get("/v1/reports")
    assert (after.status_code, after.json()["code"]) == (403, "client-suspended")


async def test_change_meant_for_an_older_version_is_412(world, http) -> None:
    path, operator = f"/v1/clients/{world.clients['NOR reader'].id}", http("operator")
    first = await operator.patch(path, json={"clearance": {"level": "RESTRICTED"}}, headers={"If-Match": '"1"'})

    second = await operator.patch(path, json={"standing": "suspended"}, headers={"If-Match": '"1"'})

    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    assert (second.status_code, second.json()["code"]) == (412, "precondition-failed")


@pytest.mark.parametrize("body", [{}, {"standing": "revoked", "clearance": {"level": "SECRET"}}])
async def test_change_is_one_at_a_time(world, http, body) -> None:
    answer = await http("operator").patch(f"/v1/clients/{world.clients['NOR reader'].id}", json=body)

    assert answer.status_code == 422


@pytest.mark.parametrize("stated", ["1", '"x"', 'W/"1"', '"1", "2"', f'"{"1" * 5000}"'])
async def test_if_match_that_names_no_version_is_400(world, http, stated: str) -> None:
    path = f"/v1/clients/{world.clients['NOR reader'].id}"

    answer = await http("operator").patch(path, json={"standing": "suspended"}, headers={"If-Match": stated})

    assert answer.status_code == 400
    # No answer to a reader has an `ETag`: what is to be sent is what it reads.
    assert "send the `version` that you read" in answer.json()["detail"]


async def test_agreement_is_seen_by_its_parties_alone(world, http) -> None:
    path = f"/v1/agreements/{world.agreement_id}"

    party, stranger, absent = (
        await http("DNK reader").get(path),
        await http("ESP reader").get(path),
        await http("ESP reader").get(f"/v1/agreements/{ABSENT}"),
    )

    assert AgreementBody.model_validate_json(party.content).state == "in_force"
    assert stranger.status_code == absent.status_code == 404
    assert {**stranger.json(), "request_id": ""} == {**absent.json(), "request_id": ""}
    assert AgreementListBody.model_validate_json((await http("ESP reader").get("/v1/agreements")).content).items == []


async def signature_of(world, member: str, path: str) -> dict[str, object]:
    """Return a member's signature under the text at `path`, as it is sent."""
    name = f"{member} signatory"
    agreement = await world.services.store.agreement(path.rpartition("/")[2])
    given = signed(agreement, world.clients[name], signing_key(thumbprint_of(name)))
    sent = ObjectSignatureBody.of(given.signature)
    return {"text": given.text, "key": given.key_id, "signature": sent.model_dump()}


async def test_agreement_file_is_taken_as_it_is_and_signed(world, http) -> None:
    headers = {"Content-Type": "application/yaml"}
    proposed = await http("GBR signatory").post("/v1/agreements", content=AGREEMENT, headers=headers)
    assert proposed.status_code == 201
    path = proposed.headers["location"]

    states = [
        (
            await http(f"{member} signatory").post(f"{path}/signatures", json=await signature_of(world, member, path))
        ).json()["state"]
        for member in ("GBR", "NOR", "DNK")
    ]

    assert states == ["draft", "draft", "in_force"]


@pytest.mark.parametrize("path", ["/v1/agreements", "/v1/agreements/simulations", "/v1/agreements/{id}/amendments"])
async def test_others_are_answered_while_a_file_is_read(world, http, monkeypatch, path: str) -> None:
    begun, answered = threading.Event(), threading.Event()

    def read_after_them(text: str) -> Document:
        begun.set()
        assert answered.wait(20), "nobody was answered meanwhile"
        return read_yaml(text)

    monkeypatch.setattr("exchange.entrypoints.api.agreements.read_yaml", read_after_them)
    headers = {"Content-Type": "application/yaml"}
    path = path.format(id=world.agreement_id)

    reading = asyncio.create_task(http("GBR signatory").post(path, content="title: 1", headers=headers))
    while not begun.is_set():  # noqa: ASYNC110  set by another thread
        await asyncio.sleep(0.01)
    other = await http("NOR reader").get("/v1/whoami")
    answered.set()

    assert other.status_code == 200
    assert (await reading).status_code == 422


async def test_faults_of_a_file_come_back_with_their_lines(http) -> None:
    headers = {"Content-Type": "application/yaml"}
    text = AGREEMENT.replace("ceiling: SECRET", "ceiling: secret")

    answer = await http("GBR signatory").post("/v1/agreements", content=text, headers=headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["line"] == text.splitlines().index("    ceiling: secret") + 1


async def test_agreement_as_json_equals_the_answer_about_it(world, http) -> None:
    shown = (await http("GBR signatory").get(f"/v1/agreements/{world.agreement_id}")).json()
    terms = {name: shown[name] for name in ("title", "policy", "validity", "scopes", "obligations", "termination")}
    terms["parties"] = [party["member"] for party in shown["parties"]]

    answer = await http("GBR signatory").post("/v1/agreements", json=terms)

    assert answer.status_code == 201
    assert answer.json()["scopes"] == shown["scopes"]


@pytest.mark.parametrize("content", [b'"title: x"', b"[]", b"null", b"7"])
async def test_json_that_is_no_agreement_is_422(http, content: bytes) -> None:
    answer = await http("GBR signatory").post(
        "/v1/agreements", content=content, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422


async def test_suspension_and_resumption_and_withdrawal_move_the_own_part(world, http) -> None:
    path, signatory = f"/v1/agreements/{world.agreement_id}", http("NOR signatory")

    moves = [
        (await signatory.post(f"{path}/{act}", json={})).json() for act in ("suspension", "resumption", "withdrawal")
    ]

    own = [next(party["state"] for party in move["parties"] if party["member"] == "NOR") for move in moves]
    # A withdrawal is a notice: the part is held until it has passed.
    assert own == ["suspended", "signed", "signed"]
    leaving = [next(party["leaves_at"] for party in move["parties"] if party["member"] == "NOR") for move in moves]
    assert (leaving[:2], leaving[2] is None) == ([None, None], False)
    body = await signature_of(world, "NOR", path)
    assert (await signatory.post(f"{path}/signatures", json=body)).status_code == 409


@pytest.mark.parametrize("act", ["signatures", "suspension", "resumption", "withdrawal"])
async def test_only_a_signatory_acts_for_its_member(world, http, act: str) -> None:
    answer = await http("NOR reader").post(f"/v1/agreements/{world.agreement_id}/{act}", json={})

    assert (answer.status_code, answer.json()["code"]) == (403, "role-missing")


async def test_simulation_says_who_could_read(world, http) -> None:
    body = {
        "agreement": world.agreement_id,
        "scope": "cyber-threats",
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
    }

    answer = await http("GBR contributor").post("/v1/simulations", json=body)

    assert answer.status_code == 200
    members = {reach.member: reach for reach in SimulationBody.model_validate_json(answer.content).members}
    assert members["NOR"].can_read
    assert not members["DNK"].can_read
    assert "not-releasable" in members["DNK"].reasons
    assert (await http("GBR reader").get("/v1/reports")).json()["items"] == []


@pytest.mark.parametrize(
    ("alter", "left"),
    [
        ("UPDATE client SET level = x'ff' WHERE name = 'ESP reader'", 1),
        ("UPDATE client SET compartments = '[7]' WHERE name = 'ESP reader'", 1),
        ("UPDATE client SET purposes = '{\"defence\": 1}' WHERE name = 'ESP reader'", 1),
        ("UPDATE client SET roles = '{\"reader\": 1}' WHERE name = 'ESP reader'", 1),
        ("UPDATE client SET version = 9007199254740992 WHERE name = 'ESP reader'", 1),
        ("UPDATE client_certificate SET thumbprint = x'ff' WHERE thumbprint = '{thumbprint}'", 0),
    ],
)
async def test_altered_client_takes_no_other_from_the_operators_list(http, world, alter: str, left: int) -> None:
    before = (await http("operator").get("/v1/clients")).json()["items"]
    with closing(sqlite3.connect(world.folder / "exchange.db")) as database, database:
        database.execute(alter.replace("{thumbprint}", thumbprint_of("ESP reader")))

    answer = await http("operator").get("/v1/clients")
    assert (answer.status_code, len(answer.json()["items"])) == (200, len(before) - left)
