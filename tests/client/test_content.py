"""A part's bytes: taken only when they are those that the header names."""

import base64
import hashlib

import httpx2
import pytest

from exchange.client import AnswerError, ProblemError
from exchange.wire import PulledPartBody

REPORT = "01a206dc-85dc-7553-b174-629c9b01e720"


def part(content, *, held=True, encoding="utf-8", sha256=None):
    text = content.decode() if encoding == "utf-8" else base64.b64encode(content).decode()
    return PulledPartBody.model_validate(
        {
            "number": 1,
            "label": {"policy": "NATO", "classification": "SECRET"},
            "marking": "NATO SECRET",
            "media_type": "text/plain",
            "name": "a.txt",
            "size_bytes": len(content),
            "protection": "exchange",
            "sha256": sha256 or hashlib.sha256(content).hexdigest(),
            "content": text if held else None,
            "encoding": encoding if held else None,
        }
    )


@pytest.mark.parametrize(
    ("content", "encoding"), [("grüße\n".encode(), "utf-8"), (bytes(range(256)), "base64"), (b"", "utf-8")]
)
def test_held_content_comes_out_as_it_went_in(line, content, encoding):
    one = line(lambda _: httpx2.Response(500))

    assert b"".join(one.client.content(REPORT, part(content, encoding=encoding))) == content
    assert one.sent == []


def test_large_content_is_fetched_by_itself(line):
    one = line(lambda _: httpx2.Response(200, content=b"x" * 200_000))

    got = b"".join(one.client.content(REPORT, part(b"x" * 200_000, held=False), purpose="defence"))

    assert got == b"x" * 200_000
    assert one.sent[0].url.path == f"/v1/reports/{REPORT}/parts/1"
    assert one.sent[0].headers["exchange-purpose"] == "defence"


@pytest.mark.parametrize("sent", [b"y" * 10, b"x" * 9, b""])
def test_other_bytes_than_the_header_names_are_refused(line, sent):
    one = line(lambda _: httpx2.Response(200, content=sent))

    with pytest.raises(AnswerError, match="do not use it"):
        list(one.client.content(REPORT, part(b"x" * 10, held=False)))


def test_content_that_does_not_end_is_cut_off_where_its_header_says(line):
    endless = (bytes(65_536) for _ in range(1_000_000))
    one = line(lambda _: httpx2.Response(200, content=endless))
    got = []

    with pytest.raises(AnswerError, match="do not use it"):
        got.extend(one.client.content(REPORT, part(bytes(200_000), held=False)))

    assert len(b"".join(got)) <= 200_000


def test_false_digest_of_held_content_is_refused(line):
    one = line(lambda _: httpx2.Response(500))

    with pytest.raises(AnswerError, match="do not use it"):
        list(one.client.content(REPORT, part(b"x", sha256="0" * 64)))


def test_content_that_is_not_its_base64_is_refused(line):
    odd = part(b"x", encoding="base64").model_copy(update={"content": "!!"})

    with pytest.raises(AnswerError, match="base64"):
        list(line(lambda _: httpx2.Response(500)).client.content(REPORT, odd))


def test_refusal_of_a_stream_is_a_problem(line):
    body = {"type": "urn:x", "title": "x", "status": 404, "code": "not-found", "detail": "no"}
    one = line(lambda _: httpx2.Response(404, json=body))

    with pytest.raises(ProblemError, match="not-found"):
        list(one.client.content(REPORT, part(b"x", held=False)))


@pytest.mark.parametrize("step", ["", "../clients", "a/b", "a?b", "a%2fb", "é"])
def test_what_is_no_id_never_becomes_a_path(line, step):
    one = line(lambda _: httpx2.Response(500))

    with pytest.raises(AnswerError, match="is no id"):
        one.client.pull_report(step)

    assert one.sent == []


def test_list_goes_on_past_what_cannot_be_opened_and_says_so(line, caplog):
    damaged = [{"id": REPORT}] * 99 + [{"id": None}]
    pages = [{"items": [], "next": "c1", "unopened": damaged}, {"items": [], "next": "c2"}]
    one = line(lambda _: httpx2.Response(200, json=pages.pop(0)))

    listed = one.client.reports()

    assert list(listed) == []
    assert [each.id for each in listed.unopened] == [REPORT] * 99 + [None]
    assert len(one.sent) == 2
    assert "100 things are not in the answer" in caplog.text


def test_list_goes_on_until_a_page_is_short(line):
    header = {
        "id": REPORT, "agreement": REPORT, "scope": "s", "originator": "GBR", "kind": "intrep", "topic": "cyber",
        "regions": ["EUR"], "precedence": "ROUTINE", "subject": None,
        "label": {"policy": "NATO", "classification": "SECRET"}, "marking": "NATO SECRET",
        "posted_at": "2026-01-01T00:00:00Z", "valid_until": None, "declassify_on": None, "status": "current",
        "version": 1, "supersedes": None, "references": [], "parts": [],
    }  # fmt: skip
    pages = [{"items": [header] * many, "next": f"c{place}"} for place, many in enumerate((100, 3, 0, 1), 1)]
    one = line(lambda _: httpx2.Response(200, json=pages.pop(0)))

    listed = one.client.reports(topic="cyber")
    assert (len(list(listed)), listed.next) == (103, "c2")
    # What came since: by names too, which must not be lost among the filters.
    assert list(one.client.reports(after=listed.next)) == []
    assert one.client.page(after="c3", limit=1).next == "c4"
    assert [dict(request.url.params) for request in one.sent] == [
        {"topic": "cyber", "limit": "100"},
        {"topic": "cyber", "after": "c1", "limit": "100"},
        {"after": "c2", "limit": "100"},
        {"after": "c3", "limit": "1"},
    ]
