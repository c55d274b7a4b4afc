"""`python -m exchange.client.witness`: a witness where only the client is installed, without the command line.

`exchange audit witness` is the same with the rest of the program around it. Exit codes: 0 done, 1 refused, shouted or
failed, 2 wrong usage.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from exchange.audit.export.visible import visible
from exchange.client.transport import Endpoint
from exchange.client.witness.alarm import Alarm
from exchange.client.witness.logs import keys_in
from exchange.client.witness.running import Listening, address_of, log_to_stderr, new_witness, run_once, serve_witness
from exchange.kernel import ExchangeError

_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = _parser().parse_args(arguments)
    log_to_stderr()
    try:
        return int(given.act(given))
    except ExchangeError as exc:
        sys.stderr.write(f"error: {_shown(str(exc))}\n")
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exchange.client.witness", description="Witness a log.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    keygen = verbs.add_parser("keygen", help="make a witness: its folder, its keys, the logs that it knows")
    keygen.add_argument("--name", required=True, help="such as witness.nor.example/w1")
    keygen.add_argument("--log", action="append", default=[], metavar="VKEY", help="a key of the log, or @FILE")
    keygen.set_defaults(act=_keygen)
    serve = verbs.add_parser("serve", help="serve until a signal; exit 1 where anything was shouted")
    serve.add_argument("--listen", default="127.0.0.1:8460", metavar="HOST:PORT")
    for option in ("--tls-cert", "--tls-key", "--tls-client-ca"):
        serve.add_argument(option, type=Path)
    serve.set_defaults(act=_serve)
    once = verbs.add_parser("once", help="one round with an exchange")
    once.add_argument("--url", required=True)
    for option in ("--cert", "--key", "--ca"):
        once.add_argument(option, type=Path, required=True)
    once.add_argument("--keep", action="store_true", help="do not bring the cosignature to the exchange")
    once.set_defaults(act=_once)
    for verb in (keygen, serve, once):
        verb.add_argument("--state", type=Path, required=True, help="the witness's folder")
    for verb in (serve, once):
        verb.add_argument("--alert-command", help="run at an alarm with: finding, log, evidence, sentence")
        verb.add_argument("--alert-url", help="posted to at an alarm")
    return parser


def _keygen(given: argparse.Namespace) -> int:
    keys = new_witness(given.state, given.name, keys_in(tuple(given.log)), os.urandom)
    sys.stdout.writelines(f"{verifier}\n" for verifier in keys.verifiers)
    return 0


def _serve(given: argparse.Namespace) -> int:
    host, port = address_of(given.listen)
    listening = Listening(host, port, given.tls_cert, given.tls_key, given.tls_client_ca)
    return serve_witness(given.state, listening, Alarm(given.alert_command, given.alert_url))


def _once(given: argparse.Namespace) -> int:
    endpoint = Endpoint(given.url, given.cert, given.key, given.ca)
    alarm = Alarm(given.alert_command, given.alert_url)
    result = run_once(given.state, endpoint, alarm, brings=not given.keep)
    sys.stdout.write(_shown(f"{result.origin} {result.size} {result.told}") + "\n")
    return 0 if result.is_cosigned and not alarm.has_rung else _FAILED


def _shown(text: str) -> str:
    # What an exchange says must not steer its witness's terminal.
    return "\n".join(map(visible, text.split("\n")))


if __name__ == "__main__":
    sys.exit(main())
