"""Why may this client (not) see this report: to a reader who sees it, and to the originator's own people.

To anybody else, and to a releaser that the label is above, there is nothing to explain: the report does not exist.
"""

from dataclasses import replace
from typing import assert_never

from exchange.audit import Detail, EventName, Outcome
from exchange.members import Client, Role
from exchange.release import Explanation, Permit, Refusal, Use, Viewer, explain
from exchange.usecases.steps.as_it_left import as_originator_knows
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.facts import row_facts
from exchange.usecases.steps.judging import Judged, judged_draft, report_not_found, shown_draft
from exchange.usecases.steps.originating import may_know
from exchange.usecases.steps.recording import refuse
from exchange.usecases.steps.seeking import own_class, seek_report
from exchange.usecases.steps.unopened import Asker

_ORIGINATORS = frozenset({Role.CONTRIBUTOR, Role.RELEASER})


async def explain_report(services: Services, call: Call, report_id: str) -> Recorded[Explanation]:
    """Return every rule with its outcome, as far as the caller may know.

    Raises NotFoundError where the caller may not see the report and its member is not the originator.
    """
    event = EventName.REPORT_EXPLAINED
    sought = await seek_report(services, call, report_id, Role.READER, *_ORIGINATORS, event=event)
    client, judged = sought.client, sought.judged
    viewer = _viewer(services, call, client, judged)
    if viewer is None:
        return await refuse(services, judged_draft(call, client, event, judged), report_not_found())
    if not judged.report.sealed_header:
        # It has ended: nothing is sealed of it any more, and the log says what it was.
        await own_class(services, Asker(call, client, sought.row.state), judged.report, event=event)
    decided = (shown_draft if viewer is Viewer.READER else judged_draft)(call, client, event, judged)
    # What was permitted is the explanation, whatever the decision it explains.
    if viewer is Viewer.ORIGINATOR:
        judged = await as_originator_knows(services, call, judged)
    detail: Detail = {"viewer": viewer.value, "decision": decided.outcome.value}
    entry = replace(decided, outcome=Outcome.PERMITTED, detail={**decided.detail, **detail})
    return Recorded(explained(call, judged, viewer), await services.store.append(entry))


def explained(call: Call, judged: Judged, viewer: Viewer) -> Explanation:
    """Return every rule with its outcome for what was `judged`, as far as `viewer` may know."""
    row = row_facts(judged.report, call.now)
    return explain(judged.reader, judged.facts, judged.scope, row, Use.READ, judged.law, viewer)


def _viewer(services: Services, call: Call, client: Client, judged: Judged) -> Viewer | None:
    is_originators = client.member == judged.facts.originator and not client.roles.isdisjoint(_ORIGINATORS)
    if is_originators and may_know(services, call, client, judged.release_class):
        return Viewer.ORIGINATOR
    match judged.decision:
        case Permit():
            return Viewer.READER
        case Refusal():
            return None
        case other:
            assert_never(other)
