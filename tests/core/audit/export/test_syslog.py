import re

import pytest
from hypothesis import given

from exchange.audit import Outcome
from exchange.audit.export import cef, syslog
from exchange.audit.export.fields import cells_of
from exchange.audit.export.visible import plain
from tests.core.audit.export.exported import BARE, FULL, HOSTILE, TEXT, at_place, least_of, with_text

# RFC 5424 §6, with the one element of structured data that we write.
MESSAGE = re.compile(
    r"<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
    r'\[(exchange@32473)((?: [a-z_]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] \ufeff([^\n]*)',
)
PARAMETER = re.compile(r' ([a-z_]+)="((?:[^"\\\]]|\\["\\\]])*)"')


def parsed(message):
    found = MESSAGE.fullmatch(message.decode())
    assert found is not None
    parameters = PARAMETER.findall(found[8])
    return found, {name: plain(re.sub(r'\\(["\\\]])', r"\1", value)) for name, value in parameters}


def test_full_entry_is_a_message():
    exported = at_place(FULL)
    found, parameters = parsed(syslog.message(exported))

    assert found.groups()[:6] == (
        "108",
        "2026-03-01T12:00:00.250000Z",
        "node-a",
        "exchange",
        "boot-1",
        "report.read",
    )
    assert found[9] == "report.read refused: client client-1 NOR/NSM on report report-1"
    assert parameters == {
        name: str(cell) for name, cell in cells_of(exported).items() if cell is not None and name != "time"
    }


def test_bare_entry_is_a_message():
    found, parameters = parsed(syslog.message(at_place(BARE)))

    assert found[9] == "caller.authenticated refused: unknown"
    assert "owner" not in parameters


@pytest.mark.parametrize(("outcome", "priority"), [("PERMITTED", "110"), ("REFUSED", "108"), ("FAILED", "107")])
def test_priority_is_log_audit_and_how_it_ended(outcome, priority):
    found, _ = parsed(syslog.message(at_place(BARE, outcome=Outcome[outcome])))

    assert found[1] == priority


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_forges_an_element_or_a_line(text):
    message = syslog.message(with_text(text))

    assert b"\n" not in message
    assert b"\r" not in message
    parsed(message)


@given(TEXT)
def test_values_come_back(text):
    exported = with_text(text)
    _, parameters = parsed(syslog.message(exported))
    cells = {name: str(cell) for name, cell in cells_of(exported).items() if cell is not None and name != "time"}
    omitted = parameters.pop("omitted", "").split()

    assert parameters == {name: cell for name, cell in cells.items() if name not in omitted}


def test_head_takes_printable_ascii_alone():
    exported = at_place(BARE)
    exported.entry.update(node="nœud 1\n" + "x" * 300, boot="", type="é" * 40)
    found, parameters = parsed(syslog.message(exported))

    assert found[3] == ("n_ud_1_" + "x" * 300)[:255]
    assert found[5] == "-"
    assert found[6] == "_" * 32
    assert parameters["event"] == "é" * 40


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_message_fits_and_names_what_was_left_out(count):
    exported = at_place(FULL, result_ids=tuple(f"id-{number:0500}" for number in range(count)))
    message = syslog.message(exported)
    _, parameters = parsed(message)

    assert len(message) <= syslog.LARGEST_MESSAGE_BYTES
    assert ("results" in parameters) != ("results" in parameters.get("omitted", "").split())
    assert parameters["result_count"] == str(count)


@pytest.mark.parametrize("length", range(6_500, 8_200, 100))
def test_message_fits_wherever_its_room_ends(length):
    message = syslog.message(at_place(FULL, detail={"note": "x" * length}))

    assert len(message) <= syslog.LARGEST_MESSAGE_BYTES
    assert parsed(message)[1]["decision"] == "refused"


def test_message_of_the_largest_entry_fits():
    exported = with_text("\u202e" * 500)
    message = syslog.message(exported)

    assert len(message) <= syslog.LARGEST_MESSAGE_BYTES
    assert parsed(message)[1]["omitted"]


def test_frame_counts_bytes():
    assert syslog.framed("é".encode()) == b"2 \xc3\xa9"


def test_message_of_the_least_that_a_reader_sees_has_dashes():
    found, parameters = parsed(syslog.message(least_of(at_place(FULL))))

    assert (found[3], found[5]) == ("-", "-")
    assert "node" not in parameters


def test_cef_message_is_a_head_and_the_line():
    exported = at_place(FULL)
    text = syslog.cef_message(exported).decode()

    assert text.startswith("<108>1 2026-03-01T12:00:00.250000Z node-a exchange boot-1 report.read - CEF:0|")
    assert text.partition(" - ")[2].encode() + b"\n" == cef.entry_line(exported)


@pytest.mark.parametrize("exported", [with_text("\u202e" * 500), at_place(FULL, result_ids=("i" * 500,) * 60)])
def test_cef_message_fits_and_names_what_was_left_out(exported):
    message = syslog.cef_message(exported)
    _, told = cef.read_record(message.partition(b" - ")[2])

    assert len(message) <= syslog.LARGEST_MESSAGE_BYTES
    assert told["exchangeOmitted"].split()[0] in {"results", "clearance"}
    assert told["externalId"] == "entry-1"
    assert told["cn1"] == "7"
