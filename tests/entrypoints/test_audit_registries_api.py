"""The routes of registries: bodies as the contract says, and whose single clients are shown."""

from collections.abc import Callable

import httpx2
import pytest

from exchange import usecases
from exchange.markings import Label
from exchange.reports import PostedPart
from exchange.usecases.steps.registering import register_reads
from exchange.wire import ClientRegistryBody, ReadersBody, ReportRegistryBody
from tests.support.world import World

Http = Callable[[str | None], httpx2.AsyncClient]
LABEL = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))


@pytest.fixture
async def report(world: World) -> str:
    await world.enrol("GBR auditor", "GBR", "auditor", level="TOP SECRET")
    await world.enrol("NOR junior", "NOR", "reader", level="RESTRICTED")
    parts = (PostedPart(None, "text/plain", "a.txt", b"high"), PostedPart(LOW, "text/plain", "b.txt", b"low"))
    posted = await world.post(label=LABEL, parts=parts)
    await usecases.read_part(world.services, world.call("NOR reader"), posted, 2)
    await usecases.list_reports(world.services, world.call("NOR reader"), usecases.ListQuery())
    world.url = f"sqlite+aiosqlite:///{world.folder}/exchange.db"
    world.sequence()
    return posted


async def test_registry_of_a_report(world: World, http: Http, report: str) -> None:
    answer = await http("GBR auditor").get(f"/v1/audit/reports/{report}/registry", params={"limit": "10"})
    body = ReportRegistryBody.model_validate_json(answer.content)

    assert answer.status_code == 200
    assert (body.id, body.originator, body.status, body.label.to_label()) == (report, "GBR", "current", LABEL)
    assert [(line.event, line.member, line.part, line.report, line.version) for line in body.items] == [
        ("report.posted", "GBR", None, report, 1),
        ("report.distributed", "GBR", None, report, 1),
        ("report.part_read", "NOR", 2, report, 1),
    ]
    assert all(line.leaf and line.entry for line in body.items)
    assert body.items[2].label is not None


async def test_registry_says_how_a_receipt_came_about(world: World, http: Http) -> None:
    report = await world.post(label=LABEL)
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    await register_reads(world.services.store, world.services.register)
    await usecases.receive_report(world.services, world.call("NOR reader"), report)
    world.url = f"sqlite+aiosqlite:///{world.folder}/exchange.db"
    world.sequence()
    answer = await http("auditor").get(f"/v1/audit/reports/{report}/registry")
    body = ReportRegistryBody.model_validate_json(answer.content)

    assert {(line.event, line.how) for line in body.items if line.client == world.clients["NOR reader"].id} == {
        ("report.read", None),
        ("report.received", "read"),
        ("report.received", "acknowledged"),
    }


async def test_registry_of_a_client(world: World, http: Http, report: str) -> None:
    reader = world.clients["NOR reader"].id
    answer = await http("auditor").get(f"/v1/audit/clients/{reader}/registry")
    body = ClientRegistryBody.model_validate_json(answer.content)

    assert (body.id, body.member, body.standing) == (reader, "NOR", "active")
    assert [(line.event, line.report, line.reports) for line in body.items] == [
        ("report.part_read", report, None),
        ("report.listed", None, [report]),
    ]


@pytest.mark.parametrize("name", ["GBR auditor", "auditor"])
@pytest.mark.parametrize("on", ["2026-06-01", "2026-06-01T12:00:00Z"])
async def test_readers_are_counted_by_agency_and_shown_to_whom_they_belong(
    world: World, http: Http, report: str, name: str, on: str
) -> None:
    answer = await http(name).get(f"/v1/audit/reports/{report}/readers", params={"on": on})
    body = ReadersBody.model_validate_json(answer.content)

    assert answer.status_code == 200
    assert [(each.member, each.full, each.tear_line) for each in body.could] == [("GBR", 1, 0), ("NOR", 1, 1)]
    shown = {each.member: each.clients for each in body.could}
    assert [each.id for each in shown["GBR"] or ()] == [world.clients["GBR reader"].id]
    if name == "auditor":
        assert {each.view for each in shown["NOR"] or ()} == {"full", "tear-line"}
    else:
        assert shown["NOR"] is None
    assert [(each.client, each.count) for each in body.did] == [(world.clients["NOR reader"].id, 1)]
    assert body.laws == [body.law]


DAYS_THAT_ARE_NONE = [
    "",
    "?on=",
    "?on=yesterday",
    "?on=2026-13-01",
    "?on=2026-W23-1",
    "?at=2026-06-01",
    "?on=2099-01-01",
    "?on=9999-12-31",
]


@pytest.mark.parametrize("query", DAYS_THAT_ARE_NONE)
async def test_day_that_is_none_is_a_fault(http: Http, report: str, query: str) -> None:
    answer = await http("GBR auditor").get(f"/v1/audit/reports/{report}/readers{query}")

    assert answer.status_code == 422
    if query in {"?on=2026-13-01", "?on=2026-W23-1"}:
        assert "neither a day nor a moment: write 2026-01-31 or" in answer.text


async def test_others_see_none(world: World, http: Http, report: str) -> None:
    await world.enrol("NOR auditor", "NOR", "auditor", level="TOP SECRET")
    for place in (
        f"reports/{report}/registry",
        f"reports/{report}/readers?on=2026-06-01",
        f"clients/{world.clients['GBR reader'].id}/registry",
    ):
        assert (await http("NOR auditor").get(f"/v1/audit/{place}")).status_code == 404
        assert (await http("GBR reader").get(f"/v1/audit/{place}")).status_code == 403
