"""A stream over HTTPS: read as the standard says, resumed where it broke, ended where it is refused."""

import httpx2
import pytest

from exchange.client import AnswerError, ConnectionFailedError, ProblemError, ToldEvent, UnopenedEvent
from exchange.client.exports import LONGEST_WAIT_SECONDS
from exchange.client.streaming import events_of
from tests.client.test_exports import answering, breaking, problem

BEGUN = b"retry: 3000\nid: c0\n\n"
END = b'retry: 2000\nevent: end\ndata: {"why":"aged"}\n\n'


def report(cursor: str, **others: object) -> bytes:
    return f"id: {cursor}\nevent: report\ndata: {header(cursor, **others)}\n\n".encode()


def header(subject: str, **others: object) -> str:
    import json

    label = {"policy": "NATO", "classification": "SECRET", "compartments": [], "releasable_to": [], "handling": []}
    return json.dumps(
        {
            "id": "01980000-0000-7000-8000-000000000001",
            "agreement": "01980000-0000-7000-8000-000000000002",
            "scope": "cyber-threats",
            "originator": "GBR",
            "kind": "intrep",
            "topic": "cyber.apt",
            "regions": ["EUR"],
            "precedence": "FLASH",
            "subject": subject,
            "label": label,
            "marking": "NATO SECRET",
            "posted_at": "2026-06-01T12:00:00Z",
            "valid_until": None,
            "declassify_on": None,
            "status": "current",
            "supersedes": None,
            "references": [],
            "parts": [],
            **others,
        }
    )


def taken(one, count: int, after: str | None = None) -> list:
    events = one.client.watch_reports(after)
    return [next(events) for _ in range(count)]


def test_events_come_with_their_cursors_and_an_ended_stream_is_resumed(line):
    one = line(answering(BEGUN + report("c1") + b":\n\n" + report("c2") + END, BEGUN + report("c3")))

    events = taken(one, 3)

    assert [(event.header.subject, event.cursor) for event in events] == [("c1", "c1"), ("c2", "c2"), ("c3", "c3")]
    assert [dict(sent.url.params) for sent in one.sent] == [{}, {"after": "c2"}]
    assert one.sent[0].headers["accept"] == "text/event-stream"
    assert one.pauses == [2.0]


def test_what_cannot_be_opened_is_told_among_what_can(line):
    named, unnamed = (f'event: unopened\ndata: {{"report":{report}}}\n\n' for report in ('"r-1"', "null"))
    one = line(answering(BEGUN + report("c1") + b"id: c2\n" + named.encode() + b"id: c3\n" + unnamed.encode()))
    events = one.client.watch(None)

    assert next(events).cursor == "c1"
    assert [next(events), next(events)] == [UnopenedEvent("r-1", "c2"), UnopenedEvent(None, "c3")]


@pytest.mark.parametrize("told", ["{}", "[]", '{"report":1}'])
def test_event_that_says_no_report_cannot_be_opened_in_other_words_is_no_answer(line, told):
    one = line(answering(BEGUN + f"event: unopened\ndata: {told}\n\n".encode()))

    with pytest.raises(AnswerError):
        next(one.client.watch(None))


def test_half_an_event_does_not_count(line):
    one = line(answering(breaking(BEGUN + report("c1") + report("c2")[:-1]), BEGUN + report("c2")))

    assert [event.cursor for event in taken(one, 2)] == ["c1", "c2"]
    assert dict(one.sent[1].url.params) == {"after": "c1"}


def test_nothing_told_yet_is_resumed_from_where_it_began(line):
    one = line(answering(BEGUN, BEGUN + report("c1")))

    taken(one, 1)

    assert dict(one.sent[1].url.params) == {"after": "c0"}
    assert one.pauses == [3.0]


def test_hint_to_list_anew_and_what_is_not_known_yet(line):
    told = BEGUN + b"event: novelty\ndata: {}\n\n" + b'event: list-anew\ndata: {"path":"/v1/reports"}\n\n'
    (event,) = taken(line(answering(told)), 1, after="c9")

    assert (event.header, event.cursor) == (None, "c0")


def test_what_is_no_report_is_told_to_who_watches_all_and_resumed_behind(line):
    asked = b'id: c2\nevent: request\ndata: {"precedence":"FLASH","request":"r"}\n\n'
    owed = b'id: c3\nevent: breach\ndata: {"breach":"b"}\n\n'
    told = BEGUN + report("c1") + asked + owed
    one = line(answering(told, BEGUN + report("c4")))
    events = one.client.watch()
    found = [next(events) for _ in range(4)]

    facts = {"precedence": "FLASH", "request": "r"}
    assert found[1:3] == [ToldEvent("request", facts, "c2"), ToldEvent("breach", {"breach": "b"}, "c3")]
    assert dict(one.sent[1].url.params) == {"after": "c3"}
    of_reports = taken(line(answering(told, BEGUN + report("c4"))), 2)
    assert [event.cursor for event in of_reports] == ["c1", "c4"]
    with pytest.raises(AnswerError):
        next(line(answering(b"event: request\ndata: []\n\n")).client.watch())


def test_refusal_is_the_caller_s_even_after_a_good_stream(line):
    one = line(answering(BEGUN + report("c1") + END, problem(403, "client-suspended")))

    with pytest.raises(ProblemError, match="403"):
        taken(one, 2)


@pytest.mark.parametrize("status", [429, 503])
def test_full_node_is_asked_again(line, status: int):
    one = line(answering(BEGUN + END, problem(status, "busy"), problem(status, "busy"), BEGUN + report("c1")))

    taken(one, 1)

    assert one.pauses == [2.0, 1.0, 2.0]


@pytest.mark.parametrize(("asked", "waited"), [("9", 9.0), ("3600", 60.0)])
def test_full_node_is_asked_again_when_it_says_so_within_bounds(line, asked: str, waited: float):
    full = httpx2.Response(429, headers={"retry-after": asked}, json={"code": "busy", "detail": "full"})
    one = line(answering(BEGUN + END, full, BEGUN + report("c1")))

    taken(one, 1)

    assert one.pauses == [2.0, waited]


def test_exchange_that_cannot_be_reached_at_first_is_an_error_at_once(line):
    def away(_):
        raise httpx2.ConnectError("no route")

    one = line(away)
    with pytest.raises(ConnectionFailedError):
        taken(one, 1)
    assert one.pauses == []


@pytest.mark.parametrize("data", ["nonsense", "{}", "[]"])
def test_event_that_is_no_header_is_an_error(line, data: str):
    with pytest.raises(AnswerError):
        taken(line(answering(f"event: report\ndata: {data}\n\n".encode())), 1)


def test_long_line_is_not_kept():
    with pytest.raises(AnswerError, match="longer"):
        list(events_of([b"data: "] + [b"x" * 65536] * 20))


def test_event_without_an_end_is_not_kept():
    endless = (b"%d: %s\n" % (number, bytes(1000)) for number in range(10_000))

    with pytest.raises(AnswerError, match="event of the stream is longer"):
        list(events_of(endless))


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_the_same_however_they_are_cut(size: int):
    told = BEGUN + report("c1") + b":\n\n" + END
    chunks = [told[place : place + size] for place in range(0, len(told), size)]

    assert list(events_of(chunks)) == list(events_of([told]))
    assert [fields.get("event") for fields in events_of(chunks)] == [None, "report", None, "end"]


def test_wait_of_very_many_digits_is_the_longest_one(line):
    ended = b"retry: " + b"9" * 5_000 + b'\nevent: end\ndata: {"why":"aged"}\n\n'
    one = line(answering(BEGUN + ended, BEGUN + report("c1")))

    assert [event.cursor for event in taken(one, 1)] == ["c1"]
    assert one.pauses == [LONGEST_WAIT_SECONDS]
