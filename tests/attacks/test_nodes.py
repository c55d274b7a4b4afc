"""Several nodes over one PostgreSQL, each a served process: what one did holds on the other, and streams cross."""

import asyncio
import json
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from exchange.client import check_webhook
from exchange.settings import InstanceLayout
from tests.attacks.hidden import report_body
from tests.attacks.served import Instance, Running, client, make_instance, serving
from tests.support.postgres import private_cluster
from tests.support.prepared import PROGRAM, PreparedProcess

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]

CLIENTS = {
    "GBR writer": ("contributor",),
    "NOR reader": ("reader",),
    "NOR second": ("reader",),
    "DNK reader": ("reader",),
}
FOR_NOR = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with private_cluster(fsync=False) as url:
        made = make_instance(tmp_path_factory.mktemp("nodes") / "instance", url, CLIENTS)
        # The receivers of webhooks run on this machine, with the instance's own certificate.
        with (made.folder / "exchange.toml").open("a") as settings:
            settings.write('webhook_private_networks = ["127.0.0.0/8"]\nwebhook_authority_file = "tls/ca.pem"\n')
        yield made


@pytest.fixture(scope="module")
def nodes(instance: Instance) -> Iterator[tuple[Running, Running]]:
    """Two nodes; the second with two workers."""
    with serving(instance) as first, serving(instance, "--workers", 2) as second:
        yield first, second


@asynccontextmanager
async def stream(caller: httpx2.AsyncClient, **headers: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Give the events of a stream: their fields, `data` read as JSON."""
    async with caller.stream("GET", "/v1/stream", headers={"Accept": "text/event-stream", **headers}) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield _events(answer)


async def _events(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    fields: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = json.loads(value) if name == "data" else value
        elif fields:
            yield fields
            fields = {}


async def post(caller: httpx2.AsyncClient, instance: Instance, **others: Any) -> str:
    answer = await caller.post("/v1/reports", json=report_body(instance.agreement, label=FOR_NOR, **others))
    assert answer.status_code == 201, answer.text
    report: str = answer.json()["id"]
    return report


async def test_stream_on_one_node_gets_what_is_posted_on_the_other(instance: Instance, nodes) -> None:
    first, second = nodes
    async with (
        client(instance, first, "GBR writer") as writer,
        client(instance, second, "NOR reader") as reader,
        client(instance, second, "DNK reader") as outsider,
        stream(reader) as nor,
        stream(outsider) as dnk,
    ):
        begun = [await anext(nor), await anext(dnk)]
        posted = [await post(writer, instance, precedence="FLASH", subject=f"{number}") for number in range(5)]
        told = [await asyncio.wait_for(anext(nor), 60) for _ in posted]
        listed = {item["id"]: item for item in (await reader.get("/v1/reports")).json()["items"]}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(dnk), 0.3)

    assert all(event["retry"] == "2000" for event in begun)
    assert [event["data"]["id"] for event in told] == posted
    assert [event["data"] for event in told] == [listed[report] for report in posted]


async def test_stream_broken_off_at_one_node_is_resumed_at_the_other(instance: Instance, nodes) -> None:
    first, second = nodes
    async with (
        client(instance, first, "GBR writer") as writer,
        client(instance, first, "NOR reader") as here,
        client(instance, second, "NOR reader") as there,
    ):
        async with stream(here) as nor:
            await anext(nor)
            await post(writer, instance, subject="one")
            last = (await asyncio.wait_for(anext(nor), 60))["id"]
        missed = [await post(writer, instance, subject=f"missed {number}") for number in range(3)]
        async with stream(there, **{"Last-Event-ID": last}) as nor:
            await anext(nor)
            told = [(await asyncio.wait_for(anext(nor), 60))["data"]["id"] for _ in missed]

    assert told == missed


async def test_revocation_on_one_node_holds_at_the_next_request_on_the_other_and_ends_its_streams(
    instance: Instance, nodes
) -> None:
    first, second = nodes
    async with client(instance, first, "GBR writer") as writer, client(instance, second, "NOR second") as reader:
        report = await post(writer, instance)
        assert (await reader.get(f"/v1/reports/{report}")).status_code == 200
        async with stream(reader) as nor:
            await anext(nor)
            await _revoke(instance, (await reader.get("/v1/whoami")).json()["id"])
            begun = time.monotonic()
            answers = [await reader.get(path) for path in (f"/v1/reports/{report}", "/v1/reports", "/v1/whoami")]
            last = await asyncio.wait_for(anext(nor), 60)
            took = time.monotonic() - begun

        assert {answer.status_code for answer in answers} == {403}
        assert (last["event"], last["data"]) == ("end", {"why": "turned-away"})
        assert took < 15.0  # at the next beat, and not when the watch would have asked again by itself
        assert (await reader.get("/v1/stream")).status_code == 403


async def _revoke(instance: Instance, client_id: str) -> None:
    """Revoke as an operator at a third place: the host's command line, a process of its own."""
    words = ("client", "revoke", client_id, "--dir", str(instance.folder))
    ran = PreparedProcess([*PROGRAM, *words], env=instance.environment, stdout=subprocess.DEVNULL)
    assert await asyncio.to_thread(ran.wait) == 0


async def test_node_that_stops_sends_its_readers_away_at_once_and_in_order(instance: Instance, nodes) -> None:
    first, _ = nodes
    with serving(instance) as third:
        async with (
            client(instance, first, "GBR writer") as writer,
            client(instance, third, "NOR reader") as reader,
            client(instance, first, "NOR reader") as elsewhere,
        ):
            async with stream(reader) as nor:
                cursor = (await anext(nor))["id"]
                third.process.send_signal(signal.SIGTERM)
                begun = time.monotonic()
                last = await asyncio.wait_for(anext(nor), 60)
                with pytest.raises(StopAsyncIteration):
                    await asyncio.wait_for(anext(nor), 60)
            await asyncio.to_thread(third.process.wait, 20)
            took = time.monotonic() - begun
            report = await post(writer, instance)
            async with stream(elsewhere, **{"Last-Event-ID": cursor}) as nor:
                await anext(nor)
                resumed = await asyncio.wait_for(anext(nor), 60)

    assert last == {"retry": "2000", "event": "end", "data": {"why": "stopping"}}
    assert third.process.returncode == 0
    assert took < 15
    assert resumed["data"]["id"] == report


@asynccontextmanager
async def receiver(instance: Instance, messages: asyncio.Queue[tuple[dict[str, str], bytes]]) -> AsyncIterator[str]:
    """Give the address of a receiver that takes every message; the first of each report it turns away."""
    seen: set[bytes] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:-2])
        fields = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(fields["content-length"]))
        answer = b"204 No Content" if body in seen else b"503 Later"
        seen.add(body)
        await messages.put((fields, body))
        writer.write(b"HTTP/1.1 " + answer + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    layout = InstanceLayout(instance.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(layout.server_certificate_file, layout.server_key_file)
    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/told"
    finally:
        server.close()


async def test_webhook_of_one_node_tells_of_what_is_posted_on_the_other_until_it_is_taken(
    instance: Instance, nodes
) -> None:
    first, second = nodes
    messages: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
    async with (
        client(instance, first, "GBR writer") as writer,
        client(instance, second, "NOR reader") as reader,
        receiver(instance, messages) as address,
    ):
        added = (await reader.post("/v1/subscriptions", json={"url": address})).json()
        hidden = await writer.post(
            "/v1/reports", json=report_body(instance.agreement, label=FOR_NOR | {"releasable_to": ["GBR"]})
        )
        report = await post(writer, instance, precedence="FLASH")
        turned_away = await asyncio.wait_for(messages.get(), 60)
        taken = await asyncio.wait_for(messages.get(), 60)
        removed = await reader.delete(f"/v1/subscriptions/{added['id']}")

    now = int(turned_away[0]["webhook-timestamp"])
    ids = {check_webhook(added["secret"], fields, body, now_seconds=now) for fields, body in (turned_away, taken)}
    assert len(ids) == 1
    assert json.loads(taken[1])["data"] == {
        "report": report,
        "precedence": "FLASH",
        "subscription": added["id"],
    }
    assert hidden.status_code == 201
    assert messages.empty()
    assert removed.status_code == 200
