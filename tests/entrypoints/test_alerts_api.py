"""`GET /v1/audit/alerts`: as the contract's other pages, and the loop that raises what it shows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace

import httpx2
import pytest

from exchange.entrypoints.jobs.alerting import run_alerts
from exchange.markings import Label
from exchange.usecases.log.deliver_alerts import Webhook
from exchange.wire import AlertListBody
from tests.support.alerted_world import AlertedWorld, SilentLine
from tests.support.world import World

ALERTS = "/v1/audit/alerts"
Http = Callable[[str | None], httpx2.AsyncClient]


@pytest.fixture
async def alerted(world: World) -> AsyncIterator[AlertedWorld]:
    world.url = f"sqlite+aiosqlite:///{world.folder}/exchange.db"
    opened = await AlertedWorld.open(world)
    report = await world.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    for _ in range(3):
        await opened.pull("DNK reader", report)
    await opened.log.step()
    yield opened
    await opened.close()


@dataclass
class LastLine(SilentLine):
    """Ends the loop with the first thing that is sent."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def post(self, hook: Webhook, headers: Mapping[str, str], body: bytes) -> str | None:
        self.stopping.set()
        return await super().post(hook, headers, body)


async def test_alert_is_raised_by_the_loop_sent_and_shown(alerted: AlertedWorld, http: Http) -> None:
    alerted.line = line = LastLine()
    await run_alerts(alerted.watch, alerted.delivery(), line.stopping)
    answer = await http("auditor").get(ALERTS, params={"rule": "refusals"})
    page = AlertListBody.model_validate_json(answer.content)
    (item,) = page.items

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert (item.rule, item.severity, item.member, item.subject.type) == ("refusals", "medium", "DNK", "client")
    assert (await http("auditor").get(f"/v1/audit/entries/{item.entry}")).json()["entry"]["detail"]["alert"] == item.id
    behind = (await http("auditor").get(ALERTS, params={"after": page.next})).json()
    assert behind["items"] == []


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ({"limit": "0"}, 422, "/limit"),
        ({"limit": "501"}, 422, "/limit"),
        ({"rule": ""}, 422, "/rule"),
        ({"colour": "x"}, 422, "/colour"),
    ],
)
async def test_fault_in_the_query_is_pointed_at(
    alerted: AlertedWorld, http: Http, query: dict[str, str], status: int, pointer: str
) -> None:
    answer = await http("auditor").get(ALERTS, params=query)

    assert answer.status_code == status
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_refusals(alerted: AlertedWorld, http: Http) -> None:
    assert (await http("auditor").get(ALERTS, params={"after": "forged"})).status_code == 400
    assert (await http("GBR reader").get(ALERTS)).status_code == 403
    assert (await http("operator").get(ALERTS)).status_code == 403
    assert replace(alerted.watch).hooks == ("soc",)
