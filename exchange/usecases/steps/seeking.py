"""A report that somebody names: judged by its row, and given by nothing but what is sealed of it.

Steps: (1) the decision by the row; (2) what is sealed opens for the class that was decided on; (3) where it does not,
that is on record, and whoever the log says may not see the report is answered as if there were none.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

from exchange.audit import EventName
from exchange.crypto import OpeningError
from exchange.kernel import UnavailableError
from exchange.members import Client, Role
from exchange.release import Permit
from exchange.store import ClassRow, Parts, PolicyState, PullRow, ReportRow
from exchange.usecases.steps.authenticate import admit, required_thumbprint
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.judging import (
    Judged,
    absent_draft,
    asked_for,
    check_call,
    judge_row,
    judged_draft,
    report_not_found,
    sought_id,
)
from exchange.usecases.steps.recording import TamperedError, refuse
from exchange.usecases.steps.sealed_headers import UNOPENED, known_class, require_not_contradicted, sealed_header_json
from exchange.usecases.steps.unopened import Asker, record_unopened, refuse_to_others


@dataclass(frozen=True, slots=True)
class Sought:
    """A report that a caller named, the rows that were loaded with it, and what is decided about it."""

    client: Client
    row: PullRow
    judged: Judged


async def seek_report(
    services: Services, call: Call, report_id: str, *roles: Role, event: EventName, parts: Parts | int = Parts.NONE
) -> Sought:
    """Return the report that a caller with one of `roles` names; what a Refusal means is for who asks to say.

    Raises what `admit` and `check_call` raise, and the one NotFoundError where there is none: recorded under `event`.
    """
    asked = sought_id(report_id)
    row = await services.store.report_for(required_thumbprint(call), asked, parts=parts)
    client = await admit(services, call, row.client, *roles, event=event, subject=asked_for(report_id))
    await check_call(services, call, client, row.state, event=event)
    if row.report is None:
        await judge_decoy(services, call, client, row.state, event=event)
        return await refuse(services, absent_draft(call, client, event, report_id), report_not_found())
    try:
        return Sought(client, row, await judge(services, call, client, row.report, row.state))
    except UnavailableError:
        # Altered, or the log or custody is away: to whom it is nobody's the answer is the one for an absent one.
        await refuse_to_others(services, Asker(call, client, row.state), row.report, event=event)
        raise


async def judge_decoy(services: Services, call: Call, client: Client, state: PolicyState, *, event: EventName) -> None:
    """Do for a report that is not there what is done for one that stays invisible to a reader; see `open_decoy`."""
    decoy = services.knowledge.decoy
    with suppress(*UNOPENED, ValueError, UnavailableError):
        if decoy is not None:
            judged = await judge_row(services, call, client, decoy, state)
            await sealed_header_json(services, decoy, judged.release_class)
            judged_draft(call, client, event, judged)


async def judge(  # noqa: PLR0913  one call's surroundings, and the report looked at
    services: Services, call: Call, client: Client, report: ReportRow, state: PolicyState, *, is_asked: bool = True
) -> Judged:
    """Return the decision about `report` for `client` in this call, with everything it rested on.

    Raises TamperedError, recorded, where the report is not what its row says: in the service's own name where nobody
    has asked.
    """
    try:
        # (1) by the row
        judged = await judge_row(services, call, client, report, state)
        # (2) as it is sealed: a refusal's entry says whose the report is
        if not report.sealed_header and not isinstance(judged.decision, Permit):
            await require_not_contradicted(services, report, judged.release_class)
            return judged
        header_json = await sealed_header_json(services, report, judged.release_class)
    except (*UNOPENED, ValueError) as exc:
        return await record_unopened(services, Asker(call, client, state), report, exc, is_asked=is_asked)
    # INVARIANT: without a Permit what was opened has said whose the report is, and goes no further.
    return replace(judged, header_json=header_json) if isinstance(judged.decision, Permit) else judged


async def judge_linked(services: Services, call: Call, client: Client, report_id: str) -> Judged | None:
    """Return the decision about a report that another one names.

    None where there is no such report, where it was altered, which is on record, and where it has ended and nobody
    reads the log: that takes nothing from what names it.
    """
    row = await services.store.report_for(required_thumbprint(call), report_id, parts=Parts.NONE)
    if row.report is None:
        return None
    try:
        return await judge(services, call, client, row.report, row.state)
    except TamperedError:
        return None
    except UnavailableError:
        if row.report.sealed_header:
            raise
        return None  # ended, so shown to nobody, whatever the log would say of it


async def own_class(services: Services, asker: Asker, report: ReportRow, *, event: EventName) -> ClassRow:
    """Return the release class of a report for its originator's people, and for auditors: see `known_class`.

    That its row says another one is on record, and takes it from nobody whose it is. Raises TamperedError, recorded,
    where nothing says which one it is, and to whoever the log says may not know of the report the one NotFoundError,
    recorded under `event`.
    """
    kept: ClassRow | None = None
    cause: Exception = OpeningError("a report is of another release class than its row says")
    try:
        kept = await known_class(services, report)
    except (*UNOPENED, ValueError) as exc:
        cause = exc
    except UnavailableError:
        await refuse_to_others(services, asker, report, event=event)
        raise
    if kept is not None and kept.id == report.class_id:
        return kept
    try:
        return await record_unopened(services, asker, report, cause)
    except TamperedError:
        await refuse_to_others(services, asker, report, event=event)
        if kept is None:
            raise
        return kept
