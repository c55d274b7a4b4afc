"""Downgrade a report: lower its label, and its parts', by the originator's releaser; above CONFIDENTIAL by two of them.

Whatever is lowered reaches more readers: by its level, a caveat that goes, or another member that is named. So it takes
the persons that onward release takes.

Steps: (1) the releaser's own report, in a state that allows it; (2) every new label is known and no higher than the
old one; (3) it stays as high as every report that it builds on, or that one's originator consents; (4) where what is
lowered stands above CONFIDENTIAL, a second releaser, who is shown it; all of this holds still when that one confirms;
(5) sealed anew under the lower labels, in one transaction with the entry.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from exchange.audit import Detail, EventName, Outcome, Receipt
from exchange.kernel import ConflictError, canonical_bytes
from exchange.markings import Label, render_marking
from exchange.members import DOWNGRADE, Client, PendingAct, Role
from exchange.reports import Downgrade, Header, ReportAct, downgraded, require_act
from exchange.store import NoticeKind, UnitOfWork
from exchange.usecases.life.consent_requests import is_above
from exchange.usecases.life.report_moves import Move, contents_of, moved, put_in_place, resealed
from exchange.usecases.posting.life_checks import (
    MadeVersion,
    require_above_sources,
    require_known_labels,
    require_version,
)
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.originating import (
    OwnReport,
    loaded_report,
    opened_header,
    own_report,
    require_may_know_still,
)
from exchange.usecases.steps.recording import on_record
from exchange.usecases.steps.second_person import ask, require_not_waiting

_EVENT = EventName.REPORT_DOWNGRADED


@decided_anew("the report could be downgraded: ask again")
async def downgrade_report(
    services: Services, call: Call, report_id: str, wanted: Downgrade, *, if_version: int | None = None
) -> Recorded[MadeVersion]:
    """Lower the labels of a report of the caller's own member; above CONFIDENTIAL ask a second releaser to.

    Raises ForbiddenError without the releaser's role, NotFoundError for a report that is not its own, InvalidError
    with every fault of the labels, ConflictError where the report can no longer be downgraded or a downgrade of it
    waits, PreconditionError where it is not at `if_version`.
    """
    own = await own_report(services, call, report_id, Role.RELEASER, event=_EVENT)
    async with on_record(services, own.entry(call, _EVENT, Outcome.REFUSED)):
        require_version(own, if_version)
        return await _downgraded(services, call, own, wanted)


async def ready_downgrade(
    services: Services, call: Call, client: Client, act: PendingAct
) -> Callable[[UnitOfWork], Awaitable[Receipt]]:
    """Return what does the downgrade that `client` confirms, sealed anew already: outside of any unit.

    Raises ConflictError where the report is another one by now, and as the downgrade itself.
    """
    asked = act.asked
    own = await loaded_report(services, call, client, asked["report"])
    if str(own.report.version) != asked["version"]:
        raise ConflictError("the report has changed since it was asked for: ask again", code="request-ended")
    move = await _move(services, call, own, _wanted(asked["labels"]))
    move = replace(move, people=(str(act.requester), str(client.id)))
    ready = await resealed(services, own, move, await contents_of(services, call, own))

    async def carry_out(unit: UnitOfWork) -> Receipt:
        await require_may_know_still(services, unit, call, act.requester, own)
        return await put_in_place(services, unit, call, ready)

    return carry_out


async def _downgraded(services: Services, call: Call, own: OwnReport, wanted: Downgrade) -> Recorded[MadeVersion]:
    move = await _move(services, call, own, wanted)
    # (4) by two
    if is_above(services, _lowered(move)):
        return await _asked(services, call, own, move)
    # (5) in its place
    receipt = await moved(services, call, own, move, await contents_of(services, call, own))
    return Recorded(MadeVersion.of(services, move.before, move.after), receipt)


async def _move(services: Services, call: Call, own: OwnReport, wanted: Downgrade) -> Move:
    dominates = partial(services.law.catalogue.dominates, originator=own.facts.originator)
    # (1) it can be
    require_act(own.status(call), ReportAct.DOWNGRADE)
    # (2) known, and lower
    await require_known_labels(services, own.state, wanted)
    before = await opened_header(services, call, own)
    after = downgraded(before, wanted, dominates=dominates)
    # (3) as high as its sources
    consents = await require_above_sources(services, call, after, own.state)
    return Move(ReportAct.DOWNGRADE, _EVENT, NoticeKind.DOWNGRADED, before, after, consents)


def _lowered(move: Move) -> list[Label]:
    """Return the labels that something stands under now and would stand under no more."""
    labels = zip(_labels(move.before), _labels(move.after), strict=True)
    return [before for before, after in labels if before != after]


async def _asked(services: Services, call: Call, own: OwnReport, move: Move) -> Recorded[MadeVersion]:
    client, report = own.caller, own.report.id
    async with services.store.unit_of_work() as unit:
        # Held: of two that ask at once the second one is told that it waits.
        held = await unit.reports().require_same(report, version=own.report.version, class_id=own.report.class_id)
        require_act(held.stored_status, move.act)
        # Of this version: what was asked of one before is done no more, whoever confirms it.
        await require_not_waiting(unit, DOWNGRADE, report=report, version=str(own.report.version))
        asked = _meant_by(services, move)
        act = await ask(services, unit, call, client, DOWNGRADE, asked=asked, members=[client.member])
        detail: Detail = {"act": act.id, "digest": act.digest}
        entry = own.entry(call, EventName.REPORT_DOWNGRADE_ASKED, Outcome.PERMITTED, detail=detail)
        receipt = await unit.record(entry)
    return Recorded(MadeVersion.standing(services, move.before, act=act.id), receipt)


def _meant_by(services: Services, move: Move) -> dict[str, str]:
    """Return all that a downgrade does, as its second person is shown it and confirms it."""
    before, after = move.before, move.after
    marking = partial(render_marking, catalogue=services.law.catalogue, originator=after.originator)
    parts = {f"part {part.number}": marking(part.label) for part in after.parts}
    return {
        "report": before.id,
        "version": str(before.version),
        "from": marking(before.label),
        "to": marking(after.label),
        **parts,
        "labels": canonical_bytes([label.as_json() for label in _labels(after)]).decode(),
    }


def _wanted(labels: str) -> Downgrade:
    """Return the downgrade to these labels: the report's, then those of its parts."""
    kept = json.loads(labels)
    report, *parts = (
        Label(
            policy=each["policy"],
            classification=each["classification"],
            compartments=tuple(each["compartments"]),
            releasable_to=tuple(each["releasable_to"]),
            handling=tuple(each["handling"]),
        )
        for each in kept
    )
    return Downgrade(report, tuple(parts))


def _labels(header: Header) -> list[Label]:
    return [header.label, *(part.label for part in header.parts)]
