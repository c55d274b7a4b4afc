"""The stream over HTTP: what is written, what is resumed, and who is refused."""

import asyncio
from dataclasses import replace

import pytest

from exchange.entrypoints.api.stream import EventStream, written
from exchange.usecases import Begun, End, Ended, ListAnew, Shown, Silence, Watching, WatchLimits

PATH = "/v1/stream"


def events(text: str) -> list[dict[str, str]]:
    """Read a stream as WHATWG HTML says: one field a line, an empty line ends an event."""
    blocks = [block for block in text.split("\n\n") if block]
    return [dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")) for block in blocks]


@pytest.mark.parametrize(
    ("notice", "expected"),
    [
        (Begun("abc"), b"retry: 2000\nid: abc\n\n"),
        (Shown(b'{"id":"1"}', "abc"), b'id: abc\nevent: report\ndata: {"id":"1"}\n\n'),
        (Silence(), b":\n\n"),
        (ListAnew(), b'event: list-anew\ndata: {"path":"/v1/reports"}\n\n'),
        (Ended(End.STOPPING), b'retry: 2000\nevent: end\ndata: {"why":"stopping"}\n\n'),
    ],
)
def test_notices_are_written_as_the_standard_reads_them(notice, expected) -> None:
    assert written(notice) == expected


async def test_stream_tells_what_lies_behind_a_list_and_resumes(http, world, entry_of) -> None:
    reader = http("NOR reader")
    begin = (await reader.get("/v1/reports")).json()["next"]
    for number in range(3):
        await world.post(subject=f"one {number}: data: id: two")

    answer = await reader.get(PATH, params={"after": begin})
    first, *told, end = events(answer.text)
    again = events((await reader.get(PATH, params={"after": begin}, headers={"Last-Event-ID": told[0]["id"]})).text)
    listed = (await reader.get("/v1/reports", params={"after": begin})).json()["items"]
    twice = await reader.get(PATH, headers=[("Last-Event-ID", begin)] * 2)

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
    assert "content-length" not in answer.headers
    assert (await entry_of(answer))["type"] == "stream.opened"
    assert first["retry"] == "2000"
    assert [event["event"] for event in told] == ["report"] * 3
    assert [event["data"] for event in told] == [_as_sent(header) for header in listed]
    assert end == {"retry": "2000", "event": "end", "data": '{"why":"aged"}'}
    assert [event["data"] for event in again[1:-1]] == [event["data"] for event in told[1:]]
    assert (twice.status_code, "`Last-Event-ID` stands twice" in twice.json()["detail"]) == (400, True)


def _as_sent(header: dict) -> str:
    import orjson

    return orjson.dumps(header).decode()


async def test_without_an_id_the_past_is_not_told(http, world) -> None:
    await world.post()

    told = events((await http("NOR reader").get(PATH, headers={"Last-Event-ID": ""})).text)

    assert [event.get("event") for event in told] == [None, "end"]


async def test_head_says_what_get_would_and_keeps_nothing_open(http, world, monkeypatch) -> None:
    monkeypatch.setattr("exchange.entrypoints.api.stream.EventStream", None)

    answer = await http("NOR reader").head(PATH)

    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(world.services.watching) == 0


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        (None, {}, 401),
        ("stranger", {}, 401),
        ("GBR contributor", {}, 403),
        ("operator", {}, 403),
        ("NOR reader", {"headers": {"Last-Event-ID": "forged"}}, 400),
        ("NOR reader", {"params": {"after": "forged"}}, 400),
        ("NOR reader", {"params": {"since": "2026-01-01"}}, 422),
        ("NOR reader", {"headers": {"Accept": "application/json"}}, 406),
        ("NOR reader", {"headers": {"Exchange-Purpose": "no-such-purpose"}}, 422),
        ("NOR reader", {"headers": [("Last-Event-ID", "a"), ("Last-Event-ID", "b")]}, 400),
    ],
)
async def test_refusals_are_problems_on_the_record(http, world, entry_of, name, options, status) -> None:
    answer = await http(name).get(PATH, **options)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 400:
        assert all(sent in answer.json()["detail"] for sent in ("Last-Event-ID", *options.get("params", ())))
    assert (await entry_of(answer))["decision"] == "refused"
    assert len(world.services.watching) == 0


async def test_one_stream_too_many_is_told_when_to_come_again(service, http, world) -> None:
    full = Watching(WatchLimits(per_client=1))
    service.state.services = replace(world.services, watching=full)
    full.enter(str(world.clients["NOR reader"].id), "NOR")

    answer = await http("NOR reader").get(PATH)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


class Told:
    """A stream of two notices that notes whether it was let go."""

    is_closed = has_left = False

    async def notices(self):
        yield Begun("abc")
        yield Silence()

    def leave(self) -> None:
        self.has_left = True

    async def close(self) -> None:
        self.is_closed = True


async def test_reader_that_takes_nothing_is_cut_off_and_let_go() -> None:
    stream, cut = Told(), asyncio.Event()
    scope = {"type": "http", "extensions": {"exchange.connection": {"abort": cut.set}}}

    async def receive():
        await cut.wait()
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await asyncio.wait_for(EventStream(stream, {}, send_seconds=0.05)(scope, receive, send), 60)

    assert cut.is_set()
    assert stream.is_closed
    assert stream.has_left


async def test_stream_that_ends_waits_for_its_reader_no_longer() -> None:
    stream, sent = Told(), []

    async def send(message) -> None:
        sent.append(message["type"])

    await EventStream(stream, {}, send_seconds=60)({"type": "http"}, asyncio.Event().wait, send)
    await asyncio.sleep(0)

    assert len(sent) == 4
    assert asyncio.all_tasks() == {asyncio.current_task()}
