"""One request over mutual TLS: what may be tried again, and what an answer that is no success means."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, Unpack
from urllib.parse import urlsplit

import httpx2

from exchange.client.errors import AnswerError, ConnectionFailedError, ProblemError, explain_connection
from exchange.client.receipts import ReceiptFile
from exchange.client.tls import client_context
from exchange.kernel import Fault, InvalidError

# Three tries span about a second: a worker that is being replaced is back by then, a person still waits gladly.
_PAUSES_SECONDS = (0.2, 0.8)
# What the exchange may ask us to wait before we would rather tell the caller.
_LONGEST_RETRY_AFTER_SECONDS = 5.0
TRY_AGAIN_STATUSES = frozenset({429, 503})
_MOST_DIGITS = 9
"""Of the seconds that are asked for: more than thirty years are no time that anybody waits."""
_UNDONE_STATUSES = frozenset({429})
"""With these nothing was done, whatever was asked for: a rate is looked at first of all."""
_FIRST_WITHOUT_SUCCESS = 300
"""An exchange sends nobody elsewhere, and the certificate is shown to nobody else: a redirect is no success."""

LARGEST_ANSWER_BYTES = 256 * 1024 * 1024
"""Of an answer that is read whole: an exchange has no more than that on its way from one of its workers."""


class Body(TypedDict, total=False):
    """What goes along with a request."""

    params: Mapping[str, str | int]
    content: bytes | Iterator[bytes]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the exchange is and who we are there; `receipts` is the file in which every answer's receipt is kept."""

    url: str
    cert: Path
    key: Path
    ca: Path
    timeout_seconds: float = 30.0
    pause: Callable[[float], None] = field(default=time.sleep)
    receipts: Path | None = None


class Transport:
    """Keep-alive connections to one exchange, under one certificate."""

    def __init__(self, endpoint: Endpoint) -> None:
        if not endpoint.url.startswith("https://"):
            raise ConnectionFailedError(f"`{endpoint.url}` is no address of an exchange: it begins with `https://`")
        if not _has_host(endpoint.url):
            raise ConnectionFailedError(f"`{endpoint.url}` is no address: write https://HOST or https://HOST:PORT")
        if urlsplit(endpoint.url).path.rstrip("/").endswith("/v1"):
            # Everything would be absent there, as to somebody who may see nothing.
            raise ConnectionFailedError(f"`{endpoint.url}` is no address of an exchange: leave `/v1` out")
        self._endpoint = endpoint
        self._receipts = None if endpoint.receipts is None else ReceiptFile(endpoint.receipts)
        self._http = httpx2.Client(
            base_url=endpoint.url.rstrip("/"),
            verify=client_context(endpoint.cert, endpoint.key, endpoint.ca),
            timeout=endpoint.timeout_seconds,
            # Proxies named in the environment would end the mutual TLS at themselves.
            trust_env=False,
            # An exchange compresses nothing; what a proxy would, opens to any size.
            headers={"Accept": "application/json, application/problem+json", "Accept-Encoding": "identity"},
        )

    def pause(self, seconds: float) -> None:
        """Wait before another try."""
        self._endpoint.pause(seconds)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def request(self, method: str, path: str, *, may_repeat: bool, **body: Unpack[Body]) -> httpx2.Response:
        """Return a successful answer.

        `may_repeat` says that doing it twice does no harm (it reads, or carries an `Idempotency-Key`): only then is a
        broken connection or a 503 tried again. A 429 is in any case: nothing was done. Raises ProblemError and
        ConnectionFailedError, and ReceiptFileError where the receipt cannot be kept.
        """
        _refuse_unsendable(body.get("headers", {}))
        return self._repeated(lambda: self._whole(method, path, **body), may_repeat=may_repeat)

    def send(self, path: str, pieces: Callable[[], Iterator[bytes]], size_bytes: int) -> httpx2.Response:
        """Return a successful answer to a PUT of `size_bytes` in pieces, which are made anew for another try."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        return self._repeated(lambda: self._whole("PUT", path, content=pieces(), headers=headers), may_repeat=True)

    def _whole(self, method: str, path: str, **given: Unpack[Body]) -> httpx2.Response:
        with self._http.stream(method, path, **given) as answer:
            _read(answer)
        return answer

    def _repeated(self, ask: Callable[[], httpx2.Response], *, may_repeat: bool) -> httpx2.Response:
        pauses = list(_PAUSES_SECONDS)
        while True:
            try:
                answer = ask()
                self._keep(answer)
            except httpx2.TransportError as exc:
                if not may_repeat or not pauses or not _may_pass(exc):
                    raise self._explained(exc) from exc
                self._endpoint.pause(pauses.pop(0))
                continue
            passing = TRY_AGAIN_STATUSES if may_repeat else _UNDONE_STATUSES
            wait = (_asked_to_wait(answer) or 0.0) if answer.status_code in passing else None
            if not pauses or wait is None or wait > _LONGEST_RETRY_AFTER_SECONDS:
                return checked(answer)
            self._endpoint.pause(max(wait, pauses.pop(0)))

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str], *, silence_seconds: float | None = None
    ) -> Iterator[httpx2.Response]:
        """Yield a successful answer whose body has not been read yet; it may be silent for `silence_seconds`."""
        _refuse_unsendable(headers)
        usual = self._endpoint.timeout_seconds
        timeout = httpx2.Timeout(usual, read=silence_seconds or usual)
        try:
            with self._http.stream("GET", path, headers={"Accept": "*/*", **headers}, timeout=timeout) as answer:
                self._keep(answer)
                if answer.status_code >= _FIRST_WITHOUT_SUCCESS:
                    _read(answer)
                _refuse_encoded(answer)
                yield checked(answer)
        except httpx2.TransportError as exc:
            raise self._explained(exc) from exc

    def _keep(self, answer: httpx2.Response) -> None:
        # Before anything else is done with the answer, refusals included.
        if self._receipts is not None:
            self._receipts.keep(answer)

    def _explained(self, exc: Exception) -> Exception:
        return explain_connection(self._endpoint.url, self._endpoint.cert, self._endpoint.ca, exc)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # A port beyond 65535 is found when it is read.
        return bool(parts.hostname) and parts.port != 0 and bool(httpx2.URL(url).host)
    except (ValueError, httpx2.InvalidURL):
        return False


class _Bounded(httpx2.SyncByteStream):
    """The body of an answer that is read whole: AnswerError for more than any exchange sends so."""

    def __init__(self, pieces: httpx2.SyncByteStream) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        size_bytes = 0
        for piece in self._pieces:
            size_bytes += len(piece)
            if size_bytes > LARGEST_ANSWER_BYTES:
                raise AnswerError(
                    "the answer is larger than any that an exchange gives: is this an exchange's address?"
                )
            yield piece

    def close(self) -> None:
        self._pieces.close()


def _read(answer: httpx2.Response) -> None:
    _refuse_encoded(answer)
    if isinstance(answer.stream, httpx2.SyncByteStream):
        answer.stream = _Bounded(answer.stream)
    answer.read()


def _refuse_encoded(answer: httpx2.Response) -> None:
    """Raise AnswerError for what was compressed: nothing that was asked for is, and it opens to any size."""
    if answer.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise AnswerError("the answer is compressed, and nothing was asked for so: is this an exchange's address?")


def checked(answer: httpx2.Response) -> httpx2.Response:
    """Return `answer` where it is a success; raise the problem that it describes otherwise."""
    if answer.status_code < _FIRST_WITHOUT_SUCCESS:
        return answer
    request_id = answer.headers.get("x-request-id", "")
    try:
        problem = answer.json()
        raise ProblemError(
            status=answer.status_code,
            code=str(problem["code"]),
            detail=str(problem.get("detail") or problem.get("title")),
            faults=tuple(_faults(problem.get("errors") or problem.get("faults") or [])),
            request_id=request_id,
            retry_after_seconds=_asked_to_wait(answer),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise AnswerError(f"answer {answer.status_code} without a problem: is this an exchange's address?") from exc


def _refuse_unsendable(headers: Mapping[str, str]) -> None:
    """Raise InvalidError for a header that HTTP cannot carry: it was never sent, so nobody was asked."""
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise InvalidError(f"`{name}` has other characters than visible ASCII ones: write it with these")


def _faults(listed: list[dict[str, object]]) -> Iterator[Fault]:
    for one in listed:
        line = one.get("line")
        code = str(one.get("code", "invalid"))
        message = str(one.get("message") or one.get("detail") or code)
        yield Fault(str(one.get("pointer", "")), code, message, line if isinstance(line, int) else None)


def _may_pass(exc: httpx2.TransportError) -> bool:
    """Return whether trying again might help: a certificate that was refused once is refused again."""
    return "certificate" not in str(exc).lower() and not isinstance(exc, httpx2.UnsupportedProtocol)


def _asked_to_wait(answer: httpx2.Response) -> float | None:
    """Return the seconds that the exchange asks to wait, None where it asks for none."""
    asked = answer.headers.get("retry-after", "")
    # An exchange writes seconds (RFC 9110 section 10.2.3 knows dates too).
    return float(asked) if asked.isascii() and asked.isdecimal() and len(asked) <= _MOST_DIGITS else None
