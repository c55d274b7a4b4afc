"""Read the bytes of one part: the same decision as a pull, for one number."""

from dataclasses import dataclass, replace

from exchange.audit import EventName, Outcome
from exchange.reports import PartHeader
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.judging import judged_draft, report_not_found
from exchange.usecases.opening import UNOPENED, open_parts, open_sealed_header
from exchange.usecases.pull_report import Granted, seek_permit
from exchange.usecases.recording import record_tampering, refuse

_LARGEST_NUMBER = 10_000
"""No report has more parts; a larger number in a path is answered like an absent one."""


@dataclass(frozen=True, slots=True)
class ReadPart:
    """One part in the clear with what its header says of it."""

    part: PartHeader
    content: bytes


async def read_part(services: Services, call: Call, report_id: str, number: int) -> Recorded[ReadPart]:
    """Return part `number` of a report.

    Raises NotFoundError alike for an absent report, an invisible one, an absent part and a withheld one.
    """
    event = EventName.REPORT_PART_READ
    asked = number if 1 <= number <= _LARGEST_NUMBER else 0
    granted = await seek_permit(services, call, report_id, parts=asked, event=event)
    entry = judged_draft(call, granted.client, event, granted.judged)
    entry = replace(entry, detail={"part": asked})
    read = await _open(services, call, granted, asked)
    if read is None:
        # A withheld part and an absent one are the same to the reader; the log knows which was asked for.
        withheld = replace(entry, outcome=Outcome.REFUSED, policies=(), detail={"part": asked, "finding": "withheld"})
        return await refuse(services, withheld, report_not_found())
    entry_id = await services.store.append(replace(entry, size_bytes=len(read.content)))
    return Recorded(read, entry_id)


async def _open(services: Services, call: Call, granted: Granted, number: int) -> ReadPart | None:
    judged, client = granted.judged, granted.client
    report, kept = judged.report, judged.release_class
    try:
        opened = dict(await open_parts(services, report, kept, granted.row.parts, permit=granted.permit))
        if number not in opened:
            return None
        header = await open_sealed_header(services, report, kept)
    except UNOPENED as exc:
        return await record_tampering(services, call, client, f"report {report.id}", exc)
    part = next(part for part in header.parts if part.number == number)
    return ReadPart(part, opened[number])
