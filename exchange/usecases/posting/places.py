"""A report's place that is taken: by which one, its poster is told as far as it may know that there is one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

from exchange.kernel import ConflictError
from exchange.members import Client
from exchange.release import Permit, Reason, Refusal, View, covers_label
from exchange.reports import PlaceTakenError, ReportId
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.opening import open_sealed_header
from exchange.usecases.steps.seeking import judge_linked


@asynccontextmanager
async def taking_place(
    services: Services, call: Call, client: Client, superseded: ReportId | None
) -> AsyncIterator[None]:
    """Name what has taken the place that `client` would have another report take inside; enter it outside of units.

    `superseded` is the report whose place it is.
    """
    try:
        yield
    except PlaceTakenError as exc:
        # No clearance is asked of who posts (ADR 0009): what it may not see stays unknown to it.
        if not await _may_be_named(services, call, client, exc.by, superseded):
            raise
        raise ConflictError(
            f"the report is superseded: supersede {exc.by}, which took its place", code=exc.code
        ) from exc


async def _may_be_named(
    services: Services, call: Call, client: Client, report_id: str, superseded: ReportId | None
) -> bool:
    judged = await judge_linked(services, call, client, report_id)
    if judged is None or not judged.report.sealed_header:
        return False
    # INVARIANT: nobody is sent to another report by a row alone: what took a place says so where it is sealed.
    if (await open_sealed_header(services, judged.report, judged.release_class)).supersedes != superseded:
        return False
    match judged.decision:
        case Permit(view=View.FULL):
            return True
        case Refusal(reasons=(Reason.EXPIRED,)):
            # Shown to nobody any more, and still what is to be superseded.
            return covers_label(client.clearance, judged.facts.label, services.law.catalogue)
        case Permit() | Refusal():
            return False
        case other:
            assert_never(other)
