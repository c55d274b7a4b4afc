"""Why and what if: explanations for auditors, what an agreement would do before it is proposed, what is left open."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.agreements import PROPOSE, document_as
from exchange.entrypoints.api.parameters import PURPOSE, REPORT_ID
from exchange.entrypoints.api.reports import explanation_body
from exchange.entrypoints.http.routing import Operation, Parameter, answered
from exchange.entrypoints.http.visit import Visit
from exchange.usecases import (
    PROPOSING_ROLES,
    AgreementOutlook,
    GapQuestion,
    explain_to_auditor,
    search_gaps,
    simulate_agreement,
)
from exchange.wire import (
    AgencyReachBody,
    AgreementOutlookBody,
    DraftLineBody,
    ExplanationBody,
    GapBody,
    GapListBody,
    OwnReachBody,
    TermsBody,
)


@Operation(
    method="GET",
    path="/v1/audit/reports/{id}/explanation",
    action="audit.explain",
    answer=ExplanationBody,
    parameters=(REPORT_ID, Parameter("client", "query", "The client's id.", required=True), PURPOSE),
)
async def explain(visit: Visit) -> Response:
    """Why a client may (not) see a report: for its originator's auditor and the exchange's."""
    query = visit.read_query()
    report_id = visit.path["id"]
    recorded = await explain_to_auditor(visit.services, visit.call, report_id, query.get("client", ""))
    return answered(recorded, explanation_body(report_id, recorded.value))


@Operation(
    method="POST",
    path="/v1/agreements/simulations",
    action="agreement.simulate",
    body=TermsBody,
    body_media=PROPOSE.body_media,
    answer=AgreementOutlookBody,
    example=PROPOSE.example,
)
async def simulate(visit: Visit) -> Response:
    """Who could post what to whom under a draft, and who of the caller's own member could read."""
    document = await document_as(visit, *PROPOSING_ROLES, event=EventName.AGREEMENT_SIMULATED)
    recorded = await simulate_agreement(visit.services, visit.call, document)
    return answered(recorded, outlook_body(recorded.value))


def outlook_body(outlook: AgreementOutlook) -> AgreementOutlookBody:
    """Return what a draft would do as JSON shows it."""
    return AgreementOutlookBody(
        title=outlook.title,
        lines=[
            DraftLineBody(scope=each.scope, contributor=each.contributor, reader=each.reader, highest=each.highest)
            for each in outlook.lines
        ],
        own=[
            OwnReachBody(
                scope=each.scope,
                level=each.level,
                agencies=[
                    AgencyReachBody(agency=one.agency, full=one.full, tear_line=one.tear_line) for one in each.agencies
                ],
            )
            for each in outlook.own
        ],
    )


@Operation(
    method="GET",
    path="/v1/gaps",
    action="release.search",
    answer=GapListBody,
    parameters=(
        Parameter("member", "query", "The other member; absent, all that an agreement is shared with."),
        Parameter("topic", "query", "One topic; absent, every topic of the vocabulary."),
        Parameter("kind", "query", "One kind of report; absent, any."),
        Parameter("region", "query", "One region; absent, any."),
        Parameter("level", "query", "Up to which level reports should go; absent, the highest."),
    ),
)
async def gaps(visit: Visit) -> Response:
    """What no agreement lets the caller's member post to others, or others to it."""
    query = visit.read_query()
    question = GapQuestion(
        member=query.get("member"),
        topic=query.get("topic"),
        kind=query.get("kind"),
        region=query.get("region"),
        level=query.get("level"),
    )
    recorded = await search_gaps(visit.services, visit.call, question)
    items = [
        GapBody(
            contributor=each.contributor,
            reader=each.reader,
            topic=each.topic,
            highest=each.highest,
            agreement=each.agreement,
            scope=each.scope,
            sentence=each.sentence,
        )
        for each in recorded.value
    ]
    return answered(recorded, GapListBody(items=items))


OPERATIONS = (simulate, gaps, explain)
