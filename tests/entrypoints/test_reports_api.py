"""Reports over HTTP: what goes in, what comes out, what is the same."""

import base64
import json
import sqlite3
from contextlib import closing

import pytest

from exchange.entrypoints.api.reports import _encoded
from exchange.reports import PostedPart, Precedence
from exchange.usecases.reading.pull_report import LARGEST_INLINE_BYTES
from exchange.usecases.steps.registering import register_reads
from exchange.wire import HeaderBody, PulledReportBody, ReportListBody
from tests.support.onward import LOW, ask, grant

ABSENT = "01980000-0000-7000-8000-000000000000"


def body_of(world, **changes) -> dict:
    return {
        "agreement": world.agreement_id,
        "scope": "cyber-threats",
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "subject": "Seen again",
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["NOR", "GBR"]},
        "parts": [{"media_type": "text/plain", "name": "note.txt", "content": "first part", "encoding": "utf-8"}],
        **changes,
    }


async def test_posted_report_is_created_where_location_says(world, http) -> None:
    answer = await http("GBR contributor").post("/v1/reports", json=body_of(world))

    assert answer.status_code == 201
    header = HeaderBody.model_validate_json(answer.content)
    assert answer.headers["location"] == f"/v1/reports/{header.id}"
    assert (header.originator, header.status, header.marking) == ("GBR", "current", "NATO SECRET//REL TO GBR, NOR")
    assert answer.headers["x-audit-entry"]


async def test_reader_pulls_header_and_content(world, http, entry_of) -> None:
    report_id = await world.post(content=b"first part")

    answer = await http("NOR reader").get(f"/v1/reports/{report_id}")

    assert answer.status_code == 200
    pulled = PulledReportBody.model_validate_json(answer.content)
    assert [(part.content, part.encoding) for part in pulled.parts] == [("first part", "utf-8")]
    assert (await entry_of(answer))["type"] == "report.read"


async def test_bytes_that_are_no_text_come_back_in_base64(world, http) -> None:
    content = bytes(range(256))
    report_id = await world.post(parts=(PostedPart(None, "application/octet-stream", "x.bin", content),))

    part = (await http("NOR reader").get(f"/v1/reports/{report_id}")).json()["parts"][0]

    assert part["encoding"] == "base64"
    assert base64.b64decode(part["content"]) == content


@pytest.mark.parametrize(
    ("media", "content", "encoding"),
    [
        ("text/plain", b"abc", "utf-8"),
        ("text/plain", b"\xff", "base64"),
        ("application/json", b"{}", "utf-8"),
        ("application/stix+json;version=2.1", b"{}", "utf-8"),
        ("application/pdf", b"abc", "base64"),
        ("image/svg+xml", b"<svg/>", "base64"),
    ],
)
def test_encoding_follows_the_media_type_and_the_bytes(media: str, content: bytes, encoding: str) -> None:
    text, told = _encoded(content, media)

    assert told == encoding
    assert (text.encode() if told == "utf-8" else base64.b64decode(text)) == content


async def test_contents_over_the_limit_are_left_out_and_fetched_by_part(world, http) -> None:
    content = b"x" * (LARGEST_INLINE_BYTES + 1)
    report_id = await world.post(content=content)

    part = (await http("NOR reader").get(f"/v1/reports/{report_id}")).json()["parts"][0]
    fetched = await http("NOR reader").get(f"/v1/reports/{report_id}/parts/1")

    assert (part["content"], part["encoding"]) == (None, None)
    assert fetched.content == content


@pytest.mark.parametrize(
    ("asked", "status", "span", "content"),
    [
        ("bytes=0-4", 206, "bytes 0-4/10", b"first"),
        ("bytes=6-", 206, "bytes 6-9/10", b"part"),
        ("bytes=-4", 206, "bytes 6-9/10", b"part"),
        ("bytes=-400", 206, "bytes 0-9/10", b"first part"),
        ("bytes=6-400", 206, "bytes 6-9/10", b"part"),
        ("bytes=0-1,3-4", 200, None, b"first part"),
        ("bytes=4-1", 200, None, b"first part"),
        ("bytes=-", 200, None, b"first part"),
        ("lines=1-2", 200, None, b"first part"),
    ],
)
async def test_part_serves_single_ranges(world, http, entry_of, *, asked, status, span, content) -> None:
    report_id = await world.post()

    answer = await http("NOR reader").get(f"/v1/reports/{report_id}/parts/1", headers={"Range": asked})

    assert (answer.status_code, answer.headers.get("content-range"), answer.content) == (status, span, content)
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] == "text/plain"
    assert "etag" not in answer.headers
    entry = await entry_of(answer)
    assert (entry["type"], entry["bytes"]) == ("report.part_read", len(content))
    assert entry["detail"].get("octets") == (span and span.removeprefix("bytes "))


async def was_given(world, report: str) -> list[str]:
    """Return what the log says that somebody was given of a report: for that destruction is asked."""
    await register_reads(world.services.store, world.services.register)
    given = {"report.read", "report.part_read", "report.received"}
    entries = [each for each in await world.entries() if each["type"] in given and each["decision"] == "permitted"]
    return [each["type"] for each in entries if each["object"]["id"] == report]


async def test_part_says_where_the_terms_of_a_consent_stand(world, http) -> None:
    report_id = await world.post(label=LOW)
    await grant(world, await ask(world, report_id, recipient="DNK"))
    path = f"/v1/reports/{report_id}"
    whole = await http("DNK reader").get(path)
    part, own = await http("DNK reader").get(f"{path}/parts/1"), await http("NOR reader").get(f"{path}/parts/1")

    assert part.links["license"]["url"] == path
    assert [terms["conditions"] for terms in whole.json()["released_under"]] == ["not to be quoted"]
    assert (own.status_code, own.links) == (200, {})


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=400-500", "bytes=-0"])
async def test_range_behind_the_end_is_416_and_reads_nothing(world, http, entry_of, asked: str) -> None:
    report_id = await world.post()

    answer = await http("NOR reader").get(f"/v1/reports/{report_id}/parts/1", headers={"Range": asked})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10"
    entry = await entry_of(answer)
    assert (entry["type"], entry["decision"], entry["object"]["id"]) == ("report.part_read", "refused", report_id)
    assert entry["detail"]["codes"] == ["range-not-satisfiable"]
    assert await was_given(world, report_id) == []


@pytest.mark.parametrize("accept", ["text/plain", "application/pdf, */*;q=0.1", "text/*"])
async def test_part_is_given_to_whoever_names_its_kind(world, http, accept: str) -> None:
    """Of which kind it is, the service knows only when it has opened it."""
    report_id = await world.post()

    answer = await http("NOR reader").get(f"/v1/reports/{report_id}/parts/1", headers={"Accept": accept})

    assert (answer.status_code, answer.content) == (200, b"first part")


@pytest.mark.parametrize("asked", ["bytes=0-4", "bytes=400-"])
async def test_head_of_a_part_has_no_range_and_reads_nothing(world, http, entry_of, asked: str) -> None:
    report_id = await world.post()

    answer = await http("NOR reader").head(f"/v1/reports/{report_id}/parts/1", headers={"Range": asked})

    assert (answer.status_code, answer.headers["content-length"]) == (200, "10")
    assert "content-range" not in answer.headers
    entry = await entry_of(answer)
    assert (entry["type"], entry["object"]["id"], entry["detail"]["part"]) == ("report.described", report_id, 1)
    assert await was_given(world, report_id) == []


async def test_if_range_without_a_validator_gets_the_whole(world, http) -> None:
    report_id = await world.post()

    headers = {"Range": "bytes=0-4", "If-Range": '"x"'}
    answer = await http("NOR reader").get(f"/v1/reports/{report_id}/parts/1", headers=headers)

    assert answer.status_code == 200


async def test_list_pages_resume_and_end(world, http) -> None:
    posted = [await world.post(subject=f"Report {number}") for number in range(5)]
    reader = http("NOR reader")

    first = ReportListBody.model_validate_json((await reader.get("/v1/reports?limit=3")).content)
    second = ReportListBody.model_validate_json((await reader.get("/v1/reports", params={"after": first.next})).content)
    third = ReportListBody.model_validate_json((await reader.get("/v1/reports", params={"after": second.next})).content)

    assert [item.id for item in [*first.items, *second.items]] == posted
    assert third.items == []
    assert third.next


async def test_foreign_cursor_is_400(world, http) -> None:
    cursor = (await http("NOR reader").get("/v1/reports")).json()["next"]

    answer = await http("GBR reader").get("/v1/reports", params={"after": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=501", "/limit"),
        ("limit=1e2", "/limit"),
        ("limit=%2B5", "/limit"),
        ("limit=٣", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("order=posted_at", "/order"),
        ("topic=nothing", "/topic"),
        ("precedence=urgent", "/precedence"),
        ("since=yesterday", "/since"),
        ("since=2026-01-01T00:00:00", "/since"),
        ("agreement=x'%20OR%201=1--", "/agreement"),
    ],
)
async def test_query_is_an_allow_list(world, http, query: str, pointer: str) -> None:
    await world.post()

    answer = await http("NOR reader").get(f"/v1/reports?{query}")

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("suffix", ["", "/parts/1", "/explanation"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_invisible_absent_and_malformed_ids_are_one_answer(world, http, suffix: str, method: str) -> None:
    hidden = await world.post()
    reader = http("DNK reader")
    ids = [hidden, ABSENT, "no-id", hidden.upper(), "0198abcd-0000-4000-8000-000000000000"]

    answers = [await reader.request(method, f"/v1/reports/{each}{suffix}") for each in ids]

    seen = set()
    for answer in answers:
        told = answer.content.replace(answer.headers["x-request-id"].encode(), b"ID")
        own = {"x-request-id", "x-audit-entry", "x-audit-leaf"}
        headers = {name: value for name, value in answer.headers.items() if name not in own}
        seen.add((answer.status_code, told, json.dumps(headers, sort_keys=True)))
    assert len(seen) == 1
    assert answers[0].status_code == 404
    assert all(answer.headers["x-audit-entry"] for answer in answers)


async def test_absent_part_is_answered_like_an_absent_report(world, http) -> None:
    report_id = await world.post()
    reader = http("NOR reader")

    # `01` is another spelling of what is there: a path has one.
    numbers = ("0", "01", "2", "-1", "x", "9" * 30, "٣")
    answers = [await reader.get(f"/v1/reports/{report_id}/parts/{number}") for number in numbers]

    assert {answer.status_code for answer in answers} == {404}


async def test_head_answers_like_get_without_content(world, http, entry_of) -> None:
    report_id = await world.post()
    reader = http("NOR reader")

    head = await reader.head(f"/v1/reports/{report_id}")
    given = await was_given(world, report_id)
    got = await reader.get(f"/v1/reports/{report_id}")

    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
    assert ((await entry_of(head))["type"], given) == ("report.described", [])
    assert await was_given(world, report_id) == ["report.read", "report.received"]


@pytest.mark.parametrize(("said", "kept"), [({}, "FLASH"), ({"precedence": "PRIORITY"}, "PRIORITY")])
async def test_amendment_that_names_no_precedence_leaves_it(world, http, said: dict[str, str], kept: str) -> None:
    report_id = await world.post(precedence=Precedence.FLASH)
    newer = {name: value for name, value in body_of(world).items() if name not in {"agreement", "scope"}} | said

    made = await http("GBR contributor").post(f"/v1/reports/{report_id}/amendments", json=newer)

    assert made.status_code == 201
    assert (await http("NOR reader").get(f"/v1/reports/{report_id}")).json()["precedence"] == kept


async def test_repeated_post_with_one_key_is_one_report(world, http) -> None:
    contributor, headers = http("GBR contributor"), {"Idempotency-Key": "k-1"}

    first = await contributor.post("/v1/reports", json=body_of(world), headers=headers)
    second = await contributor.post("/v1/reports", json=body_of(world), headers=headers)
    other = await contributor.post("/v1/reports", json=body_of(world, subject="Another"), headers=headers)

    assert second.status_code == 201
    assert second.headers["idempotency-replayed"] == "true"
    assert second.json() == first.json()
    assert other.status_code == 409


@pytest.mark.parametrize("key", ["", "a b", "k" * 129, "ü".encode()])
async def test_idempotency_key_of_another_form_is_400(world, http, key) -> None:
    answer = await http("GBR contributor").post("/v1/reports", json=body_of(world), headers={"Idempotency-Key": key})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"originator": "NOR"}, ["/originator"]),
        ({"id": ABSENT, "status": "current", "posted_at": "2026-01-01T00:00:00Z"}, ["/id", "/posted_at", "/status"]),
        ({"sequence": 1}, ["/sequence"]),
        ({"precedence": "urgent"}, ["/precedence"]),
        ({"regions": []}, ["/regions"]),
        ({"regions": "EUR"}, ["/regions"]),
        ({"parts": []}, ["/parts"]),
        ({"subject": 7}, ["/subject"]),
        ({"valid_until": "tomorrow"}, ["/valid_until"]),
        ({"valid_until": 1800000000}, ["/valid_until"]),
        ({"label": None}, ["/label"]),
        ({"label": {"policy": "NATO"}}, ["/label/classification"]),
        ({"label": {"policy": "NATO", "classification": "SECRET", "rank": 1}}, ["/label/rank"]),
        ({"label": {"policy": "NATO", "classification": "secret"}}, ["/label/classification"]),
        (
            {"parts": [{"media_type": "text/plain", "name": "a", "content": "%%%", "encoding": "base64"}]},
            ["/parts/0/content"],
        ),
        (
            {"parts": [{"media_type": "text/plain", "name": "a", "content": "x", "encoding": "UTF-8"}]},
            ["/parts/0/encoding"],
        ),
    ],
)
async def test_faulty_post_is_422_with_a_pointer_for_each_fault(world, http, changes, pointers) -> None:
    answer = await http("GBR contributor").post("/v1/reports", json=body_of(world, **changes))

    assert answer.status_code == 422
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == pointers
    assert (await http("GBR reader").get("/v1/reports")).json()["items"] == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"a": "\\ud800"}',
        b'{"label": {"policy": "NATO", "policy": "EU"}}',
    ],
    ids=["empty", "cut", "repeated", "nan", "no-utf8", "deep", "surrogate", "repeated-inside"],
)
async def test_body_that_is_no_json_is_400_and_recorded(http, entry_of, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    answer = await http("GBR contributor").post("/v1/reports", content=content, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    entry = await entry_of(answer)
    assert (entry["type"], entry["decision"]) == ("route.requested", "refused")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("NOR reader", 403, "role-missing"), ("operator", 403, "role-missing"), ("stranger", 401, "not-authenticated")],
)
async def test_who_may_not_post_is_told_before_the_body_is_read(world, http, name: str, status: int, code: str) -> None:
    answer = await http(name).post("/v1/reports", content=b"{", headers={"Content-Type": "text/html"})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_post_under_an_invisible_agreement_is_404_like_an_absent_one(world, http) -> None:
    poster = http("ESP contributor")

    invisible = await poster.post("/v1/reports", json=body_of(world))
    absent = await poster.post("/v1/reports", json=body_of(world, agreement=ABSENT))

    assert invisible.status_code == absent.status_code == 404
    assert {**invisible.json(), "request_id": ""} == {**absent.json(), "request_id": ""}


@pytest.mark.parametrize("name", ["operator", "auditor", "GBR contributor"])
async def test_who_is_no_reader_reads_nothing(world, http, name: str) -> None:
    report_id = await world.post()

    answers = [await http(name).get(f"/v1/reports{path}") for path in ("", f"/{report_id}", f"/{report_id}/parts/1")]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "role-missing")}


async def test_explanation_gives_the_rules_to_who_may_read(world, http) -> None:
    report_id = await world.post()

    answer = await http("NOR reader").get(f"/v1/reports/{report_id}/explanation")

    assert answer.status_code == 200
    assert answer.json()["decision"] == "permit"
    assert {rule["outcome"] for rule in answer.json()["rules"]} == {"passed"}


async def test_receipt_is_acknowledged_once_and_told_alike_again(world, http, entry_of) -> None:
    report_id = await world.post()
    path = f"/v1/reports/{report_id}/receipts"

    first, again = [await http("NOR reader").post(path, json={}) for _ in range(2)]

    assert [answer.status_code for answer in (first, again)] == [201, 201]
    assert first.json() == again.json()
    assert first.json()["entry"] == first.headers["x-audit-entry"] != again.headers["x-audit-entry"]
    assert (await entry_of(again))["detail"] == {"how": "acknowledged", "repeated": "yes"}


@pytest.mark.parametrize(("body", "status"), [({"more": 1}, 422), ([], 422), (None, 415)])
async def test_receipt_says_nothing_but_that(world, http, body, status: int) -> None:
    report_id = await world.post()

    answer = await http("NOR reader").post(f"/v1/reports/{report_id}/receipts", json=body)

    assert answer.status_code == status


@pytest.mark.parametrize("purpose", ["Defence", "a b", "x" * 65, ""])
async def test_purpose_that_cannot_be_one_is_400(world, http, purpose: str) -> None:
    answer = await http("NOR reader").get("/v1/reports", headers={"Exchange-Purpose": purpose})

    assert answer.status_code == 400


async def test_purpose_stated_twice_is_400(world, http) -> None:
    twice = [("Exchange-Purpose", "defence"), ("Exchange-Purpose", "judicial")]
    answer = await http("NOR reader").get("/v1/reports", headers=twice)

    assert answer.status_code == 400


async def test_purpose_the_scope_does_not_allow_shows_nothing(world, http) -> None:
    await world.post()

    answer = await http("NOR reader").get("/v1/reports", headers={"Exchange-Purpose": "judicial"})

    assert answer.status_code in {200, 403, 422}
    assert not answer.json().get("items")


@pytest.mark.parametrize(
    ("table", "column", "which"),
    [("client", "cleared_since", "WHERE name = 'NOR reader'"), ("policy_state", "class_version", "")],
)
async def test_text_where_a_number_belongs_is_told_as_what_it_is(
    world, http, entry_of, table: str, column: str, which: str
) -> None:
    await world.post()
    with closing(sqlite3.connect(world.folder / "exchange.db")) as database, database:
        database.execute(f"UPDATE {table} SET {column} = 'x' {which}")

    answer = await http("NOR reader").get("/v1/reports")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    entry = await entry_of(answer)
    assert (entry["type"], entry["decision"]) == ("key.opened", "failed")
    assert entry["detail"]["place"].startswith(f"{table} ")
    assert entry["detail"]["place"].endswith(f": {column}")
