"""`exchange audit feed`: an auditor's slice of the log to a syslog receiver, as it comes into being."""

import time
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit.export import syslog
from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.verbs import member_verb
from exchange.client import ExchangeClient
from exchange.client.feeding import Feed, FeedState
from exchange.client.syslog import Receiver, SyslogSession


class FeedFormat(Enum):
    """How a feed writes an entry; both in a syslog message of RFC 5424."""

    RFC5424 = "rfc5424"
    CEF = "cef"


_WRITERS = {FeedFormat.RFC5424: syslog.message, FeedFormat.CEF: syslog.cef_message}


@audits.command("feed")
@member_verb
def feed(
    client: ExchangeClient,
    to: Annotated[str, typer.Option("--to", metavar="syslog+tls://HOST:PORT", help="The receiver.")],
    to_ca: Annotated[Path, typer.Option("--to-ca", metavar="FILE", help="The receiver's authority, PEM.")],
    state: Annotated[Path, typer.Option("--state", metavar="FILE", help="Remembers how far the receiver has the log.")],
    to_cert: Annotated[Path | None, typer.Option("--to-cert", metavar="FILE", help="Our certificate there.")] = None,
    to_key: Annotated[Path | None, typer.Option("--to-key", metavar="FILE", help="Its private key.")] = None,
    format: Annotated[FeedFormat, typer.Option("--format")] = FeedFormat.RFC5424,  # noqa: A002
    once: Annotated[bool, typer.Option("--once", help="End when the receiver has all that there is now.")] = False,
) -> None:
    """Feed the log to a syslog receiver over TLS until stopped; what breaks is gone on with, at least once each."""
    receiver = Receiver.parse(to, to_ca, to_cert, to_key)
    feeding = Feed(
        read=lambda after: client.export(after, follow=not once),
        write=_WRITERS[format],
        session=SyslogSession(receiver),
        state=FeedState(state),
        clock=time.monotonic,
        pause=time.sleep,
        told=output.warn,
    )
    feeding.run()
    output.show_line(f"{feeding.delivered} entries delivered")
