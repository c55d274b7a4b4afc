"""The client that tests of the interface ask with gives the service what `httpx2` would, and returns what it answers."""

from typing import Any

import httpx2
import pytest

from tests.support import calling
from tests.support.calling import HOST, PLACE, Caller

ID = "01980000-0000-7000-8000-00000000000f"
ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/v1/whoami", {}),
    ("HEAD", f"/v1/reports/{ID}", {}),
    ("GET", "/v1/reports", {"params": {"topic": "a b&c=%+é\x00'", "limit": "1", "agreement[]": ""}}),
    ("GET", "/v1/reports", {"params": [("kind", "a"), ("kind", "b")]}),
    ("GET", "/v1/reports/%27%20OR%2F%00", {}),
    ("GET", "/v1/reports/%C3%A9%FF", {}),
    ("GET", f"/v1/reports/x/../{ID}", {}),
    ("GET", "/v1/reports/.", {}),
    ("GET", "/v1/reports/{a}", {}),
    ("GET", "/v1/reports/é?b=%zz", {}),
    ("GET", "/v1//reports/", {}),
    ("GET", "/v1/audit/tile/0/x001/234.p/5", {}),
    ("POST", "/v1/reports", {}),
    ("DELETE", "/v1/reports", {}),
    ("POST", "/v1/reports", {"json": {"é": [1, None], "b": "\x00"}}),
    ("POST", "/v1/reports", {"json": []}),
    ("POST", "/v1/reports", {"content": b""}),
    ("PUT", "/v1/reports", {"content": b"\xff" * 300_000, "headers": {"Content-Type": "application/octet-stream"}}),
    ("POST", "/v1/reports", {"content": b"{}", "json": {"other": 1}}),
    ("GET", "/v1/reports", {"content": b"{}"}),
    ("POST", "/v1/reports", {"json": {}, "headers": {"content-TYPE": "text/plain", "Content-Length": "99"}}),
    ("POST", "/v1/reports", {"headers": {"Content-Length": "7", "Host": "elsewhere"}}),
    ("POST", "/v1/reports", {"json": {}, "headers": {"Transfer-Encoding": "gzip, chunked"}}),
    ("POST", "/v1/reports", {"json": {}, "headers": {"If-Match": '"1"', "Accept": "application/pdf"}}),
    ("GET", "/v1/reports", {"headers": {"User-Agent": "", "accept-encoding": "identity", "Connection": "close"}}),
    ("POST", "/v1/reports", {"json": {}, "headers": {"Idempotency-Key": "é".encode()}}),
    ("post", "/v1/reports", {"data": {"a": "1"}}),
    ("get", "/v1/reports", {}),
]


class Listening:
    """A service that notes all it is given, and answers in pieces."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    async def __call__(self, scope, receive, send) -> None:
        given = [dict(scope), await receive(), await receive()]
        headers = [(b"Content-Type", b"text/plain; charset=latin-1"), (b"x-twice", b"1"), (b"x-twice", b"2")]
        await send({"type": "http.response.start", "status": 418, "headers": headers})
        await send({"type": "http.response.body", "body": b"\xe9", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": False})
        self.given = [*given, await receive()]


async def test_service_is_given_the_same_and_its_answer_read_the_same(
    monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    monkeypatch.setattr(calling, "_require", lambda *_: None)
    app = Listening()
    caller = Caller(app)
    usual = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app, client=PLACE), base_url=f"https://{HOST}")
    for method, path, how in ASKED:
        heard = []
        for client in (caller, usual):
            answer = await client.request(method, path, **how)
            told = (answer.status_code, answer.headers.raw, answer.content, answer.text)
            heard.append((app.given, told))

        with subtests.test(method=method, path=path, how=str(how)[:80]):
            assert heard[0] == heard[1]


async def test_answer_that_is_not_whole_fails_whichever_way_it_was_asked_for() -> None:
    for way in ({}, {"data": {"a": "1"}}):
        with pytest.raises(AssertionError, match="POST /v1/reports -> 418"):
            await Caller(Listening()).request("POST", "/v1/reports", **way)
