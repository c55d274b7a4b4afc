"""Export: entries written for other tools, a record a line, nothing of which can steer the tool that reads it.

Promises: pure functions of one entry each; NDJSON holds the canonical bytes unchanged, so that it can be verified;
in every other format what came from outside is escaped, and every event has its place in OCSF.
Does not: choose entries, hide fields or reveal personal data (slices and use cases do), or open files and sockets.
"""

from exchange.audit.export.exported import ExportedEntry, Place, Statement, parse_place
from exchange.audit.export.formats import FORMATS, Format, FormatName
from exchange.audit.export.ndjson import check_spelling, has_personal, read_entry, read_head, read_line, read_statement

__all__ = [
    "FORMATS",
    "ExportedEntry",
    "Format",
    "FormatName",
    "Place",
    "Statement",
    "check_spelling",
    "has_personal",
    "parse_place",
    "read_entry",
    "read_head",
    "read_line",
    "read_statement",
]
