"""Reports whose parts are sent by themselves, over HTTP."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exchange.entrypoints.http.routing import OperationRoute
from exchange.kernel import UnavailableError
from exchange.wire import HeaderBody, UploadBody
from tests.entrypoints.conftest import AsClient
from tests.entrypoints.test_reports_api import body_of
from tests.support.world import thumbprint_of

OCTETS = {"Content-Type": "application/octet-stream"}
CONTENT = bytes(range(256)) * 2000
"""Larger than any whole body may be here."""


def declared(world, content: bytes = CONTENT, **others: Any) -> dict:
    part = {"media_type": "application/octet-stream", "name": "a.bin", "size_bytes": len(content), **others}
    return body_of(world, complete=False, parts=[part])


async def begun(world, http, content: bytes = CONTENT, **others: Any) -> str:
    answer = await http("GBR contributor").post("/v1/reports", json=declared(world, content, **others))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def test_report_is_begun_sent_and_completed(world, http, entry_of) -> None:
    poster = http("GBR contributor")
    first = await poster.post("/v1/reports", json=declared(world), headers={"Idempotency-Key": "once"})
    upload = UploadBody.model_validate_json(first.content)
    assert first.status_code == 202
    assert first.headers["location"] == f"/v1/reports/{upload.id}"
    assert (upload.parts[0].received, upload.parts[0].sha256) == (False, None)
    assert (upload.given_up_at - upload.begun_at).total_seconds() == 24 * 3600

    sent = await poster.put(f"/v1/reports/{upload.id}/parts/1", content=CONTENT, headers=OCTETS)
    part = UploadBody.model_validate_json(sent.content).parts[0]
    assert (sent.status_code, part.received, part.sha256) == (200, True, hashlib.sha256(CONTENT).hexdigest())
    assert (await entry_of(sent))["type"] == "upload.part_received"

    again = await poster.post("/v1/reports", json=declared(world), headers={"Idempotency-Key": "once"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.json()["parts"][0]["received"] is True

    done = await poster.post(f"/v1/reports/{upload.id}/completion", json={})
    assert done.status_code == 201
    header = HeaderBody.model_validate_json(done.content)
    assert (header.id, header.status, header.parts[0].size_bytes) == (upload.id, "current", len(CONTENT))
    assert done.headers["location"] == f"/v1/reports/{upload.id}"
    assert (await entry_of(done))["type"] == "report.posted"
    read = await http("NOR reader").get(f"/v1/reports/{upload.id}/parts/1")
    assert read.content == CONTENT
    some = await http("NOR reader").get(f"/v1/reports/{upload.id}/parts/1", headers={"Range": "bytes=300000-300009"})
    assert (some.status_code, some.content) == (206, CONTENT[300_000:300_010])


async def test_size_is_looked_at_before_anything_is_read(world, http) -> None:
    upload, read = await begun(world, http), []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield CONTENT

    path = f"/v1/reports/{upload}/parts/1"
    for length, status, code in (
        (len(CONTENT) + 1, 413, "too-large"),
        (len(CONTENT) - 1, 422, "invalid"),
        (10**18, 413, "too-large"),
    ):
        headers = {**OCTETS, "Content-Length": str(length)}
        answer = await http("GBR contributor").put(path, content=body(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert "declared" in answer.json()["detail"]
    for length in ("-1", "abc", "1" * 40):
        headers = {**OCTETS, "Content-Length": length}
        assert (await http("GBR contributor").put(path, content=body(), headers=headers)).status_code == 400

    assert read == []


async def test_chunked_part_is_counted_while_it_comes(world, http) -> None:
    upload, sent = await begun(world, http), []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(1)
            yield b"x" * 50_000

    answer = await http("GBR contributor").put(f"/v1/reports/{upload}/parts/1", content=endless(), headers=OCTETS)

    assert answer.status_code == 413
    assert len(sent) < 20

    async def whole() -> AsyncIterator[bytes]:
        yield CONTENT

    answer = await http("GBR contributor").put(f"/v1/reports/{upload}/parts/1", content=whole(), headers=OCTETS)
    assert answer.status_code == 200


async def test_wrong_digest_names_the_mend(world, http) -> None:
    upload = await begun(world, http, sha256="0" * 64)
    answer = await http("GBR contributor").put(f"/v1/reports/{upload}/parts/1", content=CONTENT, headers=OCTETS)

    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("", "wrong-digest")
    assert "send the part again" in fault["detail"]


@pytest.mark.parametrize("headers", [{"Content-Type": "application/json"}, {}, {**OCTETS, "Content-Encoding": "gzip"}])
async def test_part_of_another_media_type_is_415(world, http, headers) -> None:
    upload = await begun(world, http)
    answer = await http("GBR contributor").put(f"/v1/reports/{upload}/parts/1", content=CONTENT, headers=headers)

    assert answer.status_code == 415


async def test_some_of_a_part_is_400_and_not_taken_for_the_whole(world, http) -> None:
    # RFC 9110 §14.5: whoever ignored the field would keep a piece as if it were the part.
    upload = await begun(world, http)
    headers = {**OCTETS, "Content-Range": f"bytes 0-{len(CONTENT) - 1}/{2 * len(CONTENT)}"}
    answer = await http("GBR contributor").put(f"/v1/reports/{upload}/parts/1", content=CONTENT, headers=headers)

    assert answer.status_code == 400
    assert "Content-Range" in answer.json()["detail"]
    assert (await http("GBR contributor").post(f"/v1/reports/{upload}/completion", json={})).status_code == 409


@pytest.mark.parametrize("number", ["0", "2", "01x", "99999"])
async def test_part_that_was_not_declared_is_404(world, http, number: str) -> None:
    upload = await begun(world, http)
    answer = await http("GBR contributor").put(f"/v1/reports/{upload}/parts/{number}", content=b"", headers=OCTETS)

    assert answer.status_code == 404


async def test_completion_tells_what_is_missing_and_comes_once(world, http) -> None:
    upload = await begun(world, http)
    poster = http("GBR contributor")
    answer = await poster.post(f"/v1/reports/{upload}/completion", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "parts-missing")
    assert "part 1" in answer.json()["detail"]
    await poster.put(f"/v1/reports/{upload}/parts/1", content=CONTENT, headers=OCTETS)
    said = await poster.post(f"/v1/reports/{upload}/completion", json={"at": "once"})
    assert (said.status_code, said.json()["errors"][0]["pointer"]) == (422, "/at")
    assert (await poster.post(f"/v1/reports/{upload}/completion")).status_code == 201
    for answer in (
        await poster.post(f"/v1/reports/{upload}/completion", json={}),
        await poster.put(f"/v1/reports/{upload}/parts/1", content=CONTENT, headers=OCTETS),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "already-complete")


async def part_by_hand(service, upload: str, chunks: list[bytes] | None) -> list[dict]:
    """Send a part by hand: `chunks`, then the sender is gone; None: nothing ever comes."""
    sent: list[dict] = []
    left = list(chunks or [])

    async def receive() -> dict:
        if chunks is None:
            await asyncio.Event().wait()
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": True}
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        sent.append(message)

    path = f"/v1/reports/{upload}/parts/1"
    scope = {
        "type": "http",
        "method": "PUT",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"host", b"exchange.test"),
            (b"content-type", b"application/octet-stream"),
            (b"content-length", str(len(CONTENT)).encode()),
        ],
        "client": ("192.0.2.7", 1),
        "http_version": "1.1",
        "scheme": "https",
        "root_path": "",
    }
    await AsClient(service, thumbprint_of("GBR contributor"))(scope, receive, send)
    return sent


async def test_part_cut_off_by_its_sender_counts_for_nothing(service, world, http) -> None:
    upload = await begun(world, http)
    sent = await part_by_hand(service, upload, [CONTENT[:300_000]])

    assert sent[0]["status"] == 400
    (cut,) = [entry for entry in await world.entries() if entry["type"] == "upload.part_received"]
    assert (cut["decision"], cut["detail"]) == ("refused", {"codes": ["malformed"]})
    answer = await http("GBR contributor").post(f"/v1/reports/{upload}/completion", json={})
    assert answer.json()["code"] == "parts-missing"


async def test_part_that_stops_coming_is_408_and_its_room_is_given_back(service, world, http, monkeypatch) -> None:
    upload = await begun(world, http)
    (limits,) = {
        id(route._limits): route._limits for route in service.router.routes if isinstance(route, OperationRoute)
    }.values()
    for route in service.router.routes:
        if isinstance(route, OperationRoute):
            monkeypatch.setattr(route, "_limits", type(limits)(1_000, 0.01, limits.room))

    sent = await part_by_hand(service, upload, None)

    assert sent[0]["status"] == 408
    assert limits.room.held_bytes == 0


async def test_part_is_turned_away_where_there_is_no_room(service, world, http, monkeypatch) -> None:
    upload = await begun(world, http)
    for route in service.router.routes:
        if isinstance(route, OperationRoute):
            monkeypatch.setattr(route._limits.room, "_most_bytes", 1_000_000)
            break
    answer = await http("GBR contributor").put(f"/v1/reports/{upload}/parts/1", content=CONTENT, headers=OCTETS)

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


async def test_json_is_checked_whole_and_takes_room_for_it(service, world, http) -> None:
    content = b'["' + b"x" * 100_000 + b'"]'
    part = {"media_type": "application/json", "name": "a.json", "size_bytes": len(content)}
    poster = http("GBR contributor")
    upload = (await poster.post("/v1/reports", json=body_of(world, complete=False, parts=[part]))).json()["id"]
    assert (await poster.put(f"/v1/reports/{upload}/parts/1", content=content, headers=OCTETS)).status_code == 200
    answer = await poster.put(f"/v1/reports/{upload}/parts/1", content=b"[" * len(content), headers=OCTETS)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "wrong-content")


async def test_large_part_is_streamed_whole_or_in_ranges(world, http, service, entry_of) -> None:
    content = hashlib.shake_256(b"x").digest(2 * 1024 * 1024)
    upload = await begun(world, http, content)
    poster, reader = http("GBR contributor"), http("NOR reader")
    path = f"/v1/reports/{upload}/parts/1"
    await poster.put(path, content=content, headers=OCTETS)
    await poster.post(f"/v1/reports/{upload}/completion", json={})

    whole = await reader.get(path)
    head = await reader.head(path)
    some = await reader.get(path, headers={"Range": "bytes=1000000-1999999"})
    last = await reader.get(path, headers={"Range": "bytes=-5"})
    behind = await reader.get(path, headers={"Range": f"bytes={len(content)}-"})

    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, content, str(len(content)))
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(content)))
    assert (some.status_code, some.content) == (206, content[1_000_000:2_000_000])
    assert some.headers["content-range"] == f"bytes 1000000-1999999/{len(content)}"
    assert some.headers["content-length"] == "1000000"
    assert (last.status_code, last.content) == (206, content[-5:])
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{len(content)}")
    for answer in (whole, head, some):
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a.bin"
    entry = await entry_of(some)
    assert (entry["type"], entry["detail"]) == (
        "report.part_read",
        {"part": 1, "asked": 1, "octets": f"1000000-1999999/{len(content)}"},
    )


async def test_part_that_breaks_while_it_is_streamed_cuts_the_connection(world, http, monkeypatch) -> None:
    content = hashlib.shake_256(b"x").digest(2 * 1024 * 1024)
    upload = await begun(world, http, content)
    poster = http("GBR contributor")
    path = f"/v1/reports/{upload}/parts/1"
    await poster.put(path, content=content, headers=OCTETS)
    await poster.post(f"/v1/reports/{upload}/completion", json={})
    append, store = world.services.store.append, world.services.store
    world.url = f"sqlite+aiosqlite:///{world.folder}/exchange.db"

    async def changing(draft) -> Any:
        receipt = await append(draft)
        world.sql("DELETE FROM part_piece WHERE number = 5")
        return receipt

    monkeypatch.setattr(store, "append", changing)
    with pytest.raises(UnavailableError):
        await http("NOR reader").get(path)
    assert "key.opened" in {entry["type"] for entry in await world.entries()}
