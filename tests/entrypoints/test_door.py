"""What every request meets, whatever its route; the sweep over all operations of the document is beside this."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.responses import Response

from exchange.audit import Receipt
from exchange.entrypoints.api import api_document
from exchange.entrypoints.http.large_answers import LARGE_BYTES
from exchange.entrypoints.http.limits import RateLimiter, Refusals
from exchange.entrypoints.http.problems import STATUSES, TITLES, problem
from exchange.entrypoints.http.routing import OperationRoute
from exchange.kernel import ConflictError, ExchangeError, Fault, InvalidError, NotFoundError, UnavailableError
from exchange.store import BlobStore
from exchange.store.log.archive import BundleArchive
from tests.support.slow_rates import slow_rates

ABSENT = "01980000-0000-7000-8000-000000000000"


async def test_chunked_body_is_counted_while_it_comes(http) -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 50_000

    answer = await http("operator").post("/v1/members", content=body(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-1", "abc", "1_0", "٣", "0" * 5000 + "2"])
async def test_length_that_is_no_number_is_refused(service, world, length: str) -> None:
    sent = await converse(service, "operator", headers=[(b"content-length", length.encode())], body=[b"{}"])

    assert sent[0]["status"] == 413


@pytest.mark.parametrize("hosts", [[], [b"a", b"b"], [b"a", b"a"], [b""], [b"a b"], [b"a/b"], [b"[::1"], [b"a:b"]])
async def test_request_without_one_host_is_400_on_the_record(service, world, hosts: list[bytes]) -> None:
    sent = await converse(service, "operator", hosts=hosts, body=[b"{}"])

    assert (sent[0]["status"], b"`Host`" in sent[1]["body"]) == (400, True)
    assert b"x-audit-entry" in {name.lower() for name, _ in sent[0]["headers"]}


@pytest.mark.parametrize(
    ("hosts", "http_version"), [([b"any.other.name:8443"], "1.1"), ([b"[2001:db8::1]:443"], "1.1"), ([], "1.0")]
)
async def test_one_host_of_any_name_is_answered(service, world, hosts: list[bytes], http_version: str) -> None:
    sent = await converse(service, "operator", hosts=hosts, http_version=http_version, body=[])

    assert b"the body ended early" in sent[1]["body"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "cross-site, none", ""])
async def test_page_of_another_site_is_400_on_the_record(http, entry_of, site: str) -> None:
    answers = [await http("NOR reader").get(path, headers={"Sec-Fetch-Site": site}) for path in ("/v1/whoami", "/docs")]

    assert [answer.status_code for answer in answers] == [400, 200]
    assert (await entry_of(answers[0]))["detail"]["code"] == "malformed"


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_own_page_is_answered(http, site: str) -> None:
    answer = await http("NOR reader").get("/v1/whoami", headers={"Sec-Fetch-Site": site})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("origin", "sent", "status"),
    [
        ("https://elsewhere.example", {}, 400),
        ("null", {}, 400),
        ("http://{host}", {}, 400),
        ("https://{host}:1", {}, 400),
        ("https://{host}", {}, 200),
        ("HTTPS://{host}", {}, 200),
        # Who says both says it better by the first: behind a proxy the name that is asked may be another one.
        ("https://exchange.example", {"Sec-Fetch-Site": "same-origin"}, 200),
        ("https://{host}", {"Sec-Fetch-Site": "cross-site"}, 400),
    ],
)
async def test_page_of_another_origin_is_400_where_its_browser_tells_no_more(http, origin, sent, status) -> None:
    reader = http("NOR reader")
    named = {"Origin": origin.replace("{host}", reader.base_url.netloc.decode())}

    answer = await reader.get("/v1/whoami", headers=named | sent)

    assert answer.status_code == status


async def test_body_that_stops_coming_is_408(service, world, monkeypatch) -> None:
    for route in service.router.routes:
        if isinstance(route, OperationRoute):
            monkeypatch.setattr(route, "_limits", type(route._limits)(1000, 0.01))

    sent = await converse(service, "operator", body=None)

    assert sent[0]["status"] == 408
    assert {b"x-audit-entry", b"x-audit-leaf"} <= {name.lower() for name, _ in sent[0]["headers"]}


async def test_body_cut_off_by_its_sender_is_recorded(service, world) -> None:
    await converse(service, "operator", body=[])

    codes = [entry["detail"].get("code") for entry in await world.entries() if entry["type"] == "route.requested"]
    assert codes == ["malformed"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/reports", "GET, HEAD, POST"),
        ("PUT", f"/v1/reports/{ABSENT}", "GET, HEAD"),
        ("POST", "/v1/whoami", "GET, HEAD"),
        ("GET", f"/v1/agreements/{ABSENT}/signatures", "POST"),
        ("OPTIONS", "/v1/members", "GET, HEAD, POST"),
        ("PATCH", "/v1/members", "GET, HEAD, POST"),
    ],
)
async def test_wrong_method_is_405_with_the_right_ones(http, entry_of, method: str, path: str, allowed: str) -> None:
    answer = await http("NOR reader").request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert (await entry_of(answer))["detail"]["method"] == method


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1", "/", "/v1/reports/", "/v1/reports//", "/V1/reports", "/healthz", "/metrics"]
)
async def test_unknown_path_is_404_on_the_record_without_what_was_typed(http, entry_of, path: str) -> None:
    answer = await http("NOR reader").get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert "as `/openapi.json` has it" in answer.json()["detail"]
    assert (await entry_of(answer))["detail"]["route"] == "unmatched"


async def test_what_is_accepted_may_stand_in_several_lines(http) -> None:
    reader = http("NOR reader")
    accepted = await reader.get("/v1/whoami", headers=[("Accept", "text/html"), ("Accept", "application/json")])
    refused = await reader.get("/v1/whoami", headers=[("Accept", "text/html"), ("Accept", "text/plain")])

    assert (accepted.status_code, refused.status_code) == (200, 406)


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/*", "application/json;q=0", "*/*;q=0.000"])
async def test_nothing_acceptable_is_406(http, accept: str) -> None:
    answer = await http("NOR reader").get("/v1/whoami", headers={"Accept": accept})

    assert answer.status_code == 406


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "text/html, */*;q=0.1", "Application/JSON", "application/json;q=0.1"]
)
async def test_acceptable_is_answered(http, accept: str) -> None:
    answer = await http("NOR reader").get("/v1/whoami", headers={"Accept": accept})

    assert answer.status_code == 200


async def test_unforeseen_error_tells_nothing_and_is_on_the_record(service, http, entry_of, monkeypatch) -> None:
    async def broken(_visit) -> None:
        raise RuntimeError("canary-4711")

    (route,) = [each for each in service.router.routes if getattr(each, "path", "") == "/v1/whoami"]
    monkeypatch.setattr(route, "_visitor", broken)

    answer = await http("NOR reader").get("/v1/whoami")

    assert (answer.status_code, answer.json()["code"]) == (500, "failed")
    assert b"canary" not in answer.content
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    entry = await entry_of(answer)
    assert (entry["type"], entry["decision"]) == ("route.requested", "failed")
    assert entry["detail"] == {"code": "failed", "method": "GET", "route": "/v1/whoami"}


class CutShort(Response):
    """Answers one piece, and may not go on."""

    async def __call__(self, scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        raise UnavailableError("this node is being stopped")


async def test_answer_that_may_not_go_on_ends_with_its_connection(service, world, caplog, monkeypatch) -> None:
    async def begun(_visit) -> Response:
        return CutShort()

    (route,) = [each for each in service.router.routes if getattr(each, "path", "") == "/v1/audit/export"]
    monkeypatch.setattr(route, "_visitor", begun)
    closed: list[str] = []
    ends = {"exchange.connection": {"close": lambda: closed.append("behind what was sent")}}
    with caplog.at_level("INFO", "exchange.http"):
        sent = await converse(service, "auditor", body=[], method="GET", path="/v1/audit/export", extensions=ends)

    assert [message.get("body") for message in sent] == [None, b"one"]
    assert closed == ["behind what was sent"]
    (line,) = [each for each in caplog.records if each.name == "exchange.http"]
    assert (line.levelname, line.exc_info, line.code) == ("INFO", None, "unavailable")
    with pytest.raises(UnavailableError):
        await converse(service, "auditor", body=[], method="GET", path="/v1/audit/export")


async def test_large_answer_that_finds_no_room_is_no_error_that_nobody_foresaw(
    service, world, caplog, monkeypatch
) -> None:
    """A client may ask for as many as it likes; each wrote two traces into the process's log."""

    async def large(_visit) -> Response:
        return Response(bytes(LARGE_BYTES + 1))

    (route,) = [each for each in service.router.routes if getattr(each, "path", "") == "/v1/whoami"]
    monkeypatch.setattr(route, "_visitor", large)
    monkeypatch.setattr(service.door.large, "_most_bytes", LARGE_BYTES)
    closed: list[str] = []
    ends = {"exchange.connection": {"close": lambda: closed.append("behind what was sent")}}
    with caplog.at_level("INFO", "exchange.http"):
        sent = await converse(service, "NOR reader", body=[], method="GET", path="/v1/whoami", extensions=ends)

    assert [message["type"] for message in sent] == ["http.response.start"]
    assert closed == ["behind what was sent"]
    (line,) = [each for each in caplog.records if each.name == "exchange.http"]
    assert (line.levelname, line.exc_info, line.code) == ("INFO", None, "overloaded")


async def test_unforeseen_error_of_the_log_tells_nothing_either(world, http, monkeypatch) -> None:
    async def broken(*_args, **_named) -> None:
        raise RuntimeError("canary-4711")

    monkeypatch.setattr(type(world.services.store), "append", broken)

    answer = await http("NOR reader").get("/v1/whoami")

    assert (answer.status_code, answer.json()["code"]) == (500, "failed")
    assert b"canary" not in answer.content
    assert "x-audit-entry" not in answer.headers


async def test_what_a_stopping_server_has_no_time_for_is_503(service, http, monkeypatch) -> None:
    asked = asyncio.Event()

    async def slow(_visit) -> None:
        asked.set()
        await asyncio.Event().wait()

    (route,) = [each for each in service.router.routes if getattr(each, "path", "") == "/v1/whoami"]
    monkeypatch.setattr(route, "_visitor", slow)

    request = asyncio.create_task(http("NOR reader").get("/v1/whoami"))
    await asked.wait()
    request.cancel()
    answer = await request

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]


async def test_log_that_cannot_be_written_is_503_and_nothing_is_released(world, http, monkeypatch, caplog) -> None:
    report_id = await world.post()

    async def away(*_args, **_named):
        raise UnavailableError("the disk is full")

    monkeypatch.setattr(type(world.services.store), "append", away)

    answers = [
        await http("NOR reader").get(path) for path in (f"/v1/reports/{report_id}", "/v1/reports", "/v1/nothing")
    ]
    answers.append(await http("stranger").get("/v1/whoami"))

    assert {answer.status_code for answer in answers} == {503}
    told = {record.request_id for record in caplog.records if record.message == "request not answered"}
    assert told == {answer.headers["x-request-id"] for answer in answers}
    assert all(answer.headers["retry-after"] for answer in answers)
    assert all(b"first part" not in answer.content for answer in answers)


def test_rate_is_per_client_and_refills() -> None:
    time = [0.0]
    limiter = RateLimiter(10, clock=lambda: time[0])

    first = [limiter.admit("a") for _ in range(11)]
    other = limiter.admit("b")
    time[0] = 0.1
    later = [limiter.admit("a"), limiter.admit("a")]

    assert first == [True] * 10 + [False]
    assert other
    assert later == [True, False]


def test_rate_limiter_without_room_refuses_newcomers_until_a_bucket_is_full_again() -> None:
    time = [0.0]
    limiter = RateLimiter(10, most_clients=2, clock=lambda: time[0])
    known = [limiter.admit(name) for name in ("a", "b")]

    refused = limiter.admit("c")
    time[0] = 1.0
    admitted = limiter.admit("c")

    assert known == [True, True]
    assert not refused
    assert admitted


def test_first_refusal_of_a_second_is_the_one_recorded() -> None:
    time = [5.0]
    refusals = Refusals(clock=lambda: time[0], most_clients=2)

    told = [refusals.to_record(name) for name in "aaab"]
    time[0] = 6.0
    told += [refusals.to_record(name) for name in "aaca"]

    # The last one makes room first, and with it is forgotten what was told.
    assert told == [1, 0, 0, 1, 3, 0, 1, 1]


def test_refusals_that_nobody_told_of_are_told_once() -> None:
    refusals = Refusals(clock=lambda: 5.0)

    told = [refusals.to_record("a") for _ in range(3)]
    rest = [refusals.untold("a"), refusals.untold("a"), refusals.untold("b")]

    assert told == [1, 0, 0]
    assert rest == [2, 0, 0]


async def test_entry_of_a_refused_flood_says_how_many_requests_it_speaks_for(service, http, entry_of) -> None:
    time = [1.0]
    service.door.rates = slow_rates(1, clock=lambda: time[0])
    reader = http("NOR reader")
    for _ in range(5):
        await reader.get("/v1/whoami")
    time[0] = 2.0
    await reader.get("/v1/whoami")

    told = await entry_of(await reader.get("/v1/whoami"))

    # One was admitted, one refusal was told at once, three were not.
    assert told["detail"] == {"code": "rate-limited", "count": 4, "method": "GET", "route": "unmatched"}


async def test_too_many_requests_are_429_and_one_is_recorded(service, world, http) -> None:
    service.door.rates = slow_rates(2, clock=lambda: 1.0)
    reader = http("NOR reader")

    answers = [await reader.get("/v1/whoami") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 429]
    assert answers[2].headers["retry-after"] == "1"
    assert ["x-audit-entry" in answer.headers for answer in answers] == [True, True, True, False, False]
    assert ["x-audit-leaf" in answer.headers for answer in answers] == [True, True, True, False, False]


def test_every_route_declares_its_policy_action(service) -> None:
    open_to_enrolled = {"/openapi.json", "/docs"}
    routes = [route for route in service.router.routes if not route.path.startswith(tuple(open_to_enrolled))]

    undeclared = [route.path for route in routes if not isinstance(route, OperationRoute) or not route.operation.action]
    actions = [route.operation.action for route in routes if isinstance(route, OperationRoute)]

    assert undeclared == []
    assert len(actions) == len(set(actions))


async def test_document_is_complete(http) -> None:
    document = (await http("NOR reader").get("/openapi.json")).json()

    assert document == json.loads(json.dumps(api_document()))
    assert document["openapi"] == "3.1.0"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["x-policy-action"], (path, method)
            assert {"401", "403", "404", "429", "500", "503"} <= set(operation["responses"])
            assert ("requestBody" in operation) == (method in {"post", "patch", "put"})
            names = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert names == {piece[1:-1] for piece in path.split("/") if piece.startswith("{")}


def test_receipt_is_documented_on_every_answer_but_that_of_a_log_that_is_away() -> None:
    document = api_document()
    answers = {
        (path, method, status): document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        if "$ref" in answer
        else answer
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for status, answer in operation["responses"].items()
    }

    for place, answer in answers.items():
        assert ({"X-Audit-Entry", "X-Audit-Leaf"} <= set(answer["headers"])) == (place[2] not in {"500", "503"}), place


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = api_document()

    def references(value) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [each for inner in value.values() for each in references(inner)]
        return [each for inner in value for each in references(inner)] if isinstance(value, list) else []

    for reference in references(document):
        target = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


async def test_page_of_the_document_asks_nobody_else(http) -> None:
    page = await http("NOR reader").get("/docs")

    assert page.status_code == 200
    assert b"http" not in page.content.replace(b"https://exchange.test", b"")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "start.js"):
        assert (await http("NOR reader").get(f"/docs/{asset}")).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/swagger-ui.css"])
async def test_the_document_is_for_enrolled_clients(http, path: str) -> None:
    assert (await http("stranger").get(path)).status_code == 401


def test_every_error_of_the_core_has_a_row() -> None:
    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    # Faults of the start, of this program itself, or turned into another error before they come here.
    own = {
        "UnsafeSettingError",
        "ExchangeError",
        "CryptoError",
        "OpeningError",
        "UnreadRowError",
        "SignatureError",
        "CanonicalError",
        "UnrecordedChangeError",
        # The sequencer's own.
        "LogContradictionError",
        "LogMovedError",
    }
    # The SDK's and the command line's own errors never come to this door, though another test may have loaded them.
    elsewhere = ("exchange.client", "exchange.cli")
    ours = {
        kind
        for kind in below(ExchangeError)
        if kind.__module__.startswith("exchange.") and not kind.__module__.startswith(elsewhere)
    }
    unmapped = {
        kind.__name__
        for kind in ours
        if not any(base in STATUSES for base in kind.__mro__) and kind.__name__ not in own
    }

    assert unmapped == set()
    assert set(STATUSES.values()) <= set(TITLES)


def test_message_of_a_not_found_is_never_told() -> None:
    answers = {problem(NotFoundError(message), "id").body for message in ("no report", "agreement 7 is hidden")}

    assert len(answers) == 1


@pytest.mark.parametrize(
    ("count", "told", "last"), [(101, 101, "wrong"), (15_000, 101, "14900 more faults are not told")]
)
def test_faults_without_end_are_told_up_to_a_hundred_and_how_many_more(count: int, told: int, last: str) -> None:
    faults = tuple(Fault(f"/parts/{number}/label", "unknown-level", "is wrong") for number in range(count))
    answer = json.loads(problem(InvalidError("the report has faults", faults), "id").body)["errors"]

    assert [each["pointer"] for each in answer[:100]] == [fault.pointer for fault in faults[:100]]
    assert (len(answer), last in answer[-1]["detail"]) == (told, True)


def test_unmapped_error_is_a_500_without_detail() -> None:
    class OddError(ExchangeError):
        code = "odd"

    error = OddError("canary")
    error.receipt = Receipt("entry", "leaf")
    answer = problem(error, "id")

    assert answer.status_code == 500
    assert (answer.headers["x-audit-entry"], answer.headers["x-audit-leaf"]) == ("entry", "leaf")
    assert b"canary" not in answer.body
    assert b"odd" not in answer.body


@pytest.mark.parametrize("kind", [BlobStore, BundleArchive])
@pytest.mark.parametrize("is_there", [True, False])
async def test_where_blobs_and_bundles_are_is_told_to_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, kind: type[BlobStore], is_there: bool
) -> None:
    folder = tmp_path / "canary"
    if is_there:
        folder.mkdir()
    with pytest.raises(UnavailableError) as fault:
        await kind(folder.as_uri()).read("tile/entries/000")
    answer = problem(fault.value, "id")

    assert answer.status_code == 503
    assert b"canary" not in answer.body
    assert b"tile" not in answer.body
    assert "canary" in caplog.records[-1].__dict__["cause"]


def test_entry_of_an_error_is_named() -> None:
    error = ConflictError("taken")
    error.receipt = Receipt("entry-1", "bGVhZg==")
    answer = problem(error, "id")

    assert answer.headers["x-audit-entry"] == "entry-1"
    assert answer.headers["x-audit-leaf"] == "bGVhZg=="


async def test_websockets_are_refused(service) -> None:
    sent: list[dict] = []

    async def send(message) -> None:
        sent.append(message)

    await service({"type": "websocket"}, None, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_for_a_head_no_octet_of_the_content_leaves(service, world) -> None:
    # By hand: clients, and servers, leave out the content of such an answer, whatever they are given.
    path = f"/v1/reports/{await world.post(content=b'canary')}"
    sent = await converse(service, "NOR reader", body=[], method="HEAD", path=path)

    assert sent[0]["status"] == 200
    assert b"".join(message["body"] for message in sent[1:]) == b""


async def converse(
    service,
    name: str,
    *,
    headers=(),
    body,
    hosts=(b"exchange.test",),
    http_version: str = "1.1",
    method: str = "POST",
    path: str = "/v1/members",
    extensions: dict | None = None,
) -> list[dict]:
    """Post to /v1/members by hand: `body` are the chunks, then the sender is gone; None: nothing ever comes."""
    from tests.entrypoints.conftest import AsClient
    from tests.support.world import thumbprint_of

    sent: list[dict] = []
    chunks = [] if body is None else list(body)

    async def receive() -> dict:
        if body is None:
            await asyncio.Event().wait()
        return (
            {"type": "http.request", "body": chunks.pop(0), "more_body": True}
            if chunks
            else {"type": "http.disconnect"}
        )

    async def send(message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [*((b"host", host) for host in hosts), (b"content-type", b"application/json"), *headers],
        "client": ("192.0.2.7", 1),
        "http_version": http_version,
        "scheme": "https",
        "root_path": "",
        "extensions": extensions or {},
    }
    await AsClient(service, thumbprint_of(name))(scope, receive, send)
    return sent
