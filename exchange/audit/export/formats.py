"""The formats by name: how each begins, writes an entry, ends, and says where an unfinished file stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from exchange.audit.export import cef, csv, ndjson, ocsf
from exchange.audit.export.exported import ExportedEntry, Place, Statement


class FormatName(Enum):
    """What an export may be asked for as."""

    NDJSON = "ndjson"
    CSV = "csv"
    OCSF = "ocsf"
    CEF = "cef"


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `entry_line` and `statement_line` end in a line break and hold no other.

    `place_in` reads a whole line back: the place of its entry, None where it is the first or last of a file.
    """

    media_type: str
    head: bytes
    entry_line: Callable[[ExportedEntry], bytes]
    statement_line: Callable[[Statement], bytes]
    place_in: Callable[[bytes], Place | None]


FORMATS: Mapping[FormatName, Format] = {
    FormatName.NDJSON: Format("application/x-ndjson", b"", ndjson.entry_line, ndjson.statement_line, ndjson.place_in),
    FormatName.CSV: Format(
        "text/csv; charset=utf-8; header=present", csv.head(), csv.entry_line, csv.statement_line, csv.place_in
    ),
    FormatName.OCSF: Format("application/x-ndjson", b"", ocsf.entry_line, ocsf.statement_line, ocsf.place_in),
    FormatName.CEF: Format("text/plain; charset=utf-8", b"", cef.entry_line, cef.statement_line, cef.place_in),
}
