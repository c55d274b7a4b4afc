"""Acknowledge the receipt of a report: said by the reader as often as it likes, and kept once.

Steps: (1) the Permit, as for a pull: what a client may not read it cannot have received; (2) was it said before;
(3) entry and acknowledgement in one transaction; (4) the answer is the first acknowledgement.
"""

from exchange.audit import EventName
from exchange.kernel import ConflictError, UnavailableError
from exchange.store import ACKNOWLEDGED_MEANWHILE, Parts, ReceiptHow, ReceiptRow
from exchange.usecases.reading.pull_report import Granted, seek_permit
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import shown_draft
from exchange.usecases.steps.registering import received_draft

_TRIES = 3
"""Two at once: the second finds what the first has written."""


async def receive_report(services: Services, call: Call, report_id: str) -> Recorded[ReceiptRow]:
    """Return the caller's first acknowledgement of a report: this one, or that which came before.

    Raises NotFoundError for an absent or invisible report (the same in every respect), ForbiddenError without the
    reader's role, ConflictError where what the caller may do was changed meanwhile.
    """
    # (1) the Permit
    granted = await seek_permit(services, call, report_id, parts=Parts.NONE, event=EventName.REPORT_RECEIVED)
    for _ in range(_TRIES):
        try:
            return await _acknowledged(services, call, granted)
        except ConflictError as exc:
            # Whose clearance changed meanwhile is told that, and decided about again when it asks again.
            if exc.code != ACKNOWLEDGED_MEANWHILE:
                raise
    raise UnavailableError("the receipt could not be recorded: acknowledge it again")


async def _acknowledged(services: Services, call: Call, granted: Granted) -> Recorded[ReceiptRow]:
    report, client = granted.judged.report.id, granted.client
    read = shown_draft(call, client, EventName.REPORT_RECEIVED, granted.judged)
    async with services.store.unit_of_work() as unit:
        # (2) before
        known = await unit.acknowledgement(report, client.id)
        # (3) together
        entry = received_draft(read, ReceiptHow.ACKNOWLEDGED, is_repeated=known is not None)
        receipt = await unit.record(entry)
        if known is None:
            known = ReceiptRow(report, client.id, ReceiptHow.ACKNOWLEDGED, call.now, receipt.entry)
            await unit.acknowledge(known)
    # (4) the first
    return Recorded(known, receipt)
