"""Downgrade a report: lower its label, and its parts', by the originator's releaser alone.

Steps: (1) the releaser's own report, in a state that allows it; (2) every new label is known and no higher than the
old one; (3) it stays as high as every report that it builds on, or
that one's originator consents; (4) sealed anew under the lower labels, in one
transaction with the entry.
"""

from exchange.audit import EventName, Outcome
from exchange.kernel import StalePolicyError, UnavailableError
from exchange.markings import Label
from exchange.members import Role
from exchange.reports import Downgrade, ReportAct, downgraded, require_act
from exchange.store import NoticeKind
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.life_checks import MadeVersion, require_above_sources, require_known_labels, require_version
from exchange.usecases.originating import OwnReport, opened_header, own_report
from exchange.usecases.recording import on_record
from exchange.usecases.report_moves import Move, contents_of, moved

_TRIES = 5
"""How often it is decided again because the policy moved under it."""

_EVENT = EventName.REPORT_DOWNGRADED


async def downgrade_report(
    services: Services, call: Call, report_id: str, wanted: Downgrade, *, if_version: int | None = None
) -> Recorded[MadeVersion]:
    """Lower the labels of a report of the caller's own member.

    Raises ForbiddenError without the releaser's role, NotFoundError for a report that is not its own, InvalidError
    with every fault of the labels, ConflictError where the report can no longer be downgraded, PreconditionError where
    it is not at `if_version`.
    """
    for _ in range(_TRIES):
        own = await own_report(services, call, report_id, Role.RELEASER, event=_EVENT)
        try:
            async with on_record(services, own.entry(call, _EVENT, Outcome.REFUSED)):
                require_version(own, if_version)
                return await _downgraded(services, call, own, wanted)
        except StalePolicyError:
            continue
    raise UnavailableError("the policy changed faster than the report could be downgraded: ask again")


async def _downgraded(services: Services, call: Call, own: OwnReport, wanted: Downgrade) -> Recorded[MadeVersion]:
    catalogue = services.law.catalogue

    def dominates(upper: Label, lower: Label) -> bool:
        return catalogue.dominates(upper, lower, originator=own.facts.originator)

    # (1) it can be
    require_act(own.status(call), ReportAct.DOWNGRADE)
    # (2) known, and lower
    await require_known_labels(services, own.state, wanted)
    before = await opened_header(services, call, own)
    after = downgraded(before, wanted, dominates=dominates)
    # (3) as high as its sources
    consents = await require_above_sources(services, call, after, own.state)
    # (4) in its place
    move = Move(ReportAct.DOWNGRADE, _EVENT, NoticeKind.DOWNGRADED, before, after, consents)
    receipt = await moved(services, call, own, move, await contents_of(services, call, own))
    return Recorded(MadeVersion.of(services, before, after), receipt)
