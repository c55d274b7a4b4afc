"""Who is calling, and may they act at all: the first step of every use case.

Nothing is remembered between calls: the client row is read each time, so a revocation
holds from the next request on, on every node.
"""

from dataclasses import replace
from typing import NoReturn

from exchange.audit import EventName, Outcome, Subject
from exchange.kernel import ExchangeError, ForbiddenError, NotAuthenticatedError, UnavailableError, is_uuid7
from exchange.members import EXCHANGE_MEMBER, Client, MemberCode, Role, inactive_error
from exchange.release import Reason
from exchange.store import CallerRow
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.recording import draft, inactive_detail, refuse
from exchange.usecases.steps.sealed_headers import owner_of


async def authenticate(services: Services, call: Call, *roles: Role, event: EventName) -> Client:
    """Return the enrolled, active client that holds one of `roles` (any role where none is named).

    Raises NotAuthenticatedError for a certificate nobody is enrolled with, ForbiddenError for a
    suspended or revoked client or a missing role; each is recorded under `event` before it is raised.
    """
    row = await services.store.caller(required_thumbprint(call))
    return await admit(services, call, row.client, *roles, event=event)


async def authenticated_row(services: Services, call: Call, *roles: Role, event: EventName) -> tuple[Client, CallerRow]:
    """Return the client that `authenticate` returns, and its row with the policy state that it was read with."""
    row = await services.store.caller(required_thumbprint(call))
    return await admit(services, call, row.client, *roles, event=event), row


async def admit(
    services: Services,
    call: Call,
    client: Client | None,
    *roles: Role,
    event: EventName,
    subject: Subject | None = None,
) -> Client:
    """Return `client`, already loaded, if it may act; else record why not and raise as `authenticate` does.

    `subject` is what the caller asked for, where it named something; the entry of a refusal says so.
    """
    if client is None:
        unknown = NotAuthenticatedError("this certificate is not enrolled: ask the exchange's operator to enrol it")
        return await _turn_away(services, call, None, event=event, error=unknown, subject=subject)
    error = _objection(client, roles)
    if error is not None:
        return await _turn_away(services, call, client, event=event, error=error, subject=subject)
    return client


async def admit_or_host(services: Services, call: Call, *roles: Role, event: EventName) -> Client | None:
    """Return the client that `authenticate` returns, or None for the operator at the host's own command line."""
    return None if call.is_host else await authenticate(services, call, *roles, event=event)


def kept_to(client: Client | None) -> MemberCode | None:
    """Return to whose things a caller is kept; None for the host and the exchange's operators, who see everybody's."""
    if client is None or (Role.OPERATOR in client.roles and client.member == EXCHANGE_MEMBER):
        return None
    return client.member


def may_see(client: Client | None, member: str) -> bool:
    """Return whether a caller sees what belongs to `member`."""
    return kept_to(client) in {None, member}


async def require_own_member(
    services: Services, call: Call, client: Client | None, member: str, *, event: EventName
) -> None:
    """Refuse a member's own operator that acts for another member; recorded before it is raised."""
    if may_see(client, member):
        return
    error = ForbiddenError("an operator acts for its own member only: ask the exchange's operator")
    await _turn_away(services, call, client, event=event, error=error)


def required_thumbprint(call: Call) -> str:
    """Return the certificate's thumbprint; a call without one has no identity here."""
    if call.thumbprint is None:
        raise NotAuthenticatedError("this act belongs to a member's client: call it with a client certificate")
    return call.thumbprint


def _objection(client: Client, roles: tuple[Role, ...]) -> ExchangeError | None:
    if not client.is_active:
        return inactive_error(client)
    if roles and client.roles.isdisjoint(roles):
        names = " or ".join(sorted(f"`{role.value}`" for role in roles))
        return ForbiddenError(f"this client lacks the role {names}", code=Reason.ROLE_MISSING.value)
    return None


async def _turn_away(  # noqa: PLR0913  what the entry of a refusal says
    services: Services,
    call: Call,
    client: Client | None,
    *,
    event: EventName,
    error: ExchangeError,
    subject: Subject | None = None,
) -> NoReturn:
    # The codes of these errors are the contract's reason codes.
    refusal = draft(
        call, client, event, Outcome.REFUSED, reasons=(error.code,), subject=subject, detail=inactive_detail(error)
    )
    await refuse(services, replace(refusal, owner=await _originator(services, subject)), error)


async def _originator(services: Services, subject: Subject | None) -> str | None:
    """Return whose report was asked for, so that the originator sees who tried; asked alike of reports there are not.

    The client is told nothing of it: not by the answer, nor by what its own auditor sees.
    """
    if subject is None or subject.kind != "report" or not is_uuid7(subject.id):
        return None
    try:
        return await owner_of(services, subject.id)
    except UnavailableError:
        return None  # the log's archive is away: the refusal is the same
