"""An export over HTTPS: complete or an error, in order, gone on with where the connection broke."""

import httpx2
import pytest

from exchange.audit.export import Place, Statement, ndjson
from exchange.client import AnswerError, ConnectionFailedError, ProblemError
from exchange.client.exports import END_HEADER, lines_of
from tests.core.audit.export.exported import FULL, at_place, with_text

ENTRIES = [at_place(FULL, position=position) for position in range(4)]
TOLD = Statement("2026-03-01T12:00:00Z", None, "1.0", "1.3", 4, "1.4", None)
LAST = ndjson.statement_line(TOLD)


def lines(entries):
    return b"".join(map(ndjson.entry_line, entries))


def answering(*bodies):
    given = iter(bodies)

    def handler(_):
        body = next(given)
        return body if isinstance(body, httpx2.Response) else httpx2.Response(200, content=body)

    return handler


def breaking(content):
    def chunks():
        yield content
        raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")

    return httpx2.Response(200, content=chunks())


def problem(status, code):
    return httpx2.Response(status, json={"code": code, "detail": "no"})


def test_entries_come_in_order_with_the_statement_last(line):
    one = line(answering(lines(ENTRIES) + LAST))

    assert list(one.client.export()) == [*ENTRIES, TOLD]
    assert one.sent[0].url.path == "/v1/audit/export"
    assert dict(one.sent[0].url.params) == {"format": "ndjson"}


def test_place_and_filters_are_asked_for(line):
    one = line(answering(LAST))

    list(one.client.export(Place(1, 2), {"member": "NOR"}))

    assert dict(one.sent[0].url.params) == {"format": "ndjson", "after": "1.2", "member": "NOR"}


def test_end_is_told_at_the_beginning(line):
    ends = []
    one = line(answering(httpx2.Response(200, content=LAST, headers={END_HEADER: "1.4"})))

    list(one.client.export(on_end=ends.append))

    assert ends == [(1, 4)]


def test_broken_connection_is_gone_on_with_behind_the_last_entry(line):
    half = lines(ENTRIES[:2]) + lines(ENTRIES[2:3])[:50]
    one = line(answering(breaking(half), problem(503, "unavailable"), lines(ENTRIES[2:]) + LAST))

    assert list(one.client.export()) == [*ENTRIES, TOLD]
    assert [request.url.params.get("after") for request in one.sent] == [None, "1.1", "1.1"]
    assert one.pauses == [1.0, 2.0]


def test_export_with_proofs_is_not_gone_on_with(line):
    one = line(answering(breaking(lines(ENTRIES[:2])), lines(ENTRIES[2:]) + LAST))

    with pytest.raises(ConnectionFailedError):
        list(one.client.export(filters={"proofs": "true"}))

    assert len(one.sent) == 1


def test_connection_that_keeps_breaking_is_given_up(line):
    one = line(answering(breaking(lines(ENTRIES[:1])), *[breaking(b"") for _ in range(6)]))

    with pytest.raises(ConnectionFailedError):
        list(one.client.export())

    assert len(one.pauses) == 5


def test_first_try_that_gets_nothing_is_the_callers_to_know(line):
    one = line(answering(breaking(b"")))

    with pytest.raises(ConnectionFailedError):
        list(one.client.export())


def test_refusal_is_not_tried_again(line):
    one = line(answering(breaking(lines(ENTRIES[:1])), problem(403, "client-suspended")))

    with pytest.raises(ProblemError, match="client-suspended"):
        list(one.client.export())


@pytest.mark.parametrize("body", [lines(ENTRIES[:2]), lines(ENTRIES[:3])[:-10], lines(ENTRIES[:2]) + b"{"])
def test_export_without_its_end_is_gone_on_with(line, body):
    one = line(answering(body, lines(ENTRIES[2:]) + LAST))

    assert list(one.client.export()) == [*ENTRIES, TOLD]


@pytest.mark.parametrize(("body", "why"), [(b"", "before it was complete"), (b"{", "middle of a line")])
def test_export_of_nothing_at_all_is_a_failure(line, body, why):
    with pytest.raises(ConnectionFailedError, match=why):
        list(line(answering(body)).client.export())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (lines([ENTRIES[1], ENTRIES[1]]) + LAST, "out of order"),
        (lines([ENTRIES[1], ENTRIES[0]]) + LAST, "out of order"),
        (lines(ENTRIES).replace(b'"GBR"', b'"NOR"') + LAST, "leaf hash"),
        (b"<html>\n", "damaged"),
        (b"x" * 300_000, "longer than any"),
    ],
)
def test_export_that_is_not_right_is_refused(line, body, why):
    with pytest.raises(AnswerError, match=why):
        list(line(answering(body)).client.export())


def test_only_a_line_feed_ends_a_line(line):
    exported = with_text("a\u2028b\u0085c\x0bd\x1ce")

    assert list(line(answering(lines([exported]) + LAST)).client.export()) == [exported, TOLD]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_come_out_of_any_chunks(size):
    content = b"a\nbc\n\nd\r\n"

    assert list(lines_of(content[at : at + size] for at in range(0, len(content), size))) == [
        b"a\n",
        b"bc\n",
        b"\n",
        b"d\r\n",
    ]
