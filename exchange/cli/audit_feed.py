"""`exchange audit feed`: the log to a syslog receiver, as it comes into being.

With `--dir` the host feeds all of it, with nothing personal revealed; over HTTPS an auditor feeds its own slice.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, TypeVar

import typer

from exchange.audit.export import ExportedEntry, Place, Statement, syslog
from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.instance import Host
from exchange.cli.usage import read_as_given
from exchange.cli.verbs import either_verb
from exchange.client import ExchangeClient
from exchange.client.errors import ConnectionFailedError
from exchange.client.feeding import Feed, FeedState
from exchange.client.syslog import Receiver, SyslogSession
from exchange.kernel import InvalidError, UnavailableError, counted
from exchange.kernel.hangup import outlive_hangup

T = TypeVar("T")
Items = AsyncIterator[Sequence[ExportedEntry] | Statement]


class _StoppedError(Exception):
    """Ends the thread of a feed whose process was told to end."""


class FeedFormat(Enum):
    """How a feed writes an entry; both in a syslog message of RFC 5424."""

    RFC5424 = "rfc5424"
    CEF = "cef"


_WRITERS = {FeedFormat.RFC5424: syslog.message, FeedFormat.CEF: syslog.cef_message}


@audits.command("feed")
@either_verb
async def feed(
    where: Host | ExchangeClient,
    to: Annotated[str, typer.Option("--to", metavar="syslog+tls://HOST:PORT", help="The receiver.")],
    to_ca: Annotated[Path, typer.Option("--to-ca", metavar="FILE", help="The receiver's authority, PEM.")],
    state: Annotated[Path, typer.Option("--state", metavar="FILE", help="Remembers how far the receiver has the log.")],
    to_cert: Annotated[Path | None, typer.Option("--to-cert", metavar="FILE", help="Our certificate there.")] = None,
    to_key: Annotated[Path | None, typer.Option("--to-key", metavar="FILE", help="Its private key.")] = None,
    format: Annotated[FeedFormat, typer.Option("--format")] = FeedFormat.RFC5424,  # noqa: A002
    once: Annotated[bool, typer.Option("--once", help="End when the receiver has all that there is now.")] = False,
) -> None:
    """Feed the log to a syslog receiver over TLS until stopped; what breaks is gone on with, at least once each."""
    if not once:
        outlive_hangup()
    with read_as_given(InvalidError):
        receiver = Receiver.parse(to, to_ca, to_cert, to_key)
    stopped = threading.Event()

    def pause(seconds: float) -> None:
        if stopped.wait(seconds):
            raise _StoppedError

    feeding = Feed(
        read=_reader(where, follow=not once),
        write=_WRITERS[format],
        session=SyslogSession(receiver),
        state=FeedState(state),
        clock=monotonic,
        pause=pause,
        told=output.warn,
    )
    if isinstance(where, Host):
        try:
            # Apart from the loop, which the database needs.
            await asyncio.to_thread(feeding.run)
        finally:
            stopped.set()
    else:
        feeding.run()
    output.show_line(f"{counted(feeding.delivered, 'entry', 'entries')} delivered")


def _reader(
    where: Host | ExchangeClient, *, follow: bool
) -> Callable[[Place | None], Iterator[ExportedEntry | Statement]]:
    if isinstance(where, Host):
        host, loop = where, asyncio.get_running_loop()
        return lambda after: _read_at_host(host, loop, after, follow=follow)
    client = where
    return lambda after: client.export(after, follow=follow)


def _read_at_host(
    host: Host, loop: asyncio.AbstractEventLoop, after: Place | None, *, follow: bool
) -> Iterator[ExportedEntry | Statement]:
    """Yield the log from another thread than that of its database."""

    def wait(work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, loop).result()
        except UnavailableError as exc:
            raise ConnectionFailedError(exc.message) from exc

    items = wait(_begun(host, after, follow=follow))
    while (item := wait(_next(items))) is not None:
        if isinstance(item, Statement):
            yield item
        else:
            yield from item


async def _begun(host: Host, after: Place | None, *, follow: bool) -> Items:
    from exchange.usecases import feed_log

    return (await feed_log(host.services, host.call(), after=after, follow=follow)).value.items


async def _next(items: Items) -> Sequence[ExportedEntry] | Statement | None:
    return await anext(items, None)
