"""Classes 15, 16: nothing is visible too early, and nothing is usable a moment too long, on any node."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.store import Parts
from tests.attacks.hidden import Api, open_api, report_body
from tests.support.world import World

SECRET = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]}
OTHER = Label("NATO", "UNCLASSIFIED")


@asynccontextmanager
async def two_nodes(world: World) -> AsyncIterator[tuple[Api, Api]]:
    """Give the service twice over one database: nothing shared but that."""
    async with (
        world.another_node() as services,
        open_api(world) as first,
        open_api(replace(world, services=services)) as second,
    ):
        yield first, second


async def test_15_report_is_never_visible_to_an_outsider_while_it_is_posted(both: World) -> None:
    async with two_nodes(both) as (first, second):
        baseline = {item["id"] for item in (await first.as_client("DNK reader").get("/v1/reports")).json()["items"]}
        is_posting = True

        async def watch(api: Api) -> int:
            polls = 0
            while is_posting or polls < 2:
                items = (await api.as_client("DNK reader").get("/v1/reports")).json()["items"]
                assert {item["id"] for item in items} == baseline
                polls += 1
            return polls

        async def post(api: Api, number: int) -> None:
            body = report_body(both.agreement_id, subject=f"post {number}", label=SECRET)
            answer = await api.as_client("GBR contributor").post("/v1/reports", json=body)
            assert answer.status_code == 201
            outsider = await api.as_client("DNK reader").get(answer.headers["location"])
            assert outsider.status_code == 404

        async def post_all() -> None:
            nonlocal is_posting
            await asyncio.gather(*(post((first, second)[number % 2], number) for number in range(30)))
            is_posting = False

        polls = await asyncio.gather(watch(first), watch(second), post_all())

    assert min(polls[:2]) > 1


async def test_15_what_is_listed_is_there_whole(both: World) -> None:
    async with two_nodes(both) as (first, second):
        done = asyncio.Event()

        async def read() -> int:
            client, after, read = second.as_client("NOR reader"), {}, 0
            while not done.is_set() or read < 20:
                page = (await client.get("/v1/reports", params=after)).json()
                after = {"after": page["next"]}
                for item in page["items"]:
                    pulled = await client.get(f"/v1/reports/{item['id']}")
                    assert pulled.status_code == 200
                    read += item["subject"].startswith("post")
            return read

        async def post() -> None:
            for number in range(20):
                body = report_body(both.agreement_id, subject=f"post {number}", label=SECRET)
                assert (await first.as_client("GBR contributor").post("/v1/reports", json=body)).status_code == 201
            done.set()

        counted, _ = await asyncio.gather(read(), post())

    assert counted == 20


NOTICE = timedelta(days=90)
"""As the agreement of these tests says."""

Change = Callable[[World, Api], Awaitable[object]]


async def revoke(world: World, api: Api) -> None:
    client = world.clients["NOR reader"].id
    assert (await api.as_client("operator").patch(f"/v1/clients/{client}", json={"standing": "revoked"})).is_success


async def suspend_member(world: World, api: Api) -> None:
    await usecases.suspend_member(world.services, world.call(None), "NOR")


async def lower_clearance(world: World, api: Api) -> None:
    client = world.clients["NOR reader"].id
    change = {"clearance": {"level": "RESTRICTED"}}
    assert (await api.as_client("operator").patch(f"/v1/clients/{client}", json=change)).is_success


async def suspend_agreement(world: World, api: Api) -> None:
    path = f"/v1/agreements/{world.agreement_id}/suspension"
    assert (await api.as_client("NOR signatory").post(path, json={})).is_success


async def withdraw_originator(world: World, api: Api) -> None:
    path = f"/v1/agreements/{world.agreement_id}/withdrawal"
    assert (await api.as_client("GBR signatory").post(path, json={})).is_success


@pytest.mark.parametrize(
    ("change", "status", "others"),
    [
        (revoke, 403, 403),
        (suspend_member, 403, 403),
        (lower_clearance, 404, 200),
        (suspend_agreement, 404, 200),
    ],
)
async def test_16_what_was_taken_away_is_gone_at_the_next_request_on_every_node(
    both: World, change: Change, status: int, others: int
) -> None:
    report = await both.post()
    place = f"/v1/reports/{report}"
    async with two_nodes(both) as (first, second):
        reader = second.as_client("NOR reader")
        cursor = (await reader.get("/v1/reports", params={"limit": 1})).json()["next"]
        for path in (place, f"{place}/parts/1", f"{place}/explanation", "/v1/reports", "/v1/whoami"):
            assert (await reader.get(path)).status_code == 200

        await change(both, first)

        for suffix in ("", "/parts/1", "/explanation"):
            assert (await reader.get(place + suffix)).status_code == status
            assert (await reader.head(place + suffix)).status_code == status
        for path in ("/v1/reports", f"/v1/reports?after={cursor}"):
            answer = await reader.get(path)
            assert answer.status_code == others
            assert report not in answer.text
        assert (await reader.get("/v1/whoami")).status_code == others


async def test_16_post_under_an_agreement_that_was_left_is_refused_on_every_node(both: World) -> None:
    async with two_nodes(both) as (first, second):
        body = report_body(both.agreement_id, label=SECRET)
        assert (await second.as_client("GBR contributor").post("/v1/reports", json=body)).status_code == 201

        await withdraw_originator(both, first)
        # Bound until the notice of the text has passed, and from that moment on nobody's party.
        assert (await second.as_client("GBR contributor").post("/v1/reports", json=body)).status_code == 201
        both.clock.advance(NOTICE)

        assert (await second.as_client("GBR contributor").post("/v1/reports", json=body)).status_code in {404, 409}


@pytest.mark.parametrize("standing", [Standing.REVOKED, None])
async def test_16_right_lost_between_two_loads_of_a_large_report_shows_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, standing: Standing | None
) -> None:
    """The first parts come with the decision, the rest after it: what happens between the two is obeyed."""
    content = b"canary " * 10_000
    report = await world.post(content=content, label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")))
    store, load = world.services.store, world.services.store.report_for

    async def load_late(thumbprint, report_id, *, parts):
        if parts is Parts.ALL:
            client = world.clients["NOR reader"].id
            if standing is not None:
                await usecases.change_standing(world.services, world.call(None), client, standing)
            else:
                lowered = usecases.ClearanceChange("RESTRICTED")
                await usecases.change_clearance(world.services, world.call(None), client, lowered)
        return await load(thumbprint, report_id, parts=parts)

    async with open_api(world) as api:
        before = await api.as_client("NOR reader").get(f"/v1/reports/{report}")
        monkeypatch.setattr(store, "report_for", load_late)
        after = await api.as_client("NOR reader").get(f"/v1/reports/{report}")

    assert before.json()["parts"][0]["content"].encode() == content
    assert after.status_code == (404 if standing is None else 403)
    assert "canary" not in after.text


async def test_16_permit_that_changes_between_two_loads_is_not_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Still allowed, but by another decision than the first: the read is begun again by the caller, not mixed."""
    report = await world.post(content=b"canary " * 10_000)
    seek, seen = usecases.pull_report.__globals__["seek_permit"], []

    async def seek_other(*arguments, **options):
        granted = await seek(*arguments, **options)
        seen.append(granted)
        return (
            granted
            if len(seen) == 1
            else replace(granted, permit=replace(granted.permit, labels=granted.permit.labels | {OTHER}))
        )

    monkeypatch.setitem(usecases.pull_report.__globals__, "seek_permit", seek_other)
    tried = await world.attempt(usecases.pull_report(world.services, world.call("NOR reader"), report))

    assert isinstance(tried.error, UnavailableError)
    assert tried.entry["decision"] == "failed"
