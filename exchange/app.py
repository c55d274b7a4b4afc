"""The roof: reads settings, wires the rooms, serves.

Promises: refuses to start on unsafe settings, a schema that is not at head, or keys that do not open; nothing is
listened on before the store, the law and custody were seen to work.
Does not: decide anything a room downstairs decides.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from importlib.util import find_spec
from typing import Any

import uvloop
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from exchange import __version__
from exchange.audit import EventName
from exchange.custody import FileCustodian, load_log_key
from exchange.entrypoints.api import add_api
from exchange.entrypoints.http.board import shared_row
from exchange.entrypoints.http.edge import load_edges
from exchange.entrypoints.http.inspection import HostPlaces, Shown
from exchange.entrypoints.http.limits import RateLimiter, SharedRateLimiter
from exchange.entrypoints.http.logs import log_to_stderr
from exchange.entrypoints.http.operations import operations_app
from exchange.entrypoints.http.processes import watch_supervisor
from exchange.entrypoints.http.rates import OF_MEMBER, Rates
from exchange.entrypoints.http.routing import answer_routing_fault
from exchange.entrypoints.http.sampling import sampled
from exchange.entrypoints.http.server import (
    Listening,
    address_of,
    bind,
    connections_allowed,
    operations_config,
    raise_file_limit,
    run_servers,
    service_config,
)
from exchange.entrypoints.http.service import Service
from exchange.entrypoints.http.strangers import Strangers
from exchange.entrypoints.http.trust import Trust, TrustFiles
from exchange.entrypoints.http.trust_news import TrustNews
from exchange.entrypoints.http.visit import MOST_HELD_BYTES, BodyLimits, BodyRoom
from exchange.entrypoints.http.workers import CANNOT_START, OUTGROWN, Supervisor, WorkOrder
from exchange.entrypoints.jobs.keeper import kept_running
from exchange.kernel import Clock, ExchangeError, UnavailableError, UnsafeSettingError, system_clock
from exchange.kernel.hangup import outlive_hangup
from exchange.kernel.spans import UNTRACED, Tracer
from exchange.services import be_sequencer, ended_with_database, look_at_log, open_services, webhooks_of
from exchange.setting_faults import faults_of
from exchange.settings import InstanceLayout, Settings, read_secret
from exchange.store import OutgrownError, require_file
from exchange.store.database.engine import checked_url
from exchange.usecases import (
    Services,
    TakenUp,
    check_readiness,
    heartbeats,
    put_law_in_force,
    record_refused_connections,
    record_service,
    record_trust,
)
from exchange.usecases.upkeep.own_keys import hold_shared_key

__all__ = ["create_app", "open_services", "serve"]

_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own would export bodies that do not validate and the messages of exceptions, and takes its collector from
the environment."""

_OF_THE_DATABASE = ("log", "restore")
"""Checks that tell whether it is the one that was served here, and may be again."""

_log = logging.getLogger("exchange.app")


def create_app(settings: Settings, *, counts: Any | None = None, worker: int = 0) -> Service:
    """Return the service; its lifespan opens the rooms, puts the law in force and records start and stop."""

    @asynccontextmanager
    async def lifespan(app: Service) -> AsyncIterator[None]:
        async with (
            _traced(settings, app) as tracer,
            open_services(settings, observer=app.metrics, tracer=tracer) as services,
        ):
            # What is older than what was signed here, or another's, stays as it is.
            await _require_ready(services, of=_OF_THE_DATABASE)
            await put_law_in_force(services)
            await hold_shared_key(services)
            await _require_ready(services)
            await record_service(services, EventName.SERVICE_STARTED)
            app.state.services = services
            async with heartbeats(services), sampled(app.metrics, partial(_hold, app)):
                yield
            await record_service(services, EventName.SERVICE_STOPPED)

    app = Service(
        title="The exchange",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: answer_routing_fault},
        telemetry=_NO_TELEMETRY,
    )
    add_api(
        app,
        BodyLimits(
            settings.max_body_bytes,
            settings.body_timeout_seconds,
            BodyRoom(max(MOST_HELD_BYTES, settings.max_body_bytes), at_least=settings.max_body_bytes),
        ),
    )
    app.set_door(
        _rates(settings, app),
        counts=counts,
        worker=worker,
        most_connections=connections_allowed(),
    )
    return app


def serve(  # noqa: PLR0913  what an operator says of a service
    settings: Settings,
    *,
    host: str,
    port: int,
    workers: int = 1,
    ops: tuple[str, int] = ("127.0.0.1", 0),
    jobs: bool = True,
) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code; prints `ready https://HOST:PORT` once all workers answer.

    With `jobs` the log is sequenced too, in a process of its own that stops last and places what is left.
    Raises an ExchangeError where the configuration cannot be served.
    """
    log_to_stderr()
    outlive_hangup()
    raise_file_limit()
    # First of all, while this process holds nothing that must not be copied.
    with kept_running(be_sequencer, settings, name="sequencer") if jobs else nullcontext() as begin_sequencing:
        _require_safe(settings)
        if jobs:
            load_log_key(settings.log_key_file)
            settings.sequencer_url_with_password()
        listening = Listening(bind(host, port), bind(*ops))
        _log.info("operations address", extra={"address": address_of(listening.operations)})

        has_answered = False

        def announce() -> None:
            nonlocal has_answered
            has_answered = True
            sys.stdout.write(f"ready https://{address_of(listening.service)}\n")
            sys.stdout.flush()
            if begin_sequencing is not None:
                begin_sequencing()  # not before: until then every core is wanted for the start

        try:
            if workers == 1:
                uvloop.run(_serve_one(settings, listening, on_ready=announce))
                return 0
            supervisor = Supervisor(_work, settings, workers=workers, listening=listening, counts=shared_row(workers))
            return supervisor.run(announce)
        finally:
            if jobs and not has_answered:
                _freeze_an_older_log(settings)


def _freeze_an_older_log(settings: Settings) -> None:
    """Freeze a log that this host knows more of than the database holds, as its sequencer would, had it begun.

    This node is refused its start by its own file; one that has no sequencer has no such file, and would serve.
    """
    with suppress(ExchangeError):  # what keeps it from being looked at has kept the service from its start, and is told
        uvloop.run(look_at_log(settings))


def _work(settings: Settings, order: WorkOrder) -> None:
    """Be one of several workers, in a process of its own."""
    log_to_stderr()
    try:
        uvloop.run(_serve_one(settings, order.listening, on_ready=order.report_ready, order=order))
    except ExchangeError as exc:
        _log.error("%s", exc.message, extra={"worker": order.number})
        sys.exit(OUTGROWN if isinstance(exc, OutgrownError) else CANNOT_START)


async def _serve_one(
    settings: Settings, listening: Listening, *, on_ready: Callable[[], None], order: WorkOrder | None = None
) -> None:
    number, counts = (0, None) if order is None else (order.number, order.counts)
    app = create_app(settings, counts=counts, worker=number)
    stopping = asyncio.Event()
    if order is not None:
        watch_supervisor(order.line, stopping)
    async with (
        app.router.lifespan_context(app),
        ended_with_database(app.state.services.store, stopping),
        _streams_ended_by(stopping, app),
        _strangers(app) as strangers,
        _trust_news(app) as news,
    ):
        clock = app.state.services.clock
        trust = _trust(settings, clock, news)
        await news.begin(trust.in_use)
        service = service_config(
            app, trust.context, app.gate, trust.edges, strangers=strangers, trust=trust, clock=clock
        )
        operations = operations_config(operations_app(app, _places(settings), partial(_in_use, trust, app)))
        async with trust.kept_up():
            await run_servers(service, operations, listening, on_ready=on_ready, stopping=stopping)


def _strangers(app: Service) -> Strangers:
    async def record(counts: dict[str, int], source: str) -> None:
        await record_refused_connections(app.state.services, counts, source)

    return Strangers(record)


def _trust_news(app: Service) -> TrustNews:
    async def record(taken: TakenUp) -> None:
        await record_trust(app.state.services, taken)

    return TrustNews(record)


@asynccontextmanager
async def _streams_ended_by(stopping: asyncio.Event, app: Service) -> AsyncIterator[None]:
    """Tell every stream to come again elsewhere as soon as the service is told to stop: it would wait for them."""

    async def end_them() -> None:
        await stopping.wait()
        app.state.services.watching.end_all()

    ending = asyncio.create_task(end_them())
    yield
    ending.cancel()


@asynccontextmanager
async def _traced(settings: Settings, app: Service) -> AsyncIterator[Tracer]:
    """Send spans to the collector that the settings name; where they name none, nothing is imported or measured."""
    if settings.traces_endpoint is None:
        yield UNTRACED
        return
    from exchange.tracing import Collector, collected

    collector = Collector(
        settings.traces_endpoint, settings.node, settings.traces_ratio, settings.traces_authority_file
    )
    async with collected(collector) as tracer:
        app.measure(tracer)
        yield tracer


def _rates(settings: Settings, app: Service) -> Rates:
    of_client = settings.requests_per_second
    of_member = settings.member_requests_per_second or OF_MEMBER * of_client
    strangers = RateLimiter(of_client)

    def shared(per_second: int, kind: str) -> SharedRateLimiter:
        async def lease(name: str, tokens: int) -> bool:
            services: Services = app.state.services
            return await services.store.lease(kind + name, tokens, per_second=per_second)

        return SharedRateLimiter(per_second, lease)

    # Beside ids of clients there are members: no id begins so.
    return Rates(shared(of_client, ""), shared(of_member, "member "), strangers)


def _hold(app: Service) -> None:
    services: Services = app.state.services
    streams = len(services.watching)
    app.metrics.holds(requests=app.door.in_flight, streams=streams, gate=app.gate, store=services.store.load)


def _places(settings: Settings) -> HostPlaces:
    keys = {"log": settings.log_key_file, "node": settings.node_key_file, "cursor": settings.cursor_key_file}
    layout = InstanceLayout(settings.instance_folder)
    return HostPlaces(
        settings.instance_folder,
        settings.server_certificate_file,
        settings.authorities_folder,
        keys,
        edges=settings.edge_certificates_file,
        edge_server=layout.edge_server_certificate_file,
        revocations=settings.crl_folder,
        edge_lists=layout.edge_lists_file,
    )


def _trust(settings: Settings, clock: Clock = system_clock, news: TrustNews | None = None) -> Trust:
    files = TrustFiles(
        settings.server_certificate_file,
        settings.server_key_file,
        settings.authorities_folder,
        settings.crl_folder,
        settings.edge_certificates_file,
    )
    edges = load_edges(settings.edge_certificates_file, clock=clock)
    return Trust(files, edges, read_secret=read_secret, clock=clock, news=news)


def _in_use(trust: Trust, app: Service) -> Shown:
    refused = {kind.value: len(told) for kind, told in trust.refused.items()}
    password = app.state.services.store.password
    if password is not None:
        refused["database-password"] = int(password.trouble is not None)
    servers, lists = ([end.timestamp() for end in ends] for ends in (trust.server_ends, trust.lists_end))
    return Shown(servers, lists, refused)


def _require_safe(settings: Settings) -> None:
    """Raise for what can be seen to be wrong before anything is bound or spawned."""
    if faults := faults_of(settings):
        raise UnsafeSettingError("; ".join(map(str, faults)))
    # Before whom to believe: that comes back with the backup, where only the keys were put back so far.
    require_file(checked_url(settings.database_url))
    _trust(settings)
    settings.cursor_key()
    settings.node_key()
    webhooks_of(settings)
    _require_tracing(settings)
    settings.database_url_with_password()
    FileCustodian.load(settings.roots_file)


def _require_tracing(settings: Settings) -> None:
    if settings.traces_endpoint is not None and find_spec("opentelemetry.exporter.otlp") is None:
        raise UnsafeSettingError(
            "`traces_endpoint` is set and what sends traces is not installed: install requirements-traces.txt"
        )


async def _require_ready(services: Services, *, of: Container[str] | None = None) -> None:
    """Raise UnavailableError where a check fails; with `of`, only for those of these names."""
    readiness = await check_readiness(services)
    failed = [check for check in readiness.checks if not check.is_working]
    broken = [f"{check.name}: {check.finding}" for check in failed if of is None or check.name in of]
    if broken:
        raise UnavailableError(f"the service cannot work: {'; '.join(broken)}")
