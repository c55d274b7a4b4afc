"""JSON at the border: every fault has its pointer, nothing is converted, nothing of the input comes back."""

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import InvalidError, MalformedError, TooLargeError
from exchange.markings import Label
from exchange.wire import (
    ClientEnrolment,
    ConsentRefusal,
    ConsultationOpening,
    ConsultationWords,
    CrisisRequest,
    ErasureRequest,
    InformationWanted,
    LabelBody,
    MemberAddition,
    ProxyConsent,
    RecallRequest,
    ReportBody,
    parse_body,
    pointer_to,
    read_json,
    read_sent,
)


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {("/code", "missing-field"), ("/name", "missing-field")}),
        ({"code": "GBR", "name": 7}, {("/name", "invalid-value")}),
        ({"code": "GBR", "name": ""}, {("/name", "too-short")}),
        ({"code": "G" * 17, "name": "x"}, {("/code", "too-long")}),
        ({"code": "GBR", "name": "x", "a/b~c": 1}, {("/a~1b~0c", "unknown-field")}),
    ],
)
def test_each_fault_has_its_pointer_and_code(body, faults) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_body(MemberAddition, json.dumps(body).encode())

    assert {(fault.pointer, fault.code) for fault in refused.value.faults} == faults


REPORT = {
    "agreement": "x", "scope": "s", "kind": "k", "topic": "t", "regions": ["EUR"], "precedence": "ROUTINE",
    "label": {"policy": "NATO", "classification": "SECRET"},
    "parts": [{"media_type": "text/plain", "name": "a.txt", "content": "x"}],
}  # fmt: skip
REPORT_HEAD = {name: value for name, value in REPORT.items() if name != "parts"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"subjekt": "x"}, "/subjekt: there is no such field here: leave it out, or look at how it is written"),
        ({"subject": 7}, "/subject: is no text: write it in quotes"),
        ({"complete": "no"}, "/complete: is neither `true` nor `false`"),
        ({"regions": "EUR"}, "/regions: is no list: write it in brackets"),
        ({"regions": []}, "/regions: has too few entries: give 1 or more"),
        ({"regions": ["EUR"] * 65}, "/regions: has too many entries: give 64 at most"),
        ({"label": "NATO SECRET"}, "/label: is no object: write it in braces"),
        ({"scope": ""}, "/scope: is empty"),
        ({"valid_until": 1893456000}, "/valid_until: is not a time: use RFC 3339, such as 2026-01-31T12:00:00Z"),
        ({"declassify_on": 7}, "/declassify_on: is not a day: write one such as 2026-01-31"),
        ({"declassify_on": "soon"}, "/declassify_on: `soon` is not a day: write one such as 2026-01-31"),
        ({"declassify_on": "2082758400"}, "/declassify_on: `2082758400` is not a day: write one such as 2026-01-31"),
        ({"precedence": "SOON"}, "/precedence: is not known here: use 'ROUTINE', 'PRIORITY', 'IMMEDIATE' or 'FLASH'"),
    ],
)
def test_fault_says_what_is_to_be_written(changed, told) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_body(ReportBody, json.dumps({**REPORT, **changed}).encode())

    assert [str(fault) for fault in refused.value.faults] == [told]


@pytest.mark.parametrize("content", ["aGVs\nbG8=\n", "aGVsbG8", "_-8=", "%%%"])
def test_what_is_no_base64_says_how_it_is_written(content) -> None:
    part = {"media_type": "application/octet-stream", "name": "a", "content": content, "encoding": "base64"}

    with pytest.raises(InvalidError, match="no line breaks, as `base64 -w0` does"):
        parse_body(ReportBody, json.dumps({**REPORT, "parts": [part]}).encode()).to_posted()


@pytest.mark.parametrize("text", ["a\x00b", "a\rb", "a\x1b[2J", "a\u202eb", "a\u200bb", "a\u2028b"])
@pytest.mark.parametrize(
    ("model", "named", "others"),
    [
        (ConsultationOpening, "text", {"kind": "dispute"}),
        (ConsultationWords, "text", {}),
        (CrisisRequest, "reason", {"clause": "storm-watch"}),
        (ErasureRequest, "reason", {"subject": "stranger", "period": "2026-10"}),
        (ConsentRefusal, "reason", {}),
        (
            ProxyConsent,
            "reason",
            {"proxy": "NOR", "agreement": "01980000-0000-7000-8000-000000000001", "scope": "cyber"},
        ),
        (RecallRequest, "reason", {}),
        (InformationWanted, "text", {**REPORT_HEAD, "deadline": "2027-01-01T00:00:00Z"}),
    ],
)
def test_words_to_others_read_as_they_show(model, named, others, text) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_body(model, json.dumps({**others, named: text}).encode())

    assert [(fault.pointer, "leave it out" in fault.message) for fault in refused.value.faults] == [(f"/{named}", True)]
    parse_body(model, json.dumps({**others, named: "Erste Zeile:\r\n\tzweite\u00a0– «på vakt» 🚨"}).encode())


def test_name_of_any_length_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_body(MemberAddition, json.dumps({"code": "GBR", "name": "x", "n" * 100_000: 1}).encode())

    assert max(len(fault.pointer) for fault in refused.value.faults) == 257


def test_field_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_body(ReportBody, json.dumps({**REPORT, "parts": [{"size_bytes": -1, "name": "x"}]}).encode())

    assert [str(fault) for fault in refused.value.faults] == [
        "/parts/0/media_type: is missing",
        "/parts/0/size_bytes: is too small: 0 is the least",
    ]


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null", b"true"])
def test_body_that_is_no_object_is_one_fault(body: bytes) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_body(MemberAddition, body)

    assert [fault.pointer for fault in refused.value.faults] == [""]


def test_faults_without_end_are_told_up_to_a_hundred_and_how_many_more() -> None:
    body = {f"unknown{number}": 1 for number in range(150)}
    with pytest.raises(InvalidError) as refused:
        parse_body(MemberAddition, json.dumps(body).encode())
    faults = refused.value.faults

    assert len(faults) == 101
    assert (faults[-1].code, faults[-1].message.partition(" ")[2]) == (
        "more-faults",
        "more faults are not told: mend these first",
    )
    assert int(faults[-1].message.partition(" ")[0]) > 50


def test_faults_do_not_repeat_the_input() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_body(ClientEnrolment, b'{"name": ["canary"], "roles": ["canary"], "canary2": 1, "certificate": 1}')

    assert all("canary" not in fault.message for fault in refused.value.faults)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '[{"b":{"a":1,"a":2}}]',
        "NaN",
        "[Infinity]",
        '"\\ud800"',
        "{'a':1}",
        "01",
        "",
        "\ufeff{}",
        "1\x00",
        "1" * 101,
        "[" * 250 + "]" * 250,
        "[" * 10_000,
    ],
)
def test_what_two_readers_could_read_apart_is_no_json(text: str) -> None:
    with pytest.raises(MalformedError):
        read_json(text.encode())
    for body in (text, f'{{"code":{text}}}'):
        with pytest.raises(MalformedError):
            parse_body(MemberAddition, body.encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    )
)
def test_json_reads_back_as_it_was_written(value) -> None:
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_bytes_are_json_or_malformed_and_nothing_else(body: bytes) -> None:
    # Any other error escapes and fails.
    with suppress(MalformedError):
        value = read_json(body)
        assert value == json.loads(body.decode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"regions":[%b]}' % b",".join([b"1"] * 20_001),
        b'{"x":[%b]}' % (b"[[]]," * 10_000 + b"0"),
        b"{%b}" % b",".join(b'"%x":{"a":0}' % number for number in range(10_001)),
        b'{"x":[%b]}' % b",".join([rb'"\\\""'] * 20_001),
        b'{"x":[%b' % (b'"",' * 60_000),
    ],
    ids=["list", "nested", "objects", "texts", "cut"],
)
def test_body_of_very_many_values_is_too_large_before_they_are_made(body: bytes, monkeypatch) -> None:
    for reader in ("read_json", "_read_unique"):
        monkeypatch.setattr(f"exchange.wire.base.{reader}", lambda _: pytest.fail("they were made"))

    with pytest.raises(TooLargeError):
        parse_body(ReportBody, body)


@pytest.mark.parametrize("piece", ["{[,", '\\",[', "\\\\,", '\\\\\\",'])
def test_what_stands_in_a_text_is_no_value(piece: str) -> None:
    value = {"content": piece * 20_000, "after": [1, 2]}

    assert read_sent(json.dumps(value).encode()) == value


def test_sets_of_a_label_are_sorted_and_single() -> None:
    body = LabelBody(policy="NATO", classification="SECRET", releasable_to=["NOR", "GBR", "NOR"])

    assert body.to_label() == Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))


def test_times_are_read_with_any_offset_as_utc() -> None:
    body = {
        "agreement": "a",
        "scope": "s",
        "kind": "k",
        "topic": "t",
        "regions": ["EUR"],
        "label": {"policy": "NATO", "classification": "SECRET"},
        "valid_until": "2027-01-01T01:00:00+01:00",
        "parts": [{"media_type": "text/plain", "name": "n", "content": "", "encoding": "utf-8"}],
    }

    posted = parse_body(ReportBody, json.dumps(body).encode()).to_posted()

    assert posted.valid_until == datetime(2027, 1, 1, tzinfo=UTC)


def test_pointer_escapes() -> None:
    assert pointer_to(("a/b", 0, "~")) == "/a~1b/0/~0"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is empty"),
        (b" \r\n", "it is empty"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark: send it without"),
    ],
)
def test_body_that_does_not_begin_is_told_what_to_do(body, why):
    with pytest.raises(MalformedError, match=f": {why}$"):
        read_json(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"code": True}', 'line 1, column 10: a value is expected there, such as `"text"`, `1`, `true` or `null`'),
        (b'{"code": "A", "code": "B"}', "a name stands twice in one object"),
        (b'{"code": "\xe9"}', "it is not UTF-8"),
        (rb'{"code": "\ud800"}', r"an escape from `\ud800` to `\udfff` stands without its other half"),
        (rb'{"code": "\udc00"}', r"an escape from `\ud800` to `\udfff` stands without its other half"),
        (rb'{"code": "\ud800\u0041"}', r"an escape from `\ud800` to `\udfff` stands without its other half"),
        (b'{"code": ' + b"[" * 250 + b"]" * 250 + b"}", "it is nested too deeply"),
    ],
)
def test_body_that_is_no_json_is_told_why_in_our_words(body: bytes, why: str) -> None:
    for read in (read_json, lambda sent: parse_body(MemberAddition, sent)):
        with pytest.raises(MalformedError) as raised:
            read(body)

        assert raised.value.message == f"the body is not JSON that the exchange reads: {why}"
