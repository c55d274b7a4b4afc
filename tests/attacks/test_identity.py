"""Classes 26, 27, 28: one client is one identity, whatever it calls itself, and its rate is its own."""

import base64
import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from exchange.crypto import KeyAndCertificate, issue_client, new_authority, read_certificate
from exchange.entrypoints.http.limits import SharedRateLimiter
from exchange.kernel import UnavailableError
from exchange.store.reads.authority_files import AuthorityFiles, file_name
from exchange.usecases import search_tokens
from tests.attacks.hidden import Api, client_of, kept_state, open_api, seen
from tests.support.world import NOW, World, thumbprint_of

VICTIM = thumbprint_of("GBR reader")
CLAIMS = {
    "Client-Cert": f":{base64.b64encode(bytes.fromhex(VICTIM)).decode()}:",
    "Client-Cert-Chain": f":{base64.b64encode(b'chain').decode()}:",
    "X-Forwarded-Client-Cert": f"Hash={VICTIM};Subject=CN=GBR reader",
    "X-SSL-Client-Verify": "SUCCESS",
    "X-SSL-Client-S-DN": "CN=GBR reader",
    "X-SSL-Client-Fingerprint": VICTIM,
    "X-SSL-Client-SHA1": VICTIM[:40],
    "X-Client-Thumbprint": VICTIM,
    "X-Exchange-Client-Thumbprint": VICTIM,
    "X-Forwarded-For": "10.0.0.1",
    "X-Real-IP": "10.0.0.1",
    "Forwarded": 'for="10.0.0.1";by=proxy',
    "X-Remote-User": "GBR reader",
    "Remote-User": "GBR reader",
    "Authorization": f"Bearer {VICTIM}",
    "Cookie": f"client={VICTIM}; exchange_client_thumbprint={VICTIM}",
    "X-Request-Id": "01980000-0000-7000-8000-00000000000f",
}


def test_27_claims_name_the_one_attacked() -> None:
    assert sum(VICTIM in value for value in CLAIMS.values()) >= 4


@pytest.mark.parametrize("name", [None, "nobody enrolled", "DNK reader"])
async def test_27_headers_about_identity_are_believed_nowhere(api: Api, name: str | None) -> None:
    client = api.as_client(name)
    for method, path, operation in api.operations():
        if "{" in path or "requestBody" in operation:
            continue
        plain = await client.request(method, path)
        for claims in (CLAIMS, *({key: value} for key, value in CLAIMS.items())):
            told = await client.request(method, path, headers=claims)
            assert told.status_code == plain.status_code
            assert told.headers["x-request-id"] != CLAIMS["X-Request-Id"]
            is_json = plain.headers["content-type"] == "application/json"
            if "next" not in (plain.json() if plain.status_code == 200 and is_json else {}):
                assert seen(told) == seen(plain), (method, path, claims)
            else:
                assert told.json()["items"] == plain.json()["items"]


async def test_27_source_on_the_record_is_the_connection_s(api: Api) -> None:
    answer = await api.as_client("DNK reader").get("/v1/whoami", headers=CLAIMS)
    (entry,) = [each for each in await api.world.entries() if each["id"] == answer.headers["x-audit-entry"]]

    tokens = search_tokens(api.world.services)
    assert entry["source"] == tokens.of_address("192.0.2.7")
    assert entry["source"] != tokens.of_address("10.0.0.1")


@pytest.mark.parametrize(
    "spelt",
    [
        VICTIM.upper(),
        ":".join(VICTIM[place : place + 2] for place in range(0, 64, 2)),
        f" {VICTIM}",
        f"{VICTIM}\n",
        f"sha256:{VICTIM}",
        VICTIM[:-1],
        f"{VICTIM}%",
        "%",
        "",
        "0" * 64,
    ],
)
async def test_26_thumbprint_in_another_spelling_is_nobody(api: Api, spelt: str) -> None:
    async with client_of(api.app, spelt) as client:
        answer = await client.get("/v1/whoami")

    assert answer.status_code == 401


def enrolment(pem: str, **others: Any) -> dict[str, Any]:
    return {
        "name": "new",
        "member": "NOR",
        "agency": "NCSC",
        "roles": ["reader"],
        "clearance": {"level": "SECRET"},
        "certificate": pem,
        **others,
    }


def new_pem(name: str = "new", authority: KeyAndCertificate | None = None, organisation: str = "NCSC") -> str:
    issuer = authority or new_authority("Test CA", NOW - timedelta(days=1))
    return issue_client(issuer, name, organisation=organisation, now=NOW, days=30).certificate_pem.decode()


async def test_26_one_certificate_in_another_spelling_is_enrolled_once(api: Api) -> None:
    operator, pem = api.as_client("operator"), new_pem()
    body = "".join(pem.split("-----")[2].split())
    spellings = [
        pem,
        pem.replace("\n", "\r\n"),
        f"subject=CN=another\n{pem}",
        f"{pem}\n\n",
        f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n",
    ]
    first = await operator.post("/v1/clients", json=enrolment(pem))
    again = [await operator.post("/v1/clients", json=enrolment(each, name="twin")) for each in spellings]

    assert first.status_code == 201
    assert {answer.status_code for answer in again} <= {409, 422}
    assert api.world.sql("SELECT count(*) FROM client_certificate WHERE thumbprint = $1", _thumbprint(pem)) == [(1,)]


async def test_26_two_certificates_in_one_file_are_not_two_identities(api: Api) -> None:
    first, second = new_pem("one"), new_pem("two")
    answer = await api.as_client("operator").post("/v1/clients", json=enrolment(first + second))
    enrolled = [
        api.world.sql("SELECT count(*) FROM client_certificate WHERE thumbprint = $1", _thumbprint(each))[0][0]
        for each in (first, second)
    ]

    assert sum(enrolled) == (1 if answer.status_code == 201 else 0)


@pytest.mark.parametrize(
    "name",
    [
        "GBR reader\u200b",
        "\u202eredaer RBG",
        "GBR\u0000reader",
        "GBR\nreader",
        "",
        " ",
        "GBR reader\ufeff",
        "\ud7ff" * 300,
    ],
)
async def test_26_names_that_look_like_others_are_refused(api: Api, name: str) -> None:
    answer = await api.as_client("operator").post("/v1/clients", json=enrolment(new_pem(), name=name))

    assert answer.status_code == 422


@pytest.mark.parametrize("member", ["gbr", "GBR ", "GB", "GВR", "G\u200bBR", "ＧＢＲ", "*", "GBR\u0000"])
async def test_26_member_in_another_spelling_is_nobody_s(api: Api, member: str) -> None:
    operator = api.as_client("operator")
    enrolled = await operator.post("/v1/clients", json=enrolment(new_pem(), member=member))
    added = await operator.post("/v1/members", json={"code": member, "name": "Another"})

    assert (enrolled.status_code, added.status_code) == (422, 422)


def _thumbprint(pem: str) -> str:
    return read_certificate(pem.encode()).thumbprint


async def test_28_rate_is_the_certificate_s_whatever_else_changes(world: World) -> None:
    async with open_api(world, "requests_per_second = 5\n") as api:
        client, answers = api.as_client("DNK reader"), []
        paths = [path for method, path, _ in api.operations() if method == "GET" and "{" not in path]
        for number in range(40):
            headers = {
                "User-Agent": f"tool/{number}",
                "X-Forwarded-For": f"10.0.0.{number}",
                "Forwarded": f"for=10.0.0.{number}",
                "X-Real-IP": f"10.1.0.{number}",
                "X-Request-Id": os.urandom(8).hex(),
                "Connection": "close",
            }
            method = ("GET", "HEAD", "POST", "DELETE")[number % 4]
            path = f"{paths[number % len(paths)]}{'' if number % 3 else '?x=1'}"
            answers.append(await client.request(method, path, headers=headers))
        other = await api.as_client("NOR reader").get("/v1/whoami")

    slowed = [answer for answer in answers if answer.status_code == 429]
    # The bucket holds five; a slow machine refills a few while the others are asked.
    assert len(slowed) >= 10
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in slowed)
    assert other.status_code == 200


async def test_28_rate_is_one_for_however_many_serve_from_one_database(world: World) -> None:
    settings = "requests_per_second = 5\n"
    async with open_api(world, settings) as one, open_api(world, settings) as two:
        begun = time.monotonic()
        asked = [await api.as_client("DNK reader").get("/v1/whoami") for api in (one, two) * 20]
        seconds = time.monotonic() - begun

    # A bucket, what fills it meanwhile, and a token of each that it had borrowed ahead.
    assert sum(answer.status_code == 200 for answer in asked) <= 5 + 5 * seconds + 2


async def test_28_strangers_are_slowed_down_too(world: World) -> None:
    async with open_api(world, "requests_per_second = 3\n") as api:
        statuses = [(await api.as_client("nobody enrolled").get("/v1/whoami")).status_code for _ in range(30)]

    assert set(statuses) == {401, 429}


async def test_28_where_the_count_cannot_be_asked_nobody_is_admitted(world: World) -> None:
    async def away(_thumbprint: str, _tokens: int) -> bool:
        raise UnavailableError("the store is away")

    async with open_api(world) as api:
        api.app.door.rates.clients = SharedRateLimiter(2000, away)
        (report,) = world.sql("SELECT id FROM report ORDER BY seq LIMIT 1")[0]
        answers = [await api.as_client("GBR reader").get(place) for place in ("/v1/whoami", f"/v1/reports/{report}")]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert all("parts" not in answer.json() for answer in answers)


async def test_26_certificate_of_one_members_authority_is_no_other_members_client(api: Api, tmp_path: Path) -> None:
    """Whose it is would post to another member what is for its own, and could never be enrolled as who it is."""
    now = NOW - timedelta(days=1)
    names = ("NOR", "GBR", "the exchange", "nobody", "who knows")
    ours, theirs, own, unknown, unnamed = (new_authority(name, now) for name in names)
    for member, authority in (("NOR", ours), ("GBR", theirs)):
        thumbprint = read_certificate(authority.certificate_pem).thumbprint
        (tmp_path / file_name(member, thumbprint)).write_bytes(authority.certificate_pem)
    (tmp_path / "demo.pem").write_bytes(own.certificate_pem)
    (tmp_path / "cut-off.pem").write_bytes(own.certificate_pem[:99])
    # Put there by hand, whosever it is: its name does not say.
    (tmp_path / "by-hand.pem").write_bytes(unnamed.certificate_pem)
    api.app.state.services = replace(api.world.services, authorities=AuthorityFiles(tmp_path))
    before = kept_state(api.world)

    async def enrolled(operator: str, name: str, authority: KeyAndCertificate, of: str = "NCSC") -> httpx2.Response:
        pem = new_pem(name, authority, of)
        return await api.as_client(operator).post("/v1/clients", json=enrolment(pem, name=f"{operator} {name}"))

    refused = [
        await enrolled("NOR operator", "theirs", theirs),
        await enrolled("operator", "theirs", theirs),
        # Between theirs and this certificate another authority may stand: the member's operator knows what it gives.
        await enrolled("NOR operator", "unknown", unknown),
        await enrolled("NOR operator", "unnamed", unnamed),
        # The exchange issued it for another member, whose rows were lost; or as its edge's, for nobody.
        await enrolled("NOR operator", "lost", own, "GBR/NCSC"),
        await enrolled("operator", "lost", own, "GBR/NCSC"),
        await enrolled("NOR operator", "edge", own, "EXCHANGE"),
    ]
    kept = kept_state(api.world)
    taken = [
        await enrolled("NOR operator", "ours", ours),
        await enrolled("NOR operator", "own", own, "NOR/NSM"),
        await enrolled("operator", "own", own),
        await enrolled("operator", "unknown", unknown),
        await enrolled("operator", "unnamed", unnamed),
    ]

    assert [each.status_code for each in refused] == [422] * 7
    assert {error["code"] for each in refused for error in each.json()["errors"]} == {"foreign-authority"}
    assert kept == before
    assert [each.status_code for each in taken] == [201] * 5
