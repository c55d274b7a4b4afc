"""`exchange ca server`: the server's key and certificate anew, where the old ones end, were lost or name too little.

Steps: (1) refuse where another authority issued the one that stands there: its clients would believe nobody; (2) for
the names of that one, or for those that are given; (3) on the record, (4) and then in its place.
"""

from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import EventName, Subject
from exchange.cli import output
from exchange.cli.clients import authorities
from exchange.cli.enrolment import demo_authority, own_authority_pem, read_pem
from exchange.cli.instance import Host, put_file
from exchange.cli.verbs import JsonOption, host_verb
from exchange.crypto import host_names, is_issued_by, issue_server, read_certificate
from exchange.kernel import ConflictError, MalformedError, rfc3339
from exchange.kernel.files import held_alone

_HERE = ("localhost", "127.0.0.1")
"""What clients on this host call the server."""


@authorities.command("server")
@host_verb
async def server(
    host: Host,
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            "--host-name",
            metavar="NAME",
            help="Name or address that clients use, beside localhost and 127.0.0.1; may be repeated. Unset: the same.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the server's key and certificate anew, from the instance's own authority; running services take them up."""
    path = host.settings.server_certificate_file
    # (1) no other authority's, (2) for whom
    before = _names_of(path, own_authority_pem(host.layout))
    names = tuple(dict.fromkeys((*_HERE, *host_name))) if host_name else before or _HERE
    call = host.call()
    pair = issue_server(demo_authority(host.layout), names, now=call.now)
    facts = read_certificate(pair.certificate_pem)
    # (3) the record
    await host.record(EventName.CERTIFICATE_ADDED, call, subject=Subject("server", facts.thumbprint))
    # (4) the two files, of one run; where only the first is written, this is run again
    with held_alone(host.layout.tls_folder):
        put_file(host.settings.server_key_file, pair.key_pem, mode=0o600)
        put_file(path, pair.certificate_pem, mode=0o644)
    until = rfc3339(facts.not_after)
    told = {"id": facts.thumbprint, "file": str(path), "names": list(names), "until": until}
    sentence = f"`{path}` is for {', '.join(names)}, until {until}; shown within ten seconds"
    output.show_done(told, sentence, as_json=as_json)


def _names_of(path: Path, authority: bytes) -> tuple[str, ...]:
    """Return whom the certificate in `path` is for; none where there is none. ConflictError for a foreign one."""
    if not path.exists():
        return ()
    try:
        pem = read_pem(path)
        names = host_names(pem)
    except MalformedError:
        return ()  # damaged: nobody is served with it
    if not is_issued_by(pem, authority):
        raise ConflictError(f"`{path}` is of another authority: put its next one there, and its key beside it")
    return names
