"""Members and clients: an operator enrols and changes, members see themselves."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.crypto import CertificateFacts, read_certificate, strict_fault
from exchange.entrypoints.api.parameters import AFTER, CLIENT_ID, IF_MATCH, LIMIT, page_limit
from exchange.entrypoints.http.routing import Operation, answered, read_as, read_change
from exchange.entrypoints.http.visit import Visit
from exchange.kernel import Fault, InvalidError, MalformedError
from exchange.members import Role, Standing
from exchange.usecases import (
    ClearanceChange,
    ClientView,
    Enrolment,
    Recorded,
    add_member,
    change_clearance,
    change_standing,
    enrol_client,
    list_clients,
    list_members,
    show_client,
)
from exchange.wire import (
    ClientBody,
    ClientChange,
    ClientEnrolment,
    ClientListBody,
    EnrolledClientBody,
    MemberAddition,
    MemberBody,
    MemberListBody,
)


@Operation(method="GET", path="/v1/members", action="member.list", answer=MemberListBody)
async def members(visit: Visit) -> Response:
    """List the members that this client may see: all for an operator, its own for others."""
    visit.read_query()
    recorded = await list_members(visit.services, visit.call)
    return answered(recorded, MemberListBody(items=[MemberBody.of(member) for member in recorded.value]))


@Operation(
    method="POST",
    path="/v1/members",
    action="member.add",
    body=MemberAddition,
    answer=MemberBody,
    status=201,
    errors=(409,),
    example={"code": "NOR", "name": "Norway"},
)
async def add(visit: Visit) -> Response:
    """Add a member."""
    addition = await read_as(visit, MemberAddition, Role.OPERATOR, event=EventName.MEMBER_ADDED)
    recorded = await add_member(visit.services, visit.call, addition.code, addition.name)
    return answered(recorded, MemberBody.of(recorded.value), status=201)


@Operation(method="GET", path="/v1/clients", action="client.list", answer=ClientListBody, parameters=(AFTER, LIMIT))
async def clients(visit: Visit) -> Response:
    """List the clients that this client may see: all for an operator, its own member's for others."""
    query = visit.read_query()
    limit = page_limit(query)
    recorded = await list_clients(visit.services, visit.call, after=query.get("after"), limit=limit)
    items = [ClientBody.of(view.client, view.thumbprints) for view in recorded.value.views]
    return answered(recorded, ClientListBody(items=items, next=recorded.value.next))


@Operation(
    method="POST",
    path="/v1/clients",
    action="client.enrol",
    body=ClientEnrolment,
    answer=EnrolledClientBody,
    status=201,
    errors=(409,),
    answer_headers=("Location", "ETag"),
    example={
        "name": "reader-1",
        "member": "NOR",
        "agency": "NSM",
        "roles": ["reader"],
        "clearance": {"level": "SECRET"},
        "certificate": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
    },
)
async def enrol(visit: Visit) -> Response:
    """Enrol a client with its certificate."""
    wanted = await read_as(visit, ClientEnrolment, Role.OPERATOR, event=EventName.CLIENT_ENROLLED)
    purposes = {} if wanted.purposes is None else {"purposes": tuple(wanted.purposes)}
    enrolment = Enrolment(
        name=wanted.name,
        member=wanted.member,
        agency=wanted.agency,
        roles=tuple(wanted.roles),
        level=wanted.clearance.level,
        compartments=tuple(wanted.clearance.compartments),
        nationality=wanted.nationality,
        until=wanted.clearance.until,
        certificate=_certificate(wanted.certificate),
        **purposes,
    )
    recorded = await enrol_client(visit.services, visit.call, enrolment)
    view, fault = recorded.value, strict_fault(enrolment.certificate.der)
    warning = None if fault is None else f"no node takes the certificate in a handshake: {fault}"
    body = EnrolledClientBody.of(view.client, view.thumbprints).model_copy(update={"warning": warning})
    headers = {"location": f"/v1/clients/{view.client.id}", "etag": f'"{view.client.version}"'}
    return answered(recorded, body, status=201, **headers)


@Operation(
    method="GET",
    path="/v1/clients/{id}",
    action="client.show",
    answer=ClientBody,
    parameters=(CLIENT_ID,),
    answer_headers=("ETag",),
)
async def show(visit: Visit) -> Response:
    """Show one client."""
    visit.read_query()
    recorded = await show_client(visit.services, visit.call, visit.path["id"])
    return _client_answer(recorded)


@Operation(
    method="PATCH",
    path="/v1/clients/{id}",
    action="client.change",
    body=ClientChange,
    answer=ClientBody,
    parameters=(CLIENT_ID, IF_MATCH),
    errors=(409, 412),
    answer_headers=("ETag",),
    example={"standing": "revoked"},
)
async def change(visit: Visit) -> Response:
    """Give a client a new clearance, or suspend, resume or revoke it, from its next request on."""
    wanted, version = await read_change(visit, ClientChange, Role.OPERATOR, event=EventName.CLIENT_CHANGED)
    client_id = visit.path["id"]
    match wanted:
        case ClientChange(clearance=None, standing=str() as standing):
            recorded = await change_standing(
                visit.services, visit.call, client_id, Standing(standing), if_version=version
            )
        case ClientChange(clearance=grant, standing=None) if grant is not None:
            clearance = ClearanceChange(grant.level, tuple(grant.compartments), grant.until)
            recorded = await change_clearance(visit.services, visit.call, client_id, clearance, if_version=version)
        case _:
            message = "change either `clearance` or `standing`"
            raise InvalidError(message, (Fault("", "invalid-value", message),))
    return _client_answer(recorded)


def _client_answer(recorded: Recorded[ClientView]) -> Response:
    body, version = ClientBody.of(recorded.value.client, recorded.value.thumbprints), recorded.value.client.version
    return answered(recorded, body, etag=f'"{version}"')


def _certificate(pem: str) -> CertificateFacts:
    try:
        if "PRIVATE KEY-----" in pem:
            raise MalformedError(
                "a private key came along, and is no secret any more: make another, and send its certificate alone"
            )
        return read_certificate(pem.encode())
    except MalformedError as exc:
        fault = Fault("/certificate", "bad-certificate", exc.message)
        raise InvalidError("the body has faults", (fault,)) from exc


OPERATIONS = (members, add, clients, enrol, show, change)
