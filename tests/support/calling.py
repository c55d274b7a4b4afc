"""A client of a service in this process, which asks as `httpx2` does and spends a quarter of the time on the way.

Does not: follow redirects, keep cookies, authenticate, or say of an answer what was asked. What is asked in another way
than at a plain path with a body at hand goes through `httpx2`, and so does what is read while it comes.
"""

import asyncio
import json
import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

import httpx2

from tests.support.documented import require_documented
from tests.support.receipts_shown import require_receipt

HOST: Final = "exchange.test"
PLACE: Final = ("192.0.2.7", 4711)

_PLAIN_PATH = re.compile(r"(?:/(?!\.)(?:[\w.~-]|%[0-9A-F]{2})+)+", re.ASCII)
"""One that is sent as it is written: nothing in it would be put in other words or taken away."""
_NEED_A_LENGTH: Final = frozenset({"POST", "PUT", "PATCH"})


class Caller(httpx2.AsyncClient):
    """A client that calls `app`. Each answer has its receipt and is one that the document has, or the test fails."""

    def __init__(self, app: Any) -> None:
        transport = httpx2.ASGITransport(app=app, client=PLACE)
        hooks: Any = {"response": [_require_whole]}
        super().__init__(transport=transport, base_url=f"https://{HOST}", event_hooks=hooks)
        self._app = app
        self._usual = {name.lower(): value for name, value in self.headers.raw}

    async def request(self, method: str, url: httpx2.URL | str, **asked: Any) -> httpx2.Response:
        """Ask the service and return its answer, read to its end."""
        if not _is_plain(url, **asked):
            return await super().request(method, url, **asked)
        method, path, content = method.upper(), str(url), asked.get("content")
        body = _body(content, asked.get("json"))
        headers = self._lines(method, asked.get("headers") or {}, body, is_json=content is None)
        exchange = _Exchange(body or b"")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "headers": [*headers.items()],
            "scheme": "https",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": str(httpx2.QueryParams(asked.get("params"))).encode(),
            "server": (HOST, None),
            "client": PLACE,
            "root_path": "",
        }
        await self._app(scope, exchange.receive, exchange.send)
        answer = exchange.answer(method)
        _require(method, unquote(path), answer)
        return answer

    def _lines(self, method: str, given: Mapping[str, str], body: bytes | None, *, is_json: bool) -> dict[bytes, bytes]:
        mine = {name.lower().encode("ascii"): value.encode("ascii") for name, value in given.items()}
        needed = {b"host": HOST.encode()}
        if not body and method in _NEED_A_LENGTH:
            needed[b"content-length"] = b"0"
        headers = {name: value for name, value in (needed | self._usual).items() if name not in mine} | mine
        if body:
            headers.setdefault(b"content-length", str(len(body)).encode())
            if is_json:
                headers.setdefault(b"content-type", b"application/json")
        return headers


def _is_plain(
    url: object, *, content: object = None, headers: object = None, data: object = None, files: object = None, **_: Any
) -> bool:
    return (
        isinstance(url, str)
        and _PLAIN_PATH.fullmatch(url) is not None
        and isinstance(content, bytes | None)
        and isinstance(headers, dict | None)
        # What comes in pieces has no length.
        and all(
            name.lower() != "transfer-encoding" and isinstance(value, str) for name, value in (headers or {}).items()
        )
        and data is files is None
    )


def _body(content: bytes | None, value: Any) -> bytes | None:
    if content is not None or value is None:
        return content
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


class _Exchange:
    """One request and its answer, as messages of ASGI."""

    def __init__(self, body: bytes) -> None:
        self._to_come = [(b"", False), (body, True)]
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._is_answered = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """Give the body, its end, and once it is answered that the caller has gone."""
        if self._to_come:
            body, is_more_to_come = self._to_come.pop()
            return {"type": "http.request", "body": body, "more_body": is_more_to_come}
        await self._is_answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start":
            assert not self._status
            self._status, self._headers = message["status"], message.get("headers", [])
        elif message["type"] == "http.response.body":
            assert not self._is_answered.is_set()
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._is_answered.set()

    def answer(self, method: str) -> httpx2.Response:
        """Return all of the answer."""
        assert self._is_answered.is_set()
        body = b"" if method == "HEAD" else b"".join(self._parts)
        answer = httpx2.Response(self._status, headers=self._headers, stream=httpx2.ByteStream(body))
        answer.read()
        return answer


async def _require_whole(answer: httpx2.Response) -> None:
    _require(answer.request.method, answer.request.url.path, answer)


def _require(method: str, path: str, answer: httpx2.Response) -> None:
    require_receipt(method, path, answer)
    require_documented(method, path, answer)
