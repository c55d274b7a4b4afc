r"""CEF:0, the Common Event Format of ArcSight: a head of seven fields and an extension of `key=value`.

Values are made visible first (see `visible`), so that none breaks a line; then `\` and `|` are escaped in the head,
`\` and `=` in the extension, as the format asks. What CEF has no key of its own for stands under `exchange...`.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address

from exchange import __version__
from exchange.audit.export.exported import ExportedEntry, Place, Statement, address_in, place_of
from exchange.audit.export.fields import COMPLETE, Cell, cells_of, statement_cells
from exchange.audit.export.severity import Severity, severity_of
from exchange.audit.export.visible import plain, visible
from exchange.kernel import MalformedError, parse_micros

VENDOR, PRODUCT = "The exchange", "exchange"

# CEF's severity goes from 0 to 10.
_SEVERITIES: Mapping[Severity, int] = {
    Severity.INFORMATIONAL: 2,
    Severity.LOW: 4,
    Severity.MEDIUM: 6,
    Severity.HIGH: 8,
    Severity.CRITICAL: 10,
}
# Field of ours -> key of CEF's dictionary, and the label that its numbered keys want beside them.
_KEYS: Mapping[str, str] = {
    "id": "externalId",
    "event": "act",
    "decision": "outcome",
    "reasons": "reason",
    "actor": "suid",
    "node": "dvchost",
    "bytes": "out",
    "result_count": "cnt",
    "position": "cn1",
    "node_seq": "cn2",
    "log": "cn3",
    "member": "cs1",
    "agency": "cs2",
    "object": "cs3",
    "level": "cs4",
    "agreement": "cs5",
    "purpose": "cs6",
    "scope": "flexString1",
    "detail": "msg",
    "user_agent": "requestClientApplication",
}
_NUMBERED = frozenset({"cn1", "cn2", "cn3", "cs1", "cs2", "cs3", "cs4", "cs5", "cs6", "flexString1"})
# Said by keys of their own, in the form that CEF wants.
_APART = frozenset({"time", "source"})
# By these an entry is found again.
_NEVER_OMITTED = frozenset({"log", "position", "id", "event", "decision"})
# An id has 36 characters, the longest event less; a made-up one, in ten bytes each, is to leave room for the others.
_LONGEST_WORD = 64
_PAIR = re.compile(r"(?:^| )([A-Za-z0-9]+)=((?:[^\\=]|\\.)*?)(?= [A-Za-z0-9]+=|$)")
_HEAD = re.compile(r"(CEF:0)\|" + r"((?:[^\\|]|\\.)*)\|" * 6)
_IPV4 = 4


def entry_line(exported: ExportedEntry) -> bytes:
    """Return the line of one entry."""
    return entry_text(exported, cells_of(exported)).encode() + b"\n"


def short_text(exported: ExportedEntry, largest_bytes: int) -> str:
    """Return the line of one entry without its line feed; the longest fields are left out where it would be larger.

    `exchangeOmitted` names them. What an entry is found by is cut instead, where even that is longer than it ever is.
    """
    cells = cells_of(exported)
    text, omitted = entry_text(exported, cells), list[str]()
    while len(text.encode()) > largest_bytes:
        left = [name for name in cells if name not in _NEVER_OMITTED]
        if not left:
            cut = {name: str(cell)[:_LONGEST_WORD] for name, cell in cells.items()}
            return entry_text(exported, {**cut, "omitted": " ".join(omitted)})
        longest = max(left, key=lambda name: len(str(cells[name])))
        omitted.append(longest)
        del cells[longest]
        text = entry_text(exported, {**cells, "omitted": " ".join(omitted)})
    return text


def entry_text(exported: ExportedEntry, cells: Mapping[str, Cell]) -> str:
    """Return the line of one entry with these of its fields, without a line feed."""
    event, decision = exported.entry["type"][:_LONGEST_WORD], exported.entry["decision"]
    severity = _SEVERITIES[severity_of(exported.entry)]
    moment = parse_micros(exported.entry["ts"]) // 1000
    extension = {"rt": moment, **_source(exported.source), **_extension(cells)}
    return _line(event, f"{event} {decision}", severity, extension)


def statement_line(statement: Statement) -> bytes:
    """Return the last line."""
    severity = _SEVERITIES[Severity.INFORMATIONAL]
    return _line(COMPLETE, COMPLETE, severity, _extension(statement_cells(statement))).encode() + b"\n"


def place_in(line: bytes) -> Place | None:
    """Return the place in a line, None for the last; raises MalformedError for what is no line."""
    _, extension = read_record(line)
    return place_of(extension.get("cn3", ""), extension.get("cn1", ""))


def read_record(line: bytes) -> tuple[list[str], dict[str, str]]:
    """Return the seven fields of the head and the extension by key, as they were before they were escaped."""
    text = line.decode().removesuffix("\n")
    found = _HEAD.match(text)
    if found is None:
        raise MalformedError("a line of the export is no CEF")
    pairs = {key: plain(_unescaped(value)) for key, value in _PAIR.findall(text[found.end() :])}
    return [plain(_unescaped(field)) for field in found.groups()], pairs


def _line(event: str, name: str, severity: int, extension: Mapping[str, Cell]) -> str:
    head = "|".join(map(_in_head, ("CEF:0", VENDOR, PRODUCT, __version__, event, name, str(severity))))
    pairs = " ".join(f"{key}={_in_extension(value)}" for key, value in extension.items() if value is not None)
    return f"{head}|{pairs}"


def _extension(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    extension: dict[str, Cell] = {}
    for name, cell in cells.items():
        if cell is None or name in _APART:
            continue
        key = _KEYS.get(name) or "exchange" + name.title().replace("_", "")
        extension[key] = cell
        if key in _NUMBERED:
            extension[f"{key}Label"] = name
    return extension


def _source(source: str) -> dict[str, Cell]:
    address = address_in(source)
    if address is None:
        return {"shost": source or None}
    if ip_address(address).version == _IPV4:
        return {"src": address}
    return {"c6a2": address, "c6a2Label": "Source IPv6 Address"}


def _in_head(field: str) -> str:
    return visible(field).replace("\\", "\\\\").replace("|", "\\|")


def _in_extension(value: Cell) -> str:
    return visible(str(value)).replace("\\", "\\\\").replace("=", "\\=")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
