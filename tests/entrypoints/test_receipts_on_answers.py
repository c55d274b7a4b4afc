"""The receipt on every answer to somebody who is known, whatever the answer is; the entry it names tells of it."""

import asyncio

import pytest

from exchange.entrypoints.http import floods
from exchange.kernel import UnavailableError
from exchange.members import Standing
from exchange.usecases import change_standing
from tests.entrypoints.test_reports_api import ABSENT, body_of
from tests.support.slow_rates import slow_rates

JSON = {"Content-Type": "application/json"}

ANSWERS = [
    (200, "NOR reader", "GET", "/v1/whoami", {}),
    (200, "NOR reader", "HEAD", "/v1/whoami", {}),
    (200, "NOR reader", "HEAD", "/v1/reports/{report}", {}),
    (200, "NOR reader", "HEAD", "/v1/stream", {}),
    (200, "NOR reader", "GET", "/openapi.json", {}),
    (200, "NOR reader", "HEAD", "/docs", {}),
    (200, "NOR reader", "GET", "/v1/reports/{report}/parts/1", {}),
    (206, "NOR reader", "GET", "/v1/reports/{report}/parts/1", {"headers": {"Range": "bytes=0-4"}}),
    (400, "NOR reader", "GET", "/v1/reports?after=x", {}),
    (400, "NOR reader", "GET", "/v1/whoami", {"headers": {"Exchange-Purpose": "NOT ONE"}}),
    (401, "stranger", "GET", "/v1/whoami", {}),
    (401, "stranger", "OPTIONS", "/v1/whoami", {}),
    (403, "NOR reader", "GET", "/v1/audit/entries", {}),
    (403, "suspended", "GET", "/v1/whoami", {}),
    (403, "suspended", "GET", "/v1/nothing", {}),
    (404, "NOR reader", "GET", "/v1/nothing", {}),
    (404, "NOR reader", "HEAD", "/v1/nothing", {}),
    (404, "NOR reader", "GET", f"/v1/reports/{ABSENT}", {}),
    (405, "NOR reader", "OPTIONS", "/v1/reports", {}),
    (405, "NOR reader", "TRACE", "/v1/reports", {}),
    (405, "NOR reader", "BREW", "/v1/reports", {}),
    (406, "NOR reader", "GET", "/v1/whoami", {"headers": {"Accept": "text/html"}}),
    (409, "operator", "POST", "/v1/members", {"json": {"code": "NOR", "name": "Norway"}}),
    (412, "operator", "PATCH", "/v1/clients/{client}", {"json": {"standing": "active"}, "headers": {"If-Match": '"9"'}}),
    (413, "operator", "POST", "/v1/members", {"content": b" " * 300_000, "headers": JSON}),
    (415, "operator", "POST", "/v1/members", {"content": b"{}", "headers": {"Content-Type": "text/plain"}}),
    (416, "NOR reader", "GET", "/v1/reports/{report}/parts/1", {"headers": {"Range": "bytes=99-"}}),
    (422, "operator", "POST", "/v1/members", {"json": {"code": "NOR"}}),
    (422, "NOR reader", "GET", "/v1/whoami?debug=1", {}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "name", "method", "path", "sent"), ANSWERS)
async def test_answer_names_the_entry_that_tells_of_it(
    world, http, entry_of, *, status: int, name: str, method: str, path: str, sent
) -> None:
    report = await world.post(content=b"first part")
    client = await world.enrol("suspended", "NOR", "reader")
    await change_standing(world.services, world.call(None), client.id, Standing.SUSPENDED)

    answer = await http(name).request(method, path.format(report=report, client=client.id), **sent)

    assert answer.status_code == status
    entry = await entry_of(answer)
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert entry["actor"]["kind"] == ("unknown" if name == "stranger" else "client")
    assert (entry["decision"] == "permitted") == (status < 400)


async def test_first_refusal_of_a_flood_has_the_receipt_for_all_of_it(service, http, entry_of) -> None:
    service.door.rates = slow_rates(1, clock=lambda: 1.0)
    reader = http("NOR reader")
    await reader.get("/v1/whoami")

    answers = [await reader.get("/v1/whoami") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [429] * 3
    assert (await entry_of(answers[0]))["detail"]["code"] == "rate-limited"
    assert ["x-audit-entry" in answer.headers for answer in answers] == [True, False, False]


async def counted(world) -> list[object]:
    return [entry["detail"] for entry in await world.entries() if "count" in entry.get("detail", {})]


@pytest.mark.parametrize("name", ["NOR reader", "stranger"])
async def test_flood_that_ends_at_once_is_told_of_to_its_last_request(
    service, world, http, monkeypatch, name: str
) -> None:
    monkeypatch.setattr(floods, "AFTER_SECONDS", 0.02)
    service.door.rates = slow_rates(1, clock=lambda: 1.0)
    client = http(name)
    for _ in range(5):
        await client.get("/v1/whoami")

    async with asyncio.timeout(30):
        while not (told := await counted(world)):  # noqa: ASYNC110  another task of ours writes
            await asyncio.sleep(0.01)

    # One was admitted, one was told of by its own entry; three were left.
    assert told == [{"code": "rate-limited", "count": 3, "method": "GET", "route": "unmatched"}]


async def test_end_of_a_flood_that_cannot_be_recorded_is_told_to_the_operator(
    service, world, http, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(floods, "AFTER_SECONDS", 0.02)
    service.door.rates = slow_rates(1, clock=lambda: 1.0)
    client = http("NOR reader")
    for _ in range(3):
        await client.get("/v1/whoami")

    async def away(*_args, **_named):
        raise UnavailableError("the disk is full")

    monkeypatch.setattr(type(world.services.store), "append", away)
    async with asyncio.timeout(30):
        while "rejections not recorded" not in caplog.text:  # noqa: ASYNC110  another task of ours says so
            await asyncio.sleep(0.01)


async def test_posted_report_has_its_own(world, http, entry_of) -> None:
    posted = await http("GBR contributor").post("/v1/reports", json=body_of(world))

    assert (await entry_of(posted))["type"] == "report.posted"
