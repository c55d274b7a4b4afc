import dataclasses
import re

import pytest
from hypothesis import given

from exchange import __version__
from exchange.audit import Actor
from exchange.audit.export import cef
from exchange.audit.export.fields import cells_of
from exchange.kernel import MalformedError
from tests.core.audit.export.exported import (
    BARE,
    FULL,
    HOSTILE,
    MILLISECONDS,
    STATEMENT,
    TEXT,
    at_place,
    hiding,
    with_text,
)


def extension(exported):
    return cef.read_record(cef.entry_line(exported))[1]


def test_head_has_seven_fields():
    head, _ = cef.read_record(cef.entry_line(at_place(FULL)))

    assert head == ["CEF:0", "The exchange", "exchange", __version__, "report.read", "report.read refused", "6"]


def test_full_entry_fills_the_extension():
    exported = at_place(FULL)

    assert extension(exported) == {
        "rt": str(MILLISECONDS),
        "src": "10.0.0.9",
        "cn1": "7",
        "cn1Label": "position",
        "cn3": "1",
        "cn3Label": "log",
        "externalId": "entry-1",
        "act": "report.read",
        "outcome": "refused",
        "exchangeActorKind": "client",
        "suid": "client-1",
        "cs1": "NOR",
        "cs1Label": "member",
        "cs2": "NOR/NSM",
        "cs2Label": "agency",
        "exchangeClearance": "SECRET ATOMAL",
        "exchangeObjectType": "report",
        "cs3": "report-1",
        "cs3Label": "object",
        "exchangeObjectVersion": "2",
        "exchangeOwner": "GBR",
        "exchangePolicy": "NATO",
        "cs4": "SECRET",
        "cs4Label": "level",
        "exchangeCompartments": "ATOMAL",
        "exchangeReleasableTo": "GBR NOR",
        "exchangeHandling": "ORCON",
        "cs5": "agreement-1",
        "cs5Label": "agreement",
        "flexString1": "cyber-threats",
        "flexString1Label": "scope",
        "cs6": "defence",
        "cs6Label": "purpose",
        "reason": "not-a-party recalled",
        "exchangePolicies": "agreement-1 guards@3",
        "exchangeThumbprint": "ab" * 32,
        "exchangeRequestId": "request-1",
        "out": "8192",
        "cnt": "2",
        "dvchost": "node-a",
        "exchangeBoot": "boot-1",
        "cn2": "5",
        "cn2Label": "node_seq",
        "exchangeExtent": "whole",
        "exchangeLeaf": exported.leaf.hex(),
        "msg": '{"count":3,"names":["a","b"],"note":"n"}',
        "exchangeResults": "r1 r2",
        "exchangeCertificateSubject": "CN=a",
        "requestClientApplication": "tool/1",
    }


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("10.0.0.9", {"src": "10.0.0.9"}),
        ("2001:DB8::1", {"c6a2": "2001:db8::1", "c6a2Label": "Source IPv6 Address"}),
        ("fe80::1%eth0", {"c6a2": "fe80::1", "c6a2Label": "Source IPv6 Address"}),
        ("host", {"shost": "host"}),
        ("", {}),
    ],
)
def test_source_stands_where_cef_has_it(source, fields):
    told = extension(at_place(BARE, source=source))

    assert {key: told[key] for key in told if key in {"src", "shost", "c6a2", "c6a2Label"}} == fields


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_forges_a_line_a_field_or_a_key(text):
    line = cef.entry_line(with_text(text)).decode()

    assert line.count("\n") == 1
    assert "\r" not in line
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line.partition("rt=")[0])) == 7
    assert set(extension(with_text(text))) - {"src", "shost"} == set(extension(at_place(FULL))) - {"src"}


@given(TEXT)
def test_values_come_back(text):
    exported = with_text(text)
    told = extension(exported)

    assert told["cs1"] == told["suid"] == told["cs5"] == exported.entry["member"]


@given(TEXT)
def test_head_comes_back(text):
    exported = at_place(BARE)
    exported.entry["type"] = text
    head, _ = cef.read_record(cef.entry_line(exported))

    assert head[4] == text


def test_pipe_is_escaped_in_the_head_and_equals_in_the_extension():
    exported = at_place(BARE, actor=Actor("client", "a|b=c"))
    exported.entry["type"] = "a|b=c"
    line = cef.entry_line(exported).decode()

    assert "|a\\|b=c|" in line
    assert " suid=a|b\\=c " in line


def test_only_the_head_minds_a_pipe_and_only_the_extension_an_equals_sign():
    assert cef.read_record(b"CEF:0|a|b|c|a\\|b=c|\\\\|6|suid=a|b\\=c cs1=\\\\ x=\n") == (
        ["CEF:0", "a", "b", "c", "a|b=c", "\\", "6"],
        {"suid": "a|b=c", "cs1": "\\", "x": ""},
    )


def test_line_is_short_by_the_longest_fields_and_only_as_far_as_it_must():
    exported = at_place(FULL, detail={"note": "é" * 100}, purpose="x" * 80)
    whole = cef.entry_line(exported).decode().removesuffix("\n")
    short = cef.short_text(exported, len(whole.encode()) - 1)
    shorter = cef.short_text(exported, len(short.encode()) - 1)
    told = [cef.read_record(each.encode())[1] for each in (short, shorter)]

    assert cef.short_text(exported, len(whole.encode())) == whole
    assert [each["exchangeOmitted"] for each in told] == ["detail", "detail purpose"]
    assert ["msg" in told[0], "cs6" in told[0], "cs6" in told[1]] == [False, True, False]


@pytest.mark.parametrize("name", ["id", "type"])
def test_made_up_word_that_no_line_has_room_for_is_cut(name):
    exported = at_place(FULL)
    exported = dataclasses.replace(exported, entry={**exported.entry, name: "\u202e" * 20_000})
    short = cef.short_text(exported, 8192 - 600)
    _, told = cef.read_record(short.encode())

    assert len(short.encode()) <= 8192 - 600
    assert (told["cn3"], told["cn1"]) == (str(exported.place.log), str(exported.place.position))
    assert told["outcome"] == "refused"
    assert told["externalId" if name == "id" else "act"] == "\u202e" * 64
    assert set(told["exchangeOmitted"].split(" ")) == cells_of(exported).keys() - cef._NEVER_OMITTED


def test_empty_list_says_nothing():
    told = extension(at_place(FULL, label={"policy": "NATO", "compartments": []}, policies=()))

    assert not {"exchangeCompartments", "exchangePolicies", "cs4", "cs4Label"} & told.keys()


def test_how_much_is_shown_is_said():
    assert extension(hiding(at_place(FULL), "owner"))["exchangeExtent"] == "others"


def test_place_is_that_of_the_line():
    assert cef.place_in(cef.entry_line(at_place(FULL, position=0))) == (1, 0)
    assert cef.place_in(cef.statement_line(STATEMENT)) is None
    assert cef.place_in(b"CEF:0|a|b|c|d|e|6|cn1=7\n") is None
    assert cef.place_in(b"CEF:0|a|b|c|d|e|6|cn3=1\n") is None


def test_last_line_says_how_far_the_export_is_complete():
    head, told = cef.read_record(cef.statement_line(STATEMENT))

    assert head[4:] == ["export.complete", "export.complete", "2"]
    assert '"end":"1.12"' in told["msg"]


@pytest.mark.parametrize("line", [b"", b"CEF:0|a|b\n", b"x|a|b|c|d|e|f|g\n"])
def test_what_is_no_line_is_refused(line):
    with pytest.raises(MalformedError, match=r"^a line of the export is no CEF$"):
        cef.place_in(line)
