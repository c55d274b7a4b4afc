"""Notices as the log bears them out: a row alone tells nobody what became of a report.

Each names the entry of what it tells of. One that says anything else than that entry was altered, or somebody wrote it:
it is told of as one that cannot be read. Where the log lacks that entry, or it is away, it may have said so.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from exchange.audit import Entry, EventName, Outcome
from exchange.kernel import rfc3339
from exchange.store import NoticeKind, NoticeRow
from exchange.usecases.steps.told_entries import is_borne_out_by

_TOLD_AS: Final[Mapping[str, frozenset[NoticeKind]]] = MappingProxyType(
    {
        EventName.REPORT_AMENDED.value: frozenset({NoticeKind.AMENDED, NoticeKind.UPGRADED}),
        EventName.REPORT_DOWNGRADED.value: frozenset({NoticeKind.DOWNGRADED}),
        EventName.REPORT_DECLASSIFIED.value: frozenset({NoticeKind.DECLASSIFIED}),
        EventName.REPORT_SUPERSEDED.value: frozenset({NoticeKind.SUPERSEDED}),
        EventName.DESTRUCTION_ASKED.value: frozenset({NoticeKind.RECALLED}),
    }
)


def is_borne_out(told: Mapping[str, Entry | None], row: NoticeRow) -> bool:
    """Return whether a notice says what its entry does, or may have said; `told` are `entries_named`."""
    return is_borne_out_by(told, row.entry, lambda entry: _says(entry, row))


def _says(entry: Entry, row: NoticeRow) -> bool:
    about, of = entry.get("object", {}), entry.get("detail", {}).get("of")
    if row.kind not in _TOLD_AS.get(entry["type"], ()) or entry["decision"] != Outcome.PERMITTED.value:
        return False
    if row.kind is NoticeKind.RECALLED and not (isinstance(of, list) and row.client in of):
        return False
    return (about.get("id"), about.get("version", 1), entry["ts"]) == (row.report, row.version, rfc3339(row.at))
