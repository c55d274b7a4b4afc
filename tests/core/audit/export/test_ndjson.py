import base64
import dataclasses
import json

import pytest
from hypothesis import given

from exchange.audit import parse_entry
from exchange.audit.export import (
    ExportedEntry,
    check_spelling,
    ndjson,
    read_entry,
    read_head,
    read_line,
    read_statement,
)
from exchange.kernel import MalformedError
from tests.core.audit.export.exported import BARE, FULL, STATEMENT, TEXT, at_place, hiding, with_text

PROOF = (b"\1" * 32, b"\2" * 32)
KINDS = (
    at_place(FULL),
    at_place(BARE, position=0),
    dataclasses.replace(at_place(FULL), proof=PROOF, personal={"source": "10.0.0.9", "note": ',"entry":{}'}),
    hiding(at_place(FULL), "label", "reasons"),
    hiding(dataclasses.replace(at_place(FULL), proof=PROOF, personal={"source": "10.0.0.9"}), "owner"),
    # What begins like the entry stands inside of it too.
    at_place(FULL, detail={"count": 3, "entry": "e"}),
)


def test_line_holds_the_canonical_bytes_unchanged():
    exported = dataclasses.replace(at_place(FULL), personal={})
    line = ndjson.entry_line(exported)

    assert line.endswith(b',"entry":' + exported.content + b"}\n")
    assert json.loads(line) == {
        "log": 1,
        "position": 7,
        "leaf": base64.b64encode(exported.leaf).decode(),
        "entry": parse_entry(exported.content),
    }


def test_line_of_whole_bytes_is_the_same_line():
    exported = dataclasses.replace(at_place(FULL), personal={})

    assert ndjson.whole_line(*exported.place, exported.leaf, exported.content) == ndjson.entry_line(exported)


def test_proof_personal_and_extent_stand_before_the_entry():
    exported = dataclasses.replace(hiding(at_place(FULL), "label", "owner"), proof=PROOF, personal={"source": "erased"})
    line = json.loads(ndjson.entry_line(exported))

    assert list(line) == ["log", "position", "leaf", "proof", "personal", "extent", "entry"]
    assert line["extent"] == "others"
    assert line["personal"] == {"source": "erased"}
    assert "label" not in line["entry"]


@pytest.mark.parametrize("exported", KINDS)
def test_entry_comes_back(exported):
    assert read_entry(ndjson.entry_line(exported)) == exported


@given(TEXT)
def test_entry_with_any_text_comes_back(text):
    exported = with_text(text)
    line = ndjson.entry_line(exported)

    assert read_line(line) == exported
    assert line.count(b"\n") == 1


def test_head_of_a_line_is_read_without_a_look_into_the_entry():
    exported = at_place(FULL)
    changed = ndjson.entry_line(exported).replace(b'"GBR"', b'"NOR"')
    narrowed = ndjson.entry_line(hiding(exported, "owner"))

    assert read_head(changed) == (exported.place, exported.leaf, exported.content.replace(b'"GBR"', b'"NOR"'))
    assert read_head(narrowed) == (exported.place, exported.leaf, None)


def test_statement_comes_back():
    line = ndjson.statement_line(STATEMENT)

    assert json.loads(line)["complete"] == STATEMENT.as_json()
    assert read_line(line) == read_statement(line) == STATEMENT


def test_place_is_that_of_the_entry():
    assert ndjson.place_in(ndjson.entry_line(at_place(FULL, position=0))) == (1, 0)
    assert ndjson.place_in(ndjson.statement_line(STATEMENT)) is None


def test_changed_bytes_are_noticed():
    line = ndjson.entry_line(at_place(FULL)).replace(b'"GBR"', b'"NOR"')

    with pytest.raises(MalformedError, match="not those of its leaf hash"):
        read_entry(line)


def test_bytes_that_are_no_entry_are_refused_under_their_own_hash():
    import hashlib

    leaf = base64.b64encode(hashlib.sha256(b"\0{}").digest())

    with pytest.raises(MalformedError, match="entry has no"):
        read_entry(b'{"log":1,"position":1,"leaf":"' + leaf + b'","entry":{}}\n')


EXTENT = "damaged: its extent or its personal data is none$"
LEAF = base64.b64encode(b"\3" * 32).decode()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "damaged: it holds no entry$"),
        ('{"log":1,"position":1}', "damaged: it holds no entry$"),
        (
            '{"log":1,"position":1,"leaf":"' + LEAF + '","entry":{}',
            "damaged: its bytes are not those of its leaf hash$",
        ),
        ('{"log":1,"position":1,"leaf":"' + LEAF + '","entry":', "damaged: it holds no entry$"),
        ('{"log":1,"position":,"leaf":"' + LEAF + '","entry":{}}', "cannot be read: .+"),
        ('{"leaf":"' + LEAF + '","entry":{}}', "cannot be read: .+"),
        ('{"log":1,"position":1,"entry":{}}', "cannot be read: .+"),
        ('[1,"entry":{}}', "cannot be read: .+"),
        ('{"log":1,"position":1,"leaf":"%","entry":{}}', "cannot be read: .+"),
        ('{"log":1,"position":1,"leaf":7,"entry":{}}', "cannot be read: .+"),
        ('{"log":1,"position":1,"leaf":"é","entry":{}}', "cannot be read: .+"),
        ('{"log":1,"position":1,"leaf":"AAAA","entry":{}}', "damaged: a hash in it has not 32 bytes$"),
        ('{"log":1,"position":-1,"leaf":"' + LEAF + '","entry":{}}', "damaged: its place is none$"),
        ('{"log":1,"position":true,"leaf":"' + LEAF + '","entry":{}}', "damaged: its place is none$"),
        ('{"log":1,"position":"1","leaf":"' + LEAF + '","entry":{}}', "damaged: its place is none$"),
        (
            '{"log":1,"position":1,"leaf":"' + LEAF + '","proof":["AA=="],"entry":{}}',
            "damaged: a hash in it has not 32 bytes$",
        ),
        ('{"log":1,"position":1,"leaf":"' + LEAF + '","proof":["%"],"entry":{}}', "cannot be read: .+"),
        ('{"log":1,"position":1,"leaf":"' + LEAF + '","proof":["é"],"entry":{}}', "cannot be read: .+"),
        ('{"log":1,"position":1,"leaf":"' + LEAF + '","proof":7,"entry":{}}', "cannot be read: .+"),
        ('{"log":1,"position":1,"leaf":"' + LEAF + '","extent":"others","entry":{}}', "entry has no"),
        ('{"log":1,"position":1,"leaf":"' + LEAF + '","extent":7,"entry":{}}', EXTENT),
        ('{"log":1,"position":1,"leaf":"' + LEAF + '","personal":[],"entry":{}}', EXTENT),
        (
            '{"log":1,"position":1,"leaf":"' + LEAF + '","personal":{"source":7},"entry":{}}',
            EXTENT,
        ),
        ('{"log":1,"position":1,"leaf":"' + LEAF + '","extent":"others","entry":{]}', "cannot be read: .+"),
    ],
)
def test_damaged_line_is_refused(line, why):
    with pytest.raises(MalformedError, match=f"^(a line of the export (is )?)?{why}"):
        read_entry(line.encode())


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"complete":{}}', b'{"complete":7}', b'{"complete":{"count":1}}', b"[]"]
)
def test_last_line_that_says_nothing_is_refused(line):
    with pytest.raises(MalformedError, match="says not that it is complete"):
        read_statement(line)


@pytest.mark.parametrize("name", ["at", "after", "first", "last", "count", "end", "checkpoint", "earlier"])
@pytest.mark.parametrize("value", [1.5, True, [7], {"x": 1}])
def test_last_line_with_a_field_of_another_kind_is_refused(name, value):
    line = json.dumps({"complete": STATEMENT.as_json() | {name: value}}, separators=(",", ":")).encode()

    with pytest.raises(MalformedError, match="says not that it is complete"):
        read_line(line)


@pytest.mark.parametrize("name", ["at", "count", "end"])
def test_last_line_without_a_field_that_it_needs_is_refused(name):
    line = json.dumps({"complete": STATEMENT.as_json() | {name: None}}, separators=(",", ":")).encode()

    with pytest.raises(MalformedError, match="says not that it is complete"):
        read_line(line)


def test_hidden_entry_is_not_compared_with_its_leaf():
    line = ndjson.entry_line(hiding(at_place(FULL), "owner"))

    assert isinstance(read_entry(line), ExportedEntry)


@pytest.mark.parametrize("exported", KINDS)
def test_what_is_written_is_spelt_so(exported):
    check_spelling(ndjson.entry_line(exported))
    check_spelling(ndjson.statement_line(STATEMENT))


def test_second_spelling_of_a_hash_is_refused():
    exported = dataclasses.replace(at_place(FULL), proof=PROOF)
    line = ndjson.entry_line(exported)
    for hash_ in (exported.leaf, *PROOF):
        spelt = base64.b64encode(hash_)
        another = spelt[:-2] + bytes([spelt[-2] + 1]) + b"="

        with pytest.raises(MalformedError, match="in another way"):
            check_spelling(line.replace(spelt, another))


def test_hash_that_is_none_is_refused_as_another_way_of_writing():
    line = ndjson.entry_line(dataclasses.replace(at_place(FULL), proof=PROOF))
    proof = json.dumps([base64.b64encode(each).decode() for each in PROOF], separators=(",", ":")).encode()

    for no_proof in (b"7", b"[7]", b'["!"]', b"null"):
        with pytest.raises(MalformedError, match="in another way"):
            check_spelling(line.replace(proof, no_proof))


def test_personal_data_is_seen_beside_the_entry_and_not_inside_it():
    inside = with_text(',"personal":{')

    for personal in ({}, {"source": "10.0.0.9"}):
        line = ndjson.entry_line(dataclasses.replace(inside, personal=personal))
        assert ndjson.has_personal(line) is bool(personal)
