"""Who could read a report, asked before it is posted."""

from collections.abc import Iterable

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.http.routing import Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.release import MemberOutlook
from exchange.usecases import SimulatedReport, simulate_release
from exchange.wire import AgencyReachBody, MemberReachBody, SimulationBody, SimulationRequest


@Operation(
    method="POST",
    path="/v1/simulations",
    action="release.simulate",
    body=SimulationRequest,
    answer=SimulationBody,
    errors=(409,),
    example={
        "agreement": "01980000-0000-7000-8000-000000000001",
        "scope": "cyber-threats",
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
        "part_labels": [None],
    },
)
async def simulate(visit: Visit) -> Response:
    """Who could read a report with these attributes, without posting it."""
    wanted = await read_as(visit, SimulationRequest, Role.CONTRIBUTOR, event=EventName.RELEASE_SIMULATED)
    asked = SimulatedReport(
        agreement=wanted.agreement,
        scope=wanted.scope,
        kind=wanted.kind,
        topic=wanted.topic,
        regions=tuple(wanted.regions),
        label=wanted.label.to_label(),
        part_labels=tuple(None if label is None else label.to_label() for label in wanted.part_labels),
    )
    recorded = await simulate_release(visit.services, visit.call, asked)
    return answered(recorded, simulation_body(recorded.value.members))


def simulation_body(members: Iterable[MemberOutlook]) -> SimulationBody:
    """Return who could read such a report, as the HTTP interface shows it."""
    return SimulationBody(members=[_reach(member) for member in members])


def _reach(outlook: MemberOutlook) -> MemberReachBody:
    agencies = [
        AgencyReachBody(agency=agency.agency, full=agency.full, tear_line=agency.tear_line)
        for agency in outlook.agencies
    ]
    reasons = [reason.value for reason in outlook.reasons]
    return MemberReachBody(member=outlook.member, can_read=bool(agencies), agencies=agencies, reasons=reasons)


OPERATIONS = (simulate,)
