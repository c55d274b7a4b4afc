r"""RFC 5424 syslog: every field of an entry as structured data; RFC 5425 frames for its road over TLS.

Values are made visible first (see `visible`), then `"`, `\` and `]` are escaped (§6.3.3). A message is at most 8,192
bytes, the size every receiver should take (RFC 5425 §4.3.1): fields that do not fit, the long lists at the end of
them, are left out and named in `omitted`. The whole entry is in the NDJSON export.
"""

import re
from collections.abc import Iterator, Mapping

from exchange.audit.export import cef
from exchange.audit.export.exported import ExportedEntry
from exchange.audit.export.fields import Cell, cells_of
from exchange.audit.export.severity import Severity, severity_of
from exchange.audit.export.visible import visible

LARGEST_MESSAGE_BYTES = 8192

# §6.2.1: 13 is `log audit`.
_FACILITY = 13
_SEVERITIES: Mapping[Severity, int] = {
    Severity.INFORMATIONAL: 6,
    Severity.LOW: 5,
    Severity.MEDIUM: 4,
    Severity.HIGH: 3,
    Severity.CRITICAL: 1,
}
# §6.3.2: names that are not registered with IANA end in a private enterprise number; RFC 5612 sets this one apart.
SD_ID = "exchange@32473"
APP_NAME = "exchange"
# Said by the head of the message, without loss.
_APART = frozenset({"time"})
# §6: PRINTUSASCII, and how long each field of the head may be.
_UNPRINTABLE = re.compile(r"[^!-~]")
_HOSTNAME_LENGTH, _PROCID_LENGTH, _MSGID_LENGTH = 255, 128, 32
# For a person at a glance; every word of it stands in the structured data too.
_SENTENCE_LENGTH = 500
# §6.4: a message in UTF-8 begins with the byte order mark.
_MARK = "\ufeff"


def message(exported: ExportedEntry) -> bytes:
    """Return one entry as a syslog message, without a frame."""
    head = _head(exported)
    tail = f" {_MARK}{visible(_sentence(exported))[:_SENTENCE_LENGTH]}"
    room = LARGEST_MESSAGE_BYTES - len(f"{head} {tail}".encode())
    return f"{head} {_structured(cells_of(exported), room)}{tail}".encode()


def cef_message(exported: ExportedEntry) -> bytes:
    """Return one entry as a syslog message that holds a line of CEF, as collectors of CEF want it."""
    # No byte order mark: what reads CEF looks for `CEF:` where the message begins.
    head = f"{_head(exported)} - "
    return (head + cef.short_text(exported, LARGEST_MESSAGE_BYTES - len(head.encode()))).encode()


def framed(content: bytes) -> bytes:
    """Return a message in the frame of RFC 5425 §4.3: its length in bytes, a space, the message."""
    return b"%d %b" % (len(content), content)


def _head(exported: ExportedEntry) -> str:
    entry = exported.entry
    return " ".join(
        (
            f"<{_FACILITY * 8 + _SEVERITIES[severity_of(entry)]}>1",
            entry["ts"],
            _printable(entry.get("node", ""), _HOSTNAME_LENGTH),
            APP_NAME,
            _printable(entry.get("boot", ""), _PROCID_LENGTH),
            _printable(entry["type"], _MSGID_LENGTH),
        )
    )


def _structured(cells: Mapping[str, Cell], room: int) -> str:
    """Return the element of structured data, at most `room` bytes of it."""
    text, omitted = f"[{SD_ID}", list[str]()
    # What the list of omitted fields itself may need stays free.
    reserve = len(' omitted=""]') + sum(len(name) + 1 for name in cells)
    for name, parameter in _parameters(cells):
        if len((text + parameter).encode()) + reserve > room:
            omitted.append(name)
        else:
            text += parameter
    if omitted:
        text += f' omitted="{" ".join(omitted)}"'
    return text + "]"


def _parameters(cells: Mapping[str, Cell]) -> Iterator[tuple[str, str]]:
    for name, cell in cells.items():
        if cell is not None and name not in _APART:
            yield name, f' {name}="{_escaped(visible(str(cell)))}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _printable(text: str, longest: int) -> str:
    return _UNPRINTABLE.sub("_", text)[:longest] or "-"


def _sentence(exported: ExportedEntry) -> str:
    entry = exported.entry
    actor = entry["actor"]
    who = " ".join(filter(None, (actor["kind"], actor.get("id"), entry.get("agency"))))
    subject = entry.get("object")
    what = "" if subject is None else f" on {subject['type']} {subject['id']}"
    return f"{entry['type']} {entry['decision']}: {who}{what}"
