"""Classes 1, 9, 10, 11, 15 and 16: a report that is not complete is nothing, for everybody but its poster."""

import asyncio
import hashlib
import itertools
from typing import Any

import pytest

from tests.attacks.hidden import (
    METHODS,
    Api,
    Hidden,
    filled,
    kept_state,
    open_api,
    outsiders_of,
    random_id,
    report_body,
    seen,
)
from tests.attacks.test_existence import Weighed, acts_of
from tests.attacks.test_moments import two_nodes
from tests.support.world import World

OCTETS = {"Content-Type": "application/octet-stream"}
CONTENT = b"canary " * 50_000
POSTER = "GBR contributor"
# Of the same agency, of the member that will read it, of others, and of the exchange itself.
OUTSIDERS = (
    "GBR colleague",
    "GBR reader",
    "GBR releaser",
    "NOR reader",
    "NOR contributor",
    "DNK reader",
    "operator",
    "auditor",
)


def declared(api: Api, **others: Any) -> dict[str, Any]:
    part = {"media_type": "text/plain", "name": "a.txt", "size_bytes": len(CONTENT)}
    return report_body(api.world.agreement_id, complete=False, parts=[part], **others)


async def begun(api: Api, **others: Any) -> str:
    answer = await api.as_client(POSTER).post("/v1/reports", json=declared(api, **others))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def send(api: Api, upload: str, name: str = POSTER, content: bytes = CONTENT) -> int:
    answer = await api.as_client(name).put(f"/v1/reports/{upload}/parts/1", content=content, headers=OCTETS)
    return answer.status_code


async def complete(api: Api, upload: str, name: str = POSTER) -> int:
    return (await api.as_client(name).post(f"/v1/reports/{upload}/completion", json={})).status_code


@pytest.fixture
async def colleague(api: Api) -> Api:
    await api.world.enrol("GBR colleague", "GBR", "contributor")
    return api


PATHS = ("/v1/reports/{id}", "/v1/audit/reports/{id}", "/v1/uploads/{id}")


async def test_01_id_of_what_is_not_complete_is_like_an_absent_one_to_everybody(colleague: Api, hidden: Hidden) -> None:
    before, told = kept_state(colleague.world), []
    paths = [path for path in colleague.document["paths"] if path.startswith(PATHS)]
    for path, method, name in itertools.product(paths, METHODS, OUTSIDERS):
        client, acts = colleague.as_client(name), acts_of(colleague, path, method)
        # What others ask of it, and what a path has no method for, is asked in `test_existence`.
        for act in acts if acts != [{}] and name not in outsiders_of(path) else ():
            hidden_one, absent = await asyncio.gather(
                client.request(method, filled(path, hidden.upload), **act),
                client.request(method, filled(path, random_id()), **act),
            )
            if seen(hidden_one) != seen(absent):
                told.append((name, method, path, act, seen(hidden_one), seen(absent)))
            assert 400 <= absent.status_code < 500

    assert len(paths) > 10
    assert told == []
    assert kept_state(colleague.world) == before


@pytest.mark.parametrize(
    ("method", "suffix", "name"),
    [
        ("PUT", "/parts/1", "GBR colleague"),
        ("PUT", "/parts/1", "NOR contributor"),
        ("POST", "/completion", "GBR colleague"),
        ("DELETE", "", "GBR colleague"),
        ("DELETE", "", "NOR contributor"),
        ("GET", "", "NOR reader"),
        ("GET", "/parts/1", "NOR reader"),
        ("GET", "/explanation", "GBR reader"),
    ],
)
async def test_10_what_is_not_complete_costs_what_is_absent_costs(
    colleague: Api, hidden: Hidden, monkeypatch: pytest.MonkeyPatch, method: str, suffix: str, name: str
) -> None:
    client, weighed = colleague.as_client(name), Weighed(colleague, monkeypatch)
    act: dict[str, Any] = {"content": b"canary ", "headers": OCTETS} if method == "PUT" else {}
    act = {"json": {}} if method == "POST" else act
    taken = []
    for an_id in (hidden.upload, hidden.upload, random_id()):
        kind = "uploads" if method == "DELETE" else "reports"
        answer = await client.request(method, f"/v1/{kind}/{an_id}{suffix}", **act)
        assert answer.status_code == 404
        taken.append(weighed.taken())
    _, forbidden, absent = taken

    assert forbidden[0] == absent[0]
    assert forbidden[2] == absent[2] == 1
    assert 0 <= forbidden[1] - absent[1] < 4_096


async def test_09_nothing_that_anybody_is_told_changes_before_it_is_complete(colleague: Api) -> None:
    async def heard() -> list[Any]:
        told = []
        for name in OUTSIDERS:
            client = colleague.as_client(name)
            for path in ("/v1/reports", "/v1/stream", "/v1/notices", "/v1/destructions", "/v1/uploads"):
                answer = await client.get(path)
                body = answer.json().get("items") if answer.headers["content-type"] == "application/json" else None
                told.append((name, path, answer.status_code, body))
        return told

    numbers = "SELECT report_seq, class_version, policy_version FROM policy_state"
    before, state = await heard(), colleague.world.sql(numbers)
    upload = await begun(colleague)
    assert await send(colleague, upload) == 200

    assert await heard() == before
    # Nor is a number of order taken, which the next report would show to be missing.
    assert colleague.world.sql(numbers) == state
    assert colleague.world.sql("SELECT count(*) FROM report WHERE id = $1", upload) == [(0,)]
    assert await complete(colleague, upload) == 201
    assert [item["id"] for item in (await colleague.as_client("NOR reader").get("/v1/reports")).json()["items"]][
        -1:
    ] == [upload]


@pytest.mark.parametrize("field", ["supersedes", "references"])
@pytest.mark.parametrize("name", [POSTER, "GBR colleague", "NOR contributor"])
async def test_10_nothing_builds_on_what_is_not_complete(colleague: Api, hidden: Hidden, name: str, field: str) -> None:
    label = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["NOR"]}
    answers = []
    for source in (hidden.upload, random_id()):
        others = {field: source if field == "supersedes" else [source], "label": label}
        answers.append(
            await colleague.as_client(name).post(
                "/v1/reports", json=report_body(colleague.world.agreement_id, **others)
            )
        )
    assert [answer.status_code for answer in answers] == [422, 422]
    assert seen(answers[0]) == seen(answers[1])


async def test_01_its_own_poster_sees_no_more_of_it_as_a_reader(world: World) -> None:
    await world.enrol("GBR desk", "GBR", "contributor", "reader", "releaser")
    async with open_api(world) as api:
        desk = api.as_client("GBR desk")
        upload = (await desk.post("/v1/reports", json=declared(api))).json()["id"]
        for method, suffix in (("GET", ""), ("GET", "/parts/1"), ("GET", "/explanation"), ("POST", "/recall")):
            body = {"json": {"reason": "none"}} if method == "POST" else {}
            told = await desk.request(method, f"/v1/reports/{upload}{suffix}", **body)
            absent = await desk.request(method, f"/v1/reports/{random_id()}{suffix}", **body)
            assert told.status_code == 404, suffix
            assert seen(told) == seen(absent)


async def test_16_revoked_poster_neither_sends_nor_completes(api: Api) -> None:
    upload = await begun(api)
    assert await send(api, upload) == 200
    client = api.world.clients[POSTER].id
    revoked = await api.as_client("operator").patch(f"/v1/clients/{client}", json={"standing": "revoked"})
    assert revoked.status_code == 200

    assert (await send(api, upload), await complete(api, upload)) == (403, 403)
    assert api.world.sql("SELECT count(*) FROM report WHERE id = $1", upload) == [(0,)]


async def test_16_revoked_poster_neither_lists_nor_gives_up(api: Api) -> None:
    upload = await begun(api)
    client = api.world.clients[POSTER].id
    await api.as_client("operator").patch(f"/v1/clients/{client}", json={"standing": "revoked"})
    poster = api.as_client(POSTER)
    listed, given_up = await poster.get("/v1/uploads"), await poster.delete(f"/v1/uploads/{upload}")

    assert (listed.status_code, given_up.status_code) == (403, 403)
    assert api.world.sql("SELECT ended FROM upload WHERE id = $1", upload) == [(None,)]


async def test_08_list_of_open_ones_says_nothing_of_what_was_declared(api: Api) -> None:
    # Who posts above its clearance is shown nothing of it afterwards (ADR 0009); nor is who has its certificate.
    await begun(api, subject="canary in the subject")
    told = (await api.as_client(POSTER).get("/v1/uploads")).text

    assert "a.txt" not in told
    assert "canary" not in told


async def test_15_parts_and_completions_that_race_end_in_one_whole_report(both: World) -> None:
    other = CONTENT[::-1]
    async with two_nodes(both) as (first, second):
        for _ in range(3):
            upload = await begun(first)
            assert await send(first, upload) == 200
            statuses = await asyncio.gather(
                send(first, upload, content=other),
                complete(second, upload),
                complete(first, upload),
                send(second, upload),
                complete(second, upload),
            )
            sent, done = (statuses[0], statuses[3]), sorted((statuses[1], statuses[2], statuses[4]))
            assert set(sent) <= {200, 409}
            assert done == [201, 409, 409]
            header = (await first.as_client("NOR reader").get(f"/v1/reports/{upload}")).json()
            content = (await first.as_client("NOR reader").get(f"/v1/reports/{upload}/parts/1")).content
            assert content in {CONTENT, other}
            assert header["parts"][0]["sha256"] == hashlib.sha256(content).hexdigest()
            assert await send(first, upload) == 409


async def test_33_names_and_sizes_that_lie_are_refused_and_nothing_is_kept(api: Api) -> None:
    before = kept_state(api.world)
    bodies = []
    for name, value in (
        ("name", "../../etc/passwd"),
        ("name", "a\u202eb"),
        ("media_type", "text/html\r\nX: y"),
        ("size_bytes", -1),
        ("size_bytes", 2**63),
        ("size_bytes", "7"),
        ("size_bytes", None),
        ("sha256", "00"),
        ("encoding", "utf-8"),
        ("content", 7),
    ):
        body = declared(api)
        body["parts"][0][name] = value
        bodies.append(body)
    both = declared(api)
    both["parts"][0] |= {"content": "x", "encoding": "utf-8"}
    bodies += [both, {**declared(api), "complete": "false"}, {**declared(api), "complete": True}]
    for body in bodies:
        answer = await api.as_client(POSTER).post("/v1/reports", json=body)
        assert answer.status_code == 422, body
    too_large = declared(api)
    too_large["parts"][0]["size_bytes"] = 2**50
    assert (await api.as_client(POSTER).post("/v1/reports", json=too_large)).status_code == 413

    assert kept_state(api.world) == before
