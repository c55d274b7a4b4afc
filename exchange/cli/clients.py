"""`exchange client` and `exchange ca`: who may connect, as whom, and cleared for what."""

import os
import re
from datetime import datetime
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import Annotated

import typer

from exchange.audit import EventName, Subject
from exchange.cli import output
from exchange.cli.asking import YesOption, ask_meanwhile, is_asked
from exchange.cli.client_group import IdArgument, clients
from exchange.cli.enrolment import (
    NAMES,
    NAMES_WITHOUT_KEY,
    Newcomer,
    all_clients,
    enrol_with_files,
    enrolled_before,
    issue_into,
    read_pem,
    refusal_recorded,
    release_folder,
)
from exchange.cli.given import day_or_moment
from exchange.cli.instance import Host, put_file
from exchange.cli.program import app
from exchange.cli.verbs import JsonOption, Where, either_verb, host_verb
from exchange.cli.whole_lists import end_unless_whole, lists_whole
from exchange.crypto import CertificateFacts, read_certificate, readable_authorities, strict_fault
from exchange.kernel import ConflictError, InvalidError, NotFoundError, rfc3339
from exchange.members import Role, Standing
from exchange.store.reads.authority_files import file_name
from exchange.usecases import (
    ClearanceChange,
    ClientView,
    add_certificate,
    change_clearance,
    change_standing,
    list_members,
    remove_certificate,
    show_client,
)
from exchange.usecases.steps.context import DEFAULT_PURPOSE, Call
from exchange.wire import ClearanceGrant, ClientBody, ClientChange

certificates = typer.Typer(help="A client's certificates; two may overlap, for rotation.", no_args_is_help=True)
clients.add_typer(certificates, name="certificate")
authorities = typer.Typer(help="Authorities whose client certificates are accepted.", no_args_is_help=True)
app.add_typer(authorities, name="ca")

_THUMBPRINT = re.compile(r"[0-9a-f]{64}")
_COLUMNS = ("id", "name", "member", "agency", "roles", "clearance", "until", "standing")
_ROLES = ", ".join(role.value for role in Role)

LevelOption = Annotated[str, typer.Option("--clearance", "--level", metavar="LEVEL", help="Such as SECRET.")]
CompartmentOption = Annotated[list[str] | None, typer.Option("--compartment", metavar="C", help="May be repeated.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="OUT", help="Folder for client.pem, client.key and ca.pem.")]
RequestOption = Annotated[Path | None, typer.Option("--csr", metavar="FILE", help="Sign this request; no key is made.")]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="End of the clearance (not of the certificate).")
]


@clients.command("enrol")
@host_verb
async def enrol(
    host: Host,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The client's name, as it stands in its certificate.")],
    member: Annotated[str, typer.Option("--member", metavar="CODE", help="Whom it belongs to.")],
    agency: Annotated[str, typer.Option("--agency", metavar="A", help="Which agency operates it.")],
    role: Annotated[list[str], typer.Option("--role", metavar="R", help=f"One of {_ROLES}; may be repeated.")],
    level: LevelOption,
    out: OutOption,
    compartment: CompartmentOption = None,
    nationality: Annotated[
        str | None, typer.Option("--nationality", metavar="CCC", help="Unset: the member's.")
    ] = None,
    until: UntilOption = None,
    purpose: Annotated[list[str] | None, typer.Option("--purpose", metavar="P", help="May be repeated.")] = None,
    csr: RequestOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol a client and write its certificate, issued by the demo CA."""
    end = day_or_moment(until)
    newcomer = Newcomer(
        name=name,
        member=member,
        agency=agency,
        roles=tuple(role),
        level=level,
        compartments=tuple(sorted(set(compartment or ()))),
        nationality=nationality,
        until=end,
        purposes=tuple(purpose or (DEFAULT_PURPOSE,)),
    )
    view = await enrol_with_files(host, newcomer, out, request=csr)
    _warn_of_past(host, end)
    _show(_body(view), f"enrolled; its files are in {out}", as_json=as_json)


@clients.command("list")
@either_verb
@lists_whole("clients")
async def list_all(where: Where, as_json: JsonOption = False) -> None:
    """List the clients: all, as the operator of the exchange (--dir), or those of your member (--url)."""
    bodies, unread = await _everybody(where)
    output.show_list(bodies, _COLUMNS, map(_row, bodies), as_json=as_json)
    end_unless_whole(unread, "clients")


@clients.command("show")
@either_verb
async def show(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """Show one client, as the operator of the exchange (--dir) or to its own member (--url)."""
    _show(await _one(where, id), None, as_json=as_json)


@clients.command("revoke")
@either_verb
async def revoke(
    where: Where,
    id: IdArgument,  # noqa: A002
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Revoke a client for good, as the operator of the exchange (--dir) or of its member (--url)."""
    if is_asked(yes=yes):
        await ask_meanwhile("revokes a client for good", await _told_of_revocation(where, id))
    _show(await _standing(where, id, Standing.REVOKED), "revoked", as_json=as_json)


@clients.command("suspend")
@either_verb
async def suspend(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """Suspend a client from the next request on, as the operator of the exchange (--dir) or of its member (--url)."""
    _show(await _standing(where, id, Standing.SUSPENDED), "suspended", as_json=as_json)


@clients.command("resume")
@either_verb
async def resume(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """End a client's suspension, as the operator of the exchange (--dir) or of its member (--url)."""
    _show(await _standing(where, id, Standing.ACTIVE), "resumed", as_json=as_json)


@clients.command("clearance")
@either_verb
async def clearance(
    where: Where,
    id: IdArgument,  # noqa: A002
    level: LevelOption,
    compartment: CompartmentOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace a client's clearance, as the operator of the exchange (--dir) or of its member (--url)."""
    end, held = day_or_moment(until), sorted(set(compartment or ()))
    if isinstance(where, Host):
        change = ClearanceChange(level, tuple(held), end)
        body = _body((await change_clearance(where.services, where.call(), id, change)).value)
        _warn_of_past(where, end)
    else:
        grant = ClearanceGrant(level=level, compartments=held, until=end)
        body = where.change_client(id, ClientChange(clearance=grant))
    _show(body, "cleared anew", as_json=as_json)


@certificates.command("add")
@host_verb
async def certificate_add(
    host: Host,
    id: IdArgument,  # noqa: A002
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The second certificate, PEM.")],
    as_json: JsonOption = False,
) -> None:
    """Let a client use a second certificate beside its first."""
    async with refusal_recorded(host, EventName.CERTIFICATE_ADDED):
        certificate = read_certificate(read_pem(file))
    view = (await add_certificate(host.services, host.call(), id, certificate)).value
    _show(_body(view), "certificate added", as_json=as_json)
    if (fault := strict_fault(certificate.der)) is not None:
        output.warn(f"no node takes `{file}` in a handshake: {fault}")
    known = [each.read_bytes() for each in host.settings.authorities_folder.glob("*.pem")]
    if not any(each.has_issued(certificate.der) for pem in known for each in readable_authorities(pem)):
        mend = f"add that one (`exchange ca add {view.client.member} FILE`), unless its holder sends it along"
        output.warn(f"no authority that nodes know issued `{file}` itself, and nobody gets in with it: {mend}")


@certificates.command("issue")
@host_verb
async def certificate_issue(
    host: Host,
    id: IdArgument,  # noqa: A002
    out: OutOption,
    csr: RequestOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a client a second certificate by the demo CA, before its first one ends."""
    client = (await show_client(host.services, host.call(), id)).value.client
    organisation = f"{client.member}/{client.agency}"
    names = NAMES if csr is None else NAMES_WITHOUT_KEY
    with release_folder(out, names, known=await enrolled_before(host, out)) as folder:
        async with refusal_recorded(host, EventName.CERTIFICATE_ADDED):
            certificate = issue_into(folder, host.layout, client.name, organisation=organisation, request=csr)
        view = (await add_certificate(host.services, host.call(), id, certificate)).value
    _show(_body(view), f"certificate added; its files are in {out}", as_json=as_json)


@certificates.command("remove")
@host_verb
async def certificate_remove(
    host: Host,
    id: IdArgument,  # noqa: A002
    file: Annotated[str, typer.Argument(metavar="FILE", help="The certificate (PEM), or its SHA-256 thumbprint.")],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """End the use of one certificate, from the next request on; it is never taken again."""
    thumbprint = file if _THUMBPRINT.fullmatch(file) else read_certificate(read_pem(Path(file))).thumbprint
    if is_asked(yes=yes):
        await ask_meanwhile("ends the use of a certificate for good", await _told_of_certificate(host, id, thumbprint))
    view = (await remove_certificate(host.services, host.call(), id, thumbprint)).value
    _show(_body(view), "certificate removed", as_json=as_json)


@authorities.command("add")
@host_verb
async def authority_add(
    host: Host,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The member whose authority it is.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The authority's certificate, PEM.")],
    as_json: JsonOption = False,
) -> None:
    """Accept client certificates of a member's own authority; running services do within ten seconds."""
    call = host.call()
    async with refusal_recorded(host, EventName.CERTIFICATE_ADDED):
        facts = await _checked_authority(host, call, code, file)
        target = _free_place(host, code, facts)
    # The record first: a file that nobody answers for must not come into being.
    await host.record(EventName.CERTIFICATE_ADDED, call, subject=Subject("authority", facts.thumbprint), owner=code)
    # INVARIANT: the certificate and nothing else. The file may be in another form than services read, or hold its key.
    # Whole or not at all: with half of one TLS starts nowhere.
    put_file(target, DER_cert_to_PEM_cert(facts.der).encode(), mode=0o644)
    if (fault := strict_fault(facts.der)) is not None:
        output.warn(f"no node takes a certificate of it in a handshake: {fault}; have it made anew with that")
    told = {"id": facts.thumbprint, "member": code, "file": str(target)}
    sentence = f"added the authority {facts.subject_common_name} of {code}; used within ten seconds"
    output.show_done(told, sentence, as_json=as_json)


def _free_place(host: Host, code: str, facts: CertificateFacts) -> Path:
    path = host.settings.authorities_folder / file_name(code, facts.thumbprint)
    if os.path.lexists(path):
        raise ConflictError(f"`{path}` exists already: nothing is overwritten")
    return path


async def _checked_authority(host: Host, call: Call, code: str, file: Path) -> CertificateFacts:
    facts = read_certificate(read_pem(file))
    if not facts.is_authority:
        raise InvalidError(f"`{file}` is no certificate of an authority: its basic constraints do not say CA")
    if facts.not_after <= call.now:
        raise InvalidError(f"the authority in `{file}` ended on {rfc3339(facts.not_after)}: ask for its new one")
    if all(member.code != code for member in (await list_members(host.services, call)).value):
        raise InvalidError(f"no member `{code}`: add it first with `exchange member add`")
    return facts


def _body(view: ClientView) -> ClientBody:
    """Return a client as the HTTP interface shows it."""
    return ClientBody.of(view.client, view.thumbprints)


async def _everybody(where: Where) -> tuple[list[ClientBody], int]:
    if isinstance(where, Host):
        views, unread = await all_clients(where)
        return [_body(view) for view in views], unread
    return list(where.clients()), 0


async def _one(where: Where, client_id: str) -> ClientBody:
    if isinstance(where, Host):
        return _body((await show_client(where.services, where.call(), client_id)).value)
    return where.client(client_id)


async def _standing(where: Where, client_id: str, standing: Standing) -> ClientBody:
    if isinstance(where, Host):
        return _body((await change_standing(where.services, where.call(), client_id, standing)).value)
    return where.change_client(client_id, ClientChange(standing=standing.value))


async def _told_of_revocation(where: Where, client_id: str) -> dict[str, object]:
    """Return whom a revocation puts out, and for what its member then has nobody else."""
    client = await _one(where, client_id)
    everybody, _ = await _everybody(where)
    others = [each for each in everybody if each.id != client.id]
    active = [each for each in others if each.member == client.member and each.standing == Standing.ACTIVE.value]
    alone = sorted(role for role in client.roles if not any(role in each.roles for each in active))
    return {
        **_named(client),
        "roles": client.roles,
        "standing": client.standing,
        "certificates": f"{len(client.certificates)}, none of which is ever taken again",
        "nobody else of it is": alone or "-",
        "instead": "`exchange client suspend` holds as fast, and can be ended",
    }


async def _told_of_certificate(host: Host, client_id: str, thumbprint: str) -> dict[str, object]:
    view = (await show_client(host.services, host.call(), client_id)).value
    if thumbprint not in view.thumbprints:
        raise NotFoundError("the client uses no such certificate")
    left = len(view.thumbprints) - 1
    return {
        **_named(_body(view)),
        "certificate": thumbprint,
        "left": f"{left}" if left else "none: it can connect no more until another one is added",
    }


def _named(client: ClientBody) -> dict[str, object]:
    return {"id": client.id, "name": client.name, "member": client.member, "agency": client.agency}


def _warn_of_past(host: Host, end: datetime | None) -> None:
    if end is not None and end <= host.services.clock():
        output.warn(f"the clearance ended on {rfc3339(end)}: this client can read nothing")


def _row(client: ClientBody) -> tuple[object, ...]:
    clearance = client.clearance
    level = "/".join((clearance.level, *clearance.compartments))
    roles = output.listed(frozenset(client.roles))
    return (client.id, client.name, client.member, client.agency, roles, level, clearance.until, client.standing)


def _show(body: ClientBody, done: str | None, *, as_json: bool) -> None:
    fields = dict(zip(_COLUMNS, _row(body), strict=True))
    if done is None:
        fields |= {
            "nationality": body.nationality,
            "purposes": output.listed(body.purposes),
            "certificates": output.listed(body.certificates),
        }
    output.show_record(fields, title=done, document=body, as_json=as_json)


# It adds its verbs to `clients`.
from exchange.cli import signature_keys  # noqa: E402, F401
