"""What every request meets at every operation of the document: a sweep over one service that stays the same.

No request of it changes anything but the log, so that all of them are put to one service.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fastapi import FastAPI

from exchange.app import create_app
from exchange.entrypoints.api import OPERATIONS
from exchange.settings import Settings, load_settings
from exchange.wire import ProblemBody
from tests.entrypoints.conftest import Calling, calling, copied
from tests.support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

ABSENT = "01980000-0000-7000-8000-000000000000"
EVERY = [(operation.method, operation.path.replace("{id}", ABSENT).replace("{n}", "1")) for operation, _ in OPERATIONS]
WITH_BODY = [
    (operation.method, operation.path.replace("{id}", ABSENT))
    for operation, _ in OPERATIONS
    if operation.body is not None
]
BOSS = {
    "/v1/audit/cosignatures": "auditor",
    "/v1/audit": "operator",
    "/v1/members": "operator",
    "/v1/clients": "operator",
    "/v1/acts": "operator",
    f"/v1/onward-requests/{ABSENT}/withdrawal": "GBR reader",
    "/v1/onward-requests": "GBR releaser",
    "/v1/derivation-requests": "GBR releaser",
    "/v1/proxies": "GBR releaser",
    "/v1/caveats": "GBR releaser",
    f"/v1/information-requests/{ABSENT}/answers": "GBR contributor",
    "/v1/information-requests": "GBR reader",
    f"/v1/reports/{ABSENT}/completion": "GBR contributor",
    f"/v1/reports/{ABSENT}/destruction": "GBR reader",
    f"/v1/reports/{ABSENT}/derivation-requests": "GBR contributor",
    f"/v1/reports/{ABSENT}/downgrade": "GBR releaser",
    f"/v1/reports/{ABSENT}/onward-requests": "GBR reader",
    f"/v1/reports/{ABSENT}/recall": "GBR releaser",
    f"/v1/reports/{ABSENT}/receipts": "GBR reader",
    "/v1/reports": "GBR contributor",
    "/v1/simulations": "GBR contributor",
    "/v1/subscriptions": "GBR reader",
    "/v1/uploads": "GBR contributor",
}


def may_act(path: str) -> str:
    return next((name for start, name in BOSS.items() if path.startswith(start)), "GBR signatory")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "exchange.toml").write_text("max_body_bytes = 200_000\nrequests_per_second = 100_000\n")
    return load_settings(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(populated: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with copied(populated, tmp_path_factory.mktemp("swept")) as opened:
        yield opened


@pytest.fixture(scope="module")
def service(settings: Settings, world: World) -> FastAPI:
    app = create_app(settings)
    app.state.services = world.services
    return app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(service: FastAPI) -> AsyncIterator[Calling]:
    async with calling(service) as call:
        yield call


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_without_a_certificate_every_route_is_401(world, http, entry_of, method: str, path: str) -> None:
    answer = await http(None).request(method, path, json={})

    assert (answer.status_code, answer.json()["code"]) == (401, "not-authenticated")
    assert (await entry_of(answer))["actor"]["kind"] == "unknown"


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_with_an_unknown_certificate_every_route_is_401(http, method: str, path: str) -> None:
    answer = await http("stranger").request(method, path, json={})

    assert (answer.status_code, answer.json()["code"]) == (401, "not-authenticated")


@pytest.mark.parametrize(
    ("method", "path"), [*EVERY, ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/v1/nothing")]
)
async def test_every_answer_has_the_common_headers_and_its_receipt(http, entry_of, method: str, path: str) -> None:
    sent = {"X-Request-Id": "mine", "X-Forwarded-For": "203.0.113.9", "Client-Cert": ":AAAA:"}

    answer = await http("NOR reader").request(method, path, json={}, headers=sent)

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(answer.headers["x-request-id"]) == 36
    assert (await entry_of(answer))["request_id"] == answer.headers["x-request-id"]
    if answer.status_code >= 400:
        told = ProblemBody.model_validate_json(answer.content)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (told.status, told.request_id) == (answer.status_code, answer.headers["x-request-id"])


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_unknown_parameters_are_refused_everywhere(http, method: str, path: str) -> None:
    name = "operator" if "clients" in path or "members" in path else may_act(path)
    name = "GBR reader" if method == "GET" else name

    answer = await http(name).request(method, f"{path}?debug=1", json={})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/debug"


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}],
    ids=["text", "none", "coded"],
)
async def test_bodies_of_another_media_type_are_415(http, method: str, path: str, headers) -> None:
    answer = await http(may_act(path)).request(method, path, content=b"{}", headers=headers)

    assert answer.status_code == 415


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_large_body_is_413_before_it_is_read(http, method: str, path: str) -> None:
    read: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            read.append(1)
            yield b" " * 1000

    headers = {"Content-Type": "application/json", "Content-Length": "200001"}
    answer = await http(may_act(path)).request(method, path, content=body(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert "is larger than 200000 bytes" in answer.json()["detail"]
    assert answer.headers["x-audit-entry"]
    assert not read


@pytest.mark.parametrize(("size", "status"), [(200_000, 422), (200_001, 413)])
async def test_body_is_read_up_to_the_last_byte_that_it_may_have(http, size: int, status: int) -> None:
    content = b"{}".rjust(size)

    async def pieces() -> AsyncIterator[bytes]:
        yield content[:9]
        yield content[9:]

    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answers = [
        await http("operator").post("/v1/members", content=each, headers=headers) for each in (content, pieces())
    ]

    assert [answer.status_code for answer in answers] == [status, status]
