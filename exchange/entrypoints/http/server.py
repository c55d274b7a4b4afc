"""One worker: the service over mutual TLS and the operations address over plain HTTP, in one event loop.

Promises: SIGTERM and SIGINT let requests in flight finish, a second SIGINT does not; says it is ready only when both
addresses accept.
Does not: fork, open the store, or choose ports.
"""

import asyncio
import contextlib
import errno
import gc
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from exchange.entrypoints.http.doorstep import MOST as MOST_HANDSHAKES
from exchange.entrypoints.http.doorstep import Doorstep
from exchange.entrypoints.http.edge import Edges
from exchange.entrypoints.http.gate import MOST_CONNECTIONS, ConnectionGate
from exchange.entrypoints.http.strangers import Strangers
from exchange.entrypoints.http.tls import CertificateProtocol
from exchange.entrypoints.http.trust import Trust
from exchange.kernel import Clock, UnsafeSettingError, system_clock

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""Longer than the usual 60 s of clients and proxies, so that it is they who close an idle connection."""
_GRACE_SECONDS = 20
_HANDSHAKE_SECONDS = 10.0
"""A handshake takes two round trips; who takes longer holds a place that others need."""
_SPARE_FILES = 512
"""Beside connections: the database's, and files."""
_PART_OF_FILES = 8
"""One in so many of what may be open is for handshakes, at most."""
_FILES_OF_A_HANDSHAKE = 2
"""Its connection, and that once more, to answer who did not speak TLS."""
_FEWEST_CONNECTIONS = 64
"""Below it a member, which may have half of them, is cut off by its own few clients."""
_POLL_SECONDS = 0.01
_YOUNG_OBJECTS = 20_000
"""How many new objects make the collector look for cycles. A page makes a thousand, all gone with the answer and none
in a cycle: Python's own 700 would have it look once or twice per answer."""


@dataclass(frozen=True, slots=True)
class Listening:
    """The bound sockets of one instance, shared by all its workers."""

    service: socket.socket
    operations: socket.socket


class _Server(uvicorn.Server):
    """uvicorn's server; signals are the worker's to handle, for both servers at once."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on `sockets` alone, as the parent does, with an end to handshakes that nobody goes on with."""
        await self.lifespan.startup()
        self.servers = [await self._listen(each) for each in sockets or ()]
        self.started = True

    async def _listen(self, bound: socket.socket) -> Any:
        """Return what uvicorn closes at the end as a server."""
        config = self.config
        if config.ssl is None:
            return await asyncio.get_running_loop().create_server(
                self._new_protocol, sock=bound, backlog=config.backlog
            )
        # `service_config` makes it so.
        protocol: Any = config.http_protocol_class
        trust, first = protocol.trust, config.ssl
        doorstep = Doorstep(
            bound,
            self._new_protocol,
            lambda: first if trust is None else trust.context,
            seconds=_HANDSHAKE_SECONDS,
            gate=protocol.gate,
            most=handshakes_allowed(),
            strangers=protocol.strangers,
        )
        doorstep.open(config.backlog)
        return doorstep

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what has begun end; whoever comes while it does is sent away too.

        uvicorn asks each connection once to end. One whose handshake was under way then would be served until the
        time for all this is over, and its last request cut off.
        """
        telling = asyncio.ensure_future(self._keep_telling())
        try:
            await super().shutdown(sockets)
        finally:
            telling.cancel()

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            for connection in list(self.server_state.connections):
                connection.shutdown()

    def _new_protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        made: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one. Raises UnsafeSettingError where the address cannot be had."""
    if not host.strip():
        # Sockets take no name for every address there is: a variable that is empty would open all doors.
        raise UnsafeSettingError("no address to listen on is named: write one, or 0.0.0.0 for every one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family=family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, UnicodeError) as exc:
        bound.close()
        is_taken = getattr(exc, "errno", None) == errno.EADDRINUSE
        mend = ": end what listens there, or give another port" if is_taken else ""
        told = (getattr(exc, "strerror", None) or str(exc)).lower()
        raise UnsafeSettingError(f"cannot listen on `{host}:{port}`: {told}{mend}") from exc
    return bound


def raise_file_limit() -> int:
    """Let this process and its workers open as many files as the system allows, and return how many that is.

    Raises UnsafeSettingError where hardly anybody could connect: whoever did would be cut off, and nothing say why.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if connections_allowed() < _FEWEST_CONNECTIONS:
        raise UnsafeSettingError(
            f"the system lets this process open {most} files, too few to be connected to: allow 4096 or more "
            "(`ulimit -Hn`, `LimitNOFILE=` of systemd, `ulimits` of Compose)"
        )
    return most


def connections_allowed() -> int:
    """Return how many connections a worker may hold: what it may open, less what it needs besides."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(1, min(MOST_CONNECTIONS, files - _FILES_OF_A_HANDSHAKE * handshakes_allowed() - _SPARE_FILES))


def handshakes_allowed() -> int:
    """Return how many connections a worker may hold whose handshake is under way."""
    return max(1, min(MOST_HANDSHAKES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _PART_OF_FILES))


def address_of(bound: socket.socket) -> str:
    """Return `HOST:PORT` of a bound socket, IPv6 in brackets."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def service_config(
    app: ASGIApp,
    context: ssl.SSLContext,
    gate: ConnectionGate | None = None,
    edges: Edges | None = None,
    *,
    strangers: Strangers | None = None,
    trust: Trust | None = None,
    clock: Clock = system_clock,
) -> uvicorn.Config:
    """Return uvicorn's configuration for the service.

    Handshakes are by `context`, or by the one that `trust` has at the moment. `gate` counts its connections, `edges`
    may speak for clients, `strangers` notes who is refused before a request;
    by `clock` certificates end.
    """

    class GatedProtocol(CertificateProtocol):
        pass

    GatedProtocol.gate = gate or ConnectionGate()
    GatedProtocol.edges = edges or Edges()
    GatedProtocol.strangers = strangers
    GatedProtocol.trust = trust
    GatedProtocol.clock = staticmethod(clock)
    return _config(
        app,
        http=GatedProtocol,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_context_factory=lambda _config, _default: context,
    )


def operations_config(app: ASGIApp) -> uvicorn.Config:
    """Return uvicorn's configuration for the operations address."""
    return _config(app, http="httptools", timeout_graceful_shutdown=1)


def _config(app: ASGIApp, **further: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="none",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # no header says who calls or from where, but an edge's (see `edge`)
        **further,
    )


async def run_servers(
    service: uvicorn.Config,
    operations: uvicorn.Config,
    listening: Listening,
    *,
    on_ready: Callable[[], None],
    stopping: asyncio.Event,
) -> None:
    """Serve until a signal, which sets `stopping` too; `on_ready` is called once, when both addresses accept."""
    servers = (_Server(service), _Server(operations))
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():  # no other thread is given signals
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop_on_signal, servers, number, stopping)
    sockets = (listening.service, listening.operations)
    running = [loop.create_task(server.serve(sockets=[each])) for server, each in zip(servers, sockets, strict=True)]
    watching = loop.create_task(_stop_with(stopping, servers))
    try:
        while not all(server.started for server in servers) and not any(task.done() for task in running):  # noqa: ASYNC110  uvicorn sets a flag, no event
            await asyncio.sleep(_POLL_SECONDS)
        if all(server.started for server in servers):
            _settle_memory()
            on_ready()
        await running[0]
    finally:
        # The operations address goes last: it says how the shutdown fares. Both go where nobody was told of them.
        for server in servers:
            server.should_exit = True
        watching.cancel()
        await asyncio.gather(*running, watching, return_exceptions=True)


def _settle_memory() -> None:
    """Take what was loaded at the start out of the collector's sight for good: it stays as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


async def _stop_with(stopping: asyncio.Event, servers: tuple[_Server, ...]) -> None:
    await stopping.wait()
    _stop(servers, signal.SIGTERM)


def _stop_on_signal(servers: tuple[_Server, ...], number: signal.Signals, stopping: asyncio.Event) -> None:
    _stop(servers, number)
    stopping.set()


def _stop(servers: tuple[_Server, ...], number: signal.Signals) -> None:
    service = servers[0]
    if service.should_exit and number is signal.SIGINT:
        service.force_exit = True
    service.should_exit = True
