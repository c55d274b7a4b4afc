from dataclasses import replace

import pytest

from exchange.audit.export import FORMATS, FormatName, Place
from exchange.kernel import MalformedError
from tests.core.audit.export.exported import FULL, STATEMENT, at_place, least_of


@pytest.mark.parametrize("place", [Place(1, 0), Place(1, 41), Place(12, 0), Place(10**18 - 1, 10**18 - 1)])
@pytest.mark.parametrize("name", FormatName)
def test_every_format_writes_lines_and_reads_places_back(name, place):
    form = FORMATS[name]
    line, last = form.entry_line(replace(at_place(FULL), place=place)), form.statement_line(STATEMENT)

    assert form.place_in(line) == place
    assert form.place_in(last) is None
    assert line.count(b"\n") == last.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert last.endswith(b"\n")
    assert form.head.count(b"\n") == (1 if name is FormatName.CSV else 0)


@pytest.mark.parametrize("name", [FormatName.CSV, FormatName.CEF])
@pytest.mark.parametrize("position", [b"1" * 5000, b"1" * 19, b"007", "\u0661".encode()])
def test_place_that_no_export_has_is_refused(name, position):
    line = FORMATS[name].entry_line(at_place(FULL, position=41))
    before, after = {FormatName.CSV: (b'"41"', b'"%b"'), FormatName.CEF: (b"cn1=41 ", b"cn1=%b ")}[name]

    with pytest.raises(MalformedError):
        FORMATS[name].place_in(line.replace(before, after % position))


@pytest.mark.parametrize("name", FormatName)
def test_every_format_writes_the_least_that_a_reader_sees(name):
    exported = least_of(at_place(FULL, position=41))
    line = FORMATS[name].entry_line(exported)

    assert FORMATS[name].place_in(line) == (1, 41)
    for withheld in (b"GBR", b"NOR", b"SECRET", b"agreement-1", b"not-a-party", b"request-1", b"10.0.0.9", b"node-a"):
        assert withheld not in line
