"""Class 28: however a request ends, what its client held of a worker is given back; else that client is starved."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message

from exchange.entrypoints.http.connections import THUMBPRINT_FIELD
from exchange.entrypoints.http.routing import OperationRoute
from tests.attacks.hidden import Api, filled, open_api, report_body
from tests.support.world import World, thumbprint_of

NAME = "GBR desk"
SIZE = 600_000
OCTETS = {"Content-Type": "application/octet-stream"}

Receive = Callable[[], Awaitable[Message]]


class _BrokenError(Exception):
    """What a transport raises."""


def body_of(method: str, path: str) -> tuple[bytes, bytes]:
    return (b"x" * 1000, b"application/octet-stream") if "/parts/" in path else (b"{}", b"application/json")


async def nothing_more() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def gone() -> Message:
    return {"type": "http.disconnect"}


async def broken() -> Message:
    raise _BrokenError


async def taken(_: Message) -> None:
    """Stand for a reader that takes what it is sent."""


async def stuck(_: Message) -> None:
    await asyncio.Event().wait()


async def refused(_: Message) -> None:
    raise _BrokenError


ENDINGS: dict[str, tuple[Receive, Callable[[Message], Awaitable[None]]]] = {
    "body that never ends": (nothing_more, taken),
    "sender gone": (gone, taken),
    "sender broken": (broken, taken),
    "reader stuck": (gone, stuck),
    "reader broken": (gone, refused),
}


async def ended(api: Api, method: str, path: str, ending: str) -> None:
    """Send a request with the beginning of a body, and let it end so; what still waits then is cancelled."""
    body, media_type = body_of(method, path)
    rest, send = ENDINGS[ending]
    came: list[Message] = [{"type": "http.request", "body": body, "more_body": True}]

    async def receive() -> Message:
        return came.pop() if came else await rest()

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "https",
        "query_string": b"",
        "headers": [(b"content-type", media_type), (b"host", b"exchange.test")],
        "client": ("192.0.2.7", 4711),
        "server": ("exchange.test", 443),
        "extensions": {"tls": {THUMBPRINT_FIELD: thumbprint_of(NAME), "client_cert_error": None}},
    }
    request = asyncio.ensure_future(api.app(scope, receive, send))
    # Again where a driver made a fault of it, which was then to be told.
    while not (await asyncio.wait([request], timeout=1.0))[0]:
        request.cancel()
    with contextlib.suppress(_BrokenError, asyncio.CancelledError):
        await request


def held(api: Api) -> dict[str, Any]:
    """Return what anybody holds of the worker."""
    door = api.app.door
    (room,) = {id(each._limits.room): each._limits.room for each in api.app.router.routes if _is_ours(each)}.values()
    return {
        "in flight": door.in_flight,
        "requests": dict(door.shares._held),
        "large answers": (door.large.bytes, dict(door.large._shares._held)),
        "bodies": (room.held_bytes, dict(room._shares._held)),
        "turns": (dict(door.turns._working), dict(door.turns._rows)),
        "streams": len(api.world.services.watching),
    }


def _is_ours(route: Any) -> bool:
    return isinstance(route, OperationRoute)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_28_whatever_ends_a_request_gives_its_share_back(world: World, ending: str) -> None:
    await world.enrol(NAME, "GBR", "contributor", "reader", "releaser")
    async with open_api(world) as api:
        poster, nothing = api.as_client(NAME), held(api)
        part = {"media_type": "application/octet-stream", "name": "a", "size_bytes": SIZE}
        declared = report_body(world.agreement_id, complete=False, parts=[part])
        uploads = [(await poster.post("/v1/reports", json=declared)).json()["id"] for _ in range(2)]
        sent = await poster.put(f"/v1/reports/{uploads[1]}/parts/1", content=b"x" * SIZE, headers=OCTETS)
        assert (sent.status_code, (await poster.post(f"/v1/reports/{uploads[1]}/completion")).status_code) == (200, 201)
        routes = [(each.path, each.methods) for each in api.app.router.routes if _is_ours(each)]
        # All at once: most of them wait, for what never comes or is never taken.
        asked = [
            ended(api, method, filled(path, an_id), ending)
            for (path, methods), an_id in itertools.product(routes, uploads)
            for method in methods
        ]
        await asyncio.gather(*asked)

        assert len(asked) > 200
        assert held(api) == nothing
