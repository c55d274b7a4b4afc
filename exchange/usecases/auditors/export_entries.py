"""Export the log: an auditor's slice of it, or all of it at the host, in the order of the log.

Steps: (1) who asks, and in whose slice; (2) what it asks for can be asked; (3) how far: to the signed checkpoint;
(4) the entry about the export is durable; (5) the entries, a stretch at a time (`exporting`).
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from exchange.audit import Detail, EventName, Outcome, Receipt
from exchange.audit.export import ExportedEntry, FormatName, Place, Statement
from exchange.kernel import ForbiddenError
from exchange.store import LogState
from exchange.usecases.auditors.auditing import admit_auditor
from exchange.usecases.auditors.exporting import (
    ExportQuery,
    SliceWalk,
    end_of,
    statement_of,
    whole_entries,
    whole_lines,
)
from exchange.usecases.auditors.search_entries import check_criteria
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, on_record, refuse

_EVENT = EventName.AUDIT_EXPORTED

_Item = Sequence[ExportedEntry] | Statement


@dataclass(frozen=True, slots=True)
class Export:
    """An export that has begun. `end` is how far it goes; `items` are entries, and statements that these were all."""

    end: Place
    items: AsyncIterator[Sequence[ExportedEntry] | Statement]


@dataclass(frozen=True, slots=True)
class LogExport:
    """The whole log as NDJSON, with the bytes as they are stored; `statement` is about all of it.

    `lines` are those of entries side by side, with the place of the first.
    """

    lines: AsyncIterator[tuple[Place, Sequence[bytes]]]
    statement: Statement


async def export_entries(services: Services, call: Call, query: ExportQuery) -> Recorded[Export]:
    """Begin to export the calling auditor's slice.

    Raises ForbiddenError without the auditor's role, InvalidError for filters that name nothing there is, and
    LogDamagedError where its beginning cannot be read. `items` raises ForbiddenError where the auditor is revoked
    meanwhile, UnavailableError where the store is away: what is missing then is asked for by `after`.
    """
    # (1) who
    gaze = await admit_auditor(services, call, event=_EVENT)
    # (2) can it be asked
    async with on_record(services, draft(call, gaze.client, _EVENT, Outcome.REFUSED)):
        check_criteria(services, query.criteria)
    # (3) how far
    logs = await services.store.log.states()
    # (4) INVARIANT: nothing of the log leaves before the entry about it is durable.
    detail = {**query.criteria.as_detail(), **_asked(query.format, query.after, end_of(logs))}
    receipt = await services.store.append(draft(call, gaze.client, _EVENT, Outcome.PERMITTED, detail=detail))
    # (5) a stretch at a time, the first one before the answer begins: what cannot be read is told as what it is
    items = SliceWalk(services, call, query, gaze).items(logs)
    return Recorded(Export(end_of(logs), _going_on(await anext(items), items)), receipt)


async def export_log(services: Services, call: Call, *, after: Place | None = None) -> Recorded[LogExport]:
    """Begin to export the whole log at the host, for verification. Raises ForbiddenError for any other caller."""
    logs, receipt = await _begun_at_host(services, call, "exported", after, {})
    told = statement_of(call.now, after, logs, is_to_be_verified=True)
    exported = LogExport(whole_lines(services, after, logs), told)
    return Recorded(exported, receipt)


async def feed_log(
    services: Services, call: Call, *, after: Place | None = None, follow: bool = False
) -> Recorded[Export]:
    """Begin to feed the whole log at the host, entry by entry; raises ForbiddenError for any other caller.

    Nothing personal is revealed: an auditor's own feed has what it may read.
    """
    logs, receipt = await _begun_at_host(services, call, "fed", after, {"feed": "following" if follow else "once"})
    return Recorded(Export(end_of(logs), whole_entries(services, after, logs, follow=follow)), receipt)


async def _begun_at_host(
    services: Services, call: Call, done: str, after: Place | None, besides: Detail
) -> tuple[Sequence[LogState], Receipt]:
    """Return the logs, once it is on the record that the host reads them; `done` is what is done with them there."""
    if not call.is_host:
        error = ForbiddenError(f"the whole log is {done} at the host: an auditor's slice is at /v1/audit/export")
        return await refuse(services, draft(call, None, _EVENT, Outcome.REFUSED), error)
    logs = await services.store.log.states()
    detail = {**_asked(FormatName.NDJSON, after, end_of(logs)), **besides}
    return logs, await services.store.append(draft(call, None, _EVENT, Outcome.PERMITTED, detail=detail))


async def _going_on(first: _Item, items: AsyncIterator[_Item]) -> AsyncIterator[_Item]:
    yield first
    async for item in items:
        yield item


def _asked(name: FormatName, after: Place | None, end: Place) -> Detail:
    detail: Detail = {"format": name.value, "end": str(end)}
    return detail if after is None else {**detail, "after": str(after)}
