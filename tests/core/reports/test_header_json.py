"""A header as JSON, and back."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import MalformedError, canonical_bytes
from exchange.markings import Label
from exchange.reports import (
    Header,
    PartHeader,
    Precedence,
    Protection,
    ReportStatus,
    header_as_json,
    header_from_json,
    part_as_json,
)
from tests.core.reports.worlds import ID, OTHER_ID, THIRD_ID, compose

HEADER = compose()


def marking(label: Label) -> str:
    return f"M {label.classification}"


def written(header: Header = HEADER, status: ReportStatus | None = None) -> dict:
    return header_as_json(header, status=status, marking=marking)


def test_header_has_the_fields_of_the_contract_in_its_order():
    body = written(status=ReportStatus.CURRENT)

    assert list(body) == [
        *(
            "id",
            "agreement",
            "scope",
            "originator",
            "kind",
            "topic",
            "regions",
            "precedence",
            "subject",
            "label",
            "marking",
        ),
        *("posted_at", "valid_until", "declassify_on", "supersedes", "references", "parts", "status"),
    ]
    assert list(body["parts"][0]) == [
        "number",
        "label",
        "marking",
        "media_type",
        "name",
        "size_bytes",
        "protection",
        "sha256",
    ]


def test_header_is_written_in_the_forms_of_the_contract():
    body = written(status=ReportStatus.SUPERSEDED)

    assert (body["id"], body["supersedes"], body["references"]) == (ID, OTHER_ID, [THIRD_ID])
    assert (body["posted_at"], body["valid_until"], body["declassify_on"]) == (
        "2026-06-01T12:00:00Z",
        "2027-01-01T00:00:00Z",
        "2027-01-01",
    )
    assert (body["precedence"], body["status"], body["marking"]) == ("PRIORITY", "superseded", "M SECRET")
    assert body["label"] == {
        "policy": "NATO",
        "classification": "SECRET",
        "compartments": [],
        "releasable_to": ["GBR", "NOR"],
        "handling": ["ORCON"],
    }
    assert (body["parts"][1]["number"], body["parts"][1]["marking"], body["parts"][1]["protection"]) == (
        2,
        "M RESTRICTED",
        "exchange",
    )
    assert part_as_json(HEADER.parts[1], marking=marking) == body["parts"][1]


def test_absent_values_are_null():
    body = written(compose(subject=None, valid_until=None, declassify_on=None, supersedes=None, references=()))

    assert [body[field] for field in ("subject", "valid_until", "declassify_on", "supersedes", "references")] == [
        None,
        None,
        None,
        None,
        [],
    ]


def test_sealed_form_has_no_status():
    assert "status" not in written()


def test_version_stands_from_the_second_on():
    assert "version" not in written()
    assert written(replace(HEADER, version=2))["version"] == 2
    assert header_from_json(written(replace(HEADER, version=2))).version == 2


texts = st.text(st.characters(codec="utf-8"), max_size=8)
sets = st.lists(st.sampled_from(["A", "B", "C", "D"]), unique=True).map(sorted).map(tuple)
labels = st.builds(Label, policy=texts, classification=texts, compartments=sets, releasable_to=sets, handling=sets)
instants = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
parts = st.builds(
    PartHeader,
    number=st.integers(1, 1000),
    label=labels,
    media_type=texts,
    name=texts,
    size_bytes=st.integers(0, 2**40),
    protection=st.sampled_from(Protection),
    sha256=texts,
)
headers = st.builds(
    Header,
    id=texts,
    agreement=texts,
    scope=texts,
    originator=texts,
    kind=texts,
    topic=texts,
    regions=st.lists(texts, max_size=3).map(tuple),
    precedence=st.sampled_from(Precedence),
    subject=st.none() | texts,
    label=labels,
    posted_at=instants,
    valid_until=st.none() | instants,
    declassify_on=st.none() | st.dates(),
    supersedes=st.none() | texts,
    references=st.lists(texts, max_size=3).map(tuple),
    parts=st.lists(parts, max_size=3).map(tuple),
    version=st.integers(1, 9),
)


@given(headers, st.none() | st.sampled_from(ReportStatus))
def test_header_reads_back_as_it_was_written(header, status):
    assert header_from_json(json.loads(json.dumps(written(header, status)))) == header


def test_a_composed_header_has_canonical_bytes():
    assert header_from_json(json.loads(canonical_bytes(written()))) == HEADER


def test_part_of_no_bytes_reads_back():
    empty = replace(HEADER, parts=(replace(HEADER.parts[0], size_bytes=0),))

    assert header_from_json(written(empty)) == empty


REMOVE = object()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("id",), REMOVE, f"does not have exactly the fields {', '.join(sorted(written().keys() - {'marking'}))}"),
        (("references",), REMOVE, "does not have exactly the fields"),
        (("extra",), 1, "does not have exactly the fields"),
        (("id",), 7, "`id` of a stored header is not text"),
        (("subject",), 7, "`subject` of a stored header is not text"),
        (("regions",), "EUR", "`regions` of a stored header is not a list"),
        (("regions",), [None], "`regions` of a stored header is not text"),
        (("precedence",), "flash", "`precedence` of a stored header is not one of ROUTINE, PRIORITY, IMMEDIATE, FLASH"),
        (("posted_at",), "yesterday", "`yesterday` is not a time"),
        (("posted_at",), None, "`posted_at` of a stored header is not text"),
        (("valid_until",), "2027-01-01", "`2027-01-01` "),
        (("declassify_on",), "soon", "`declassify_on` of a stored header is not a date"),
        (("declassify_on",), 7, "`declassify_on` of a stored header is not text"),
        (("label",), None, "does not have exactly the fields"),
        (("label", "extra"), 1, "does not have exactly the fields"),
        (("label", "policy"), None, "`policy` of a stored label is not text"),
        (("label", "releasable_to"), ["NOR", "GBR"], "a stored label is not in its canonical order"),
        (("label", "handling"), ["ORCON", "ORCON"], "a stored label is not in its canonical order"),
        (("version",), True, "`version` of a stored header is not a count"),
        (("version",), "2", "`version` of a stored header is not a count"),
        (("parts",), {}, "`parts` of a stored header is not a list"),
        (("parts", 0), [], "does not have exactly the fields"),
        (("parts", 0, "number"), 1.0, "`number` of a stored header is not a count"),
        (("parts", 0, "size_bytes"), -1, "`size_bytes` of a stored header is not a count"),
        (("parts", 0, "label"), REMOVE, "does not have exactly the fields"),
        (("parts", 0, "protection"), "none", "`protection` of a stored header is not one of exchange, end-to-end"),
    ],
)
def test_stored_header_that_is_not_whole_is_refused(path, value, message):
    body = written()
    place = body
    for step in path[:-1]:
        place = place[step]
    if value is REMOVE:
        del place[path[-1]]
    else:
        place[path[-1]] = value

    with pytest.raises(MalformedError) as refused:
        header_from_json(body)

    assert message in refused.value.message


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_no_header(value):
    with pytest.raises(MalformedError):
        header_from_json(value)


def test_markings_and_status_are_not_believed_when_read_back():
    body = {**written(status=ReportStatus.CURRENT), "marking": "NATO UNCLASSIFIED", "status": "recalled"}
    bare = {name: value for name, value in written().items() if name != "marking"}

    assert header_from_json(body) == header_from_json(bare) == HEADER


def test_conditions_stand_only_where_there_are_any_and_read_back():
    with_text = replace(HEADER, conditions="Ask first.")
    written = header_as_json(with_text, status=None, marking=str)

    assert "conditions" not in header_as_json(HEADER, status=None, marking=str)
    assert written["conditions"] == "Ask first."
    assert header_from_json(json.loads(json.dumps(written))) == with_text
