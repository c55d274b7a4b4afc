import csv as standard
import io
import re

import pytest
from hypothesis import given

from exchange.audit.export import csv
from exchange.audit.export.fields import NAMES, cells_of
from exchange.audit.export.visible import escape
from exchange.kernel import MalformedError
from tests.core.audit.export.exported import BARE, FULL, HOSTILE, STATEMENT, TEXT, at_place, hiding, with_text

STARTS_FORMULA = re.compile("[=+\\-@\t\r|%\uff1d\uff0b\uff0d\uff20]")


def rows(*lines):
    return list(standard.reader(io.StringIO(b"".join(lines).decode(), newline=""), strict=True))


def named(line):
    (cells,) = rows(line)
    return dict(zip(NAMES, cells, strict=True))


def test_head_names_the_columns():
    assert rows(csv.head()) == [list(NAMES)]
    assert len(set(NAMES)) == len(NAMES)


def test_full_entry_fills_its_row():
    exported = at_place(FULL)

    assert {name: cell for name, cell in named(csv.entry_line(exported)).items() if cell} == {
        "log": "1",
        "position": "7",
        "id": "entry-1",
        "time": "2026-03-01T12:00:00.250000Z",
        "event": "report.read",
        "decision": "refused",
        "actor_kind": "client",
        "actor": "client-1",
        "member": "NOR",
        "agency": "NOR/NSM",
        "clearance": "SECRET ATOMAL",
        "object_type": "report",
        "object": "report-1",
        "object_version": "2",
        "owner": "GBR",
        "policy": "NATO",
        "level": "SECRET",
        "compartments": "ATOMAL",
        "releasable_to": "GBR NOR",
        "handling": "ORCON",
        "agreement": "agreement-1",
        "scope": "cyber-threats",
        "purpose": "defence",
        "reasons": "not-a-party recalled",
        "policies": "agreement-1 guards@3",
        "source": "10.0.0.9",
        "thumbprint": "ab" * 32,
        "request_id": "request-1",
        "bytes": "8192",
        "result_count": "2",
        "node": "node-a",
        "boot": "boot-1",
        "node_seq": "5",
        "extent": "whole",
        "leaf": exported.leaf.hex(),
        "detail": '{"count":3,"names":["a","b"],"note":"n"}',
        "results": "r1 r2",
        "certificate_subject": "CN=a",
        "user_agent": "tool/1",
    }


def test_absent_fields_are_empty_cells():
    line = csv.entry_line(at_place(BARE, position=0))

    assert named(line)["position"] == "0"
    assert named(line)["owner"] == named(line)["bytes"] == named(line)["detail"] == named(line)["clearance"] == ""


def test_how_much_is_shown_is_said():
    assert named(csv.entry_line(hiding(at_place(FULL), "label", "owner")))["extent"] == "others"


def test_digest_of_many_results_stands_in_their_place():
    exported = at_place(FULL, result_ids=tuple(f"id-{number:0400}" for number in range(100)))

    assert named(csv.entry_line(exported))["results"] == exported.entry["result_ids_sha256"]


def test_every_line_ends_as_the_rfc_says_and_nowhere_else():
    for text in HOSTILE:
        line = csv.entry_line(with_text(text))
        assert line.endswith(b"\r\n")
        assert line.count(b"\r") == line.count(b"\n") == 1


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoting", [standard.QUOTE_MINIMAL, standard.QUOTE_NONE])
def test_no_cell_begins_a_formula_wherever_a_spreadsheet_sees_its_border(separator, quoting):
    for text in HOSTILE:
        line = csv.entry_line(with_text(text)).decode().removesuffix("\r\n")
        reader = standard.reader(io.StringIO(line, newline=""), delimiter=separator, quoting=quoting)

        for row in reader:
            assert [cell for cell in row if STARTS_FORMULA.match(cell.lstrip(' "'))] == [], text


@given(TEXT)
def test_no_text_begins_a_formula(text):
    for cell in named(csv.entry_line(with_text(text))).values():
        assert not STARTS_FORMULA.match(cell.lstrip())


@given(TEXT)
def test_cells_come_back(text):
    exported = with_text(text)
    expected = ["" if cell is None else str(cell) for cell in cells_of(exported).values()]

    assert csv.read_row(csv.entry_line(exported)) == expected


@pytest.mark.parametrize("letter", "=+-@%|\uff1d\uff0b\uff0d\uff20")
@pytest.mark.parametrize("before", ["", "  ", "a;", "a, ", "a|", 'a"', 'a" '])
def test_each_character_that_begins_a_formula_is_escaped_behind_each_border(letter, before):
    assert csv.cell_text(f"{before}{letter}1") == f"{before}{escape(letter)}1"


@pytest.mark.parametrize("text", ["a=1", "a -1", "a@b", "50 %", "2026-03-01", "(=1)", "'=1", "/=1"])
def test_elsewhere_such_a_character_stands_as_it_is(text):
    assert csv.cell_text(text) == text


def test_last_row_says_how_far_the_export_is_complete():
    row = named(csv.statement_line(STATEMENT))

    assert row["event"] == "export.complete"
    assert '"count":5,"end":"1.12"' in row["detail"]
    assert row["position"] == ""


def test_place_is_that_of_the_row():
    assert csv.place_in(csv.entry_line(at_place(FULL, position=12))) == (1, 12)
    assert csv.place_in(csv.head()) is None
    assert csv.place_in(csv.statement_line(STATEMENT)) is None


def test_row_without_both_parts_of_a_place_has_none():
    row = csv.entry_line(at_place(FULL))

    assert csv.place_in(row.replace(b'"1","7"', b'"1",""')) is None
    assert csv.place_in(row.replace(b'"1","7"', b'"","7"')) is None


@pytest.mark.parametrize("rest", [b"x", b'"', b",", b',"'])
def test_row_with_something_behind_its_cells_is_refused(rest):
    with pytest.raises(MalformedError, match="cells"):
        csv.place_in(csv.entry_line(at_place(FULL)).removesuffix(b"\r\n") + rest + b"\r\n")


@pytest.mark.parametrize("line", [b"", b'"1","2"\r\n', b"1,2\r\n", b'"1"x', b'"7'])
def test_what_is_no_row_is_refused(line):
    with pytest.raises(MalformedError, match="cells"):
        csv.place_in(line)
