"""`exchange ca edge`: what a proxy at the edge needs to end the members' mutual TLS and to say who came.

Steps: (1) the members' authorities and revocation lists, as they are now; (2) its server certificate, where the folder
has none, or one of this instance's authority that ends soon, and a copy of it beside the instance's own; (3) its own
certificate towards the nodes, which the instance is told to believe, on the record.
Run again, it renews what ends soon and brings the lists up to date.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import EventName, Subject
from exchange.cli import output
from exchange.cli.clients import authorities
from exchange.cli.edge_lists import lists_for_edge
from exchange.cli.enrolment import demo_authority, own_authority_pem, read_pem
from exchange.cli.instance import Host, put_file, unreadable
from exchange.cli.verbs import JsonOption, host_verb
from exchange.crypto import (
    KeyAndCertificate,
    first_end,
    is_issued_by,
    issue_client,
    issue_server,
    read_certificate,
    read_certificates,
)
from exchange.entrypoints.http.contexts import read_plain
from exchange.kernel import rfc3339
from exchange.kernel.files import held_alone

_NAME = "edge"
_RENEWED_BEFORE = timedelta(days=30)
_SECRET, _PUBLIC, _FOLDER = 0o600, 0o644, 0o700


@authorities.command("edge")
@host_verb
async def edge(
    host: Host,
    out: Annotated[Path, typer.Option("--out", help="Folder for the proxy: its keys go there, readable by you alone.")],
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            "--host-name", metavar="NAME", help="Name or address that clients use for the proxy; may be repeated."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make or renew what a proxy at the edge needs; nodes believe the first one from their next start on."""
    out.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    # Of two at once the one would take from the list whom the other has just named, or mix its key with the other's.
    with held_alone(host.layout.tls_folder):
        made = await _made(host, out, host_name)
    told = f"{out} holds what the edge needs" + (f"; new: {', '.join(made)}" if made else "")
    output.show_done({"id": str(out), "made": made}, told, as_json=as_json)


async def _made(host: Host, out: Path, host_name: list[str] | None) -> list[str]:
    """Do all the steps; return what is new."""
    # (1) whom to let in, which needs no key: what somebody revoked must not wait for one
    own = own_authority_pem(host.layout)
    put_file(out / "nodes-ca.pem", own, mode=_PUBLIC)
    put_file(out / "authorities.pem", _joined(host.settings.authorities_folder), mode=_PUBLIC)
    now = host.call().now
    _give_lists(host, out, now)
    # (2) what clients see; who believes another authority believes none of ours in its place
    server, made = out / "server.pem", list[str]()
    is_foreign = server.exists() and not is_issued_by(read_pem(server), own)
    if _ends_soon(server, now) and is_foreign:
        output.warn(f"`{server}` of another authority ends on {rfc3339(_end(server))}: put its next one there")
    elif _ends_soon(server, now):
        names = tuple(dict.fromkeys(name for each in host_name or () for name in each.split())) or ("localhost",)
        _write_pair(out, "server", issue_server(demo_authority(host.layout), names, now=now))
        made.append("server.pem")
    # Where its end is told of: nobody else looks into that folder.
    put_file(host.layout.edge_server_certificate_file, read_pem(server), mode=_PUBLIC)
    # (3) what the nodes see
    if _ends_soon(out / "client.pem", now) or not _is_believed(host, out / "client.pem"):
        pair = issue_client(demo_authority(host.layout), _NAME, organisation="EXCHANGE", now=now)
        await _trust(host, pair)
        _write_pair(out, "client", pair)
        made.append("client.pem")
    return made


def _give_lists(host: Host, out: Path, now: datetime) -> None:
    given, refused = lists_for_edge(host.settings.crl_folder, host.settings.authorities_folder, out / "crl.pem", now)
    for told in refused:
        output.warn(f"the edge is not given {told}")
    lists = b"\n".join(each.pem for each in given) + b"\n"
    put_file(out / "crl.pem", lists, mode=_PUBLIC)
    # nginx refuses a file without a list; where there is one, an authority without its own admits nobody, as at a node.
    put_file(out / "crl.conf", b"ssl_crl /edge/crl.pem;\n" if given else b"", mode=_PUBLIC)
    # Where its end is told of, as of the certificate below: a newer list that lies here alone helps nobody there.
    copy = host.layout.edge_lists_file
    if given or copy.exists():
        put_file(copy, lists, mode=_PUBLIC)


async def _trust(host: Host, pair: KeyAndCertificate) -> None:
    """Name the certificate to the instance. The record first: nobody is believed whom the log does not know."""
    facts = read_certificate(pair.certificate_pem)
    await host.record(EventName.CERTIFICATE_ADDED, subject=Subject("edge", facts.thumbprint))
    # The one before it stays believed until it ends: a proxy is moved over without a gap.
    path = host.layout.edge_certificates_file
    known = path.read_bytes() if path.exists() else b""
    put_file(path, known + pair.certificate_pem, mode=_PUBLIC)


def _is_believed(host: Host, path: Path) -> bool:
    # Not where the list is gone, or somebody took this one from it: that one is not believed again, another is made.
    known = host.layout.edge_certificates_file
    believed = read_certificates(read_pem(known)) if known.exists() else ()
    return read_certificate(read_pem(path)).thumbprint in {each.thumbprint for each in believed}


def _ends_soon(path: Path, now: datetime) -> bool:
    return not path.exists() or _end(path) - _RENEWED_BEFORE <= now


def _end(path: Path) -> datetime:
    return first_end(read_pem(path))


def _joined(folder: Path) -> bytes:
    return b"\n".join(_plain(path).strip() for path in sorted(folder.glob("*.pem"))) + b"\n"


def _plain(path: Path) -> bytes:
    try:
        return read_plain(path)
    except OSError as exc:
        raise unreadable(path, exc) from exc


def _write_pair(folder: Path, name: str, pair: KeyAndCertificate) -> None:
    put_file(folder / f"{name}.key", pair.key_pem, mode=_SECRET)
    put_file(folder / f"{name}.pem", pair.certificate_pem, mode=_PUBLIC)
