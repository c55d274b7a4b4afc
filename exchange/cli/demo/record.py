"""The audit rows of the demo, as a table that a person can read."""

from collections.abc import Mapping, Sequence

Entry = Mapping[str, object]

# A digest tells a person nothing beyond its first letters.
_SHOWN_OF_ID = 36
COLUMNS = ("time", "who", "did", "to", "outcome", "why", "under")


def table_rows(entries: Sequence[Entry], names: Mapping[str, str]) -> list[tuple[object, ...]]:
    """Return a row for each entry; `names` tells ids as people know them (clients, reports, agreements)."""
    return [_row(entry, names) for entry in entries]


def reasons_of(entry: Entry) -> tuple[str, ...]:
    """Return the reason codes of an entry."""
    reasons = entry.get("reasons")
    return tuple(map(str, reasons)) if isinstance(reasons, list | tuple) else ()


def outcome_of(entry: Entry) -> str:
    """Return `permitted`, `refused` or `failed`."""
    return str(entry.get("decision", ""))


def _row(entry: Entry, names: Mapping[str, str]) -> tuple[object, ...]:
    time = str(entry.get("ts", ""))[11:19]
    what = _object(entry, names)
    under = entry.get("scope") or names.get(str(entry.get("agreement")), "")
    why = ", ".join(reasons_of(entry))
    return (time, _who(entry, names), entry.get("type"), what, outcome_of(entry), why, under)


def _who(entry: Entry, names: Mapping[str, str]) -> str:
    actor = entry.get("actor")
    fields: Entry = actor if isinstance(actor, Mapping) else {}
    kind, known = str(fields.get("kind") or fields.get("type") or ""), fields.get("id")
    if known is not None:
        return names.get(str(known), str(known))
    return {"host": "host (operator)", "service": "the service"}.get(kind, "unknown certificate")


def _object(entry: Entry, names: Mapping[str, str]) -> str:
    held = entry.get("object")
    if isinstance(held, Mapping):
        known = str(held.get("id"))
        return f"{held.get('type', '')} {names.get(known, known[:_SHOWN_OF_ID])}"
    count = entry.get("result_count")
    what = "entries" if entry.get("type") == "audit.searched" else "reports"
    return "" if count is None else f"{count} {what}"
