"""Amend a report: a new version in the place of the one before, by the originator's contributors.

Steps: (1) a contributor's own report, current; (2) the new version is checked like a post under the same scope, its
sources included; (3) no marking becomes lower, and what the report built on it builds on still; (4) sealed anew, the
version before provable by its digest; who was given the report is told, and told that it was raised where it was.
"""

from dataclasses import replace
from functools import partial

from exchange.agreements import AgreementId
from exchange.audit import EventName, Outcome
from exchange.members import Role
from exchange.reports import PostedReport, ReportAct, amended, require_act, whole_contents
from exchange.store import NoticeKind
from exchange.usecases.life.report_moves import Move, moved
from exchange.usecases.posting.kept_sources import with_kept_sources
from exchange.usecases.posting.life_checks import MadeVersion, require_version
from exchange.usecases.posting.post_checks import check_sources, compose, require_in_force
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.facts import stated_purpose
from exchange.usecases.steps.originating import OwnReport, opened_header, own_report
from exchange.usecases.steps.recording import on_record
from exchange.usecases.steps.unread import known_agreements

_EVENT = EventName.REPORT_AMENDED


@decided_anew("the report could be amended: ask again")
async def amend_report(  # noqa: PLR0913  one call's surroundings, the report, and what is to become of it
    services: Services,
    call: Call,
    report_id: str,
    posted: PostedReport,
    *,
    keeps_precedence: bool = False,
    if_version: int | None = None,
) -> Recorded[MadeVersion]:
    """Put a new version in the place of a report of the caller's own member.

    Agreement, scope and what the report supersedes stay: those of `posted` are passed over, and so is its precedence
    where the report keeps its own. Raises ForbiddenError without the contributor's role, NotFoundError for a report
    that is not its own, InvalidError with every fault, ConflictError where the report is current no longer or somebody
    else came first, PreconditionError where it is not at `if_version`.
    """
    own = await own_report(services, call, report_id, Role.CONTRIBUTOR, event=_EVENT)
    async with on_record(services, own.entry(call, _EVENT, Outcome.REFUSED)):
        require_version(own, if_version)
        return await _amended(services, call, own, posted, keeps_precedence=keeps_precedence)


async def _amended(
    services: Services, call: Call, own: OwnReport, posted: PostedReport, *, keeps_precedence: bool
) -> Recorded[MadeVersion]:
    catalogue, facts = services.law.catalogue, own.facts
    dominates = partial(catalogue.dominates, originator=facts.originator)
    # (1) it can be
    require_act(own.status(call), ReportAct.AMEND)
    stated_purpose(services, call, own.caller)
    agreements = await known_agreements(services, own.state)
    agreement = require_in_force(agreements.get(AgreementId(facts.agreement)), own.caller, call)
    # (2) as if it were posted
    before = await opened_header(services, call, own)
    precedence = before.precedence if keeps_precedence else posted.precedence
    posted = replace(posted, agreement=facts.agreement, scope=facts.scope, supersedes=None, precedence=precedence)
    built = await check_sources(services, call, own.caller, posted, own.state, kept=before.references)
    members = await services.knowledge.member_codes(services.store, own.state)
    composed = compose(services, call, own.caller, posted, agreement=agreement, members=members, faults=built.faults)
    # (3) not lower
    after = amended(before, composed, dominates=dominates)
    after, kept = await with_kept_sources(services, call, after, before.references, own.state, place="/label")
    # (4) in its place
    is_raised = not dominates(before.label, after.label)
    notice = NoticeKind.UPGRADED if is_raised else NoticeKind.AMENDED
    move = Move(ReportAct.AMEND, _EVENT, notice, before, after, (*kept, *built.consents))
    receipt = await moved(services, call, own, move, whole_contents(posted))
    return Recorded(MadeVersion.of(services, before, after), receipt)
