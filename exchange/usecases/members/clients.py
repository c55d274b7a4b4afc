"""Clients: enrol, show, list, change, and their certificates.

The exchange's operators enrol for every member, a member's own operators for their member only;
a member's other clients see their member's. Every change is an entry that stands in the
member's audit slice, so that an operator who enrols an impostor is seen by the member it claims to serve.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from exchange.audit import EventName, Outcome, Receipt, Subject
from exchange.audit.certificates_told import BLIND_BYTES, CertificateMark, CertificatesTold, detail_of, mark_of
from exchange.audit.rows_told import RowKind
from exchange.crypto import CertificateFacts
from exchange.kernel import (
    ConflictError,
    Fault,
    InvalidError,
    MalformedError,
    NotFoundError,
    PreconditionError,
    is_uuid7,
    new_id,
    rfc3339,
)
from exchange.members import (
    ORGANISATIONS,
    Clearance,
    ClearanceWords,
    Client,
    ClientId,
    Member,
    Role,
    Standing,
    check_agency,
    check_name,
    check_nationality,
    check_purposes,
    check_roles,
    grant_clearance,
    resumed,
    revoked,
    suspended,
    unmoved,
    with_clearance,
)
from exchange.store import UnitOfWork, Unread
from exchange.usecases.members.members import known_member
from exchange.usecases.members.stopped_clients import require_own_stop, takes_over
from exchange.usecases.members.vouching import authority_fault
from exchange.usecases.steps.authenticate import admit_or_host, kept_to, may_see, require_own_member
from exchange.usecases.steps.collecting import Collected
from exchange.usecases.steps.context import DEFAULT_PURPOSE, Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.positions import open_id, seal_id
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.taken_away_again import SaidByRowError, is_standing_told, taken_away
from exchange.usecases.steps.told_entries import told_until_now
from exchange.usecases.steps.unread import record_unread

_LIST = "clients"


class CertificateStep(Protocol):
    """Gives a certificate to a client, or ends its use, and returns its mark."""

    async def __call__(
        self, unit: UnitOfWork, client: Client, operator: Client | None, /, *, is_again: bool
    ) -> CertificateMark | None:
        """Do it, within the unit."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A client to enrol. `level` is a level of the base policy; `nationality` None means the member's own code."""

    name: str
    member: str
    agency: str
    roles: tuple[str, ...]
    level: str
    certificate: CertificateFacts
    compartments: tuple[str, ...] = ()
    nationality: str | None = None
    until: datetime | None = None
    purposes: tuple[str, ...] = (DEFAULT_PURPOSE,)


@dataclass(frozen=True, slots=True)
class ClearanceChange:
    """A new clearance; it replaces the old one whole."""

    level: str
    compartments: tuple[str, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client and the thumbprints of its active certificates."""

    client: Client
    thumbprints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClientPage:
    """Clients by id; `next` is what to give as `after` for those behind them, None on the last page."""

    views: tuple[ClientView, ...]
    next: str | None


async def enrol_client(services: Services, call: Call, enrolment: Enrolment) -> Recorded[ClientView]:
    """Enrol a client of an existing member.

    Raises InvalidError with every fault found, ConflictError for a certificate that is or was in use.
    """
    operator = await admit_or_host(services, call, Role.OPERATOR, event=EventName.CLIENT_ENROLLED)
    await require_own_member(services, call, operator, enrolment.member, event=EventName.CLIENT_ENROLLED)
    attempt = draft(call, operator, EventName.CLIENT_ENROLLED, Outcome.REFUSED)
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        # Before its member is looked at: who suspends that comes first, or behind the enrolment.
        await unit.reports().hold_order()
        member = await known_member(unit, enrolment.member)
        client = _checked_client(services, call, operator, enrolment, member)
        certificate = enrolment.certificate
        blind = services.randomness(BLIND_BYTES)
        await unit.add_client(client, certificate, blind)
        mark = mark_of(client.id, certificate.thumbprint, certificate.public_key, blind)
        receipt = await _record(unit, call, operator, EventName.CLIENT_ENROLLED, client, mark=mark)
    return Recorded(ClientView(client, (certificate.thumbprint,)), receipt)


async def list_clients(
    services: Services, call: Call, *, after: str | None = None, limit: int = 100
) -> Recorded[ClientPage]:
    """Return clients by id after `after`: all to an operator, to anyone else those of its own member.

    Raises MalformedError for an `after` that was not given to this client; the host's own operator pages by ids.
    """
    caller, unread = await admit_or_host(services, call, event=EventName.CLIENT_LISTED), Unread()
    attempt = draft(call, caller, EventName.CLIENT_LISTED, Outcome.REFUSED)
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        place = after if caller is None else open_id(services, caller, after, of=_LIST)
        if place is not None and not is_uuid7(place):
            raise MalformedError("`after` is no place in this list: use `next` of your own last page")
        clients = await unit.clients(member=kept_to(caller), after=place, limit=limit, unread=unread)
        views = tuple([await _viewed(unit, client) for client in clients])
        receipt = await unit.record(draft(call, caller, EventName.CLIENT_LISTED, Outcome.PERMITTED))
    # What could not be read has its place on the page.
    seen = [*(str(client.id) for client in clients), *(row.place.removeprefix("client ") for row in unread.rows)]
    # What somebody wrote in the place of an id is no place in the list.
    last = max(filter(is_uuid7, seen), default=None) if len(seen) == limit else None
    following = last if last is None or caller is None else seal_id(services, caller, last, of=_LIST)
    return Recorded(ClientPage(views, following), receipt, await record_unread(services, unread, caller))


async def show_client(services: Services, call: Call, client_id: str) -> Recorded[ClientView]:
    """Return one client; another member's is answered like an absent one."""
    caller = await admit_or_host(services, call, event=EventName.CLIENT_LISTED)
    attempt = draft(call, caller, EventName.CLIENT_LISTED, Outcome.REFUSED, subject=named("client", client_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        client = await visible_client(unit, caller, client_id)
        view = await _viewed(unit, client)
        subject = Subject("client", client.id, client.version)
        receipt = await unit.record(
            draft(call, caller, EventName.CLIENT_LISTED, Outcome.PERMITTED, subject=subject, owner=client.member)
        )
    return Recorded(view, receipt)


async def change_clearance(
    services: Services, call: Call, client_id: str, change: ClearanceChange, *, if_version: int | None = None
) -> Recorded[ClientView]:
    """Give a client a new clearance, from the next request on."""

    def changed(client: Client) -> Client:
        clearance = _checked_clearance(services, call, change.level, change.compartments, change.until)
        return with_clearance(client, clearance)

    return await _change(services, call, client_id, changed, event=EventName.CLIENT_CHANGED, if_version=if_version)


async def change_standing(
    services: Services, call: Call, client_id: str, standing: Standing, *, if_version: int | None = None
) -> Recorded[ClientView]:
    """Suspend, resume or revoke a client, from the next request on; a revocation is final.

    What the exchange suspended it alone resumes: ConflictError for the operator of a member. A client that its member
    suspended already the exchange suspends besides.
    """
    steps: dict[Standing, tuple[Callable[[Client], Client], EventName]] = {
        Standing.ACTIVE: (resumed, EventName.CLIENT_CHANGED),
        Standing.SUSPENDED: (suspended, EventName.CLIENT_CHANGED),
        Standing.REVOKED: (revoked, EventName.CLIENT_REVOKED),
    }
    step, event = steps[standing]
    return await _change(services, call, client_id, step, event=event, if_version=if_version)


async def add_certificate(
    services: Services, call: Call, client_id: str, certificate: CertificateFacts
) -> Recorded[ClientView]:
    """Let a client use a second certificate beside its first, for rotation; two at most are active."""

    async def add(unit: UnitOfWork, client: Client, operator: Client | None, *, is_again: bool) -> CertificateMark:
        del is_again  # nothing is given twice
        if faults := _certificate_faults(services, call, operator, client.member, certificate):
            raise InvalidError("the certificate cannot be added", tuple(faults))
        blind = services.randomness(BLIND_BYTES)
        await unit.add_certificate(client.id, certificate, blind)
        return mark_of(client.id, certificate.thumbprint, certificate.public_key, blind)

    return await _change_certificates(services, call, client_id, add, event=EventName.CERTIFICATE_ADDED)


async def remove_certificate(services: Services, call: Call, client_id: str, thumbprint: str) -> Recorded[ClientView]:
    """End the use of one certificate, from the next request on; it can never be enrolled again."""

    async def remove(unit: UnitOfWork, client: Client, _: Client | None, *, is_again: bool) -> CertificateMark | None:
        if not thumbprint.isascii() or not thumbprint.isalnum():
            raise NotFoundError("the client uses no such certificate")
        try:
            return await unit.remove_certificate(client.id, thumbprint)
        except NotFoundError as refusal:
            mark = await unit.held_certificates().ended(client.id, thumbprint)
            if not is_again:
                raise SaidByRowError(refusal, lambda: _is_told_removed(services, client, mark)) from None
            return mark

    return await _change_certificates(services, call, client_id, remove, event=EventName.CERTIFICATE_REMOVED)


async def _is_told_removed(services: Services, client: Client, mark: CertificateMark | None) -> bool:
    told = CertificatesTold()
    async for entry in told_until_now(services, EventName.CERTIFICATE_REMOVED, subject=client.id):
        told.take(entry)
    return told.has_ended(client.id, mark)


async def _change(  # noqa: PLR0913  a change, and under which name and condition it is recorded
    services: Services,
    call: Call,
    client_id: str,
    step: Callable[[Client], Client],
    *,
    event: EventName,
    if_version: int | None,
) -> Recorded[ClientView]:
    operator = await admit_or_host(services, call, Role.OPERATOR, event=event)
    attempt = draft(call, operator, event, Outcome.REFUSED, subject=named("client", client_id))

    async def change(*, is_again: bool) -> Recorded[ClientView]:
        async with services.store.unit_of_work() as unit:
            client = await visible_client(unit, operator, client_id)
            if if_version is not None and if_version != client.version:
                message = f"the client is at version {client.version}: read it again and repeat the change"
                raise PreconditionError(message)
            is_taken_over = step is suspended and await takes_over(services, operator, client)
            changed = unmoved(client) if is_taken_over else _stepped(services, client, step, is_again=is_again)
            if client.standing is Standing.SUSPENDED and changed.standing is Standing.ACTIVE:
                await require_own_stop(services, operator, client)
            await unit.put_client(changed)
            view = await _viewed(unit, changed)
            receipt = await _record(unit, call, operator, event, changed)
        return Recorded(view, receipt)

    return await taken_away(services, attempt, change)


def _stepped(services: Services, client: Client, step: Callable[[Client], Client], *, is_again: bool) -> Client:
    try:
        return step(client)
    except ConflictError as refusal:
        if step not in {suspended, revoked}:
            raise
        if not is_again:
            is_told = partial(is_standing_told, services, RowKind.CLIENT, client)
            raise SaidByRowError(refusal, is_told) from None
        return unmoved(client)


async def _change_certificates(
    services: Services, call: Call, client_id: str, step: CertificateStep, *, event: EventName
) -> Recorded[ClientView]:
    operator = await admit_or_host(services, call, Role.OPERATOR, event=event)
    attempt = draft(call, operator, event, Outcome.REFUSED, subject=named("client", client_id))

    async def change(*, is_again: bool) -> Recorded[ClientView]:
        async with services.store.unit_of_work() as unit:
            client = await visible_client(unit, operator, client_id)
            mark = await step(unit, client, operator, is_again=is_again)
            view = await _viewed(unit, client)
            receipt = await _record(unit, call, operator, event, client, mark=mark)
        return Recorded(view, receipt)

    return await taken_away(services, attempt, change)


async def _viewed(unit: UnitOfWork, client: Client) -> ClientView:
    return ClientView(client, tuple(await unit.certificates(client.id)))


async def visible_client(unit: UnitOfWork, caller: Client | None, client_id: str) -> Client:
    """Return a client that the caller may see; NotFoundError for any other one, as for an absent one."""
    client = await unit.client(sought_id(client_id))
    if client is None or not may_see(caller, client.member):
        raise NotFoundError("no such client, or none that you may see")
    return client


def _certificate_faults(
    services: Services, call: Call, operator: Client | None, member: str, certificate: CertificateFacts
) -> list[Fault]:
    """Return why nobody of `member` could come with this certificate, or may not be enrolled with it by `operator`."""
    faults: list[Fault] = []
    if certificate.not_after <= call.now:
        faults.append(Fault("/certificate", "certificate-expired", "the certificate has expired: issue a new one"))
    if certificate.is_authority:
        told = "it is an authority's, with which nobody connects: give the client's own (`exchange ca add` takes these)"
        faults.append(Fault("/certificate", "authority-certificate", told))
    if (fault := authority_fault(services, operator, member, certificate)) is not None:
        faults.append(fault)
    return faults


def _checked_client(
    services: Services, call: Call, operator: Client | None, enrolment: Enrolment, member: Member | None
) -> Client:
    faults: list[Fault] = []
    if member is None:
        faults.append(Fault("/member", "unknown-member", f"no member `{enrolment.member[:20]}`: add it first"))
    elif member.standing is not Standing.ACTIVE:
        faults.append(Fault("/member", "member-suspended", f"member `{member.code}` is suspended: resume it first"))
    faults += _certificate_faults(services, call, operator, enrolment.member, enrolment.certificate)
    checked = Collected(faults)
    name = checked.value(lambda: check_name(enrolment.name), "")
    agency = checked.value(lambda: check_agency(enrolment.agency), "")
    roles = checked.value(lambda: check_roles(enrolment.roles), frozenset())
    purposes = checked.value(lambda: check_purposes(enrolment.purposes, services.law.vocabulary.purposes), ())
    nationality = checked.value(lambda: _nationality(enrolment), "")
    clearance = checked.value(
        lambda: _checked_clearance(services, call, enrolment.level, enrolment.compartments, enrolment.until), None
    )
    if faults or member is None or clearance is None:
        raise InvalidError("the client cannot be enrolled so", tuple(faults))
    return Client(
        id=ClientId(new_id(call.now, services.randomness)),
        version=1,
        name=name,
        member=member.code,
        agency=agency,
        roles=roles,
        clearance=clearance,
        nationality=nationality,
        purposes=purposes,
        standing=Standing.ACTIVE,
    )


def _nationality(enrolment: Enrolment) -> str:
    """Return the nationality given; where none is, the member's code, for the clients of a state."""
    if enrolment.nationality is None and enrolment.member in ORGANISATIONS:
        # An organisation is no nationality; what demands one (EYES ONLY) will refuse its client.
        return enrolment.member
    return check_nationality(enrolment.nationality or enrolment.member)


def _checked_clearance(
    services: Services, call: Call, level: str, compartments: tuple[str, ...], until: datetime | None
) -> Clearance:
    catalogue = services.law.catalogue
    registered = frozenset[str]().union(*(policy.compartments for policy in catalogue.policies.values()))
    words = ClearanceWords(levels=tuple(each.name for each in reversed(catalogue.base.levels)), compartments=registered)
    return grant_clearance(level, compartments, since=call.now, until=until, words=words)


async def _record(  # noqa: PLR0913  who did what to whom, and with which certificate
    unit: UnitOfWork,
    call: Call,
    operator: Client | None,
    event: EventName,
    client: Client,
    *,
    mark: CertificateMark | None = None,
) -> Receipt:
    entry = draft(
        call,
        operator,
        event,
        Outcome.PERMITTED,
        subject=Subject("client", client.id, client.version),
        owner=client.member,
        detail={
            "standing": client.standing.value,
            "roles": sorted(role.value for role in client.roles),
            "level": client.clearance.level,
            "compartments": list(client.clearance.compartments),
            # What decides besides, so that its row can be held against it.
            "agency": client.agency,
            "nationality": client.nationality,
            "purposes": list(client.purposes),
            "until": "" if client.clearance.until is None else rfc3339(client.clearance.until),
            **({} if mark is None else detail_of((mark,))),
        },
    )
    return await unit.record(entry)
