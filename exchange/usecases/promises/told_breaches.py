"""Breaches as the log bears them out: a row alone accuses nobody.

Each breach has one entry, of the same transaction, which says all that its row does. A row that says anything else, or
that no entry tells of, was altered, and is told of as one that cannot be read.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import Detail, Entry, EventName
from exchange.kernel import EPOCH, UnavailableError, from_micros, micros_in, parse_rfc3339, rfc3339, to_micros
from exchange.store import BreachKind, BreachRow, UnreadBreach
from exchange.store.log.searching import Found
from exchange.store.rows.unread import UNREADABLE
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.entry_labels import label_of
from exchange.usecases.steps.told_entries import may_be_told, require_readable, told_until_now

APART: Final = timedelta(hours=1)
"""An entry is of when its breach is put on record, behind when it was due and found; clocks are set back."""

_MILLISECOND: Final = 1000


def breach_detail(row: BreachRow) -> Detail:
    """Return what the entry of a breach says of it beside its label, agreement and scope."""
    detail: Detail = {
        "breach": row.id,
        "kind": row.kind.value,
        "party": row.party,
        "owed_to": row.owed_to,
        "due": rfc3339(row.due_at),
        # Whose auditors see it: those of the two, and nobody else's.
        "parties": sorted({row.party, row.owed_to}),
    }
    if row.kind is BreachKind.ACKNOWLEDGEMENT:
        detail["report"] = row.subject
    return detail


def breach_told(entry: Entry) -> BreachRow:
    """Return the breach that an entry of `breach_detail` tells of; it was found within that millisecond."""
    detail, breach = entry["detail"], str(entry["detail"]["breach"])
    return BreachRow(
        id=breach,
        agreement=entry["agreement"],
        kind=BreachKind(detail["kind"]),
        party=str(detail["party"]),
        owed_to=str(detail["owed_to"]),
        scope=entry["scope"],
        subject=str(detail.get("report", detail["due"])),
        label=entry["label"],
        due_at=parse_rfc3339(str(detail["due"])),
        found_at=from_micros(micros_in(breach) or 0),
    )


async def as_told(services: Services, rows: Sequence[BreachRow]) -> list[BreachRow | UnreadBreach]:
    """Return these rows about one agreement, read before, with UnreadBreach for each that the log does not bear out.

    Where the archive lacks what the log says of them, they are told as they are: an old bundle may be gone for good,
    and what was found stays found. Raises UnavailableError as `require_readable`.
    """
    if not rows:
        return []
    await require_readable(services, "who broke a promise")
    try:
        told, lacks = await _told(services, rows)
    except UnavailableError:
        return list(rows)
    return [row if _may_be_of(lacks, row, told) else _as_told(row, told.get(row.id)) for row in rows]


async def is_borne_out(services: Services, row: BreachRow) -> bool:
    """Return whether the log bears out a row, read before; raises UnavailableError as `require_readable`."""
    return await as_told(services, [row]) == [row]


async def breaches_told(
    services: Services, agreement: str, *, since: datetime, lacks: list[Found]
) -> AsyncIterator[Entry]:
    """Yield what the log tells of breaches of an agreement that were due or found since then.

    What no breach is told as, somebody wrote. Into `lacks` come the places of what it lacks of that.
    """
    event, earliest = EventName.DUTY_BREACHED, max(since, EPOCH + APART) - APART
    async for entry in told_until_now(services, event, subject=agreement, since=earliest, lacks=lacks):
        try:
            label_of(breach_told(entry).label)
        except UNREADABLE:
            continue
        yield entry


async def _told(services: Services, rows: Sequence[BreachRow]) -> tuple[dict[str, Entry], list[Found]]:
    """Return the entry of each of these rows that has one, and the places of those that the log lacks."""
    told: dict[str, Entry] = {}
    lacks: list[Found] = []
    wanted = {row.id for row in rows}
    since = min(row.found_at for row in rows)
    async for entry in breaches_told(services, rows[0].agreement, since=since, lacks=lacks):
        breach = str(entry["detail"]["breach"])
        if breach in wanted:
            told[breach] = entry
        if len(told) == len(wanted):
            break
    return told, lacks


def _may_be_of(lacks: Sequence[Found], row: BreachRow, told: Mapping[str, Entry]) -> bool:
    return row.id not in told and may_be_told(lacks, to_micros(row.found_at), apart=APART)


def _as_told(row: BreachRow, entry: Entry | None) -> BreachRow | UnreadBreach:
    if entry is not None and _says(entry, row):
        return row
    label = row.label if entry is None else entry["label"]
    return UnreadBreach(row.id, frozenset({row.party, row.owed_to}), label_of(label))


def _says(entry: Entry, row: BreachRow) -> bool:
    detail = breach_detail(row)
    return (
        (entry.get("label"), entry.get("scope"), entry.get("detail")) == (row.label, row.scope, detail)
        # What stands in no entry: a silence is kept under when it was due, and each id holds when it was made.
        and row.subject == detail.get("report", detail["due"])
        and micros_in(row.id) == to_micros(row.found_at) // _MILLISECOND * _MILLISECOND
    )
