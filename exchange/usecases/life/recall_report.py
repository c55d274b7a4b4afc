"""Recall a report: its keys are destroyed at once, a signed tombstone stays, and who was given it is asked to destroy.

Steps: (1) the originator's releaser; (2) it is not recalled yet; (3) keys, header and ciphertext are overwritten, the
entry and the tombstone become durable with that: from the next request on nobody opens it, on any node; (4) the log
says who had read it, and each is asked. What an open answer still carries was permitted before, and is on the record;
of a part that is shown in pieces no more is shown (`read_part`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from exchange.audit import EventName, Outcome
from exchange.kernel import ExchangeError
from exchange.markings import render_marking
from exchange.members import Role
from exchange.store import DestructionRow, EndCause, TombstoneRow, Unread
from exchange.usecases.life.destructions import ask_destruction, unread_destruction, unread_tombstone
from exchange.usecases.life.told_destructions import borne_out
from exchange.usecases.life.tombstones import end_report, require_not_ended, told_tombstone
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.given_to import given_to
from exchange.usecases.steps.judging import report_not_found
from exchange.usecases.steps.originating import own_report
from exchange.usecases.steps.recording import on_record
from exchange.usecases.steps.unread import record_unread

_RECALL = EventName.REPORT_RECALLED


@dataclass(frozen=True, slots=True)
class Recall:
    """A recalled report as its originator sees it: the tombstone, and of whom destruction was asked."""

    tombstone: TombstoneRow
    asked: tuple[DestructionRow, ...]


async def recall_report(services: Services, call: Call, report_id: str, reason: str) -> Recorded[Recall]:
    """Recall a report of the caller's own member, for good.

    Raises ForbiddenError without the releaser's role, NotFoundError for a report that is not its own, ConflictError
    for one that was recalled before.
    """
    # (1) whose it is
    own = await own_report(services, call, report_id, Role.RELEASER, event=_RECALL)
    async with on_record(services, own.entry(call, _RECALL, Outcome.REFUSED)):
        # (2), (3) once, and for good
        stone, receipt = await end_report(services, call, own, EndCause.RECALLED, reason)
    # (4) in a transaction of its own: what it finds must not be able to keep a report from being recalled
    try:
        asked = await ask_destruction(services, own.entry(call, _RECALL, Outcome.PERMITTED), own.report.id)
    except ExchangeError:
        # It is recalled, and told as recalled, though the log be away now, or what its releaser may do be changed.
        asked = ()  # the sweep of recalled reports asks again
    return Recorded(Recall(stone, asked), receipt)


@dataclass(frozen=True, slots=True)
class RecallOutlook:
    """What a recall would end, and how many clients of which members it would ask to destroy the report.

    No client is named: whoever looks has recalled nothing.
    """

    report: str
    version: int
    agreement: str
    scope: str
    marking: str
    given: Mapping[str, int]


async def preview_recall(services: Services, call: Call, report_id: str) -> Recorded[RecallOutlook]:
    """Return what a recall would do, to the originator's releaser; nothing is changed.

    Raises what `recall_report` raises.
    """
    event = EventName.REPORT_RECALL_READ
    own = await own_report(services, call, report_id, Role.RELEASER, event=event)
    async with on_record(services, own.entry(call, event, Outcome.REFUSED)):
        await require_not_ended(services, own)
    # Behind the unit: however often it was read, whoever writes does not wait for the look through the log.
    given = Counter(each.member for each in await given_to(services, own.report.id))
    receipt = await services.store.append(own.entry(call, event, Outcome.PERMITTED, detail={"outlook": "yes"}))
    facts, catalogue = own.facts, services.law.catalogue
    marking = render_marking(facts.label, catalogue, originator=facts.originator)
    members = dict(sorted(given.items()))
    outlook = RecallOutlook(own.report.id, own.version, facts.agreement, facts.scope, marking, members)
    return Recorded(outlook, receipt)


async def show_recall(services: Services, call: Call, report_id: str) -> Recorded[Recall]:
    """Return a recall, to the originator's releaser: who had the report, and who has certified its destruction.

    Of how many clients it was asked besides, of which nothing can be read any more, is told.
    """
    event = EventName.REPORT_RECALL_READ
    own = await own_report(services, call, report_id, Role.RELEASER, event=event)
    report = own.report.id
    async with on_record(services, own.entry(call, event, Outcome.REFUSED)):
        stone, is_as_kept = await told_tombstone(services, report, own.report.status)
        if stone is None:
            raise report_not_found()
        async with services.store.unit_of_work() as unit:
            asked, altered = await unit.reports().destructions(report=report)
        asked, others = await borne_out(services, asked)
        receipt = await services.store.append(own.entry(call, event, Outcome.PERMITTED))
    altered = list({each.client: each for each in (*altered, *others)}.values())
    unread = Unread([unread_destruction(each) for each in altered])
    unread.rows += () if is_as_kept else [unread_tombstone(report)]
    await record_unread(services, unread, own.client)
    return Recorded(Recall(stone, tuple(asked)), receipt, len(altered))
