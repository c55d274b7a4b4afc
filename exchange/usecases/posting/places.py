"""A report's place that is taken: by which one, its poster is told as far as it may know that there is one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

from exchange.kernel import ConflictError
from exchange.members import Client
from exchange.release import Permit, Reason, Refusal, View, covers_label
from exchange.reports import PlaceTakenError
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.seeking import judge_linked


@asynccontextmanager
async def taking_place(services: Services, call: Call, client: Client) -> AsyncIterator[None]:
    """Name what has taken the place that `client` would have another report take inside; enter it outside of units."""
    try:
        yield
    except PlaceTakenError as exc:
        # No clearance is asked of who posts (ADR 0009): what it may not see stays unknown to it.
        if not await _may_be_named(services, call, client, exc.by):
            raise
        raise ConflictError(
            f"the report is superseded: supersede {exc.by}, which took its place", code=exc.code
        ) from exc


async def _may_be_named(services: Services, call: Call, client: Client, report_id: str) -> bool:
    judged = await judge_linked(services, call, client, report_id)
    if judged is None:
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
