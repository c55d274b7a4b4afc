"""`exchange audit witness`: be a witness of a log, as a service or for one round; and enrol witnesses (operator)."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.profiles import Door, endpoint_of
from exchange.cli.program import FAILED
from exchange.cli.usage import UsageError, read_as_given
from exchange.cli.verbs import JsonOption
from exchange.client.witness import (
    Alarm,
    Listening,
    WitnessError,
    address_of,
    keys_in,
    log_to_stderr,
    new_witness,
    run_once,
    serve_witness,
)

witness = typer.Typer(help="Be a witness of a log, or enrol one (operator).", invoke_without_command=True)
audits.add_typer(witness, name="witness")

StateOption = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="The witness's folder [EXCHANGE_WITNESS_DIR].")
]


@witness.callback()
def run(
    context: typer.Context,
    state: StateOption = None,
    once: Annotated[bool, typer.Option("--once", help="One round with the exchange at --url, and end.")] = False,
    url: Annotated[str | None, typer.Option("--url", help="Address of the exchange [EXCHANGE_URL].")] = None,
    cert: Annotated[Path | None, typer.Option("--cert", help="Your certificate, PEM [EXCHANGE_CERT].")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Its private key, PEM [EXCHANGE_KEY].")] = None,
    ca: Annotated[Path | None, typer.Option("--ca", help="The exchange's authority, PEM [EXCHANGE_CA].")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="A saved connection instead of these four.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Do not bring the cosignature to the exchange.")] = False,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where to serve.")] = "127.0.0.1:8460",
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="The service's certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its private key, PEM.")] = None,
    tls_client_ca: Annotated[Path | None, typer.Option("--tls-client-ca", help="Ask callers for its paper.")] = None,
    alert_command: Annotated[
        str | None, typer.Option("--alert-command", help="Run at an alarm with: finding, log, evidence, sentence.")
    ] = None,
    alert_url: Annotated[str | None, typer.Option("--alert-url", help="Posted to at an alarm.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Witness a log: serve C2SP tlog-witness until a signal, or with --once do one round; exit 1 at an alarm."""
    if context.invoked_subcommand is not None:
        return
    # What one round did is its answer.
    log_to_stderr(logging.WARNING if once else logging.INFO)
    alarm = Alarm(alert_command, alert_url)
    if not once:
        raise typer.Exit(serve_witness(_state(state), _listening(listen, tls_cert, tls_key, tls_client_ca), alarm))
    result = run_once(_state(state), endpoint_of(Door(url, cert, key, ca, profile)), alarm, brings=not keep)
    if as_json:
        shown = {"id": result.origin, "size": result.size, "cosigned": result.is_cosigned, "brought": result.is_brought}
        output.show_json({**shown, "told": result.told, "alarm": alarm.has_rung})
    else:
        done = "cosigned" if result.is_cosigned else "refused"
        output.show_record({done: result.origin, "size": result.size, "told": result.told})
    if not result.is_cosigned or alarm.has_rung:
        raise typer.Exit(FAILED)


@witness.command("keygen")
def keygen(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Such as witness.nor.example/w1.")],
    log: Annotated[
        list[str] | None,
        typer.Option("--log", metavar="VKEY", help="A key of the log, or @FILE with a key on each line."),
    ] = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a witness: its folder, its keys, and the logs that it knows; prints its verifier keys."""
    keys = new_witness(_state(state), name, keys_in(tuple(log or ())), os.urandom)
    verifiers = [str(verifier) for verifier in keys.verifiers]
    if as_json:
        output.show_json({"id": keys.name, "keys": verifiers, "state": str(_state(state))})
        return
    for verifier in verifiers:
        output.show_line(verifier)


def _state(given: Path | None) -> Path:
    if given is not None:
        return given
    from_environment = os.environ.get("EXCHANGE_WITNESS_DIR")
    if not from_environment:
        raise UsageError("which witness? give `--state DIR` or set EXCHANGE_WITNESS_DIR")
    return Path(from_environment)


def _listening(address: str, certificate: Path | None, key: Path | None, client_authority: Path | None) -> Listening:
    with read_as_given(WitnessError):
        host, port = address_of(address)
    return Listening(host, port, certificate, key, client_authority)
