"""Names and contents of parts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.reports import content_fault, media_type_fault, name_fault
from exchange.reports.contents import Reading

STIX = "application/stix+json;version=2.1"
NO_VALUE = 'line 1, column 1: a value is expected there, such as `"text"`, `1`, `true` or `null`'


@pytest.mark.parametrize(
    "name",
    [
        "apt1.json",
        "Warnung vor Überfällen.txt",
        "a",
        "x" * 255,
        "ø" * 127,
        "report (2).pdf",
        "a.b.c",
        "CONTACTS.txt",
        "com10.txt",
        "CONX.txt",
        "COMX",
        "nullable",
        "a-b~c",
    ],
)
def test_plain_file_names_are_taken(name):
    assert name_fault(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        ("x" * 256, "is longer than 255 bytes: shorten it"),
        ("ø" * 128, "is longer than 255 bytes: shorten it"),
        ("../etc/passwd", "contains /: give a plain file name without a folder"),
        ("..", "begins with `.`, `-` or `~` or ends with `.`: give a plain file name"),
        (".", "begins with `.`, `-` or `~` or ends with `.`: give a plain file name"),
        (".bashrc", "begins with `.`, `-` or `~` or ends with `.`: give a plain file name"),
        ("-rf", "begins with `.`, `-` or `~` or ends with `.`: give a plain file name"),
        ("~root", "begins with `.`, `-` or `~` or ends with `.`: give a plain file name"),
        ("a.txt.", "begins with `.`, `-` or `~` or ends with `.`: give a plain file name"),
        ("/a", "contains /: give a plain file name without a folder"),
        ("a\\b", "contains \\: give a plain file name without a folder"),
        ("C:a", "contains :: give a plain file name without a folder"),
        ("a.txt::$DATA", "contains :: give a plain file name without a folder"),
        ('a"<>|?*', 'contains " * < > ? |: give a plain file name without a folder'),
        ("a\x00.txt", "has the character U+0000 at position 2: leave it out"),
        ("a\r\nb", "has the character U+000D at position 2: leave it out"),
        ("a\u202etxt.exe", "has the character U+202E at position 2: leave it out"),
        ("a\ud800", "has the character U+D800 at position 2: leave it out"),
        (" a", "has blanks around it: leave them out"),
        ("a ", "has blanks around it: leave them out"),
        ("e\u0301.txt", "is not in Unicode normal form C: normalise it"),
        *(
            (name, "is the name of a device on some systems: choose another")
            for name in (
                "CON",
                "con",
                "nul.txt",
                "Aux.tar.gz",
                "COM1",
                "lpt9.json",
                "PRN .txt",
                "COM¹.txt",
                "CONIN$",
                "conout$",
                "LPT0",
            )
        ),
    ],
)
def test_names_that_are_unsafe_somewhere_are_refused(name, problem):
    assert name_fault(name) == problem


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/plain;charset=utf-8",
        "text/plain;charset=UTF-8",
        "application/json",
        STIX,
        "application/stix+json",
        # What a parameter means is its own type's to say.
        "application/xml;charset=iso-8859-1",
        "application/json;version=2.0",
        "image/svg+xml",
        "x-a/b.c",
        "application/vnd.ms-excel",
        "a/" + "b" * 125,
    ],
)
def test_well_formed_media_types_are_taken(media_type):
    assert media_type_fault(media_type) is None


@pytest.mark.parametrize(
    ("media_type", "problem"),
    [
        *(
            (text, "is no media type: write it in lower case without spaces, such as text/plain")
            for text in (
                *(
                    "",
                    "text",
                    "text/",
                    "/plain",
                    "Text/plain",
                    "text/plain ",
                    "text/plain; charset=utf-8",
                    "text/plain;",
                    "text/plain;charset",
                ),
                *(
                    "text/plain\r\nX-Evil: 1",
                    "text/pl ain",
                    "text/plain/x",
                    "téxt/plain",
                    "text/plain;charset=",
                    "a/" + "b" * 126,
                    "*/*",
                ),
            )
        ),
        ("text/plain;charset=iso-8859-1", "declares another charset: convert the text to UTF-8"),
        ("application/stix+json;version=2.0", "declares another STIX version: convert the bundle to 2.1"),
    ],
)
def test_other_media_types_are_refused(media_type, problem):
    assert media_type_fault(media_type) == problem


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("application/json", b"{}"),
        ("application/json", b"[1, 2.5, null]"),
        ("application/json", b"1" * 5_000),
        # Nobody looks for markings in it: which of two values of a name its reader takes is the reader's own.
        ("application/json", b'{"a": 1, "a": 2}'),
        ("application/json", '"på vakt"'.encode()),
        ("application/geo+json", b'{"type": "Point"}'),
        (STIX, b'{"type": "bundle", "id": "bundle--1"}'),
        ("text/plain", b""),
        ("text/plain;charset=utf-8", "Vær på vakt 🚨".encode()),
        ("text/csv", b"a,b\r\n"),
        ("application/octet-stream", b"\x00\xff"),
        ("application/pdf", b"%PDF-1.7\n"),
        ("application/zip", b"PK\x03\x04..."),
        ("application/zip", b"PK\x05\x06"),
        ("application/gzip", b"\x1f\x8b\x08"),
        ("image/png", b"\x89PNG\r\n\x1a\n..."),
        ("image/jpeg", b"\xff\xd8\xff\xe0"),
        ("image/gif", b"GIF87a"),
        ("image/gif", b"GIF89a"),
        ("image/tiff", b"II*\x00"),
        ("image/tiff", b"MM\x00*"),
        ("application/unheard-of", b"anything"),
        # Begins like the name of STIX's type, and is another one.
        ("application/stix+json.notes", b"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"),
    ],
)
def test_contents_of_their_type_are_taken(media_type, content):
    assert content_fault(media_type, content) is None


@pytest.mark.parametrize(
    ("media_type", "content", "problem"),
    [
        ("application/json", b"", f"is not JSON: {NO_VALUE}"),
        ("application/json", b"{", "is not JSON: line 1, column 2: a name in double quotes is expected there"),
        ("application/json", b"NaN", "is not JSON: `NaN` is no JSON number"),
        ("application/json", b"[-Infinity]", "is not JSON: `-Infinity` is no JSON number"),
        ("application/json", b"[" * 100_000, "is not JSON: it is nested too deeply"),
        (
            "application/json",
            "{}".encode("utf-16"),
            "is not UTF-8 at byte 0: convert it or declare application/octet-stream",
        ),
        (
            "application/json",
            b"\xef\xbb\xbf{}",
            "is not JSON: line 1, column 1: it begins with a byte order mark: send it without",
        ),
        ("application/geo+json", b"x", f"is not JSON: {NO_VALUE}"),
        (STIX, b"[]", "is not a STIX bundle: an object whose `type` is `bundle`"),
        (STIX, b"{}", "is not a STIX bundle: an object whose `type` is `bundle`"),
        (STIX, b'{"type": "bundle", "type": "bundle"}', "is not JSON: a name stands twice in one object"),
        (STIX, b'{"type": "bundle", "objects": [{"a": 1, "a": 2}]}', "is not JSON: a name stands twice in one object"),
        (STIX, b'{"type": "indicator"}', "is not a STIX bundle: an object whose `type` is `bundle`"),
        ("application/stix+json", b"nope", f"is not JSON: {NO_VALUE}"),
        ("text/plain", b"ab\xff", "is not UTF-8 at byte 2: convert it or declare application/octet-stream"),
        ("text/html", b"\xc3(", "is not UTF-8 at byte 0: convert it or declare application/octet-stream"),
        ("text/plain", b"a\x00b", "contains NUL: declare application/octet-stream"),
        ("application/pdf", b"<html>", "does not begin like application/pdf: declare what it is"),
        ("application/pdf;version=1", b"", "does not begin like application/pdf: declare what it is"),
        ("application/zip", b"PK\x01\x02", "does not begin like application/zip: declare what it is"),
        ("application/gzip", b"PK\x03\x04", "does not begin like application/gzip: declare what it is"),
        ("image/png", b"\xff\xd8\xff", "does not begin like image/png: declare what it is"),
        ("image/jpeg", b"\x89PNG\r\n\x1a\n", "does not begin like image/jpeg: declare what it is"),
        ("image/gif", b"GIF90a", "does not begin like image/gif: declare what it is"),
        ("image/tiff", b"II", "does not begin like image/tiff: declare what it is"),
    ],
)
def test_contents_of_another_type_are_refused(media_type, content, problem):
    assert content_fault(media_type, content) == problem


@pytest.mark.parametrize("media_type", ["application/json", "application/geo+json", STIX])
def test_json_of_very_many_values_is_refused_before_they_are_made(media_type, monkeypatch):
    monkeypatch.setattr("exchange.reports.contents.json.loads", lambda *_, **__: pytest.fail("they were made"))

    assert "values" in content_fault(media_type, b'{"type":"bundle","objects":[%b]}' % b",".join([b"0"] * 500_001))


def test_contents_of_one_report_have_as_many_values_together_as_may_be(monkeypatch):
    monkeypatch.setattr("exchange.reports.contents.MOST_VALUES", 3)
    reading = Reading()

    assert reading.look("application/json", b"[1,2]").fault is None
    assert reading.look("application/json", b"[3]").fault is None
    assert "values" in reading.look("application/json", b"[]").fault


@given(st.binary(max_size=40))
def test_json_is_taken_exactly_where_it_can_be_read(content):
    try:
        json.loads(content.decode())
        readable = b"NaN" not in content and b"Infinity" not in content
    except ValueError:
        readable = False

    assert (content_fault("application/json", content) is None) is readable
