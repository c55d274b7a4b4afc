import re
from bisect import bisect_left

import pytest
from hypothesis import given

from exchange.audit import Subject
from exchange.audit.export import cef, syslog
from exchange.audit.export.fields import NAMES, cells_of
from exchange.audit.export.visible import plain, visible
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
    exported.entry.update(node="nœud 1\n" + "x" * 300, boot="ö" + "b" * 200, type="é" * 40)
    found, parameters = parsed(syslog.message(exported))

    assert found[3] == ("n_ud_1_" + "x" * 300)[:255]
    assert found[5] == "_" + "b" * 127
    assert found[6] == "_" * 32
    assert parameters["event"] == "é" * 40


@pytest.mark.parametrize("changes", [{"boot": ""}, {"node": ""}])
def test_head_has_a_dash_for_nothing(changes):
    exported = at_place(BARE, source="")
    exported.entry.update(changes)
    found, parameters = parsed(syslog.message(exported))

    assert (found[5 if "boot" in changes else 3]) == "-"
    assert "source" not in parameters


def test_sentence_is_cut_and_the_fields_are_not():
    found, parameters = parsed(
        syslog.message(at_place(FULL, agreement="a" * 480, subject=Subject("report", "r" * 480)))
    )

    assert found[9] == ("report.read refused: client client-1 NOR/NSM on report " + "r" * 480)[:500]
    assert parameters["object"] == "r" * 480


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_message_fits_and_names_what_was_left_out(count):
    exported = at_place(FULL, result_ids=tuple(f"id-{number:0500}" for number in range(count)))
    message = syslog.message(exported)
    _, parameters = parsed(message)

    assert len(message) <= syslog.LARGEST_MESSAGE_BYTES
    assert ("results" in parameters) != ("results" in parameters.get("omitted", "").split())
    assert parameters["result_count"] == str(count)


def noted(text):
    """Return an entry with a text as long as only a list of many may be."""
    exported = at_place(FULL)
    exported.entry["detail"] = {"note": text}
    return exported


@pytest.mark.parametrize("length", range(6_500, 8_200, 200))
@pytest.mark.parametrize("letter", ["x", "é", "😀", "\u202e", "]"])
def test_message_fits_wherever_its_room_ends(letter, length):
    message = syslog.message(noted(letter * (length // len(visible(letter).encode()))))

    assert len(message) <= syslog.LARGEST_MESSAGE_BYTES
    assert parsed(message)[1]["decision"] == "refused"


def test_room_is_used_but_for_the_names_of_what_may_be_left_out():
    reserve = len(' omitted=""' + " ".join((*NAMES, "")))
    length = bisect_left(range(8_192), 1, key=lambda each: b" omitted=" in syslog.message(noted("x" * each)))
    whole, short = (syslog.message(noted("x" * each)) for each in (length - 1, length))

    assert len(whole) == syslog.LARGEST_MESSAGE_BYTES - reserve
    # The last field is the first for which there is no room.
    assert parsed(short)[1]["omitted"] == NAMES[-1]


def test_message_of_the_largest_entry_fits():
    exported = with_text("\u202e" * 500)
    message = syslog.message(exported)

    omitted = parsed(message)[1]["omitted"].split(" ")

    assert len(message) <= syslog.LARGEST_MESSAGE_BYTES
    assert len(omitted) > 1
    assert set(omitted) <= set(NAMES)


@pytest.mark.parametrize(
    ("content", "frame"),
    [("", b"0 "), ("é", b"2 \xc3\xa9"), ("9 bytes.\n", b"9 9 bytes.\n"), ("ten bytes.", b"10 ten bytes.")],
)
def test_frame_counts_bytes(content, frame):
    assert syslog.framed(content.encode()) == frame


def test_message_of_the_least_that_a_reader_sees_has_dashes():
    found, parameters = parsed(syslog.message(least_of(at_place(FULL))))

    assert (found[3], found[5]) == ("-", "-")
    assert "node" not in parameters


def test_cef_message_is_a_head_and_the_line():
    exported = at_place(FULL)
    text = syslog.cef_message(exported).decode()

    assert text.startswith("<108>1 2026-03-01T12:00:00.250000Z node-a exchange boot-1 report.read - CEF:0|")
    assert text.partition(" - ")[2].encode() + b"\n" == cef.entry_line(exported)


def test_cef_message_uses_its_room_and_no_more():
    length = bisect_left(
        range(8_192), 1, key=lambda each: b" exchangeOmitted=" in syslog.cef_message(noted("x" * each))
    )

    assert len(syslog.cef_message(noted("x" * (length - 1)))) == syslog.LARGEST_MESSAGE_BYTES


@pytest.mark.parametrize("exported", [with_text("\u202e" * 500), at_place(FULL, result_ids=("i" * 500,) * 60)])
def test_cef_message_fits_and_names_what_was_left_out(exported):
    message = syslog.cef_message(exported)
    _, told = cef.read_record(message.partition(b" - ")[2])

    assert len(message) <= syslog.LARGEST_MESSAGE_BYTES
    assert told["exchangeOmitted"].split()[0] in {"results", "clearance"}
    assert told["externalId"] == "entry-1"
    assert told["cn1"] == "7"
