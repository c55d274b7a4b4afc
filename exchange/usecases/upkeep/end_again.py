"""After a restore: the ends of reports since the backup, told anew from the kept log, by an entry and a tombstone each.

The restore itself destroyed what the backup had of them. But what said so is in a log that goes on no more: without
it they would look as if somebody had written into their rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exchange.audit import Detail, Entry, EventName, Outcome
from exchange.kernel import ForbiddenError
from exchange.store import GivenTo, Parts
from exchange.usecases.life.destructions import ask_each
from exchange.usecases.life.tombstones import end_within, has_ended, tombstone_told
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.originating import OwnReport
from exchange.usecases.steps.recording import actor_of
from exchange.usecases.steps.sealed_headers import UNOPENED, known_class


@dataclass(frozen=True, slots=True)
class EndTold:
    """How a report ended, by the entry that tells it, and to whom it was given between the backup and that."""

    entry: Entry
    given: tuple[GivenTo, ...]


async def end_again(services: Services, call: Call, ends: Sequence[EndTold]) -> None:
    """Record each of these ends anew: when it came, and by whom, as its entry in the kept log tells it.

    Of whom only that log says that a recalled report was given to them destruction is asked at once: who reads the
    log of the restored exchange, as the sweep of recalled reports does, finds all others.

    Passed over are reports that came after the backup, and those whose rows were altered before it: they stay as they
    are, which is told of them.
    """
    if not call.is_host:
        raise ForbiddenError("what ended since a backup is ended again at the host alone")
    # All are looked up first: each look reads what waits for its place in the log, and each end adds to that.
    found = [(told, own) for told in ends if (own := await _come_back(services, told)) is not None]
    for told, own in found:
        await _end(services, call, own, told)


async def _come_back(services: Services, told: EndTold) -> OwnReport | None:
    report = told.entry["object"]["id"]
    try:
        row = await services.store.report_for("", report, parts=Parts.NONE)
        # The entry of an end was on its way to its place perhaps when the backup was made: then it is in there.
        if row.report is None or await has_ended(services, report):
            return None
        return OwnReport(None, row.state, row.report, await known_class(services, row.report))
    except UNOPENED:
        return None


async def _end(services: Services, call: Call, own: OwnReport, told: EndTold) -> None:
    event, said = EventName(told.entry["type"]), tombstone_told(told.entry).content
    words = {name: str(said[name]) for name in ("by", "reason") if name in said}
    if told.entry["object"].get("version") != own.report.version:
        # It was written about a later version, which may have been marked higher than what came back.
        words.pop("reason", None)
    at = str(said["at"])
    detail: Detail = {**words, "ended_at": at, "restored": told.entry["id"]}
    entry = replace(own.entry(call, event, Outcome.PERMITTED, detail=detail), actor=actor_of(call, None))
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        await book.hold_order()
        await end_within(services, unit, own, entry, {**words, "at": at})
        if event is EventName.REPORT_RECALLED:
            # What says that destruction of a report was asked that had not ended, somebody wrote there.
            await ask_each(unit, entry, told.given, await book.asked_to_destroy(own.report.id))
